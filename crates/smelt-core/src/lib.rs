//! Smelt's engine as a library: it reads a job's manifest, carries the job through its phases by
//! way of ports, and reports what happens as one stream of events.
//!
//! It prints nothing, and reads no environment variable and no configuration of its own: whoever
//! embeds it decides. docs/architecture.md is the map.

pub mod delivery;
pub mod document;
pub mod engine;
pub mod event;
pub mod git;
pub mod id;
pub mod manifest;
pub mod name;
mod newtype;
pub mod orchestrator;
pub mod outcome;
pub mod plan;
pub mod port;
mod sandbox_git;
pub mod secret;
mod session;
pub mod state;
pub mod text;
pub mod tree;
