//! One `assay run`: how it is started, what it is given, and what it says.

use super::files;
use super::place::Place;
use super::report::{Reader, Report};
use super::verdict::Ended;
use crate::event::OutputSource;
use crate::manifest::{AgentKind, Session};
use crate::orchestrator::preset;
use crate::port::{Command, Exit, Input, SandboxError, Value};
use crate::session::floor::Floor;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The agent that Assay starts.
pub(crate) const AGENT: AgentKind = AgentKind::Claude;

/// One `assay run`.
pub(super) struct Run<'a> {
    /// Name of its run manifest.
    pub(super) sessions: &'a str,
    /// The branch on which its sessions start.
    pub(super) base: &'a str,
    /// What Assay is told of the time: no limit, as it does not end what it has started.
    pub(super) timeout: Duration,
    /// Its session, where it has only one.
    pub(super) session: Option<&'a Session>,
}

impl Run<'_> {
    /// Runs it; `deadline` ends it with everything that it has started.
    pub(super) async fn run(
        &self,
        floor: &Floor<'_>,
        deadline: Instant,
    ) -> Result<(Ended, Option<Report>), SandboxError> {
        let place = Place::of(floor.sandbox.paths()).repository();
        let mut command = Command::new(self.argv(), place);
        command.env = environment(floor, self.session);
        if let Some(session) = self.session {
            // Assay lets its agent have its own standard input.
            command.input = Input::Bytes(session.spec.clone().into());
        }
        let mut reader = Reader::default();
        let session = self.session.map(|session| &session.name);
        let run = floor.run(command, deadline, session, OutputSource::Agent, Some(&mut reader));
        let (exit, mut tail) = run.await?;
        let (report, rest) = reader.finish();
        tail.extend(rest);
        Ok((Ended { status: exit.status, words: words(floor, exit, &tail) }, report))
    }

    fn argv(&self) -> Vec<String> {
        let timeout = self.timeout.as_secs().to_string();
        let manifest = files::manifest_in_place(self.sessions);
        let words = [
            "assay",
            "run",
            &manifest,
            "--timeout",
            &timeout,
            "--base-branch",
            self.base,
            "--json",
        ];
        words.map(str::to_owned).into()
    }
}

/// How it ended, with the last that it has said.
fn words(floor: &Floor<'_>, exit: Exit, tail: &[String]) -> String {
    let said: Vec<_> =
        tail.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let last = said[said.len().saturating_sub(3)..].join("; ");
    let last = floor.redactor.redact(&last);
    if last.is_empty() { exit.to_string() } else { format!("{exit}: {last}") }
}

/// What Assay, the agent and the gates that it starts are given.
fn environment(floor: &Floor<'_>, session: Option<&Session>) -> BTreeMap<String, Value> {
    let manifest = floor.manifest();
    let mut env = floor.environment(session);
    let key = manifest.state_backend.as_ref().and_then(|backend| backend.key.as_ref());
    if let Some(key) = key
        && let Some(secret) = floor.request.secrets.get(&key.secret)
    {
        env.insert(key.variable.as_str().to_owned(), Value::Secret(secret.clone()));
    }
    let plain = &manifest.environment.env;
    // What the manifest sets goes before what would be nice to have.
    let mut add = |name: &str, value: &str| {
        if !plain.keys().any(|key| key.as_str() == name) {
            env.entry(name.to_owned()).or_insert_with(|| Value::from(value));
        }
    };
    for (name, value) in preset(AGENT).env() {
        add(name, value);
    }
    if let Some(model) = &manifest.credentials.model {
        add("ANTHROPIC_MODEL", model);
    }
    // Git refuses repositories of other owners; what is in the sandbox is the job's own. Settings by
    // variables are numbered: this one goes behind those of the manifest.
    let count = plain.iter().find(|(name, _)| name.as_str() == "GIT_CONFIG_COUNT");
    let count = count.and_then(|(_, count)| count.parse::<usize>().ok()).unwrap_or(0);
    for (name, value) in [
        ("GIT_CONFIG_COUNT".to_owned(), (count + 1).to_string()),
        (format!("GIT_CONFIG_KEY_{count}"), "safe.directory".to_owned()),
        (format!("GIT_CONFIG_VALUE_{count}"), "*".to_owned()),
    ] {
        env.insert(name, Value::from(value));
    }
    env
}
