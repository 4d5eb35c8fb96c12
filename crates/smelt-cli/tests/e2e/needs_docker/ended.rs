//! A run or its container is ended from outside.

use super::{docker, kept};
use crate::env::{TestEnv, docker_things, session};
use crate::running::Running;

const PATIENT: &str = "echo work > work.txt; sync; echo ready; sleep 600";

fn start(env: &TestEnv) -> Running<'_> {
    Running::start(env, &env.manifest("job", PATIENT, &session("one", "true", "")))
}

/// Things of somebody else's, removed at the end.
struct Foreign(String);

impl Foreign {
    /// A container, a network and a volume, labelled as another state folder's run.
    fn new(env: &TestEnv) -> Self {
        let name = format!("foreign-{}", env.path().file_name().unwrap().display())
            .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "");
        let labels = ["--label", "smelt.owner=somebody", "--label", "smelt.run=01jd0000000000"];
        let make = |words: &[&str], rest: &[&str]| docker(&[words, &labels, rest].concat());
        make(&["create", "--name", &name, "--network", "none"], &["smelt-test/bare", "true"]);
        make(&["volume", "create"], &[&name]);
        Self(name)
    }

    fn is_there(&self) -> bool {
        let filter = format!("name={}", self.0);
        !docker(&["ps", "-aq", "--filter", &filter]).is_empty()
            && !docker(&["volume", "ls", "-q", "--filter", &filter]).is_empty()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
        docker(&["volume", "rm", &self.0]);
    }
}

#[test]
fn after_kill_9_clean_removes_what_the_run_had_in_the_engine_and_nothing_else() {
    let env = super::env();
    let repo = env.repo();
    let foreign = Foreign::new(&env);
    let neighbour = super::env();
    neighbour.repo();
    let others = start(&neighbour);
    let running = start(&env);
    running.signal("-KILL");
    let _ = running.end();
    let run = env.run_ids().remove(0);
    let left = docker_things(&format!("smelt.run={run}"));
    assert_eq!(left.len(), 2 + volumes_of_its_own(&env), "{left:?}");
    let said = env.smelt(&["status", "job"]).with_code(0);
    assert!(said.stdout.contains("interrupted: job"), "{}", said.stdout);
    assert!(said.stderr.contains("smelt clean"), "{}", said.stderr);

    let said = env.smelt(&["clean"]).with_code(0);
    for what in ["removed container", "network", "interrupted: run"] {
        assert!(said.stdout.contains(what), "{}", said.stdout);
    }
    env.nothing_is_left(&repo);
    assert_eq!(env.status("job")["outcome"], "failed");
    assert!(foreign.is_there());
    assert_eq!(docker(&["inspect", "-f", "{{.State.Running}}", &others.container()]), "true");
    others.signal("-TERM");
    others.end().with_code(130);
}

/// The image of root's sandboxes is read-only; home and `/tmp` are volumes.
fn volumes_of_its_own(env: &TestEnv) -> usize {
    if env.home().account().is_none() { 2 } else { 0 }
}

#[test]
fn a_container_that_is_killed_from_outside_costs_no_work() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env);
    docker(&["kill", &running.container()]);
    let said = running.end().with_code(1);
    assert!(said.stdout.contains("failed: job"), "{}", said.stdout);
    assert!(said.stdout.contains("its container was ended from outside"), "{}", said.stdout);
    assert_eq!(kept(&env, &repo, "job", "work.txt"), "work");
    env.nothing_is_left(&repo);
}

#[test]
fn a_container_that_is_removed_from_outside_costs_no_work() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env);
    docker(&["rm", "-f", &running.container()]);
    let said = running.end().with_code(1);
    assert!(said.stdout.contains("its container was ended from outside"), "{}", said.stdout);
    assert_eq!(kept(&env, &repo, "job", "work.txt"), "work");
    env.nothing_is_left(&repo);
}

#[test]
fn a_container_that_is_killed_is_made_again_only_to_save_the_work() {
    let env = super::env();
    let repo = env.repo();
    let sessions = session("one", "true", "") + &session("two", "true", "");
    let agent = "echo work > $SMELT_SESSION.txt; sync; echo ready $SMELT_SESSION; sleep 600";
    let mut running = Running::start(&env, &env.manifest("job", agent, &sessions));
    running.wait_until_logged("ready one");
    running.wait_until_logged("ready two");
    docker(&["stop", "--time", "0", &running.container()]);
    let said = running.end().with_code(1);
    let status = env.status("job");
    for n in [0, 1] {
        let session = &status["sessions"][n];
        assert_eq!(session["state"], "agent_failed", "{}", said.stdout);
        assert!(session["reference"].is_string(), "{}", said.stdout);
    }
    env.nothing_is_left(&repo);
}

#[test]
fn sigterm_keeps_the_work_and_leaves_nothing_in_the_engine() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env);
    running.signal("-TERM");
    running.end().with_code(130);
    assert_eq!(kept(&env, &repo, "job", "work.txt"), "work");
    env.nothing_is_left(&repo);
}
