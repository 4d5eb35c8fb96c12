//! Assay runs the sessions, as its release 0.5 does: in a worktree of each, with `claude`.
//!
//! What it says is held against what it leaves: work is taken from its worktrees and branches, a
//! session whose gate has not run is not passed, and time limits and merges are Smelt's own.

mod ending;
mod files;
mod place;
mod report;
mod run;
mod separate;
mod together;
mod verdict;

use super::programs::{self, Program};
use super::{Direct, Orchestrator, preset};
use crate::git::Oid;
use crate::manifest::{Agent, AssaySessions, Session};
use crate::outcome::Failure;
use crate::port::SandboxError;
use crate::sandbox_git::SandboxGitError;
use crate::session::floor::{Floor, SessionEnd};
use crate::session::schedule::{self, Ends};
use async_trait::async_trait;
use files::File;
use place::Place;
use std::path::Path;
use tokio::time::Instant;

/// The agent that Assay starts.
pub(crate) use run::AGENT;

/// What Assay makes for itself where agents work: never part of the work, as git's exclude patterns.
/// The last two are the settings that it writes for the agent.
pub(crate) const EXCLUDED: &[&str] = &["/.assay/", "/.mcp.json", "/.claude/settings.json"];

/// Whether a branch is in the way of those that Assay makes, which are called `assay/…`.
pub(crate) fn is_in_the_way(branch: &str) -> bool {
    branch == "assay" || branch.starts_with("assay/")
}

/// The `assay` orchestrator.
pub(crate) struct Assay {
    sessions: AssaySessions,
    /// Starts Assay's agent for what is no session.
    agent: Direct,
}

impl Assay {
    pub(crate) fn new(sessions: AssaySessions) -> Self {
        Self { sessions, agent: Direct::new(Agent::Preset(AGENT)) }
    }

    /// Makes the place in which Assay is started.
    async fn prepare(&self, floor: &Floor<'_>) -> Result<(), SandboxGitError> {
        let place = Place::of(floor.sandbox.paths());
        let deadline = floor.clock.deadline();
        let repository = place.repository();
        floor.add_worktree(&repository, None, &floor.base.commit, deadline).await?;
        floor.git().ready_for_assay(&repository).await?;
        self.put(floor, &files::shared()).await
    }

    /// Puts files where Assay finds them.
    async fn put(&self, floor: &Floor<'_>, files: &[File]) -> Result<(), SandboxGitError> {
        let broken = |error| SandboxError::failed("packing the files for Assay", error);
        let archive = files::archive(files).map_err(broken)?;
        let root = Place::of(floor.sandbox.paths()).root;
        Ok(floor.sandbox.upload(&mut archive.as_slice(), &root).await?)
    }
}

#[async_trait]
impl Orchestrator for Assay {
    async fn check(&self, floor: &Floor<'_>) -> Result<(), Failure> {
        let agent = preset(AGENT);
        let needed = [
            Program { name: "assay", install: Some("its release 0.5, in a folder of `PATH`") },
            programs::GIT,
            Program { name: agent.program(), install: Some(agent.install()) },
        ];
        let without = "or do without Assay: `kind = \"direct\"` in `[orchestrator]`";
        programs::check(floor, &needed, Some(without)).await
    }

    async fn run(&self, floor: &Floor<'_>) -> Ends {
        // The schedule tells of an interrupt.
        if let Err(error) =
            floor.clock.unless_interrupted(self.prepare(floor)).await.unwrap_or(Ok(()))
        {
            return schedule::end_all(floor, &SessionEnd::of_git(&error));
        }
        // A single session's verdict can be had from Assay's exit code.
        match (self.sessions, floor.manifest().sessions.as_slice()) {
            (AssaySessions::Separate, _) | (_, [_]) => schedule::run(floor, self).await,
            (AssaySessions::Together, _) => self.run_together(floor).await,
        }
    }

    async fn run_session(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        heads: &[Oid],
        deadline: Instant,
    ) -> SessionEnd {
        self.run_alone(floor, session, heads, deadline).await
    }

    async fn resolve_conflict(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        folder: &Path,
        files: &[String],
        deadline: Instant,
    ) -> Result<bool, SandboxError> {
        self.agent.resolve_conflict(floor, session, folder, files, deadline).await
    }
}
