//! `smelt completions` and `smelt man`: both from the command line's own definition.

use crate::args::{Cli, Completions, Man};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print;
use clap::CommandFactory;

pub fn completions(args: &Completions) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "smelt", &mut script);
    print::raw(&script)?;
    Ok(Exit::Success)
}

pub fn man(args: &Man) -> Result {
    let failed = |error: std::io::Error| {
        CliError::told(Exit::Failed, format!("`{}`: {error}", args.dir.display()))
    };
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.dir).map_err(failed)?;
    print::note(&format!("written to {}", args.dir.display()));
    Ok(Exit::Success)
}
