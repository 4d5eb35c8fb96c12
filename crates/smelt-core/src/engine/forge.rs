//! Forges: a result is delivered to one, in its run or later.

use super::{Clock, Engine, Interrupt};
use crate::delivery::{self, Delivered, Delivery, DeliveryError, DeliveryOrder};
use crate::event::{EventSink, JobEvent, Level, Phase};
use crate::git::{self, Oid, Publication, Quarantine, Repository};
use crate::manifest::{self, ForgeTarget, RepoLocation};
use crate::name::SecretName;
use crate::outcome::{Conclusion, Failure, FailureKind, Outcome, chain};
use crate::port::{Cancellation, Forge, ForgeError, ForgePlace, ForgeRepository, JobRequest};
use crate::secret::{Redactor, Secret};
use crate::state::{Record, RunState};
use crate::tree::remove_tree;
use futures::future::{Either, select};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time for a delivery, waits that the forge asks for included.
const DEADLINE: Duration = Duration::from_secs(1200);

/// What helps after a delivery that did not come to its end.
const AGAIN: &str = "the work is kept; deliver it again";

/// Where a result is delivered from and to.
pub(super) struct Place<'a> {
    pub(super) engine: &'a Engine,
    pub(super) order: &'a DeliveryOrder,
    pub(super) token: Option<&'a Secret>,
    pub(super) pulls: &'a Path,
    pub(super) repository: &'a Repository,
    pub(super) quarantine: &'a Quarantine,
    pub(super) redactor: &'a Redactor,
    pub(super) events: &'a EventSink,
    pub(super) clock: &'a Clock,
}

/// What is delivered.
pub(super) struct Work<'a> {
    pub(super) state: &'a RunState,
    pub(super) base: &'a Oid,
    pub(super) commit: &'a Oid,
    pub(super) target: &'a str,
}

/// Why a result is not where it should be. It is kept.
pub(super) enum Trouble {
    /// Something failed.
    Failed(Failure),
    /// Somebody stopped it.
    Stopped(Failure),
}

impl Trouble {
    /// How a run ends of which nothing else has gone wrong.
    fn conclusion(self) -> Conclusion {
        let (outcome, failure) = match self {
            Self::Failed(failure) => (Outcome::Undelivered, failure),
            Self::Stopped(failure) => (Outcome::Cancelled, failure),
        };
        Conclusion { outcome, failure: Some(failure) }
    }
}

impl Place<'_> {
    /// Delivers `work` in its run, which has come to `conclusion`, and tells what that becomes.
    pub(super) async fn conclude(&self, work: &Work<'_>, conclusion: Conclusion) -> Conclusion {
        match self.deliver(work, conclusion.outcome).await {
            Ok(Delivered::Nothing) if conclusion.outcome == Outcome::Complete => {
                Outcome::NoChanges.into()
            }
            Ok(_) => conclusion,
            // That the gates failed is the answer, with or without a draft to show it.
            Err(Trouble::Failed(failure)) if conclusion.outcome != Outcome::Complete => {
                let hint = failure.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                warn(self.events, &format!("there is no draft: {}{hint}", failure.message));
                conclusion
            }
            Err(trouble) => trouble.conclusion(),
        }
    }

    async fn deliver(&self, work: &Work<'_>, outcome: Outcome) -> Result<Delivered, Trouble> {
        let again = format!("smelt deliver {} --run {}", work.state.job, work.state.run_id);
        let kept = format!("the work is kept, `{again}` delivers it");
        let Cancellation { stop, abort } = self.clock.cancellation();
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(stopped(kept)),
            () = abort.cancelled() => Err(stopped(kept)),
            () = tokio::time::sleep(DEADLINE) => {
                let failure = Failure::new(FailureKind::Unavailable, too_long());
                Err(Trouble::Failed(failure.hint(kept)))
            }
            delivered = self.carry_out(work, outcome) => {
                delivered.map_err(|error| Trouble::Failed(error.failure(&again)))
            }
        }
    }

    async fn carry_out(
        &self,
        work: &Work<'_>,
        outcome: Outcome,
    ) -> Result<Delivered, DeliveryError> {
        let place = ForgePlace {
            target: &self.order.forge.target,
            token: self.token,
            repository: Some(self.repository),
            pulls: self.pulls,
        };
        let forge = connect(self.engine, &place)?;
        let delivery = Delivery {
            order: self.order,
            state: work.state,
            outcome,
            base: work.base,
            commit: work.commit,
            target: work.target,
            repository: self.repository,
            quarantine: self.quarantine,
            forge: &*forge,
            redactor: self.redactor,
            events: self.events,
        };
        delivery.carry_out().await
    }
}

fn connect(engine: &Engine, place: &ForgePlace<'_>) -> Result<Box<dyn Forge>, ForgeError> {
    let provider = place.target.provider();
    match engine.forges.get(&provider) {
        Some(connector) => connector.connect(place),
        None => Err(ForgeError::Unsupported {
            forge: provider.to_string(),
            action: "be delivered to by this program".into(),
        }),
    }
}

