//! What a hostile agent can't do.

use crate::env::{TestEnv, session};

fn amend(manifest: &std::path::Path, section: &str, keys: &str) {
    let text = std::fs::read_to_string(manifest).unwrap();
    std::fs::write(manifest, text.replace(section, &format!("{section}\n{keys}"))).unwrap();
}

#[test]
fn a_branch_whose_name_steers_terminals_is_shown_without_that() {
    let env = TestEnv::new();
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
    let env = TestEnv::new();
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
        let env = TestEnv::new();
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
fn the_jail_shows_nothing_of_the_host_that_it_does_not_need() {
    let env = TestEnv::new();
    let repo = env.repo();
    env.write("home/.ssh/id_ed25519", "private");
    env.write("home/.netrc", "private");
    let agent = r#"
        exec > report.txt 2>&1
        id -u; grep Cap /proc/self/status
        for path in REPO HOMEDIR/.ssh HOMEDIR/.netrc /etc/shadow /etc/ssl/private /root/.bashrc /var/run/docker.sock \
            /run/docker.sock /var/lib /srv /sys /boot /etc/smelt; do
            if [ -e "$path" ]; then echo "SEEN $path"; fi
        done
        for path in / /usr /etc /smelt/objects/0 /usr/bin; do
            if touch "$path/written" 2>/dev/null; then echo "WRITTEN $path"; fi
        done
        mount -o remount,rw,bind /usr 2>/dev/null && echo "REMOUNTED"
        unshare -U true 2>/dev/null && echo "NAMESPACE"
        ls /proc | grep -c '^[0-9]'
        hostname
        echo "PARENT $(tr '\0' ' ' < /proc/1/cmdline | cut -c 1-5)"
    "#.replace("REPO", repo.path().to_str().unwrap()).replace("HOMEDIR", env.home().home().to_str().unwrap());
    let manifest = env.manifest("job", &agent, &session("one", "true", ""));
    env.run(&manifest).with_code(0);
    let report = repo.git(&["show", "smelt/job:report.txt"]);
    for bad in ["SEEN", "WRITTEN", "REMOUNTED", "NAMESPACE"] {
        assert!(!report.contains(bad), "{report}");
    }
    let capabilities = report.lines().filter(|line| line.starts_with("Cap"));
    assert!(capabilities.clone().count() >= 4);
    assert!(capabilities.into_iter().all(|line| line.ends_with("0000000000000000")), "{report}");
    assert!(report.contains("smelt"), "its own host name: {report}");
}

#[test]
fn without_a_network_there_is_none() {
    let env = TestEnv::new();
    let repo = env.repo();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let agent = format!(
        "(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached > r.txt || echo alone > r.txt"
    );
    let manifest = env.manifest("job", &format!("bash -c '{agent}'"), &session("one", "true", ""));
    let said = env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:r.txt"]), "reached");
    assert!(said.stdout.contains("shares this machine's network"), "{}", said.stdout);
    amend(&manifest, "[environment]", "network = \"none\"");
    let said = env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:r.txt"]), "alone");
    assert!(said.stdout.contains("no network"), "{}", said.stdout);
}

#[test]
fn targets_that_are_not_smelt_s_are_refused_and_stay() {
    let env = TestEnv::new();
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
fn a_branch_that_becomes_somebody_s_during_the_run_is_left_to_them() {
    let env = TestEnv::new();
    let repo = env.repo();
    let agent = "echo x > x.txt; echo ready; until [ -e ~/go ]; do sleep 0.05; done";
    let manifest = env.manifest("job", agent, &session("one", "sleep 1", ""));
    let mut run = env
        .command(&["run", manifest.to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !env.smelt(&["logs", "job"]).stdout.contains("agent | ready") {
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(run.try_wait().unwrap().is_none());
    }
    repo.git(&["branch", "smelt/job"]);
    let theirs = repo.git(&["rev-parse", "smelt/job"]);
    // The jail's home is the run's own; its host folder is where the agent looks.
    let scratch = env.home().home().join(".cache/smelt/scratch");
    let owner = std::fs::read_dir(scratch).unwrap().next().unwrap().unwrap().path();
    let home = std::fs::read_dir(owner).unwrap().next().unwrap().unwrap().path().join("home");
    std::fs::write(home.join("go"), "").unwrap();
    let said: crate::env::Said = run.wait_with_output().unwrap().into();
    let said = said.with_code(69);
    assert!(said.stdout.contains("undelivered: job"), "{}", said.stdout);
    assert!(said.stdout.contains("the work is kept under the run's own refs"), "{}", said.stdout);
    assert_eq!(repo.git(&["rev-parse", "smelt/job"]), theirs);
    let reference = env.status("job")["sessions"][0]["reference"].clone();
    assert!(
        reference.is_string()
            && repo.git(&["show", &format!("{}:x.txt", reference.as_str().unwrap())]) == "x",
        "{}",
        said.stdout
    );
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
        let env = TestEnv::new();
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
    let env = TestEnv::new();
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
fn limits_hold() {
    let env = TestEnv::new();
    let repo = env.repo();
    // A hundred processes at once, where twenty are allowed.
    let agent = "n=0; while [ $n -lt 100 ]; do sleep 5 & n=$((n + 1)); done 2> err.txt; jobs | wc -l > count.txt; true";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    amend(&manifest, "[environment]", "resources = { pids = 20, memory = \"300M\", cpu = 1 }");
    let _ = env.run(&manifest);
    let status = env.status("job");
    let reference = status["sessions"][0]["reference"].as_str().expect("work was kept");
    let errors = repo.git(&["show", &format!("{reference}:err.txt")]);
    assert!(errors.to_lowercase().contains("fork") || errors.contains("Resource"), "{errors}");
    // Half a gigabyte of memory, where less is allowed.
    let hog =
        "python3 -c 'x = bytearray(600_000_000); print(len(x))' > got.txt; echo $? > code.txt";
    let manifest = env.manifest("hog", hog, &session("one", "true", ""));
    amend(&manifest, "[environment]", "resources = { memory = \"300M\" }");
    env.run(&manifest);
    let status = env.status("hog");
    let reference = status["sessions"][0]["reference"].as_str().expect("work was kept");
    assert_ne!(repo.git(&["show", &format!("{reference}:code.txt")]), "0");
    assert_eq!(repo.git(&["show", &format!("{reference}:got.txt")]), "");
    env.nothing_is_left(&repo);
}

#[test]
fn folders_deeper_than_any_path_are_removed_and_cost_nothing() {
    let env = TestEnv::new();
    let repo = env.repo();
    let agent = "echo kept > kept.txt
        cd; n=0; while [ $n -lt 1200 ]; do mkdir d && cd -P d && n=$((n + 1)) || exit 1; done";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:kept.txt"]), "kept");
    env.nothing_is_left(&repo);
}
