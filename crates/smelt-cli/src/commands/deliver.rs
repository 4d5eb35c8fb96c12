//! `smelt deliver`.

use super::cache;
use super::execution::refused;
use super::past::Past;
use super::stage::Stage;
use crate::args::Deliver;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print;
use crate::settings::Settings;
use crate::wiring;
use smelt_core::event::{PullState, channel_after};
use smelt_core::state::{Recorder, RunFolder, Wake};

pub async fn deliver(args: &Deliver) -> Result {
    let settings = Settings::read(args.env_file.as_deref())?;
    let mut past = Past::find(&args.dir.dir, &args.job, args.run.as_deref())?;
    let (job, run) = (past.job.clone(), past.run.clone());
    // Nobody else delivers it at the same time, and it is not removed meanwhile.
    let _lock = job.lock(run.id()).await.map_err(|error| refused(job.name(), error))?;
    past.state = run.state()?;
    let _cache = cache::hold(&settings.cache).await?;
    if past.state.result_commit.is_none() {
        let outcome = past.state.outcome.map_or_else(|| "interrupted".into(), |o| o.to_string());
        let message = format!("run {} has no result to deliver: it is {outcome}", run.id());
        return Err(CliError::told(Exit::Failed, message)
            .hint(format!("`smelt status {}` shows what there is", job.name())));
    }
    if let Some(newer) = newer_on_the_same_branch(&past) {
        let (old, new) = (run.id(), newer.id());
        let message = format!("run {new} has delivered to the same branch since: {old} is older");
        return Err(CliError::told(Exit::Failed, message)
            .hint(format!("its commits are kept: `smelt status {} --run {old}`", job.name())));
    }
    if let Some(pull) = past.state.pr.as_ref().filter(|pull| pull.state != PullState::Open) {
        print::note(&format!("its pull request is {}: {}", pull.state, pull.url));
    }
    let state = past.state.clone();
    let past = past.with_secrets(&settings).await?;
    let wake = Wake::default();
    let (recorder, seen) = Recorder::resume(run.clone(), wake.clone(), state)?;
    let engine = wiring::engine(&settings, false);
    let stage = Stage { folder: run, output: None, json: args.json };
    let work = |events, cancellation| async move {
        engine.deliver_again(&past, &events, cancellation).await
    };
    let played = stage.play(recorder, wake, channel_after(seen), work).await?;
    stage.sum_up(&played);
    Ok(Exit::from(&played.conclusion))
}

/// A later run of the job that has delivered to where this one would.
fn newer_on_the_same_branch(past: &Past) -> Option<RunFolder> {
    let newer = past.job.runs().into_iter().filter(|run| run.id() > past.run.id());
    let target = past.state.result_branch.as_ref().or(past.state.target.as_ref());
    let mut same = newer.filter(|run| {
        let state = run.state().ok();
        state.is_some_and(|state| state.pr.is_some() && state.result_branch.as_ref() == target)
    });
    same.next()
}
