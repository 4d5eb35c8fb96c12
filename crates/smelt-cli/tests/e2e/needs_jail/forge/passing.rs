//! Faults that pass: the delivery succeeds in spite of them, and never in two pull requests.

use super::place::{AGENT, Place};
use smelt_testing_forge::{Fault, FaultKind, Kind};

const ALL: [Kind; 3] = [Kind::GitHub, Kind::Forgejo, Kind::Gitea];

/// A fresh delivery that meets these faults.
fn delivers(kind: Kind, faults: Vec<Fault>) -> Place {
    let place = Place::undelivered(kind);
    let what = format!("{kind:?}, {faults:?}");
    faults.into_iter().for_each(|fault| place.forge.fault(fault));
    let said = place.smelt(&["deliver", "job"]);
    assert_eq!(said.code, Some(0), "{what}\n{}\n{}", said.stdout, said.stderr);
    place.is_delivered_once();
    place
}

/// A delivery that brings an open pull request up to date, and meets these faults.
fn updates(kind: Kind, faults: Vec<Fault>) {
    let place = delivers(kind, Vec::new());
    let what = format!("{kind:?}, {faults:?}");
    faults.into_iter().for_each(|fault| place.forge.fault(fault));
    let said = place.smelt(&["run", "job.toml"]);
    assert_eq!(said.code, Some(0), "{what}\n{}\n{}", said.stdout, said.stderr);
    place.is_delivered_once();
    let run = place.state()["run_id"].as_str().unwrap().to_owned();
    assert!(place.forge.pull(1).body.contains(&run), "it tells of the newest run");
}

fn posts(place: &Place) -> usize {
    let requests = place.forge.requests();
    requests.iter().filter(|r| r.method == "POST" && r.path.ends_with("/pulls")).count()
}

#[test]
fn an_answer_that_is_lost_after_the_pull_request_was_opened() {
    for kind in ALL {
        let fault = Fault::on("POST", "/pulls", FaultKind::DropAfterSuccess);
        let place = delivers(kind, vec![fault]);
        assert_eq!(posts(&place), 1, "the second look finds it");
    }
}

#[test]
fn a_server_that_fails_three_times() {
    for kind in ALL {
        let broken = |method, part, status| Fault::on(method, part, FaultKind::Status(status));
        delivers(kind, vec![broken("POST", "/pulls", 500).times(3)]);
        updates(kind, vec![broken("PATCH", "/pulls/1", 502).times(3)]);
    }
}

#[test]
fn a_server_that_fails_three_times_while_it_is_asked() {
    let broken = |method, part, status| Fault::on(method, part, FaultKind::Status(status)).times(3);
    delivers(Kind::GitHub, vec![broken("GET", "/repos/acme/app", 500)]);
    delivers(Kind::GitHub, vec![broken("GET", "/repos/acme/app/pulls", 503)]);
    delivers(Kind::GitHub, vec![broken("GET", "/repos/acme/app/branches", 502)]);
    delivers(Kind::Forgejo, vec![broken("GET", "/repos/acme/app/pulls", 500)]);
}

#[test]
fn connections_that_are_lost_and_pages_that_are_no_json() {
    for kind in [Kind::GitHub, Kind::Forgejo] {
        let on = |method, part, kind| Fault::on(method, part, kind);
        delivers(
            kind,
            vec![
                on("GET", "/repos/acme/app", FaultKind::DropConnection),
                on("GET", "/pulls", FaultKind::DropConnection),
                on("POST", "/pulls", FaultKind::DropConnection),
            ],
        );
        updates(kind, vec![on("PATCH", "/pulls/1", FaultKind::DropAfterSuccess)]);
    }
}

/// A proxy's page in place of an answer does not pass: it may be the wrong address.
#[test]
fn a_page_that_is_no_json() {
    for kind in ALL {
        let place = Place::undelivered(kind);
        place.forge.fault(Fault::on("POST", "/pulls", FaultKind::Garbage));
        let said = place.smelt(&["deliver", "job"]).with_code(69);
        let told = place.state()["failure"].to_string();
        assert!(told.contains("something unexpected"), "{told} {}", said.stdout);
        assert!(told.contains("api_url"), "{told}");
        place.smelt(&["deliver", "job"]).with_code(0);
        place.is_delivered_once();
    }
}

