//! What all sessions of a run share: the sandbox, the clone in it, the clock, the events.

use crate::engine::Clock;
use crate::event::{EventSink, JobEvent, Level, OutputSource, SessionState, Usage};
use crate::git::{Base, Oid};
use crate::manifest::{Manifest, Session};
use crate::name::SessionName;
use crate::port::{Command, Exit, JobRequest, Sandbox, SandboxError, Value};
use crate::sandbox_git::{Committed, SandboxGit, SandboxGitError};
use crate::secret::Redactor;
use crate::session::lines::{AgentOutput, Lines};
use crate::session::outlet::Speaker;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The variable that names the file with the task.
pub(crate) const SPEC_FILE: &str = "SMELT_SPEC_FILE";

/// How long a command may clean up when it is stopped.
const GRACE: Duration = Duration::from_secs(2);

/// Longest time for keeping a session's work after it was stopped.
const SALVAGE: Duration = Duration::from_secs(30);

/// What all sessions of a run share.
pub(crate) struct Floor<'a> {
    pub(crate) request: &'a JobRequest,
    pub(crate) sandbox: &'a dyn Sandbox,
    pub(crate) events: &'a EventSink,
    pub(crate) redactor: &'a Redactor,
    pub(crate) clock: &'a Clock,
    pub(crate) base: &'a Base,
    /// Worktrees are made one at a time.
    worktrees: Mutex<()>,
}

/// How a session ended.
#[derive(Clone, Debug)]
pub(crate) struct SessionEnd {
    pub(crate) state: SessionState,
    /// Why, where the state alone does not tell.
    pub(crate) reason: Option<String>,
    /// Its last commit; none where its work could not be kept yet, or never began.
    pub(crate) commit: Option<Oid>,
    /// Where it worked.
    pub(crate) worktree: Option<Worktree>,
    pub(crate) usage: Option<Usage>,
}

impl SessionEnd {
    pub(crate) fn new(state: SessionState, reason: Option<String>) -> Self {
        Self { state, reason, commit: None, worktree: None, usage: None }
    }

    /// The end of a session that git in the sandbox has let down.
    pub(crate) fn of_git(error: &SandboxGitError) -> Self {
        if error.is_stopped() {
            return Self::new(SessionState::Cancelled, None);
        }
        let state = match error.is_timed_out() {
            true => SessionState::TimedOut,
            false => SessionState::AgentFailed,
        };
        Self::new(state, Some(crate::outcome::chain(error)))
    }
}

/// A session's place to work.
#[derive(Clone, Debug)]
pub(crate) struct Worktree {
    pub(crate) folder: PathBuf,
    pub(crate) branch: String,
    pub(crate) start: Oid,
}

impl<'a> Floor<'a> {
    pub(crate) fn new(
        request: &'a JobRequest,
        sandbox: &'a dyn Sandbox,
        events: &'a EventSink,
        redactor: &'a Redactor,
        clock: &'a Clock,
        base: &'a Base,
    ) -> Self {
        Self { request, sandbox, events, redactor, clock, base, worktrees: Mutex::new(()) }
    }

