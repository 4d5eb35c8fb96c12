//! By what a run's pod and policy are known.

use smelt_core::id::{OwnerId, RunId};
use smelt_core::port::Labels;
use std::collections::BTreeMap;

/// Label with the state folder.
pub(super) const OWNER: &str = "smelt.owner";

/// Label with the job, as far as it is fit to be one; the annotation has all of it.
pub(super) const JOB: &str = "smelt.job";

/// Label with the run.
pub(super) const RUN: &str = "smelt.run";

/// Name of a run's pod and of its policy.
pub(super) fn name_of(run: &RunId) -> String {
    format!("smelt-{run}")
}

/// The labels of whatever is made for a run.
pub(super) fn labels_of(labels: &Labels) -> BTreeMap<String, String> {
    let job = label_value(labels.job.as_str()).to_owned();
    [(OWNER, labels.owner.to_string()), (JOB, job), (RUN, labels.run.to_string())]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

/// What labels can't hold.
pub(super) fn annotations_of(labels: &Labels) -> Option<BTreeMap<String, String>> {
    let job = labels.job.as_str();
    (label_value(job) != job).then(|| [(JOB.to_owned(), job.to_owned())].into())
}

/// A job's name is fit for a label but for its end, which is to be a letter or a digit.
fn label_value(job: &str) -> &str {
    job.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// Selects what belongs to `owner`, or to one run of its.
pub(super) fn selector(owner: &OwnerId, run: Option<&RunId>) -> String {
    match run {
        Some(run) => format!("{OWNER}={owner},{RUN}={run}"),
        None => format!("{OWNER}={owner}"),
    }
}

/// Whether something with the labels `found` was made for the run that `own` are of.
pub(super) fn are_of(found: Option<&BTreeMap<String, String>>, own: &Labels) -> bool {
    let has = |name: &str, value: &str| {
        found.and_then(|found| found.get(name)).is_some_and(|found| found == value)
    };
    has(OWNER, own.owner.as_str()) && has(RUN, own.run.as_str())
}
