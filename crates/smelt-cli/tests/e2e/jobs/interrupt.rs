//! Stopping a run: politely, at once, from outside, and by force.

use crate::env::{Said, TestEnv, session};
use crate::running::Running;
use smelt_testing::TestRepo;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The job `job`, whose agent goes on until somebody stops it.
fn start<'a>(env: &'a TestEnv, agent: &str) -> Running<'a> {
    Running::start(env, &env.manifest("job", agent, &session("one", "true", "")))
}

const PATIENT: &str = "echo work > work.txt; echo ready; sleep 600";
const STUBBORN: &str =
    "echo work > work.txt; trap '' TERM INT HUP; echo ready; while :; do sleep 1; done";

#[track_caller]
fn was_cancelled(env: &TestEnv, repo: &TestRepo<'_>) {
    let status = env.status("job");
    assert_eq!(status["outcome"], "cancelled");
    assert_eq!(status["sessions"][0]["state"], "cancelled");
    assert!(!repo.refs().contains("refs/heads/smelt"));
    env.nothing_is_left(repo);
}

#[test]
fn a_first_signal_keeps_the_work_and_removes_the_sandbox() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let env = super::env();
        let repo = env.repo();
        let running = start(&env, PATIENT);
        running.signal(signal);
        let said = running.end().with_code(130);
        assert!(said.stderr.contains("once more to stop at once"), "{}", said.stderr);
        was_cancelled(&env, &repo);
        let reference = env.status("job")["sessions"][0]["reference"].clone();
        assert_eq!(
            repo.git(&["show", &format!("{}:work.txt", reference.as_str().unwrap())]),
            "work"
        );
    }
}

#[test]
fn an_agent_that_ignores_signals_is_ended_all_the_same() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env, STUBBORN);
    running.signal("-TERM");
    running.end().with_code(130);
    was_cancelled(&env, &repo);
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_sandbox_is_removed_still() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env, STUBBORN);
    let pid = running.pid();
    running.signal("-INT");
    std::thread::sleep(Duration::from_millis(200));
    // It may have ended by now; then there is nobody to signal.
    let _ = Command::new("kill").args(["-INT", &pid]).status();
    running.end().with_code(130);
    was_cancelled(&env, &repo);
}

#[test]
fn stop_ends_a_run_from_outside() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env, PATIENT);
    let said = env.smelt(&["stop", "job"]).with_code(0);
    assert!(said.stdout.contains("job has stopped"), "{}", said.stdout);
    running.end().with_code(130);
    was_cancelled(&env, &repo);
    let said = env.smelt(&["stop", "job"]).with_code(1);
    assert!(said.stderr.contains("`job` is not running"), "{}", said.stderr);
}

#[test]
fn a_job_runs_once_at_a_time_and_the_second_is_told_who_has_it() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env, PATIENT);
    let said = env.smelt(&["run", "job.toml"]).with_code(1);
    let status = env.status("job");
    assert!(said.stderr.contains(&format!("process {}", status["pid"])), "{}", said.stderr);
    assert!(said.stderr.contains(status["run_id"].as_str().unwrap()), "{}", said.stderr);
    assert!(said.stderr.contains("smelt stop job"), "{}", said.stderr);
    running.signal("-TERM");
    running.end().with_code(130);
    env.nothing_is_left(&repo);
}

#[test]
fn after_kill_9_clean_leaves_no_process_and_the_repository_is_whole() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env, STUBBORN);
    running.signal("-KILL");
    let _ = running.end();
    let said = env.smelt(&["status", "job"]).with_code(0);
    assert!(said.stdout.contains("interrupted: job"), "{}", said.stdout);
    assert!(said.stderr.contains("smelt clean"), "{}", said.stderr);
    assert!(env.smelt(&["list"]).stdout.contains("interrupted"));

    let refs = repo.refs();
    let said = env.smelt(&["clean", "--dry-run"]).with_code(0);
    assert!(said.stdout.contains("would remove sandbox files"), "{}", said.stdout);
    let said = env.smelt(&["clean"]).with_code(0);
    assert!(said.stdout.contains("removed sandbox files"), "{}", said.stdout);
    env.nothing_is_left(&repo);
    assert_eq!(repo.refs(), refs, "a run that is listed keeps its refs");
    repo.git(&["fsck", "--strict"]);
    assert_eq!(env.status("job")["outcome"], "failed");
    // And the job can be run again.
    let manifest = env.manifest("job", "echo done > done.txt", &session("one", "true", ""));
    env.run(&manifest).with_code(0);
    let said = env.smelt(&["clean", "--older-than", "0s"]).with_code(0);
    assert_eq!(said.stdout.matches("removed run").count(), 2, "{}", said.stdout);
    let left = repo.refs();
    assert!(!left.contains("refs/smelt/runs/") && left.contains("refs/heads/smelt/job"), "{left}");
    assert!(env.smelt(&["list"]).with_code(0).stderr.contains("nothing has been run"));
    assert!(!env.path().join(".smelt/runs/job").exists());
}

