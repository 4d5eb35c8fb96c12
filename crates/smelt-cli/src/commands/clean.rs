//! `smelt clean`: what interrupted runs have left, and old runs.

use super::runs::{existing, is_missing};
use crate::args::Clean;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::{print, words};
use crate::settings::Settings;
use crate::wiring;
use jiff::Timestamp;
use serde::Serialize;
use smelt_core::git::{self, Git, Repository};
use smelt_core::id::{OwnerId, RunId};
use smelt_core::outcome::{Failure, FailureKind, Outcome};
use smelt_core::port::Runtime;
use smelt_core::state::{JobFolder, RunFolder, RunState, StateError};
use smelt_core::text::count;
use smelt_core::tree::remove_tree;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What was, or would be, removed.
#[derive(Default, Serialize)]
struct Cleaned {
    dry_run: bool,
    /// Sandboxes and folders of runs that ended without removing them.
    leftovers: Vec<String>,
    /// Runs that ended without an outcome, now marked as failed.
    interrupted: Vec<String>,
    /// Old runs, with their logs and refs.
    runs: Vec<String>,
    /// Refs in repositories.
    refs: u64,
    /// What is kept between runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<String>,
    /// What could not be removed, and why.
    problems: Vec<String>,
}

pub async fn clean(args: &Clean) -> Result {
    let settings = Settings::read(None)?;
    let state = existing(&args.dir.dir)?;
    let owner = state.owner()?;
    let jobs = match &args.job {
        Some(name) => vec![super::runs::job(&state, name)?],
        None => state.jobs(),
    };
    let runtimes = wiring::runtimes(&settings, false);
    let mut cleaner = Cleaner {
        args,
        git: wiring::git(&settings),
        owner,
        runtimes: runtimes.into_values().collect(),
        now: Timestamp::now(),
        cleaned: Cleaned { dry_run: args.dry_run, ..Cleaned::default() },
    };
    for job in &jobs {
        cleaner.job(job).await;
    }
    cleaner.leftovers(&state.jobs()).await?;
    if args.cache {
        cleaner.cache(&settings.cache);
    }
    tell(&cleaner.cleaned, args.json)?;
    Ok(if cleaner.cleaned.problems.is_empty() { Exit::Success } else { Exit::Failed })
}

struct Cleaner<'a> {
    args: &'a Clean,
    git: Git,
    owner: OwnerId,
    runtimes: Vec<Arc<dyn Runtime>>,
    now: Timestamp,
    cleaned: Cleaned,
}

