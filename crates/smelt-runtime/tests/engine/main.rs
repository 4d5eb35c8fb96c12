//! The engine over a real runtime that is made to fail: at every phase the run ends as it should,
//! and nothing is left.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

mod fault;
mod needs_jail;
