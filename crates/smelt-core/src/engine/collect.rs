//! Collecting: the commits are brought out of the sandbox, as a bundle of bounded size, and checked in
//! quarantine while the sandbox is still there to be asked for less.

use super::Context;
use super::clock::Interrupt;
use super::execute::of_git;
use super::phase::{Collecting, Delivering, Phase, Prepared, Verdict, Work};
use super::provision::{make, seal};
use crate::event::{JobEvent, Level, OutputStream};
use crate::git::{Oid, Quarantine, QuarantineError};
use crate::name::SessionName;
use crate::outcome::{Conclusion, Failure, FailureKind, Outcome};
use crate::port::{Exit, ExitStatus, Output, Sandbox, SandboxError};
use crate::sandbox_git::{SandboxGit, SandboxGitError};
use crate::session::floor::Floor;
use crate::tree::remove_tree;
use async_trait::async_trait;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

/// Longest time for bringing the work out and checking it, also when the job's time is up.
const DEADLINE: Duration = Duration::from_secs(900);

/// Longest time for a bundle.
const BUNDLE_DEADLINE: Duration = Duration::from_secs(300);

/// The result's ref in the bundle.
const RESULT: &str = "refs/smelt/result";

/// A session's ref in the bundle.
fn session_ref(n: usize) -> String {
    format!("refs/smelt/session/{n}")
}

/// Work that has passed the quarantine.
pub(crate) struct Checked {
    pub(crate) quarantine: Quarantine,
    pub(crate) sessions: Vec<(SessionName, Oid)>,
    pub(crate) result: Option<Oid>,
}

/// Why work could not be brought out, or was refused.
#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error(transparent)]
    Sandbox(#[from] SandboxGitError),
    #[error(transparent)]
    Refused(#[from] QuarantineError),
}

impl CollectError {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Sandbox(error) if error.is_gone())
    }

    fn failure(&self) -> Failure {
        match self {
            Self::Sandbox(error) => of_git(error),
            Self::Refused(error) => Failure::from_error(FailureKind::Fault, error).hint(
                "nothing of it has entered your repository; `smelt logs` shows what was done",
            ),
        }
    }
}

impl Collecting {
    pub(super) async fn step(self, context: &Context<'_>) -> Phase {
        let Self { prepared, mut sandbox, mut work } = self;
        if !context.request.keep {
            sandbox.cut_off();
        }
        let saved = context.clock.salvage(DEADLINE, async {
            let error = match collect(context, &prepared, &*sandbox, &mut work).await {
                Ok(checked) => return Ok(checked),
                Err(error) => error,
            };
            if !(error.is_gone() && sandbox.work_outlives_it()) {
                return Err(error);
            }
            // What it left behind is still there for another one to read.
            sandbox = make(context, &prepared).await.map_err(SandboxGitError::from)?;
            seal(context, &*sandbox).await.map_err(SandboxGitError::from)?;
            collect(context, &prepared, &*sandbox, &mut work).await
        });
        let failure = match saved.await {
            Ok(Ok(checked)) => {
                let verdict = work.verdict;
                return Phase::Delivering(Delivering { prepared, sandbox, verdict, checked });
            }
            Ok(Err(error)) => error.failure(),
            Err(Interrupt::Stopped) => return Phase::end_in(sandbox, Outcome::Cancelled),
            Err(Interrupt::TimedOut) => {
                Failure::new(FailureKind::Fault, "bringing the work out took too long")
            }
        };
        let conclusion = worse(&work.verdict, failure.clone());
        if conclusion.failure.as_ref() != Some(&failure) {
            let message = format!("the work could not be brought out: {}", failure.message);
            context.events.emit(JobEvent::Notice { level: Level::Warning, message, session: None });
        }
        Phase::end_in(sandbox, conclusion)
    }
}

/// Work that is lost is a failure, unless the run was ending in another way already.
pub(super) fn worse(verdict: &Verdict, failure: Failure) -> Conclusion {
    match verdict {
        Verdict::Passed(_) => failure.into(),
        // Sessions whose sandbox went away with its engine tell no more than that.
        Verdict::Not(Conclusion { outcome: Outcome::Failed, .. })
        | Verdict::Draft(_, Conclusion { outcome: Outcome::Failed, .. })
            if failure.kind == FailureKind::Unavailable =>
        {
            failure.into()
        }
        Verdict::Not(conclusion) | Verdict::Draft(_, conclusion) => {
            let failure = conclusion.failure.clone().unwrap_or(failure);
            Conclusion { outcome: conclusion.outcome, failure: Some(failure) }
        }
    }
}

