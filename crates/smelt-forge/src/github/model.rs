//! What GitHub answers, as far as it matters here.

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
    number: u64,
    html_url: String,
    state: String,
    #[serde(default)]
    draft: bool,
    title: String,
    body: Option<String>,
    merged_at: Option<String>,
    pub user: Option<User>,
    pub head: Side,
    base: Side,
    pub labels: Option<Vec<Label>>,
    pub assignees: Option<Vec<User>>,
    pub requested_reviewers: Option<Vec<User>>,
    pub requested_teams: Option<Vec<Team>>,
    pub comments: Option<u64>,
    pub review_comments: Option<u64>,
}

/// The head or the base of a pull request.
#[derive(Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub branch: String,
    pub sha: String,
    /// `None` where the fork is gone.
    pub repo: Option<Name>,
}

#[derive(Deserialize)]
pub(super) struct Name {
    pub full_name: String,
}

#[derive(Deserialize)]
pub(super) struct Label {
    pub name: String,
}

#[derive(Deserialize)]
pub(super) struct Team {
    pub slug: String,
}

/// What adding assignees answers.
#[derive(Deserialize)]
pub(super) struct Issue {
    pub assignees: Option<Vec<User>>,
}

impl From<Pull> for PullRequest {
    fn from(pull: Pull) -> Self {
        let state = match (pull.merged_at, pull.state.as_str()) {
            (Some(_), _) => PullState::Merged,
            (None, "open") => PullState::Open,
            (None, _) => PullState::Closed,
        };
        Self {
            number: pull.number,
            url: said(&pull.html_url),
            state,
            draft: pull.draft,
            title: said(&pull.title),
            body: pull.body.unwrap_or_default(),
            head: said(&pull.head.branch),
            head_commit: Some(said(&pull.head.sha)),
            base: said(&pull.base.branch),
            is_own: false,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
pub(super) struct CheckRun {
    name: String,
    status: String,
    conclusion: Option<String>,
}

impl Page for CheckRuns {
    type Entry = CheckRun;
    fn entries(self) -> Vec<CheckRun> {
        self.check_runs
    }
}

impl CheckRun {
    pub(super) fn verdict(self) -> (String, Verdict) {
        let verdict = match (self.status.as_str(), self.conclusion.as_deref()) {
            ("completed", Some("success" | "neutral" | "skipped")) => Verdict::Pass,
            (
                "completed",
                Some(
                    "failure" | "timed_out" | "cancelled" | "action_required" | "startup_failure"
                    | "stale",
                ),
            ) => Verdict::Fail,
            _ => Verdict::Pending,
        };
        (self.name, verdict)
    }
}

/// The statuses of a commit; their combined state says "pending" where there are none.
#[derive(Deserialize)]
pub(super) struct Combined {
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
pub(super) struct Status {
    state: String,
    context: String,
}

impl Page for Combined {
    type Entry = Status;
    fn entries(self) -> Vec<Status> {
        self.statuses
    }
}

impl Status {
    pub(super) fn verdict(self) -> (String, Verdict) {
        let verdict = match self.state.as_str() {
            "success" => Verdict::Pass,
            "failure" | "error" => Verdict::Fail,
            _ => Verdict::Pending,
        };
        (self.context, verdict)
    }
}

#[derive(Deserialize)]
pub(super) struct Review {
    user: Option<User>,
    state: String,
}

impl Review {
    /// Whose it is and what it decides; an account that is gone is `ghost`.
    pub(super) fn decision(self) -> (String, Option<Decision>) {
        let login = self.user.map_or_else(|| "ghost".to_owned(), |user| user.login);
        let decision = match self.state.as_str() {
            "APPROVED" => Some(Decision::Approve),
            "CHANGES_REQUESTED" => Some(Decision::RequestChanges),
            "DISMISSED" => Some(Decision::Withdrawn),
            _ => None,
        };
        (login, decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_runs_pass_fail_or_wait() {
        for (status, conclusion, verdict) in [
            ("completed", Some("success"), Verdict::Pass),
            ("completed", Some("neutral"), Verdict::Pass),
            ("completed", Some("skipped"), Verdict::Pass),
            ("completed", Some("failure"), Verdict::Fail),
            ("completed", Some("timed_out"), Verdict::Fail),
            ("completed", Some("cancelled"), Verdict::Fail),
            ("completed", Some("action_required"), Verdict::Fail),
            ("completed", Some("startup_failure"), Verdict::Fail),
            ("completed", Some("stale"), Verdict::Fail),
            ("completed", None, Verdict::Pending),
            ("completed", Some("new word"), Verdict::Pending),
            ("queued", None, Verdict::Pending),
            ("in_progress", None, Verdict::Pending),
        ] {
            let conclusion = conclusion.map(str::to_owned);
            let run = CheckRun { name: "x".into(), status: status.into(), conclusion };
            assert_eq!(run.verdict().1, verdict, "{status}");
        }
    }

    #[test]
    fn a_pull_request_is_read_from_either_form() {
        let listed = serde_json::json!({
            "number": 7, "html_url": "https://x/7", "state": "closed", "title": "T\u{1b}[2J",
            "body": null, "merged_at": "2026-01-01T00:00:00Z",
            "head": {"ref": "f", "sha": "abc", "repo": null}, "base": {"ref": "main", "sha": "def"},
        });
        let pull = PullRequest::from(serde_json::from_value::<Pull>(listed).unwrap());
        assert_eq!((pull.state, pull.title.as_str()), (PullState::Merged, "T"));
        assert_eq!((pull.body.as_str(), pull.head_commit.as_deref()), ("", Some("abc")));
    }
}
