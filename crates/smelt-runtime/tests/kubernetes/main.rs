//! The `kubernetes` runtime against a scripted API server: what a cluster does, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

mod cluster;
#[allow(dead_code, reason = "some of it is for runtimes whose walls a test can try")]
#[path = "../runtimes/contract/mod.rs"]
mod contract;
mod needs_jail;
mod starting;
mod surroundings;
