//! What a run changes in the user's repository: refs, and nothing else.

use crate::workspace::{Job, snapshot};
use smelt_core::git::{
    Publication, TargetRefusal, WriteError, check_target, choose_target, publish, refs,
    write_branch, write_bundle,
};
use smelt_core::name::{BranchName, JobName};
use smelt_testing::{Home, TestRepo};

fn branch(name: &str) -> BranchName {
    name.parse().unwrap()
}

/// Runs a job that writes `file`, and publishes it on `target`.
async fn publish_work(
    home: &Home,
    repo: &TestRepo<'_>,
    file: &str,
    target: &str,
) -> (Result<(), WriteError>, String, String) {
    let job = Job::open(home, repo.path(), "main").await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    workspace.write(file, "work\n");
    let commit = workspace.commit("Work");
    let (quarantine, commits) = job.take_out(&workspace, &["HEAD"]).await.unwrap();
    let target = branch(target);
    let publication = Publication {
        run: &job.run,
        sessions: &[("one".parse().unwrap(), commits[0].clone())],
        result: Some(&commits[0]),
    };
    publish(&job.repository, &quarantine, &publication).await.unwrap();
    let base = job.base.branch.as_deref();
    let written = write_branch(&job.repository, &target, &commits[0], base).await;
    (written, commit, job.run.to_string())
}

#[tokio::test]
async fn only_refs_and_objects_change_and_no_hook_runs() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    repo.write("dirty.txt", "dirty\n");
    let canary = home.path().join("canary");
    for hook in ["reference-transaction", "post-merge", "pre-auto-gc", "update", "post-receive"] {
        let path = home.write(
            format!("repo/.git/hooks/{hook}"),
            format!("#!/bin/sh\ntouch {}\n", canary.display()),
        );
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    repo.git(&["config", "core.fsmonitor", &format!("touch {}", canary.display())]);
    repo.git(&["config", "uploadpack.packObjectsHook", &format!("touch {}", canary.display())]);
    std::fs::remove_file(&canary).ok();
    let skip =
        [".git/objects", ".git/refs/smelt", ".git/refs/heads/smelt", ".git/logs/refs/heads/smelt"];
    let before = snapshot(repo.path(), &skip);
    let (published, commit, run) = publish_work(&home, &repo, "a.txt", "smelt/x").await;
    published.unwrap();
    assert_eq!(snapshot(repo.path(), &skip), before);
    assert!(!canary.exists());
    for name in [
        "refs/heads/smelt/x",
        "refs/smelt/results/smelt/x",
        &format!("refs/smelt/runs/{run}/one"),
        &format!("refs/smelt/runs/{run}/_result"),
    ] {
        assert_eq!(repo.git(&["rev-parse", name]), commit, "{name}");
    }
    repo.git(&["-c", "core.fsmonitor=false", "fsck", "--no-dangling"]);
}

#[tokio::test]
async fn a_branch_is_overwritten_only_where_smelt_wrote_it() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    let (first, first_commit, first_run) = publish_work(&home, &repo, "a.txt", "smelt/x").await;
    first.unwrap();
    let (second, second_commit, _) = publish_work(&home, &repo, "b.txt", "smelt/x").await;
    second.unwrap();
    assert_eq!(repo.git(&["rev-parse", "smelt/x"]), second_commit);
    // The first result is still reachable by its run.
    assert_eq!(
        repo.git(&["rev-parse", &format!("refs/smelt/runs/{first_run}/_result")]),
        first_commit
    );

    // Somebody commits on top: it is theirs now.
    let tree = repo.git(&["rev-parse", "smelt/x^{tree}"]);
    let theirs = repo.git(&["commit-tree", &tree, "-p", "smelt/x", "-m", "Review"]);
    repo.git(&["update-ref", "refs/heads/smelt/x", &theirs]);
    let (third, third_commit, run) = publish_work(&home, &repo, "c.txt", "smelt/x").await;
    let error = third.unwrap_err();
    assert!(matches!(error, WriteError::Refused(TargetRefusal::Foreign { .. })), "{error}");
    assert_eq!(repo.git(&["rev-parse", "smelt/x"]), theirs);
    // The work itself is kept.
    assert_eq!(repo.git(&["rev-parse", &format!("refs/smelt/runs/{run}/one")]), third_commit);
}

