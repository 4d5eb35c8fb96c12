use crate::client::World;
use serde_json::json;
use smelt_testing_forge::Kind;

fn reasons(world: &World) -> String {
    let all: Vec<_> = world.forge.take_violations().iter().map(ToString::to_string).collect();
    all.join("\n")
}

#[test]
fn a_field_that_the_contract_does_not_have_is_a_violation() {
    let world = World::new(Kind::Forgejo);
    world.push("topic");
    let body = json!({ "title": "Work", "head": "topic", "base": "main", "draft": true });
    assert_eq!(world.post("/repos/acme/app/pulls", body).status, 201);
    let said = reasons(&world);
    assert!(said.contains("POST /api/v1/repos/acme/app/pulls") && said.contains("draft"), "{said}");

    let world = World::new(Kind::GitHub);
    world.push("topic");
    let body = json!({ "title": "Work", "head": "topic", "base": "main" });
    world.post("/repos/acme/app/pulls", body);
    world.patch("/repos/acme/app/pulls/1", json!({ "draft": false }));
    assert!(reasons(&world).contains("draft"));
    world.post("/repos/acme/app/issues/1/labels", json!({ "labels": [1] }));
    assert!(reasons(&world).contains("the body"));
}

#[test]
fn so_is_a_path_a_parameter_or_a_value_of_one() {
    let world = World::new(Kind::GitHub);
    for (path, word) in [
        ("/repos/acme/app/pull", "no such operation"),
        ("/repos/acme/app/pulls?limit=5", "limit"),
        ("/repos/acme/app/pulls?state=merged", "state"),
        ("/repos/acme/app/pulls?page=one", "page"),
        ("/repos/acme/app/pulls/one", "pull_number"),
    ] {
        world.get(path);
        let said = reasons(&world);
        assert!(said.contains(word), "{path}: {said}");
    }
    world.get(&format!("{}/graphql", world.forge.url().replace("/api/v3", "")));
    world.get(&format!("{}/api/graphql", world.forge.url()));
    assert!(reasons(&world).contains("below /api/v3"));
    world.call_as("x", "GET", "/user", None, &[("user-agent", "")]).expect("an answer");
    assert!(reasons(&world).contains("user-agent"));
}

#[test]
#[should_panic(expected = "not as GitHub's contract has it")]
fn a_test_with_a_violation_fails_when_its_forge_goes() {
    let world = World::new(Kind::GitHub);
    world.get("/nowhere");
}
