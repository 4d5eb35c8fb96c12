//! The git on the host, against real repositories: what goes into a sandbox and what comes out.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bundle_out;
mod clone_in;
mod mirror;
mod publish;
mod workspace;
