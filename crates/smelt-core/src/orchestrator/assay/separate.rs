//! Each session by an `assay run` of its own, which starts from its dependencies' merged work.

use super::Assay;
use super::ending::Left;
use super::place::Place;
use super::run::Run;
use super::{files, verdict};
use crate::event::SessionState;
use crate::git::Oid;
use crate::manifest::Session;
use crate::sandbox_git::SandboxGitError;
use crate::session::conflict::build_on;
use crate::session::floor::{Floor, SessionEnd, Worktree};
use tokio::time::Instant;

impl Assay {
    /// Runs one session to its end, built on `heads`.
    pub(super) async fn run_alone(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        heads: &[Oid],
        deadline: Instant,
    ) -> SessionEnd {
        let ready = async {
            let Some(start) = self.make_start(floor, session, heads, deadline).await? else {
                return Ok(None);
            };
            let mut files = files::of_session(session, &start, floor.sandbox.paths());
            let backend = floor.manifest().state_backend.as_ref();
            let manifest = files::manifest(&[session], backend);
            files.push((files::manifest_path(&session.name), manifest));
            self.put(floor, &files).await?;
            Ok(Some(start))
        };
        let start = match ready.await {
            Ok(Some(start)) => start,
            Ok(None) => {
                let reason = "the work it depends on does not fit together";
                return SessionEnd::new(SessionState::Conflict, Some(reason.into()));
            }
            Err(error) => return SessionEnd::of_git(&error),
        };
        let folder = Place::of(floor.sandbox.paths()).worktree(&session.name);
        let worktree = Worktree { folder, branch: Place::branch(&session.name), start };
        let end = self.work_alone(floor, session, &worktree, deadline).await;
        // Work that could not be kept now can be kept later.
        end.unwrap_or_else(|error| SessionEnd {
            worktree: Some(worktree),
            ..SessionEnd::of_git(&error)
        })
    }

    /// Puts the session's branch where it starts: on its dependencies' merged work, else at the base.
    /// `None` where that work does not fit together.
    async fn make_start(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        heads: &[Oid],
        deadline: Instant,
    ) -> Result<Option<Oid>, SandboxGitError> {
        let branch = floor.branch(&session.name);
        let first = heads.first().unwrap_or(&floor.base.commit);
        let Some(rest @ [_, ..]) = heads.get(1..) else {
            floor.git_until(deadline).set_branch(&branch, first).await?;
            return Ok(Some(first.clone()));
        };
        let folder = floor.sandbox.paths().session(session.name.as_str());
        floor.add_worktree(&folder, Some(&branch), first, deadline).await?;
        build_on(floor, self, session, (&folder, first), rest, deadline).await
    }

    async fn work_alone(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        worktree: &Worktree,
        deadline: Instant,
    ) -> Result<SessionEnd, SandboxGitError> {
        let run = Run {
            sessions: session.name.as_str(),
            base: &floor.branch(&session.name),
            timeout: session.timeout,
            session: Some(session),
        };
        let (ended, report) = run.run(floor, deadline).await?;
        let left = Left::keep(floor, session, worktree).await?;
        let said = report.as_ref().and_then(|report| report.of(session.name.as_str()));
        let verdict = verdict::of_one(&ended, said, &left.ended);
        left.end(floor, session, verdict, &worktree.folder, deadline).await
    }
}