    pub(crate) fn manifest(&self) -> &'a Manifest {
        &self.request.manifest
    }

    /// Git in the sandbox, for work that ends when the run is stopped.
    pub(crate) fn git(&self) -> SandboxGit<'a> {
        self.git_until(self.clock.deadline())
    }

    /// The same, for work that ends at `deadline` too.
    pub(crate) fn git_until(&self, deadline: Instant) -> SandboxGit<'a> {
        let deadline = deadline.min(self.clock.deadline());
        SandboxGit::new(self.sandbox, self.clock.cancellation().stop.clone(), deadline)
    }

    /// Git in the sandbox, for saving work: only an abort ends it.
    pub(crate) fn saving_git(&self) -> SandboxGit<'a> {
        let deadline = Instant::now() + SALVAGE;
        SandboxGit::new(self.sandbox, self.clock.cancellation().abort.clone(), deadline)
    }

    pub(crate) fn warn(&self, session: Option<&SessionName>, message: impl Into<String>) {
        let (level, message) = (Level::Warning, message.into());
        self.events.emit(JobEvent::Notice { level, message, session: session.cloned() });
    }

    /// The branch that a session works on, in the clone.
    pub(crate) fn branch(&self, session: &SessionName) -> String {
        self.branch_of(session.as_str())
    }

    /// A branch beside the sessions', called by what is no session's name.
    pub(crate) fn branch_of(&self, name: &str) -> String {
        format!("{}/{name}", session_prefix(self.base.branch.as_deref()))
    }

    /// The variables that every process of the user's own is given: what the sandbox tells about
    /// the run, and the credentials.
    pub(crate) fn environment(&self, session: Option<&Session>) -> BTreeMap<String, Value> {
        let manifest = self.manifest();
        let credentials = &manifest.credentials;
        let mut env: BTreeMap<String, Value> = BTreeMap::new();
        let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.into());
        set("SMELT_JOB", manifest.job.name.as_str());
        set("SMELT_RUN_ID", self.request.run.as_str());
        set("SMELT_BASE_REF", &manifest.job.base_ref);
        set("SMELT_PROVIDER", credentials.provider.as_deref().unwrap_or_default());
        set("SMELT_MODEL", credentials.model.as_deref().unwrap_or_default());
        if let Some(session) = session {
            set("SMELT_SESSION", session.name.as_str());
            let task = self.sandbox.paths().task(session.name.as_str());
            set(SPEC_FILE, &task.to_string_lossy());
        }
        for (variable, name) in &credentials.env {
            if let Some(secret) = self.request.secrets.get(name) {
                env.insert(variable.as_str().to_owned(), Value::Secret(secret.clone()));
            }
        }
        env
    }

    /// Runs a command of the user's own, its lines sent on as events; returns how it ended and its
    /// last lines.
    pub(crate) async fn run(
        &self,
        mut command: Command,
        deadline: Instant,
        session: Option<&SessionName>,
        source: OutputSource,
        reader: Option<&mut dyn AgentOutput>,
    ) -> Result<(Exit, Vec<String>), SandboxError> {
        let cancellation = self.clock.cancellation();
        command.timeout = Some(self.clock.left(deadline.saturating_duration_since(Instant::now())));
        command.stop = cancellation.stop.clone();
        command.grace = GRACE;
        let mut lines = Lines::new(self.events, self.redactor, Speaker::new(session, source), TAIL)
            .read_by(reader);
        let exit = tokio::select! {
            exit = self.sandbox.exec(command, &mut lines) => exit?,
            () = cancellation.abort.cancelled() => Exit {
                status: crate::port::ExitStatus::Stopped,
                out_of_memory: false,
            },
        };
        if exit.out_of_memory {
            let memory = self.manifest().environment.resources.memory;
            self.warn(
                session,
                format!(
                    "the {} ran out of memory: `environment.resources.memory` is {memory}",
                    source.as_str()
                ),
            );
        }
        Ok((exit, lines.finish().await))
    }

    /// Makes the worktree `folder` at `start`, on a new `branch` or on none.
    pub(crate) async fn add_worktree(
        &self,
        folder: &Path,
        branch: Option<&str>,
        start: &Oid,
        deadline: Instant,
    ) -> Result<(), SandboxGitError> {
        let was_set_up = !self.manifest().environment.setup.is_empty();
        let _one_at_a_time = self.worktrees.lock().await;
        self.git_until(deadline).add_worktree(folder, branch, start, was_set_up).await
    }

    /// Commits what a session's agent left, and tells of it. Goes on when the run is stopped.
    pub(crate) async fn keep_work(
        &self,
        session: &SessionName,
        worktree: &Worktree,
    ) -> Result<Committed, SandboxGitError> {
        let message = format!("{session}: what the agent left uncommitted");
        let git = self.saving_git();
        let commit = git.commit(&worktree.folder, &message, &worktree.start, &worktree.branch);
        let committed = match self.clock.salvage(SALVAGE, commit).await {
            Ok(committed) => committed?,
            Err(_) => {
                return Err(SandboxError::failed("keeping the work", "it took too long").into());
            }
        };
        self.tell_of(session, &committed);
        Ok(committed)
    }

    /// Tells of what was committed of a session's work.
    pub(crate) fn tell_of(&self, session: &SessionName, committed: &Committed) {
        let warn = |message: String| self.warn(Some(session), message);
        if committed.unmerged > 0 {
            let files = crate::text::count(committed.unmerged, "file");
            warn(format!(
                "the agent left {files} with merge conflicts; they are committed as they are"
            ));
        }
        for path in &committed.embedded {
            warn(format!(
                "`{path}` is a repository of its own: its content is not part of the work"
            ));
        }
        if let Some(reason) = &committed.unadded {
            warn(format!("some files could not be committed: {reason}"));
        }
        for branch in &committed.beside {
            warn(format!(
                "the agent left commits on the branch `{branch}` that are not part of its last \
                 commit; they are not kept"
            ));
        }
        if let Some(strayed) = &committed.strayed {
            warn(format!(
                "the agent's last commit {} is not built on where it started: its files are kept as \
                 a commit that is",
                strayed.short()
            ));
        }
        self.events.emit(JobEvent::SessionCommitted {
            session: session.clone(),
            commit: committed.head.to_string(),
            commits: committed.commits,
            left_uncommitted: committed.left,
        });
    }
}

/// Last lines that are kept of a command.
const TAIL: usize = 20;

/// Where sessions' branches are in the clone, out of the base branch's way.
fn session_prefix(base_branch: Option<&str>) -> &'static str {
    let blocked = |branch: &str| branch == "smelt-session" || branch.starts_with("smelt-session/");
    if base_branch.is_some_and(blocked) { "smelt-run-session" } else { "smelt-session" }
}
