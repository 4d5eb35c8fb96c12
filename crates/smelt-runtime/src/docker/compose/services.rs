//! The services beside a sandbox: how far each of them is, by what the engine tells.

use crate::docker::engine::{ApiError, Engine, OWNER, RUN};
use bollard::models::{ContainerInspectResponse, EventMessage, HealthStatusEnum};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder,
};
use futures::{Stream, StreamExt};
use smelt_core::event::OutputStream;
use smelt_core::manifest::{Service, ServiceCondition, ServiceDependencies};
use smelt_core::port::{Labels, Output, SandboxError};
use smelt_core::text::clean_inline;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Label by which Compose tells whose container it is.
pub(super) const SERVICE: &str = "com.docker.compose.service";

/// How long services may take until all of them work.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is told how far they are: soon at first.
const TELL: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Last lines of a service that are told when it fails.
const LAST: usize = 3;

/// Lines of one that are looked through for them.
const LOOKED_THROUGH: &str = "20";

/// How far a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its turn has not come.
    Waiting,
    /// It runs, and its check has not passed yet.
    Starting,
    /// It runs; its check has passed, where it has one.
    Works,
    /// Its check fails.
    Unhealthy,
    /// It does not run any more.
    Ended { code: i64, out_of_memory: bool },
}

/// A service's container.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) container: String,
}

type States = BTreeMap<String, State>;

/// The services of one run, watched for as long as this lives.
pub(super) struct Services {
    engine: Engine,
    members: Vec<Member>,
    /// Those that are meant to end.
    passing: BTreeSet<String>,
    states: watch::Sender<States>,
    told: Mutex<BTreeSet<String>>,
    _task: AbortOnDropHandle<()>,
}

