//! Everything that runs a job in a container.

#[path = "../jobs/assay.rs"]
mod assay;
mod builds;
mod canaries;
mod compose;
mod doctor;
mod ended;
#[path = "../jobs/exit_codes.rs"]
mod exit_codes;
mod images;
#[path = "../jobs/interrupt.rs"]
mod interrupt;
mod limits;
mod needs_root;
mod no_assay;
#[path = "../jobs/observe.rs"]
mod observe;
#[path = "../jobs/secrets.rs"]
mod secrets;
#[path = "../jobs/security.rs"]
mod security;
#[path = "../jobs/sessions.rs"]
mod sessions;
mod shell;
mod users;
#[path = "../jobs/users_repository.rs"]
mod users_repository;
mod walls;

fn env() -> crate::env::TestEnv {
    crate::env::TestEnv::docker()
}

/// Runs the engine's own client, whoever the tests run Smelt as; returns what it printed.
#[track_caller]
fn docker(args: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A file of the work that a run has kept of its only session.
#[track_caller]
fn kept(
    env: &crate::env::TestEnv,
    repo: &smelt_testing::TestRepo<'_>,
    job: &str,
    file: &str,
) -> String {
    let status = env.status(job);
    let reference = status["sessions"][0]["reference"].as_str();
    let reference = reference.unwrap_or_else(|| panic!("nothing was kept: {status:#}"));
    repo.git(&["show", &format!("{reference}:{file}")])
}
