//! Delivering: what has passed the quarantine is put where it belongs.

use super::Context;
use super::collect::Checked;
use super::forge::{Place, Work};
use super::phase::{Delivering, Phase, Prepared, Verdict};
use super::teardown;
use crate::delivery::DeliveryOrder;
use crate::event::JobEvent;
use crate::git::{self, Oid, Publication, Stat, WriteError};
use crate::manifest::RepoLocation;
use crate::outcome::{Conclusion, Failure, FailureKind, Outcome};
use crate::port::JobRequest;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for it, also when the job's time is up.
const DEADLINE: Duration = Duration::from_secs(900);

impl Delivering {
    pub(super) async fn step(self, context: &Context<'_>) -> Phase {
        let Self { prepared, sandbox, verdict, mut checked } = self;
        let verdict = unless_interrupted_since(context, verdict, &mut checked);
        let delivery = async {
            match in_time(context, &prepared, &verdict, &checked).await {
                Ok(conclusion) => {
                    to_forge(context, &prepared, &verdict, &checked, conclusion).await
                }
                Err(conclusion) => conclusion,
            }
        };
        let (conclusion, _) = tokio::join!(delivery, teardown::release(context, &*sandbox));
        Phase::end(conclusion)
    }
}

/// Keeps the work, in the repository or in a bundle; an error where that fails.
async fn in_time(
    context: &Context<'_>,
    prepared: &Prepared,
    verdict: &Verdict,
    checked: &[Checked],
) -> Result<Conclusion, Conclusion> {
    let delivery = async {
        for (n, checked) in checked.iter().enumerate() {
            match &context.request.manifest.job.repo {
                RepoLocation::Path(_) => into_repository(context, prepared, checked).await?,
                RepoLocation::Url(_) => into_bundle(context, prepared, checked, n).await?,
            }
        }
        Ok(())
    };
    match context.clock.salvage(DEADLINE, delivery).await {
        Ok(Ok(())) => Ok(conclusion(verdict, &prepared.base.commit)),
        Ok(Err(conclusion)) => Err(conclusion),
        Err(interrupt) => {
            let failure = Failure::new(FailureKind::Fault, "the work could not be kept in time");
            Err(Conclusion { outcome: interrupt.outcome(), failure: Some(failure) })
        }
    }
}

/// Delivers the result, where there is one and a forge for it.
async fn to_forge(
    context: &Context<'_>,
    prepared: &Prepared,
    verdict: &Verdict,
    checked: &[Checked],
    conclusion: Conclusion,
) -> Conclusion {
    let JobRequest { manifest, secrets, pulls, deliver, .. } = context.request;
    let order = DeliveryOrder::of(manifest).filter(|_| *deliver);
    let result = checked.iter().find_map(|c| Some((&c.quarantine, c.result.as_ref()?)));
    let (Some(order), Some((quarantine, commit)), Some(_)) = (order, result, verdict.commit())
    else {
        return conclusion;
    };
    let Some(state) = context.record.state() else { return conclusion };
    let place = Place {
        engine: context.engine,
        order: &order,
        token: order.forge.target.token().and_then(|name| secrets.get(name)),
        pulls,
        repository: &prepared.repository,
        quarantine,
        redactor: &context.redactor,
        events: context.events,
        clock: &context.clock,
    };
    let work = Work {
        state: &state,
        base: &prepared.base.commit,
        commit,
        target: prepared.target.as_str(),
    };
    place.conclude(&work, conclusion).await
}

/// A run that was stopped after its gates had passed writes no result; its sessions are kept.
fn unless_interrupted_since(
    context: &Context<'_>,
    verdict: Verdict,
    checked: &mut [Checked],
) -> Verdict {
    match (&verdict, context.clock.interrupt()) {
        (Verdict::Passed(_) | Verdict::Draft(..), Some(interrupt)) => {
            checked.iter_mut().for_each(|checked| checked.result = None);
            Verdict::Not(interrupt.outcome().into())
        }
        _ => verdict,
    }
}

fn conclusion(verdict: &Verdict, base: &Oid) -> Conclusion {
    match verdict {
        Verdict::Passed(commit) if commit == base => Outcome::NoChanges.into(),
        Verdict::Passed(_) => Outcome::Complete.into(),
        Verdict::Draft(_, conclusion) | Verdict::Not(conclusion) => conclusion.clone(),
    }
}