impl Services {
    /// Starts to watch the containers of `members`, from before they are started.
    pub(super) fn watch(
        engine: &Engine,
        labels: &Labels,
        members: Vec<Member>,
        services: &[Service],
    ) -> Self {
        let states = members.iter().map(|member| (member.name.clone(), State::Waiting));
        let (states, _) = watch::channel(states.collect());
        let own = [format!("{OWNER}={}", labels.owner), format!("{RUN}={}", labels.run)];
        let filters = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("label", own.to_vec()),
            ("event", ["start", "die", "oom", "health_status"].map(String::from).to_vec()),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let (engine, told) = (engine.clone(), states.clone());
        let events = engine.api.events(Some(options));
        let watched = follow(engine.clone(), events, members.clone(), told);
        let _task = AbortOnDropHandle::new(tokio::spawn(watched));
        let passing = passing(services);
        Self { engine, members, passing, states, told: Mutex::default(), _task }
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Asks the engine how far they are: what was told before anybody listened is not told again.
    pub(super) async fn look(&self) -> Result<(), ApiError> {
        for member in &self.members {
            let found = inspect(&self.engine, &member.container).await?;
            if let Some(found) = state_of(&found) {
                self.states.send_modify(|states| {
                    states.insert(member.name.clone(), found);
                });
            }
        }
        Ok(())
    }

    /// Waits until all of them work, and tells how far they are. An error names the first that fails.
    pub(super) async fn ready(
        &self,
        progress: &mpsc::UnboundedSender<String>,
    ) -> Result<(), SandboxError> {
        let started = Instant::now();
        let mut states = self.states.subscribe();
        let mut before = States::new();
        let mut tell_at = started + TELL[0];
        loop {
            let now = states.borrow_and_update().clone();
            let seconds = started.elapsed().as_secs_f64().round();
            for (name, state) in &now {
                if before.get(name) != Some(state)
                    && let Some(line) = self.arrived(name, *state, seconds)
                {
                    let _ = progress.send(line);
                }
            }
            if let Some(name) = now.iter().find_map(|(name, state)| self.fails(name, *state)) {
                return Err(self.failure(name, now[name]).await);
            }
            let waited_for: Vec<_> =
                now.iter().filter(|(name, state)| !self.is_done(name, **state)).collect();
            let Some((name, state)) = waited_for.first() else { return Ok(()) };
            if started.elapsed() >= PATIENCE {
                let what = format!(
                    "the service `{name}` is {} after {} s",
                    word(**state),
                    PATIENCE.as_secs()
                );
                return Err(self.with_last_words(what, name).await);
            }
            if Instant::now() >= tell_at {
                for (name, state) in waited_for {
                    let _ = progress.send(format!("{name}: {} {seconds}s", word(*state)));
                }
                tell_at += if seconds < 10.0 { TELL[0] } else { TELL[1] };
            }
            before = now;
            tokio::select! {
                changed = states.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep_until(tell_at.min(started + PATIENCE)) => {}
            }
        }
    }

    /// The first that does not work, or does not any more.
    pub(super) async fn failed(&self) -> Option<SandboxError> {
        let now = self.states.borrow().clone();
        let name = now.iter().find_map(|(name, state)| self.fails(name, *state))?;
        Some(self.failure(name, now[name]).await)
    }

    /// Waits for the next one that stops to work, and tells so.
    pub(super) async fn trouble(&self) -> String {
        let mut states = self.states.subscribe();
        loop {
            let now = states.borrow_and_update().clone();
            let new = now.iter().find_map(|(name, state)| {
                let fails = self.fails(name, *state)?;
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.insert(fails.clone()).then_some((name, *state))
            });
            if let Some((name, state)) = new {
                return smelt_core::outcome::chain(&self.failure(name, state).await);
            }
            if states.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Hands on what the service `name` prints, from its start to its end.
    pub(super) async fn follow(
        &self,
        name: &str,
        output: &mut dyn Output,
    ) -> Result<(), SandboxError> {
        let Some(member) = self.members.iter().find(|member| member.name == name) else {
            return Ok(());
        };
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        let mut said = self.engine.api.logs(&member.container, Some(options));
        while let Some(piece) = said.next().await {
            let piece =
                piece.map_err(|error| ApiError::new("reading what a service prints", error))?;
            let stream = match &piece {
                bollard::container::LogOutput::StdErr { .. } => OutputStream::Stderr,
                _ => OutputStream::Stdout,
            };
            if output.write(stream, piece.as_ref()).await.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// What is worth a line when it is so far.
    fn arrived(&self, name: &str, state: State, seconds: f64) -> Option<String> {
        match state {
            State::Works => Some(format!("{name}: works after {seconds}s")),
            State::Ended { code: 0, .. } if self.passing.contains(name) => {
                Some(format!("{name}: done after {seconds}s"))
            }
            _ => None,
        }
    }

    fn is_done(&self, name: &str, state: State) -> bool {
        match state {
            State::Works => !self.passing.contains(name),
            State::Ended { code: 0, .. } => self.passing.contains(name),
            _ => false,
        }
    }

    /// `name`, where it is past hope.
    fn fails<'a>(&self, name: &'a String, state: State) -> Option<&'a String> {
        match state {
            State::Ended { code: 0, .. } if self.passing.contains(name) => None,
            State::Unhealthy | State::Ended { .. } => Some(name),
            State::Waiting | State::Starting | State::Works => None,
        }
    }

    async fn failure(&self, name: &str, state: State) -> SandboxError {
        let what = match state {
            State::Ended { out_of_memory: true, .. } => {
                format!("the service `{name}` ran out of memory (its `mem_limit`)")
            }
            State::Ended { code: 0, .. } => format!(
                "the service `{name}` has ended (exit code 0), and nothing waits for that (`condition = \
                 \"service_completed_successfully\"`)"
            ),
            State::Ended { code: 127, .. } => {
                format!("the service `{name}` has ended (exit code 127: command not found)")
            }
            State::Ended { code, .. } => {
                format!("the service `{name}` has ended (exit code {code})")
            }
            _ => format!("the service `{name}` is unhealthy: its health check fails"),
        };
        self.with_last_words(what, name).await
    }

    async fn with_last_words(&self, what: String, name: &str) -> SandboxError {
        let mut last = Vec::new();
        let member = self.members.iter().find(|member| member.name == name);
        if let Some(member) = member {
            last = last_lines(&self.engine, &member.container).await;
            if last.is_empty() {
                last = last_check(&self.engine, &member.container).await.into_iter().collect();
            }
        }
        match last.is_empty() {
            true => SandboxError::failed(what, "it printed nothing"),
            false => SandboxError::failed(what, format!("its last lines: {}", last.join(" | "))),
        }
    }
}

/// The services whose end another one waits for.
fn passing(services: &[Service]) -> BTreeSet<String> {
    let conditions = services.iter().filter_map(|service| match service.depends_on.as_deref()? {
        ServiceDependencies::Conditions(conditions) => Some(conditions),
        ServiceDependencies::Names(_) => None,
    });
    conditions
        .flatten()
        .filter(|(_, of)| of.condition == ServiceCondition::ServiceCompletedSuccessfully)
        .map(|(name, _)| name.clone())
        .collect()
}

fn word(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting for others",
        State::Starting => "starting",
        State::Works => "running",
        State::Unhealthy => "unhealthy",
        State::Ended { .. } => "ended",
    }
}

async fn follow<E: std::fmt::Display>(
    engine: Engine,
    events: impl Stream<Item = Result<EventMessage, E>>,
    members: Vec<Member>,
    states: watch::Sender<States>,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => return tracing::warn!(%error, "the engine tells no more of the services"),
        };
        let Some(actor) = event.actor else { continue };
        let id = actor.id.unwrap_or_default();
        let Some(member) = members.iter().find(|member| member.container == id) else { continue };
        let found = match event.action.as_deref() {
            Some("health_status: healthy") => Some(State::Works),
            Some("health_status: unhealthy") => Some(State::Unhealthy),
            // What the event itself does not tell: whether there is a check, and why it has ended.
            Some("start" | "die" | "oom") => match inspect(&engine, &id).await {
                Ok(found) => state_of(&found),
                Err(error) => return tracing::warn!(%error, "a service is gone"),
            },
            _ => None,
        };
        if let Some(found) = found {
            states.send_modify(|states| {
                states.insert(member.name.clone(), found);
            });
        }
    }
}

