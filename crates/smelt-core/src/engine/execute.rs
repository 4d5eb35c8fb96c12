//! Executing: setup, sessions, merge.

use super::Context;
use super::clock::Interrupt;
use super::phase::{Collecting, Executing, Phase, Prepared, Verdict, Work};
use super::provision::{of_sandbox, seal};
use crate::event::{JobEvent, Level, OutputSource, SessionState};
use crate::manifest::{Environment, OnGatesFailed, Orchestrator as Kind, RuntimeKind};
use crate::name::JobName;
use crate::orchestrator::{Assay, Direct, Orchestrator};
use crate::outcome::{Conclusion, Failure, FailureKind, Outcome};
use crate::port::{Command, ExitStatus, Sandbox};
use crate::sandbox_git::SandboxGitError;
use crate::session::floor::Floor;
use crate::session::lines::Lines;
use crate::session::merge::{self, Merged};
use crate::session::outlet::Speaker;
use crate::session::schedule::Ends;
use crate::text::clean_line;
use futures::future::join_all;
use std::convert::Infallible;
use tokio::time::Instant;

impl Executing {
    pub(super) async fn step(self, context: &Context<'_>) -> Phase {
        let Self { prepared, sandbox } = self;
        let orchestrator = orchestrator(&context.request.manifest.orchestrator);
        let done = tokio::select! {
            done = execute(context, &prepared, &*sandbox, &*orchestrator) => done,
            never = attend(context, &*sandbox) => match never {},
        };
        match done {
            Ok(work) => Phase::Collecting(Collecting { prepared, sandbox, work }),
            Err(conclusion) => Phase::end_in(sandbox, conclusion),
        }
    }
}

/// What runs the sessions.
fn orchestrator(kind: &Kind) -> Box<dyn Orchestrator> {
    match kind {
        Kind::Direct(agent) => Box::new(Direct::new(agent.clone())),
        Kind::Assay(sessions) => Box::new(Assay::new(*sessions)),
    }
}

/// Writes down what the services beside the sandbox print, and tells what goes wrong with them.
async fn attend(context: &Context<'_>, sandbox: &dyn Sandbox) -> Infallible {
    let logs = sandbox.services().into_iter().map(|name| async move {
        let speaker = Speaker::service(&name);
        let mut lines = Lines::new(context.events, &context.redactor, speaker, 0);
        if let Err(error) = sandbox.follow(&name, &mut lines).await {
            tracing::warn!(%error, service = name, "its output can't be read");
        }
        lines.finish().await;
    });
    tokio::join!(join_all(logs), tell_troubles(context, sandbox)).1
}

async fn tell_troubles(context: &Context<'_>, sandbox: &dyn Sandbox) -> Infallible {
    loop {
        let message = sandbox.trouble().await;
        let message = clean_line(&context.redactor.redact(&message)).into_owned();
        context.events.emit(JobEvent::Notice { level: Level::Warning, message, session: None });
    }
}

/// What has come of the sessions; an error where none of them could start.
async fn execute(
    context: &Context<'_>,
    prepared: &Prepared,
    sandbox: &dyn Sandbox,
    orchestrator: &dyn Orchestrator,
) -> Result<Work, Conclusion> {
    let Context { request, events, clock, redactor, .. } = context;
    let floor = Floor::new(request, sandbox, events, redactor, clock, &prepared.base);
    let ready = async {
        let sealed = async { seal(context, sandbox).await.map_err(|error| of_sandbox(&error)) };
        let (complete, checked_out, sealed) =
            tokio::join!(orchestrator.check(&floor), check_out(&floor), sealed);
        // Git is among what is looked for: that it is missing says more than a checkout that fails.
        complete.and(checked_out).and(sealed)?;
        set_up(&floor).await
    };
    match clock.unless_interrupted(ready).await {
        Ok(ready) => ready?,
        Err(interrupt) => return Err(interrupt.outcome().into()),
    }
    let ends = orchestrator.run(&floor).await;
    let verdict = match verdict_of(&ends, clock.interrupt(), &request.manifest.job.name) {
        Some(conclusion) if conclusion.outcome == Outcome::GatesFailed && wants_draft(&floor) => {
            draft(&floor, orchestrator, &ends, conclusion).await
        }
        Some(conclusion) => Verdict::Not(conclusion),
        None => merge(&floor, orchestrator, &ends).await,
    };
    let (mut sessions, mut unsaved) = (Vec::new(), Vec::new());
    for (name, end) in ends {
        match (end.commit, end.worktree) {
            (Some(commit), _) => sessions.push((name, commit)),
            (None, Some(worktree)) => unsaved.push((name, worktree)),
            (None, None) => {}
        }
    }
    Ok(Work { sessions, unsaved, verdict })
}

/// Checks the workspace out where something will look at it: a single session, or setup commands.
async fn check_out(floor: &Floor<'_>) -> Result<(), Failure> {
    let manifest = floor.manifest();
    let git = floor.git();
    let done = match manifest.sessions.as_slice() {
        [only] => {
            let branch = floor.branch(&only.name);
            git.checkout(Some((&branch, &floor.base.commit))).await
        }
        _ if manifest.environment.setup.is_empty() => return Ok(()),
        _ => git.checkout(None).await,
    };
    done.map_err(|error| of_git(&error))
}

