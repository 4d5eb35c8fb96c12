use crate::event::PullState;
use crate::git::Repository;
use crate::manifest::{ForgeProvider, ForgeTarget};
use crate::secret::Secret;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Makes a [`Forge`] out of what a manifest says of one. No request is sent.
pub trait ForgeConnector: Send + Sync {
    /// The forge at `place`.
    ///
    /// # Errors
    /// Where no client can be made for it.
    fn connect(&self, place: &ForgePlace<'_>) -> Result<Box<dyn Forge>, ForgeError>;
}

/// Where a forge is, and who asks it.
#[derive(Clone, Copy, Debug)]
pub struct ForgePlace<'a> {
    /// The forge and the repository there.
    pub target: &'a ForgeTarget,
    /// What proves who asks; none with [`ForgeTarget::Local`].
    pub token: Option<&'a Secret>,
    /// The repository that the work came from; only [`ForgeTarget::Local`] needs it.
    pub repository: Option<&'a Repository>,
    /// Folder of the pull requests of [`ForgeTarget::Local`].
    pub pulls: &'a Path,
}

/// A repository's pull requests.
///
/// Each call is one attempt: whoever calls decides whether to try again, by
/// [`ForgeError::is_transient`], and looks before it opens.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Which kind it is.
    fn provider(&self) -> ForgeProvider;

    /// Where branches are pushed to before a pull request is opened; `None` where the branch in the
    /// user's own repository is the one.
    fn push_target(&self) -> Option<PushTarget>;

    /// The repository there, and what the token may do.
    async fn repository(&self) -> Result<ForgeRepository, ForgeError>;

    /// Whether the repository there has a branch called `branch`.
    async fn has_branch(&self, branch: &str) -> Result<bool, ForgeError>;

    /// The pull requests whose head is the branch `head` of this same repository, those that are
    /// open first, and the newest of each first. Of those that have ended not all need be found.
    async fn find_pull_requests(&self, head: &str) -> Result<Vec<PullRequest>, ForgeError>;

    /// Opens a pull request. After a transient error it may have been opened: look before the next
    /// attempt.
    async fn open_pull_request(&self, request: &NewPullRequest) -> Result<PullRequest, ForgeError>;

    /// Gives an open pull request another title, body and base.
    async fn update_pull_request(
        &self,
        pull: &PullRequest,
        request: &NewPullRequest,
    ) -> Result<PullRequest, ForgeError>;

    /// Adds labels, reviewers and assignees; those that are there already stay. What could not be
    /// added is told, one line each.
    async fn add_to_pull_request(
        &self,
        pull: &PullRequest,
        extras: &PullRequestExtras,
    ) -> Result<Vec<String>, ForgeError>;

    /// Everything about a pull request that `smelt status` shows.
    async fn status(&self, number: u64) -> Result<PullRequestStatus, ForgeError>;
}

/// Where a branch is pushed to.
#[derive(Clone, Debug)]
pub struct PushTarget {
    /// An `https://` URL, or `http://` on loopback, that holds no user and no password.
    pub url: String,
    /// What proves who pushes.
    pub token: Secret,
}

/// A repository as its forge describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgeRepository {
    /// `owner/name`, as the forge spells it.
    pub full_name: String,
    /// Its default branch; `None` where there is none.
    pub default_branch: Option<String>,
    /// Whether the token may push there; `None` where the forge does not tell.
    pub may_push: Option<bool>,
    /// Whether nobody may.
    pub archived: bool,
}

/// A pull request to be opened, or as it is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPullRequest {
    /// The branch with the work.
    pub head: String,
    /// The work's last commit, in full.
    pub head_commit: String,
    /// The branch it is meant for.
    pub base: String,
    /// The commit that the work is built on, in full.
    pub base_commit: String,
    /// Title: one line.
    pub title: String,
    /// Body, in Markdown.
    pub body: String,
    /// Whether it is not to be merged yet.
    pub draft: bool,
}

/// What a pull request is to have besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequestExtras {
    /// Labels, by name.
    pub labels: Vec<String>,
    /// Reviewers to ask: login names, or `org/team`.
    pub reviewers: Vec<String>,
    /// People to assign, by login name.
    pub assignees: Vec<String>,
}

/// A pull request as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// Where people read it: a URL, or the path of a file.
    pub url: String,
    /// Whether it is open.
    pub state: PullState,
    /// Whether it is not to be merged yet.
    pub draft: bool,
    /// Its title, without what marks a draft.
    pub title: String,
    /// Its body; empty where there is none.
    pub body: String,
    /// The branch with the work.
    pub head: String,
    /// The last commit of that branch, as far as the forge tells.
    pub head_commit: Option<String>,
    /// The branch it is meant for.
    pub base: String,
    /// Whether the token's own user opened it. False where that can't be told: what its body says of
    /// Smelt is not believed then.
    pub is_own: bool,
}

