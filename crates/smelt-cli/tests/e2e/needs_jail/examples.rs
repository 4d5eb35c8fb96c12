//! The examples that run on a machine without Docker.

use crate::env::{TestEnv, copy_examples};

#[test]
fn the_quickstart() {
    let env = TestEnv::new();
    let repo = env.repo();
    copy_examples(&repo);
    let said = env.smelt(&["run", "repo/examples/quickstart/job.toml"]).with_code(0);
    assert!(said.stdout.contains("smelt/quickstart"), "{}", said.stdout);
    let contents = repo.git(&["show", "smelt/quickstart:CONTENTS.md"]);
    assert!(contents.lines().any(|line| line == "examples/quickstart/agent.sh"), "{contents}");
    env.nothing_is_left(&repo);
}
