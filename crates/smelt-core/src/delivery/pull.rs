//! The pull request of a branch: looked for before it is opened, so that there is never a second one.

use super::marker;
use super::patience::patiently;
use crate::event::PullState;
use crate::git::Oid;
use crate::port::{Forge, ForgeError, NewPullRequest, PullRequest};
use std::time::Duration;

/// A pull request that is there now.
pub(super) struct Put {
    pub(super) pull: PullRequest,
    /// Whether it was opened just now.
    pub(super) is_new: bool,
}

/// Opens the pull request, or brings the open one of the same branch up to date.
pub(super) async fn put(
    forge: &dyn Forge,
    wanted: &NewPullRequest,
    pause: impl FnMut(&ForgeError, Duration),
) -> Result<Put, ForgeError> {
    patiently(|| attempt(forge, wanted), pause).await
}

/// The pull request by which `commit` has come to its base from the branch `head`.
pub(super) fn merged_one<'p>(
    pulls: &'p [PullRequest],
    head: &str,
    commit: &str,
) -> Option<&'p PullRequest> {
    pulls.iter().find(|pull| {
        let is_head = pull.head_commit.as_deref() == Some(commit);
        let is_marked = || marked(pull, head).is_some_and(|marked| marked.as_str() == commit);
        pull.state == PullState::Merged && (is_head || is_marked())
    })
}

/// The commit that Smelt put on the branch `head`, as this pull request tells it. Only what the token's
/// own user has opened is believed.
pub(super) fn marked(pull: &PullRequest, head: &str) -> Option<Oid> {
    marker::commit(&pull.body, head).filter(|_| pull.is_own)
}

/// Each attempt looks first: the one before may have opened it, and its answer been lost.
async fn attempt(forge: &dyn Forge, wanted: &NewPullRequest) -> Result<Put, ForgeError> {
    let pulls = forge.find_pull_requests(&wanted.head).await?;
    if let Some(merged) = merged_one(&pulls, &wanted.head, &wanted.head_commit) {
        return Ok(Put { pull: merged.clone(), is_new: false });
    }
    if let Some(open) = open_one(&pulls, wanted) {
        return update(forge, open, wanted).await;
    }
    match forge.open_pull_request(wanted).await {
        Ok(pull) => Ok(Put { pull, is_new: true }),
        // Perhaps because there is one by now.
        Err(refused @ ForgeError::Refused { .. }) => {
            let pulls = forge.find_pull_requests(&wanted.head).await?;
            match open_one(&pulls, wanted) {
                Some(open) => update(forge, open, wanted).await,
                None => Err(refused),
            }
        }
        Err(error) => Err(error),
    }
}

/// The one to the same base; else Smelt's own, whose base is another by now. One branch can have pull
/// requests to several others, and those are people's.
fn open_one<'p>(pulls: &'p [PullRequest], wanted: &NewPullRequest) -> Option<&'p PullRequest> {
    let open = || pulls.iter().filter(|pull| pull.state == PullState::Open);
    let is_smelts = |pull: &&PullRequest| pull.is_own && marker::is_in(&pull.body);
    open().find(|pull| pull.base == wanted.base).or_else(|| open().find(is_smelts))
}

async fn update(
    forge: &dyn Forge,
    open: &PullRequest,
    wanted: &NewPullRequest,
) -> Result<Put, ForgeError> {
    let body = marker::replace(&open.body, &wanted.body);
    let wanted = NewPullRequest { body, ..wanted.clone() };
    let pull = forge.update_pull_request(open, &wanted).await?;
    Ok(Put { pull, is_new: false })
}