/// What `smelt status` shows of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequestStatus {
    /// The pull request.
    pub pull: PullRequest,
    /// What build servers say of its last commit.
    pub ci: Checks,
    /// What reviewers say.
    pub reviews: Reviews,
    /// Comments, those on lines included.
    pub comments: u64,
}

/// Check runs and commit statuses together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checks {
    /// How many passed, or did not have to run.
    pub passing: u64,
    /// How many failed.
    pub failing: u64,
    /// How many have not ended.
    pub pending: u64,
    /// Names of those that failed, the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// Whether there may be more, which the token may not see.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// All checks in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckSummary {
    /// There are none.
    None,
    /// None failed, and some have not ended.
    Pending,
    /// All passed.
    Passing,
    /// At least one failed.
    Failing,
}

impl Checks {
    /// All of them in one word.
    pub fn summary(&self) -> CheckSummary {
        match (self.failing, self.pending, self.passing) {
            (1.., _, _) => CheckSummary::Failing,
            (0, 1.., _) => CheckSummary::Pending,
            (0, 0, 1..) => CheckSummary::Passing,
            (0, 0, 0) => CheckSummary::None,
        }
    }
}

impl CheckSummary {
    /// The word for it in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Passing => "passing",
            Self::Failing => "failing",
        }
    }
}

/// What reviewers say, each by their last review that says anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reviews {
    /// Who approved, by login name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
    /// Who asked for changes, by login name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes_requested: Vec<String>,
}

/// All reviews in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewSummary {
    /// Nobody has decided.
    None,
    /// Approved, and nobody asks for changes.
    Approved,
    /// Somebody asks for changes.
    ChangesRequested,
}

impl Reviews {
    /// All of them in one word.
    pub fn summary(&self) -> ReviewSummary {
        match (self.changes_requested.is_empty(), self.approved.is_empty()) {
            (false, _) => ReviewSummary::ChangesRequested,
            (true, false) => ReviewSummary::Approved,
            (true, true) => ReviewSummary::None,
        }
    }
}

impl ReviewSummary {
    /// The word for it in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Approved => "approved",
            Self::ChangesRequested => "changes_requested",
        }
    }
}

/// Why a forge did not do what it was asked. What a forge said is free of control characters and
/// short.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// It does not know the token (any more).
    #[error("{forge} refuses the token{}", said(.message))]
    Unauthorized {
        /// The forge's host.
        forge: String,
        /// What it said.
        message: String,
    },
    /// The token is good, and not for this.
    #[error("{forge} does not allow the token to {action}{}", said(.message))]
    Forbidden {
        /// The forge's host.
        forge: String,
        /// What it was asked to do.
        action: String,
        /// What it said.
        message: String,
    },
    /// It is not there, or the token may not see it.
    #[error("{forge} knows no {what}, or does not show it to this token")]
    NotFound {
        /// The forge's host.
        forge: String,
        /// What was asked for.
        what: String,
    },
    /// It is somewhere else by now.
    #[error("{forge} says that {what} has moved")]
    Moved {
        /// The forge's host.
        forge: String,
        /// What was asked for.
        what: String,
    },
    /// It will not do this, however often it is asked.
    #[error("{forge} refused to {action}{}", said(.message))]
    Refused {
        /// The forge's host.
        forge: String,
        /// What it was asked to do.
        action: String,
        /// What it said.
        message: String,
    },
    /// Too much was asked of it.
    #[error("{forge} asks to be left alone for a while{}", said(.message))]
    RateLimited {
        /// The forge's host.
        forge: String,
        /// How long.
        retry_after: Option<Duration>,
        /// What it said.
        message: String,
    },
    /// It can't be reached, or is broken. Whether it did what it was asked is not known.
    #[error("{forge} could not {action}{}", said(.message))]
    Unavailable {
        /// The forge's host.
        forge: String,
        /// What it was asked to do.
        action: String,
        /// What it said, or why there is no answer.
        message: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Its answer makes no sense.
    #[error("{forge} answered something unexpected when asked to {action}{}", said(.message))]
    Unexpected {
        /// The forge's host.
        forge: String,
        /// What it was asked to do.
        action: String,
        /// What is wrong with the answer.
        message: String,
    },
    /// It can't do that.
    #[error("{forge} can't {action}")]
    Unsupported {
        /// The forge's host, or kind.
        forge: String,
        /// What it was asked to do.
        action: String,
    },
    /// A file of the local forge can't be read or written.
    #[error("`{}` can't be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// git failed.
    #[error(transparent)]
    Git(#[from] crate::git::GitError),
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl ForgeError {
    /// Whether the same might work later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. })
    }

    /// When the forge wants to be asked again, where it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}
