//! Smelt starts the agent itself: a worktree and a branch for each session.

use super::Orchestrator;
use super::agent::{AgentEnd, AgentRun};
use super::programs::{self, Program};
use crate::event::{GateStage, SessionState};
use crate::git::Oid;
use crate::manifest::{Agent, AgentCommand, Session};
use crate::outcome::Failure;
use crate::port::{Command, Discard, ExitStatus, Input, SandboxError};
use crate::sandbox_git::SandboxGitError;
use crate::session::conflict::build_on;
use crate::session::floor::{Floor, SessionEnd, Worktree};
use crate::session::gate;
use async_trait::async_trait;
use std::path::Path;
use tokio::time::Instant;

/// The `direct` orchestrator.
pub(crate) struct Direct {
    agent: Agent,
}

impl Direct {
    pub(crate) fn new(agent: Agent) -> Self {
        Self { agent }
    }

    /// Makes the place for a session to work; `None` where the work it depends on does not fit
    /// together.
    async fn open_worktree(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        heads: &[Oid],
        deadline: Instant,
    ) -> Result<Option<Worktree>, SandboxGitError> {
        let branch = floor.branch(&session.name);
        let start = heads.first().unwrap_or(&floor.base.commit).clone();
        if floor.manifest().sessions.len() == 1 {
            // The workspace itself, where setup has run, was checked out for it.
            return Ok(Some(Worktree { folder: floor.sandbox.paths().workspace(), branch, start }));
        }
        let folder = floor.sandbox.paths().session(session.name.as_str());
        floor.add_worktree(&folder, Some(&branch), &start, deadline).await?;
        let rest = heads.get(1..).unwrap_or_default();
        let built = build_on(floor, self, session, (&folder, &start), rest, deadline).await?;
        Ok(built.map(|start| Worktree { folder, branch, start }))
    }

    async fn work(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        worktree: &Worktree,
        deadline: Instant,
    ) -> Result<SessionEnd, SandboxGitError> {
        let run = AgentRun { agent: &self.agent, session, task: &session.spec, task_file: None };
        let agent = run.run(floor, &worktree.folder, deadline).await;
        let committed = match (floor.keep_work(&session.name, worktree).await, &agent) {
            (Ok(committed), _) => committed,
            // The agent has ended the session, whatever has become of the sandbox since. Its work is
            // looked for once more when the run's is collected.
            (Err(_), Ok(agent)) if let Some((state, reason)) = agent_state(agent) => {
                return Ok(SessionEnd { usage: agent.usage, ..SessionEnd::new(state, reason) });
            }
            (Err(error), _) => return Err(error),
        };
        let agent = agent?;
        let mut end = match agent_state(&agent) {
            Some((state, reason)) => SessionEnd::new(state, reason),
            None if committed.unadded.is_some() => {
                let why = committed.unadded.as_deref().unwrap_or_default();
                let reason = format!("its work could not be committed: {why}");
                SessionEnd::new(SessionState::AgentFailed, Some(reason))
            }
            None => {
                let stage = GateStage::Session;
                let state = gate::check(floor, session, &worktree.folder, stage, deadline).await?;
                SessionEnd::new(
                    state,
                    (state == SessionState::TimedOut).then(|| "in its gate".into()),
                )
            }
        };
        end.commit = Some(committed.head);
        end.usage = agent.usage;
        Ok(end)
    }
}

/// What the agent's end makes of its session; `None`: it is for the gate to say.
fn agent_state(agent: &AgentEnd) -> Option<(SessionState, Option<String>)> {
    match (agent.exit.status, &agent.failed) {
        (ExitStatus::TimedOut, _) => Some((SessionState::TimedOut, Some("in its agent".into()))),
        (ExitStatus::Stopped, _) => Some((SessionState::Cancelled, None)),
        (_, Some(said)) => {
            Some((SessionState::AgentFailed, Some(format!("the agent failed: {said}"))))
        }
        (ExitStatus::Code(0), None) => None,
        _ => {
            Some((SessionState::AgentFailed, Some(format!("the agent ended with {}", agent.exit))))
        }
    }
}

#[async_trait]
impl Orchestrator for Direct {
    async fn check(&self, floor: &Floor<'_>) -> Result<(), Failure> {
        let install = match &self.agent {
            Agent::Preset(kind) => Some(super::preset(*kind).install()),
            Agent::Command(_) => None,
        };
        let agent = program(&self.agent).map(|name| Program { name, install });
        let needed: Vec<_> = [programs::GIT].into_iter().chain(agent).collect();
        programs::check(floor, &needed, None).await
    }

    async fn run_session(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        heads: &[Oid],
        deadline: Instant,
    ) -> SessionEnd {
        match self.open_worktree(floor, session, heads, deadline).await {
            Ok(Some(worktree)) => {
                let end = self.work(floor, session, &worktree, deadline).await;
                let end = end.unwrap_or_else(|error| SessionEnd::of_git(&error));
                SessionEnd { worktree: Some(worktree), ..end }
            }
            Ok(None) => {
                let reason = "the work it depends on does not fit together";
                SessionEnd::new(SessionState::Conflict, Some(reason.into()))
            }
            Err(error) => SessionEnd::of_git(&error),
        }
    }

    async fn resolve_conflict(
        &self,
        floor: &Floor<'_>,
        session: &Session,
        folder: &Path,
        files: &[String],
        deadline: Instant,
    ) -> Result<bool, SandboxError> {
        let task = format!(
            "A merge in this worktree has stopped at conflicts. Resolve them so that the intent of \
             both sides is kept: edit the files, take out every conflict marker, `git add` or \
             `git rm` each of them, and do not abort the merge. The files:\n\n{}\n\nThe task of the side that is merged in was:\n\n{}\n",
            files.iter().map(|file| format!("- {file}")).collect::<Vec<_>>().join("\n"),
            session.spec
        );
        let file = floor.sandbox.paths().conflict_task(session.name.as_str());
        let mut write = Command::shell("cat > \"$1\"", [&*file.to_string_lossy()], folder);
        write.input = Input::Bytes(task.clone().into());
        floor.sandbox.exec(write, &mut Discard).await?;
        let run = AgentRun { agent: &self.agent, session, task: &task, task_file: Some(file) };
        let end = run.run(floor, folder, deadline).await?;
        Ok(agent_state(&end).is_none())
    }
}

/// The program that must be there, where it can be known.
fn program(agent: &Agent) -> Option<&str> {
    match agent {
        Agent::Preset(kind) => Some(super::preset(*kind).program()),
        Agent::Command(AgentCommand::Program(words)) => words.first().map(String::as_str),
        Agent::Command(AgentCommand::Shell(_)) => None,
    }
}
