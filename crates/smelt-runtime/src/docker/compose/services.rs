//! The services beside a sandbox: how far each of them is, by what the engine tells.

use super::state::{State, States, advance, may_start, state_of};
use crate::docker::engine::{ApiError, Engine, OWNER, RUN, told};
use crate::docker::walls::{self, Builder, Rising};
use bollard::container::LogOutput;
use bollard::models::{ContainerInspectResponse, EventMessage};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder, StartContainerOptions,
};
use futures::future::try_join_all;
use futures::{Stream, StreamExt};
use smelt_core::event::OutputStream;
use smelt_core::manifest::{Service, ServiceCondition, ServiceDependencies};
use smelt_core::port::{Labels, Output, SandboxError};
use smelt_core::text::clean_inline;
use std::collections::{BTreeSet, HashMap};
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

/// Most of each of them, in characters.
const LINE_MAX: usize = 200;

/// Lines of one that are looked through for them.
const LOOKED_THROUGH: &str = "20";

/// Lines of each that are told where one of them could not be started.
const TOLD: &str = "200";

/// Pieces of output that are handed on together, at most.
const PIECES: usize = 256;

/// Most of what is read of that, in bytes.
const SAID_MAX: usize = 1 << 20;

/// A service's container.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) container: String,
}

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

    /// Starts each when what it depends on is so far, and has its walls put up at once. They rise on when
    /// this returns.
    pub(super) async fn start(
        &self,
        services: &[Service],
        mut builders: Vec<Builder>,
    ) -> Result<Vec<Rising>, SandboxError> {
        let mut states = self.states.subscribe();
        let mut left: Vec<_> = services.iter().collect();
        let mut rising = Vec::new();
        while !left.is_empty() {
            let now = states.borrow_and_update().clone();
            let (ready, later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|service| may_start(service, &now));
            let members = ready.iter().filter_map(|service| self.member(&service.name));
            let starting: Vec<_> = members
                .map(|member| {
                    let own = builders.iter().position(|walls| walls.is_for(&member.container));
                    self.start_one(member, own.map(|own| builders.swap_remove(own)))
                })
                .collect();
            rising.extend(try_join_all(starting).await?.into_iter().flatten());
            left = later;
            if ready.is_empty() && states.changed().await.is_err() {
                break;
            }
        }
        Ok(rising)
    }

    async fn start_one(
        &self,
        member: &Member,
        builder: Option<Builder>,
    ) -> Result<Option<Rising>, SandboxError> {
        let Member { name, container } = member;
        let started =
            self.engine.api.start_container(container, None::<StartContainerOptions>).await;
        started.map_err(|error| {
            SandboxError::failed(format!("the service `{name}` can't be started"), told(&error))
        })?;
        let rising = builder.map(|builder| tokio::spawn(walls::put_up(builder)));
        self.look_at(member).await?;
        Ok(rising)
    }

    /// Asks the engine how far all are: what was told before anybody listened is not told again.
    pub(super) async fn look(&self) -> Result<(), ApiError> {
        try_join_all(self.members.iter().map(|member| self.look_at(member))).await.map(|_| ())
    }

    async fn look_at(&self, member: &Member) -> Result<(), ApiError> {
        let found = inspect(&self.engine, &member.container).await?;
        if let Some(found) = state_of(&found) {
            advance(&self.states, &member.name, found);
        }
        Ok(())
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
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
                    state.word(),
                    PATIENCE.as_secs()
                );
                return Err(self.with_last_words(what, name).await);
            }
            if Instant::now() >= tell_at {
                for (name, state) in waited_for {
                    let _ = progress.send(format!("{name}: {} {seconds}s", state.word()));
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

    /// Tells the end of what each has printed.
    pub(super) async fn tell_all(&self, progress: &mpsc::UnboundedSender<String>) {
        for Member { name, container } in &self.members {
            for line in lines(&said(&self.engine, container, TOLD).await) {
                let _ = progress.send(format!("{name} | {line}"));
            }
        }
    }

    /// Hands on what the service `name` prints, from its start to its end.
    pub(super) async fn follow(
        &self,
        name: &str,
        output: &mut dyn Output,
    ) -> Result<(), SandboxError> {
        let Some(member) = self.member(name) else { return Ok(()) };
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        let said = self.engine.api.logs(&member.container, Some(options));
        // What comes together goes together: each line for itself costs more than all that is done with it.
        let mut said = std::pin::pin!(said.ready_chunks(PIECES));
        while let Some(pieces) = said.next().await {
            let mut gathered: Vec<(OutputStream, Vec<u8>)> = Vec::new();
            for piece in pieces {
                let failed = |error| ApiError::new("reading what a service prints", error);
                let piece = piece.map_err(failed)?;
                let stream = match &piece {
                    LogOutput::StdErr { .. } => OutputStream::Stderr,
                    _ => OutputStream::Stdout,
                };
                match gathered.last_mut() {
                    Some((last, bytes)) if *last == stream => {
                        bytes.extend_from_slice(piece.as_ref());
                    }
                    _ => gathered.push((stream, piece.as_ref().to_vec())),
                }
            }
            for (stream, bytes) in gathered {
                if output.write(stream, &bytes).await.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What is worth a line when it is so far.
    fn arrived(&self, name: &str, state: State, seconds: f64) -> Option<String> {
        match state {
            State::Works if !self.passing.contains(name) => {
                Some(format!("{name}: works after {seconds}s"))
            }
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
        if let Some(member) = self.member(name) {
            last = last_of(&said(&self.engine, &member.container, LOOKED_THROUGH).await);
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
                Err(error) => {
                    tracing::warn!(%error, "a service is gone");
                    continue;
                }
            },
            _ => None,
        };
        if let Some(found) = found {
            advance(&states, &member.name, found);
        }
    }
}

async fn inspect(engine: &Engine, id: &str) -> Result<ContainerInspectResponse, ApiError> {
    let found = engine.api.inspect_container(id, None::<InspectContainerOptions>).await;
    found.map_err(|error| ApiError::new("looking how far a service is", error))
}

/// The last `tail` lines of what a container has printed.
async fn said(engine: &Engine, id: &str, tail: &str) -> String {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(tail).build();
    let mut printed = engine.api.logs(id, Some(options));
    let mut all = Vec::new();
    while let Some(Ok(piece)) = printed.next().await {
        all.extend_from_slice(piece.as_ref());
        if all.len() > SAID_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The lines of it in which there is something, for people.
fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| clean_inline(line.trim()).into_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

fn last_of(text: &str) -> Vec<String> {
    let lines = lines(text);
    let last = lines[lines.len().saturating_sub(LAST)..].iter();
    last.map(|line| line.chars().take(LINE_MAX).collect()).collect()
}

/// What its last check has said.
async fn last_check(engine: &Engine, id: &str) -> Option<String> {
    let found = inspect(engine, id).await.ok()?;
    let last = found.state?.health?.log?.pop()?;
    let said = last_of(&last.output.unwrap_or_default()).join(" | ");
    (!said.is_empty()).then(|| format!("(of its health check) {said}"))
}
