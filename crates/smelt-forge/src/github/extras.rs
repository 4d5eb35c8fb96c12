//! Labels, reviewers and assignees of GitHub's pull requests.

use super::GitHub;
use super::model::{Issue, Pull};
use crate::extras::{add, is_among, missing, team, warning};
use crate::said::said;
use serde::de::IgnoredAny;
use serde_json::json;
use smelt_core::port::{ForgeError, PullRequest, PullRequestExtras};

impl GitHub {
    pub(super) async fn add(
        &self,
        pull: &PullRequest,
        extras: &PullRequestExtras,
    ) -> Result<Vec<String>, ForgeError> {
        let what = self.remote.pull_named(pull.number);
        if *extras == PullRequestExtras::default() {
            return Ok(Vec::new());
        }
        let path = self.remote.path(&format!("/pulls/{}", pull.number));
        let there: Pull = self.remote.api.get(&path, (&format!("show {what}"), &what)).await?;
        let warnings = [
            self.add_labels(&there, pull, &extras.labels).await?,
            self.ask_reviewers(&there, pull, &extras.reviewers).await?,
            self.assign(&there, pull, &extras.assignees).await?,
        ];
        Ok(warnings.into_iter().flatten().collect())
    }

    /// GitHub makes the labels that the repository lacks.
    async fn add_labels(
        &self,
        there: &Pull,
        pull: &PullRequest,
        wanted: &[String],
    ) -> Result<Option<String>, ForgeError> {
        let labels = there.labels.as_deref().unwrap_or_default();
        let wanted =
            missing(wanted, |name| is_among(name, labels.iter().map(|label| label.name.as_str())));
        let path = self.remote.path(&format!("/issues/{}/labels", pull.number));
        let what = self.remote.pull_named(pull.number);
        let failed = add(&wanted, |labels| {
            let (path, what) = (&path, &what);
            async move {
                let sent = json!({ "labels": labels });
                self.remote.api.post::<IgnoredAny>(path, sent, ("add labels", what)).await.map(drop)
            }
        });
        Ok(failed.await?.map(|(names, why)| {
            let fix = format!("add them at {}", pull.url);
            warning("label", &names, &why.to_string(), &fix)
        }))
    }

    async fn ask_reviewers(
        &self,
        there: &Pull,
        pull: &PullRequest,
        wanted: &[String],
    ) -> Result<Option<String>, ForgeError> {
        let people = there.requested_reviewers.as_deref().unwrap_or_default();
        let teams = there.requested_teams.as_deref().unwrap_or_default();
        let wanted = missing(wanted, |name| match team(name) {
            Some(team) => is_among(team, teams.iter().map(|team| team.slug.as_str())),
            None => is_among(name, people.iter().map(|user| user.login.as_str())),
        });
        self.remote.ask_reviewers(pull, &wanted).await
    }

    /// GitHub leaves out, without a word, who can't be assigned.
    async fn assign(
        &self,
        there: &Pull,
        pull: &PullRequest,
        wanted: &[String],
    ) -> Result<Option<String>, ForgeError> {
        let people = there.assignees.as_deref().unwrap_or_default();
        let wanted =
            missing(wanted, |name| is_among(name, people.iter().map(|user| user.login.as_str())));
        if wanted.is_empty() {
            return Ok(None);
        }
        let path = self.remote.path(&format!("/issues/{}/assignees", pull.number));
        let what = self.remote.pull_named(pull.number);
        let sent = json!({ "assignees": wanted });
        let (ignored, why) =
            match self.remote.api.post::<Issue>(&path, sent, ("assign people", &what)).await {
                Ok(issue) => {
                    let people = issue.assignees.unwrap_or_default();
                    let is_there =
                        |name: &str| is_among(name, people.iter().map(|user| user.login.as_str()));
                    (missing(&wanted, is_there), format!("{} ignored them", self.remote.api.host()))
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => (wanted, error.to_string()),
            };
        let fix = "name people with access to the repository, ten at most";
        Ok((!ignored.is_empty()).then(|| warning("assignee", &ignored, &said(&why), fix)))
    }
}