#[test]
fn a_forge_that_wants_to_be_asked_a_second_later() {
    for kind in ALL {
        let limit =
            |status| FaultKind::RateLimited { status, retry_after: Some(1), reset_in: None };
        delivers(
            kind,
            vec![
                Fault::on("GET", "/repos/acme/app", limit(429)),
                Fault::on("POST", "/pulls", limit(429)),
            ],
        );
    }
    // GitHub's secondary limit, and its primary one.
    let secondary = FaultKind::RateLimited { status: 403, retry_after: Some(1), reset_in: None };
    let primary = FaultKind::RateLimited { status: 403, retry_after: None, reset_in: Some(2) };
    delivers(Kind::GitHub, vec![Fault::on("POST", "/pulls", secondary)]);
    delivers(Kind::GitHub, vec![Fault::on("POST", "/pulls", primary)]);
}

#[test]
fn pushes_that_fail_on_the_way() {
    for kind in [Kind::GitHub, Kind::Forgejo] {
        let on = |method, part, kind| Fault::on(method, part, kind);
        let (look, push) = ("service=git-receive-pack", "/git-receive-pack");
        for faults in [
            vec![on("GET", "service=git-upload-pack", FaultKind::Status(500)).times(2)],
            vec![on("GET", look, FaultKind::Status(500)).times(2)],
            vec![on("POST", push, FaultKind::Status(503))],
            vec![on("POST", push, FaultKind::DropConnection)],
            vec![on("POST", push, FaultKind::DropAfterSuccess)],
            vec![on("GET", look, FaultKind::DropConnection)],
            vec![on("POST", push, FaultKind::Status(429))],
        ] {
            delivers(kind, faults);
        }
    }
}

fn fails_for_ever(fault: Fault, message: &str, help: &str) {
    let place = Place::undelivered(Kind::GitHub);
    place.forge.fault(fault.times(1000));
    let said = place.smelt(&["deliver", "job"]).with_code(69);
    let state = place.state();
    assert_eq!(state["outcome"], "undelivered");
    let told = state["failure"].to_string();
    assert!(told.contains(message) && told.contains(help), "{told}");
    assert!(said.stdout.contains("smelt deliver job --run"), "{}", said.stdout);
    assert_eq!(place.repo().git(&["show", "smelt/job:new.txt"]), "new");
    assert!(place.forge.pulls().len() < 2);
    place.env.nothing_is_left(&place.repo());
    place.forge.assert_contract();
}

#[test]
fn a_server_that_fails_for_ever() {
    fails_for_ever(Fault::on("*", "/api/", FaultKind::Status(500)), "could not", "api_url");
}

#[test]
fn a_git_server_that_fails_for_ever() {
    let fault = Fault::on("POST", "/git-receive-pack", FaultKind::Status(500));
    fails_for_ever(fault, "can't be reached", "check the network");
}

#[test]
fn a_forge_that_is_not_there() {
    let place = Place::new(Kind::GitHub);
    // Nobody listens here: the port was free a moment ago.
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}/api/v3", closed.local_addr().unwrap());
    drop(closed);
    let manifest = place.job(AGENT, "");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace(&place.forge.api_url(), &address)).unwrap();
    place.smelt(&["run", "job.toml"]).with_code(69);
    let state = place.state();
    assert_eq!(state["outcome"], "undelivered");
    let told = state["failure"].to_string();
    assert!(told.contains("check `api_url` in `[forge]`, the network"), "{told}");
    assert!(told.contains("smelt deliver job --run"), "{told}");
    assert_eq!(place.repo().git(&["show", "smelt/job:new.txt"]), "new");
    // The manifest is mended, and the job run again.
    place.job(AGENT, "");
    place.smelt(&["run", "job.toml"]).with_code(0);
    place.is_delivered_once();
}
