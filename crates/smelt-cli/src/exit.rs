//! Exit codes: a contract, see docs/exit-codes.md.

use smelt_core::outcome::{Conclusion, FailureKind, Outcome};

/// How `smelt` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for a run: its result is where it should be.
    Success = 0,
    /// Something broke.
    Failed = 1,
    /// A gate failed.
    GatesFailed = 2,
    /// The gates passed and nothing was changed.
    NoChanges = 3,
    /// Work of several sessions does not fit together.
    Conflict = 4,
    /// The job or a session took too long.
    TimedOut = 5,
    /// The command line was wrong.
    Usage = 64,
    /// The manifest or configuration was wrong, or a secret was missing.
    Invalid = 65,
    /// The runtime could not be used, or the result could not be delivered.
    Unavailable = 69,
    /// Somebody stopped it.
    Cancelled = 130,
}

impl Exit {
    /// All of them, for the documentation and its test.
    #[cfg(test)]
    pub const ALL: [Self; 10] = [
        Self::Success,
        Self::Failed,
        Self::GatesFailed,
        Self::NoChanges,
        Self::Conflict,
        Self::TimedOut,
        Self::Usage,
        Self::Invalid,
        Self::Unavailable,
        Self::Cancelled,
    ];
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Invalid => Self::Invalid,
            FailureKind::Unavailable => Self::Unavailable,
            FailureKind::Fault => Self::Failed,
        }
    }
}

impl From<&Conclusion> for Exit {
    fn from(conclusion: &Conclusion) -> Self {
        match conclusion.outcome {
            Outcome::Complete => Self::Success,
            Outcome::NoChanges => Self::NoChanges,
            Outcome::GatesFailed => Self::GatesFailed,
            Outcome::Conflict => Self::Conflict,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Undelivered => Self::Unavailable,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Failed => {
                conclusion.failure.as_ref().map_or(Self::Failed, |failure| failure.kind.into())
            }
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented() {
        let page = include_str!("../../../docs/exit-codes.md");
        for exit in Exit::ALL {
            assert!(page.contains(&format!("| {} |", exit as u8)), "{exit:?}");
        }
    }
}
