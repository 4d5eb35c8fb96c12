//! Jobs in pods: by the real program, in a scripted cluster whose pods' commands run in jails.

mod doctor;
mod ended;
#[path = "../../jobs/exit_codes.rs"]
mod exit_codes;
#[path = "../../jobs/interrupt.rs"]
mod interrupt;
mod plan;
mod secrets;
#[path = "../../jobs/security.rs"]
mod security;
mod sessions;
mod starting;
mod taken_up;
#[path = "../../jobs/users_repository.rs"]
mod users_repository;

use crate::env::{Said, TestEnv};
use crate::running::Running;
use smelt_testing::TestRepo;
use smelt_testing_kubernetes::ScriptedCluster;

fn env() -> TestEnv {
    TestEnv::kubernetes(ScriptedCluster::start())
}

/// All that a command has said.
fn all(said: &Said) -> String {
    format!("{}\n{}", said.stdout, said.stderr)
}

#[track_caller]
fn tells(said: &Said, what: &str) {
    let all = all(said);
    assert!(all.contains(what), "{what}: {all}");
}

/// Makes sure that a run without a result has left nothing but what it keeps of its work.
#[track_caller]
fn only_its_own_is_left(env: &TestEnv, repo: &TestRepo<'_>) {
    env.nothing_is_left(repo);
    let run = env.run_ids().remove(0);
    let refs = repo.git(&["for-each-ref", "--format=%(refname)"]);
    let foreign = refs.lines().find(|name| {
        *name != "refs/heads/main" && !name.starts_with(&format!("refs/smelt/runs/{run}/"))
    });
    assert_eq!(foreign, None, "{refs}");
}

/// A file of the work that the run has kept of its first session.
#[track_caller]
fn kept(env: &TestEnv, repo: &TestRepo<'_>, file: &str) -> String {
    let status = env.status("job");
    let reference = status["sessions"][0]["reference"].as_str();
    let reference = reference.unwrap_or_else(|| panic!("nothing was kept: {status:#}"));
    repo.git(&["show", &format!("{reference}:{file}")])
}

/// What an agent that works until it is ended prints and leaves.
const PATIENT: &str = "echo work > work.txt; echo ready; sleep 600";

/// Starts a job of one session, whose agent is [`PATIENT`].
fn start(env: &TestEnv) -> Running<'_> {
    let session = crate::env::session("one", "true", "");
    Running::start(env, &env.manifest("job", PATIENT, &session))
}
