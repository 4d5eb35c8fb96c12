//! The engine: carries a job through its phases, using nothing but the ports.

mod clock;
mod collect;
mod deliver;
mod execute;
mod forge;
mod phase;
mod prepare;
mod provision;
mod teardown;

pub(crate) use clock::{Clock, Interrupt};
pub use forge::PastRun;
pub(crate) use prepare::{not_there_yet, notices, of_mirror, open, sandbox_spec};

use crate::event::{self, EventSink, JobEvent, SessionPlan};
use crate::git::{Git, Limits};
use crate::manifest::{ForgeProvider, Kubernetes, RuntimeKind};
use crate::outcome::{Conclusion, Failure, FailureKind, Outcome};
use crate::port::{Cancellation, ForgeConnector, JobRequest, JobRunner, Runtime};
use crate::secret::Redactor;
use crate::state::Record;
use async_trait::async_trait;
use futures::FutureExt;
use phase::{Delivering, Phase, Preparing};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;

/// What an engine is made of.
#[derive(Clone)]
pub struct Engine {
    /// Git on this machine.
    pub git: Git,
    /// The runtimes there are, by kind.
    pub runtimes: HashMap<RuntimeKind, Arc<dyn Runtime>>,
    /// The forges there are, by kind.
    pub forges: HashMap<ForgeProvider, Arc<dyn ForgeConnector>>,
    /// Folder in which each run gets one of its own, removed when it ends.
    pub scratch: PathBuf,
    /// Folder for what is kept between runs: mirrors of URLs.
    pub cache: PathBuf,
    /// How much a result may be.
    pub limits: Limits,
}

/// What all phases of a run share.
pub(crate) struct Context<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) request: &'a JobRequest,
    pub(crate) events: &'a EventSink,
    pub(crate) clock: Clock,
    pub(crate) redactor: Redactor,
    /// What is known of the run.
    pub(crate) record: Record,
}

impl<'a> Context<'a> {
    fn new(
        engine: &'a Engine,
        request: &'a JobRequest,
        events: &'a EventSink,
        clock: Clock,
    ) -> Self {
        let redactor = Redactor::new(request.secrets.values());
        Self { engine, request, events, clock, redactor, record: Record::default() }
    }

    /// The folder of this run alone.
    pub(crate) fn scratch(&self) -> PathBuf {
        let JobRequest { owner, run, .. } = self.request;
        self.engine.scratch.join(owner.as_str()).join(run.as_str())
    }

    /// The runtime that the manifest names.
    pub(crate) fn runtime(&self) -> Option<&Arc<dyn Runtime>> {
        self.engine.runtimes.get(&self.request.manifest.environment.runtime)
    }
}

/// What the first half of a run has come to: work that has passed the quarantine, or an end without
/// any. Deliver it: until then what the run has made is still there.
pub struct Executed {
    end: Half,
    record: Record,
    clock: Clock,
    started: Instant,
}

impl Executed {
    /// How the run has ended, where there is nothing to deliver.
    pub fn ended(&self) -> Option<&Conclusion> {
        match &self.end {
            Half::Work(_) => None,
            Half::Ended(conclusion) => Some(conclusion),
        }
    }
}

/// Where the first half of a run ends.
enum Half {
    Work(Box<Delivering>),
    Ended(Conclusion),
}

impl Engine {
    /// The first half of a run: everything that happens in a sandbox, up to commits that have passed
    /// the quarantine. It needs nothing of a forge.
    pub async fn execute(
        &self,
        request: &JobRequest,
        events: &EventSink,
        cancellation: Cancellation,
    ) -> Executed {
        let started = Instant::now();
        let record = Record::default();
        let events = &record.listen(events);
        let job = &request.manifest.job;
        let sessions = request.manifest.sessions.iter();
        events.emit(JobEvent::RunStarted {
            job: job.name.clone(),
            run_id: request.run.clone(),
            repo: job.repo.to_string(),
            base_ref: job.base_ref.clone(),
            runtime: request.manifest.environment.runtime,
            orchestrator: request.manifest.orchestrator.kind(),
            forge: request.manifest.forge.as_ref().map(|forge| forge.target.provider()),
            kubernetes: request.manifest.pod().map(Kubernetes::place),
            sessions: sessions
                .map(|s| SessionPlan { name: s.name.clone(), depends_on: s.depends_on.clone() })
                .collect(),
        });
        let clock = Clock::new(job.timeout, cancellation);
        let context = Context::new(self, request, events, clock.clone());
        Executed { end: first_half(&context).await, record, clock, started }
    }

