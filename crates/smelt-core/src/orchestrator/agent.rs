//! One run of an agent on one task.

use crate::event::{OutputSource, Usage};
use crate::manifest::{Agent, AgentCommand, Session};
use crate::port::{Command, Exit, Input, SandboxError, Value};
use crate::session::floor::{Floor, SPEC_FILE};
use crate::session::lines::AgentOutput;
use crate::text::clean_line;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

pub(super) struct AgentRun<'a> {
    pub(super) agent: &'a Agent,
    pub(super) session: &'a Session,
    pub(super) task: &'a str,
    /// The file that holds the task inside, where it is not the session's own.
    pub(super) task_file: Option<PathBuf>,
}

/// How an agent ended.
pub(super) struct AgentEnd {
    pub(super) exit: Exit,
    /// What it said of its own failure, whatever its exit code.
    pub(super) failed: Option<String>,
    pub(super) usage: Option<Usage>,
}

impl AgentRun<'_> {
    /// Runs the agent in `folder`, the task on its standard input.
    pub(super) async fn run(
        &self,
        floor: &Floor<'_>,
        folder: &Path,
        deadline: Instant,
    ) -> Result<AgentEnd, SandboxError> {
        let mut reader = match self.agent {
            Agent::Preset(kind) => Some(super::preset(*kind).reader()),
            Agent::Command(_) => None,
        };
        let mut command = Command::new(self.argv(floor), folder);
        command.env = floor.environment(Some(self.session));
        if let Some(file) = &self.task_file {
            command.env.insert(SPEC_FILE.into(), Value::from(&*file.to_string_lossy()));
        }
        if let Agent::Preset(kind) = self.agent {
            for (name, value) in super::preset(*kind).env() {
                // What the manifest sets goes before what the preset would like.
                command.env.entry((*name).to_owned()).or_insert_with(|| Value::from(*value));
            }
        }
        command.input = Input::Bytes(self.task.to_owned().into());
        let session = Some(&self.session.name);
        let output = reader.as_deref_mut().map(|reader| reader as &mut dyn AgentOutput);
        let (exit, _) = floor.run(command, deadline, session, OutputSource::Agent, output).await?;
        let failure = reader.as_ref().and_then(|reader| reader.failure());
        Ok(AgentEnd {
            exit,
            failed: failure.map(|said| floor.redactor.redact(&clean_line(&said)).into_owned()),
            usage: reader.and_then(|reader| reader.usage()),
        })
    }

    fn argv(&self, floor: &Floor<'_>) -> Vec<String> {
        match self.agent {
            Agent::Preset(kind) => super::preset(*kind).argv(&floor.manifest().credentials),
            Agent::Command(AgentCommand::Shell(line)) => {
                vec!["sh".into(), "-c".into(), line.clone()]
            }
            Agent::Command(AgentCommand::Program(words)) => words.clone(),
        }
    }
}
