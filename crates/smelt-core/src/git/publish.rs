//! From the quarantine into the user's repository: objects by a fetch that touches nothing else,
//! refs by compare-and-swap.

use super::command::GitError;
use super::oid::Oid;
use super::quarantine::Quarantine;
use super::refs;
use super::repository::Repository;
use super::target::{TargetRefusal, check_target};
use crate::id::RunId;
use crate::name::{BranchName, SessionName};
use std::path::Path;

/// What is to be put into the user's repository.
#[derive(Clone, Debug)]
pub struct Publication<'a> {
    /// The run.
    pub run: &'a RunId,
    /// Sessions and their last commits.
    pub sessions: &'a [(SessionName, Oid)],
    /// The result, where there is one.
    pub result: Option<&'a Oid>,
}

/// Why a branch was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It may not be written (any more).
    #[error("the result branch can't be written")]
    Refused(#[source] TargetRefusal),
    /// Somebody else wrote it in the same instant.
    #[error("`{branch}` was changed by somebody else at the same time")]
    Raced {
        /// The branch.
        branch: BranchName,
        /// What git said.
        source: GitError,
    },
    /// git failed.
    #[error("the result branch can't be written")]
    Git(#[from] GitError),
}

impl Publication<'_> {
    /// The run's own refs and their commits.
    fn refs(&self) -> Vec<(String, Oid)> {
        let sessions = self.sessions.iter();
        let sessions =
            sessions.map(|(name, commit)| (refs::session(self.run, name), commit.clone()));
        let result = self.result.map(|commit| (refs::result(self.run), commit.clone()));
        sessions.chain(result).collect()
    }
}

/// Puts the commits into `repository`, under the run's own refs.
///
/// # Errors
/// Where git refuses.
pub async fn publish(
    repository: &Repository,
    quarantine: &Quarantine,
    publication: &Publication<'_>,
) -> Result<(), GitError> {
    let commits = publication.refs();
    if commits.is_empty() {
        return Ok(());
    }
    import(repository, quarantine, &commits).await?;
    let zero = repository.format().zero();
    let lines = commits.iter().map(|(name, commit)| format!("update {name} {commit} {zero}\n"));
    update(repository, &lines.collect::<String>()).await
}

/// Fetches objects and nothing else: no tags, no FETCH_HEAD, no hooks, no gc, no submodules.
async fn import(
    repository: &Repository,
    quarantine: &Quarantine,
    commits: &[(String, Oid)],
) -> Result<(), GitError> {
    repository
        .git()
        .setting("fetch.writeCommitGraph=false")
        .setting("transfer.fsckObjects=true")
        .setting("protocol.file.allow=always")
        // Only from version 2 on a commit can be asked for that no ref names.
        .setting("protocol.version=2")
        .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"])
        .args(["--no-recurse-submodules", "--refmap="])
        .args([quarantine.path()])
        .args(commits.iter().map(|(_, commit)| commit.as_str()))
        .deadline(std::time::Duration::from_secs(600))
        .run()
        .await
}

/// Puts `commit`, which [`publish`] has brought, on `branch`: from what was there, if Smelt wrote it.
///
/// # Errors
/// Where the branch is somebody else's by now, or not to be written; it is then as it was.
pub async fn write_branch(
    repository: &Repository,
    branch: &BranchName,
    commit: &Oid,
    base_branch: Option<&str>,
) -> Result<(), WriteError> {
    let look = || check_target(repository, branch, base_branch);
    let expected = look().await?.map_err(WriteError::Refused)?;
    if !expected.stale.is_empty() {
        // In a transaction of their own: git would see them in the way all the same.
        let lines = expected.stale.iter().map(|(name, oid)| format!("delete {name} {oid}\n"));
        update(repository, &lines.collect::<String>()).await?;
    }
    let zero = repository.format().zero();
    let old = |oid: &Option<Oid>| oid.as_ref().map_or_else(|| zero.clone(), Oid::to_string);
    let lines = format!(
        "update {} {commit} {}\nupdate {} {commit} {}\n",
        refs::branch(branch.as_str()),
        old(&expected.tip),
        refs::last_written(branch.as_str()),
        old(&expected.last_written),
    );
    let Err(source) = update(repository, &lines).await else { return Ok(()) };
    match look().await {
        Ok(Ok(now)) if now.tip == expected.tip => Err(source.into()),
        _ => Err(WriteError::Raced { branch: branch.clone(), source }),
    }
}

/// All of `lines` or none of them.
async fn update(repository: &Repository, lines: &str) -> Result<(), GitError> {
    let input = format!("start\n{lines}prepare\ncommit\n");
    repository.git().args(["update-ref", "--no-deref", "--stdin"]).input(input).run().await
}

/// Writes the commits as a bundle at `path`, for a repository that is a URL: the result as `branch`,
/// the sessions under the run's own refs.
///
/// # Errors
/// Where git fails.
pub async fn write_bundle(
    quarantine: &Quarantine,
    base: &Oid,
    publication: &Publication<'_>,
    branch: &BranchName,
    path: &Path,
) -> Result<(), GitError> {
    let mut commits = publication.refs();
    commits
        .extend(publication.result.map(|commit| (refs::branch(branch.as_str()), commit.clone())));
    commits.retain(|(_, commit)| commit != base);
    if commits.is_empty() {
        return Ok(());
    }
    let lines = commits.iter().map(|(name, commit)| format!("create {name} {commit}\n"));
    quarantine.git().args(["update-ref", "--stdin"]).input(lines.collect::<String>()).run().await?;
    let names = commits.iter().map(|(name, _)| name.as_str());
    quarantine
        .git()
        .args(["bundle", "create", "--quiet"])
        .args([path])
        .args([format!("^{base}").as_str()])
        .args(names)
        .run()
        .await
}
