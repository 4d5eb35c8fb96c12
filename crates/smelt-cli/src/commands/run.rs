//! `smelt run`.

use super::execution::Execution;
use crate::args::{Run, RunOptions};
use crate::error::Result;
use crate::exit::Exit;
use crate::report::{complaint, plan, print};
use crate::settings::Settings;
use crate::wiring;
use smelt_core::document::Problems;
use smelt_core::manifest::Manifest;
use smelt_core::plan::Plan;

pub async fn run(args: &Run) -> Result {
    let settings = Settings::read(args.options.env_file.as_deref())?;
    let (manifest, warnings) = Manifest::read(&args.manifest, settings.home.as_deref())?;
    carry_out(&settings, manifest, &warnings, &args.options).await
}

/// Runs `manifest`, or shows what that would do.
pub async fn carry_out(
    settings: &Settings,
    manifest: Manifest,
    warnings: &Problems,
    options: &RunOptions,
) -> Result {
    complaint::tell_problems(warnings);
    if options.dry_run {
        let engine = wiring::engine(settings, options.unsandboxed);
        let plan = Plan::make(&engine, &manifest, &settings.secrets, !options.no_pr).await?;
        match options.json {
            true => print::json(&plan)?,
            false => {
                print::result(&plan::of_plan(&plan))?;
                if options.verbose {
                    print::result(&plan::of_blueprint(&plan))?;
                }
            }
        }
        return Ok(Exit::Success);
    }
    Execution::prepare(settings, manifest, options).await?.run().await
}
