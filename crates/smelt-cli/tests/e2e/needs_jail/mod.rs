//! Everything that runs a job in a jail.

mod demo;
mod docs;
mod examples;
mod exit_codes;
mod interrupt;
mod observe;
mod secrets;
mod security;
mod sessions;
mod users_repository;
