//! Sessions: what they start from, what is kept of them, how they are merged.

use crate::env::{amend, session};

#[test]
fn two_at_once_and_one_that_needs_both_on_thousands_of_files() {
    let env = super::env();
    let repo = env.repo();
    for folder in 0..50 {
        let path = repo.path().join(format!("src/{folder}"));
        std::fs::create_dir_all(&path).unwrap();
        for file in 0..80 {
            std::fs::write(path.join(format!("{file}.txt")), format!("{folder} {file}\n")).unwrap();
        }
    }
    env.home().give(&repo.path().join("src"));
    repo.commit("Four thousand files");
    // Each of the first two waits until the other has started: only at the same time can both end.
    let agent = "
        shared=/tmp/met; mkdir -p $shared; touch $shared/$SMELT_SESSION
        case $SMELT_SESSION in
        a|b) until [ -f $shared/a ] && [ -f $shared/b ]; do sleep 0.05; done
             echo $SMELT_SESSION > $SMELT_SESSION.txt
             git add . && git commit -qm \"Work of $SMELT_SESSION\" ;;
        c) cat a.txt b.txt > c.txt ;;
        esac";
    let sessions = session("a", "test -f a.txt", "")
        + &session("b", "test -f b.txt", "")
        + &session("c", "grep -q a c.txt && grep -q b c.txt", "depends_on = [\"a\", \"b\"]");
    let manifest = env.manifest("job", agent, &sessions);
    let said = env.run(&manifest).with_code(0);
    let result = repo.git(&["ls-tree", "--name-only", "smelt/job"]);
    assert_eq!(result, "README.md\na.txt\nb.txt\nc.txt\nsrc", "{}", said.stdout);
    let subjects = repo.git(&["log", "--format=%s", "main..smelt/job"]);
    for subject in ["Work of a", "Work of b", "c: what the agent left uncommitted"] {
        assert!(subjects.contains(subject), "{subjects}");
    }
    let status = env.status("job");
    assert_eq!(status["files_changed"], 3);
    for session in status["sessions"].as_array().unwrap() {
        assert_eq!(session["state"], "passed");
        assert_eq!(session["merged_gate"]["passed"], true);
    }
    env.nothing_is_left(&repo);
}

#[test]
fn work_is_kept_in_whatever_state_the_agent_leaves_it() {
    for (what, agent, gate) in [
        ("uncommitted", "echo a > a.txt; rm README.md", "test -f a.txt && ! test -e README.md"),
        ("staged and not", "echo a > a.txt; git add a.txt; echo b > b.txt", "cat a.txt b.txt"),
        (
            "on a branch of its own",
            "git checkout -qb other; echo a > a.txt; git add .; git commit -qm A",
            "cat a.txt",
        ),
        (
            "detached",
            "git checkout -q --detach; echo a > a.txt; git add .; git commit -qm A",
            "cat a.txt",
        ),
        (
            "with a lock left behind",
            "echo a > a.txt; touch \"$(git rev-parse --git-path index.lock)\"",
            "cat a.txt",
        ),
        (
            "with a broken index",
            "echo a > a.txt; echo x > \"$(git rev-parse --git-path index)\"",
            "cat a.txt",
        ),
        (
            "with a hook that refuses",
            "echo a > a.txt; h=\"$(git rev-parse --git-common-dir)/hooks\"; mkdir -p \"$h\"; printf '#!/bin/sh\\nexit 1\\n' > \"$h/pre-commit\"; chmod +x \"$h/pre-commit\"",
            "cat a.txt",
        ),
        (
            "with a repository inside, never committed to",
            "mkdir in; git init -q in; echo a > in/a.txt; echo b > a.txt",
            "cat in/a.txt",
        ),
        (
            "in the middle of a merge",
            "git checkout -qb x; echo x > README.md; git commit -qam X; git checkout -q -; echo y > README.md; git commit -qam Y; git merge x; echo a > a.txt; true",
            "cat a.txt",
        ),
        (
            "with odd names",
            "touch -- 'a b' '-x' 'ü' \"$(printf 'n\\nl')\"; echo a > a.txt",
            "test -e ./-x && cat a.txt",
        ),
    ] {
        let env = super::env();
        let repo = env.repo();
        let manifest = env.manifest("job", agent, &session("one", gate, ""));
        let said = env.run(&manifest);
        assert_eq!(said.code, Some(0), "{what}: {}{}", said.stdout, said.stderr);
        assert!(!repo.git(&["log", "main..smelt/job", "--format=%h"]).is_empty(), "{what}");
        env.nothing_is_left(&repo);
    }
}

