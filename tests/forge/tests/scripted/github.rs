use crate::client::World;
use serde_json::json;
use smelt_testing_forge::{CheckState, Kind, PullState, Verdict};

fn create(world: &World) -> serde_json::Value {
    let body = json!({ "title": "Work", "body": "text", "head": "topic", "base": "main",
        "draft": true });
    world.post("/repos/acme/app/pulls", body).body
}

#[test]
fn a_pull_request_lives() {
    let world = World::new(Kind::GitHub);
    let head = world.must(&["rev-parse", "HEAD"]);
    world.push("topic");
    let made = create(&world);
    assert_eq!((&made["number"], &made["draft"]), (&json!(1), &json!(true)));
    assert_eq!((&made["head"]["sha"], &made["mergeable"]), (&json!(head), &json!(true)));
    assert_eq!((&made["commits"], &made["additions"]), (&json!(1), &json!(1)));

    let labels = json!({ "labels": ["new", "Other"] });
    assert_eq!(world.post("/repos/acme/app/issues/1/labels", labels).status, 200);
    let people = json!({ "assignees": ["alice", "stranger"] });
    let issue = world.post("/repos/acme/app/issues/1/assignees", people);
    assert_eq!((issue.status, issue.body["assignees"][1].is_null()), (201, true));
    let path = "/repos/acme/app/pulls/1/requested_reviewers";
    for nobody in ["smelt-bot", "stranger"] {
        assert_eq!(world.post(path, json!({ "reviewers": [nobody] })).status, 422);
    }
    assert_eq!(world.post(path, json!({ "reviewers": ["bob"] })).status, 201);
    let edited = world.patch("/repos/acme/app/pulls/1", json!({ "title": "Better" }));
    assert_eq!((edited.status, &edited.body["title"]), (200, &json!("Better")));

    world.forge.check("topic", "build", CheckState::Failure);
    world.forge.check("topic", "build", CheckState::Pending);
    let runs = world.get("/repos/acme/app/commits/topic/check-runs?per_page=100").body;
    assert_eq!(
        (&runs["total_count"], &runs["check_runs"][0]["status"]),
        (&json!(1), &json!("in_progress"))
    );
    let status = world.get(&format!("/repos/acme/app/commits/{head}/status")).body;
    assert_eq!((&status["state"], &status["total_count"]), (&json!("pending"), &json!(0)));
    world.forge.commit_status(&head, "ci/old", CheckState::Success);
    let status = world.get(&format!("/repos/acme/app/commits/{head}/status")).body;
    assert_eq!(status["state"], "success");

    world.forge.review(1, "bob", Verdict::Approve);
    world.forge.review(1, "alice", Verdict::RequestChanges);
    world.forge.review(1, "alice", Verdict::Dismissed);
    world.forge.comment(1, "alice", "please");
    let reviews = world.get("/repos/acme/app/pulls/1/reviews").body;
    assert_eq!(
        (&reviews[0]["state"], &reviews[1]["state"]),
        (&json!("APPROVED"), &json!("DISMISSED"))
    );
    assert_eq!(world.get("/repos/acme/app/issues/1/comments").body[0]["body"], "please");

    let moved = world.commit("more.txt", "more\n");
    world.push("topic");
    assert_eq!(world.get("/repos/acme/app/pulls/1").body["head"]["sha"], json!(moved));
    world.forge.merge(1);
    world.commit("late.txt", "late\n");
    world.push("topic");
    let merged = world.get("/repos/acme/app/pulls/1").body;
    assert_eq!((&merged["merged"], &merged["state"]), (&json!(true), &json!("closed")));
    assert_eq!(merged["head"]["sha"], json!(moved));

    let pull = world.forge.pull(1);
    assert_eq!(pull.state, PullState::Merged);
    assert_eq!(
        (pull.labels, pull.assignees),
        (vec!["new".into(), "Other".into()], vec!["alice".to_owned()])
    );
    world.forge.assert_contract();
}

#[test]
fn a_pull_request_that_cannot_be_is_refused() {
    let world = World::new(Kind::GitHub);
    let refused = |head: &str, base: &str| {
        let body = json!({ "title": "Work", "head": head, "base": base });
        let answer = world.post("/repos/acme/app/pulls", body);
        assert_eq!((answer.status, &answer.body["message"]), (422, &json!("Validation Failed")));
        answer.body["errors"][0].clone()
    };
    let missing =
        |field: &str| json!({ "resource": "PullRequest", "field": field, "code": "invalid" });
    assert_eq!(refused("topic", "main"), missing("head"));
    world.push("topic");
    assert_eq!(refused("acme:topic", "nowhere"), missing("base"));
    world.must(&["push", "-q", &world.remote(world.forge.token()), "main:same"]);
    assert_eq!(refused("same", "main")["message"], "No commits between main and same");
    create(&world);
    assert_eq!(
        refused("topic", "main")["message"],
        "A pull request already exists for acme:topic."
    );
    let found = |query: &str| {
        let list = world.get(&format!("/repos/acme/app/pulls?{query}")).body;
        list.as_array().map_or(0, Vec::len)
    };
    assert_eq!((found("head=acme:topic"), found("head=acme:other")), (1, 0));
    // Without an owner the filter is none.
    assert_eq!((found("head=other"), found("state=closed")), (1, 0));
    world.forge.assert_contract();
}

