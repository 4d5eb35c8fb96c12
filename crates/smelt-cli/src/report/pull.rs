//! A pull request, as its forge last told of it.

use smelt_core::port::{CheckSummary, Checks, ReviewSummary, Reviews};
use smelt_core::state::PullRecord;
use smelt_core::text::{clean_inline, count};

/// In one line: where, and how it stands.
pub fn of_record(pull: &PullRecord) -> String {
    let parts = [
        Some(state(pull)),
        Some(format!("CI {}", ci(pull.ci, &pull.checks))),
        Some(format!("reviews: {}", reviews(pull.reviews, &pull.reviewers))),
        Some(count(pull.comments, "comment")).filter(|_| pull.comments > 0),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    clean_inline(&format!("{}: {}", pull.url, parts.join("; "))).into_owned()
}

/// `open`, `open, draft`, `merged`, `closed`.
pub fn state(pull: &PullRecord) -> String {
    format!("{}{}", pull.state, if pull.draft { ", draft" } else { "" })
}

/// `failing (2 failed: lint, test; 1 pending)`.
pub fn ci(summary: CheckSummary, checks: &Checks) -> String {
    let word = summary.as_str();
    let named = match checks.failed.as_slice() {
        [] => String::new(),
        names => format!(": {}", names.join(", ")),
    };
    let parts: Vec<_> = [
        (checks.failing, format!("{} failed{named}", checks.failing)),
        (checks.pending, format!("{} pending", checks.pending)),
        (checks.passing, format!("{} passed", checks.passing)),
        (u64::from(checks.hidden), "not all are shown to this token".to_owned()),
    ]
    .into_iter()
    .filter_map(|(count, text)| (count > 0).then_some(text))
    .collect();
    match parts.is_empty() {
        true => word.to_owned(),
        false => format!("{word} ({})", parts.join("; ")),
    }
}

/// `changes requested by bob; approved by alice`.
pub fn reviews(summary: ReviewSummary, reviews: &Reviews) -> String {
    let by = |what: &str, names: &[String]| format!("{what} by {}", names.join(", "));
    let parts: Vec<_> =
        [("changes requested", &reviews.changes_requested), ("approved", &reviews.approved)]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| by(what, names))
            .collect();
    match parts.is_empty() {
        true => summary.as_str().to_owned(),
        false => parts.join("; "),
    }
}
