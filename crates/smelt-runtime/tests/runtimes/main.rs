//! What holds of every runtime, written once against the port; and each runtime put through it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod contract;
#[cfg(target_os = "linux")]
mod needs_docker;
mod needs_jail;
#[cfg(target_os = "linux")]
mod unsandboxed;