#[test]
fn lists_have_pages() {
    let world = World::new(Kind::GitHub);
    for n in 0..3 {
        let branch = format!("topic-{n}");
        world.must(&["push", "-q", &world.remote(world.forge.token()), &format!("topic:{branch}")]);
        let body = json!({ "title": branch, "head": branch, "base": "main" });
        assert_eq!(world.post("/repos/acme/app/pulls", body).status, 201);
    }
    let first = world.get("/repos/acme/app/pulls?per_page=2&state=all");
    assert_eq!(first.body[0]["number"], 3);
    let link = first.headers["link"].to_str().expect("text").to_owned();
    let next = link.split(['<', '>']).nth(1).expect("an address");
    let second = world.get(next);
    assert_eq!((second.body[0]["number"].as_u64(), second.body[1].is_null()), (Some(1), true));
}

#[test]
fn branches_may_have_slashes() {
    let world = World::new(Kind::GitHub);
    world.must(&["push", "-q", &world.remote(world.forge.token()), "topic:feature/x"]);
    for name in ["feature/x", "feature%2Fx"] {
        let branch = world.get(&format!("/repos/acme/app/branches/{name}"));
        assert_eq!((branch.status, &branch.body["name"]), (200, &json!("feature/x")));
        assert_eq!(world.get(&format!("/repos/acme/app/commits/{name}/status")).status, 200);
    }
}

#[test]
fn an_open_pull_request_ends_with_its_branch_or_in_its_base() {
    let world = World::new(Kind::GitHub);
    let remote = world.remote(world.forge.token());
    world.push("topic");
    create(&world);
    world.must(&["push", "-q", &remote, ":topic"]);
    assert_eq!(world.forge.pull(1).state, PullState::Closed);
    let reopened = world.patch("/repos/acme/app/pulls/1", json!({ "state": "open" }));
    assert_eq!((reopened.status, &reopened.body["errors"][0]["field"]), (422, &json!("state")));
    world.push("topic");
    create(&world);
    world.must(&["push", "-q", &remote, "topic:main"]);
    assert_eq!(world.forge.pull(2).state, PullState::Merged);
}

#[test]
fn who_may_not_is_told_so() {
    let world = World::new(Kind::GitHub);
    world.push("topic");
    let ask = |token: &str, method: &str, path: &str| {
        let body =
            (method == "POST").then(|| json!({ "title": "x", "head": "topic", "base": "main" }));
        world.call_as(token, method, path, body, &[]).expect("an answer")
    };
    let wrong = ask("wrong", "GET", "/user");
    assert_eq!((wrong.status, &wrong.body["message"]), (401, &json!("Bad credentials")));
    assert_eq!(ask(world.forge.token_without_access(), "GET", "/repos/acme/app").status, 404);
    let reader = world.forge.read_only_token();
    assert_eq!(ask(reader, "GET", "/repos/acme/app").body["permissions"]["push"], false);
    assert_eq!(ask(reader, "POST", "/repos/acme/app/pulls").status, 403);
    for path in [
        "/repos/acme/app",
        "/user",
        "/rate_limit",
        "/meta",
        "/repos/acme/app/branches/main",
        "/repos/acme/app/git/ref/heads/main",
        "/repos/acme/app/labels",
        "/repos/acme/app/collaborators/alice/permission",
    ] {
        assert_eq!(world.get(path).status, 200, "{path}");
    }
    world.forge.assert_contract();
}

#[test]
fn what_has_not_changed_and_what_has_moved() {
    let world = World::new(Kind::GitHub);
    let answer = world.get("/repos/acme/app");
    let tag = answer.headers["etag"].to_str().expect("text");
    let again = world.call_as(
        world.forge.token(),
        "GET",
        "/repos/acme/app",
        None,
        &[("if-none-match", tag)],
    );
    assert_eq!(again.expect("an answer").status, 304);
    world.forge.rename_repository("renamed");
    let moved = world.get("/repos/acme/app/pulls?state=all");
    assert_eq!(moved.status, 301);
    let place = moved.headers["location"].to_str().expect("text");
    assert!(place.ends_with("/repositories/1/pulls?state=all"), "{place}");
    assert_eq!(world.get(place).status, 200);
    world.forge.delete_repository();
    assert_eq!(world.get("/repos/acme/renamed").status, 404);
    world.forge.assert_contract();
}
