//! Repositories as people have them: each works, or is refused by name with the way out.

use crate::workspace::{Job, git_of, snapshot};
use smelt_core::git::{Objects, RepositoryError};
use smelt_testing::{Home, TestRepo};
use std::num::NonZeroU32;

/// A repository with some history, in which the workspace must show what HEAD holds.
async fn works(home: &Home, repo: &TestRepo<'_>, base: &str) {
    let job = Job::open(home, repo.path(), base).await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    assert_eq!(workspace.head(), job.base.commit.as_str());
    assert_eq!(workspace.git(&["status", "--porcelain"]), "");
    let tree = |repo: &TestRepo<'_>, commit: &str| repo.git(&["ls-tree", "-r", commit]);
    assert_eq!(tree(&workspace, "HEAD"), tree(repo, job.base.commit.as_str()));
    assert!(!workspace.git(&["ls-files"]).is_empty(), "something was checked out");
    workspace.git(&["fsck", "--no-dangling"]);
    // It can be worked in: new objects go into the workspace's own store.
    workspace.write("new.txt", "new\n");
    workspace.commit("New");
    let (_, commits) = job.take_out(&workspace, &["HEAD"]).await.unwrap();
    assert_eq!(commits[0].as_str(), workspace.head());
}

fn with_history<'a>(home: &'a Home, name: &str) -> TestRepo<'a> {
    let repo = TestRepo::new(home, name);
    for n in 0..5 {
        repo.write(&format!("dir/{n}.txt"), format!("{n}\n"));
        repo.commit(&format!("Commit {n}"));
    }
    repo
}

#[tokio::test]
async fn plain_and_from_a_subfolder() {
    let home = Home::new();
    let repo = with_history(&home, "repo");
    works(&home, &repo, "HEAD").await;
    let below = TestRepo::at(&home, repo.path().join("dir"));
    let job = Job::open(&home, below.path(), "main").await.unwrap();
    assert_eq!(job.workspace(job.borrowed()).await.git(&["ls-files"]).lines().count(), 6);
}

#[tokio::test]
async fn dirty_tree() {
    let home = Home::new();
    let repo = with_history(&home, "repo");
    repo.write("README.md", "changed\n");
    repo.write("untracked.txt", "x\n");
    repo.write("staged.txt", "x\n");
    repo.git(&["add", "staged.txt"]);
    let before = snapshot(repo.path(), &[".git/refs/smelt"]);
    works(&home, &repo, "HEAD").await;
    let job = Job::open(&home, repo.path(), "HEAD").await.unwrap();
    assert_eq!(job.repository.uncommitted_changes().await, 3);
    assert_eq!(snapshot(repo.path(), &[".git/refs/smelt"]), before);
}

#[tokio::test]
async fn linked_worktree() {
    let home = Home::new();
    let repo = with_history(&home, "repo");
    let linked = home.path().join("linked");
    repo.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
    let linked = TestRepo::at(&home, linked);
    linked.write("side.txt", "side\n");
    linked.commit("Side");
    works(&home, &linked, "HEAD").await;
}

#[tokio::test]
async fn submodule_checkout() {
    let home = Home::new();
    let inner = with_history(&home, "inner");
    let outer = TestRepo::new(&home, "outer");
    let url = inner.path().to_str().unwrap();
    outer.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
    outer.commit("Add a submodule");
    let sub = TestRepo::at(&home, outer.path().join("sub"));
    sub.git(&["config", "user.name", "Test"]);
    sub.git(&["config", "user.email", "t@localhost"]);
    works(&home, &sub, "HEAD").await;
    works(&home, &outer, "HEAD").await;
    let job = Job::open(&home, outer.path(), "HEAD").await.unwrap();
    let special = job.repository.special_content(&job.base.commit).await.unwrap();
    assert!(special.submodules && !special.lfs);
}

#[tokio::test]
async fn shallow() {
    let home = Home::new();
    let origin = with_history(&home, "origin");
    let clone = home.path().join("clone");
    let url = format!("file://{}", origin.path().display());
    origin.git(&["clone", "--quiet", "--depth=2", &url, clone.to_str().unwrap()]);
    let clone = TestRepo::at(&home, clone);
    works(&home, &clone, "HEAD").await;
    let job = Job::open(&home, clone.path(), "HEAD").await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    assert_eq!(workspace.git(&["rev-list", "--count", "HEAD"]), "2");
}

