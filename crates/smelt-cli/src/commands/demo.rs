//! `smelt demo`: a whole run on a small repository, by scripted agents.

use super::execution::Execution;
use crate::args::{Demo, Dir, RunOptions};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print;
use crate::settings::Settings;
use crate::wiring;
use smelt_core::git::{Git, GitError};
use smelt_core::manifest::Manifest;
use std::fs;
use std::path::{Path, PathBuf};

/// The demo's repository, its job, and the script that stands for an agent.
const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../templates/demo/README.md")),
    ("greet.sh", include_str!("../../templates/demo/greet.sh")),
    ("test.sh", include_str!("../../templates/demo/test.sh")),
];
const JOB: &str = include_str!("../../templates/demo/job.toml");
const AGENT: &str = include_str!("../../templates/demo/agent.sh");

pub async fn demo(args: &Demo) -> Result {
    let settings = Settings::read(None)?;
    let folder = make_folder(args.dir.as_deref())?;
    let repo = folder.join("hello");
    make_repository(&wiring::git(&settings), &repo).await?;
    let job = folder.join("job.toml");
    fs::write(&job, JOB)?;
    fs::write(folder.join("agent.sh"), AGENT)?;
    print::note(&format!(
        "A repository and a job were made in {}.\nThe job has three sessions; a script plays the \
         agent, so no key and no network is needed.\n",
        folder.display()
    ));
    let (manifest, _) = Manifest::read(&job, settings.home.as_deref())?;
    let options = RunOptions {
        dry_run: false,
        verbose: false,
        no_pr: false,
        dir: Dir { dir: folder.clone() },
        keep: false,
        json: false,
        output: args.output,
        env_file: None,
        report: None,
        // The agent is our own script: it may run where no jail can be made.
        unsandboxed: true,
    };
    let exit = Execution::prepare(&settings, manifest, &options).await?.run().await?;
    if exit == Exit::Success {
        let (job, folder) = (job.display(), folder.display());
        print::note(&format!(
            "\nThe result is on a branch of {folder}/hello, and in the pull request above; your own files \
             were not touched.\nThe same by hand: smelt run {job} --dir {folder}"
        ));
    }
    Ok(exit)
}

fn make_folder(wanted: Option<&Path>) -> Result<PathBuf> {
    let folder = match wanted {
        Some(folder) => folder.to_owned(),
        None => {
            let run = smelt_core::id::RunId::new(jiff::Timestamp::now());
            std::env::temp_dir().join(format!("smelt-demo-{run}"))
        }
    };
    if folder.join("hello").exists() {
        return Err(CliError::told(
            Exit::Failed,
            format!("`{}` holds a demo already", folder.display()),
        )
        .hint("name another folder with --dir, or remove that one"));
    }
    fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

async fn make_repository(git: &Git, repo: &Path) -> Result<()> {
    fs::create_dir(repo)?;
    for (name, text) in FILES {
        fs::write(repo.join(name), text)?;
    }
    // Neither the user's configuration nor what git is told by the environment is for this one.
    let init = ["init", "--quiet", "--template=", "--initial-branch=main"];
    let add = ["add", "--all", "--force"];
    let commit = ["commit", "--quiet", "--message=A small program"];
    for args in [&init[..], &add, &commit] {
        let call = git.isolated().setting("user.name=Smelt demo");
        let call = call.setting("user.email=demo@localhost").within(repo).args(args);
        call.run().await.map_err(|error| match error {
            GitError::Start { .. } => CliError::new(Exit::Unavailable, error).hint("install git"),
            error => CliError::new(Exit::Failed, error),
        })?;
    }
    Ok(())
}
