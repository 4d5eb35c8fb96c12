//! What a hostile agent can't do.

use crate::env::{amend, session};

#[test]
fn a_branch_whose_name_steers_terminals_is_shown_without_that() {
    let env = super::env();
    let repo = env.repo();
    repo.git(&["checkout", "-q", "-b", "x\u{9b}31m\u{202e}y"]);
    let said = env.run(&env.manifest("job", "echo hi > new.txt", &session("one", "true", "")));
    let said = said.with_code(0);
    let status = env.smelt(&["status", "job"]).with_code(0);
    let odd = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    for text in [&said.stdout, &said.stderr, &status.stdout] {
        assert!(!text.contains(odd), "{text:?}");
    }
    assert!(said.stderr.contains("base xy at "), "{}", said.stderr);
    assert_eq!(env.status("job")["base_branch"], "xy");
}

/// Everything by which git can be made to run a program, planted in the workspace and its clone.
#[test]
fn planted_hooks_and_settings_run_nothing_on_the_host() {
    let env = super::env();
    let repo = env.repo();
    let canary = env.path().join("canary");
    let agent = r#"
        run="touch CANARY"
        common=$(git rev-parse --git-common-dir)
        for hook in pre-commit post-commit commit-msg post-checkout post-merge pre-merge-commit \
            reference-transaction pre-auto-gc post-rewrite update pre-receive post-receive fsmonitor-watchman; do
            printf '#!/bin/sh\n%s\n' "$run" > "$common/hooks-$hook"
            mkdir -p "$common/hooks"; cp "$common/hooks-$hook" "$common/hooks/$hook"; chmod +x "$common/hooks/$hook"
        done
        git config core.hooksPath "$common/hooks"
        git config core.fsmonitor "$run"
        git config core.sshCommand "$run"
        git config core.pager "$run"
        git config core.editor "$run"
        git config core.askPass "$run"
        git config core.alternateRefsCommand "$run"
        git config core.worktree /
        git config diff.external "$run"
        git config diff.x.textconv "$run"
        git config filter.x.clean "$run; cat"
        git config filter.x.smudge "$run; cat"
        git config merge.x.driver "$run"
        git config gpg.program "$run"
        git config commit.gpgSign true
        git config uploadpack.packObjectsHook "$run"
        git config credential.helper "!$run"
        git config url."ext::sh -c $run".insteadOf /
        git config protocol.ext.allow always
        git config include.path /tmp/more
        git config alias.bundle "!$run"
        git config remote.origin.url "ext::sh -c $run"
        git config submodule.x.update "!$run"
        printf '* filter=x diff=x merge=x\n' > .gitattributes
        echo work > work.txt
    "#.replace("CANARY", canary.to_str().unwrap());
    let manifest = env.manifest("job", &agent, &session("one", "true", ""));
    let config = std::fs::read(repo.path().join(".git/config")).unwrap();
    let hooks = |path: &str| {
        std::fs::read_dir(repo.path().join(path))
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let before = hooks(".git/hooks");
    let said = env.run(&manifest);
    assert!(!canary.exists(), "something ran on the host: {}", said.stderr);
    assert_eq!(std::fs::read(repo.path().join(".git/config")).unwrap(), config);
    assert_eq!(hooks(".git/hooks"), before);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    assert_eq!(repo.git(&["show", "smelt/job:work.txt"]), "work");
    env.nothing_is_left(&repo);
}

/// Ways to lead the host's git to another repository or object store.
#[test]
fn redirected_repositories_bring_no_foreign_object() {
    for (what, agent) in [
        (
            "gitfile",
            "echo x > x; git add x; git commit -qm X; c=$(git rev-parse --git-common-dir); rm -rf \"$c\"; echo 'gitdir: VICTIM/.git' > .git",
        ),
        (
            "commondir",
            "echo x > x; git add x; git commit -qm X; echo VICTIM/.git > \"$(git rev-parse --git-common-dir)/commondir\"",
        ),
        (
            "alternates",
            "echo VICTIM/.git/objects >> \"$(git rev-parse --git-common-dir)/objects/info/alternates\"; echo x > x; git add x; git commit -qm X",
        ),
        (
            "symlinked objects",
            "c=$(git rev-parse --git-common-dir); echo x > x; git add x; git commit -qm X; mv \"$c/objects\" \"$c/o\"; ln -s VICTIM/.git/objects \"$c/objects\"",
        ),
        (
            "symlinked refs",
            "c=$(git rev-parse --git-common-dir); echo x > x; git add x; git commit -qm X; rm -rf \"$c/refs\"; ln -s VICTIM/.git/refs \"$c/refs\"",
        ),
        (
            "a head of the victim's",
            "echo VICTIM_HEAD > \"$(git rev-parse --absolute-git-dir)/HEAD\"",
        ),
    ] {
        let env = super::env();
        let repo = env.repo();
        let victim = smelt_testing::TestRepo::new(env.home(), "victim");
        victim.write("secret.txt", "secret\n");
        let head = victim.commit("Secret");
        let agent =
            agent.replace("VICTIM_HEAD", &head).replace("VICTIM", victim.path().to_str().unwrap());
        let manifest = env.manifest("job", &agent, &session("one", "true", ""));
        env.run(&manifest);
        let has = repo.try_git(&["cat-file", "-e", &head]).status.success();
        assert!(!has, "{what} brought an object of the victim's");
        assert!(!repo.refs().contains(&head), "{what}");
        env.nothing_is_left(&repo);
    }
}

#[test]
fn targets_that_are_not_smelt_s_are_refused_and_stay() {
    let env = super::env();
    let repo = env.repo();
    repo.git(&["branch", "theirs"]);
    repo.git(&["branch", "base"]);
    let linked = env.path().join("linked");
    repo.git(&["worktree", "add", "--quiet", "-b", "busy", linked.to_str().unwrap()]);
    for (target, base, why) in [
        ("main", "base", "is the default branch"),
        ("busy", "main", "is checked out in"),
        ("theirs", "main", "which Smelt did not write"),
        ("+main", "main", "is not a branch name that Smelt writes"),
        ("refs/heads/x", "main", "without `refs/heads/`"),
        ("@", "main", "is not a branch name that Smelt writes"),
        ("-D", "main", "is not a branch name that Smelt writes"),
        ("HEAD", "main", "is not a branch"),
    ] {
        let before = repo.refs();
        let manifest = env.manifest(
            "job",
            "echo x > x.txt",
            &format!("[merge]\ntarget = \"{target}\"\n{}", session("one", "true", "")),
        );
        amend(&manifest, "[job]", &format!("base_ref = \"{base}\""));
        let said = env.run(&manifest).with_code(65);
        let told = said.stdout + &said.stderr;
        assert!(told.contains(why), "{target}: {told}");
        assert_eq!(repo.refs(), before, "{target}");
    }
    // The base itself gives way to the job's own branch.
    let before = repo.git(&["rev-parse", "main"]);
    let manifest = env.manifest(
        "job",
        "echo x > x.txt",
        &format!("[merge]\ntarget = \"main\"\n{}", session("one", "true", "")),
    );
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert_eq!(repo.git(&["show", "smelt/job:x.txt"]), "x");
    // A branch called `smelt` is in the way of all of them.
    repo.git(&["branch", "-m", "smelt/job", "kept"]);
    repo.git(&["branch", "smelt"]);
    let said = env.run(&manifest).with_code(65);
    assert!(said.stdout.contains("the branch `smelt` is in the way"), "{}", said.stdout);
    assert!(said.stdout.contains("git branch -m smelt smelt-old"), "{}", said.stdout);
}

#[test]
fn hostile_trees_and_enormous_files_change_nothing() {
    for (what, agent) in [
        // A gigabyte of nothing travels in a megabyte.
        (
            "a blob of a gigabyte",
            "head -c 1100000000 /dev/zero > zero.bin; git -c core.compression=1 add zero.bin; git commit -qm Zero",
        ),
        (
            "a hostile name",
            r#"
            b=$(echo x | git hash-object -w --stdin)
            t=$(printf '100644 blob %s\t.gitx\n' $b | git mktree | xargs git cat-file tree | sed 's/\.gitx/..\/../' | git hash-object -t tree -w --stdin --literally)
            git update-ref HEAD $(git commit-tree $t -p HEAD -m Hostile); git read-tree --empty; exit 3"#,
        ),
    ] {
        let env = super::env();
        let repo = env.repo();
        let manifest = env.manifest("job", agent, &session("one", "true", ""));
        let said = env.run(&manifest).with_code(1);
        let refs = repo.refs();
        assert!(!refs.contains("refs/heads/smelt"), "{what}: {}", said.stdout);
        repo.git(&["fsck", "--strict"]);
        env.nothing_is_left(&repo);
    }
}

#[test]
fn control_characters_are_rendered_nowhere() {
    let env = super::env();
    let repo = env.repo();
    let agent = "printf '\\033]52;c;aGVsbG8=\\007\\033[2J\\302\\233\\061mred\\033[0m \\342\\200\\256desrever\\r\\n'; printf 'x' > \"$(printf 'na\\033[31mme')\"; git add .; git commit -qm \"$(printf 'sub\\033[31mject')\"";
    let gate = "printf '\\033[31mgate\\033]0;title\\007\\n'; exit 1";
    let manifest = env.manifest("job", agent, &session("one", gate, ""));
    let said = env.run(&manifest).with_code(2);
    let mut rendered = said.stdout + &said.stderr;
    for args in [
        &["status", "job"][..],
        &["logs", "job"],
        &["list"],
        &["status", "job", "--json"],
        &["logs", "job", "--json"],
    ] {
        let said = env.smelt(args);
        rendered += &(said.stdout + &said.stderr);
    }
    for run in env.run_ids() {
        let logs = env.path().join(format!(".smelt/runs/job/{run}/logs"));
        for log in std::fs::read_dir(logs).unwrap().flatten() {
            rendered += &std::fs::read_to_string(log.path()).unwrap();
        }
    }
    assert!(rendered.contains("red ") && rendered.contains("gate"), "{rendered}");
    let odd = rendered
        .chars()
        .find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
    assert_eq!(odd, None, "{rendered:?}");
    env.nothing_is_left(&repo);
}

#[test]
fn folders_deeper_than_any_path_are_removed_and_cost_nothing() {
    let env = super::env();
    let repo = env.repo();
    let agent = "echo kept > kept.txt
        cd; n=0; while [ $n -lt 1200 ]; do mkdir d && cd -P d && n=$((n + 1)) || exit 1; done";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:kept.txt"]), "kept");
    env.nothing_is_left(&repo);
}
