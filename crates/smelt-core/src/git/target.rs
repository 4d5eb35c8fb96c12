//! Which branch a result goes to, and whether Smelt may write it.

use super::command::GitError;
use super::oid::Oid;
use super::refs;
use super::repository::{Repository, unexpected};
use crate::name::{BranchName, JobName};
use std::path::{Path, PathBuf};

/// Names that mean "the default branch" wherever they stand.
const DEFAULT_NAMES: [&str; 2] = ["main", "master"];

/// Names the default branch of the remote that a clone was made from.
const REMOTE_HEAD: &str = "refs/remotes/origin/HEAD";

/// Why a branch is not written. In each case it stays as it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetRefusal {
    /// It is the repository's default branch.
    #[error("`{branch}` is the default branch, which Smelt never moves")]
    Default {
        /// The branch.
        branch: String,
    },
    /// It is where the run starts from.
    #[error("`{branch}` is the base of the run, which Smelt never moves")]
    Base {
        /// The branch.
        branch: String,
    },
    /// It is checked out.
    #[error("`{branch}` is checked out in `{}`", worktree.display())]
    CheckedOut {
        /// The branch.
        branch: String,
        /// Where.
        worktree: PathBuf,
    },
    /// Somebody else's work is on it.
    #[error("`{branch}` is at {tip}, which Smelt did not write")]
    Foreign {
        /// The branch.
        branch: String,
        /// Its tip.
        tip: String,
    },
    /// Git keeps branches as files: `a` and `a/b` can't both be.
    #[error("the branch `{blocker}` is in the way of `{branch}`: git can't have both")]
    Blocked {
        /// The branch.
        branch: String,
        /// The one in the way.
        blocker: String,
    },
}

impl TargetRefusal {
    /// What would help.
    pub fn hint(&self) -> String {
        match self {
            Self::Default { .. } | Self::Base { .. } => {
                "name another branch in `[merge] target`".into()
            }
            Self::CheckedOut { .. } => {
                "switch that worktree to another branch, or name another in `[merge] target`".into()
            }
            Self::Foreign { branch, .. } => format!(
                "name another branch in `[merge] target`, or move this one away: git branch -m {branch} {branch}-old"
            ),
            Self::Blocked { blocker, .. } => format!(
                "name another branch in `[merge] target`, or rename that one: git branch -m {blocker} {blocker}-old"
            ),
        }
    }
}

/// What a branch must still be when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its tip; `None` where it must not exist.
    pub tip: Option<Oid>,
    /// What is recorded as the last commit that Smelt put there.
    pub last_written: Option<Oid>,
    /// Records of branches that are gone, in the way of this one's: refs and what they are at.
    pub stale: Vec<(String, Oid)>,
}

/// The branch that the result is written to: `wanted`, unless that is the base itself.
pub fn choose_target(wanted: &BranchName, base_branch: Option<&str>, job: &JobName) -> BranchName {
    let own = || format!("smelt/{job}").parse().ok();
    match base_branch == Some(wanted.as_str()) {
        true => own().unwrap_or_else(|| wanted.clone()),
        false => wanted.clone(),
    }
}

/// Whether `branch` may be written, and from which state.
///
/// # Errors
/// The inner error says why not; the outer one that it could not be found out.
pub async fn check_target(
    repository: &Repository,
    branch: &BranchName,
    base_branch: Option<&str>,
) -> Result<Result<Expected, TargetRefusal>, GitError> {
    let name = branch.as_str();
    if base_branch == Some(name) {
        return Ok(Err(TargetRefusal::Base { branch: name.into() }));
    }
    let (found, worktree) =
        tokio::try_join!(Found::look(repository, name), checked_out(repository, name))?;
    let branch = || name.to_owned();
    if DEFAULT_NAMES.contains(&name) || found.default.as_deref() == Some(name) {
        return Ok(Err(TargetRefusal::Default { branch: branch() }));
    }
    if let Some(worktree) = worktree {
        return Ok(Err(TargetRefusal::CheckedOut { branch: branch(), worktree }));
    }
    if let Some(tip) = found.foreign_tip() {
        return Ok(Err(TargetRefusal::Foreign { branch: branch(), tip }));
    }
    if let Some(blocker) = found.blocker {
        return Ok(Err(TargetRefusal::Blocked { branch: branch(), blocker }));
    }
    let Found { tip, last_written, stale, .. } = found;
    Ok(Ok(Expected { tip, last_written, stale }))
}