impl Checked {
    /// How much the result changes; nothing where that can't be told in time.
    async fn stat(&self) -> Stat {
        match &self.result {
            Some(commit) => self.quarantine.stat(commit).await.unwrap_or_default(),
            None => Stat::default(),
        }
    }

    fn publication<'a>(&'a self, context: &'a Context<'_>) -> Publication<'a> {
        Publication {
            run: &context.request.run,
            sessions: &self.sessions,
            result: self.result.as_ref(),
        }
    }
}

async fn into_repository(
    context: &Context<'_>,
    prepared: &Prepared,
    checked: &Checked,
) -> Result<(), Conclusion> {
    let Prepared { repository, base, target, .. } = prepared;
    let publication = checked.publication(context);
    let publish = git::publish(repository, &checked.quarantine, &publication);
    let (published, stat) = tokio::join!(publish, checked.stat());
    published.map_err(|error| Failure::from_error(FailureKind::Fault, &error))?;
    tell_kept(context, checked, None);
    if let Some(commit) = &checked.result {
        context.events.emit(JobEvent::ResultKept {
            commit: commit.to_string(),
            reference: git::refs::result(&context.request.run),
        });
        git::write_branch(repository, target, commit, base.branch.as_deref())
            .await
            .map_err(|error| undelivered(&error))?;
        tell_written(context, prepared, commit, stat, None);
    }
    Ok(())
}

async fn into_bundle(
    context: &Context<'_>,
    prepared: &Prepared,
    checked: &Checked,
    n: usize,
) -> Result<(), Conclusion> {
    let Prepared { repository, base, target, .. } = prepared;
    let bundle = nth(&context.request.bundle, n);
    let publication = checked.publication(context);
    if context.request.manifest.forge.is_some() {
        // A later run, or a later delivery, knows by its mirror what was pushed.
        git::publish(repository, &checked.quarantine, &publication)
            .await
            .map_err(|error| Failure::from_error(FailureKind::Fault, &error))?;
    }
    git::write_bundle(&checked.quarantine, &base.commit, &publication, target, &bundle)
        .await
        .map_err(|error| Failure::from_error(FailureKind::Fault, &error))?;
    let bundle = bundle.display().to_string();
    tell_kept(context, checked, Some(&bundle));
    if let Some(commit) = &checked.result {
        let stat = checked.stat().await;
        tell_written(context, prepared, commit, stat, Some(bundle));
    }
    Ok(())
}

/// `path` for what comes first, and others beside it.
fn nth(path: &Path, n: usize) -> PathBuf {
    match n {
        0 => path.to_owned(),
        n => path.with_extension(format!("{n}.bundle")),
    }
}

/// The work is there, under the run's own refs; only the branch could not be written.
fn undelivered(error: &WriteError) -> Conclusion {
    let kept = "the work is kept under the run's own refs";
    let failure = match error {
        WriteError::Refused(refusal) => {
            let failure = Failure::from_error(FailureKind::Fault, refusal);
            failure.hint(format!("{kept}; {}", refusal.hint()))
        }
        WriteError::Raced { .. } | WriteError::Git(_) => {
            let failure = Failure::from_error(FailureKind::Fault, error);
            failure.hint(format!("{kept}; run the job again"))
        }
    };
    Conclusion { outcome: Outcome::Undelivered, failure: Some(failure) }
}

fn tell_kept(context: &Context<'_>, checked: &Checked, bundle: Option<&str>) {
    for (session, commit) in &checked.sessions {
        context.events.emit(JobEvent::SessionKept {
            session: session.clone(),
            commit: commit.to_string(),
            reference: git::refs::session(&context.request.run, session),
            bundle: bundle.map(str::to_owned),
        });
    }
}

fn tell_written(
    context: &Context<'_>,
    prepared: &Prepared,
    commit: &Oid,
    stat: Stat,
    bundle: Option<String>,
) {
    context.events.emit(JobEvent::ResultWritten {
        branch: prepared.target.to_string(),
        bundle,
        commit: commit.to_string(),
        commits: stat.commits,
        files_changed: stat.files_changed,
        insertions: stat.insertions,
        deletions: stat.deletions,
    });
}
