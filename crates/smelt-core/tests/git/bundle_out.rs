//! What comes out of a sandbox: hostile until shown otherwise.

use crate::workspace::{Job, run};
use smelt_core::git::{Limits, Oid, QuarantineError};
use smelt_testing::{Home, TestRepo};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

async fn setting(home: &Home) -> (TestRepo<'_>, Job<'_>, TestRepo<'_>) {
    let repo = TestRepo::new(home, "repo");
    repo.write("a.txt", "a\n");
    repo.commit("Second");
    let job = Job::open(home, repo.path(), "HEAD").await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    (repo, job, workspace)
}

/// A raw object of the workspace, whatever git thinks of it.
fn object(workspace: &TestRepo<'_>, kind: &str, content: &[u8]) -> String {
    let args = ["hash-object", "-t", kind, "-w", "--stdin", "--literally"];
    let mut child =
        workspace.git_command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A tree with these entries: mode, name, object.
fn tree(workspace: &TestRepo<'_>, entries: &[(&str, &str, &str)]) -> String {
    let mut content = Vec::new();
    for (mode, name, oid) in entries {
        content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let digits: Vec<_> = oid.bytes().map(|c| (c as char).to_digit(16).unwrap() as u8).collect();
        content.extend(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    object(workspace, "tree", &content)
}

fn commit_of(workspace: &TestRepo<'_>, tree: &str, parents: &[&str]) -> String {
    let mut args = vec!["commit-tree", tree, "-m", "Hostile"];
    args.extend(parents.iter().flat_map(|parent| ["-p", parent]));
    workspace.git(&args)
}

fn point(workspace: &TestRepo<'_>, commit: &str) {
    workspace.git(&["update-ref", "refs/smelt/result", commit]);
}

const RESULT: &[&str] = &["refs/smelt/result"];

#[tokio::test]
async fn honest_work_comes_out_whole() {
    let home = Home::new();
    let (_repo, job, workspace) = setting(&home).await;
    workspace.write("b.txt", "b\n");
    let one = workspace.commit("One");
    workspace.git(&["rm", "--quiet", "a.txt"]);
    let two = workspace.commit("Two");
    workspace.git(&["update-ref", "refs/smelt/session/0", &one]);
    point(&workspace, &two);
    let refs = ["refs/smelt/session/0", "refs/smelt/result"];
    let (quarantine, commits) = job.take_out(&workspace, &refs).await.unwrap();
    assert_eq!(commits.iter().map(Oid::as_str).collect::<Vec<_>>(), [&one, &two]);
    let stat = quarantine.stat(&commits[1]).await.unwrap();
    assert_eq!((stat.commits, stat.files_changed, stat.insertions, stat.deletions), (2, 2, 1, 1));
}

#[tokio::test]
async fn content_of_older_commits_may_come_back() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    repo.write("old.txt", "old content\n");
    repo.commit("Old");
    repo.write("old.txt", "new content\n");
    repo.commit("New");
    let job = Job::open(&home, repo.path(), "HEAD").await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    workspace.git(&["revert", "--no-edit", "HEAD"]);
    point(&workspace, &workspace.head());
    job.take_out(&workspace, RESULT).await.unwrap();
}

#[tokio::test]
async fn hostile_trees_are_refused_by_fsck_s_name_for_them() {
    for (name, fsck) in [
        (".git", "hasDotgit"),
        (".GIT", "hasDotgit"),
        ("git~1", "hasDotgit"),
        (".", "hasDot"),
        ("..", "hasDotdot"),
        ("a/b", "fullPathname"),
    ] {
        let home = Home::new();
        let (repo, job, workspace) = setting(&home).await;
        let before = repo.refs();
        let blob = object(&workspace, "blob", b"x\n");
        let tree = tree(&workspace, &[("100644", name, &blob)]);
        point(&workspace, &commit_of(&workspace, &tree, &[job.base.commit.as_str()]));
        let error = job.take_out(&workspace, RESULT).await.unwrap_err();
        assert!(matches!(error, QuarantineError::Refused(_)), "{name}: {error}");
        assert!(error.to_string().contains(fsck), "{name}: {error}");
        assert_eq!(repo.refs(), before);
    }
}

#[tokio::test]
async fn a_bad_gitmodules_is_refused() {
    let home = Home::new();
    let (_repo, job, workspace) = setting(&home).await;
    workspace.write(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=touch\n");
    point(&workspace, &workspace.commit("Modules"));
    let error = job.take_out(&workspace, RESULT).await.unwrap_err();
    assert!(error.to_string().contains("gitmodulesUrl"), "{error}");
}

#[tokio::test]
async fn a_missing_blob_is_refused() {
    let home = Home::new();
    let (_repo, job, workspace) = setting(&home).await;
    let blob = object(&workspace, "blob", b"about to vanish\n");
    let tree = tree(&workspace, &[("100644", "x", &blob)]);
    let commit = commit_of(&workspace, &tree, &[job.base.commit.as_str()]);
    let bundle = hand_made_bundle(&job, &workspace, &[&commit, &tree], &commit);
    let error = job.take_in(&bundle, RESULT).await.unwrap_err();
    assert!(matches!(error, QuarantineError::Refused(_)), "{error}");
}

/// A bundle with just these objects, as no git would make it.
fn hand_made_bundle(
    job: &Job<'_>,
    workspace: &TestRepo<'_>,
    objects: &[&str],
    result: &str,
) -> PathBuf {
    let mut child = workspace
        .git_command(&["pack-objects", "--stdout", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all((objects.join("\n") + "\n").as_bytes()).unwrap();
    let pack = child.wait_with_output().unwrap().stdout;
    let base = &job.base.commit;
    let mut bundle =
        format!("# v2 git bundle\n-{base} base\n{result} refs/smelt/result\n\n").into_bytes();
    bundle.extend(pack);
    let path = job.scratch.join("hand-made.bundle");
    std::fs::write(&path, bundle).unwrap();
    path
}

#[tokio::test]
async fn an_orphan_history_does_not_descend() {
    let home = Home::new();
    let (_repo, job, workspace) = setting(&home).await;
    let tree = workspace.git(&["rev-parse", "HEAD^{tree}"]);
    point(&workspace, &commit_of(&workspace, &tree, &[]));
    let error = job.take_out(&workspace, RESULT).await.unwrap_err();
    assert!(matches!(error, QuarantineError::Unrelated { .. }), "{error}");
}

#[tokio::test]
async fn a_merge_of_an_unpublished_branch_is_foreign() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    repo.git(&["checkout", "--quiet", "-b", "unpublished"]);
    repo.write("secret.txt", "secret\n");
    let secret = repo.commit("Secret");
    repo.git(&["checkout", "--quiet", "main"]);
    let job = Job::open(&home, repo.path(), "main").await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    let tree = workspace.git(&["rev-parse", &format!("{secret}^{{tree}}")]);
    let merge = commit_of(&workspace, &tree, &[job.base.commit.as_str(), &secret]);
    // Only the merge itself is sent: the quarantine borrows the objects that it refers to.
    let bundle = hand_made_bundle(&job, &workspace, &[&merge], &merge);
    let error = job.take_in(&bundle, RESULT).await.unwrap_err();
    assert!(
        matches!(&error, QuarantineError::Foreign { object } if object.as_str() == secret),
        "{error}"
    );

    let blob = workspace.git(&["rev-parse", &format!("{secret}:secret.txt")]);
    let tree = self::tree(&workspace, &[("100644", "leak.txt", &blob)]);
    let commit = commit_of(&workspace, &tree, &[job.base.commit.as_str()]);
    std::fs::remove_dir_all(job.scratch.join("quarantine.git")).unwrap();
    let bundle = hand_made_bundle(&job, &workspace, &[&commit, &tree], &commit);
    let error = job.take_in(&bundle, RESULT).await.unwrap_err();
    assert!(
        matches!(&error, QuarantineError::Foreign { object } if object.as_str() == blob),
        "{error}"
    );
}

/// A thin pack names an object as the base of a delta, and index-pack completes the pack with it.
#[tokio::test]
async fn a_delta_s_base_does_not_become_the_sandbox_s_own() {
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    let secret_text = "secret line\n".repeat(200);
    repo.git(&["checkout", "--quiet", "-b", "unpublished"]);
    repo.write("secret.txt", &secret_text);
    repo.commit("Secret");
    repo.git(&["checkout", "--quiet", "main"]);
    let job = Job::open(&home, repo.path(), "main").await.unwrap();
    let workspace = job.workspace(job.borrowed()).await;
    let secret = workspace.git(&["rev-parse", "HEAD"]);
    assert_eq!(secret, job.base.commit.as_str());
    let blob = repo.git(&["rev-parse", "unpublished:secret.txt"]);
    // Something that differs from the secret by little, packed as a delta against it.
    let near = object(&workspace, "blob", (secret_text + "and more\n").as_bytes());
    let tree = tree(&workspace, &[("100644", "leak.txt", &blob), ("100644", "secret.txt", &near)]);
    let commit = commit_of(&workspace, &tree, &[job.base.commit.as_str()]);
    let mut child = workspace
        .git_command(&["pack-objects", "--stdout", "--quiet", "--window=10"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A commit after "-" offers its files as bases; a file's name lets it meet the right one.
    let unpublished = repo.git(&["rev-parse", "unpublished"]);
    let list = format!("-{unpublished}\n{commit}\n{tree}\n{near} secret.txt\n");
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let pack = child.wait_with_output().unwrap().stdout;
    let base = &job.base.commit;
    let mut bundle =
        format!("# v2 git bundle\n-{base} base\n{commit} refs/smelt/result\n\n").into_bytes();
    bundle.extend(pack);
    let path = job.scratch.join("thin.bundle");
    std::fs::write(&path, bundle).unwrap();
    let error = job.take_in(&path, RESULT).await.unwrap_err();
    assert!(
        matches!(&error, QuarantineError::Foreign { object } if object.as_str() == blob),
        "{error:?}"
    );
    // Were the completed pack believed, the secret would be in it.
    let quarantine = TestRepo::at(&home, job.scratch.join("quarantine.git"));
    let packed = run(quarantine
        .git_command(&["cat-file", "--batch-check", "--batch-all-objects", "--unordered"])
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", ""));
    assert!(packed.contains(&blob));
}

#[tokio::test]
async fn too_much_of_anything_is_refused_and_ends_soon() {
    let home = Home::new();
    let (_repo, job, workspace) = setting(&home).await;
    let refused = async |limits: Limits| {
        let quarantine = job.scratch.join("quarantine.git");
        if quarantine.exists() {
            std::fs::remove_dir_all(&quarantine).unwrap();
        }
        let bundle = job.scratch.join("out.bundle");
        let exclude = format!("^{}", job.base.commit);
        let path = bundle.to_str().unwrap();
        workspace.git(&["bundle", "create", "--quiet", path, &exclude, RESULT[0]]);
        let quarantine = job.quarantine(limits).await;
        quarantine.take_in(&bundle, &[RESULT[0].to_owned()]).await.unwrap_err()
    };
    // A large blob of nothing travels in little.
    workspace.write("large.bin", vec![0u8; 8 << 20]);
    point(&workspace, &workspace.commit("Large"));
    for limits in [
        Limits { object: 1 << 20, ..Limits::default() },
        Limits { unpacked: 1 << 20, ..Limits::default() },
        Limits { objects: 1, ..Limits::default() },
        Limits { paths: 1, ..Limits::default() },
        Limits { bundle: 64, ..Limits::default() },
    ] {
        let error = refused(limits).await;
        assert!(matches!(error, QuarantineError::TooLarge { .. }), "{error}");
    }
}

/// Ten trees, each holding the one before ten times: ten objects that stand for 10¹⁰ files.
#[tokio::test]
async fn a_bomb_of_trees_ends_by_its_count_of_paths() {
    let home = Home::new();
    let (_repo, job, workspace) = setting(&home).await;
    let blob = object(&workspace, "blob", b"boom\n");
    let names: Vec<_> = (0..10).map(|n| format!("{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| ("100644", name.as_str(), blob.as_str())).collect();
    let mut bomb = tree(&workspace, &files);
    for _ in 0..9 {
        let folders: Vec<_> =
            names.iter().map(|name| ("40000", name.as_str(), bomb.as_str())).collect();
        bomb = tree(&workspace, &folders);
    }
    point(&workspace, &commit_of(&workspace, &bomb, &[job.base.commit.as_str()]));
    let error = job.take_out(&workspace, RESULT).await.unwrap_err();
    assert!(
        matches!(&error, QuarantineError::TooLarge { what, .. } if what.contains("files")),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_bundle_or_lacks_a_ref_is_refused() {
    let home = Home::new();
    let (_repo, job, workspace) = setting(&home).await;
    let path = job.scratch.join("nonsense");
    std::fs::write(&path, "not a bundle").unwrap();
    assert!(matches!(job.take_in(&path, RESULT).await.unwrap_err(), QuarantineError::Bundle(_)));
    std::fs::remove_dir_all(job.scratch.join("quarantine.git")).unwrap();
    workspace.write("b.txt", "b\n");
    workspace.commit("One");
    let bundle = job.scratch.join("out.bundle");
    let exclude = format!("^{}", job.base.commit);
    workspace.git(&["bundle", "create", "--quiet", bundle.to_str().unwrap(), &exclude, "HEAD"]);
    let error = job.take_in(&bundle, RESULT).await.unwrap_err();
    assert!(matches!(error, QuarantineError::Missing { .. }), "{error}");
    // Cut off in the middle of its pack.
    std::fs::remove_dir_all(job.scratch.join("quarantine.git")).unwrap();
    let bytes = std::fs::read(&bundle).unwrap();
    std::fs::write(&bundle, &bytes[..bytes.len() - 30]).unwrap();
    let error = job.take_in(&bundle, &["HEAD"]).await.unwrap_err();
    assert!(matches!(error, QuarantineError::Refused(_)), "{error}");
}
