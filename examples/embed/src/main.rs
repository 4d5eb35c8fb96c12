//! Another tool that runs a job by Smelt's library, and prints its events as they come.
//!
//! ```sh
//! cargo run --package smelt-example-embed -- /path/to/repository
//! ```
//!
//! The library prints nothing and reads no environment: this program gives it a manifest, git, a
//! runtime and folders, and reads one stream of events.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use smelt_core::engine::Engine;
use smelt_core::event::{JobEvent, channel};
use smelt_core::git::{Git, Limits};
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Manifest, RuntimeKind};
use smelt_core::outcome::Outcome;
use smelt_core::port::{Cancellation, JobRequest, JobRunner, Runtime};
use smelt_runtime::local::{LocalConfig, LocalRuntime};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The job: a manifest made by this program, on whatever repository it is given.
const JOB: &str = r#"
[job]
name = "embedded"
repo = "."

[environment]
runtime = "local"
network = "none"

[orchestrator]
kind = "direct"
command = "cat > TASK.md"

[[session]]
name = "note"
spec = "Write down what you were asked."
harness = "grep -q asked TASK.md"
timeout = 60
"#;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let repository = std::env::args_os().nth(1).map(PathBuf::from);
    let repository = repository.context("usage: smelt-example-embed REPOSITORY")?;
    let (manifest, _warnings) = Manifest::parse(JOB, "embedded job", &repository, None)
        .map_err(|problems| anyhow!("{problems}"))?;

    let folder = tempfile::tempdir()?;
    let run = RunId::new(Timestamp::now());
    let request = JobRequest {
        owner: OwnerId::random(),
        manifest,
        secrets: BTreeMap::new(),
        keep: false,
        deliver: false,
        bundle: folder.path().join("result.bundle"),
        pulls: folder.path().join("pulls"),
        run,
    };

    let (sink, mut events) = channel();
    let engine = engine(folder.path());
    let running =
        tokio::spawn(async move { engine.run(request, sink, Cancellation::default()).await });
    while let Some(event) = events.recv().await {
        match event.what {
            JobEvent::Phase { phase } => println!("{:>3}  {phase}", event.seq),
            JobEvent::Output { text, .. } => println!("{:>3}    | {text}", event.seq),
            other => println!("{:>3}  {other:?}", event.seq),
        }
    }
    let conclusion = running.await?;
    println!("outcome: {}", conclusion.outcome);
    Ok(match conclusion.outcome {
        Outcome::Complete => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// An engine with one runtime, whose folders are all below `folder`.
fn engine(folder: &Path) -> Engine {
    let (scratch, cache) = (folder.join("scratch"), folder.join("cache"));
    let local = LocalRuntime::new(LocalConfig {
        scratch: scratch.clone(),
        cache: cache.clone(),
        path: std::env::var_os("PATH").unwrap_or_default(),
        home: std::env::home_dir().unwrap_or_else(|| "/".into()),
        accept_unsandboxed: false,
    });
    let runtimes: HashMap<_, Arc<dyn Runtime>> =
        HashMap::from([(RuntimeKind::Local, Arc::new(local) as Arc<dyn Runtime>)]);
    Engine {
        git: Git::new("git", std::env::vars_os()),
        runtimes,
        // The work stays on its branch: this program delivers nothing.
        forges: HashMap::new(),
        scratch,
        cache,
        limits: Limits::default(),
    }
}
