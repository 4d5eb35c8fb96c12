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

/// What of the project goes into the image, for the Dockerfile alone. Without it all of the project
/// would go to the engine, and every change to it would make a new image.
const IGNORE: &str = "\
# The image is made without the project's files, which the sandbox gets by git. For a line such as
# `COPY package.json .` in the Dockerfile, add `!package.json` here.
*
";

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
    let mut files = vec![(manifest_path.clone(), manifest)];
    if args.agent.is_some() {
        files.push((args.dir.join("Dockerfile"), preset.dockerfile()));
        files.push((args.dir.join("Dockerfile.dockerignore"), IGNORE.into()));
    }
    if let Some((taken, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(CliError::told(
            Exit::Failed,
            format!("`{}` is there already", taken.display()),
        )
        .hint("move it away, or write to another folder with --dir"));
    }
    std::fs::create_dir_all(&args.dir)?;
    for (path, text) in &files {
        write(path, text)?;
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
