use crate::client::World;
use serde_json::{Value, json};
use smelt_testing_forge::{CheckState, Kind, PullState, Verdict};

const BOTH: [Kind; 2] = [Kind::Forgejo, Kind::Gitea];

fn create(world: &World, label: u64) -> Value {
    let body = json!({ "title": "WIP: Work", "body": "text", "head": "topic", "base": "main",
        "labels": [label], "assignees": ["alice"] });
    let answer = world.post("/repos/acme/app/pulls", body);
    assert_eq!(answer.status, 201);
    answer.body
}

#[test]
fn a_pull_request_lives() {
    for kind in BOTH {
        let world = World::new(kind);
        let head = world.must(&["rev-parse", "HEAD"]);
        world.push("topic");
        let label =
            world.post("/repos/acme/app/labels", json!({ "name": "new", "color": "#ff0000" }));
        let made = create(&world, label.body["id"].as_u64().expect("an id"));
        assert_eq!((&made["draft"], &made["mergeable"]), (&json!(true), &json!(false)));
        assert_eq!(
            (&made["head"]["sha"], &made["labels"][0]["name"]),
            (&json!(head), &json!("new"))
        );
        assert_eq!(made.get("merge_commit_sha"), Some(&Value::Null));
        let edited = world.patch("/repos/acme/app/pulls/1", json!({ "title": "Work" }));
        assert_eq!((edited.status, &edited.body["draft"]), (201, &json!(false)));
        assert_eq!(edited.body["mergeable"], true);

        let path = "/repos/acme/app/pulls/1/requested_reviewers";
        assert_eq!(world.post(path, json!({ "reviewers": ["smelt-bot"] })).status, 422);
        assert_eq!(world.post(path, json!({ "reviewers": ["stranger"] })).status, 404);
        assert_eq!(world.post(path, json!({ "reviewers": ["bob"] })).status, 201);
        let reviews = || world.get("/repos/acme/app/pulls/1/reviews").body;
        assert_eq!(reviews()[0]["state"], "REQUEST_REVIEW");
        world.forge.review(1, "bob", Verdict::Approve);
        assert_eq!(reviews()[0]["state"], "APPROVED");
        world.forge.review(1, "bob", Verdict::Dismissed);
        assert_eq!(reviews()[0]["dismissed"], true);

        let status = || world.get(&format!("/repos/acme/app/commits/{head}/status")).body;
        assert_eq!(status(), Value::Null);
        world.forge.check("topic", "build", CheckState::Success);
        assert_eq!(status()["state"], "success");
        world.forge.check("topic", "build", CheckState::Failure);
        assert_eq!((&status()["state"], &status()["total_count"]), (&json!("failure"), &json!(1)));

        let found = world.get("/repos/acme/app/pulls/main/topic");
        assert_eq!((found.status, &found.body["number"]), (200, &json!(1)));
        assert_eq!(world.get("/repos/acme/app/pulls/main/feature/none").status, 404);
        let listed = world.get("/repos/acme/app/pulls?state=open&head=other&limit=50").body;
        let shown = listed.as_array().map_or(0, Vec::len);
        assert_eq!(shown, if kind == Kind::Gitea { 1 } else { 0 });

        world.forge.merge(1);
        let merged = world.get("/repos/acme/app/pulls/1").body;
        assert_eq!((&merged["merged"], &merged["state"]), (&json!(true), &json!("closed")));
        let reopened = world.patch("/repos/acme/app/pulls/1", json!({ "state": "open" }));
        assert_eq!(reopened.status, 412);
        assert_eq!(world.forge.pull(1).state, PullState::Merged);
        world.forge.assert_contract();
    }
}

#[test]
fn a_pull_request_that_cannot_be_is_refused() {
    for kind in BOTH {
        let world = World::new(kind);
        let refused = |head: &str, base: &str| {
            let body = json!({ "title": "Work", "head": head, "base": base });
            world.post("/repos/acme/app/pulls", body).status
        };
        assert_eq!(refused("topic", "main"), 404);
        world.push("topic");
        assert_eq!(refused("topic", "nowhere"), 404);
        create(&world, 0);
        assert_eq!(refused("topic", "main"), 409);
        world.forge.assert_contract();
    }
}

#[test]
fn labels_by_name_are_for_forgejo() {
    for kind in BOTH {
        let world = World::new(kind);
        world.push("topic");
        let id = world.forge.add_label("known");
        create(&world, id);
        world.forge.add_label("second");
        let answer = world.post("/repos/acme/app/issues/1/labels", json!({ "labels": ["second"] }));
        assert_eq!(answer.status, if kind == Kind::Gitea { 422 } else { 200 });
        assert_eq!(world.forge.pull(1).labels.len(), if kind == Kind::Gitea { 1 } else { 2 });
        world.forge.assert_contract();
    }
}

#[test]
fn who_may_not_is_told_so_and_versions_differ() {
    for kind in BOTH {
        let world = World::new(kind);
        let ask = |token: &str, method: &str, path: &str| {
            let body = (method == "POST").then(|| json!({ "labels": [1] }));
            world.call_as(token, method, path, body, &[]).expect("an answer")
        };
        assert_eq!(ask("wrong", "GET", "/user").status, 401);
        assert_eq!(ask(world.forge.token_without_access(), "GET", "/repos/acme/app").status, 404);
        let reader = world.forge.read_only_token();
        assert_eq!(ask(reader, "GET", "/repos/acme/app").body["permissions"]["push"], false);
        let refused = ask(reader, "POST", "/repos/acme/app/issues/1/labels");
        assert_eq!(refused.status, 403);
        assert!(refused.body["message"].as_str().is_some_and(|text| text.contains("write:issue")));
        let version = world.get("/version").body["version"].as_str().map(str::to_owned);
        assert_eq!(version.is_some_and(|text| text.contains("gitea")), kind == Kind::Forgejo);
        for path in [
            "/user",
            "/repos/acme/app/branches/main",
            "/repos/acme/app/labels",
            "/repos/acme/app/collaborators/alice/permission",
            "/repos/acme/app/commits/main/statuses",
        ] {
            assert_eq!(world.get(path).status, 200, "{path}");
        }
        world.forge.rename_repository("renamed");
        let moved = world.get("/repos/acme/app");
        assert_eq!(
            (moved.status, &moved.headers["location"] == "/api/v1/repos/acme/renamed"),
            (307, true)
        );
        world.forge.assert_contract();
    }
}