#[test]
fn what_can_not_be_kept_is_said() {
    let env = super::env();
    let repo = env.repo();
    // A repository inside that has commits of its own: git records its commit, not its files.
    let agent = "mkdir in; git init -q in; (cd in; echo a > a; git add a; git -c user.name=x -c user.email=x commit -qm A); echo b > b.txt";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    let said = env.run(&manifest).with_code(0);
    assert!(said.stdout.contains("`in` is a repository of its own"), "{}", said.stdout);
    // An agent that goes somewhere else altogether.
    let agent = "echo a > a.txt; git add a.txt; git commit -qm Kept; git checkout -q --orphan new; git commit -qm Orphan";
    let manifest = env.manifest("stray", agent, &session("one", "test -f a.txt", ""));
    let said = env.run(&manifest).with_code(0);
    assert!(said.stdout.contains("is not built on where it started"), "{}", said.stdout);
    assert_eq!(repo.git(&["log", "-1", "--format=%s", "smelt/stray"]), "Kept");
    // Ignored files are nobody's work.
    repo.write(".gitignore", "*.log\n");
    repo.commit("Ignore");
    let manifest =
        env.manifest("ignored", "echo x > x.log; echo y > y.txt", &session("one", "true", ""));
    env.run(&manifest).with_code(0);
    assert_eq!(
        repo.git(&["ls-tree", "--name-only", "smelt/ignored"]),
        ".gitignore\nREADME.md\ny.txt"
    );
}

#[test]
fn what_a_gate_changes_is_not_part_of_the_result() {
    let env = super::env();
    let repo = env.repo();
    let gate = "echo built > built.txt; echo changed > a.txt; git add .; git commit -qm Gate; true";
    let manifest = env.manifest("job", "echo a > a.txt", &session("one", gate, ""));
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["ls-tree", "--name-only", "smelt/job"]), "README.md\na.txt");
    assert_eq!(repo.git(&["show", "smelt/job:a.txt"]), "a");
}

#[test]
fn the_task_arrives_on_stdin_and_in_a_file_and_the_gate_s_stdin_is_closed() {
    let env = super::env();
    let repo = env.repo();
    let agent = "cat > stdin.txt; cat \"$SMELT_SPEC_FILE\" > file.txt; env | grep ^SMELT_ | sort > env.txt; pwd > pwd.txt";
    let gate = "test \"$(cat)\" = '' && test \"$SMELT_SESSION\" = one && cmp stdin.txt file.txt";
    let manifest = env.manifest("job", agent, &session("one", gate, ""));
    amend(&manifest, "[environment]", "env = { PLAIN = 7 }");
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:stdin.txt"]), "Do one.");
    let told = repo.git(&["show", "smelt/job:env.txt"]);
    let names: Vec<_> = told.lines().filter_map(|line| line.split('=').next()).collect();
    let expected = [
        "SMELT_BASE_REF",
        "SMELT_JOB",
        "SMELT_MODEL",
        "SMELT_PROVIDER",
        "SMELT_RUN_ID",
        "SMELT_SESSION",
        "SMELT_SPEC_FILE",
    ];
    assert_eq!(names, expected);
}

#[test]
fn sessions_after_a_failed_one_are_skipped_and_others_go_on() {
    let env = super::env();
    let repo = env.repo();
    let sessions = session("bad", "false", "")
        + &session("after", "true", "depends_on = [\"bad\"]")
        + &session("good", "true", "");
    let manifest = env.manifest("job", "echo $SMELT_SESSION > $SMELT_SESSION.txt", &sessions);
    env.run(&manifest).with_code(2);
    let status = env.status("job");
    let state = |name: &str| {
        let sessions = status["sessions"].as_array().unwrap();
        sessions.iter().find(|s| s["name"] == name).unwrap().clone()
    };
    assert_eq!(state("bad")["state"], "gate_failed");
    assert_eq!(state("after")["state"], "skipped");
    assert_eq!(state("after")["reason"], "`bad` did not pass");
    assert_eq!(state("good")["state"], "passed");
    assert!(state("good")["reference"].is_string() && state("bad")["reference"].is_string());
    assert!(!repo.refs().contains("refs/heads/smelt"));
}

