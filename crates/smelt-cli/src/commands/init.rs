//! `smelt init`: a manifest to start from.

use crate::args::Init;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print;
use smelt_core::manifest::AgentKind;
use smelt_core::orchestrator::preset;
use std::fs::File;
use std::io::Write;
use std::path::Path;

const MANIFEST: &str = include_str!("../../templates/job-manifest.toml");

pub fn init(args: &Init) -> Result {
    let agent = args.agent.map_or(AgentKind::Claude, AgentKind::from);
    let preset = preset(agent);
    let image = match args.agent {
        Some(_) => "build = { context = \".\", dockerfile = \"Dockerfile\" }",
        None => "image = \"ghcr.io/your-org/agent:latest\"   # git, a shell and the agent in it",
    };
    let manifest = MANIFEST
        .replace("@IMAGE@", image)
        .replace("@AGENT@", agent.as_str())
        .replace("@INSTALL@", preset.install())
        .replace("@KEY@", preset.secrets().first().copied().unwrap_or("API_KEY"));
    let manifest_path = args.dir.join("job-manifest.toml");
    let dockerfile_path = args.dir.join("Dockerfile");
    let paths = [Some(&manifest_path), args.agent.map(|_| &dockerfile_path)];
    if let Some(taken) = paths.into_iter().flatten().find(|path| path.exists()) {
        return Err(CliError::told(
            Exit::Failed,
            format!("`{}` is there already", taken.display()),
        )
        .hint("move it away, or write to another folder with --dir"));
    }
    std::fs::create_dir_all(&args.dir)?;
    write(&manifest_path, &manifest)?;
    if args.agent.is_some() {
        write(&dockerfile_path, preset.dockerfile())?;
    }
    let shown = manifest_path.display();
    print::note(&format!("next: edit it, then look at the plan: smelt run {shown} --dry-run"));
    Ok(Exit::Success)
}

/// Never overwrites.
fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        CliError::told(Exit::Failed, format!("`{}` can't be written: {error}", path.display()))
    };
    File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
    print::note(&format!("wrote {}", path.display()));
    Ok(())
}
