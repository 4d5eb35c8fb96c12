//! The refs that Smelt writes in a user's repository: `refs/smelt/…` and result branches.

use crate::id::RunId;
use crate::name::SessionName;
use sha2::{Digest, Sha256};

/// Everything kept of a run.
pub fn of_run(run: &RunId) -> String {
    format!("refs/smelt/runs/{run}/")
}

/// Pins the base of a run, so that its objects stay while the run borrows them.
pub fn base(run: &RunId) -> String {
    format!("{}{}", of_run(run), SessionName::RESERVED)
}

/// Keeps the last commit of a session.
pub fn session(run: &RunId, session: &SessionName) -> String {
    format!("{}{session}", of_run(run))
}

/// Keeps the result of a run when a later one has overwritten its branch. No session can be called
/// so: names start with a letter or digit.
pub fn result(run: &RunId) -> String {
    format!("{}_result", of_run(run))
}

/// What is remembered of `branch` at the remote `url`: below it are `last`, which Smelt put there last,
/// and `next`, which it was about to.
pub fn pushed(url: &str, branch: &str) -> String {
    let digest = Sha256::digest(format!("{url}\0{branch}"));
    let digest: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("refs/smelt/pushed/{digest}")
}

/// The last commit that Smelt put on a branch: by it a later run knows its own work.
pub fn last_written(branch: &str) -> String {
    format!("refs/smelt/results/{branch}")
}

/// The ref of a branch.
pub fn branch(branch: &str) -> String {
    format!("refs/heads/{branch}")
}
