//! The program is killed at each step of a delivery: afterwards there is one branch and one pull
//! request, whichever way it goes on.

use super::place::{AGENT, Place};
use crate::running::wait_until;
use smelt_testing_forge::{Fault, FaultKind, Kind};
use std::process::{Child, Stdio};

/// Steps between the collected work and the end, by the request that is held: its method and a part of
/// its path.
const STEPS: [(&str, &str); 6] = [
    ("GET", "/pulls?"),
    ("GET", "service=git-upload-pack"),
    ("GET", "service=git-receive-pack"),
    ("POST", "/git-receive-pack"),
    ("POST", "/pulls"),
    ("POST", "/labels"),
];

/// A process that is held at a request of its own.
struct Held {
    child: Child,
    helpers: Vec<u32>,
}

impl Held {
    fn at(place: &Place, args: &[&str], (method, part): (&str, &str)) -> Self {
        let before = unanswered(place, method, part);
        place.forge.fault(Fault::on(method, part, FaultKind::StallAfterSuccess));
        let mut command = place.env.command(args);
        command.env("FORGE_TOKEN", place.forge.token());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the request", || unanswered(place, method, part) > before);
        let helpers = descendants(child.id());
        Self { child, helpers }
    }

    /// kill -9
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Requests that got no answer.
fn unanswered(place: &Place, method: &str, part: &str) -> usize {
    let requests = place.forge.requests();
    let these = requests.iter().filter(|r| r.method == method && r.path.contains(part));
    these.filter(|request| request.status.is_none()).count()
}

fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = stat.rsplit_once(") ")?.1.split(' ');
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// All processes below one.
pub fn descendants(pid: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children: Vec<_> =
        pids.filter(|other| stat(*other).is_some_and(|(_, parent)| parent == pid)).collect();
    children.iter().flat_map(|pid| [vec![*pid], descendants(*pid)].concat()).collect()
}

const LABELS: &str = "labels = [\"smelt\"]";

#[test]
fn a_run_that_is_killed_while_it_delivers_is_delivered_later() {
    for (kind, step) in STEPS.into_iter().map(|step| (Kind::GitHub, step)) {
        let place = Place::new(kind);
        place.job(AGENT, LABELS);
        Held::at(&place, &["run", "job.toml"], step).kill();
        assert_eq!(place.repo().git(&["show", "smelt/job:new.txt"]), "new", "{step:?}");
        assert_eq!(place.state()["interrupted"], true, "{step:?}");
        let said = place.smelt(&["deliver", "job"]);
        assert_eq!(said.code, Some(0), "{step:?}: {}{}", said.stdout, said.stderr);
        place.smelt(&["clean", "--older-than", "0s", "--keep", "1"]).with_code(0);
        place.is_delivered_once();
        assert_eq!(place.forge.pull(1).labels, ["smelt"], "{step:?}");
    }
}

#[test]
fn a_run_that_is_killed_while_it_delivers_can_be_run_again() {
    for (kind, step) in STEPS.into_iter().map(|step| (Kind::Forgejo, step)) {
        let place = Place::new(kind);
        place.job("echo old > new.txt", LABELS);
        Held::at(&place, &["run", "job.toml"], step).kill();
        place.job(AGENT, LABELS);
        let said = place.smelt(&["run", "job.toml"]);
        assert_eq!(said.code, Some(0), "{step:?}: {}{}", said.stdout, said.stderr);
        place.smelt(&["clean", "--older-than", "0s", "--keep", "1"]).with_code(0);
        place.is_delivered_once();
    }
}

#[test]
fn a_delivery_that_is_killed_can_be_made_again() {
    for (kind, step) in STEPS.into_iter().map(|step| (Kind::Gitea, step)) {
        let place = Place::new(kind);
        place.job(AGENT, LABELS);
        place.smelt(&["run", "job.toml", "--no-pr"]).with_code(0);
        Held::at(&place, &["deliver", "job"], step).kill();
        let said = place.smelt(&["deliver", "job"]);
        assert_eq!(said.code, Some(0), "{step:?}: {}{}", said.stdout, said.stderr);
        place.is_delivered_once();
    }
}

/// The pull request of an earlier run is being brought up to date.
#[test]
fn an_update_that_is_killed_can_be_made_again() {
    for kind in [Kind::GitHub, Kind::Forgejo] {
        let place = Place::new(kind);
        place.job("echo old > new.txt", "");
        place.smelt(&["run", "job.toml"]).with_code(0);
        place.job(AGENT, "");
        Held::at(&place, &["run", "job.toml"], ("PATCH", "/pulls/1")).kill();
        place.smelt(&["deliver", "job"]).with_code(0);
        place.smelt(&["clean", "--older-than", "0s", "--keep", "1"]).with_code(0);
        place.is_delivered_once();
    }
}

/// Ctrl-C ends it at once, with the work kept.
#[test]
fn a_delivery_that_is_stopped_is_cancelled() {
    let place = Place::new(Kind::GitHub);
    place.job(AGENT, "");
    let mut held = Held::at(&place, &["run", "job.toml"], ("POST", "/git-receive-pack"));
    let pid = held.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(held.child.wait().unwrap().code(), Some(130));
    wait_until("the end of its helpers", || !held.helpers.iter().any(|pid| is_alive(*pid)));
    let state = place.state();
    assert_eq!(state["outcome"], "cancelled");
    assert!(state["failure"]["hint"].as_str().unwrap().contains("smelt deliver job --run"));
    place.env.nothing_is_left(&place.repo());
    place.smelt(&["deliver", "job"]).with_code(0);
    place.is_delivered_once();
}