#[tokio::test]
async fn branches_that_are_not_smelt_s_are_refused() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    repo.git(&["branch", "theirs"]);
    repo.git(&["branch", "busy"]);
    repo.git(&["branch", "rebasing"]);
    repo.git(&["branch", "blocker"]);
    repo.git(&["branch", "parent/child"]);
    repo.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/theirs"]);
    repo.git(&["update-ref", "refs/remotes/origin/trunk", "HEAD"]);
    repo.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk"]);
    let linked = home.path().join("linked");
    repo.git(&["worktree", "add", "--quiet", linked.to_str().unwrap(), "busy"]);
    home.write("repo/.git/rebase-merge/head-name", "refs/heads/rebasing\n");
    // As if Smelt had written all of them: being checked out or the default still counts.
    for name in ["busy", "rebasing", "alias"] {
        repo.git(&["update-ref", &refs::last_written(name), "HEAD"]);
    }
    let job = Job::open(&home, repo.path(), "main").await.unwrap();
    let before = repo.refs();
    for (name, expected) in [
        ("main", "Base"),
        ("master", "Default"),
        ("trunk", "Default"),
        ("theirs", "Foreign"),
        ("alias", "Foreign"),
        ("busy", "CheckedOut"),
        ("rebasing", "CheckedOut"),
        ("blocker/x", "Blocked"),
        ("parent", "Blocked"),
    ] {
        let refusal = check_target(&job.repository, &branch(name), Some("main")).await.unwrap();
        let refusal = refusal.expect_err(name);
        assert!(format!("{refusal:?}").starts_with(expected), "{name}: {refusal:?}");
        assert!(!refusal.hint().is_empty());
        let (published, ..) = publish_work(&home, &repo, "x.txt", name).await;
        assert!(matches!(published, Err(WriteError::Refused(_))), "{name}");
    }
    let kept = |refs: &str| {
        let kept = refs.lines().filter(|line| !line.starts_with("refs/smelt/runs/"));
        kept.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(kept(&repo.refs()), kept(&before));
    let fine = check_target(&job.repository, &branch("smelt/fine"), Some("main")).await.unwrap();
    assert_eq!(fine.unwrap().tip, None);
}

#[test]
fn a_target_that_is_the_base_gives_way() {
    let job: JobName = "fix".parse().unwrap();
    assert_eq!(choose_target(&branch("main"), Some("main"), &job), branch("smelt/fix"));
    assert_eq!(choose_target(&branch("next"), Some("main"), &job), branch("next"));
    assert_eq!(choose_target(&branch("main"), None, &job), branch("main"));
}

/// The record of a branch that somebody has removed stands where the folder of another's would be.
#[tokio::test]
async fn the_record_of_a_branch_that_is_gone_is_not_in_the_way() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    for (n, target) in ["feature", "feature/one", "feature"].into_iter().enumerate() {
        let (published, commit, _) = publish_work(&home, &repo, &format!("{n}.txt"), target).await;
        published.unwrap();
        assert_eq!(repo.git(&["rev-parse", target]), commit);
        repo.git(&["branch", "--quiet", "-D", target]);
    }
}

#[tokio::test]
async fn a_url_s_result_is_a_bundle_to_fetch_from() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    let job = Job::open(&home, repo.path(), "main").await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    workspace.write("a.txt", "work\n");
    let commit = workspace.commit("Work");
    let (quarantine, commits) = job.take_out(&workspace, &["HEAD"]).await.unwrap();
    let target = branch("smelt/x");
    let publication = Publication {
        run: &job.run,
        sessions: &[("one".parse().unwrap(), commits[0].clone())],
        result: Some(&commits[0]),
    };
    let path = home.path().join("result.bundle");
    write_bundle(&quarantine, &job.base.commit, &publication, &target, &path).await.unwrap();
    repo.git(&["fetch", "--quiet", path.to_str().unwrap(), "smelt/x:smelt/x"]);
    assert_eq!(repo.git(&["rev-parse", "smelt/x"]), commit);
}
