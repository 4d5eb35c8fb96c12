//! Each exit code, and what is left after it: nothing.

use crate::env::{TestEnv, amend, session};

/// Runs a job with one session; makes sure of its exit code and outcome, and that nothing is left.
#[track_caller]
fn ends(agent: &str, gate: &str, more: &str, code: i32, outcome: &str) -> (TestEnv, String) {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest("job", agent, &format!("{more}\n{}", session("one", gate, "")));
    let said = env.run(&manifest).with_code(code);
    assert!(said.stdout.contains(&format!("{outcome}: job")), "{}", said.stdout);
    assert_eq!(env.status("job")["outcome"], outcome);
    let list = env.smelt(&["list"]).with_code(0).stdout;
    assert!(list.contains(outcome), "{list}");
    let logs = env.smelt(&["logs", "job"]).with_code(0).stdout;
    assert!(logs.contains(&format!("== {outcome}")), "{logs}");
    env.nothing_is_left(&repo);
    let refs = repo.refs();
    drop(repo);
    (env, refs)
}

#[test]
fn code_0_complete() {
    let (_env, refs) = ends("echo new > new.txt", "test -f new.txt", "", 0, "complete");
    assert!(refs.contains("refs/heads/smelt/job"));
}

#[test]
fn code_1_an_agent_that_fails() {
    let agent = "echo half > half.txt; echo I give up; exit 7";
    let (env, refs) = ends(agent, "true", "", 1, "failed");
    assert!(!refs.contains("refs/heads/smelt"));
    let status = env.status("job");
    assert_eq!(status["sessions"][0]["state"], "agent_failed");
    assert!(status["failure"]["message"].as_str().unwrap().contains("exit code 7"));
    assert_eq!(status["failure"]["hint"], "`smelt logs job --session one` shows its output");
    // What it had done is kept.
    let repo = smelt_testing::TestRepo::at(env.home(), env.path().join("repo"));
    let reference = status["sessions"][0]["reference"].as_str().unwrap();
    assert_eq!(repo.git(&["show", &format!("{reference}:half.txt")]), "half");
}

#[test]
fn code_1_a_setup_command_that_fails() {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    amend(&manifest, "[environment]", "setup = [\"echo no such package >&2; exit 4\"]");
    let said = env.run(&manifest).with_code(1);
    assert!(said.stdout.contains("the setup command"), "{}", said.stdout);
    assert!(said.stdout.contains("no such package"), "{}", said.stdout);
    env.nothing_is_left(&repo);
}

#[test]
fn code_2_a_gate_that_fails() {
    let gate = "echo checking; echo expected 4, got 5 >&2; exit 9";
    let (env, refs) = ends("echo 5 > sum.txt", gate, "", 2, "gates_failed");
    assert!(!refs.contains("refs/heads/smelt"));
    let status = env.status("job");
    assert_eq!(status["sessions"][0]["gate"]["exit_code"], 9);
    // The summary shows the gate's last words, and the line that shows the work.
    let said = env.smelt(&["status", "job"]).with_code(0);
    assert!(said.stdout.contains("expected 4, got 5"), "{}", said.stdout);
    let look = said.stdout.lines().find_map(|line| line.trim().strip_prefix("look")).unwrap();
    let words: Vec<_> = look.split_whitespace().skip(1).collect();
    let shown = env.home().command("git").args(words).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("+5"), "{look}");
}

#[test]
fn code_3_nothing_to_do() {
    let (_env, refs) = ends("true", "true", "", 3, "no_changes");
    assert!(!refs.contains("refs/heads/smelt"));
}

#[test]
fn code_4_work_that_does_not_fit_together() {
    let env = super::env();
    let repo = env.repo();
    let sessions = session("left", "true", "") + &session("right", "true", "");
    let manifest = env.manifest("job", "echo $SMELT_SESSION > README.md", &sessions);
    let said = env.run(&manifest).with_code(4);
    assert!(said.stdout.contains("conflict in README.md"), "{}", said.stdout);
    let status = env.status("job");
    assert_eq!(status["outcome"], "conflict");
    assert_eq!(status["conflicts"][0], "README.md");
    assert!(!repo.refs().contains("refs/heads/smelt"));
    // Both sides are kept, and the summary says how to merge one of them.
    assert_eq!(said.stdout.matches("  take ").count(), 2, "{}", said.stdout);
    env.nothing_is_left(&repo);
}

#[test]
fn code_5_a_session_that_takes_too_long() {
    let env = super::env();
    let repo = env.repo();
    let agent = "echo started > work.txt; trap '' TERM; sleep 60 & sleep 60";
    let sessions = session("one", "true", "").replace("timeout = 60", "timeout = 1");
    let manifest = env.manifest("job", agent, &sessions);
    let said = env.run(&manifest).with_code(5);
    assert!(said.stdout.contains("timed_out: job"), "{}", said.stdout);
    let status = env.status("job");
    assert_eq!(status["sessions"][0]["state"], "timed_out");
    let reference = status["sessions"][0]["reference"].as_str().unwrap();
    assert_eq!(repo.git(&["show", &format!("{reference}:work.txt")]), "started");
    env.nothing_is_left(&repo);
}

#[test]
fn code_5_a_job_that_takes_too_long() {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest("job", "echo a > a.txt; sleep 60", &session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("repo = \"repo\"", "repo = \"repo\"\ntimeout = 2"))
        .unwrap();
    env.run(&manifest).with_code(5);
    let status = env.status("job");
    let reference = status["sessions"][0]["reference"].as_str().unwrap();
    assert_eq!(repo.git(&["show", &format!("{reference}:a.txt")]), "a");
    env.nothing_is_left(&repo);
}

#[test]
fn code_65_a_wrong_manifest_or_base() {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest("job", "true", "");
    let said = env.run(&manifest).with_code(65);
    assert!(said.stderr.contains("no `[[session]]`"), "{}", said.stderr);
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(
        &manifest,
        text.replace("repo = \"repo\"", "repo = \"repo\"\nbase_ref = \"mian\""),
    )
    .unwrap();
    let said = env.run(&manifest).with_code(65);
    assert!(said.stdout.contains("did you mean `main`?"), "{}", said.stdout);
    env.nothing_is_left(&repo);
}