#[test]
fn following_ends_when_the_run_is_killed_and_says_so() {
    let env = super::env();
    let _repo = env.repo();
    let running = start(&env, STUBBORN);
    let mut follow = env.command(&["logs", "job", "-f"]);
    let follow = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    running.signal("-KILL");
    let _ = running.end();
    let said = Said::from(follow.wait_with_output().unwrap()).with_code(0);
    assert!(said.stdout.contains("agent | ready"), "{}", said.stdout);
    assert!(said.stderr.contains("was interrupted: its process is gone"), "{}", said.stderr);
    env.smelt(&["clean"]).with_code(0);
}

/// Takes a run's outcome away, as if its process had been killed before it could write it down.
fn lose_outcome(env: &TestEnv, run: &str) {
    use sha2::{Digest, Sha256};
    let path = env.path().join(format!(".smelt/runs/job/{run}/state.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("outcome = "));
    let body: String =
        lines.take_while(|l| !l.starts_with("# sha256:")).map(|l| format!("{l}\n")).collect();
    let sum: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(path, format!("{body}# sha256:{sum}\n")).unwrap();
}

#[test]
fn an_interrupted_run_keeps_its_work_and_does_not_become_the_newest_again() {
    let env = super::env();
    let repo = env.repo();
    let agent = "echo $SMELT_RUN_ID > work.txt";
    env.run(&env.manifest("job", agent, &session("one", "true", ""))).with_code(0);
    let first = env.run_ids().remove(0);
    lose_outcome(&env, &first);
    env.run(&env.manifest("job", agent, &session("one", "true", ""))).with_code(0);
    let newest = || std::fs::read_to_string(env.path().join(".smelt/runs/job/state.toml")).unwrap();
    let before = newest();
    assert!(!before.contains(&first));
    let said = env.smelt(&["clean"]).with_code(0);
    assert!(said.stdout.contains(&format!("interrupted: run {first}")), "{}", said.stdout);
    assert_eq!(newest(), before);
    let said = env.smelt(&["status", "job", "--run", &first, "--json"]).with_code(0);
    let status: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(status["outcome"], "failed");
    let reference = status["sessions"][0]["reference"].as_str().unwrap();
    assert_eq!(repo.git(&["show", &format!("{reference}:work.txt")]), first);
}

#[test]
fn clean_leaves_a_running_job_alone() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env, PATIENT);
    let refs = repo.refs();
    let said = env.smelt(&["clean", "--older-than", "0s"]).with_code(0);
    assert!(said.stderr.contains("job is running: left alone"), "{}", said.stderr);
    assert_eq!(repo.refs(), refs);
    running.signal("-TERM");
    running.end().with_code(130);
    was_cancelled(&env, &repo);
}

#[test]
fn the_cache_is_not_cleared_while_a_run_uses_it_also_of_another_folder() {
    let env = super::env();
    let repo = env.repo();
    let running = start(&env, PATIENT);
    let mirror = env.home().home().join(".cache/smelt/mirrors/some.git");
    std::fs::create_dir_all(&mirror).unwrap();
    std::fs::create_dir_all(env.path().join("other/.smelt")).unwrap();
    for folder in [&env.path().join("other"), mirror.parent().unwrap()] {
        env.home().give(folder);
    }
    let clean = ["clean", "--cache", "--dir", "other"];
    let said = env.smelt(&clean).with_code(1);
    assert!(said.stderr.contains("a run uses the mirrors"), "{}", said.stderr);
    assert!(!said.stdout.contains("removed mirrors") && mirror.exists(), "{}", said.stdout);
    running.signal("-TERM");
    running.end().with_code(130);
    let said = env.smelt(&clean).with_code(0);
    assert!(said.stdout.contains("removed mirrors") && !mirror.exists(), "{}", said.stdout);
    was_cancelled(&env, &repo);
}
