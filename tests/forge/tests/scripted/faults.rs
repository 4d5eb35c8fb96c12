use crate::client::World;
use serde_json::{Value, json};
use smelt_testing_forge::{Fault, FaultKind, Kind};

fn body() -> Value {
    json!({ "title": "Work", "head": "topic", "base": "main" })
}

fn world_with(fault: Fault) -> World {
    let world = World::new(Kind::GitHub);
    world.push("topic");
    world.forge.fault(fault);
    world
}

fn create(world: &World) -> Result<u16, ureq::Error> {
    let token = world.forge.token();
    let answer = world.call_as(token, "POST", "/repos/acme/app/pulls", Some(body()), &[]);
    answer.map(|answer| answer.status)
}

#[test]
fn a_status_comes_as_often_as_it_is_scripted() {
    let world = world_with(Fault::on("POST", "/pulls", FaultKind::Status(502)).times(2));
    assert_eq!(world.get("/repos/acme/app/pulls").status, 200);
    let statuses: Vec<_> = (0..3).map(|_| create(&world).expect("an answer")).collect();
    assert_eq!(statuses, [502, 502, 201]);
}

#[test]
fn a_rate_limit_says_when_to_come_back() {
    let kind = FaultKind::RateLimited { status: 429, retry_after: Some(7), reset_in: Some(60) };
    let world = world_with(Fault::on("*", "", kind));
    let answer = world.get("/user");
    assert_eq!((answer.status, &answer.headers["retry-after"] == "7"), (429, true));
    assert_eq!(answer.headers["x-ratelimit-remaining"], "0");
}

#[test]
fn a_dropped_connection_does_nothing_and_one_dropped_after_success_did_it() {
    let world = world_with(Fault::on("POST", "/pulls", FaultKind::DropConnection));
    create(&world).expect_err("no answer");
    assert!(world.forge.pulls().is_empty());
    world.forge.fault(Fault::on("POST", "/pulls", FaultKind::DropAfterSuccess));
    create(&world).expect_err("no answer");
    assert_eq!(world.forge.pulls().len(), 1);
    let requests = world.forge.requests();
    assert_eq!(requests.last().and_then(|request| request.status), None);
}

#[test]
fn a_stalled_answer_never_comes_and_the_others_do() {
    let world = world_with(Fault::on("POST", "/pulls", FaultKind::StallAfterSuccess));
    create(&world).expect_err("the client gives up");
    assert_eq!(world.forge.pulls().len(), 1);
    assert_eq!(world.get("/repos/acme/app/pulls").status, 200);
}

#[test]
fn a_request_that_meets_a_fault_is_held_to_the_contract_too() {
    let world = world_with(Fault::on("POST", "/pulls", FaultKind::Status(500)));
    world.post("/repos/acme/app/pulls", json!({ "head": "topic", "base": "main", "titel": "x" }));
    let violations = world.forge.take_violations();
    assert!(violations.iter().any(|found| found.reason.contains("titel")), "{violations:?}");
}

#[test]
fn garbage_is_no_json_and_git_meets_faults_too() {
    let world = world_with(Fault::on("GET", "/user", FaultKind::Garbage));
    assert!(matches!(world.get("/user").body, Value::String(_)));
    world.forge.fault(Fault::on("POST", "/git-receive-pack", FaultKind::DropAfterSuccess));
    let head = world.commit("more.txt", "more\n");
    let output = world.git(&["push", &world.remote(world.forge.token()), "topic"]);
    assert!(!output.status.success());
    let bare = world.forge.bare_repo();
    assert_eq!(world.must(&["-C", &bare.to_string_lossy(), "rev-parse", "topic"]), head);
}
