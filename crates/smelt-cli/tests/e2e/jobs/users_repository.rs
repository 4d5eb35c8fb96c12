//! The user's repository: what a run may change in it is its result branch and `refs/smelt`.

use crate::env::{session, walk};
use smelt_testing::TestRepo;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every file of a folder with its content, but for what a run may change.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    const MAY_CHANGE: [&str; 4] =
        [".git/objects", ".git/refs/smelt", ".git/refs/heads/smelt", ".git/logs/refs/heads/smelt"];
    let mut files = BTreeMap::new();
    let mut next = vec![folder.to_owned()];
    while let Some(now) = next.pop() {
        for entry in std::fs::read_dir(now).unwrap().flatten() {
            let path = entry.path();
            let below = path.strip_prefix(folder).unwrap().to_owned();
            if MAY_CHANGE.iter().any(|may| below.starts_with(may)) {
                continue;
            }
            match entry.file_type().unwrap().is_dir() {
                true => next.push(path),
                false => drop(files.insert(below, std::fs::read(&path).unwrap_or_default())),
            }
        }
    }
    files
}

#[track_caller]
fn unchanged(before: &BTreeMap<PathBuf, Vec<u8>>, folder: &Path) {
    let after = snapshot(folder);
    let names: Vec<_> = before.keys().chain(after.keys()).collect();
    let changed: Vec<_> =
        names.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    assert!(changed.is_empty(), "changed: {changed:?}");
}

#[test]
fn a_dirty_checkout_its_index_config_and_hooks_stay_as_they_are() {
    let env = super::env();
    let repo = env.repo();
    repo.write(".gitignore", "ignored\n");
    repo.commit("Ignore");
    repo.write("README.md", "changed, not staged\n");
    repo.write("staged.txt", "staged\n");
    repo.git(&["add", "staged.txt"]);
    repo.write("untracked.txt", "untracked\n");
    repo.write("ignored", "ignored\n");
    repo.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch canary\n");
    repo.git(&["stash", "create"]);
    let before = snapshot(repo.path());
    let manifest =
        env.manifest("job", "cat README.md > saw.txt; ls > ls.txt", &session("one", "true", ""));
    let said = env.run(&manifest).with_code(0);
    unchanged(&before, repo.path());
    assert!(said.stdout.contains("3 uncommitted changes of your checkout"), "{}", said.stdout);
    assert_eq!(repo.git(&["show", "smelt/job:saw.txt"]), "# A repository");
    assert_eq!(repo.git(&["show", "smelt/job:ls.txt"]), "README.md\nls.txt\nsaw.txt");
    env.nothing_is_left(&repo);
}

#[test]
fn from_within_the_repository_its_status_stays_clean() {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest("job", "echo x > x.txt", &session("one", "true", ""));
    let mut command = env.command(&["run", manifest.to_str().unwrap()]);
    let said: crate::env::Said = command.current_dir(repo.path()).output().unwrap().into();
    said.with_code(0);
    assert!(repo.path().join(".smelt/runs/job/state.toml").exists());
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn two_jobs_at_once_do_not_see_each_other() {
    let env = super::env();
    let repo = env.repo();
    let agent = "echo $SMELT_JOB > $SMELT_JOB.txt; sleep 1; git branch -a > branches.txt; git log --all --oneline > log.txt; ls /smelt/sessions > sessions.txt";
    let jobs =
        ["first", "second"].map(|name| env.manifest(name, agent, &session("one", "true", "")));
    let runs: Vec<_> = jobs
        .iter()
        .map(|job| {
            env.command(&["run", job.to_str().unwrap(), "--output", "final"]).spawn().unwrap()
        })
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    for (own, other) in [("first", "second"), ("second", "first")] {
        let files = repo.git(&["ls-tree", "--name-only", &format!("smelt/{own}")]);
        assert!(files.contains(&format!("{own}.txt")) && !files.contains(&format!("{other}.txt")));
        let branches = repo.git(&["show", &format!("smelt/{own}:branches.txt")]);
        assert!(!branches.contains(other), "{branches}");
        assert_eq!(repo.git(&["show", &format!("smelt/{own}:log.txt")]).lines().count(), 1);
    }
    env.nothing_is_left(&repo);
}

#[test]
fn worktrees_bare_repositories_and_sha256_work_end_to_end() {
    let env = super::env();
    let repo = env.repo();
    let run_on = |name: &str, path: &str| {
        let manifest = env.manifest(name, "echo x > x.txt", &session("one", "true", ""));
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace("repo = \"repo\"", &format!("repo = \"{path}\"")))
            .unwrap();
        env.run(&manifest).with_code(0)
    };
    repo.git(&[
        "worktree",
        "add",
        "--quiet",
        "-b",
        "side",
        env.path().join("linked").to_str().unwrap(),
    ]);
    run_on("from-worktree", "linked");
    assert_eq!(repo.git(&["show", "smelt/from-worktree:x.txt"]), "x");
    repo.git(&["clone", "--quiet", "--bare", ".", env.path().join("bare.git").to_str().unwrap()]);
    run_on("from-bare", "bare.git");
    let bare = TestRepo::at(env.home(), env.path().join("bare.git"));
    assert_eq!(bare.git(&["show", "smelt/from-bare:x.txt"]), "x");
    let sha256 = TestRepo::empty(env.home(), "sha256", &["--object-format=sha256"]);
    sha256.write("a", "a\n");
    sha256.commit("First");
    run_on("from-sha256", "sha256");
    assert_eq!(sha256.git(&["show", "smelt/from-sha256:x.txt"]), "x");
}

