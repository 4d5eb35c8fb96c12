//! Everything that runs a job in a jail.

#[path = "../jobs/assay.rs"]
mod assay;
mod demo;
mod docs;
mod examples;
#[path = "../jobs/exit_codes.rs"]
mod exit_codes;
mod forge;
#[path = "../jobs/interrupt.rs"]
mod interrupt;
mod kubernetes;
mod no_assay;
#[path = "../jobs/observe.rs"]
mod observe;
#[path = "../jobs/secrets.rs"]
mod secrets;
#[path = "../jobs/security.rs"]
mod security;
#[path = "../jobs/sessions.rs"]
mod sessions;
#[path = "../jobs/users_repository.rs"]
mod users_repository;
mod walls;

fn env() -> crate::env::TestEnv {
    crate::env::TestEnv::new()
}