#[test]
fn an_octopus_merges_all_at_once_and_names_the_files_of_a_conflict() {
    let env = super::env();
    let repo = env.repo();
    let three = ["a", "b", "c"].map(|name| session(name, "true", "")).concat();
    let merge = "[merge]\nstrategy = \"octopus\"\n";
    let manifest =
        env.manifest("job", "echo $SMELT_SESSION > $SMELT_SESSION.txt", &format!("{merge}{three}"));
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["rev-list", "--parents", "-1", "smelt/job"]).split(' ').count(), 4);
    let manifest =
        env.manifest("torn", "echo $SMELT_SESSION > README.md", &format!("{merge}{three}"));
    let said = env.run(&manifest).with_code(4);
    assert!(said.stdout.contains("conflict in README.md"), "{}", said.stdout);
    env.nothing_is_left(&repo);
}

#[test]
fn a_gate_that_fails_on_the_merged_tree_only_keeps_the_branch_unwritten() {
    let env = super::env();
    let repo = env.repo();
    // Each adds a file; the gate allows one of them only.
    let gate = "test $(ls *.new | wc -l) -le 1";
    let sessions = session("a", gate, "") + &session("b", gate, "");
    let manifest = env.manifest("job", "echo x > $SMELT_SESSION.new", &sessions);
    let said = env.run(&manifest).with_code(2);
    assert!(said.stdout.contains("failed on the merged tree"), "{}", said.stdout);
    assert!(!repo.refs().contains("refs/heads/smelt"));
    let manifest = env.manifest(
        "trusting",
        "echo x > $SMELT_SESSION.new",
        &format!("[merge]\nverify = false\n{sessions}"),
    );
    env.run(&manifest).with_code(0);
}

#[test]
fn a_conflict_is_given_back_to_the_agent_once() {
    let env = super::env();
    let repo = env.repo();
    let agent = "
        task=$(cat \"$SMELT_SPEC_FILE\")
        [ \"$(cat)\" = \"$task\" ] || exit 1
        case $task in
        *conflicts*) echo \"both\" > README.md ;;
        *) echo $SMELT_SESSION > README.md ;;
        esac";
    let sessions = session("a", "true", "") + &session("b", "true", "");
    let merge = "[merge]\nai_resolution = true\n";
    let manifest = env.manifest("job", agent, &format!("{merge}{sessions}"));
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:README.md"]), "both");
    assert_eq!(repo.git(&["rev-list", "--parents", "-1", "smelt/job"]).split(' ').count(), 3);
    // An agent that leaves the markers, or gives the merge up, has not resolved it.
    for unhelpful in [
        "*conflicts*) true ;;",
        "*conflicts*) git merge --abort ;;",
        "*conflicts*) exit 1 ;;",
        "*conflicts*) git add --all; git commit -qm Resolved ;;",
    ] {
        let agent = agent.replace("*conflicts*) echo \"both\" > README.md ;;", unhelpful);
        let manifest = env.manifest("torn", &agent, &format!("{merge}{sessions}"));
        env.run(&manifest).with_code(4);
    }
    // The same between the sessions that a third one builds on.
    let third = session("c", "grep -q both README.md", "depends_on = [\"a\", \"b\"]");
    let agent = agent.replace("*) echo $SMELT_SESSION", "*' c.'*) true ;; *) echo $SMELT_SESSION");
    let manifest = env.manifest("third", &agent, &format!("{merge}{sessions}{third}"));
    env.run(&manifest).with_code(0);
    let manifest = env.manifest("unaided", &agent, &format!("{sessions}{third}"));
    env.run(&manifest).with_code(4);
    assert_eq!(env.status("unaided")["sessions"][2]["state"], "conflict");
    env.nothing_is_left(&repo);
}

