//! An image that can't be had, or can't be used.

use crate::env::{TestEnv, session};
use std::path::{Path, PathBuf};

fn job(env: &TestEnv, image: &str) -> PathBuf {
    job_of(env, image, &session("one", "true", ""))
}

fn job_of(env: &TestEnv, image: &str, sessions: &str) -> PathBuf {
    let manifest = env.manifest("job", "true", sessions);
    replace(&manifest, "smelt-test/base", image);
    manifest
}

fn replace(manifest: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(manifest).unwrap();
    assert!(text.contains(from));
    std::fs::write(manifest, text.replace(from, to)).unwrap();
}

#[test]
fn an_image_that_is_missing_and_may_not_be_pulled() {
    let env = super::env();
    let repo = env.repo();
    let said = env.run(&job(&env, "smelt-test/none:v1")).with_code(69);
    assert!(said.stdout.contains("`smelt-test/none:v1`"), "{}", said.stdout);
    let help = said.stdout.lines().find(|line| line.contains("help: ")).expect(&said.stdout);
    assert!(help.contains("docker pull") || help.contains("pull = \"missing\""), "{help}");
    env.nothing_is_left(&repo);
}

#[test]
fn an_image_whose_name_makes_no_sense() {
    let env = super::env();
    let repo = env.repo();
    for name in ["UPPER/Case", "a b", "x:y:z", "-it", "../etc", "a@sha256:short"] {
        let said = env.run(&job(&env, name));
        // What is a name, and of nothing, is for the engine to tell.
        assert!(matches!(said.code, Some(65 | 69)), "{name}: {}{}", said.stdout, said.stderr);
        let words = said.stdout + &said.stderr;
        assert!(words.contains(name), "{name}: {words}");
    }
    env.nothing_is_left(&repo);
}

#[test]
fn an_image_without_git_is_told_before_the_sessions_start() {
    let env = super::env();
    let repo = env.repo();
    let two = session("one", "true", "") + &session("two", "true", "");
    for sessions in [session("one", "true", ""), two] {
        is_told_that_git_is_missing(&env, &job_of(&env, "smelt-test/bare", &sessions));
    }
    env.nothing_is_left(&repo);
}

#[track_caller]
fn is_told_that_git_is_missing(env: &TestEnv, manifest: &Path) {
    let said = env.run(manifest).with_code(65);
    assert!(said.stdout.contains("the sandbox has no `git`"), "{}", said.stdout);
    let help = said.stdout.lines().find(|line| line.contains("help: ")).expect(&said.stdout);
    assert!(help.contains("install"), "{help}");
    assert_eq!(env.status("job")["sessions"][0]["state"], "waiting");
}
