//! What other processes of Smelt find of a run: its pod, wherever that is.

use super::{env, only_its_own_is_left, start, tells};
use crate::env::{Said, TestEnv, amend, session};
use crate::running::Running;
use serde_json::Value;
use smelt_testing_kubernetes::Fault;
use std::io::Write;
use std::process::Stdio;

/// A namespace that the kubeconfig does not name.
const ELSEWHERE: &str = "agents";

/// Who may look nowhere but in [`ELSEWHERE`], as a Role there has it.
fn only_there(env: &TestEnv) {
    for place in ["/api/v1/pods", "/v1/networkpolicies", "/namespaces/smelt/"] {
        env.cluster().fault(Fault::status("GET", place, 403).times(1000));
    }
}

/// Starts a job whose pod is in [`ELSEWHERE`].
fn start_elsewhere<'a>(env: &'a TestEnv, agent: &str) -> Running<'a> {
    env.cluster().add_namespace(ELSEWHERE);
    only_there(env);
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    let named = format!("namespace = \"{ELSEWHERE}\"");
    std::fs::write(&manifest, text.replace("namespace = \"smelt\"", &named)).unwrap();
    Running::start(env, &manifest)
}

fn namespaces(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["metadata"]["namespace"].as_str().unwrap()).collect()
}

#[test]
fn after_kill_9_clean_removes_the_pod_and_its_policy_and_nothing_else() {
    let env = env();
    let repo = env.repo();
    let running = start(&env);
    let pod = running.container();
    running.signal("-KILL");
    let _ = running.end();
    assert_eq!((env.cluster().pods().len(), env.cluster().network_policies().len()), (1, 1));
    let said = env.smelt(&["status", "job"]).with_code(0);
    tells(&said, "interrupted: job");
    let said = env.smelt(&["clean", "--dry-run"]).with_code(0);
    tells(&said, &format!("would remove pod smelt/{pod}, network policy smelt/{pod}"));
    assert_eq!(env.cluster().pods().len(), 1);
    let said = env.smelt(&["clean"]).with_code(0);
    tells(&said, &format!("removed pod smelt/{pod}, network policy smelt/{pod}"));
    assert_eq!(env.status("job")["outcome"], "failed");
    only_its_own_is_left(&env, &repo);
}

#[test]
fn clean_leaves_the_pods_of_others_and_of_runs_that_go_on() {
    let env = env();
    let _repo = env.repo();
    let running = start(&env);
    // Another folder's owner, in the same cluster.
    let other = env.path().join("other/.smelt");
    std::fs::create_dir_all(&other).unwrap();
    env.home().give(other.parent().unwrap());
    env.smelt(&["clean", "--dir", "other"]).with_code(0);
    let said = env.smelt(&["clean"]).with_code(0);
    tells(&said, "job is running: left alone");
    assert_eq!((env.cluster().pods().len(), env.cluster().network_policies().len()), (1, 1));
    running.signal("-TERM");
    running.end().with_code(130);
}

#[test]
fn clean_finds_the_pod_where_the_run_had_it_though_it_may_look_nowhere_else() {
    let env = env();
    let repo = env.repo();
    let running = start_elsewhere(&env, super::PATIENT);
    running.signal("-KILL");
    let _ = running.end();
    assert_eq!(namespaces(&env.cluster().pods()), [ELSEWHERE]);
    assert_eq!(namespaces(&env.cluster().network_policies()), [ELSEWHERE]);
    assert_eq!(env.status("job")["kubernetes"]["namespace"], ELSEWHERE);
    let said = env.smelt(&["clean"]).with_code(0);
    tells(&said, "removed pod agents/smelt-");
    only_its_own_is_left(&env, &repo);
}

#[test]
fn a_run_that_is_stopped_there_leaves_nothing() {
    let env = env();
    let repo = env.repo();
    let running = start_elsewhere(&env, super::PATIENT);
    env.smelt(&["stop", "job"]).with_code(0);
    running.end().with_code(130);
    only_its_own_is_left(&env, &repo);
}

#[test]
fn a_shell_opens_where_a_session_works() {
    let env = env();
    let repo = env.repo();
    let agent = "echo mine > mine.txt; echo ready; until [ -e ~/go ]; do sleep 0.05; done";
    let running = start_elsewhere(&env, agent);
    let typed = |text: &str| {
        let mut command = env.command(&["shell", "job"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        Said::from(child.wait_with_output().unwrap())
    };
    let said = typed("cat mine.txt\npwd\necho complaint >&2\nexit 0\n").with_code(0);
    assert!(said.stdout.starts_with("mine\n/smelt/"), "{}", said.stdout);
    assert_eq!(said.stderr, "complaint\n");
    typed("exit 7\n").with_code(1);
    typed("touch ~/go\n").with_code(0);
    running.end().with_code(0);
    let said = env.smelt(&["shell", "job"]).with_code(1);
    tells(&said, "`job` is not running");
    env.nothing_is_left(&repo);
}

#[test]
fn a_manifest_s_context_is_remembered_too() {
    let env = env();
    let repo = env.repo();
    let manifest = env.manifest("job", super::PATIENT, &session("one", "true", ""));
    amend(&manifest, "[kubernetes]", "context = \"scripted\"");
    // Whoever comes later works with another cluster.
    let path = env.path().join("home/.kube/scripted");
    let running = Running::start(&env, &manifest);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("current-context: scripted\n", "")).unwrap();
    running.signal("-KILL");
    let _ = running.end();
    let said = env.smelt(&["clean"]).with_code(0);
    tells(&said, "removed pod smelt/smelt-");
    only_its_own_is_left(&env, &repo);
}
