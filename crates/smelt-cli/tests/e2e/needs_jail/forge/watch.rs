//! `smelt status` and `smelt watch` on a pull request that people and machines do things to.

use super::place::{AGENT, Place};
use crate::env::Said;
use serde_json::Value;
use smelt_testing_forge::{CheckState, Fault, FaultKind, Kind, Verdict};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const ALL: [Kind; 3] = [Kind::GitHub, Kind::Forgejo, Kind::Gitea];

fn delivered(kind: Kind) -> Place {
    let place = Place::new(kind);
    place.job(AGENT, "");
    place.smelt(&["run", "job.toml"]).with_code(0);
    place
}

/// What `smelt status --json` says of the pull request, having asked the forge.
fn pull(place: &Place) -> Value {
    let said = place.smelt(&["status", "job", "--json"]).with_code(0);
    assert_eq!(said.stderr, "");
    serde_json::from_str::<Value>(&said.stdout).unwrap()["pr"].take()
}

/// A `smelt watch` that goes on.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(place: &Place, more: &[&str]) -> Self {
        let args = [&["watch", "job", "--interval-secs", "1"], more].concat();
        let mut command = place.env.command(&args);
        command.env("FORGE_TOKEN", place.forge.token());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// The next line; it comes within a minute.
    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// The next line, as JSON.
    #[track_caller]
    fn json(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// How it ended, with the lines that nobody has read.
    fn end(mut self) -> Said {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code();
        Said { code, stdout: self.lines.iter().collect(), stderr }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn status_tells_how_the_pull_request_stands() {
    for kind in ALL {
        let place = delivered(kind);
        let fresh = pull(&place);
        assert_eq!(fresh["number"], 1);
        assert_eq!((&fresh["state"], &fresh["ci"]), (&"open".into(), &"none".into()), "{fresh}");
        assert_eq!(fresh["reviews"], "none");

        place.forge.check("smelt/job", "build", CheckState::Pending);
        assert_eq!(pull(&place)["ci"], "pending");
        place.forge.check("smelt/job", "build", CheckState::Success);
        assert_eq!(pull(&place)["ci"], "passing");
        // Statuses count as check runs do.
        place.forge.commit_status("smelt/job", "lint", CheckState::Failure);
        let failing = pull(&place);
        assert_eq!(failing["ci"], "failing");
        assert_eq!(failing["checks"]["failed"], serde_json::json!(["lint"]));

        place.forge.review(1, "alice", Verdict::RequestChanges);
        place.forge.review(1, "bob", Verdict::Approve);
        place.forge.comment(1, "alice", "Why?");
        let reviewed = pull(&place);
        assert_eq!(reviewed["reviews"], "changes_requested");
        assert_eq!(reviewed["reviewers"]["changes_requested"], serde_json::json!(["alice"]));
        assert_eq!(reviewed["comments"], 1);
        let said = place.smelt(&["status", "job"]).with_code(0);
        for part in
            ["failing (1 failed: lint; 1 passed)", "changes requested by alice; approved by bob"]
        {
            assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
        }

        place.forge.review(1, "alice", Verdict::Approve);
        assert_eq!(pull(&place)["reviews"], "approved");
        place.forge.merge(1);
        assert_eq!(pull(&place)["state"], "merged");
        // What has ended is not asked for again.
        let asked = place.forge.requests().len();
        assert_eq!(pull(&place)["state"], "merged");
        assert_eq!(place.forge.requests().len(), asked);
        place.forge.assert_contract();
    }
}

#[test]
fn status_shows_what_is_known_where_the_forge_can_not_be_asked() {
    let place = delivered(Kind::GitHub);
    place.forge.check("smelt/job", "build", CheckState::Success);
    assert_eq!(pull(&place)["ci"], "passing");
    let offline = place.env.smelt(&["status", "job", "--json", "--offline"]).with_code(0);
    assert_eq!(serde_json::from_str::<Value>(&offline.stdout).unwrap()["pr"]["ci"], "passing");
    for said in
        [place.env.smelt(&["status", "job"]), place.smelt_with("wrong", &["status", "job"]), {
            place.forge.fault(Fault::on("*", "/api/", FaultKind::Status(500)).times(20));
            place.smelt(&["status", "job"])
        }]
    {
        let said = said.with_code(0);
        assert!(said.stdout.contains("passing"), "{}", said.stdout);
        assert!(said.stderr.contains("the pull request is shown as of "), "{}", said.stderr);
    }
    place.forge.assert_contract();
}

#[test]
fn watch_tells_each_change_and_ends_with_the_merge() {
    for kind in ALL {
        let place = delivered(kind);
        let watching = Watching::start(&place, &["--json"]);
        let first = watching.json();
        assert_eq!((&first["state"], &first["ci"]), (&"open".into(), &"none".into()));
        place.forge.check("smelt/job", "build", CheckState::Failure);
        let line = watching.json();
        assert_eq!(
            (&line["ci"], &line["checks"]["failed"][0]),
            (&"failing".into(), &"build".into())
        );
        place.forge.review(1, "alice", Verdict::RequestChanges);
        assert_eq!(watching.json()["reviews"], "changes_requested");
        // The network goes away for a while.
        place.forge.fault(Fault::on("GET", "/api/", FaultKind::DropConnection).times(2));
        place.forge.comment(1, "bob", "Well.");
        assert_eq!(watching.json()["comments"], 1);
        place.forge.merge(1);
        assert_eq!(watching.json()["state"], "merged");
        let said = watching.end().with_code(0);
        assert_eq!(said.stdout, "");
        assert_eq!(place.state()["pr"]["state"], "merged");
        place.forge.assert_contract();
    }
}

#[test]
fn watch_ends_with_one_when_it_is_closed() {
    for kind in ALL {
        let place = delivered(kind);
        let watching = Watching::start(&place, &[]);
        assert!(watching.line().contains("open; CI none; reviews: none"));
        let fault = Fault::on("GET", "/pulls/1", FaultKind::Status(502));
        place.forge.fault(fault);
        crate::running::wait_until("the fault", || {
            place.forge.requests().iter().any(|request| request.status == Some(502))
        });
        place.forge.close(1);
        assert!(watching.line().contains("closed"));
        let said = watching.end().with_code(1);
        assert!(said.stderr.contains("looking again in 1 s"), "{}", said.stderr);
        place.forge.assert_contract();
    }
}

#[test]
fn watch_asks_only_for_what_is_new() {
    let place = delivered(Kind::GitHub);
    let watching = Watching::start(&place, &["--json"]);
    watching.json();
    crate::running::wait_until("a conditional answer", || {
        place.forge.requests().iter().any(|request| request.status == Some(304))
    });
    place.forge.merge(1);
    assert_eq!(watching.json()["state"], "merged");
    watching.end().with_code(0);
    place.forge.assert_contract();
}

#[test]
fn a_token_that_is_revoked_ends_it() {
    for kind in ALL {
        let place = delivered(kind);
        let said = place.smelt_with("revoked", &["watch", "job"]).with_code(69);
        assert!(said.stderr.contains("refuses the token"), "{}", said.stderr);
        assert!(said.stderr.contains("make a new one"), "{}", said.stderr);
        let said = place.env.smelt(&["watch", "job"]).with_code(65);
        assert!(said.stderr.contains("FORGE_TOKEN"), "{}", said.stderr);
        place.forge.assert_contract();
    }
}

#[test]
fn without_a_pull_request_there_is_nothing_to_watch() {
    let place = Place::undelivered(Kind::GitHub);
    let said = place.smelt(&["watch", "job"]).with_code(69);
    assert!(said.stderr.contains("has no pull request"), "{}", said.stderr);
    assert!(said.stderr.contains("`smelt deliver job` opens it"), "{}", said.stderr);
    place.forge.assert_contract();
}
