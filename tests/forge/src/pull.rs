//! A pull request and what people and machines say of it.

/// Where a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullState {
    /// May be merged.
    Open,
    /// Was given up.
    Closed,
    /// Is in its base.
    Merged,
}

/// What a reviewer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go in.
    Approve,
    /// It may not.
    RequestChanges,
    /// Neither.
    Comment,
    /// What this reviewer had said before no longer counts.
    Dismissed,
}

/// How a check of a commit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It runs.
    Pending,
    /// Well.
    Success,
    /// Badly.
    Failure,
}

/// A comment in the conversation of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its number within the service.
    pub id: u64,
    /// Who wrote it.
    pub author: String,
    /// What it says.
    pub body: String,
    pub(crate) at: String,
}

/// A review of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Who wrote it.
    pub author: String,
    /// What it says.
    pub verdict: Verdict,
    /// Whether it no longer counts.
    pub dismissed: bool,
    pub(crate) id: u64,
    pub(crate) commit: String,
    pub(crate) at: String,
}

/// A pull request as the service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Its number, from 1.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its description.
    pub body: String,
    /// The branch it comes from.
    pub head: String,
    /// The branch it goes into.
    pub base: String,
    /// The commit that its head is at, or was at when it was closed or merged.
    pub head_sha: String,
    /// Whether it is not to be merged yet.
    pub draft: bool,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Who is asked for a review and has not given one.
    pub reviewers: Vec<String>,
    /// Who it is assigned to.
    pub assignees: Vec<String>,
    /// Where it stands.
    pub state: PullState,
    /// The conversation.
    pub comments: Vec<Comment>,
    /// The reviews.
    pub reviews: Vec<Review>,
    pub(crate) id: u64,
    pub(crate) base_sha: String,
    pub(crate) merge_sha: Option<String>,
    pub(crate) created: String,
    pub(crate) updated: String,
    pub(crate) closed: Option<String>,
}

impl Pull {
    /// It was changed just now.
    pub(crate) fn touch(&mut self) {
        self.updated = now();
    }

    pub(crate) fn close(&mut self) {
        self.state = PullState::Closed;
        self.closed = Some(now());
        self.touch();
    }

    pub(crate) fn reopen(&mut self) {
        self.state = PullState::Open;
        self.closed = None;
        self.touch();
    }

    pub(crate) fn merged(&mut self, commit: &str) {
        self.close();
        self.state = PullState::Merged;
        self.merge_sha = Some(commit.to_owned());
    }

    /// `open` or `closed`, as the services say it: a merged one is closed.
    pub(crate) fn state_word(&self) -> &'static str {
        if self.state == PullState::Open { "open" } else { "closed" }
    }
}

/// A title without what marks a draft on Forgejo and Gitea.
pub(crate) fn undrafted(title: &str) -> &str {
    let marked = ["WIP:", "[WIP]"].iter().find_map(|prefix| {
        let start = title.get(..prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then(|| &title[prefix.len()..])
    });
    marked.map_or(title, str::trim_start)
}

/// The present second, as the services write it.
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
