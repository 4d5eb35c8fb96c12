//! Sessions in a pod: what they make comes back, and how they end is told.

use super::{env, only_its_own_is_left, tells};
use crate::env::{TestEnv, session};
use smelt_testing_kubernetes::{Protocol, ScriptedCluster};

/// The manifest of three sessions, as the other runtimes have it but for its runtime.
fn three_sessions(env: &TestEnv) {
    let repo = env.repo();
    // Each of the first two waits until the other has started: only at the same time can both end.
    let agent = "
        case $SMELT_SESSION in
        c) cat a.txt b.txt > c.txt ;;
        *) touch /tmp/$SMELT_SESSION; until [ -f /tmp/a ] && [ -f /tmp/b ]; do sleep 0.05; done
           echo $SMELT_SESSION > $SMELT_SESSION.txt; git add . && git commit -qm \"Work of $SMELT_SESSION\" ;;
        esac";
    let sessions = session("a", "test -f a.txt", "")
        + &session("b", "test -f b.txt", "")
        + &session("c", "grep -q a c.txt && grep -q b c.txt", "depends_on = [\"a\", \"b\"]");
    let said = env.run(&env.manifest("job", agent, &sessions)).with_code(0);
    tells(&said, "a pod: no capabilities, no network inside the cluster, user ");
    let result = repo.git(&["ls-tree", "--name-only", "smelt/job"]);
    assert_eq!(result, "README.md\na.txt\nb.txt\nc.txt");
    let subjects = repo.git(&["log", "--format=%s", "main..smelt/job"]);
    for subject in ["Work of a", "Work of b", "c: what the agent left uncommitted"] {
        assert!(subjects.contains(subject), "{subjects}");
    }
    let status = env.status("job");
    assert_eq!(status["outcome"], "complete");
    let digest = "example.test/image@sha256:\
                  0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
    assert_eq!(status["image"], digest, "{status:#}");
    let run = env.run_ids().remove(0);
    assert_eq!(status["container_id"], format!("smelt-{run}"));
    env.nothing_is_left(&repo);
}

#[test]
fn two_at_once_and_one_that_needs_both_bring_their_work_back() {
    three_sessions(&env());
}

#[test]
fn the_same_of_a_cluster_that_knows_only_the_older_protocol() {
    three_sessions(&TestEnv::kubernetes(ScriptedCluster::speaking(Protocol::V4)));
}

#[test]
fn a_gate_that_fails_is_told_with_its_last_words() {
    let env = env();
    let repo = env.repo();
    let gate = "echo expected 4, got 5 >&2; exit 9";
    let manifest = env.manifest("job", "echo 5 > sum.txt", &session("one", gate, ""));
    let said = env.run(&manifest).with_code(2);
    tells(&said, "expected 4, got 5");
    assert_eq!(env.status("job")["sessions"][0]["gate"]["exit_code"], 9);
    only_its_own_is_left(&env, &repo);
}

#[test]
fn a_session_that_takes_too_long_is_ended_with_all_it_has_started() {
    let env = env();
    let repo = env.repo();
    // What the first starts is out of its group and its session, and asks for nothing. The second, in the
    // same pod, waits for its end.
    let agent = "
        case $SMELT_SESSION in
        one) echo started > work.txt; trap '' TERM
             setsid sh -c 'trap \"\" TERM HUP; echo $$ > /tmp/pid.new; mv /tmp/pid.new /tmp/pid; exec sleep 600' &
             sleep 600 ;;
        two) until [ -e /tmp/pid ]; do sleep 0.05; done; ls -d /proc/$(cat /tmp/pid) > seen.txt
             while [ -e /proc/$(cat /tmp/pid) ]; do sleep 0.05; done ;;
        esac";
    let one = session("one", "true", "").replace("timeout = 60", "timeout = 2");
    let sessions = one + &session("two", "test -s seen.txt", "");
    let said = env.run(&env.manifest("job", agent, &sessions)).with_code(5);
    tells(&said, "timed_out: job");
    let status = env.status("job");
    assert_eq!(status["sessions"][0]["state"], "timed_out");
    assert_eq!(status["sessions"][1]["state"], "passed");
    let reference = status["sessions"][0]["reference"].as_str().unwrap();
    assert_eq!(repo.git(&["show", &format!("{reference}:work.txt")]), "started");
    only_its_own_is_left(&env, &repo);
}
