//! What Forgejo and Gitea answer, as far as it matters here. Their lists can be `null`.

use super::title::unmarked;
use crate::api::Page;
use crate::checks::Verdict;
use crate::remote::User;
use crate::reviews::Decision;
use crate::said::said;
use serde::Deserialize;
use smelt_core::event::PullState;
use smelt_core::port::PullRequest;

#[derive(Deserialize)]
pub(super) struct Pull {
    pub number: u64,
    html_url: String,
    state: String,
    #[serde(default)]
    draft: bool,
    title: String,
    body: Option<String>,
    #[serde(default)]
    merged: bool,
    user: Option<User>,
    pub head: Side,
    base: Side,
    pub labels: Option<Vec<Label>>,
    pub assignees: Option<Vec<User>>,
    pub requested_reviewers: Option<Vec<User>>,
    pub requested_reviewers_teams: Option<Vec<Team>>,
    pub comments: Option<u64>,
    pub review_comments: Option<u64>,
}

/// The head or the base of a pull request.
#[derive(Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    name: String,
    label: Option<String>,
    pub sha: Option<String>,
    repo_id: Option<i64>,
}

impl Side {
    /// The branch. Once it is deleted only the label has its name.
    fn branch(&self) -> &str {
        match &self.label {
            Some(label) if self.name.starts_with("refs/pull/") => label,
            _ => &self.name,
        }
    }
}

impl Pull {
    /// Whether its head is the branch `head` of the repository that it is meant for.
    pub(super) fn is_from(&self, head: &str) -> bool {
        let same = self.head.repo_id.is_some() && self.head.repo_id == self.base.repo_id;
        same && self.head.branch() == head
    }

    /// Whether `login` opened it.
    pub(super) fn is_by(&self, login: &str) -> bool {
        self.user.as_ref().is_some_and(|user| user.login.eq_ignore_ascii_case(login))
    }
}

#[derive(Deserialize)]
pub(super) struct Label {
    pub id: i64,
    pub name: String,
}

#[derive(Deserialize)]
pub(super) struct Team {
    pub name: String,
}

impl From<Pull> for PullRequest {
    fn from(pull: Pull) -> Self {
        let state = match (pull.merged, pull.state.as_str()) {
            (true, _) => PullState::Merged,
            (false, "open") => PullState::Open,
            (false, _) => PullState::Closed,
        };
        let (title, is_marked) = unmarked(&pull.title);
        Self {
            number: pull.number,
            url: said(&pull.html_url),
            state,
            draft: pull.draft || is_marked,
            title: said(title),
            head: said(pull.head.branch()),
            head_commit: pull.head.sha.as_deref().map(said).filter(|sha| !sha.is_empty()),
            base: said(pull.base.branch()),
            body: pull.body.unwrap_or_default(),
            is_own: false,
        }
    }
}

/// The last status of each context of a commit.
#[derive(Deserialize)]
pub(super) struct Combined {
    statuses: Option<Vec<Status>>,
}

#[derive(Deserialize)]
pub(super) struct Status {
    status: String,
    context: Option<String>,
}

impl Page for Combined {
    type Entry = Status;
    fn entries(self) -> Vec<Status> {
        self.statuses.unwrap_or_default()
    }
}

impl Status {
    pub(super) fn verdict(self) -> (String, Verdict) {
        let verdict = match self.status.as_str() {
            // What warns does not keep from merging.
            "success" | "warning" => Verdict::Pass,
            "failure" | "error" => Verdict::Fail,
            _ => Verdict::Pending,
        };
        (self.context.unwrap_or_default(), verdict)
    }
}

#[derive(Deserialize)]
pub(super) struct Review {
    user: Option<User>,
    state: String,
    #[serde(default)]
    dismissed: bool,
}

impl Review {
    /// Whose it is and what it decides. An approval of earlier commits counts, as it does there.
    pub(super) fn decision(self) -> (String, Option<Decision>) {
        let login = self.user.map_or_else(|| "ghost".to_owned(), |user| user.login);
        let decision = match (self.state.as_str(), self.dismissed) {
            (_, true) => None,
            ("APPROVED", _) => Some(Decision::Approve),
            ("REQUEST_CHANGES", _) => Some(Decision::RequestChanges),
            _ => None,
        };
        (login, decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reviews::fold;
    use serde_json::{Value, json};

    fn pull(head: Value) -> Pull {
        let base = json!({ "ref": "main", "label": "main", "sha": "b", "repo_id": 1 });
        serde_json::from_value(json!({
            "number": 3, "html_url": "https://x/3", "state": "open", "title": "wip: T",
            "body": "B", "merged": false, "head": head, "base": base, "labels": null,
        }))
        .unwrap()
    }

    #[test]
    fn only_a_branch_of_the_same_repository_is_the_head() {
        for (name, label, repo, is_from) in [
            ("feat/x", "feat/x", 1, true),
            ("feat/x", "feat/x", 2, false),
            ("feat/y", "feat/y", 1, false),
            ("refs/pull/3/head", "feat/x", 1, true),
        ] {
            let head = json!({ "ref": name, "label": label, "sha": "a", "repo_id": repo });
            assert_eq!(pull(head).is_from("feat/x"), is_from, "{name}");
        }
        assert!(!pull(json!({ "ref": "feat/x" })).is_from("feat/x"));
    }

    #[test]
    fn a_draft_is_known_by_its_title() {
        let read = PullRequest::from(pull(json!({ "ref": "x", "sha": "", "repo_id": 1 })));
        assert_eq!((read.title.as_str(), read.draft, read.head_commit), ("T", true, None));
    }

    #[test]
    fn statuses_and_reviews_are_read() {
        for (word, verdict) in [
            ("success", Verdict::Pass),
            ("warning", Verdict::Pass),
            ("failure", Verdict::Fail),
            ("error", Verdict::Fail),
            ("pending", Verdict::Pending),
            ("new word", Verdict::Pending),
        ] {
            let status = Status { status: word.into(), context: None };
            assert_eq!(status.verdict().1, verdict, "{word}");
        }
        let review = |login: &str, state: &str, dismissed| Review {
            user: Some(User { login: login.into(), kind: None }),
            state: state.into(),
            dismissed,
        };
        let reviews = [
            review("ann", "APPROVED", false),
            review("bob", "REQUEST_CHANGES", true),
            review("ann", "COMMENT", false),
            review("cleo", "REQUEST_CHANGES", false),
            review("dan", "REQUEST_REVIEW", false),
        ];
        let folded = fold(reviews.map(Review::decision));
        assert_eq!(
            (folded.approved, folded.changes_requested),
            (vec!["ann".into()], vec!["cleo".into()])
        );
    }
}
