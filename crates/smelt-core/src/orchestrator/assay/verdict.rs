//! What to make of the end of a session that Assay has run.

use super::report::Said;
use crate::port::ExitStatus;
use crate::sandbox_git::AssayEnded;

/// What becomes of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its gate passed.
    Passed,
    /// Its gate failed.
    GateFailed,
    /// Its agent ended well; its gate has still to be run.
    Unchecked,
    /// It went wrong; why.
    Failed(String),
    /// It did not run; why.
    Skipped(String),
    /// It took too long; where.
    TimedOut(&'static str),
    /// Somebody stopped the run.
    Cancelled,
}

/// How one `assay run` ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Its exit in words, with its last lines.
    pub(super) words: String,
}

/// The verdict on the only session of an `assay run`: Assay's exit code is the gate's verdict then,
/// as long as nothing else speaks against it.
pub(super) fn of_one(ended: &Ended, said: Option<&Said>, left: &AssayEnded) -> Verdict {
    if let Some(verdict) = cut_short(ended.status, left) {
        return verdict;
    }
    let failed = || Verdict::Failed(format!("assay ended with {}", ended.words));
    match (ended.status, said) {
        (_, Some(Said::Failed(why))) => Verdict::Failed(format!("assay: {why}")),
        (_, Some(Said::Skipped(why))) => Verdict::Failed(format!("assay skipped it: {why}")),
        (ExitStatus::Code(0 | 2), _) if !left.worktree || !left.branch => nothing_left(ended, left),
        (ExitStatus::Code(0 | 2), Some(Said::GateFailed)) => Verdict::GateFailed,
        (ExitStatus::Code(0), _) => match left.gate {
            Some((0, _)) => Verdict::Passed,
            Some(_) => Verdict::GateFailed,
            // Nothing passes whose gate has not run.
            None => Verdict::Unchecked,
        },
        // Gates that passed, and work that does not fit on its base: merging is not Assay's here.
        (ExitStatus::Code(2), Some(Said::Completed)) if matches!(left.gate, Some((0, _))) => {
            Verdict::Passed
        }
        (ExitStatus::Code(2), _) if left.gate.is_some() => Verdict::GateFailed,
        _ => failed(),
    }
}

/// The verdict on one of several sessions of an `assay run`: whether its gate passed is not told, and
/// the exit code is about all of them.
pub(super) fn of_several(ended: &Ended, said: Option<&Said>, left: &AssayEnded) -> Verdict {
    match said {
        Some(Said::Failed(why)) => Verdict::Failed(format!("assay: {why}")),
        Some(Said::Skipped(why)) => Verdict::Skipped(format!("assay: {why}")),
        Some(Said::Completed | Said::GateFailed) if left.worktree && left.branch => {
            Verdict::Unchecked
        }
        Some(Said::Completed | Said::GateFailed) => nothing_left(ended, left),
        None => match cut_short(ended.status, left) {
            // It had run to its end before the time was up.
            Some(Verdict::TimedOut(_)) if left.gate.is_some() => Verdict::Unchecked,
            Some(verdict) => verdict,
            None => Verdict::Failed(format!("assay ended with {}", ended.words)),
        },
    }
}

/// What to make of an end that was not Assay's own.
fn cut_short(status: ExitStatus, left: &AssayEnded) -> Option<Verdict> {
    match status {
        ExitStatus::Stopped => Some(Verdict::Cancelled),
        ExitStatus::TimedOut if !left.worktree => {
            Some(Verdict::TimedOut("before its agent had started"))
        }
        ExitStatus::TimedOut if left.committed.is_some() => Some(Verdict::TimedOut("in its gate")),
        ExitStatus::TimedOut => Some(Verdict::TimedOut("in its agent")),
        ExitStatus::Code(_) | ExitStatus::Refused => None,
    }
}

