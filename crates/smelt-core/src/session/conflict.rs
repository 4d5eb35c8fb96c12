//! One merge, and what is done when the work does not fit together.

use super::floor::Floor;
use crate::event::JobEvent;
use crate::git::Oid;
use crate::manifest::Session;
use crate::name::SessionName;
use crate::orchestrator::Orchestrator;
use crate::sandbox_git::{MergeEnd, SandboxGitError};
use std::path::Path;
use tokio::time::Instant;

/// A commit to be merged next.
pub(crate) struct Next<'a> {
    /// The worktree in which it is merged.
    pub(crate) folder: &'a Path,
    /// The commit that is there.
    pub(crate) onto: &'a Oid,
    /// The commit to merge.
    pub(crate) commit: &'a Oid,
    /// Message of the merge commit.
    pub(crate) message: &'a str,
    /// When it has to be done; an agent that is asked has its session's time beyond that.
    pub(crate) deadline: Instant,
}

impl Next<'_> {
    /// Merges it. A conflict is given back once to the agent of `helper`, where the manifest says
    /// so; `None` where the work of `sessions` does not fit together after all.
    pub(crate) async fn merge(
        &self,
        floor: &Floor<'_>,
        orchestrator: &dyn Orchestrator,
        helper: &Session,
        sessions: &[SessionName],
    ) -> Result<Option<Oid>, SandboxGitError> {
        let git = floor.git_until(self.deadline);
        let files = match git.merge(self.folder, self.message, &[self.commit]).await? {
            MergeEnd::Merged(commit) => return Ok(Some(commit)),
            MergeEnd::Conflict(files) => files,
        };
        let given_back = floor.manifest().merge.ai_resolution;
        tell(floor, sessions, files.clone(), given_back);
        if !given_back {
            return Ok(None);
        }
        let deadline = Instant::now() + helper.timeout;
        if !orchestrator.resolve_conflict(floor, helper, self.folder, &files, deadline).await? {
            tell(floor, sessions, files, false);
            return Ok(None);
        }
        match floor.git().conclude_merge(self.folder, self.onto, &[self.commit]).await? {
            MergeEnd::Merged(commit) => Ok(Some(commit)),
            MergeEnd::Conflict(left) => {
                tell(floor, sessions, if left.is_empty() { files } else { left }, false);
                Ok(None)
            }
        }
    }
}

/// Merges `heads`, the work that `session` depends on, into `folder`, where `onto` is. `None` where it
/// does not fit together.
pub(crate) async fn build_on(
    floor: &Floor<'_>,
    orchestrator: &dyn Orchestrator,
    session: &Session,
    (folder, onto): (&Path, &Oid),
    heads: &[Oid],
    deadline: Instant,
) -> Result<Option<Oid>, SandboxGitError> {
    let message = format!("Merge the work that '{}' depends on", session.name);
    let mut merged = onto.clone();
    for commit in heads {
        let next = Next { folder, onto: &merged, commit, message: &message, deadline };
        match next.merge(floor, orchestrator, session, &session.depends_on).await? {
            Some(commit) => merged = commit,
            None => return Ok(None),
        }
    }
    Ok(Some(merged))
}

/// Tells that the work of `sessions` does not fit together in `files`.
pub(crate) fn tell(
    floor: &Floor<'_>,
    sessions: &[SessionName],
    files: Vec<String>,
    given_back: bool,
) {
    floor.events.emit(JobEvent::MergeConflict { sessions: sessions.to_vec(), files, given_back });
}
