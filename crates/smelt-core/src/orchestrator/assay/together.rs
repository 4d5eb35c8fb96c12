//! All sessions by one `assay run`, with its mesh and its events.
//!
//! Assay lets sessions go on whose gate has failed, merges them, and starts dependents at the base:
//! its branches are taken, and everything else is done again. Each session's gate runs on its own work
//! merged with that of the sessions it depends on, which must have passed.

use super::Assay;
use super::ending::Left;
use super::files;
use super::place::Place;
use super::report::Report;
use super::run::Run;
use super::verdict::{self, Ended, Verdict};
use crate::engine::Interrupt;
use crate::event::{JobEvent, SessionState};
use crate::manifest::Session;
use crate::name::SessionName;
use crate::sandbox_git::SandboxGitError;
use crate::session::conflict::build_on;
use crate::session::floor::{Floor, SessionEnd, Worktree};
use crate::session::schedule::{self, Ends};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Name of the run manifest and of the branch that all start from. No session is called so.
const ALL: &str = "_all";

impl Assay {
    pub(super) async fn run_together(&self, floor: &Floor<'_>) -> Ends {
        let sessions = &floor.manifest().sessions;
        for session in sessions {
            floor.events.emit(JobEvent::SessionStarted { session: session.name.clone() });
        }
        let started = Instant::now();
        let ran = self.run_all(floor).await;
        let mut ends = Ends::new();
        for session in sessions {
            let mut end = self.end_of(floor, session, &ran, &ends).await;
            if end.state != SessionState::Passed
                && floor.clock.interrupt() == Some(Interrupt::Stopped)
            {
                (end.state, end.reason) = (SessionState::Cancelled, None);
            }
            // One whose turn never came took no time.
            let skipped = end.state == SessionState::Skipped;
            let taken = if skipped { Duration::ZERO } else { started.elapsed() };
            schedule::tell_end(floor, session, &end, taken);
            ends.insert(session.name.clone(), end);
        }
        ends
    }

    async fn run_all(&self, floor: &Floor<'_>) -> Result<(Ended, Option<Report>), SandboxGitError> {
        let manifest = floor.manifest();
        let sessions: Vec<_> = manifest.sessions.iter().collect();
        let text = files::manifest(&sessions, manifest.state_backend.as_ref());
        let mut files = vec![(files::manifest_path(ALL), text)];
        for session in &sessions {
            files.extend(files::of_session(session, &floor.base.commit, floor.sandbox.paths()));
        }
        self.put(floor, &files).await?;
        // Assay merges into the branch it is told: this one is nobody else's.
        let base = floor.branch_of(ALL);
        floor.git().set_branch(&base, &floor.base.commit).await?;
        let run = Run {
            sessions: ALL,
            base: &base,
            timeout: sessions.iter().map(|session| session.timeout).max().unwrap_or_default(),
            session: None,
        };
        Ok(run.run(floor, Instant::now() + longest_path(&manifest.sessions)).await?)
    }

    /// Keeps a session's work and runs its gate.
    async fn end_of(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        ran: &Result<(Ended, Option<Report>), SandboxGitError>,
        ends: &Ends,
    ) -> SessionEnd {
        let folder = Place::of(floor.sandbox.paths()).worktree(&session.name);
        let (branch, start) = (Place::branch(&session.name), floor.base.commit.clone());
        let worktree = Worktree { folder, branch, start };
        let end = match ran {
            Ok((ended, report)) => {
                let said = report.as_ref().and_then(|report| report.of(session.name.as_str()));
                let left = match Left::keep(floor, session, &worktree).await {
                    Ok(left) => left,
                    Err(error) => {
                        return SessionEnd {
                            worktree: Some(worktree),
                            ..SessionEnd::of_git(&error)
                        };
                    }
                };
                let verdict = verdict::of_several(ended, said, &left.ended);
                self.judge(floor, session, &worktree, &left, verdict, ends).await
            }
            // What a sandbox leaves behind can be kept later.
            Err(error) => {
                let worktree = error.is_gone().then_some(worktree);
                Ok(SessionEnd { worktree, ..SessionEnd::of_git(error) })
            }
        };
        end.unwrap_or_else(|error| SessionEnd::of_git(&error))
    }

    async fn judge(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        worktree: &Worktree,
        left: &Left,
        verdict: Verdict,
        ends: &Ends,
    ) -> Result<SessionEnd, SandboxGitError> {
        let folder = &worktree.folder;
        let deadline = Instant::now() + session.timeout;
        let (Verdict::Unchecked, Some(committed)) = (&verdict, &left.committed) else {
            return left.end(floor, session, verdict, folder, deadline).await;
        };
        if let Some(name) = schedule::not_passed(session, ends) {
            let verdict = Verdict::Skipped(format!("`{name}` did not pass"));
            return left.end(floor, session, verdict, folder, deadline).await;
        }
        // What Assay's run of the gate has left is not part of the work.
        floor.git_until(deadline).reset(folder, &committed.head).await?;
        let heads = schedule::heads(session, ends);
        let heads = floor.git_until(deadline).independent(&heads).await?;
        let onto = (folder.as_path(), &committed.head);
        let Some(merged) = build_on(floor, self, session, onto, &heads, deadline).await? else {
            let reason = "its work does not fit together with the work it depends on";
            let end = SessionEnd::new(SessionState::Conflict, Some(reason.into()));
            return Ok(SessionEnd { commit: Some(committed.head.clone()), ..end });
        };
        let end = left.end(floor, session, verdict, folder, deadline).await?;
        Ok(SessionEnd { commit: Some(merged), ..end })
    }
}

/// The longest chain of sessions' time limits, which has to be enough for all of them.
fn longest_path(sessions: &[Session]) -> Duration {
    let mut until: BTreeMap<&SessionName, Duration> = BTreeMap::new();
    for session in sessions {
        let before = session.depends_on.iter().filter_map(|name| until.get(name)).max();
        until.insert(&session.name, before.copied().unwrap_or_default() + session.timeout);
    }
    until.into_values().max().unwrap_or_default()
}