/// Where the work should be there is none.
fn nothing_left(ended: &Ended, left: &AssayEnded) -> Verdict {
    let what = if left.worktree { "branch" } else { "worktree" };
    Verdict::Failed(format!("assay left no {what} of it, and ended with {}", ended.words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExitStatus::{Code, Stopped, TimedOut};

    fn left(there: bool, gate: Option<i32>) -> AssayEnded {
        let gate = gate.map(|code| (code, 1));
        AssayEnded { worktree: there, branch: there, gate, committed: None }
    }

    fn ended(status: ExitStatus) -> Ended {
        Ended { status, words: "exit code N: last".into() }
    }

    #[test]
    fn a_single_session_passes_by_its_exit_code_where_nothing_speaks_against_it() {
        let failed = |why: &str| Verdict::Failed(why.into());
        let error = Said::Failed("no claude".into());
        for (status, said, there, gate, verdict) in [
            (Code(0), Some(Said::Completed), true, Some(0), Verdict::Passed),
            (Code(0), None, true, Some(0), Verdict::Passed),
            (Code(0), Some(Said::Completed), true, None, Verdict::Unchecked),
            (Code(0), Some(Said::Completed), true, Some(1), Verdict::GateFailed),
            (Code(0), Some(Said::GateFailed), true, Some(0), Verdict::GateFailed),
            (Code(0), Some(error.clone()), true, Some(0), failed("assay: no claude")),
            (
                Code(0),
                Some(Said::Completed),
                false,
                Some(0),
                failed("assay left no worktree of it, and ended with exit code N: last"),
            ),
            (Code(2), Some(Said::GateFailed), true, Some(9), Verdict::GateFailed),
            (Code(2), Some(Said::GateFailed), true, None, Verdict::GateFailed),
            (Code(2), None, true, Some(9), Verdict::GateFailed),
            (Code(2), Some(Said::Completed), true, Some(0), Verdict::Passed),
            // A command line that it does not take ends so too.
            (Code(2), None, true, None, failed("assay ended with exit code N: last")),
            (Code(1), Some(error), true, None, failed("assay: no claude")),
            (Code(1), None, false, None, failed("assay ended with exit code N: last")),
            (
                Code(1),
                Some(Said::Completed),
                true,
                Some(0),
                failed("assay ended with exit code N: last"),
            ),
            (TimedOut, None, true, None, Verdict::TimedOut("in its agent")),
            (TimedOut, None, false, None, Verdict::TimedOut("before its agent had started")),
            (Stopped, None, true, None, Verdict::Cancelled),
        ] {
            let case = format!("{status:?} {said:?} {there} {gate:?}");
            assert_eq!(
                of_one(&ended(status), said.as_ref(), &left(there, gate)),
                verdict,
                "{case}"
            );
        }
    }

    #[test]
    fn of_several_sessions_none_passes_on_assays_word() {
        let failed = |why: &str| Verdict::Failed(why.into());
        for (status, said, there, gate, verdict) in [
            (Code(0), Some(Said::Completed), true, Some(0), Verdict::Unchecked),
            (Code(0), Some(Said::Completed), true, Some(1), Verdict::Unchecked),
            (
                Code(0),
                Some(Said::Completed),
                false,
                None,
                failed("assay left no worktree of it, and ended with exit code N: last"),
            ),
            (Code(1), Some(Said::Failed("crashed".into())), true, None, failed("assay: crashed")),
            (
                Code(1),
                Some(Said::Skipped("b failed".into())),
                false,
                None,
                Verdict::Skipped("assay: b failed".into()),
            ),
            (Code(1), None, true, Some(0), failed("assay ended with exit code N: last")),
            (TimedOut, None, true, Some(0), Verdict::Unchecked),
            (TimedOut, None, true, None, Verdict::TimedOut("in its agent")),
            (Stopped, None, true, Some(0), Verdict::Cancelled),
        ] {
            let case = format!("{status:?} {said:?} {there} {gate:?}");
            let left = left(there, gate);
            assert_eq!(of_several(&ended(status), said.as_ref(), &left), verdict, "{case}");
        }
    }
}
