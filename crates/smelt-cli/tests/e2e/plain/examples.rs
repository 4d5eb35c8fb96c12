//! The files in `examples/`, as a user would try them.

use crate::env::{TestEnv, copy_examples};
use std::collections::BTreeSet;

#[test]
fn every_manifest_shows_its_plan() {
    let env = TestEnv::new();
    let repo = env.repo();
    copy_examples(&repo);
    // The hosts they name are this repository.
    env.write(
        "home/.gitconfig",
        format!(
            "[url \"file://{0}\"]\n\tinsteadOf = https://github.com/your-org/app.git\n\
             \tinsteadOf = git@github.com:your-org/app.git\n",
            repo.path().display()
        ),
    );
    let mut shown = String::new();
    for name in [
        "job-manifest",
        "job-manifest-compose",
        "job-manifest-forge",
        "job-manifest-k8s",
        "agent-manifest",
    ] {
        let path = format!("repo/examples/{name}.toml");
        let said = env.smelt(&["run", &path, "--dry-run"]).with_code(0);
        assert_eq!(said.stderr, "", "{name}");
        shown += &format!("--- {name}\n{}\n", said.stdout);
    }
    insta::with_settings!({filters => vec![
        (r"/tmp/smelt-test-\w+", "[folder]"), (r"\b[0-9a-f]{10}\b", "[commit]"),
    ]}, {
        insta::assert_snapshot!(shown);
    });
}

#[test]
fn every_mistake_of_the_bad_manifest_is_told_at_its_line() {
    let env = TestEnv::new();
    copy_examples(&env.repo());
    let said = env.smelt(&["run", "repo/examples/bad-manifest.toml", "--dry-run"]).with_code(65);
    let text = std::fs::read_to_string(env.path().join("repo/examples/bad-manifest.toml")).unwrap();
    // A comment such as `# 8: one mistake; 9: another`.
    let mistakes = |line: &str| {
        let comment = line.split_once('#').map_or("", |(_, comment)| comment);
        let parts = comment.split("; ");
        parts.filter(|part| part.trim().starts_with(|c: char| c.is_ascii_digit())).count()
    };
    let named: usize = text.lines().map(mistakes).sum();
    assert!(said.stderr.contains(&format!("error: {named} errors in")), "{}", said.stderr);
    let places = said.stderr.lines().filter_map(|line| line.trim().strip_prefix("--> "));
    let told: BTreeSet<usize> =
        places.map(|place| place.split(':').nth(1).unwrap().parse().unwrap()).collect();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| mistakes(line) > 0) {
        // What a table lacks is told where it begins.
        let table = text.lines().take(n + 1).enumerate().filter(|(_, l)| l.starts_with('[')).last();
        let table = table.map_or(0, |(n, _)| n + 1);
        assert!(told.contains(&(n + 1)) || told.contains(&table), "not told: {line}");
    }
    assert!(!said.stderr.contains("hunter2") && !said.stderr.contains("sk-ant"), "{}", said.stderr);
}

#[test]
fn the_server_s_configuration_is_good() {
    let env = TestEnv::new();
    copy_examples(&env.repo());
    let said = env.smelt(&["doctor", "--config", "repo/examples/server.toml"]);
    assert!(said.stdout.contains("✓ configuration"), "{}{}", said.stdout, said.stderr);
}