/// The refs that decide about a branch.
#[derive(Default)]
struct Found {
    /// The default branch as the remote has it.
    default: Option<String>,
    tip: Option<Oid>,
    /// The ref that the branch is only another name of.
    alias_of: Option<String>,
    last_written: Option<Oid>,
    /// Records in the way of this branch's own. Where their branches are there too, one of those is
    /// the blocker.
    stale: Vec<(String, Oid)>,
    /// A branch that stands where a folder of this one would have to be, or in its folder.
    blocker: Option<String>,
}

impl Found {
    async fn look(repository: &Repository, name: &str) -> Result<Self, GitError> {
        let parents = || name.match_indices('/').map(|(at, _)| &name[..at]);
        let records: Vec<_> = parents().map(refs::last_written).collect();
        let parents: Vec<_> = parents().map(refs::branch).collect();
        let (own, last_written) = (refs::branch(name), refs::last_written(name));
        let listed = repository
            .git()
            .args(["for-each-ref", "--format=%(refname)%00%(objectname)%00%(symref)"])
            .args([own.as_str(), &last_written, REMOTE_HEAD])
            .args(&parents)
            .args(&records);
        let mut found = Self::default();
        for line in listed.text().await?.lines() {
            let fields: Vec<_> = line.split('\0').collect();
            let [reference, tip, symref] = fields.as_slice() else {
                return Err(unexpected("for-each-ref", line));
            };
            let tip: Oid = tip.parse().map_err(|_| unexpected("for-each-ref", line))?;
            if *reference == own {
                found.tip = Some(tip);
                found.alias_of = Some((*symref).to_owned()).filter(|symref| !symref.is_empty());
            } else if *reference == last_written {
                found.last_written = Some(tip);
            } else if *reference == REMOTE_HEAD {
                found.default = symref.strip_prefix("refs/remotes/origin/").map(str::to_owned);
            } else if records.iter().any(|record| record == reference)
                || reference.starts_with(&format!("{last_written}/"))
            {
                found.stale.push(((*reference).to_owned(), tip));
            } else if parents.iter().any(|parent| parent == reference)
                || reference.starts_with(&format!("{own}/"))
            {
                found.blocker = reference.strip_prefix("refs/heads/").map(str::to_owned);
            }
        }
        Ok(found)
    }

    /// What the branch is at, where Smelt did not put it there.
    fn foreign_tip(&self) -> Option<String> {
        match (&self.alias_of, &self.tip) {
            (Some(other), _) => Some(other.clone()),
            (None, Some(tip)) if self.last_written.as_ref() != Some(tip) => {
                Some(tip.short().to_owned())
            }
            _ => None,
        }
    }
}

/// The worktree in which `branch` is checked out, or in the middle of a rebase or bisection.
async fn checked_out(repository: &Repository, branch: &str) -> Result<Option<PathBuf>, GitError> {
    let list = repository.git().args(["worktree", "list", "--porcelain"]).text().await?;
    let full_name = refs::branch(branch);
    let mut worktree = PathBuf::new();
    for line in list.lines() {
        if let Some(path) = line.strip_prefix("worktree ") {
            worktree = PathBuf::from(path);
        }
        if line.strip_prefix("branch ") == Some(&full_name) {
            return Ok(Some(worktree));
        }
    }
    Ok(in_progress(repository.common_dir(), branch, &full_name))
}

/// A worktree's git folder in which a rebase or bisection holds `branch`.
fn in_progress(common_dir: &Path, branch: &str, full_name: &str) -> Option<PathBuf> {
    let linked = std::fs::read_dir(common_dir.join("worktrees")).into_iter().flatten().flatten();
    let folders = std::iter::once(common_dir.to_owned()).chain(linked.map(|entry| entry.path()));
    let names = ["rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"];
    folders.into_iter().find(|folder| {
        names.iter().any(|file| {
            let held = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
            let held = held.trim();
            held == full_name || (*file == "BISECT_START" && held == branch)
        })
    })
}
