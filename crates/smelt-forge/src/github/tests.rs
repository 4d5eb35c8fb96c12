use super::*;
use crate::address::Address;
use crate::api::Api;
use crate::transport::Scripted;
use serde_json::Value;
use smelt_core::manifest::RepoSlug;
use smelt_core::secret::Secret;
use std::time::Duration;

const R: &str = "/repos/acme/app";

fn github(
    answering: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static,
) -> (GitHub, Scripted) {
    github_with("t", answering)
}

fn github_with(
    token: &str,
    answering: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static,
) -> (GitHub, Scripted) {
    let repo: RepoSlug = "acme/app".parse().unwrap();
    let address = Address::of(ForgeProvider::Github, &repo, None, None).unwrap();
    let script = Scripted::new(answering);
    let api = Api::new(script.clone(), &address.host, Duration::from_secs(1));
    (GitHub::new(Remote::new(api, &address, &repo, &Secret::new(token))), script)
}

fn pull(number: u64, state: &str, head: &str, repo: &str) -> Value {
    json!({
        "number": number, "html_url": format!("https://x/{number}"), "state": state,
        "draft": false, "title": "T", "body": "B", "merged_at": null,
        "head": { "ref": head, "sha": "abc", "repo": { "full_name": repo } },
        "base": { "ref": "main", "sha": "def", "repo": { "full_name": "Acme/App" } },
        "labels": [{ "name": "Bug" }], "assignees": [{ "login": "ann" }],
        "requested_reviewers": [{ "login": "bob" }], "requested_teams": [{ "slug": "core" }],
        "comments": 2, "review_comments": 3,
    })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn pull_requests_are_found_by_their_head_open_ones_first() {
    let (github, script) = github(|line, _| match line {
        "GET /repos/acme/app" => {
            (200, json!({ "full_name": "Acme/App", "default_branch": "main" }))
        }
        "GET /user" => (200, json!({ "login": "smelt" })),
        _ => (
            200,
            json!([
                pull(9, "closed", "f/x", "acme/app"),
                pull(7, "open", "f/x", "Acme/App"),
                pull(8, "open", "f/x", "else/app"),
                pull(6, "open", "f/y", "Acme/App"),
            ]),
        ),
    });
    for _ in 0..2 {
        let found = github.find_pull_requests("f/x").await.unwrap();
        assert_eq!(found.iter().map(|pull| pull.number).collect::<Vec<_>>(), [7, 9]);
    }
    let path = format!(
        "GET {R}/pulls?head=Acme%3Af%2Fx&state=all&sort=updated&direction=desc&per_page=100&page=1"
    );
    assert_eq!(script.asked(&path).len(), 2);
    assert_eq!(script.asked("GET").len(), 4, "the repository and the user are asked for once");
}

#[tokio::test]
async fn whose_a_pull_request_is_decides_whether_it_is_believed() {
    for (me, author, is_own) in [
        ((200, json!({ "login": "Smelt" })), json!({ "login": "smelt", "type": "User" }), true),
        ((200, json!({ "login": "Smelt" })), json!({ "login": "eve", "type": "User" }), false),
        ((403, json!({})), json!({ "login": "app[bot]", "type": "Bot" }), true),
        ((403, json!({})), json!({ "login": "eve", "type": "User" }), false),
        ((200, json!({ "login": "Smelt" })), Value::Null, false),
    ] {
        let (github, _) = github(move |line, _| match line {
            "GET /repos/acme/app" => {
                (200, json!({ "full_name": "acme/app", "default_branch": "main" }))
            }
            "GET /user" => me.clone(),
            _ => {
                let mut pull = pull(7, "open", "f/x", "acme/app");
                pull["user"] = author.clone();
                (200, json!([pull]))
            }
        });
        assert_eq!(github.find_pull_requests("f/x").await.unwrap()[0].is_own, is_own);
    }
}

#[tokio::test]
async fn an_installation_is_told_that_it_may_not_push_and_may() {
    for (token, may_push) in [("ghs_abc", None), ("ghp_abc", Some(false))] {
        let described = json!({
            "full_name": "acme/app", "default_branch": "main", "permissions": { "push": false },
        });
        let (github, _) = github_with(token, move |_, _| (200, described.clone()));
        assert_eq!(github.repository().await.unwrap().may_push, may_push);
    }
}

#[tokio::test]
async fn a_branch_is_there_or_not() {
    for (status, there) in [(200, true), (404, false), (301, false)] {
        let (github, script) = github(move |_, _| (status, json!({})));
        assert_eq!(github.has_branch("f/x").await.unwrap(), there);
        assert_eq!(script.asked(&format!("GET {R}/branches/f%2Fx")).len(), 1);
    }
    let (github, _) = github(|_, _| (500, json!({})));
    assert!(github.has_branch("f/x").await.unwrap_err().is_transient());
}

#[tokio::test]
async fn only_what_is_missing_is_added_and_each_part_fails_for_itself() {
    let (github, script) = github(|line, sent| match line {
        "GET /repos/acme/app/pulls/7" => (200, pull(7, "open", "f/x", "Acme/App")),
        "POST /repos/acme/app/issues/7/labels" => (403, json!({ "message": "no\u{1b}[2J" })),
        "POST /repos/acme/app/pulls/7/requested_reviewers" => {
            let is_wrong = sent.to_string().contains("wrong");
            (if is_wrong { 422 } else { 201 }, json!({ "message": "not a collaborator" }))
        }
        "POST /repos/acme/app/issues/7/assignees" => {
            (201, json!({ "assignees": [{ "login": "Ann" }, { "login": "dan" }] }))
        }
        _ => unreachable!("{line}"),
    });
    let there = Pull::deserialize(pull(7, "open", "f/x", "Acme/App"));
    let extras = PullRequestExtras {
        labels: names(&["bug", "smelt"]),
        reviewers: names(&["BOB", "acme/core", "wrong", "cleo", "acme/web"]),
        assignees: names(&["ann", "dan", "nobody"]),
    };
    let warnings = github.add_to_pull_request(&there.into(), &extras).await.unwrap();
    let [labels, reviewers, assignees] = warnings.as_slice() else { panic!("{warnings:#?}") };
    assert!(labels.starts_with("label `smelt` not added: github.com does not allow"), "{labels}");
    assert!(!labels.contains('\u{1b}') && labels.ends_with("add them at https://x/7"), "{labels}");
    assert!(reviewers.starts_with("reviewer `wrong` not added: "), "{reviewers}");
    assert!(
        assignees.starts_with("assignee `nobody` not added: github.com ignored"),
        "{assignees}"
    );

    let labels = script.asked(&format!("POST {R}/issues/7/labels"));
    assert_eq!(labels[0].1, json!({ "labels": ["smelt"] }));
    let asked = script.asked(&format!("POST {R}/pulls/7/requested_reviewers"));
    let all = json!({ "reviewers": ["wrong", "cleo"], "team_reviewers": ["web"] });
    assert_eq!(asked[0].1, all);
    assert_eq!(asked.len(), 4);
    let assigned = script.asked(&format!("POST {R}/issues/7/assignees"));
    assert_eq!(assigned[0].1, json!({ "assignees": ["dan", "nobody"] }));

    let nothing = PullRequestExtras::default();
    let before = script.asked("").len();
    let there = Pull::deserialize(pull(7, "open", "f/x", "Acme/App"));
    assert!(github.add_to_pull_request(&there.into(), &nothing).await.unwrap().is_empty());
    assert_eq!(script.asked("").len(), before);
}

impl Pull {
    fn deserialize(value: Value) -> Self {
        serde_json::from_value(value).unwrap()
    }
}

#[tokio::test]
async fn a_base_is_changed_only_where_it_differs() {
    let (github, script) = github(|_, _| (200, pull(7, "open", "f/x", "Acme/App")));
    let there = PullRequest::from(Pull::deserialize(pull(7, "open", "f/x", "Acme/App")));
    let mut request = NewPullRequest {
        head: "f/x".into(),
        head_commit: "a".repeat(40),
        base: "main".into(),
        base_commit: "b".repeat(40),
        title: "New".into(),
        body: "Text".into(),
        draft: true,
    };
    github.update_pull_request(&there, &request).await.unwrap();
    request.base = "next".into();
    github.update_pull_request(&there, &request).await.unwrap();
    let sent: Vec<_> = script.asked("PATCH").into_iter().map(|(_, sent)| sent).collect();
    let expected = [
        json!({ "title": "New", "body": "Text" }),
        json!({ "title": "New", "body": "Text", "base": "next" }),
    ];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn status_reads_all_pages_and_what_the_token_may_see() {
    let answering = |may_see_runs: bool| {
        move |line: &str, _: &Value| {
            let run = |n: u32, conclusion: &str| json!({ "name": format!("r{n}"), "status": "completed", "conclusion": conclusion });
            let (path, page) = line.split_once("page=100&page=").unwrap_or((line, "1"));
            let body = match path {
                "GET /repos/acme/app/pulls/7" => pull(7, "open", "f/x", "Acme/App"),
                _ if path.contains("/check-runs") && !may_see_runs => return (403, json!({})),
                _ if path.contains("/check-runs") && page == "1" => {
                    let runs: Vec<_> = (0..100).map(|n| run(n, "success")).collect();
                    json!({ "total_count": 101, "check_runs": runs })
                }
                _ if path.contains("/check-runs") => {
                    json!({ "total_count": 101, "check_runs": [run(100, "failure")] })
                }
                _ if path.contains("/commits/abc/status") => json!({
                    "state": "pending", "total_count": 1,
                    "statuses": [{ "state": "success", "context": "lint" }],
                }),
                _ => json!([
                    { "user": { "login": "bob" }, "state": "CHANGES_REQUESTED" },
                    { "user": null, "state": "APPROVED" },
                    { "user": { "login": "bob" }, "state": "COMMENTED" },
                ]),
            };
            (200, body)
        }
    };
    let (seeing, _) = github(answering(true));
    let status = seeing.status(7).await.unwrap();
    assert_eq!((status.ci.passing, status.ci.failing, status.ci.pending), (101, 1, 0));
    assert_eq!(status.ci.failed, ["r100"]);
    assert_eq!((status.reviews.approved, status.comments), (names(&["ghost"]), 5));
    assert_eq!(status.reviews.changes_requested, ["bob"]);
    let (blind, _) = github(answering(false));
    assert_eq!(blind.status(7).await.unwrap().ci.passing, 1);
}