async fn set_up(floor: &Floor<'_>) -> Result<(), Failure> {
    let commands = &floor.manifest().environment.setup;
    let timeout = floor.manifest().job.timeout;
    for line in commands {
        let mut command = Command::new(["sh", "-c", line], floor.sandbox.paths().workspace());
        command.env = floor.environment(None);
        let deadline = Instant::now() + timeout;
        let run = floor.run(command, deadline, None, OutputSource::Setup, None).await;
        let (exit, tail) = run.map_err(|error| of_sandbox(&error))?;
        if !exit.success() && exit.status != ExitStatus::Stopped {
            let said = tail.last().map(|line| format!(": {line}")).unwrap_or_default();
            let message = format!("the setup command `{line}` failed ({exit}){said}");
            return Err(Failure::new(FailureKind::Fault, message)
                .hint(setup_hint(&floor.manifest().environment)));
        }
    }
    match commands.is_empty() {
        true => Ok(()),
        false => floor.git().set_setup_apart().await.map_err(|error| of_git(&error)),
    }
}

/// Where to look, and what is missed most: in a container the agent's user can't install packages.
fn setup_hint(environment: &Environment) -> &'static str {
    match (environment.runtime, &environment.user) {
        (RuntimeKind::Kubernetes, _) => {
            "`smelt logs` shows all of its output; packages go into the image"
        }
        (RuntimeKind::Docker | RuntimeKind::Compose, None) => {
            "`smelt logs` shows all of its output; packages go into the image, or set \
             `user = \"root\"` in `[environment]`"
        }
        _ => "`smelt logs` shows all of its output",
    }
}

/// The first of these that any session has met decides; `None` where all have passed.
fn verdict_of(ends: &Ends, interrupt: Option<Interrupt>, job: &JobName) -> Option<Conclusion> {
    if let Some(interrupt) = interrupt {
        return Some(interrupt.outcome().into());
    }
    let of = |state: SessionState| ends.iter().find(|(_, end)| end.state == state);
    if of(SessionState::GateFailed).is_some() {
        return Some(Outcome::GatesFailed.into());
    }
    if of(SessionState::TimedOut).is_some() {
        return Some(Outcome::TimedOut.into());
    }
    if of(SessionState::Conflict).is_some() {
        return Some(Outcome::Conflict.into());
    }
    let failed = ends.iter().find(|(_, end)| end.state != SessionState::Passed)?;
    let (name, end) = of(SessionState::AgentFailed).unwrap_or(failed);
    let reason = end.reason.clone().unwrap_or_else(|| end.state.to_string());
    let failure = Failure::new(FailureKind::Fault, format!("session `{name}`: {reason}"));
    Some(failure.hint(format!("`smelt logs {job} --session {name}` shows its output")).into())
}

async fn merge(floor: &Floor<'_>, orchestrator: &dyn Orchestrator, ends: &Ends) -> Verdict {
    let merging = merge::merge(floor, orchestrator, ends);
    match floor.clock.unless_interrupted(merging).await {
        Err(interrupt) => Verdict::Not(interrupt.outcome().into()),
        Ok(Ok(Merged::Commit(commit))) => Verdict::Passed(commit),
        Ok(Ok(Merged::Conflict)) => Verdict::Not(Outcome::Conflict.into()),
        Ok(Ok(Merged::Gates(SessionState::TimedOut, _))) => Verdict::Not(Outcome::TimedOut.into()),
        Ok(Ok(Merged::Gates(_, commit))) if wants_draft(floor) => {
            Verdict::Draft(commit, Outcome::GatesFailed.into())
        }
        Ok(Ok(Merged::Gates(..))) => Verdict::Not(Outcome::GatesFailed.into()),
        Ok(Err(error)) => of_git(&error).into(),
    }
}

/// Whether work is worth something also where not all of it passed.
fn wants_draft(floor: &Floor<'_>) -> bool {
    let forge = floor.manifest().forge.as_ref();
    forge.is_some_and(|forge| forge.on_gates_failed == OnGatesFailed::Draft)
}

/// The work of the sessions that passed, merged, where there is any. However that goes, the run's
/// gates have failed.
async fn draft(
    floor: &Floor<'_>,
    orchestrator: &dyn Orchestrator,
    ends: &Ends,
    conclusion: Conclusion,
) -> Verdict {
    let passed = ends.iter().filter(|(_, end)| end.state == SessionState::Passed);
    let passed: Ends = passed.map(|(name, end)| (name.clone(), end.clone())).collect();
    match merge(floor, orchestrator, &passed).await {
        Verdict::Passed(commit) | Verdict::Draft(commit, _) if commit != floor.base.commit => {
            Verdict::Draft(commit, conclusion)
        }
        Verdict::Not(other) if other.outcome != Outcome::GatesFailed => {
            let why = other.failure.map_or_else(|| other.outcome.to_string(), |f| f.message);
            floor.warn(None, format!("there is no draft: what passed could not be merged ({why})"));
            Verdict::Not(conclusion)
        }
        _ => Verdict::Not(conclusion),
    }
}

pub(super) fn of_git(error: &SandboxGitError) -> Failure {
    match error {
        SandboxGitError::Sandbox(error) => of_sandbox(error),
        _ => Failure::from_error(FailureKind::Fault, error),
    }
}
