//! How a run ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a run ended. Each is an answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The work passed its gates and is where it should be.
    Complete,
    /// The gates passed, and there was nothing to change.
    NoChanges,
    /// A gate said no.
    GatesFailed,
    /// Two sessions' work does not fit together.
    Conflict,
    /// The job or one of its sessions took too long.
    TimedOut,
    /// Something broke; [`Failure`] says what.
    Failed,
    /// The work is on its branch, but could not be delivered.
    Undelivered,
    /// Somebody stopped it.
    Cancelled,
}

impl Outcome {
    /// The word for it in files, events and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::NoChanges => "no_changes",
            Self::GatesFailed => "gates_failed",
            Self::Conflict => "conflict",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::Undelivered => "undelivered",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose turn it is after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The manifest asks for something that is not there or not allowed: its author's.
    Invalid,
    /// The runtime, or a service, can't be reached or used: try again when it can.
    Unavailable,
    /// Something broke on the way: try again.
    Fault,
}

/// What went wrong, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Whose turn it is.
    pub kind: FailureKind,
    /// What went wrong, causes included.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure of `kind`; the message is made fit to be shown.
    pub fn new(kind: FailureKind, message: impl AsRef<str>) -> Self {
        Self { kind, message: crate::text::clean_text(message.as_ref()), hint: None }
    }

    /// A failure of `kind` told by `error` and everything that caused it.
    pub fn from_error(kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(kind, chain(error))
    }

    /// The same failure, with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// `error` and its causes, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some libraries repeat their source in their own message.
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// The end of a run: its outcome, and what went wrong if something did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conclusion {
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong; always there with `failed` and `undelivered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl From<Outcome> for Conclusion {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, failure: None }
    }
}

impl From<Failure> for Conclusion {
    fn from(failure: Failure) -> Self {
        Self { outcome: Outcome::Failed, failure: Some(failure) }
    }
}