    /// The second half: the work is put where it belongs, and what is left of the run is removed.
    pub async fn deliver(
        &self,
        request: &JobRequest,
        executed: Executed,
        events: &EventSink,
    ) -> Conclusion {
        let Executed { end, record, clock, started } = executed;
        let events = &record.listen(events);
        let context = Context { record, ..Context::new(self, request, events, clock) };
        let conclusion = match end {
            Half::Ended(conclusion) => conclusion,
            Half::Work(work) => second_half(&context, Phase::Delivering(*work)).await,
        };
        events.emit(JobEvent::RunFinished {
            conclusion: conclusion.clone(),
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        conclusion
    }
}

#[async_trait]
impl JobRunner for Engine {
    async fn run(
        &self,
        request: JobRequest,
        events: EventSink,
        cancellation: Cancellation,
    ) -> Conclusion {
        let foresight = self.foresee_delivery(&request, &events);
        let execution = self.execute(&request, &events, cancellation);
        let executed = forge::in_company(execution, foresight).await;
        self.deliver(&request, executed, &events).await
    }
}

/// One owner, one loop: each phase makes the next.
async fn first_half(context: &Context<'_>) -> Half {
    let mut phase = Phase::Preparing(Preparing);
    loop {
        phase = match phase {
            Phase::Delivering(work) => return Half::Work(Box::new(work)),
            phase => match step(context, phase).await {
                Ok(next) => next,
                Err(conclusion) => return Half::Ended(conclusion),
            },
        };
    }
}

async fn second_half(context: &Context<'_>, mut phase: Phase) -> Conclusion {
    loop {
        phase = match step(context, phase).await {
            Ok(next) => next,
            Err(conclusion) => return conclusion,
        };
    }
}

/// From one phase to the next; from the last one to the run's conclusion.
async fn step(context: &Context<'_>, phase: Phase) -> Result<Phase, Conclusion> {
    let name = phase.name();
    context.events.emit(JobEvent::Phase { phase: name });
    let step = async {
        Ok(match phase {
            Phase::Preparing(phase) => phase.step(context).await,
            Phase::Provisioning(phase) => phase.step(context).await,
            Phase::Executing(phase) => phase.step(context).await,
            Phase::Collecting(phase) => phase.step(context).await,
            Phase::Delivering(phase) => phase.step(context).await,
            Phase::TearingDown(phase) => return Err(phase.step(context).await),
        })
    };
    let mut next = match AssertUnwindSafe(step).catch_unwind().await {
        Ok(next) => next?,
        Err(panic) => return Err(after_panic(context, &said(&*panic)).await),
    };
    if let Phase::TearingDown(end) = &mut next {
        tell_where_the_time_was_up(context, name, &mut end.conclusion);
    }
    Ok(next)
}

fn tell_where_the_time_was_up(
    context: &Context<'_>,
    phase: event::Phase,
    conclusion: &mut Conclusion,
) {
    let is_up = context.clock.interrupt() == Some(Interrupt::TimedOut);
    if is_up && conclusion.outcome == Outcome::TimedOut && conclusion.failure.is_none() {
        let time = context.request.manifest.job.timeout.as_secs();
        let message = format!("the job's {time} s were up while {}", phase.as_str());
        let failure = Failure::new(FailureKind::Fault, message);
        conclusion.failure = Some(failure.hint("give it more: `timeout` in `[job]`"));
    }
}

/// A phase that panicked took what it held with it: what it made is found by its labels.
async fn after_panic(context: &Context<'_>, said: &str) -> Conclusion {
    tracing::error!(run = %context.request.run, "the engine panicked: {said}");
    teardown::reap(context).await;
    Failure::new(FailureKind::Fault, format!("a defect in Smelt: {said}"))
        .hint("please report it with the run's events.jsonl")
        .into()
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