/// Saves what is still lying in worktrees, brings everything out and checks it. Where all of it
/// together is refused, the sessions are taken one by one: the work of one must not cost that of the
/// others.
async fn collect(
    context: &Context<'_>,
    prepared: &Prepared,
    sandbox: &dyn Sandbox,
    work: &mut Work,
) -> Result<Vec<Checked>, CollectError> {
    save(context, prepared, sandbox, work).await?;
    let base = &prepared.base.commit;
    // A session that has changed nothing has nothing to be kept.
    work.sessions.retain(|(_, commit)| commit != base);
    let result = work.verdict.commit().filter(|commit| *commit != base);
    if work.sessions.is_empty() && result.is_none() {
        return Ok(Vec::new());
    }
    let way_out = WayOut { context, prepared, sandbox };
    let error = match way_out.take("all", &work.sessions, result).await {
        Ok(checked) => return Ok(vec![checked]),
        Err(error) => error,
    };
    if error.is_gone() || work.sessions.len() < 2 {
        return Err(error);
    }
    let mut taken = Vec::new();
    for session in &work.sessions {
        let (name, alone) = (&session.0, std::slice::from_ref(session));
        match way_out.take(name.as_str(), alone, None).await {
            Ok(checked) => taken.push(checked),
            Err(error) if error.is_gone() => return Err(error),
            Err(error) => way_out.floor().warn(
                Some(name),
                format!("its work is not kept: {}", crate::outcome::chain(&error)),
            ),
        }
    }
    work.verdict = Verdict::Not(worse(&work.verdict, error.failure()));
    Ok(taken)
}

/// Out of the sandbox, into quarantine.
struct WayOut<'a> {
    context: &'a Context<'a>,
    prepared: &'a Prepared,
    sandbox: &'a dyn Sandbox,
}

impl<'a> WayOut<'a> {
    fn floor(&self) -> Floor<'a> {
        let Context { request, events, clock, redactor, .. } = self.context;
        Floor::new(request, self.sandbox, events, redactor, clock, &self.prepared.base)
    }

    /// Takes the work of `sessions` and the result out together; `name` is that of no other try.
    /// What is refused makes room for the next one.
    async fn take(
        &self,
        name: &str,
        sessions: &[(SessionName, Oid)],
        result: Option<&Oid>,
    ) -> Result<Checked, CollectError> {
        let folder = self.prepared.spec.scratch.join("out").join(name);
        let taken = self.take_into(&folder, sessions, result).await;
        if taken.is_err() {
            // What can't be removed now goes with the run.
            let _ = tokio::task::spawn_blocking(move || remove_tree(&folder)).await;
        }
        taken
    }

    async fn take_into(
        &self,
        folder: &Path,
        sessions: &[(SessionName, Oid)],
        result: Option<&Oid>,
    ) -> Result<Checked, CollectError> {
        let refs = sessions.iter().enumerate();
        let mut wanted: Vec<_> =
            refs.map(|(n, (_, commit))| (session_ref(n), commit.clone())).collect();
        wanted.extend(result.map(|commit| (RESULT.to_owned(), commit.clone())));
        tokio::fs::create_dir_all(folder).await.map_err(QuarantineError::from)?;
        let bundle = folder.join("bundle");
        self.bundle(&wanted, &bundle).await?;

        let Prepared { repository, base, .. } = self.prepared;
        let engine = self.context.engine;
        let path = folder.join("quarantine.git");
        let quarantine =
            Quarantine::create(&engine.git, repository, &base.commit, &path, engine.limits).await?;
        let names: Vec<_> = wanted.into_iter().map(|(name, _)| name).collect();
        let mut commits = quarantine.take_in(&bundle, &names).await?;
        let result = match result {
            Some(_) => commits.pop(),
            None => None,
        };
        let names = sessions.iter().map(|(name, _)| name.clone());
        Ok(Checked { quarantine, sessions: names.zip(commits).collect(), result })
    }

    async fn bundle(&self, wanted: &[(String, Oid)], path: &Path) -> Result<(), SandboxGitError> {
        let failed = |source: std::io::Error| SandboxError::failed("keeping the bundle", source);
        let most = self.context.engine.limits.bundle;
        let mut output = ToFile::create(path, most).await.map_err(failed)?;
        let abort = self.context.clock.cancellation().abort.clone();
        let git = SandboxGit::new(self.sandbox, abort, Instant::now() + BUNDLE_DEADLINE);
        let exit = git.bundle(&self.prepared.base.commit, wanted, &mut output).await?;
        let stderr = output.finish().await.map_err(failed)?;
        match exit.status {
            ExitStatus::Code(0) => Ok(()),
            ExitStatus::Refused => {
                let message = format!("the work is larger than {most} bytes");
                Err(SandboxError::failed("bringing the work out", message).into())
            }
            _ => Err(failed_bundle(exit, stderr)),
        }
    }
}

/// Commits what sessions have left in their worktrees and could not commit then.
async fn save(
    context: &Context<'_>,
    prepared: &Prepared,
    sandbox: &dyn Sandbox,
    work: &mut Work,
) -> Result<(), SandboxGitError> {
    let floor = WayOut { context, prepared, sandbox }.floor();
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
