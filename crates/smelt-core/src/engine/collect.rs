//! Collecting: the commits are brought out of the sandbox, as a bundle of bounded size.

use super::Context;
use super::clock::Interrupt;
use super::execute::of_git;
use super::phase::{Collecting, Delivering, Phase, Prepared, Verdict, Work};
use super::provision::make;
use crate::event::OutputStream;
use crate::git::Oid;
use crate::outcome::{Conclusion, Failure, FailureKind, Outcome};
use crate::port::{Exit, ExitStatus, Output, Sandbox, SandboxError};
use crate::sandbox_git::{SandboxGit, SandboxGitError};
use crate::session::floor::Floor;
use async_trait::async_trait;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

/// Longest time for bringing the work out, also when the job's time is up.
const DEADLINE: Duration = Duration::from_secs(300);

/// The result's ref in the bundle.
pub(super) const RESULT: &str = "refs/smelt/result";

/// A session's ref in the bundle.
pub(super) fn session_ref(n: usize) -> String {
    format!("refs/smelt/session/{n}")
}

impl Collecting {
    pub(super) async fn step(self, context: &Context<'_>) -> Phase {
        let Self { prepared, mut sandbox, mut work } = self;
        let saved = context.clock.salvage(DEADLINE, async {
            let error = match collect(context, &prepared, &*sandbox, &mut work).await {
                Ok(bundle) => return Ok(bundle),
                Err(error) => error,
            };
            if !error.is_gone() {
                return Err(error);
            }
            // What it left behind is still there for another one to read.
            sandbox = make(context, &prepared).await?;
            collect(context, &prepared, &*sandbox, &mut work).await
        });
        let failure = match saved.await {
            Ok(Ok(bundle)) => {
                return Phase::Delivering(Delivering { prepared, sandbox, work, bundle });
            }
            Ok(Err(error)) => of_git(&error),
            Err(Interrupt::Stopped) => return Phase::end_in(sandbox, Outcome::Cancelled),
            Err(Interrupt::TimedOut) => {
                Failure::new(FailureKind::Fault, "bringing the work out took too long")
            }
        };
        Phase::end_in(sandbox, worse(&work.verdict, failure))
    }
}

/// Work that is lost is a failure, unless the run was ending in another way already.
pub(super) fn worse(verdict: &Verdict, failure: Failure) -> Conclusion {
    match verdict {
        Verdict::Passed(_) => failure.into(),
        Verdict::Not(conclusion) => {
            let failure = conclusion.failure.clone().unwrap_or(failure);
            Conclusion { outcome: conclusion.outcome, failure: Some(failure) }
        }
    }
}

/// The refs that the bundle is to hold, and their commits.
fn wanted(base: &Oid, work: &Work) -> Vec<(String, Oid)> {
    let sessions = work.sessions.iter().enumerate();
    let sessions = sessions.map(|(n, (_, commit))| (session_ref(n), commit.clone()));
    let result = match &work.verdict {
        Verdict::Passed(commit) if commit != base => Some((RESULT.to_owned(), commit.clone())),
        _ => None,
    };
    sessions.chain(result).collect()
}

/// Saves what is still lying in worktrees, and brings everything out as a bundle; `None` where
/// nothing was changed.
async fn collect(
    context: &Context<'_>,
    prepared: &Prepared,
    sandbox: &dyn Sandbox,
    work: &mut Work,
) -> Result<Option<PathBuf>, SandboxGitError> {
    save(context, prepared, sandbox, work).await?;
    let base = &prepared.base.commit;
    // A session that has changed nothing has nothing to be kept.
    work.sessions.retain(|(_, commit)| commit != base);
    let wanted = wanted(base, work);
    if wanted.is_empty() {
        return Ok(None);
    }
    let path = prepared.spec.scratch.join("out.bundle");
    let failed = |source: std::io::Error| SandboxError::failed("keeping the bundle", source);
    let most = context.engine.limits.bundle;
    let mut output = ToFile::create(&path, most).await.map_err(failed)?;
    let abort = context.clock.cancellation().abort.clone();
    let git = SandboxGit::new(sandbox, abort, Instant::now() + DEADLINE);
    let exit = git.bundle(base, &wanted, &mut output).await?;
    let stderr = output.finish().await.map_err(failed)?;
    match exit.status {
        ExitStatus::Code(0) => Ok(Some(path)),
        ExitStatus::Refused => {
            let message = format!("the work is larger than {most} bytes");
            Err(SandboxError::failed("bringing the work out", message).into())
        }
        _ => Err(failed_bundle(exit, stderr)),
    }
}

/// Commits what sessions have left in their worktrees and could not commit then.
async fn save(
    context: &Context<'_>,
    prepared: &Prepared,
    sandbox: &dyn Sandbox,
    work: &mut Work,
) -> Result<(), SandboxGitError> {
    let Context { request, events, clock, redactor, .. } = context;
    let floor = Floor::new(request, sandbox, events, redactor, clock, &prepared.base);
    while let Some((name, worktree)) = work.unsaved.last() {
        match floor.keep_work(name, worktree).await {
            Ok(committed) => work.sessions.push((name.clone(), committed.head)),
            Err(error) if error.is_gone() => return Err(error),
            Err(error) => floor.warn(Some(name), crate::outcome::chain(&error)),
        }
        work.unsaved.pop();
    }
    Ok(())
}

fn failed_bundle(exit: Exit, stderr: String) -> SandboxGitError {
    SandboxGitError::Failed { what: "bundling the work", exit, stderr }
}

/// Writes standard output to a file, up to a limit; keeps the start of standard error.
struct ToFile {
    file: tokio::fs::File,
    left: u64,
    problem: Option<std::io::Error>,
    stderr: Vec<u8>,
}

impl ToFile {
    async fn create(path: &Path, most: u64) -> std::io::Result<Self> {
        let file = tokio::fs::File::create(path).await?;
        Ok(Self { file, left: most, problem: None, stderr: Vec::new() })
    }

    async fn finish(mut self) -> std::io::Result<String> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        self.file.flush().await?;
        Ok(crate::text::clean_text(&String::from_utf8_lossy(&self.stderr)))
    }
}

#[async_trait]
impl Output for ToFile {
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        if stream == OutputStream::Stderr {
            let room = 4096usize.saturating_sub(self.stderr.len());
            self.stderr.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return ControlFlow::Continue(());
        }
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => self.left = left,
            None => return ControlFlow::Break(()),
        }
        match self.file.write_all(bytes).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(problem) => {
                self.problem = Some(problem);
                ControlFlow::Break(())
            }
        }
    }
}
