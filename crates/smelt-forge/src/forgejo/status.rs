//! What Forgejo and Gitea know of a pull request.

use super::Forgejo;
use super::model::{Combined, Pull, Review, Status};
use crate::api::encode;
use crate::checks::count;
use crate::reviews::fold;
use smelt_core::port::{Checks, ForgeError, PullRequestStatus};

impl Forgejo {
    pub(super) async fn read_status(&self, number: u64) -> Result<PullRequestStatus, ForgeError> {
        let what = self.remote.pull_named(number);
        let path = self.remote.path(&format!("/pulls/{number}"));
        let pull: Pull = self.remote.api.poll(&path, (&format!("show {what}"), &what)).await?;
        let reviews_path = self.remote.path(&format!("/pulls/{number}/reviews?limit=50"));
        let (ci, reviews) = tokio::try_join!(
            self.checks(pull.head.sha.as_deref()),
            self.remote.list::<Vec<Review>>((&reviews_path, None), ("show reviews", &what)),
        )?;
        let comments = pull.comments.unwrap_or(0) + pull.review_comments.unwrap_or(0);
        let reviews = fold(reviews.into_iter().map(Review::decision));
        Ok(PullRequestStatus { pull: pull.into(), ci, reviews, comments })
    }

    async fn checks(&self, commit: Option<&str>) -> Result<Checks, ForgeError> {
        let Some(commit) = commit.filter(|commit| !commit.is_empty()).map(encode) else {
            return Ok(Checks::default());
        };
        let path = self.remote.path(&format!("/commits/{commit}/status?limit=50"));
        let what = format!("commit `{commit}`");
        match self
            .remote
            .list::<Option<Combined>>((&path, None), ("show commit statuses", &what))
            .await
        {
            Ok(statuses) => {
                let mut last: Vec<_> = statuses.into_iter().map(Status::verdict).collect();
                // One of each context: what comes meanwhile can be on two pages.
                last.sort_by(|(one, _), (other, _)| one.cmp(other));
                last.dedup_by(|(one, _), (other, _)| one == other);
                Ok(count(last))
            }
            // Whose token may not see them, or a branch that is gone with its commits.
            Err(error @ (ForgeError::Forbidden { .. } | ForgeError::NotFound { .. })) => {
                tracing::debug!(%error, "left out");
                Ok(Checks { hidden: true, ..Checks::default() })
            }
            Err(error) => Err(error),
        }
    }
}
