use super::*;
use crate::address::Address;
use crate::api::Api;
use crate::transport::Scripted;
use serde_json::Value;
use smelt_core::manifest::RepoSlug;
use smelt_core::secret::Secret;
use std::time::Duration;

const R: &str = "/repos/acme/app";

fn forgejo(
    answering: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static,
) -> (Forgejo, Scripted) {
    let repo: RepoSlug = "acme/app".parse().unwrap();
    let api = Some("https://git.example.com/api/v1");
    let address = Address::of(ForgeProvider::Gitea, &repo, api, None).unwrap();
    let script = Scripted::new(answering);
    let api = Api::new(script.clone(), &address.host, Duration::from_secs(1));
    (
        Forgejo::new(Remote::new(api, &address, &repo, &Secret::new("t")), ForgeProvider::Gitea),
        script,
    )
}

fn pull(number: u64, state: &str, head: &str, repo: i64) -> Value {
    json!({
        "number": number, "html_url": format!("https://x/{number}"), "state": state,
        "title": "WIP: T", "body": "B", "merged": false, "user": { "login": "smelt" },
        "head": { "ref": head, "label": head, "sha": "abc", "repo_id": repo },
        "base": { "ref": "main", "label": "main", "sha": "def", "repo_id": 1 },
        "labels": [{ "id": 1, "name": "Bug" }], "assignees": [{ "login": "ann" }],
        "requested_reviewers": null, "comments": 2, "review_comments": 3,
    })
}

fn read(value: Value) -> PullRequest {
    serde_json::from_value::<Pull>(value).unwrap().into()
}

#[tokio::test]
async fn pull_requests_are_looked_through_page_by_page() {
    let (forgejo, script) = forgejo(|line, _| {
        if line == "GET /user" {
            return (200, json!({ "login": "Smelt" }));
        }
        let listed = match line.split_once("/pulls?").unwrap().1 {
            "state=open&sort=recentupdate&limit=50&page=1" => {
                (0..50).map(|n| pull(100 + n, "open", "f/y", 1)).collect()
            }
            "state=open&sort=recentupdate&limit=50&page=2" => {
                vec![pull(8, "open", "f/x", 2), pull(7, "open", "f/x", 1)]
            }
            "state=closed&sort=recentupdate&limit=50&page=1" => {
                vec![pull(9, "closed", "f/x", 1)]
            }
            _ => Vec::new(),
        };
        (200, Value::from(listed))
    });
    let found = forgejo.find_pull_requests("f/x").await.unwrap();
    assert_eq!(found.iter().map(|pull| pull.number).collect::<Vec<_>>(), [7, 9]);
    assert!(found.iter().all(|pull| pull.draft && pull.title == "T" && pull.is_own));
    assert_eq!(script.asked(&format!("GET {R}/pulls?state=open")).len(), 3);
}

#[tokio::test]
async fn nobody_is_believed_where_the_token_may_not_ask_whose_it_is() {
    let (forgejo, _) = forgejo(|line, _| match line {
        "GET /user" => (403, json!({ "message": "token does not have read:user" })),
        line if line.contains("state=open") && line.ends_with("page=1") => {
            (200, json!([pull(7, "open", "f/x", 1)]))
        }
        _ => (200, json!([])),
    });
    let found = forgejo.find_pull_requests("f/x").await.unwrap();
    assert!(found.len() == 1 && !found[0].is_own, "{found:?}");
}

