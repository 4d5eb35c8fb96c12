//! The end of a session that Assay has run: its work is kept, and its gate told of or run.

use super::place::Place;
use super::verdict::Verdict;
use crate::event::{GateReport, GateStage, JobEvent, OutputSource, SessionState};
use crate::manifest::Session;
use crate::port::{Command, SandboxError};
use crate::sandbox_git::{AssayEnded, Committed, SandboxGitError};
use crate::session::floor::{Floor, SessionEnd, Worktree};
use crate::session::gate;
use crate::text::clean_text;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time for showing what a gate has said.
const SHOWING: Duration = Duration::from_secs(30);

/// What there is of a session when Assay has ended.
pub(super) struct Left {
    pub(super) ended: AssayEnded,
    /// Its work; none where Assay has made no worktree.
    pub(super) committed: Option<Committed>,
}

impl Left {
    /// Looks, and keeps the work: as it was when the gate began, else as it is now. Goes on when the
    /// run is stopped.
    pub(super) async fn keep(
        floor: &Floor<'_>,
        session: &Session,
        worktree: &Worktree,
    ) -> Result<Self, SandboxGitError> {
        let record = Place::of(floor.sandbox.paths()).record(&session.name);
        let git = floor.saving_git();
        let ended = git.assay_ended(&worktree.folder, &worktree.branch, &record).await?;
        let committed = match &ended.committed {
            Some(committed) => {
                floor.tell_of(&session.name, committed);
                Some(committed.clone())
            }
            None if ended.worktree => Some(floor.keep_work(&session.name, worktree).await?),
            None => None,
        };
        Ok(Self { ended, committed })
    }

    /// The end of a session with `verdict`. A gate that has not run yet is run in `folder`, until
    /// `deadline`.
    pub(super) async fn end(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        verdict: Verdict,
        folder: &Path,
        deadline: Instant,
    ) -> Result<SessionEnd, SandboxGitError> {
        let unadded = self.committed.as_ref().and_then(|committed| committed.unadded.as_deref());
        let (state, reason) = match (verdict, unadded) {
            (Verdict::Passed | Verdict::Unchecked, Some(why)) => {
                let reason = format!("its work could not be committed: {why}");
                (SessionState::AgentFailed, Some(reason))
            }
            (Verdict::Passed, None) => {
                self.tell_of_gate(floor, session, true).await?;
                (SessionState::Passed, None)
            }
            (Verdict::GateFailed, _) => {
                self.tell_of_gate(floor, session, false).await?;
                (SessionState::GateFailed, None)
            }
            (Verdict::Unchecked, None) => {
                let stage = GateStage::Session;
                let state = gate::check(floor, session, folder, stage, deadline).await?;
                let late = state == SessionState::TimedOut;
                (state, late.then(|| "in its gate".to_owned()))
            }
            (Verdict::TimedOut(place), _) => {
                if self.ended.committed.is_some() {
                    self.tell_of_gate(floor, session, false).await?;
                }
                (SessionState::TimedOut, Some(place.to_owned()))
            }
            (Verdict::Failed(why), _) => (SessionState::AgentFailed, Some(why)),
            (Verdict::Skipped(why), _) => (SessionState::Skipped, Some(why)),
            (Verdict::Cancelled, _) => (SessionState::Cancelled, None),
        };
        // Assay hands on what its agent has said.
        let reason = reason.map(|why| floor.redactor.redact(&clean_text(&why)).into_owned());
        let commit = self.committed.as_ref().map(|committed| committed.head.clone());
        Ok(SessionEnd { commit, ..SessionEnd::new(state, reason) })
    }

    /// Tells of a gate that Assay has run, with what its script has kept of it.
    async fn tell_of_gate(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        passed: bool,
    ) -> Result<(), SandboxError> {
        let (name, stage) = (session.name.clone(), GateStage::Session);
        floor.events.emit(JobEvent::GateStarted { session: name.clone(), stage });
        let paths = floor.sandbox.paths();
        let log = Place::of(paths).record(&name).with_added_extension("log");
        let show = "test ! -f \"$1\" || exec cat \"$1\"";
        let command = Command::shell(show, [&*log.to_string_lossy()], paths.workspace());
        let deadline = Instant::now() + SHOWING;
        let said = floor.run(command, deadline, Some(&name), OutputSource::Gate, None);
        let (_, tail) = said.await?;
        let (exit_code, secs) = self.ended.gate.unzip();
        let gate = GateReport {
            command: clean_text(&session.harness),
            passed,
            exit_code,
            duration_ms: secs.unwrap_or(0).saturating_mul(1000),
            tail,
        };
        floor.events.emit(JobEvent::GateFinished { session: name, stage, gate });
        Ok(())
    }
}
