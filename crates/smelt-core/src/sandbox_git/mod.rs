//! Git inside a sandbox: the scripts that check out, commit, merge and bundle there.
//!
//! They run where the agent ran, so nothing they say is more than a claim; the quarantine checks
//! what comes out.

mod assay;
mod report;

pub(crate) use assay::{AssayEnded, committing_script};

use crate::event::OutputStream;
use crate::git::Oid;
use crate::port::{Command, Exit, ExitStatus, Input, Output, Sandbox, SandboxError, Value};
use async_trait::async_trait;
use report::Report;
pub(crate) use report::{Committed, MergeEnd};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const CHECKOUT: &str = include_str!("scripts/checkout.sh");
const SET_APART: &str = include_str!("scripts/set_apart.sh");
const ADD_WORKTREE: &str =
    concat!(include_str!("scripts/set_up.sh"), include_str!("scripts/add_worktree.sh"));
const COMMIT: &str = include_str!("scripts/commit.sh");
const MERGE: &str = concat!(include_str!("scripts/conflicts.sh"), include_str!("scripts/merge.sh"));
const CONCLUDE_MERGE: &str =
    concat!(include_str!("scripts/conflicts.sh"), include_str!("scripts/conclude_merge.sh"));
const BUNDLE: &str = include_str!("scripts/bundle.sh");

/// Before every script: whatever the clone's settings say by now, the work is in this folder.
const HERE: &str = r#"
if [ -d .git ]; then GIT_DIR=$PWD/.git; else read -r _ GIT_DIR < .git; fi
export GIT_DIR GIT_WORK_TREE="$PWD"
"#;

/// Longest time for one script: a checkout of a large tree is the longest of them.
const DEADLINE: Duration = Duration::from_secs(600);

/// Most output of a script, in bytes.
const OUTPUT_MAX: usize = 4 << 20;

/// Settings of Smelt's own git in a sandbox: no hook or monitor that an agent has planted gets in
/// the way of keeping its work.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("commit.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("advice.addEmbeddedRepo", "false"),
    ("safe.directory", "*"),
];

/// Why git in the sandbox did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxGitError {
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// git failed.
    #[error("{what} failed in the sandbox ({exit}){}", said(stderr))]
    Failed { what: &'static str, exit: Exit, stderr: String },
    /// It said something that makes no sense.
    #[error("{what} in the sandbox said something unexpected")]
    Unexpected { what: &'static str },
}

fn said(stderr: &str) -> String {
    let lines: Vec<_> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    if last.is_empty() { String::new() } else { format!(": {}", last.join("; ")) }
}

/// Git in a sandbox, until `stop` or a deadline.
#[derive(Clone)]
pub(crate) struct SandboxGit<'a> {
    sandbox: &'a dyn Sandbox,
    stop: CancellationToken,
    deadline: Instant,
}

impl<'a> SandboxGit<'a> {
    pub(crate) fn new(
        sandbox: &'a dyn Sandbox,
        stop: CancellationToken,
        deadline: Instant,
    ) -> Self {
        Self { sandbox, stop, deadline }
    }

    /// Checks out the workspace itself: on a new `branch` at `start`, or where it is.
    pub(crate) async fn checkout(
        &self,
        branch: Option<(&str, &Oid)>,
    ) -> Result<(), SandboxGitError> {
        let (branch, start) = branch.map_or(("", ""), |(branch, start)| (branch, start.as_str()));
        let workspace = self.sandbox.paths().workspace();
        self.run("the checkout", CHECKOUT, &[branch, start], &workspace).await.map(drop)
    }

    /// Makes the worktree `folder` at `start`, on a new `branch` or on none; with what setup left in
    /// the workspace, where it has run.
    pub(crate) async fn add_worktree(
        &self,
        folder: &Path,
        branch: Option<&str>,
        start: &Oid,
        was_set_up: bool,
    ) -> Result<(), SandboxGitError> {
        let workspace = self.sandbox.paths().workspace();
        let folder = folder.to_string_lossy();
        let set_up = if was_set_up { "set-up" } else { "" };
        let arguments = [&folder, branch.unwrap_or_default(), start.as_str(), set_up];
        self.run("making a worktree", ADD_WORKTREE, &arguments, &workspace).await.map(drop)
    }

    /// Commits what was left uncommitted in `folder`, where work had started from `start`.
    pub(crate) async fn commit(
        &self,
        folder: &Path,
        message: &str,
        start: &Oid,
        branch: &str,
    ) -> Result<Committed, SandboxGitError> {
        let what = "committing what was left";
        let text = self.run(what, COMMIT, &[message, start.as_str(), branch], folder).await?;
        Report::parse(&text).committed().ok_or(SandboxGitError::Unexpected { what })
    }

    /// Merges `commits` into the worktree `folder`.
    pub(crate) async fn merge(
        &self,
        folder: &Path,
        message: &str,
        commits: &[&Oid],
    ) -> Result<MergeEnd, SandboxGitError> {
        let mut arguments = vec![message];
        arguments.extend(commits.iter().map(|commit| commit.as_str()));
        self.merge_script("a merge", MERGE, &arguments, folder).await
    }

    /// Concludes a merge in `folder` whose conflicts an agent was to resolve.
    pub(crate) async fn conclude_merge(
        &self,
        folder: &Path,
        before: &Oid,
        commits: &[&Oid],
    ) -> Result<MergeEnd, SandboxGitError> {
        let mut arguments = vec![before.as_str()];
        arguments.extend(commits.iter().map(|commit| commit.as_str()));
        self.merge_script("concluding a merge", CONCLUDE_MERGE, &arguments, folder).await
    }