fn too_long() -> String {
    format!("the delivery took longer than {} s", DEADLINE.as_secs())
}

fn stopped(kept: String) -> Trouble {
    let failure = Failure::new(FailureKind::Fault, "stopped while delivering");
    Trouble::Stopped(failure.hint(kept))
}

fn warn(events: &EventSink, message: &str) {
    let message = crate::text::clean_inline(message).into_owned();
    events.emit(JobEvent::DeliveryNotice { level: Level::Warning, message });
}

/// What `work` comes to; `company` is given up when that is there.
pub(super) async fn in_company<T>(
    work: impl Future<Output = T>,
    company: impl Future<Output = ()>,
) -> T {
    match select(pin!(work), pin!(company)).await {
        Either::Left((done, _)) => done,
        Either::Right(((), work)) => work.await,
    }
}

impl Engine {
    /// Asks the forge early whether it will take the result, and warns where it will not: the token
    /// can be mended while the agents work. The run goes on, for its work is kept in any case.
    pub(super) async fn foresee_delivery(&self, request: &JobRequest, events: &EventSink) {
        let JobRequest { manifest, secrets, deliver, .. } = request;
        let Some(forge) = manifest.forge.as_ref().filter(|_| *deliver) else { return };
        if let Err(error) = self.check_forge(forge, secrets).await {
            let (what, hint) = (chain(&error), error.hint());
            let message =
                format!("the result could not be delivered as things are: {what}; {hint}");
            warn(events, &message);
        }
    }

    /// Whether `forge` would take a result as things are: the repository there, where it has one.
    ///
    /// # Errors
    /// Why it would not.
    pub async fn check_forge(
        &self,
        forge: &manifest::Forge,
        secrets: &BTreeMap<SecretName, Secret>,
    ) -> Result<Option<ForgeRepository>, DeliveryError> {
        let ForgeTarget::Hosted { token, .. } = &forge.target else { return Ok(None) };
        let token = secrets.get(token);
        let pulls = Path::new("");
        let place = ForgePlace { target: &forge.target, token, repository: None, pulls };
        let client = connect(self, &place)?;
        let there = client.repository().await?;
        delivery::check_writable(&there)?;
        match &forge.base {
            Some(base) if !client.has_branch(base.as_str()).await? => {
                Err(DeliveryError::NoBase { repo: there.full_name, base: base.to_string() })
            }
            _ => Ok(Some(there)),
        }
    }

    /// Delivers what a run of the past has kept. What is returned is how that went; the run itself stays
    /// delivered where it was before.
    pub async fn deliver_again(
        &self,
        past: &PastRun,
        events: &EventSink,
        cancellation: Cancellation,
    ) -> Conclusion {
        let started = Instant::now();
        let record = Record::of(past.state.clone());
        let events = &record.listen(events);
        events.emit(JobEvent::Phase { phase: Phase::Delivering });
        let clock = Clock::new(DEADLINE, cancellation);
        let scratch = self.scratch.join(format!("deliver-{}", past.state.run_id));
        let delivery = past.deliver(self, events, &clock, &scratch);
        let delivered = match clock.unless_interrupted(delivery).await {
            Ok(delivered) => delivered,
            Err(Interrupt::Stopped) => Err(stopped(AGAIN.into())),
            Err(Interrupt::TimedOut) => {
                let failure = Failure::new(FailureKind::Unavailable, too_long());
                Err(Trouble::Failed(failure.hint(AGAIN)))
            }
        };
        // What can't be removed now is removed before the next one.
        let _ = remove(&scratch).await;
        let outcome = past.outcome();
        let conclusion = match delivered {
            Ok(Delivered::Nothing) if outcome == Outcome::Complete => Outcome::NoChanges.into(),
            Ok(_) => Conclusion::from(outcome),
            Err(trouble) => trouble.conclusion(),
        };
        let is_worse = !matches!(conclusion.outcome, Outcome::Complete | Outcome::NoChanges);
        let of_run = match past.state.outcome {
            Some(before) if is_worse && past.state.pr.is_some() => before.into(),
            _ => conclusion.clone(),
        };
        events.emit(JobEvent::RunFinished {
            conclusion: of_run,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        conclusion
    }
}

async fn remove(folder: &Path) -> std::io::Result<()> {
    let folder = folder.to_owned();
    let removed = tokio::task::spawn_blocking(move || remove_tree(&folder));
    removed.await.map_err(std::io::Error::other)?
}

/// A run that has ended, with everything that its delivery needs.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// What is known of it.
    pub state: RunState,
    /// Where its result is to go.
    pub order: DeliveryOrder,
    /// The secrets that the order names.
    pub secrets: BTreeMap<SecretName, Secret>,
    /// Its bundle, where the repository is a URL.
    pub bundle: PathBuf,
    /// Folder of the pull requests of the local forge.
    pub pulls: PathBuf,
}

impl PastRun {
    /// The forge that its result goes to.
    ///
    /// # Errors
    /// Where there is no client for it, or the repository can't be opened.
    pub async fn connect(&self, engine: &Engine) -> Result<Box<dyn Forge>, Failure> {
        let target = &self.order.forge.target;
        let repository = match target {
            ForgeTarget::Local => Some(self.open(engine).await?),
            ForgeTarget::Hosted { .. } => None,
        };
        let place = ForgePlace {
            target,
            token: target.token().and_then(|name| self.secrets.get(name)),
            repository: repository.as_ref(),
            pulls: &self.pulls,
        };
        connect(engine, &place).map_err(|error| {
            let error = DeliveryError::from(error);
            Failure::from_error(FailureKind::Unavailable, &error).hint(error.hint())
        })
    }

