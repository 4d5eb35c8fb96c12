use super::*;
use smelt_core::git::Git;
use smelt_testing::{Home, TestRepo};
use std::fs;
use std::path::PathBuf;

async fn local(home: &Home, repo: &TestRepo<'_>) -> Local {
    let git = Git::new("git", home.environment());
    let repository = Repository::open(&git, repo.path()).await.unwrap();
    Local::new(&home.path().join("pulls"), &repository)
}

/// A repository with work on `feat`, and the request for it.
fn work<'a>(home: &'a Home) -> (TestRepo<'a>, NewPullRequest) {
    let repo = TestRepo::new(home, "repo");
    let base_commit = repo.head();
    repo.git(&["checkout", "--quiet", "-b", "feat"]);
    repo.write("new.txt", "some text\n");
    let head_commit = repo.commit("Add a file");
    repo.git(&["checkout", "--quiet", "main"]);
    let request = NewPullRequest {
        head: "feat".into(),
        head_commit,
        base: "main".into(),
        base_commit,
        title: "Add a file".into(),
        body: "It is *new*.\n\n# Really".into(),
        draft: false,
    };
    (repo, request)
}

fn file(home: &Home, name: &str) -> PathBuf {
    home.path().join("pulls").join(name)
}

#[tokio::test]
async fn a_pull_request_is_opened_found_changed_and_merged() {
    let home = Home::new();
    let (repo, request) = work(&home);
    let local = local(&home, &repo).await;
    assert!(local.find_pull_requests("feat").await.unwrap().is_empty());
    assert!(local.push_target().is_none());
    let described = local.repository().await.unwrap();
    assert_eq!(
        (described.default_branch.as_deref(), described.may_push),
        (Some("main"), Some(true))
    );
    assert!(local.has_branch("feat").await.unwrap());
    assert!(!local.has_branch("no such").await.unwrap());

    let opened = local.open_pull_request(&request).await.unwrap();
    assert_eq!((opened.number, opened.state), (1, PullState::Open));
    assert_eq!(opened.url, file(&home, "1.md").display().to_string());
    assert_eq!(opened.body, request.body);
    let text = fs::read_to_string(file(&home, "1.md")).unwrap();
    assert_eq!(text, "# Add a file\n\nIt is *new*.\n\n# Really\n");
    let patch = fs::read_to_string(file(&home, "1.patch")).unwrap();
    assert!(patch.contains("Subject: [PATCH] Add a file") && patch.contains("+some text"));
    assert_eq!(local.find_pull_requests("feat").await.unwrap(), std::slice::from_ref(&opened));
    assert!(local.find_pull_requests("other").await.unwrap().is_empty());

    let request = NewPullRequest { title: "Better".into(), body: String::new(), ..request };
    let changed = local.update_pull_request(&opened, &request).await.unwrap();
    assert_eq!((changed.number, changed.title.as_str(), changed.body.as_str()), (1, "Better", ""));
    let extras = PullRequestExtras {
        labels: vec!["smelt".into(), "smelt".into()],
        reviewers: vec!["ann".into()],
        assignees: Vec::new(),
    };
    for _ in 0..2 {
        assert!(local.add_to_pull_request(&opened, &extras).await.unwrap().is_empty());
    }
    let record = local.folder.read(1).unwrap();
    assert_eq!((record.labels, record.reviewers), (vec!["smelt".into()], vec!["ann".to_owned()]));

    assert_eq!(local.status(1).await.unwrap().pull.state, PullState::Open);
    repo.git(&["merge", "--quiet", "--no-ff", "--message", "Merge", "feat"]);
    let status = local.status(1).await.unwrap();
    assert_eq!((status.pull.state, status.ci), (PullState::Merged, Checks::default()));
    let left: Vec<_> = fs::read_dir(home.path().join("pulls")).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[tokio::test]
async fn people_close_one_in_its_file_and_the_next_has_another_number() {
    let home = Home::new();
    let (repo, request) = work(&home);
    let local = local(&home, &repo).await;
    local.open_pull_request(&request).await.unwrap();
    let path = file(&home, "1.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("state = \"open\"", "state = \"closed\"")).unwrap();
    assert_eq!(local.status(1).await.unwrap().pull.state, PullState::Closed);

    // Somebody is in the middle of making one.
    fs::write(file(&home, "4.md"), "").unwrap();
    let second = local.open_pull_request(&request).await.unwrap();
    assert_eq!(second.number, 5);
    let found = local.find_pull_requests("feat").await.unwrap();
    let states: Vec<_> = found.iter().map(|pull| (pull.number, pull.state)).collect();
    assert_eq!(states, [(5, PullState::Open), (1, PullState::Closed)]);
    assert!(matches!(local.status(4).await, Err(ForgeError::NotFound { .. })));
}

