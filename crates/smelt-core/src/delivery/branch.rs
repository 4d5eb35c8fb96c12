//! The branch at the forge: written only over what Smelt put there last.

use super::DeliveryError;
use super::patience::patiently;
use crate::git::{self, GitError, Oid, PushError, Quarantine, Repository};
use crate::port::PushTarget;
use std::collections::HashSet;
use std::time::Duration;

/// A commit that is to be put on a branch of a forge.
pub(super) struct Push<'a> {
    pub(super) repository: &'a Repository,
    pub(super) quarantine: &'a Quarantine,
    pub(super) target: &'a PushTarget,
    /// The result.
    pub(super) commit: &'a Oid,
}

/// A branch, and the commits on it that are Smelt's: over these it may write.
pub(super) struct Branch<'a> {
    pub(super) name: &'a str,
    pub(super) ours: HashSet<Oid>,
}

/// What may be done with a branch.
enum Turn {
    /// The commit is there already.
    Done,
    /// It may be written, from this state.
    Write(Option<Oid>),
    /// Somebody else's work is on it.
    Foreign,
}

impl Push<'_> {
    /// Puts the commit on `branch`; false where somebody else's work is on that.
    pub(super) async fn put_on(
        &self,
        branch: &Branch<'_>,
        pause: impl FnMut(&PushError, Duration),
    ) -> Result<bool, DeliveryError> {
        let memory = Memory::new(self.repository, &self.target.url, branch.name);
        let mut ours = memory.commits().await?;
        ours.extend(branch.ours.iter().cloned());
        memory.intend(self.commit).await?;
        let is_put = patiently(|| self.attempt(branch.name, &ours), pause).await?;
        match is_put {
            true => memory.confirm(self.commit).await?,
            false => memory.forget_intention().await?,
        }
        Ok(is_put)
    }

    /// Each attempt looks anew: a push whose answer was lost may have arrived.
    async fn attempt(&self, branch: &str, ours: &HashSet<Oid>) -> Result<bool, PushError> {
        let tip = git::pushed_tip(self.quarantine, self.target, branch).await?;
        match self.turn(tip, ours) {
            Turn::Done => Ok(true),
            Turn::Foreign => Ok(false),
            Turn::Write(expected) => {
                let expected = expected.as_ref();
                git::push(self.quarantine, self.target, self.commit, branch, expected).await?;
                Ok(true)
            }
        }
    }

    fn turn(&self, tip: Option<Oid>, ours: &HashSet<Oid>) -> Turn {
        match tip {
            Some(tip) if tip == *self.commit => Turn::Done,
            Some(tip) if !ours.contains(&tip) => Turn::Foreign,
            tip => Turn::Write(tip),
        }
    }
}

/// What the repository here remembers of a branch there. A push that was about to happen is remembered
/// before it does: the process may not come to do so afterwards.
struct Memory<'a> {
    repository: &'a Repository,
    last: String,
    next: String,
}

impl<'a> Memory<'a> {
    fn new(repository: &'a Repository, url: &str, branch: &str) -> Self {
        let pushed = git::refs::pushed(url, branch);
        Self { repository, last: format!("{pushed}/last"), next: format!("{pushed}/next") }
    }

    async fn commits(&self) -> Result<HashSet<Oid>, GitError> {
        let refs = self.repository.git().args(["for-each-ref", "--format=%(objectname)"]);
        let refs = refs.args([&self.last, &self.next]).text().await?;
        Ok(refs.lines().filter_map(|oid| oid.parse().ok()).collect())
    }

    async fn intend(&self, commit: &Oid) -> Result<(), GitError> {
        self.update(&format!("update {} {commit}\n", self.next)).await
    }

    async fn confirm(&self, commit: &Oid) -> Result<(), GitError> {
        self.update(&format!("update {} {commit}\ndelete {}\n", self.last, self.next)).await
    }

    async fn forget_intention(&self) -> Result<(), GitError> {
        self.update(&format!("delete {}\n", self.next)).await
    }

    async fn update(&self, lines: &str) -> Result<(), GitError> {
        self.repository.git().args(["update-ref", "--no-deref", "--stdin"]).input(lines).run().await
    }
}
