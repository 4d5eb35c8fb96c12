//! Everything that runs a job in a container.

#[path = "../jobs/assay.rs"]
mod assay;
mod doctor;
#[path = "../jobs/exit_codes.rs"]
mod exit_codes;
#[path = "../jobs/interrupt.rs"]
mod interrupt;
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
#[path = "../jobs/users_repository.rs"]
mod users_repository;

fn env() -> crate::env::TestEnv {
    crate::env::TestEnv::docker()
}
