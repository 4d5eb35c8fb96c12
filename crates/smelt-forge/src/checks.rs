//! Counting what build servers say.

use crate::said::said;
use smelt_core::port::Checks;

/// How many of those that failed are named.
const NAMED_MAX: usize = 5;

/// What one check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It passed, or did not have to run.
    Pass,
    /// It failed.
    Fail,
    /// It has not ended.
    Pending,
}

/// Counts checks, each with its name.
pub(crate) fn count(checks: impl IntoIterator<Item = (String, Verdict)>) -> Checks {
    let mut counted = Checks::default();
    for (name, verdict) in checks {
        match verdict {
            Verdict::Pass => counted.passing += 1,
            Verdict::Pending => counted.pending += 1,
            Verdict::Fail => {
                counted.failing += 1;
                if counted.failed.len() < NAMED_MAX {
                    counted.failed.push(said(&name));
                }
            }
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_failed_are_named_but_not_all_of_many() {
        let failed = (0..7).map(|n| (format!("job {n}\u{1b}[2J"), Verdict::Fail));
        let others = [("a".to_owned(), Verdict::Pass), ("b".to_owned(), Verdict::Pending)];
        let counted = count(failed.chain(others));
        assert_eq!((counted.passing, counted.failing, counted.pending), (1, 7, 1));
        assert_eq!(counted.failed, ["job 0", "job 1", "job 2", "job 3", "job 4"]);
    }
}
