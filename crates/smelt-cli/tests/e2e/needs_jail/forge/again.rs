//! A result that is delivered after its run.

use super::place::{AGENT, Place};
use crate::env::session;
use crate::running::Running;
use smelt_testing_forge::{Fault, FaultKind, Kind, PullState};

#[test]
fn a_draft_that_could_not_be_opened_is_one_when_it_is_delivered_later() {
    let place = Place::new(Kind::GitHub);
    let sessions = [session("good", "test -f new.txt", ""), session("bad", "false", "")].concat();
    let rest = format!("{}on_gates_failed = \"draft\"\n{sessions}", place.keys());
    place.env.manifest("job", AGENT, &rest);
    place.forge.fault(Fault::on("POST", "/pulls", FaultKind::Status(422)));
    let said = place.smelt(&["run", "job.toml"]).with_code(2);
    assert!(said.stdout.contains("there is no draft"), "{}", said.stdout);
    assert_eq!(place.env.status("job")["outcome"], "gates_failed");
    place.smelt(&["deliver", "job"]).with_code(2);
    let pull = place.forge.pull(1);
    assert!(pull.draft && pull.body.contains("Not every gate passed"), "{}", pull.body);
    assert!(!pull.body.contains("there is no draft"), "{}", pull.body);
    assert_eq!(place.env.status("job")["outcome"], "gates_failed");
    place.forge.assert_contract();
}

#[test]
fn a_result_whose_branch_was_taken_meanwhile_is_delivered_all_the_same() {
    let place = Place::new(Kind::Forgejo);
    let manifest = place.job(&format!("echo ready; sleep 4; {AGENT}"), "");
    let token = place.forge.token();
    let running =
        Running::start_with(&place.env, &manifest, |command| command.env("FORGE_TOKEN", token));
    place.repo().git(&["branch", "smelt/job"]);
    running.end().with_code(69);
    let state = place.env.status("job");
    assert_eq!(state["outcome"], "undelivered");
    assert!(state["result_commit"].is_string() && state["result_branch"].is_null(), "{state}");
    place.smelt(&["deliver", "job"]).with_code(0);
    assert_eq!(place.there("smelt/job:new.txt"), "new");
    assert_eq!(place.repo().git(&["ls-tree", "--name-only", "smelt/job"]), "README.md");
    place.forge.assert_contract();
}

#[test]
fn an_older_result_does_not_replace_a_newer_one() {
    let place = Place::new(Kind::GitHub);
    place.job(AGENT, "");
    place.smelt(&["run", "job.toml"]).with_code(0);
    let older = place.env.status("job")["run_id"].as_str().unwrap().to_owned();
    place.job("echo newer > new.txt", "");
    place.smelt(&["run", "job.toml"]).with_code(0);
    let newer = place.env.status("job");
    let said = place.smelt(&["deliver", "job", "--run", &older]).with_code(1);
    assert!(said.stderr.contains("has delivered to the same branch since"), "{}", said.stderr);
    assert_eq!(place.there("smelt/job:new.txt"), "newer");
    assert_eq!(place.env.status("job")["run_id"], newer["run_id"]);
}

#[test]
fn a_merged_result_is_not_delivered_once_more() {
    for kind in [Kind::GitHub, Kind::Forgejo, Kind::Gitea] {
        let place = Place::new(kind);
        place.job(AGENT, "");
        place.smelt(&["run", "job.toml"]).with_code(0);
        place.forge.merge(1);
        let said = place.smelt(&["deliver", "job"]).with_code(0);
        assert!(said.stderr.contains("was merged already"), "{}", said.stderr);
        assert_eq!(place.forge.pulls().len(), 1);
        assert_eq!(place.forge.pull(1).state, PullState::Merged);
        assert_eq!(place.env.status("job")["outcome"], "complete");
        assert_eq!(place.env.status("job")["pr"]["state"], "merged");
        place.forge.assert_contract();
    }
}

#[test]
fn what_the_base_has_already_is_not_pushed() {
    let place = Place::new(Kind::Gitea);
    place.job(AGENT, "");
    place.smelt(&["run", "job.toml", "--no-pr"]).with_code(0);
    place.push("smelt/job:main");
    let said = place.smelt(&["deliver", "job"]).with_code(3);
    assert!(said.stderr.contains("has the result already"), "{}", said.stderr);
    assert!(place.forge.pulls().is_empty());
    assert_eq!(place.branches(), ["main"]);
}

#[test]
fn a_base_that_has_moved_on_costs_no_second_history() {
    let place = Place::new(Kind::GitHub);
    let repo = place.repo();
    for n in 0..60 {
        repo.write(&format!("file-{n}"), format!("{n}"));
        repo.commit("More");
    }
    repo.git(&["checkout", "--quiet", "-b", "elsewhere"]);
    repo.write("elsewhere", "x");
    repo.commit("Elsewhere");
    place.push("elsewhere:main");
    // Nothing of it is known here.
    repo.git(&["checkout", "--quiet", "main"]);
    repo.git(&["branch", "--quiet", "-D", "elsewhere"]);
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["gc", "--quiet", "--prune=now"]);
    let before = objects_there(&place);
    place.job(AGENT, "");
    place.smelt(&["run", "job.toml"]).with_code(0);
    let sent = objects_there(&place) - before;
    assert!(sent < 10, "{sent} objects were sent for one file");
}

/// How many objects the repository at the forge holds.
fn objects_there(place: &Place) -> u64 {
    let told = place.bare(&["count-objects", "-v"]);
    let numbers = told.lines().filter_map(|line| {
        let (key, number) = line.split_once(": ")?;
        matches!(key, "count" | "in-pack").then(|| number.parse::<u64>().unwrap())
    });
    numbers.sum()
}