#[tokio::test]
async fn blobless_partial_clone() {
    let home = Home::new();
    let origin = with_history(&home, "origin");
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    let clone = home.path().join("clone");
    let url = format!("file://{}", origin.path().display());
    origin.git(&[
        "clone",
        "--quiet",
        "--filter=blob:none",
        "--no-checkout",
        &url,
        clone.to_str().unwrap(),
    ]);
    let error = Job::open(&home, &clone, "HEAD").await.err().unwrap();
    assert!(matches!(error, RepositoryError::Incomplete { .. }), "{error}");
    let hint = error.hint().unwrap();
    // The way out, as it is given, is a way out.
    let command = hint.split("complete it: git ").nth(1).unwrap().split(';').next().unwrap();
    let words: Vec<_> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
    assert!(home.command("git").args(&words).status().unwrap().success(), "{command}");
    works(&home, &TestRepo::at(&home, clone), "HEAD").await;
}

#[tokio::test]
async fn sha256_objects() {
    let home = Home::new();
    let repo = TestRepo::empty(&home, "repo", &["--object-format=sha256"]);
    repo.write("a.txt", "a\n");
    repo.commit("First");
    assert_eq!(repo.head().len(), 64);
    works(&home, &repo, "HEAD").await;
}

#[tokio::test]
async fn alternates_of_its_own() {
    let home = Home::new();
    let origin = with_history(&home, "origin");
    let middle = home.path().join("middle");
    let clone = home.path().join("clone");
    origin.git(&["clone", "--quiet", "--shared", ".", middle.to_str().unwrap()]);
    let middle = TestRepo::at(&home, middle);
    middle.git(&["clone", "--quiet", "--shared", ".", clone.to_str().unwrap()]);
    let clone = TestRepo::at(&home, clone);
    clone.git(&["config", "user.name", "Test"]);
    clone.git(&["config", "user.email", "t@localhost"]);
    clone.write("own.txt", "own\n");
    clone.commit("Own");
    works(&home, &clone, "HEAD").await;
    let job = Job::open(&home, clone.path(), "HEAD").await.unwrap();
    assert_eq!(job.repository.objects().len(), 3);
}

#[tokio::test]
async fn bare() {
    let home = Home::new();
    let origin = with_history(&home, "origin");
    let bare = home.path().join("bare.git");
    origin.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    works(&home, &TestRepo::at(&home, bare), "HEAD").await;
}

#[tokio::test]
async fn tags_remote_branches_commits_and_a_detached_head() {
    let home = Home::new();
    let origin = with_history(&home, "origin");
    origin.git(&["tag", "-a", "v1", "-m", "v1", "HEAD~1"]);
    origin.git(&["branch", "feature/x", "HEAD~2"]);
    let clone = home.path().join("clone");
    origin.git(&["clone", "--quiet", ".", clone.to_str().unwrap()]);
    let clone = TestRepo::at(&home, clone);
    for (base, branch) in [
        ("v1", None),
        ("origin/feature/x", Some("feature/x")),
        ("main", Some("main")),
        (&origin.git(&["rev-parse", "HEAD~3"]), None),
    ] {
        works(&home, &clone, base).await;
        let job = Job::open(&home, clone.path(), base).await.unwrap();
        assert_eq!(job.base.branch.as_deref(), branch, "{base}");
    }
    clone.git(&["checkout", "--quiet", "--detach", "HEAD~1"]);
    works(&home, &clone, "HEAD").await;
    let job = Job::open(&home, clone.path(), "HEAD").await.unwrap();
    assert_eq!(job.base.branch, None);
}

