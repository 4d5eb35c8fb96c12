//! From the sessions' commits to one result.

use super::conflict::{self, Next};
use super::floor::Floor;
use super::gate;
use super::schedule::Ends;
use crate::event::{GateStage, JobEvent, SessionState};
use crate::git::Oid;
use crate::manifest::MergeStrategy;
use crate::name::SessionName;
use crate::orchestrator::Orchestrator;
use crate::sandbox_git::{MergeEnd, SandboxGitError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// What the sessions' work has become.
#[derive(Debug)]
pub(crate) enum Merged {
    /// One commit; the base itself where nothing was changed.
    Commit(Oid),
    /// Work that does not fit together.
    Conflict,
    /// A gate that failed, or took too long, on the merged tree of this commit.
    Gates(SessionState, Oid),
}

/// A commit to be merged, and the session it is the last of.
struct Head {
    commit: Oid,
    session: SessionName,
}

/// Merges the work of the sessions in `ends` in the manifest's order, and runs their gates on it.
pub(crate) async fn merge(
    floor: &Floor<'_>,
    orchestrator: &dyn Orchestrator,
    ends: &Ends,
) -> Result<Merged, SandboxGitError> {
    let heads = heads(floor, ends).await?;
    let [first, rest @ ..] = heads.as_slice() else {
        return Ok(Merged::Commit(floor.base.commit.clone()));
    };
    if floor.manifest().sessions.len() == 1 {
        return Ok(Merged::Commit(first.commit.clone()));
    }
    let merging = Merging { floor, orchestrator, folder: floor.sandbox.paths().merged() };
    let deadline = floor.clock.deadline();
    floor.add_worktree(&merging.folder, None, &first.commit, deadline).await?;
    let commit = match merging.all(first, rest).await? {
        Some(commit) => commit,
        None => return Ok(Merged::Conflict),
    };
    let sessions = ends.keys().cloned().collect();
    floor.events.emit(JobEvent::Merged { sessions, commit: commit.to_string() });
    match floor.manifest().merge.verify {
        true => verify(floor, ends, &merging.folder, commit).await,
        false => Ok(Merged::Commit(commit)),
    }
}

/// The heads that hold all the work: a session that others build on is in theirs.
async fn heads(floor: &Floor<'_>, ends: &Ends) -> Result<Vec<Head>, SandboxGitError> {
    let order = floor.manifest().merge.order.iter();
    let with_work = order.filter_map(|name| Some((name, ends.get(name)?.commit.clone()?)));
    let changed: Vec<_> = with_work.filter(|(_, commit)| *commit != floor.base.commit).collect();
    let commits: Vec<_> = changed.iter().map(|(_, commit)| commit.clone()).collect();
    let independent = floor.git().independent(&commits).await?;
    let head = |commit: Oid| {
        let (name, _) = changed.iter().find(|(_, c)| *c == commit)?;
        Some(Head { commit, session: (*name).clone() })
    };
    Ok(independent.into_iter().filter_map(head).collect())
}

struct Merging<'a> {
    floor: &'a Floor<'a>,
    orchestrator: &'a dyn Orchestrator,
    folder: PathBuf,
}

impl Merging<'_> {
    /// `None` where the work does not fit together.
    async fn all(&self, first: &Head, rest: &[Head]) -> Result<Option<Oid>, SandboxGitError> {
        let strategy = self.floor.manifest().merge.strategy;
        if strategy == MergeStrategy::Octopus && rest.len() > 1 {
            let message =
                format!("Merge the work of '{}' and {} others", first.session, rest.len());
            let commits: Vec<_> = rest.iter().map(|head| &head.commit).collect();
            match self.floor.git().merge(&self.folder, &message, &commits).await? {
                MergeEnd::Merged(commit) => return Ok(Some(commit)),
                // One after another, an agent can be asked about each conflict.
                MergeEnd::Conflict(_) if self.floor.manifest().merge.ai_resolution => {
                    self.floor.git().reset(&self.folder, &first.commit).await?;
                }
                MergeEnd::Conflict(files) => {
                    let all = std::iter::once(first).chain(rest);
                    let sessions: Vec<_> = all.map(|head| head.session.clone()).collect();
                    conflict::tell(self.floor, &sessions, files, false);
                    return Ok(None);
                }
            }
        }
        let mut merged = first.commit.clone();
        let mut sessions = vec![first.session.clone()];
        for head in rest {
            sessions.push(head.session.clone());
            let message = format!("Merge the work of '{}'", head.session);
            let next = Next {
                folder: &self.folder,
                onto: &merged,
                commit: &head.commit,
                message: &message,
                deadline: self.floor.clock.deadline(),
            };
            let Some(helper) = self.floor.manifest().session(&head.session) else { continue };
            match next.merge(self.floor, self.orchestrator, helper, &sessions).await? {
                Some(commit) => merged = commit,
                None => return Ok(None),
            }
        }
        Ok(Some(merged))
    }
}

/// Runs every gate on the merged tree, each on a tree that the one before has not touched.
async fn verify(
    floor: &Floor<'_>,
    ends: &Ends,
    folder: &Path,
    commit: Oid,
) -> Result<Merged, SandboxGitError> {
    let merged = floor.manifest().sessions.iter().filter(|s| ends.contains_key(&s.name));
    for (n, session) in merged.enumerate() {
        if n > 0 {
            floor.git().reset(folder, &commit).await?;
        }
        // What a gate may take is what its session might have taken; the job's deadline holds anyway.
        let deadline = Instant::now() + session.timeout.max(Duration::from_secs(1));
        match gate::check(floor, session, folder, GateStage::Merged, deadline).await? {
            SessionState::Passed => {}
            state => return Ok(Merged::Gates(state, commit)),
        }
    }
    Ok(Merged::Commit(commit))
}