impl Cleaner<'_> {
    async fn job(&mut self, job: &JobFolder) {
        let runs = job.runs();
        let newest = runs.len().saturating_sub(self.args.keep);
        for (n, run) in runs.iter().enumerate() {
            if job.is_running(run.id()) {
                continue;
            }
            match run.state() {
                Ok(state) => {
                    let old = self.is_old(state.finished_at.unwrap_or(state.updated_at));
                    if n < newest && old {
                        self.remove(run, Some(&state)).await;
                    } else if state.outcome.is_none() {
                        self.mark_interrupted(run, state).await;
                    }
                }
                // It never came to its first event.
                Err(error) if is_missing(&error) => self.remove(run, None).await,
                Err(error @ StateError::Newer { .. }) => {
                    self.cleaned.problems.push(error.to_string());
                }
                Err(error) => self.cleaned.problems.push(error.to_string()),
            }
        }
        if !self.args.dry_run
            && let Err(error) = job.remove_if_empty()
        {
            self.cleaned.problems.push(format!("{}: {error}", job.path().display()));
        }
    }

    fn is_old(&self, since: Timestamp) -> bool {
        let age = self.now.duration_since(since);
        age.is_positive() && age.unsigned_abs() >= self.args.older_than
            || self.args.older_than.is_zero()
    }

    async fn remove(&mut self, run: &RunFolder, state: Option<&RunState>) {
        self.cleaned.runs.push(run.id().to_string());
        if let Some(state) = state {
            self.drop_refs(run.id(), Path::new(&state.repo)).await;
        }
        if !self.args.dry_run
            && let Err(error) = run.remove()
        {
            self.cleaned.problems.push(format!("{}: {error}", run.path().display()));
        }
    }

    /// A run whose process is gone: what it kept for going on is of no use any more.
    async fn mark_interrupted(&mut self, run: &RunFolder, mut state: RunState) {
        self.cleaned.interrupted.push(run.id().to_string());
        self.drop_refs(run.id(), Path::new(&state.repo)).await;
        if self.args.dry_run {
            return;
        }
        let message = format!("process {} ended without finishing the run", state.pid);
        state.outcome = Some(Outcome::Failed);
        state.failure = Some(Failure::new(FailureKind::Fault, message));
        state.finished_at = Some(state.updated_at);
        if let Err(error) = run.save(&state) {
            self.cleaned.problems.push(format!("{}: {error}", run.path().display()));
        }
    }

    async fn drop_refs(&mut self, run: &RunId, repo: &Path) {
        // A URL's are in its mirror, and go with it.
        let Ok(repository) = Repository::open(&self.git, repo).await else { return };
        let prefix = git::refs::of_run(run);
        let listed = repository.git().args(["for-each-ref", "--format=%(refname)", &prefix]).text();
        let names = match listed.await {
            Ok(names) => names,
            Err(error) => return self.cleaned.problems.push(smelt_core::outcome::chain(&error)),
        };
        self.cleaned.refs += names.lines().count() as u64;
        if self.args.dry_run || names.is_empty() {
            return;
        }
        let lines: String = names.lines().map(|name| format!("delete {name}\n")).collect();
        let dropped =
            repository.git().args(["update-ref", "--no-deref", "--stdin"]).input(lines).run();
        if let Err(error) = dropped.await {
            self.cleaned.problems.push(smelt_core::outcome::chain(&error));
        }
    }

    /// Sandboxes that carry this folder's label and belong to no run that goes on.
    async fn leftovers(&mut self, jobs: &[JobFolder]) -> Result<()> {
        let alive: BTreeSet<_> =
            jobs.iter().filter_map(|job| job.holder().and_then(|holder| holder.run_id)).collect();
        for runtime in &self.runtimes {
            let failed = |error| CliError::new(Exit::Failed, anyhow::Error::new(error));
            for orphan in runtime.list(&self.owner).await.map_err(failed)? {
                if alive.contains(&orphan.run) {
                    continue;
                }
                self.cleaned.leftovers.push(orphan.what.clone());
                if self.args.dry_run {
                    continue;
                }
                if let Err(error) = runtime.reap(&self.owner, &orphan.run).await {
                    self.cleaned.problems.push(format!("{}: {error}", orphan.what));
                }
            }
        }
        Ok(())
    }

    fn cache(&mut self, cache: &Path) {
        self.cleaned.cache = Some(cache.display().to_string());
        if self.args.dry_run {
            return;
        }
        for name in ["mirrors", "volumes"] {
            if let Err(error) = remove_tree(&cache.join(name)) {
                self.cleaned.problems.push(format!("{}: {error}", cache.join(name).display()));
            }
        }
    }
}

fn tell(cleaned: &Cleaned, json: bool) -> Result<()> {
    if json {
        print::json(cleaned)?;
        return Ok(());
    }
    let verb = if cleaned.dry_run { "would remove" } else { "removed" };
    for what in &cleaned.leftovers {
        print::result(&format!("{verb} {what}"))?;
    }
    for run in &cleaned.interrupted {
        print::result(&format!("interrupted: run {run}"))?;
    }
    for run in &cleaned.runs {
        print::result(&format!("{verb} run {run}"))?;
    }
    if cleaned.refs > 0 {
        print::result(&format!("{verb} {}", count(cleaned.refs, "ref")))?;
    }
    if let Some(cache) = &cleaned.cache {
        print::result(&format!("{verb} mirrors and cached paths in {}", words::quoted(cache)))?;
    }
    for problem in &cleaned.problems {
        print::note(&format!("error: {problem}"));
    }
    let nothing = cleaned.leftovers.is_empty()
        && cleaned.interrupted.is_empty()
        && cleaned.runs.is_empty()
        && cleaned.cache.is_none();
    if nothing && cleaned.problems.is_empty() {
        print::result("nothing to remove")?;
    }
    Ok(())
}
