//! A pod that ends while its agents work.

use super::{env, only_its_own_is_left, start, tells};
use smelt_testing_kubernetes::PodEnd;

/// Ends the pod of a run while its agent works; the run says why, and leaves nothing.
#[track_caller]
fn ended(how: PodEnd, why: &str) {
    let env = env();
    let repo = env.repo();
    let running = start(&env);
    env.cluster().end_pod(&running.container(), how);
    let said = running.end().with_code(1);
    tells(&said, why);
    only_its_own_is_left(&env, &repo);
}

#[test]
fn a_pod_that_runs_out_of_memory_says_which_limit_that_was() {
    ended(
        PodEnd::OomKilled,
        "the agent ran out of memory: `environment.resources.memory` is 8.0 GB",
    );
}

#[test]
fn a_pod_that_is_evicted_says_why() {
    let message = "The node was low on resource: ephemeral-storage.".to_owned();
    ended(PodEnd::Evicted { message }, "its pod was evicted: The node was low on resource");
}

#[test]
fn a_pod_whose_node_is_lost_says_so() {
    ended(PodEnd::NodeLost, "its node was lost");
}

#[test]
fn a_pod_that_somebody_deletes_says_so() {
    ended(PodEnd::Deleted, "its pod was deleted from outside");
}