async fn inspect(engine: &Engine, id: &str) -> Result<ContainerInspectResponse, ApiError> {
    let found = engine.api.inspect_container(id, None::<InspectContainerOptions>).await;
    found.map_err(|error| ApiError::new("looking how far a service is", error))
}

/// What an inspection tells; `None` where it was never started.
fn state_of(found: &ContainerInspectResponse) -> Option<State> {
    use bollard::models::ContainerStateStatusEnum as Status;
    let state = found.state.as_ref()?;
    let health = state.health.as_ref().and_then(|health| health.status);
    match state.status? {
        Status::EXITED | Status::DEAD | Status::REMOVING | Status::STOPPING => Some(State::Ended {
            code: state.exit_code.unwrap_or(-1),
            out_of_memory: state.oom_killed.unwrap_or(false),
        }),
        Status::RUNNING | Status::PAUSED | Status::RESTARTING => Some(match health {
            None
            | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE | HealthStatusEnum::HEALTHY) => {
                State::Works
            }
            Some(HealthStatusEnum::STARTING) => State::Starting,
            Some(HealthStatusEnum::UNHEALTHY) => State::Unhealthy,
        }),
        Status::EMPTY | Status::CREATED => None,
    }
}

/// The last lines of what a container has printed.
async fn last_lines(engine: &Engine, id: &str) -> Vec<String> {
    let options =
        LogsOptionsBuilder::default().stdout(true).stderr(true).tail(LOOKED_THROUGH).build();
    let mut said = engine.api.logs(id, Some(options));
    let mut all = Vec::new();
    while let Some(Ok(piece)) = said.next().await {
        all.extend_from_slice(piece.as_ref());
    }
    last_of(&String::from_utf8_lossy(&all))
}

fn last_of(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| clean_inline(line.trim()).into_owned());
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LAST)..].to_vec()
}

/// What its last check has said.
async fn last_check(engine: &Engine, id: &str) -> Option<String> {
    let found = inspect(engine, id).await.ok()?;
    let last = found.state?.health?.log?.pop()?;
    let said = last_of(&last.output.unwrap_or_default()).join(" | ");
    (!said.is_empty()).then(|| format!("(of its health check) {said}"))
}