#[test]
fn a_url_s_result_is_a_bundle_and_the_summary_says_how_to_fetch_it() {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest("job", "echo x > x.txt", &session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    let url = format!("file://{}", repo.path().display());
    std::fs::write(&manifest, text.replace("repo = \"repo\"", &format!("repo = \"{url}\"")))
        .unwrap();
    let before = repo.refs();
    let said = env.run(&manifest).with_code(0);
    assert_eq!(repo.refs(), before, "the remote is only read");
    let fetch = said.stdout.lines().find_map(|line| line.trim().strip_prefix("fetch")).unwrap();
    let words: Vec<_> = fetch.split_whitespace().skip(1).collect();
    repo.git(&words);
    assert_eq!(repo.git(&["show", "smelt/job:x.txt"]), "x");
    // A failed gate's work is in the bundle too.
    let manifest = env.manifest("bad", "echo y > y.txt", &session("one", "false", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("repo = \"repo\"", &format!("repo = \"{url}\"")))
        .unwrap();
    env.run(&manifest).with_code(2);
    let run = env
        .run_ids()
        .into_iter()
        .find(|run| env.path().join(format!(".smelt/runs/bad/{run}")).exists())
        .unwrap();
    let bundle = env.path().join(format!(".smelt/runs/bad/{run}/result.bundle"));
    let reference = format!("refs/smelt/runs/{run}/one");
    repo.git(&[
        "fetch",
        "--quiet",
        bundle.to_str().unwrap(),
        &format!("{reference}:refs/heads/looked-at"),
    ]);
    assert_eq!(repo.git(&["show", "looked-at:y.txt"]), "y");
    env.nothing_is_left(&repo);
}

mod needs_root {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, lchown};

    /// In a jail root is a user like others: what belongs to someone else and is shown to nobody
    /// can't be lent.
    #[test]
    fn the_repository_of_another_user_that_only_root_can_read() {
        let env = super::super::env();
        let repo = env.repo();
        for path in walk(repo.path()).into_iter().chain([repo.path().to_owned()]) {
            lchown(&path, Some(65534), Some(65534)).unwrap();
            if path.is_dir() && env.home().account().is_none() {
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
            }
        }
        let manifest = env.manifest("job", "echo x > x.txt", &session("one", "true", ""));
        let said = env.run(&manifest).with_code(65);
        assert!(said.stdout.contains("safe.directory"), "{}", said.stdout);
        let name = "[user]\n\tname = A\n\temail = a@example.com\n";
        let trust = format!("{name}[safe]\n\tdirectory = {}\n", repo.path().display());
        env.write("home/.gitconfig", trust);
        let said = env.run(&manifest);
        if env.home().account().is_some() {
            // Others can read it, and write nothing to it.
            let said = said.with_code(1);
            assert!(said.stdout.contains("must be able to write"), "{}", said.stdout);
        } else {
            said.with_code(0);
            assert_eq!(repo.git(&["show", "smelt/job:x.txt"]), "x");
            env.nothing_is_left(&repo);
        }
    }
}
