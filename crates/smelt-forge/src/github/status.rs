//! What GitHub knows of a pull request.

use super::GitHub;
use super::model::{CheckRun, CheckRuns, Combined, Pull, Review, Status};
use crate::api::encode;
use crate::checks::count;
use crate::reviews::fold;
use smelt_core::port::{Checks, ForgeError, PullRequestStatus};

impl GitHub {
    pub(super) async fn read_status(&self, number: u64) -> Result<PullRequestStatus, ForgeError> {
        let what = self.remote.pull_named(number);
        let path = self.remote.path(&format!("/pulls/{number}"));
        let pull: Pull = self.remote.api.poll(&path, (&format!("show {what}"), &what)).await?;
        let reviews_path = self.remote.path(&format!("/pulls/{number}/reviews?per_page=100"));
        let (ci, reviews) = tokio::try_join!(
            self.checks(&pull.head.sha),
            self.remote.list::<Vec<Review>>((&reviews_path, Some(100)), ("show reviews", &what)),
        )?;
        let comments = pull.comments.unwrap_or(0) + pull.review_comments.unwrap_or(0);
        let reviews = fold(reviews.into_iter().map(Review::decision));
        Ok(PullRequestStatus { pull: pull.into(), ci, reviews, comments })
    }

    /// Check runs and commit statuses; of either kind those that the token may see.
    async fn checks(&self, commit: &str) -> Result<Checks, ForgeError> {
        let commit = encode(commit);
        let runs =
            self.remote.path(&format!("/commits/{commit}/check-runs?filter=latest&per_page=100"));
        let statuses = self.remote.path(&format!("/commits/{commit}/status?per_page=100"));
        let what = format!("commit `{commit}`");
        let (runs, statuses) = tokio::join!(
            self.remote.list::<CheckRuns>((&runs, Some(100)), ("show check runs", &what)),
            self.remote.list::<Combined>((&statuses, Some(100)), ("show commit statuses", &what)),
        );
        let (runs, statuses) = (visible(runs)?, visible(statuses)?);
        let hidden = runs.is_none() || statuses.is_none();
        let runs = runs.into_iter().flatten().map(CheckRun::verdict);
        let statuses = statuses.into_iter().flatten().map(Status::verdict);
        Ok(Checks { hidden, ..count(runs.chain(statuses)) })
    }
}

/// Many tokens may see only one of the two kinds: `None` where this is not one of them.
fn visible<T>(list: Result<Vec<T>, ForgeError>) -> Result<Option<Vec<T>>, ForgeError> {
    match list {
        Err(error @ (ForgeError::Forbidden { .. } | ForgeError::NotFound { .. })) => {
            tracing::debug!(%error, "left out");
            Ok(None)
        }
        list => list.map(Some),
    }
}
