use crate::event::{Event, JobEvent, PullState};
use crate::port::{CheckSummary, Checks, PullRequestStatus, ReviewSummary, Reviews};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a run's pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRecord {
    /// Where people read it: a URL, or the path of a file.
    pub url: String,
    /// Its number in the repository.
    pub number: u64,
    /// Whether it is open.
    pub state: PullState,
    /// Whether it is not to be merged yet.
    pub draft: bool,
    /// The branch with the work.
    pub head: String,
    /// The branch it is meant for.
    pub base: String,
    /// What build servers say of it.
    pub ci: CheckSummary,
    /// What reviewers say of it.
    pub reviews: ReviewSummary,
    /// Comments, those on lines included.
    pub comments: u64,
    /// When the forge was last asked.
    pub checked_at: Timestamp,
    /// The checks, counted.
    #[serde(default)]
    pub checks: Checks,
    /// Who has decided what.
    #[serde(default)]
    pub reviewers: Reviews,
}

impl PullRecord {
    /// What the forge told of it at `at`.
    pub fn new(status: &PullRequestStatus, at: Timestamp) -> Self {
        let PullRequestStatus { pull, ci, reviews, comments } = status;
        Self {
            url: pull.url.clone(),
            number: pull.number,
            state: pull.state,
            draft: pull.draft,
            head: pull.head.clone(),
            base: pull.base.clone(),
            ci: ci.summary(),
            reviews: reviews.summary(),
            comments: *comments,
            checked_at: at,
            checks: ci.clone(),
            reviewers: reviews.clone(),
        }
    }

    /// One that was opened or brought up to date just now; `None` of every other event.
    pub(super) fn of_event(event: &Event) -> Option<Self> {
        let JobEvent::PullRequest { number, url, state, draft, head, base, .. } = &event.what
        else {
            return None;
        };
        Some(Self {
            url: url.clone(),
            number: *number,
            state: *state,
            draft: *draft,
            head: head.clone(),
            base: base.clone(),
            ci: CheckSummary::None,
            reviews: ReviewSummary::None,
            comments: 0,
            checked_at: event.at,
            checks: Checks::default(),
            reviewers: Reviews::default(),
        })
    }
}
