//! A pod or a connection ends while agents work.

use super::{env, kept, only_its_own_is_left, start, tells};
use crate::env::{TestEnv, session};
use crate::running::Running;
use smelt_testing_kubernetes::{Fault, PodEnd};

/// Ends the pod of a run while its agent works: the run says `why`, that the work is lost with the pod,
/// and asks for no other pod.
#[track_caller]
fn loses_its_pod(how: PodEnd, why: &str, lost: &str) {
    let env = env();
    let repo = env.repo();
    let running = start(&env);
    env.cluster().end_pod(&running.container(), how);
    let said = running.end().with_code(1);
    tells(&said, why);
    tells(&said, &format!("the work could not be brought out: the sandbox is gone: {lost}"));
    let status = env.status("job");
    assert_eq!(status["outcome"], "failed");
    assert_eq!(status["sessions"][0]["state"], "agent_failed");
    assert!(status["sessions"][0]["reference"].is_null(), "{status:#}");
    assert_eq!(pods_made(&env), 1);
    only_its_own_is_left(&env, &repo);
}

/// How many pods the cluster has been asked for.
fn pods_made(env: &TestEnv) -> usize {
    let requests = env.cluster().requests();
    let made = |path: &str| path.ends_with("/pods");
    requests.iter().filter(|request| request.method == "POST" && made(&request.path)).count()
}

#[test]
fn a_pod_that_runs_out_of_memory_says_which_limit_that_was() {
    let limit = "the agent ran out of memory: `environment.resources.memory` is 8.0 GB";
    loses_its_pod(PodEnd::OomKilled, limit, "its pod ran out of memory");
}

#[test]
fn a_pod_that_is_evicted_says_why() {
    let message = "The node was low on resource: ephemeral-storage.".to_owned();
    let why = format!("its pod was evicted: {message}");
    loses_its_pod(
        PodEnd::Evicted { message },
        &format!("session `one`: the sandbox is gone: {why}"),
        &why,
    );
}

#[test]
fn a_pod_whose_node_is_lost_says_so() {
    let why = "its node was lost";
    loses_its_pod(PodEnd::NodeLost, &format!("session `one`: the sandbox is gone: {why}"), why);
}

#[test]
fn a_pod_that_somebody_deletes_says_so() {
    let why = "its pod was deleted from outside";
    loses_its_pod(PodEnd::Deleted, &format!("session `one`: the sandbox is gone: {why}"), why);
}

#[test]
fn a_connection_that_is_cut_ends_what_ran_there_and_costs_no_work() {
    let env = env();
    let repo = env.repo();
    // Nothing else of a run prints as much. The second, in the same pod, waits for the first one's end.
    env.cluster().fault(Fault::cut_exec(20_000).times(1000));
    let agent = "
        case $SMELT_SESSION in
        one) echo $$ > /tmp/pid.new; mv /tmp/pid.new /tmp/pid; echo work > work.txt; echo ready
             seq 10000; sleep 600 ;;
        two) until [ -e /tmp/pid ]; do sleep 0.05; done; echo > two.txt
             while [ -e /proc/$(cat /tmp/pid) ]; do sleep 0.05; done ;;
        esac";
    let sessions = session("one", "true", "") + &session("two", "true", "");
    let running = Running::start(&env, &env.manifest("job", agent, &sessions));
    let said = running.end().with_code(1);
    tells(
        &said,
        "session `one`: running a command: the connection to the cluster was lost while it ran",
    );
    assert_eq!(env.status("job")["sessions"][1]["state"], "passed");
    assert_eq!(kept(&env, &repo, "work.txt"), "work");
    only_its_own_is_left(&env, &repo);
}

#[test]
fn watches_that_end_cost_nothing() {
    let env = env();
    let repo = env.repo();
    for fault in [Fault::watch_ends().times(2), Fault::watch_gone(), Fault::watch_gone_http()] {
        env.cluster().fault(fault);
    }
    let manifest = env.manifest("job", "echo a > a.txt", &session("one", "test -f a.txt", ""));
    env.run(&manifest).with_code(0);
    env.nothing_is_left(&repo);
}

#[test]
fn what_was_made_though_nobody_heard_of_it_is_not_left() {
    for path in ["/networkpolicies", "/pods"] {
        let env = env();
        let repo = env.repo();
        env.cluster().fault(Fault::drop_after_success("POST", path));
        let manifest = env.manifest("job", "true", &session("one", "true", ""));
        let said = env.run(&manifest).with_code(69);
        tells(&said, "the cluster can't be reached");
        only_its_own_is_left(&env, &repo);
    }
}
