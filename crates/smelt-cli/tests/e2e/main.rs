//! The real program by its command line, on real repositories, in real sandboxes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::duplicate_mod, reason = "jobs are run in sandboxes of each kind")]

mod env;
mod needs_docker;
mod needs_jail;
mod plain;
mod running;
