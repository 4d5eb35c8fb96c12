//! What runs sessions inside a sandbox.

mod agent;
pub(crate) mod assay;
mod direct;
mod preset;
mod programs;

pub(crate) use assay::Assay;
pub(crate) use direct::Direct;
pub use preset::{Preset, preset};

use crate::git::Oid;
use crate::manifest::Session;
use crate::outcome::Failure;
use crate::port::SandboxError;
use crate::session::floor::{Floor, SessionEnd};
use crate::session::schedule::{self, Ends};
use async_trait::async_trait;
use std::path::Path;
use tokio::time::Instant;

/// Runs sessions. What becomes of their work is the engine's affair.
#[async_trait]
pub(crate) trait Orchestrator: Send + Sync {
    /// Finds, before any session starts, what would keep all of them from working.
    async fn check(&self, floor: &Floor<'_>) -> Result<(), Failure>;

    /// Runs all sessions to their ends: each by itself, in the order of their dependencies.
    async fn run(&self, floor: &Floor<'_>) -> Ends {
        schedule::run(floor, self).await
    }

    /// Runs one session to its end, built on `heads`: agent, commit, gate.
    async fn run_session(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        heads: &[Oid],
        deadline: Instant,
    ) -> SessionEnd;

    /// Lets the session's agent resolve the conflicts that a merge has left in `files` of `folder`.
    /// Returns whether it ended well; whether it did resolve them is looked at afterwards.
    async fn resolve_conflict(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        folder: &Path,
        files: &[String],
        deadline: Instant,
    ) -> Result<bool, SandboxError>;
}
