//! What becomes of jobs by Assay where it is not what it should be, or not there.

use super::assay::{Assay, BOTH, files, session};

/// Puts a script in the place of `assay`.
fn replace(assay: &Assay, script: &str) {
    let path = assay.tools.bin().join("assay");
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
}

#[test]
fn an_assay_that_only_says_so_passes_nothing() {
    for (what, script, reason) in [
        ("nothing done", "exit 0", "assay left no worktree"),
        ("a usage error", "echo no such flag >&2; exit 2", "assay left no worktree"),
        ("a crash", "echo thread panicked >&2; exit 101", "exit code 101: thread panicked"),
        ("half a report", "echo '{ \"sessions\": ['; exit 1", "exit code 1: { \"sessions\": ["),
    ] {
        for mode in BOTH {
            let assay = Assay::new();
            let repo = assay.env.repo();
            replace(&assay, script);
            let sessions = session("a", "true", "true", "") + &session("b", "true", "true", "");
            assay.run(mode, &sessions, 1);
            let told = assay.state("a")["reason"].as_str().unwrap().to_owned();
            let reason = if mode == "together" { "assay ended with exit code" } else { reason };
            assert!(told.contains(reason), "{what}: {told}");
            assert!(!repo.refs().contains("refs/heads/smelt"));
            assay.env.nothing_is_left(&repo);
        }
    }
    // A gate that Assay has not run is run all the same.
    let assay = Assay::new();
    let repo = assay.env.repo();
    let worktree = "git worktree add -q -b assay/one ../smelt-worktrees/one; echo a > ../smelt-worktrees/one/a.txt";
    replace(&assay, worktree);
    assay.run("separate", &session("one", "true", "test -f b.txt", ""), 2);
    assay.run("separate", &session("one", "true", "test -f a.txt", ""), 0);
    assert_eq!(files(&repo, "smelt/job"), "README.md a.txt");
}

#[test]
fn what_is_missing_is_told_at_once_before_any_session() {
    for (there, message) in [
        (&[][..], "the sandbox has no `assay`, no `claude`"),
        (&["claude"], "the sandbox has no `assay`"),
        (&["assay"], "the sandbox has no `claude`"),
    ] {
        let assay = Assay::with(there);
        let repo = assay.env.repo();
        let said = assay.run("separate", &session("one", "true", "true", ""), 65);
        assert!(said.stdout.contains(message), "{}", said.stdout);
        assert!(!said.stdout.contains("[one] started"), "{}", said.stdout);
        let alternative = said.stdout.contains("`kind = \"direct\"`");
        assert_eq!(alternative, !there.contains(&"assay"), "{}", said.stdout);
        let install = said.stdout.contains("npm install -g @anthropic-ai/claude-code");
        assert_eq!(install, !there.contains(&"claude"), "{}", said.stdout);
        assay.env.nothing_is_left(&repo);
    }
}
