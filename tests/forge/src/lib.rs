//! A scripted GitHub, Forgejo or Gitea before a real git server, for tests that run the real
//! `smelt` (or any client) against it.
//!
//! The API is a stateful imitation that is held to the services' own contracts: a request that
//! their documents do not have, and an answer that would not fit them, is a [`Violation`], and a
//! test with one fails when its [`ScriptedForge`] goes. git talks to `git http-backend`.
//!
//! ```no_run
//! # use smelt_testing_forge::{Fault, FaultKind, Kind, ScriptedForge};
//! let forge = ScriptedForge::start(Kind::GitHub, std::path::Path::new("/tmp/test"));
//! forge.fault(Fault::on("POST", "/pulls", FaultKind::DropAfterSuccess));
//! // push to forge.git_url() with forge.token(), call forge.api_url(), and then:
//! assert_eq!(forge.pulls().len(), 1);
//! ```
// This is a test's double: what it can't do, it panics of.
#![allow(clippy::missing_panics_doc)]

mod access;
mod api;
mod backend;
mod call;
mod contract;
mod fault;
mod forge;
mod git;
mod human;
mod kind;
mod protection;
mod pull;
mod recorded;
mod server;
mod state;

pub use fault::{Fault, FaultKind};
pub use forge::ScriptedForge;
pub use kind::Kind;
pub use pull::{CheckState, Comment, Pull, PullState, Review, Verdict};
pub use recorded::{Recorded, Violation};
