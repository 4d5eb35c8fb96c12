//! The `.toml` file of a local pull request.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smelt_core::event::PullState;
use smelt_core::git::Oid;
use smelt_core::port::{NewPullRequest, PullRequestExtras};

/// The version of these files that is written and read.
const VERSION: u32 = 1;

/// Everything about a local pull request but its body and its changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    pub number: u64,
    pub title: String,
    /// What people set by hand; whether it is merged is asked of the repository too.
    pub state: PullState,
    #[serde(default)]
    pub draft: bool,
    pub head: String,
    pub head_commit: Oid,
    pub base: String,
    pub base_commit: Oid,
    #[serde(default)]
    pub labels: Vec<String>,
    #[serde(default)]
    pub reviewers: Vec<String>,
    #[serde(default)]
    pub assignees: Vec<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// The version alone, for files of versions to come.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Record {
    /// A new one, open.
    ///
    /// # Errors
    /// Where the commits are none.
    pub(super) fn new(number: u64, request: &NewPullRequest) -> Result<Self, String> {
        let now = Timestamp::now();
        let (head_commit, base_commit) = commits(request)?;
        Ok(Self {
            version: VERSION,
            number,
            title: request.title.clone(),
            state: PullState::Open,
            draft: request.draft,
            head: request.head.clone(),
            head_commit,
            base: request.base.clone(),
            base_commit,
            labels: Vec::new(),
            reviewers: Vec::new(),
            assignees: Vec::new(),
            created: now,
            updated: now,
        })
    }

    /// The same one as `request` wants it. Whether it is a draft stays.
    pub(super) fn changed(self, request: &NewPullRequest) -> Result<Self, String> {
        let (head_commit, base_commit) = commits(request)?;
        Ok(Self {
            title: request.title.clone(),
            head: request.head.clone(),
            head_commit,
            base: request.base.clone(),
            base_commit,
            updated: Timestamp::now(),
            ..self
        })
    }

    /// Adds what is missing of `extras`; tells whether anything was.
    pub(super) fn add(&mut self, extras: &PullRequestExtras) -> bool {
        let mut any = false;
        for (there, wanted) in [
            (&mut self.labels, &extras.labels),
            (&mut self.reviewers, &extras.reviewers),
            (&mut self.assignees, &extras.assignees),
        ] {
            for name in wanted {
                if !there.contains(name) {
                    there.push(name.clone());
                    any = true;
                }
            }
        }
        if any {
            self.updated = Timestamp::now();
        }
        any
    }

    /// Reads the text of a file; the error says what is wrong with it.
    pub(super) fn read(number: u64, text: &str) -> Result<Self, String> {
        let torn =
            |error: toml::de::Error| format!("it is torn, or was edited: {}", error.message());
        let Version { version } = toml::from_str(text).map_err(torn)?;
        if version > VERSION {
            return Err(format!("a newer Smelt wrote it (version {version})"));
        }
        let record: Self = toml::from_str(text).map_err(torn)?;
        match record.number == number {
            true => Ok(record),
            false => Err(format!("it says that its number is {}", record.number)),
        }
    }

    /// The text of its file.
    pub(super) fn write(&self) -> Result<String, String> {
        toml::to_string_pretty(self).map_err(|error| error.to_string())
    }
}

fn commits(request: &NewPullRequest) -> Result<(Oid, Oid), String> {
    Ok((request.head_commit.parse()?, request.base_commit.parse()?))
}