#[tokio::test]
async fn a_pull_request_that_is_there_already_is_a_refusal() {
    let (forgejo, _) = forgejo(|_, _| (409, json!({ "message": "pull request already exists" })));
    let request = NewPullRequest {
        head: "f/x".into(),
        head_commit: "a".repeat(40),
        base: "main".into(),
        base_commit: "b".repeat(40),
        title: "T".into(),
        body: String::new(),
        draft: false,
    };
    let error = forgejo.open_pull_request(&request).await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_draft_stays_one_and_the_base_is_sent_only_where_it_differs() {
    let (forgejo, script) = forgejo(|_, _| (201, pull(7, "open", "f/x", 1)));
    let request = NewPullRequest {
        head: "f/x".into(),
        head_commit: "a".repeat(40),
        base: "main".into(),
        base_commit: "b".repeat(40),
        title: "New".into(),
        body: "Text".into(),
        draft: false,
    };
    forgejo.update_pull_request(&read(pull(7, "open", "f/x", 1)), &request).await.unwrap();
    let sent = script.asked(&format!("PATCH {R}/pulls/7")).remove(0).1;
    assert_eq!(sent, json!({ "title": "WIP: New", "body": "Text" }));
}

#[tokio::test]
async fn labels_are_made_where_they_lack_and_assignees_are_added_to_those_there() {
    let (forgejo, script) = forgejo(|line, sent| match line {
        "GET /repos/acme/app/pulls/7" => (200, pull(7, "open", "f/x", 1)),
        "GET /repos/acme/app/labels?limit=50&page=1" => {
            (200, json!([{ "id": 1, "name": "bug" }, { "id": 2, "name": "Smelt" }]))
        }
        "GET /repos/acme/app/labels?limit=50&page=2" => (200, json!([])),
        "POST /repos/acme/app/labels" if sent["name"] == "new" => {
            (201, json!({ "id": 3, "name": "new" }))
        }
        "POST /repos/acme/app/labels" => (403, json!({ "message": "no" })),
        "POST /repos/acme/app/issues/7/labels" => (200, json!([])),
        "POST /repos/acme/app/pulls/7/requested_reviewers" => (201, json!([])),
        "PATCH /repos/acme/app/pulls/7" if sent.to_string().contains("nobody") => {
            (422, json!({ "message": "Assignee does not exist" }))
        }
        "PATCH /repos/acme/app/pulls/7" => {
            let mut pull = pull(7, "open", "f/x", 1);
            let logins = sent["assignees"].as_array().unwrap().iter();
            pull["assignees"] = logins.map(|login| json!({ "login": login })).collect();
            (201, pull)
        }
        _ => unreachable!("{line}"),
    });
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let extras = PullRequestExtras {
        labels: names(&["BUG", "smelt", "new", "bad"]),
        reviewers: names(&["cleo", "acme/core"]),
        assignees: names(&["dan", "nobody", "eve"]),
    };
    let there = read(pull(7, "open", "f/x", 1));
    let warnings = forgejo.add_to_pull_request(&there, &extras).await.unwrap();
    let [label, assignee] = warnings.as_slice() else { panic!("{warnings:#?}") };
    assert!(label.starts_with("label `bad` not added: "), "{label}");
    assert!(assignee.starts_with("assignee `nobody` not added: "), "{assignee}");
    let added = script.asked(&format!("POST {R}/issues/7/labels"));
    assert_eq!(added[0].1, json!({ "labels": [2, 3] }));
    let asked = script.asked(&format!("POST {R}/pulls/7/requested_reviewers"));
    assert_eq!(asked[0].1, json!({ "reviewers": ["cleo"], "team_reviewers": ["core"] }));
    let assigned = script.asked(&format!("PATCH {R}/pulls/7"));
    assert_eq!(assigned.last().unwrap().1, json!({ "assignees": ["ann", "dan", "eve"] }));
}

#[tokio::test]
async fn status_counts_each_context_once() {
    let (forgejo, _) = forgejo(|line, _| {
        let status = |context: &str, status: &str| json!({ "context": context, "status": status });
        let body = match line {
            "GET /repos/acme/app/pulls/7" => pull(7, "open", "f/x", 1),
            // A server that does not page these.
            _ if line.contains("/commits/abc/status") => json!({
                "state": "failure", "total_count": 3,
                "statuses": [status("a", "success"), status("b", "failure"), status("c", "warning")],
            }),
            _ if line.ends_with("page=1") => {
                json!([{ "user": { "login": "bob" }, "state": "APPROVED", "stale": true }])
            }
            _ => json!([]),
        };
        (200, body)
    });
    let status = forgejo.status(7).await.unwrap();
    assert_eq!((status.ci.passing, status.ci.failing), (2, 1));
    assert_eq!((status.reviews.approved, status.comments), (vec!["bob".to_owned()], 5));
}
