//! Labels, reviewers and assignees of Forgejo's and Gitea's pull requests.

use super::Forgejo;
use super::model::{Label, Pull};
use crate::api::Pages;
use crate::extras::{add, is_among, missing, team, warning};
use crate::said::said;
use serde::de::IgnoredAny;
use serde_json::json;
use smelt_core::port::{ForgeError, PullRequest, PullRequestExtras};

/// Colour of labels that are made.
const COLOUR: &str = "#ededed";

/// How many pages of a repository's labels are looked through, 50 on each.
const LABEL_PAGES: u32 = 20;

impl Forgejo {
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
        let mut warnings = self.add_labels(&there, pull, &extras.labels).await?;
        warnings.extend(self.ask_reviewers(&there, pull, &extras.reviewers).await?);
        warnings.extend(self.assign(&there, pull, &extras.assignees).await?);
        Ok(warnings)
    }

    /// Labels are added by their id; those that the repository lacks are made.
    async fn add_labels(
        &self,
        there: &Pull,
        pull: &PullRequest,
        wanted: &[String],
    ) -> Result<Vec<String>, ForgeError> {
        let labels = there.labels.as_deref().unwrap_or_default();
        let wanted =
            missing(wanted, |name| is_among(name, labels.iter().map(|label| label.name.as_str())));
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let fix = format!("add them at {}", pull.url);
        let warn =
            |names: &[String], why: &ForgeError| warning("label", names, &why.to_string(), &fix);
        let known = match self.labels().await {
            Ok(known) => known,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => return Ok(vec![warn(&wanted, &error)]),
        };
        let (mut ids, mut warnings) = (Vec::new(), Vec::new());
        for name in &wanted {
            match known.iter().find(|label| label.name.eq_ignore_ascii_case(name)) {
                Some(label) => ids.push(label.id),
                None => match self.make_label(name).await {
                    Ok(label) => ids.push(label.id),
                    Err(error) if error.is_transient() => return Err(error),
                    Err(error) => warnings.push(warn(std::slice::from_ref(name), &error)),
                },
            }
        }
        if ids.is_empty() {
            return Ok(warnings);
        }
        let path = self.remote.path(&format!("/issues/{}/labels", pull.number));
        let for_ = ("add labels", &*self.remote.pull_named(pull.number));
        match self.remote.api.post::<IgnoredAny>(&path, json!({ "labels": ids }), for_).await {
            Ok(_) => Ok(warnings),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => Ok(vec![warn(&wanted, &error)]),
        }
    }

    async fn labels(&self) -> Result<Vec<Label>, ForgeError> {
        let path = self.remote.path("/labels?limit=50");
        let pages = Pages { path: &path, conditional: false, size: None, most: LABEL_PAGES };
        self.remote.api.pages::<Vec<Label>>(pages, ("list labels", &self.remote.named())).await
    }

    async fn make_label(&self, name: &str) -> Result<Label, ForgeError> {
        let sent = json!({ "name": name, "color": COLOUR });
        self.remote
            .api
            .post(&self.remote.path("/labels"), sent, ("make a label", &self.remote.named()))
            .await
    }

    async fn ask_reviewers(
        &self,
        there: &Pull,
        pull: &PullRequest,
        wanted: &[String],
    ) -> Result<Option<String>, ForgeError> {
        let people = there.requested_reviewers.as_deref().unwrap_or_default();
        let teams = there.requested_reviewers_teams.as_deref().unwrap_or_default();
        let wanted = missing(wanted, |name| match team(name) {
            Some(team) => is_among(team, teams.iter().map(|team| team.name.as_str())),
            None => is_among(name, people.iter().map(|user| user.login.as_str())),
        });
        self.remote.ask_reviewers(pull, &wanted).await
    }

    /// The list of assignees is replaced as a whole, so those who are there are sent too.
    async fn assign(
        &self,
        there: &Pull,
        pull: &PullRequest,
        wanted: &[String],
    ) -> Result<Option<String>, ForgeError> {
        let logins = |pull: &Pull| -> Vec<String> {
            let people = pull.assignees.as_deref().unwrap_or_default();
            people.iter().map(|user| user.login.clone()).collect()
        };
        let before = logins(there);
        let wanted = missing(wanted, |name| is_among(name, before.iter().map(String::as_str)));
        let assigned = std::sync::Mutex::new(before);
        let path = self.remote.path(&format!("/pulls/{}", pull.number));
        let what = self.remote.pull_named(pull.number);
        let failed = add(&wanted, |names| {
            let (path, what, assigned) = (&path, &what, &assigned);
            async move {
                let so_far = assigned.lock().map(|names| names.clone()).unwrap_or_default();
                let everyone = [so_far, names].concat();
                let sent = json!({ "assignees": everyone });
                let changed: Pull =
                    self.remote.api.patch(path, sent, ("assign people", what)).await?;
                if let Ok(mut assigned) = assigned.lock() {
                    *assigned = logins(&changed);
                }
                Ok(())
            }
        });
        let fix = "name people with access to the repository";
        if let Some((names, why)) = failed.await? {
            return Ok(Some(warning("assignee", &names, &said(&why.to_string()), fix)));
        }
        let assigned = assigned.into_inner().unwrap_or_default();
        let ignored = missing(&wanted, |name| is_among(name, assigned.iter().map(String::as_str)));
        let why = format!("{} ignored them", self.remote.api.host());
        Ok((!ignored.is_empty()).then(|| warning("assignee", &ignored, &why, fix)))
    }
}