#[test]
fn what_setup_makes_is_there_and_never_part_of_the_result() {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest(
        "job",
        "cat made/by-setup.txt > a.txt; cat ~/tool > b.txt",
        &session("one", "true", ""),
    );
    amend(
        &manifest,
        "[environment]",
        "setup = [\"mkdir made; echo made > made/by-setup.txt; echo x >> README.md\", \"echo tool > ~/tool\"]",
    );
    let said = env.run(&manifest).with_code(0);
    assert_eq!(
        repo.git(&["ls-tree", "--name-only", "smelt/job"]),
        "README.md\na.txt\nb.txt",
        "{}",
        said.stdout
    );
    assert_eq!(repo.git(&["diff", "--name-only", "main", "smelt/job"]), "a.txt\nb.txt");
    assert_eq!(repo.git(&["show", "smelt/job:a.txt"]), "made");
}

#[test]
fn a_cache_is_kept_between_runs_of_one_repository() {
    let env = super::env();
    let repo = env.repo();
    let agent = "echo once >> ~/.store/log; cp ~/.store/log log.txt";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    amend(&manifest, "[environment]", "cache = [\"~/.store\"]");
    env.run(&manifest).with_code(0);
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:log.txt"]), "once\nonce");
    env.smelt(&["clean", "--cache"]).with_code(0);
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:log.txt"]), "once");
}

#[test]
fn files_and_a_short_history_are_given_as_asked() {
    let env = super::env();
    let repo = env.repo();
    for n in 0..4 {
        repo.write("n.txt", format!("{n}"));
        repo.commit(&format!("{n}"));
    }
    env.write("tool.cfg", "setting\n");
    let agent = "cat ~/.config/tool.cfg > a.txt; git rev-list --count HEAD > depth.txt";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    amend(&manifest, "[environment]", "files = { \"~/.config/tool.cfg\" = \"tool.cfg\" }");
    amend(&manifest, "[job]", "depth = 2");
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:a.txt"]), "setting");
    assert_eq!(repo.git(&["show", "smelt/job:depth.txt"]), "2");
}

#[test]
fn an_agent_that_is_not_there_is_found_before_any_session_starts() {
    let env = super::env();
    env.repo();
    let manifest = env.manifest("job", "x", &session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("command = \"x\"", "agent = \"opencode\"")).unwrap();
    let said = env.run(&manifest).with_code(65);
    assert!(said.stdout.contains("the sandbox has no `opencode`"), "{}", said.stdout);
    assert!(said.stdout.contains("npm install -g opencode-ai"), "{}", said.stdout);
    assert!(said.stdout.contains("opencode is given no key"), "{}", said.stdout);
    assert_eq!(env.status("job")["sessions"][0]["state"], "waiting");
}

#[test]
fn work_on_another_branch_is_taken_or_told_of() {
    let env = super::env();
    let repo = env.repo();
    let commit = "echo x > x.txt; git add x.txt; git commit -qm Work";
    let ways = [
        format!("{commit}; git checkout -q main"),
        format!("git checkout -q -b feature; {commit}; git checkout -q -"),
        format!("git checkout -q -b feature; {commit}"),
    ];
    for (n, agent) in ways.iter().enumerate() {
        let manifest = env.manifest(&format!("job{n}"), agent, &session("one", "true", ""));
        env.run(&manifest).with_code(0);
        assert_eq!(repo.git(&["show", &format!("smelt/job{n}:x.txt")]), "x", "{agent}");
    }
    let both = format!("git checkout -q -b side; {commit}; git checkout -q -; echo y > y.txt");
    let manifest = env.manifest("both", &both, &session("one", "true", ""));
    let said = env.run(&manifest).with_code(0);
    assert!(said.stderr.contains("commits on the branch `side`"), "{}", said.stderr);
    // An amended commit is no work that is left behind.
    let amended = format!("{commit}; echo z > x.txt; git commit -qam Amended --amend");
    let manifest = env.manifest("amended", &amended, &session("one", "true", ""));
    let said = env.run(&manifest).with_code(0);
    assert!(!said.stderr.contains("on the branch"), "{}", said.stderr);
    env.nothing_is_left(&repo);
}

#[test]
fn a_session_s_time_covers_what_git_does_for_it() {
    let env = super::env();
    let repo = env.repo();
    // What the one commits keeps the checkout of the other busy.
    let agent = "case $SMELT_SESSION in a)
        git config filter.slow.smudge 'sleep 300; cat'
        echo '*.txt filter=slow' > .gitattributes
        echo x > x.txt ;; esac";
    let sessions = session("a", "true", "")
        + &session("b", "true", "depends_on = [\"a\"]").replace("timeout = 60", "timeout = 2");
    let manifest = env.manifest("job", agent, &sessions);
    env.run(&manifest).with_code(5);
    assert_eq!(env.status("job")["sessions"][1]["state"], "timed_out");
    env.nothing_is_left(&repo);
}

