//! Folding reviews into who approves and who asks for changes.

use crate::said::said;
use smelt_core::port::Reviews;

/// What one review decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The work is good.
    Approve,
    /// It is not.
    RequestChanges,
    /// Whatever the reviewer had decided no longer counts.
    Withdrawn,
}

/// Each reviewer by the last of `reviews` that decides anything; oldest first.
pub(crate) fn fold(reviews: impl IntoIterator<Item = (String, Option<Decision>)>) -> Reviews {
    let mut last: Vec<(String, Decision)> = Vec::new();
    for (login, decision) in reviews {
        let Some(decision) = decision else { continue };
        match last.iter_mut().find(|(known, _)| *known == login) {
            Some((_, known)) => *known = decision,
            None => last.push((login, decision)),
        }
    }
    let who = |wanted| {
        let they = last.iter().filter(|(_, decision)| *decision == wanted);
        they.map(|(login, _)| said(login)).collect()
    };
    Reviews { approved: who(Decision::Approve), changes_requested: who(Decision::RequestChanges) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_decision_of_each_reviewer_counts() {
        use Decision::{Approve, RequestChanges, Withdrawn};
        let reviews = [
            ("ann", Some(RequestChanges)),
            ("bob", Some(Approve)),
            ("ann", None),
            ("cleo", Some(RequestChanges)),
            ("ann", Some(Approve)),
            ("bob", Some(RequestChanges)),
            ("cleo", Some(Withdrawn)),
            ("dan", None),
        ];
        let folded = fold(reviews.map(|(login, decision)| (login.to_owned(), decision)));
        assert_eq!(folded.approved, ["ann"]);
        assert_eq!(folded.changes_requested, ["bob"]);
    }
}
