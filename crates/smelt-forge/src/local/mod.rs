//! Pull requests as files of this machine.
//!
//! One is merged once its last commit is part of its base branch in the repository; a squash or
//! rebase is not seen. `state = "closed"` in its `.toml` closes it, `"merged"` says that it was
//! merged in a way that is not seen.

mod folder;
mod record;

use crate::said::said;
use async_trait::async_trait;
use folder::Folder;
use record::Record;
use smelt_core::event::PullState;
use smelt_core::git::{GitError, Oid, Repository};
use smelt_core::manifest::ForgeProvider;
use smelt_core::port::{
    Checks, Forge, ForgeError, ForgeRepository, NewPullRequest, PullRequest, PullRequestExtras,
    PullRequestStatus, PushTarget, Reviews,
};
use std::path::Path;

/// What this forge is called in errors.
const NAME: &str = "the local forge";

/// Largest patch that is written, in bytes.
const PATCH_MAX: usize = 16 << 20;

/// A folder of pull requests, and the repository they are about.
pub(crate) struct Local {
    folder: Folder,
    repository: Repository,
    patch_max: usize,
}

impl Local {
    pub(crate) fn new(pulls: &Path, repository: &Repository) -> Self {
        let (folder, repository) = (Folder::new(pulls), repository.clone());
        Self { folder, repository, patch_max: PATCH_MAX }
    }

    /// Does `work` with the folder, away from the threads that others wait on.
    async fn files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        let folder = self.folder.clone();
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.unwrap_or_else(|error| Err(refused("use its files", error.to_string())))
    }

    /// The commits as a mailbox. Merges are not in it: git has no such form for them.
    async fn patch(&self, base: &Oid, head: &Oid) -> Result<Vec<u8>, ForgeError> {
        let range = format!("{base}..{head}");
        let format = ["format-patch", "--stdout", "--no-ext-diff", "--no-textconv", &range];
        match self.repository.git().args(format).output_max(self.patch_max).output().await {
            Ok(output) if output.status.success() => Ok(output.stdout),
            Ok(output) => {
                let what = "format-patch".to_owned();
                let (status, stderr) = (output.status, output.stderr);
                Err(GitError::Failed { what, status, stderr }.into())
            }
            Err(GitError::TooMuchOutput { .. }) => {
                let most = self.patch_max;
                Ok(format!(
                    "The changes are larger than {most} bytes. To see them:\n\n    \
                     git format-patch --stdout {range}\n"
                )
                .into_bytes())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn branch_tip(&self, branch: &str) -> Result<Option<String>, ForgeError> {
        let name = format!("refs/heads/{branch}^{{commit}}");
        let call = self.repository.git().args(["rev-parse", "--verify", "--quiet", &name]);
        match call.text_if_any().await {
            Err(GitError::Failed { .. }) => Ok(None),
            told => Ok(told?),
        }
    }

    async fn state(&self, record: &Record) -> Result<PullState, ForgeError> {
        if record.state != PullState::Open {
            return Ok(record.state);
        }
        let Some(tip) = self.branch_tip(&record.base).await? else {
            return Ok(PullState::Open);
        };
        let asked = ["merge-base", "--is-ancestor", record.head_commit.as_str(), &tip];
        match self.repository.git().args(asked).text_if_any().await {
            Ok(Some(_)) => Ok(PullState::Merged),
            // A commit that is not there (any more) was not merged.
            Ok(None) | Err(GitError::Failed { .. }) => Ok(PullState::Open),
            Err(error) => Err(error.into()),
        }
    }

    async fn pull(&self, record: Record) -> Result<PullRequest, ForgeError> {
        let (number, state) = (record.number, self.state(&record).await?);
        Ok(PullRequest {
            number,
            url: self.folder.text(number).display().to_string(),
            state,
            draft: record.draft,
            title: said(&record.title),
            body: self.files(move |folder| folder.body(number)).await?,
            head: record.head,
            head_commit: Some(record.head_commit.as_str().to_owned()),
            base: record.base,
            is_own: true,
        })
    }

    /// Writes `record` with the patch and the body that `request` brings.
    async fn write(
        &self,
        record: Record,
        request: &NewPullRequest,
    ) -> Result<PullRequest, ForgeError> {
        let patch = self.patch(&record.base_commit, &record.head_commit).await?;
        let (written, body) = (record.clone(), request.body.clone());
        self.files(move |folder| folder.write(&written, &body, &patch)).await?;
        self.pull(record).await
    }
}

#[async_trait]
impl Forge for Local {
    fn provider(&self) -> ForgeProvider {
        ForgeProvider::Local
    }

    fn push_target(&self) -> Option<PushTarget> {
        None
    }

    async fn repository(&self) -> Result<ForgeRepository, ForgeError> {
        let head = self.repository.git().args(["symbolic-ref", "--quiet", "--short", "HEAD"]);
        let mut default_branch = head.text_if_any().await?;
        for usual in ["main", "master"] {
            if default_branch.is_none() && self.has_branch(usual).await? {
                default_branch = Some(usual.to_owned());
            }
        }
        let full_name = self.repository.path().display().to_string();
        Ok(ForgeRepository { full_name, default_branch, may_push: Some(true), archived: false })
    }

    async fn has_branch(&self, branch: &str) -> Result<bool, ForgeError> {
        Ok(self.branch_tip(branch).await?.is_some())
    }

    async fn find_pull_requests(&self, head: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let mut found = Vec::new();
        for record in self.files(Folder::read_all).await? {
            if record.head == head {
                found.push(self.pull(record).await?);
            }
        }
        // The newest are first already.
        found.sort_by_key(|pull| pull.state != PullState::Open);
        Ok(found)
    }

    async fn open_pull_request(&self, request: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        let refuse = |why| refused("open a pull request", why);
        let mut record = Record::new(0, request).map_err(refuse)?;
        // Commits that are not there are told before a number is taken.
        self.patch(&record.base_commit, &record.head_commit).await?;
        record.number = self.files(Folder::claim).await?;
        self.write(record, request).await
    }

    async fn update_pull_request(
        &self,
        pull: &PullRequest,
        request: &NewPullRequest,
    ) -> Result<PullRequest, ForgeError> {
        let number = pull.number;
        let record = self.files(move |folder| folder.read(number)).await?;
        let refuse = |why| refused("change a pull request", why);
        self.write(record.changed(request).map_err(refuse)?, request).await
    }

    async fn add_to_pull_request(
        &self,
        pull: &PullRequest,
        extras: &PullRequestExtras,
    ) -> Result<Vec<String>, ForgeError> {
        let (number, extras) = (pull.number, extras.clone());
        let add = move |folder: &Folder| {
            let mut record = folder.read(number)?;
            if record.add(&extras) { folder.write_record(&record) } else { Ok(()) }
        };
        self.files(add).await?;
        Ok(Vec::new())
    }

    async fn status(&self, number: u64) -> Result<PullRequestStatus, ForgeError> {
        let record = self.files(move |folder| folder.read(number)).await?;
        let pull = self.pull(record).await?;
        let (ci, reviews) = (Checks::default(), Reviews::default());
        Ok(PullRequestStatus { pull, ci, reviews, comments: 0 })
    }
}

fn refused(action: &str, message: String) -> ForgeError {
    ForgeError::Refused { forge: NAME.into(), action: action.into(), message }
}

#[cfg(test)]
mod tests;