#[tokio::test]
async fn each_of_many_at_once_has_its_own_number() {
    let home = Home::new();
    let (repo, request) = work(&home);
    let local = std::sync::Arc::new(local(&home, &repo).await);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (local, request) = (local.clone(), request.clone());
        all.spawn(async move { local.open_pull_request(&request).await.unwrap().number });
    }
    let mut numbers = all.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_that_is_torn_or_newer_is_named() {
    let home = Home::new();
    let (repo, request) = work(&home);
    let local = local(&home, &repo).await;
    local.open_pull_request(&request).await.unwrap();
    let path = file(&home, "1.toml");
    let whole = fs::read_to_string(&path).unwrap();
    for (text, why) in [
        (String::new(), "torn"),
        (whole[..whole.len() / 2].to_owned(), "torn"),
        (whole.replace("version = 1", "version = 2\nnew = true"), "newer Smelt"),
        (whole.replace("number = 1", "number = 7"), "number is 7"),
    ] {
        fs::write(&path, text).unwrap();
        let error = local.find_pull_requests("feat").await.unwrap_err();
        let ForgeError::Io { path: named, source } = &error else { panic!("{error:?}") };
        assert_eq!(named, &path);
        assert!(source.to_string().contains(why), "{source}");
        assert!(local.status(1).await.is_err());
    }
}

#[tokio::test]
async fn a_patch_that_is_too_large_says_so() {
    let home = Home::new();
    let (repo, request) = work(&home);
    let local = Local { patch_max: 100, ..local(&home, &repo).await };
    local.open_pull_request(&request).await.unwrap();
    let patch = fs::read_to_string(file(&home, "1.patch")).unwrap();
    assert!(patch.contains("larger than 100 bytes") && patch.contains(&request.head_commit));
}

#[tokio::test]
async fn commits_that_are_not_there_make_no_pull_request() {
    let home = Home::new();
    let (repo, request) = work(&home);
    let local = local(&home, &repo).await;
    let gone = "0123456789012345678901234567890123456789".to_owned();
    let wrong = NewPullRequest { head_commit: gone.clone(), ..request.clone() };
    assert!(matches!(local.open_pull_request(&wrong).await, Err(ForgeError::Git(_))));
    let wrong = NewPullRequest { head_commit: "--output=x".into(), ..request.clone() };
    assert!(matches!(local.open_pull_request(&wrong).await, Err(ForgeError::Refused { .. })));
    assert!(!home.path().join("pulls").exists());

    // One whose commits were pruned is not merged, nor broken.
    let opened = local.open_pull_request(&request).await.unwrap();
    let path = file(&home, "1.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&request.head_commit, &gone)).unwrap();
    assert_eq!(local.status(opened.number).await.unwrap().pull.state, PullState::Open);
}

#[tokio::test]
async fn a_detached_head_leaves_the_usual_branch_as_default() {
    let home = Home::new();
    let (repo, _) = work(&home);
    let local = local(&home, &repo).await;
    repo.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(local.repository().await.unwrap().default_branch.as_deref(), Some("main"));
    repo.git(&["branch", "--quiet", "-m", "main", "trunk"]);
    assert_eq!(local.repository().await.unwrap().default_branch, None);
}
