//! Delivering: the commits are checked in quarantine and put where they belong.

use super::Context;
use super::collect::{RESULT, session_ref, worse};
use super::phase::{Delivering, Phase, Prepared, Verdict, Work};
use super::teardown;
use crate::event::JobEvent;
use crate::git::{self, Oid, Publication, Quarantine, QuarantineError, Stat, WriteError};
use crate::manifest::RepoLocation;
use crate::name::SessionName;
use crate::outcome::{Conclusion, Failure, FailureKind, Outcome};
use std::path::Path;
use std::time::Duration;

/// Longest time for it, also when the job's time is up.
const DEADLINE: Duration = Duration::from_secs(900);

impl Delivering {
    pub(super) async fn step(self, context: &Context<'_>) -> Phase {
        let Self { prepared, sandbox, work, bundle } = self;
        let work = unless_interrupted_since(context, work);
        let delivery = async {
            match bundle {
                None => conclusion(&work.verdict, &prepared.base.commit),
                Some(bundle) => in_time(context, &prepared, &work, &bundle).await,
            }
        };
        // Everything is out: the sandbox is not needed any more.
        let (conclusion, ()) = tokio::join!(delivery, teardown::release(context, &*sandbox));
        Phase::end(conclusion)
    }
}

async fn in_time(
    context: &Context<'_>,
    prepared: &Prepared,
    work: &Work,
    bundle: &Path,
) -> Conclusion {
    let delivery = deliver(context, prepared, work, bundle);
    match context.clock.salvage(DEADLINE, delivery).await {
        Ok(Ok(())) => conclusion(&work.verdict, &prepared.base.commit),
        Ok(Err(conclusion)) => conclusion,
        Err(interrupt) => {
            let failure = Failure::new(FailureKind::Fault, "the work could not be kept in time");
            Conclusion { outcome: interrupt.outcome(), failure: Some(failure) }
        }
    }
}

/// A run that was stopped after its gates had passed writes no result; its sessions are kept.
fn unless_interrupted_since(context: &Context<'_>, work: Work) -> Work {
    match (&work.verdict, context.clock.interrupt()) {
        (Verdict::Passed(_), Some(interrupt)) => {
            Work { verdict: Verdict::Not(interrupt.outcome().into()), ..work }
        }
        _ => work,
    }
}

fn conclusion(verdict: &Verdict, base: &Oid) -> Conclusion {
    match verdict {
        Verdict::Passed(commit) if commit == base => Outcome::NoChanges.into(),
        Verdict::Passed(_) => Outcome::Complete.into(),
        Verdict::Not(conclusion) => conclusion.clone(),
    }
}

/// Takes the bundle into quarantine and puts what is good into the user's repository.
async fn deliver(
    context: &Context<'_>,
    prepared: &Prepared,
    work: &Work,
    bundle: &Path,
) -> Result<(), Conclusion> {
    let checked = match take_in(context, prepared, work, bundle).await {
        Ok(checked) => checked,
        Err(error) => {
            let failure = Failure::from_error(FailureKind::Fault, &error).hint(
                "nothing of it has entered your repository; `smelt logs` shows what was done",
            );
            return Err(worse(&work.verdict, failure));
        }
    };
    match &context.request.manifest.job.repo {
        RepoLocation::Path(_) => into_repository(context, prepared, &checked).await,
        RepoLocation::Url(_) => into_bundle(context, prepared, &checked).await,
    }
}

/// What has passed the quarantine.
struct Checked {
    quarantine: Quarantine,
    sessions: Vec<(SessionName, Oid)>,
    result: Option<Oid>,
}

async fn take_in(
    context: &Context<'_>,
    prepared: &Prepared,
    work: &Work,
    bundle: &Path,
) -> Result<Checked, QuarantineError> {
    let base = &prepared.base.commit;
    let path = prepared.spec.scratch.join("quarantine.git");
    let (git, limits) = (&context.engine.git, context.engine.limits);
    let quarantine = Quarantine::create(git, &prepared.repository, base, &path, limits).await?;
    let mut wanted: Vec<_> = (0..work.sessions.len()).map(session_ref).collect();
    let has_result = matches!(&work.verdict, Verdict::Passed(commit) if commit != base);
    if has_result {
        wanted.push(RESULT.to_owned());
    }
    let mut commits = quarantine.take_in(bundle, &wanted).await?;
    let result = match has_result {
        true => commits.pop(),
        false => None,
    };
    let names = work.sessions.iter().map(|(name, _)| name.clone());
    Ok(Checked { quarantine, sessions: names.zip(commits).collect(), result })
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
    tell_kept(context, checked);
    if let Some(commit) = &checked.result {
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
) -> Result<(), Conclusion> {
    let Prepared { base, target, .. } = prepared;
    let (quarantine, bundle) = (&checked.quarantine, &context.request.bundle);
    let publication = checked.publication(context);
    git::write_bundle(quarantine, &base.commit, &publication, target, bundle)
        .await
        .map_err(|error| Failure::from_error(FailureKind::Fault, &error))?;
    tell_kept(context, checked);
    if let Some(commit) = &checked.result {
        let stat = checked.stat().await;
        tell_written(context, prepared, commit, stat, Some(bundle.display().to_string()));
    }
    Ok(())
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

fn tell_kept(context: &Context<'_>, checked: &Checked) {
    for (session, commit) in &checked.sessions {
        context.events.emit(JobEvent::SessionKept {
            session: session.clone(),
            commit: commit.to_string(),
            reference: git::refs::session(&context.request.run, session),
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