    /// How the run ends when it is delivered: a draft stays one.
    fn outcome(&self) -> Outcome {
        match self.state.all_passed() {
            true => Outcome::Complete,
            false => Outcome::GatesFailed,
        }
    }

    async fn deliver(
        &self,
        engine: &Engine,
        events: &EventSink,
        clock: &Clock,
        scratch: &Path,
    ) -> Result<Delivered, Trouble> {
        let state = &self.state;
        let source = self.source(engine, scratch).await.map_err(Trouble::Failed)?;
        let Source { repository, quarantine, base, commit, target } = &source;
        let redactor = Redactor::new(self.secrets.values());
        let place = Place {
            engine,
            order: &self.order,
            token: self.order.forge.target.token().and_then(|name| self.secrets.get(name)),
            pulls: &self.pulls,
            repository,
            quarantine,
            redactor: &redactor,
            events,
            clock,
        };
        let work = Work { state, base, commit, target };
        place.deliver(&work, self.outcome()).await
    }

    /// The result, in a quarantine that it can be pushed from.
    async fn source(&self, engine: &Engine, scratch: &Path) -> Result<Source, Failure> {
        let fault = |error: &(dyn std::error::Error + 'static)| {
            Failure::from_error(FailureKind::Fault, error)
        };
        let none = || {
            Failure::new(FailureKind::Fault, "the run has no result that could be delivered")
                .hint("run the job again")
        };
        let state = &self.state;
        let commit: Oid = parsed(state.result_commit.as_deref()).ok_or_else(none)?;
        let base: Oid = parsed(state.base_commit.as_deref()).ok_or_else(none)?;
        let target = state.result_branch.clone().or(state.target.clone()).ok_or_else(none)?;
        let repository = self.open(engine).await?;
        // Of what an earlier one has left there nothing is believed.
        remove(scratch).await.map_err(|error| fault(&error))?;
        std::fs::create_dir_all(scratch).map_err(|error| fault(&error))?;
        let path = scratch.join("quarantine.git");
        let quarantine = Quarantine::create(&engine.git, &repository, &base, &path, engine.limits);
        let quarantine = quarantine.await.map_err(|error| fault(&error))?;
        let object = format!("{commit}^{{commit}}");
        let is_there = quarantine.git().args(["cat-file", "-e", &object]).run().await.is_ok();
        if !is_there {
            // A mirror that was removed since is a new one, and lacks it.
            let wanted = [git::refs::result(&state.run_id)];
            quarantine.take_in(&self.bundle, &wanted).await.map_err(|error| fault(&error))?;
            let (run, result) = (&state.run_id, Some(&commit));
            let publication = Publication { run, sessions: &[], result };
            git::publish(&repository, &quarantine, &publication)
                .await
                .map_err(|error| fault(&error))?;
        }
        Ok(Source { repository, quarantine, base, commit, target })
    }

    async fn open(&self, engine: &Engine) -> Result<Repository, Failure> {
        let invalid = |error: &(dyn std::error::Error + 'static)| {
            Failure::from_error(FailureKind::Invalid, error)
        };
        let (repo, base_ref) = (&self.state.repo, &self.state.base_ref);
        let location = RepoLocation::parse(repo, Path::new("/"), None)
            .map_err(|message| Failure::new(FailureKind::Invalid, message))?;
        match &location {
            RepoLocation::Path(path) => {
                Repository::open(&engine.git, path).await.map_err(|error| invalid(&error))
            }
            RepoLocation::Url(url) => git::mirror(&engine.git, &engine.cache, url, base_ref)
                .await
                .map_err(super::of_mirror),
        }
    }
}

/// Where a result is delivered from.
struct Source {
    repository: Repository,
    quarantine: Quarantine,
    base: Oid,
    commit: Oid,
    target: String,
}

fn parsed(commit: Option<&str>) -> Option<Oid> {
    commit?.parse().ok()
}