#[test]
fn what_setup_makes_is_in_every_session_s_worktree_and_hides_nothing() {
    let env = super::env();
    let repo = env.repo();
    repo.write(".gitignore", "installed/\n");
    repo.commit("Ignore");
    let agent = "test -f installed/tool || exit 1; echo $SMELT_SESSION > made/$SMELT_SESSION.txt";
    let sessions =
        session("a", "test -f installed/tool", "") + &session("b", "test -f installed/tool", "");
    let manifest = env.manifest("job", agent, &sessions);
    amend(
        &manifest,
        "[environment]",
        "setup = [\"mkdir -p installed made && touch installed/tool made/by-setup.txt\"]",
    );
    env.run(&manifest).with_code(0);
    let files = repo.git(&["ls-tree", "-r", "--name-only", "smelt/job"]);
    assert_eq!(files, ".gitignore\nREADME.md\nmade/a.txt\nmade/b.txt");
    env.nothing_is_left(&repo);
}

#[test]
fn a_session_whose_work_is_refused_costs_no_other_its_own() {
    let env = super::env();
    let repo = env.repo();
    let agent = "case $SMELT_SESSION in
        bad) printf '[submodule \"x\"]\n\tpath = -x\n\turl = ./x\n' > .gitmodules ;;
        *) echo $SMELT_SESSION > $SMELT_SESSION.txt ;; esac";
    let sessions =
        session("good", "true", "") + &session("bad", "true", "") + &session("fine", "true", "");
    let manifest = env.manifest("job", agent, &sessions);
    let said = env.run(&manifest).with_code(1);
    assert!(said.stdout.contains("bad: its work is not kept: git refuses"), "{}", said.stdout);
    let run = &env.run_ids()[0];
    for name in ["good", "fine"] {
        let file = format!("refs/smelt/runs/{run}/{name}:{name}.txt");
        assert_eq!(repo.git(&["show", &file]), name);
    }
    assert!(!repo.refs().contains("refs/heads/smelt"), "{}", repo.refs());
    env.nothing_is_left(&repo);
}

#[test]
fn an_agent_that_rewrites_history_loses_nothing() {
    let env = super::env();
    let repo = env.repo();
    let start = repo.git(&["rev-parse", "main"]);
    for (job, way) in [
        ("amended", "git commit -q --amend -m Amended"),
        (
            "squashed",
            "git reset -q --soft $(git commit-tree HEAD^{tree} -m New); git commit -qm Squashed",
        ),
    ] {
        let agent = format!("echo fix > fix.txt; git add fix.txt; {way}");
        let manifest = env.manifest(job, &agent, &session("one", "test -f fix.txt", ""));
        let said = env.run(&manifest).with_code(0);
        assert!(said.stdout.contains("is not built on where it started"), "{}", said.stdout);
        assert_eq!(repo.git(&["show", &format!("smelt/{job}:fix.txt")]), "fix");
        assert_eq!(repo.git(&["rev-parse", &format!("smelt/{job}^")]), start);
    }
    env.nothing_is_left(&repo);
}

/// A conflict without marks in a file: one side changes it, the other removes it.
#[test]
fn a_conflict_that_nobody_has_decided_is_not_resolved() {
    let env = super::env();
    let repo = env.repo();
    let agent = "case $(cat) in
        *conflicts*) DECIDE ;;
        *) case $SMELT_SESSION in a) echo more >> README.md ;; b) git rm -q README.md; echo b > b.txt ;; esac ;;
        esac";
    let sessions = session("a", "true", "") + &session("b", "true", "");
    let rest = format!("[merge]\nai_resolution = true\n{sessions}");
    for (job, decide, code) in [
        ("undecided", "true", 4),
        ("kept", "git add README.md", 0),
        ("gone", "git rm -q README.md", 0),
    ] {
        let manifest = env.manifest(job, &agent.replace("DECIDE", decide), &rest);
        env.run(&manifest).with_code(code);
    }
    env.nothing_is_left(&repo);
}
