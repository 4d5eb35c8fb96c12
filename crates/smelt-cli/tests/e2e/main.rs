//! The real program by its command line, on real repositories, in real jails.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod env;
mod needs_jail;
mod plain;