    /// Those of `commits` that no other of them contains, in the given order.
    pub(crate) async fn independent(&self, commits: &[Oid]) -> Result<Vec<Oid>, SandboxGitError> {
        let mut distinct: Vec<&Oid> = Vec::new();
        for commit in commits {
            if !distinct.contains(&commit) {
                distinct.push(commit);
            }
        }
        if let [_] | [] = distinct.as_slice() {
            return Ok(distinct.into_iter().cloned().collect());
        }
        let what = "comparing commits";
        let arguments: Vec<_> = distinct.iter().map(|commit| commit.as_str()).collect();
        let script = r#"exec git merge-base --independent "$@""#;
        let workspace = self.sandbox.paths().workspace();
        let kept = self.run(what, script, &arguments, &workspace).await?;
        let kept: Vec<_> = kept.lines().collect();
        Ok(distinct.into_iter().filter(|commit| kept.contains(&commit.as_str())).cloned().collect())
    }

    /// Puts the worktree `folder` back to `commit`; ignored files stay.
    pub(crate) async fn reset(&self, folder: &Path, commit: &Oid) -> Result<(), SandboxGitError> {
        let script = r#"git reset --quiet --hard "$1" && git clean --quiet --force -d"#;
        self.run("resetting a worktree", script, &[commit.as_str()], folder).await.map(drop)
    }

    /// Keeps what setup commands left in the workspace from ever being committed.
    pub(crate) async fn set_setup_apart(&self) -> Result<(), SandboxGitError> {
        let workspace = self.sandbox.paths().workspace();
        self.run("setting apart what setup left", SET_APART, &[], &workspace).await.map(drop)
    }

    /// Writes `commits`, each with the ref it goes by, as a bundle to `output`.
    pub(crate) async fn bundle(
        &self,
        base: &Oid,
        commits: &[(String, Oid)],
        output: &mut dyn Output,
    ) -> Result<Exit, SandboxGitError> {
        let list = commits.iter().map(|(name, commit)| format!("{commit} {name}\n"));
        let workspace = self.sandbox.paths().workspace();
        let mut command = self.command(BUNDLE, &[base.as_str()], &workspace);
        command.input = Input::Bytes(list.collect::<String>().into());
        Ok(self.sandbox.exec(command, output).await?)
    }

    async fn merge_script(
        &self,
        what: &'static str,
        script: &str,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<MergeEnd, SandboxGitError> {
        let (exit, text, stderr) = self.capture(script, arguments, folder).await?;
        let report = Report::parse(&text);
        match exit.code() {
            Some(0) => report.merged().ok_or(SandboxGitError::Unexpected { what }),
            Some(9) => Ok(report.conflict()),
            _ => Err(SandboxGitError::Failed { what, exit, stderr }),
        }
    }

    async fn run(
        &self,
        what: &'static str,
        script: &str,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<String, SandboxGitError> {
        let (exit, text, stderr) = self.capture(script, arguments, folder).await?;
        match exit.success() {
            true => Ok(text),
            false => Err(SandboxGitError::Failed { what, exit, stderr }),
        }
    }

    async fn capture(
        &self,
        script: &str,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<(Exit, String, String), SandboxGitError> {
        let mut capture = Capture::new(OUTPUT_MAX);
        let exit = self.sandbox.exec(self.command(script, arguments, folder), &mut capture).await?;
        let stderr = crate::text::clean_text(&String::from_utf8_lossy(&capture.stderr));
        Ok((exit, String::from_utf8_lossy(&capture.stdout).into_owned(), stderr))
    }

    fn command(&self, script: &str, arguments: &[&str], folder: &Path) -> Command {
        let script = format!("{HERE}{script}");
        let mut command = Command::shell(&script, arguments.iter().copied(), folder);
        command.env = environment();
        let left = self.deadline.saturating_duration_since(Instant::now());
        command.timeout = Some(DEADLINE.min(left));
        command.stop = self.stop.clone();
        command
    }
}

fn environment() -> std::collections::BTreeMap<String, Value> {
    let mut env: std::collections::BTreeMap<_, Value> =
        [("GIT_TERMINAL_PROMPT", "0"), ("GIT_EDITOR", "true"), ("LC_ALL", "C")]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into();
    for (n, (key, value)) in SETTINGS.iter().enumerate() {
        env.insert(format!("GIT_CONFIG_KEY_{n}"), (*key).into());
        env.insert(format!("GIT_CONFIG_VALUE_{n}"), (*value).into());
    }
    env.insert("GIT_CONFIG_COUNT".into(), SETTINGS.len().to_string().into());
    env
}

/// Keeps what a command prints, up to a limit of bytes for each stream.
pub(crate) struct Capture {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    most: usize,
}

impl Capture {
    pub(crate) fn new(most: usize) -> Self {
        Self { stdout: Vec::new(), stderr: Vec::new(), most }
    }
}

#[async_trait]
impl Output for Capture {
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        let kept = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        kept.extend_from_slice(bytes);
        match kept.len() > self.most {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl SandboxGitError {
    /// Whether the sandbox itself is not there any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Sandbox(SandboxError::Gone(_)))
    }

    /// Whether it was stopped from outside.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self, Self::Failed { exit: Exit { status: ExitStatus::Stopped, .. }, .. })
    }

    /// Whether it took too long.
    pub(crate) fn is_timed_out(&self) -> bool {
        matches!(self, Self::Failed { exit: Exit { status: ExitStatus::TimedOut, .. }, .. })
    }
}