#[tokio::test]
async fn filters_hooks_and_line_endings_of_the_user_do_not_run_or_reach_inside() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    let canary = home.path().join("canary");
    let plant = format!("touch {}", canary.display());
    repo.write(
        ".gitattributes",
        "*.bin filter=planted\n*.lfs filter=lfs diff=lfs merge=lfs -text\n",
    );
    repo.write("a.bin", "content\n");
    repo.write("b.lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    repo.write("c.txt", "one\ntwo\n");
    repo.commit("Attributes");
    repo.git(&["config", "filter.planted.smudge", &format!("sh -c '{plant}; cat'")]);
    repo.git(&["config", "filter.planted.required", "true"]);
    repo.git(&["config", "core.fsmonitor", &plant]);
    repo.git(&["config", "core.autocrlf", "true"]);
    home.write(
        "home/.gitconfig",
        format!(
            "[init]\n\ttemplateDir = {0}/template\n[core]\n\thooksPath = {0}/hooks\n",
            home.path().display()
        ),
    );
    for hook in
        ["template/hooks/post-checkout", "hooks/post-checkout", "hooks/reference-transaction"]
    {
        let path = home.write(hook, format!("#!/bin/sh\n{plant}\n"));
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    let job = Job::open(&home, repo.path(), "HEAD").await.unwrap();
    let special = job.repository.special_content(&job.base.commit).await.unwrap();
    assert!(special.lfs && !special.submodules);
    assert!(!canary.exists(), "opening ran something");
    let plan_only = Job::open(&home, repo.path(), "HEAD").await.unwrap();
    std::fs::remove_file(home.home().join(".gitconfig")).unwrap();
    let workspace = plan_only.workspace(plan_only.borrowed()).await;
    assert!(!canary.exists(), "the clone ran something");
    let read = |name: &str| std::fs::read_to_string(workspace.path().join(name)).unwrap();
    assert_eq!(read("c.txt"), "one\ntwo\n");
    assert!(read("b.lfs").starts_with("version https://git-lfs"));
}

#[tokio::test]
async fn a_short_history_is_copied_and_nothing_is_borrowed() {
    let home = Home::new();
    let repo = with_history(&home, "repo");
    repo.git(&["branch", "secret"]);
    let job = Job::open(&home, repo.path(), "HEAD").await.unwrap();
    let workspace = job.workspace(Objects::Copied(NonZeroU32::new(2))).await;
    assert_eq!(workspace.git(&["rev-list", "--count", "HEAD"]), "2");
    assert!(!workspace.path().join(".git/objects/info/alternates").exists());
    assert!(
        !workspace
            .try_git(&["cat-file", "-e", &repo.git(&["rev-parse", "HEAD~4"])])
            .status
            .success()
    );
    workspace.write("new.txt", "new\n");
    workspace.commit("New");
    job.take_out(&workspace, &["HEAD"]).await.unwrap();
}

#[tokio::test]
async fn the_base_stays_when_the_user_throws_it_away() {
    let home = Home::new();
    let repo = with_history(&home, "repo");
    let job = Job::open(&home, repo.path(), "HEAD").await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    repo.git(&["reset", "--quiet", "--hard", "HEAD~3"]);
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["gc", "--quiet", "--prune=now"]);
    workspace.git(&["fsck", "--no-dangling"]);
}

#[tokio::test]
async fn what_can_not_work_is_refused_by_name_with_the_way_out() {
    let home = Home::new();
    let git = git_of(&home);
    let open = |path: std::path::PathBuf| {
        let git = git.clone();
        async move { smelt_core::git::Repository::open(&git, &path).await }
    };
    let error = open(home.path().join("nowhere")).await.unwrap_err();
    assert!(matches!(error, RepositoryError::NoFolder { .. }));
    let error = open(home.home()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::NotARepository { .. }), "{error}");
    assert!(error.hint().unwrap().contains("git init"));

    let unborn = TestRepo::empty(&home, "unborn", &[]);
    let error = Job::open(&home, unborn.path(), "HEAD").await.err().unwrap();
    assert!(matches!(error, RepositoryError::Unborn { .. }), "{error}");

    let repo = with_history(&home, "repo");
    let error = Job::open(&home, repo.path(), "mian").await.err().unwrap();
    assert!(error.hint().unwrap().contains("did you mean `main`?"), "{error}");
    assert!(matches!(error, RepositoryError::NoSuchBase { .. }));
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_not_taken_for_a_new_repository() {
    let home = Home::new();
    let repo = with_history(&home, "repo");
    let head = repo.head();
    let object = repo.path().join(".git/objects").join(&head[..2]).join(&head[2..]);
    std::fs::remove_file(object).unwrap();
    let error = Job::open(&home, repo.path(), "HEAD").await.err().unwrap();
    assert!(matches!(error, RepositoryError::Damaged { .. }), "{error}");
    assert!(error.hint().unwrap().contains("fsck"));
}

mod needs_root {
    use super::*;

    #[tokio::test]
    async fn another_owner_is_refused_until_the_user_trusts_it() {
        let home = Home::new();
        let repo = with_history(&home, "repo");
        std::os::unix::fs::chown(repo.path(), Some(65534), None).unwrap();
        std::os::unix::fs::chown(repo.path().join(".git"), Some(65534), None).unwrap();
        let error = Job::open(&home, repo.path(), "HEAD").await.err().unwrap();
        assert!(matches!(error, RepositoryError::OtherOwner { .. }), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("safe.directory"), "{hint}");
        let trust = format!("[safe]\n\tdirectory = {}\n", repo.path().display());
        home.write("home/.gitconfig", trust);
        let job = Job::open(&home, repo.path(), "HEAD").await.unwrap();
        job.workspace(job.borrowed()).await;
    }
}
