//! Why a result was not delivered, and what to do about it.

use super::template::TemplateError;
use crate::git::{GitError, PushError};
use crate::outcome::{Failure, FailureKind};
use crate::port::ForgeError;
use std::time::Duration;

/// Why a result was not delivered. It is still where it was.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The forge did not do what it was asked.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The branch could not be pushed.
    #[error(transparent)]
    Push(#[from] PushError),
    /// git failed here.
    #[error("what the result changes can't be told")]
    Git(#[from] GitError),
    /// The result branch is one that Smelt never moves.
    #[error("`{branch}` is {what} of {repo}, which Smelt never moves")]
    Protected {
        /// The branch.
        branch: String,
        /// What it is there.
        what: &'static str,
        /// The repository.
        repo: String,
    },
    /// Nobody has said which branch the pull request is for.
    #[error("{repo} has no default branch that the pull request could go to")]
    NoDefault {
        /// The repository.
        repo: String,
    },
    /// The branch that the pull request is for is not there.
    #[error("{repo} has no branch `{base}` that the pull request could go to")]
    NoBase {
        /// The repository.
        repo: String,
        /// The branch.
        base: String,
    },
    /// Nobody may push there.
    #[error("{repo} is archived: nothing can be pushed to it")]
    Archived {
        /// The repository.
        repo: String,
    },
    /// The token may not push there.
    #[error("the token may not push to {repo}")]
    ReadOnly {
        /// The repository.
        repo: String,
    },
    /// Both the result branch and the one instead of it hold commits of others.
    #[error("`{branch}` and `{instead}` both hold commits that Smelt did not put there")]
    Taken {
        /// The result branch.
        branch: String,
        /// The other one.
        instead: String,
    },
    /// The title or the body can't be made.
    #[error("the template of the pull request's {what} can't be used")]
    Template {
        /// `title` or `body`.
        what: &'static str,
        /// Why.
        source: TemplateError,
    },
}

impl DeliveryError {
    /// What would help.
    pub fn hint(&self) -> String {
        match self {
            Self::Forge(error) => of_forge(error),
            Self::Push(error) => error.hint().into(),
            Self::Git(_) => "check the repository: git fsck".into(),
            Self::Protected { .. } => "name another branch in `[merge] target`".into(),
            Self::NoDefault { .. } => "name it in `[forge] base`".into(),
            Self::NoBase { base, .. } => {
                format!("push `{base}` there, or name another branch in `[forge] base`")
            }
            Self::Archived { .. } => "unarchive it, or name another one in `[forge] repo`".into(),
            Self::ReadOnly { .. } => PushError::Forbidden { url: String::new() }.hint().into(),
            Self::Taken { .. } => "name another branch in `[merge] target`".into(),
            Self::Template { what, .. } => format!("mend `{what}` in `[forge]`"),
        }
    }

    /// As whoever runs the job is told of it; `again` delivers the result later.
    pub(crate) fn failure(&self, again: &str) -> Failure {
        let failure = Failure::from_error(FailureKind::Unavailable, self);
        failure.hint(format!("{}; the work is kept, `{again}` delivers it", self.hint()))
    }
}

fn of_forge(error: &ForgeError) -> String {
    match error {
        ForgeError::Unauthorized { .. } => {
            PushError::Unauthorized { url: String::new() }.hint().into()
        }
        ForgeError::Forbidden { .. } => PushError::Forbidden { url: String::new() }.hint().into(),
        ForgeError::NotFound { .. } => PushError::NotFound { url: String::new() }.hint().into(),
        ForgeError::Moved { .. } => "name its new place in `[forge] repo`".into(),
        ForgeError::Refused { message, .. } if message.contains("No commits between") => {
            "the base has this work already: there is nothing to be reviewed".into()
        }
        ForgeError::Refused { .. } => {
            "mend what it says, in `[forge]` or in the forge's settings".into()
        }
        ForgeError::RateLimited { retry_after: Some(wait), .. }
            if *wait > Duration::from_secs(60) =>
        {
            format!("it wants to be asked again in {} min", wait.as_secs().div_ceil(60))
        }
        ForgeError::RateLimited { .. } => "try again later".into(),
        ForgeError::Unavailable { .. } => {
            "check `api_url` in `[forge]`, the network, and that the forge is up".into()
        }
        ForgeError::Unexpected { .. } => {
            "check that `api_url` in `[forge]` is the forge's API: `https://HOST/api/v3` (GitHub \
             Enterprise Server) or `https://HOST/api/v1` (Forgejo, Gitea)"
                .into()
        }
        ForgeError::Unsupported { .. } => {
            "check `[forge]`, and that the token is the token alone".into()
        }
        ForgeError::Io { .. } => "check the folder's permissions, and the disk".into(),
        ForgeError::Git(_) => "check the repository: git fsck".into(),
    }
}
