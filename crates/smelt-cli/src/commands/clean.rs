//! `smelt clean`: what interrupted runs have left, and old runs.

use super::cache;
use super::runs::{existing, is_missing};
use crate::args::Clean;
use crate::error::Result;
use crate::exit::Exit;
use crate::report::{print, words};
use crate::settings::Settings;
use crate::wiring;
use jiff::Timestamp;
use serde::Serialize;
use smelt_core::git::{self, Git, Repository, RepositoryError};
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{ClusterPlace, RepoLocation, RuntimeKind};
use smelt_core::outcome::{Failure, FailureKind, Outcome, chain};
use smelt_core::port::{Runtime, SandboxError};
use smelt_core::state::{JobFolder, LockError, RunFolder, RunState, StateFolder};
use smelt_core::text::count;
use smelt_core::tree::remove_tree;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
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
    /// Jobs that are left alone because they are running.
    running: Vec<String>,
    /// What is kept between runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<String>,
    /// Whether an engine's volumes of cached paths are among that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached_volumes: bool,
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
    let runtimes = wiring::runtimes(&settings, false, places_of(&state.jobs()));
    // What is kept between runs is every job's.
    let used = if args.cache { runtimes_of(&state.jobs()) } else { runtimes_of(&jobs) };
    // Told before any of them is removed.
    let only = args.job.is_some().then(|| runs_of(&jobs).map(|run| run.id().clone()).collect());
    let mut cleaner = Cleaner {
        args,
        git: wiring::git(&settings),
        owner,
        cache: settings.cache.clone(),
        runtimes: runtimes.into_values().collect(),
        used,
        only,
        answered: HashSet::new(),
        now: Timestamp::now(),
        cleaned: Cleaned { dry_run: args.dry_run, ..Cleaned::default() },
    };
    for job in &jobs {
        cleaner.job(job).await;
    }
    cleaner.leftovers(&state).await;
    if args.cache {
        cleaner.cache(&settings.cache).await;
    }
    tell(&cleaner.cleaned, args.json)?;
    Ok(if cleaner.cleaned.problems.is_empty() { Exit::Success } else { Exit::Failed })
}

/// The runs of these jobs.
fn runs_of(jobs: &[JobFolder]) -> impl Iterator<Item = RunFolder> {
    jobs.iter().flat_map(JobFolder::runs)
}

/// What has made the sandboxes of these jobs.
fn runtimes_of(jobs: &[JobFolder]) -> HashSet<RuntimeKind> {
    runs_of(jobs).filter_map(|run| run.state().ok()).map(|state| state.runtime).collect()
}

/// Where these jobs' runs have had pods.
fn places_of(jobs: &[JobFolder]) -> BTreeSet<ClusterPlace> {
    runs_of(jobs).filter_map(|run| run.state().ok()?.kubernetes).collect()
}

struct Cleaner<'a> {
    args: &'a Clean,
    git: Git,
    owner: OwnerId,
    /// Folder of what is kept between runs.
    cache: PathBuf,
    runtimes: Vec<Arc<dyn Runtime>>,
    /// Runtimes that some run has used which this is about.
    used: HashSet<RuntimeKind>,
    /// The only runs whose sandboxes are removed; `None`: those of all.
    only: Option<BTreeSet<RunId>>,
    /// Runtimes that could be asked what runs have left.
    answered: HashSet<RuntimeKind>,
    now: Timestamp,
    cleaned: Cleaned,
}

impl Cleaner<'_> {
    /// Nothing of a job is changed while it runs, and it does not start while something changes.
    async fn job(&mut self, job: &JobFolder) {
        let lock = match self.args.dry_run {
            true => job.holder().map_or(Ok(None), |holder| Err(LockError::Held(holder))),
            false => job.lock_to_tidy_up().await.map(Some),
        };
        let lock = match lock {
            Ok(lock) => lock,
            Err(LockError::Held(_)) => return self.cleaned.running.push(job.name().to_string()),
            Err(LockError::Io(error)) => return self.problem(job.path(), &error),
        };
        self.runs(&job.runs()).await;
        if let Some(lock) = lock
            && let Err(error) = job.remove_if_empty(&lock)
        {
            self.problem(job.path(), &error);
        }
    }

    async fn runs(&mut self, runs: &[RunFolder]) {
        let newest = runs.len().saturating_sub(self.args.keep);
        for (n, run) in runs.iter().enumerate() {
            match run.state() {
                Ok(state) => {
                    let old = self.is_old(state.finished_at.unwrap_or(state.updated_at));
                    if n < newest && old {
                        self.remove(run, Some(&state)).await;
                    } else if state.outcome.is_none() {
                        self.mark_interrupted(run, state);
                    }
                }
                // Its state was moved away, or never written. What it tells is kept like others'.
                Err(error) if is_missing(&error) => {
                    let told = run.events().metadata().is_ok_and(|events| events.len() > 0);
                    if !told || n < newest && self.is_old(run.id().made_at()) {
                        self.remove(run, None).await;
                    }
                }
                Err(error) => self.cleaned.problems.push(chain(&error)),
            }
        }
    }

    fn problem(&mut self, path: &Path, error: &io::Error) {
        self.cleaned.problems.push(format!("{}: {error}", path.display()));
    }

    fn is_old(&self, since: Timestamp) -> bool {
        let age = self.now.duration_since(since);
        age.is_positive() && age.unsigned_abs() >= self.args.older_than
            || self.args.older_than.is_zero()
    }

    /// A run goes with its refs; it stays where they can't be dropped.
    async fn remove(&mut self, run: &RunFolder, state: Option<&RunState>) {
        if let Some(state) = state
            && let Err(error) = self.drop_refs(run.id(), &self.repository(&state.repo)).await
        {
            return self.cleaned.problems.push(format!("run {}: {}", run.id(), chain(&error)));
        }
        let removed = if self.args.dry_run { Ok(()) } else { run.remove() };
        match removed {
            Ok(()) => self.cleaned.runs.push(run.id().to_string()),
            Err(error) => self.problem(run.path(), &error),
        }
    }

    /// Where the repository `repo` of a run is: a URL's is its mirror.
    fn repository(&self, repo: &str) -> PathBuf {
        match RepoLocation::parse(repo, Path::new("/"), None) {
            Ok(RepoLocation::Url(url)) => git::mirror_path(&self.cache, &url),
            _ => PathBuf::from(repo),
        }
    }

    /// A run whose process is gone. Its work stays in its refs, as that of every failed run does.
    fn mark_interrupted(&mut self, run: &RunFolder, mut state: RunState) {
        let message = format!("process {} ended without finishing the run", state.pid);
        let failure = Failure::new(FailureKind::Fault, message);
        let is_deliverable = state.result_commit.is_some() && matches!(run.order(), Ok(Some(_)));
        (state.outcome, state.failure) = match is_deliverable {
            true => {
                let again = format!("smelt deliver {} --run {}", state.job, state.run_id);
                let failure = failure.hint(format!("the work is kept, `{again}` delivers it"));
                (Some(Outcome::Undelivered), Some(failure))
            }
            false => (Some(Outcome::Failed), Some(failure)),
        };
        state.finished_at = Some(state.updated_at);
        let marked = if self.args.dry_run { Ok(()) } else { run.amend(&state) };
        match marked {
            Ok(()) => self.cleaned.interrupted.push(run.id().to_string()),
            Err(error) => self.problem(run.path(), &error),
        }
    }

    async fn drop_refs(
        &mut self,
        run: &RunId,
        repo: &Path,
    ) -> std::result::Result<(), RepositoryError> {
        let repository = match Repository::open(&self.git, repo).await {
            Ok(repository) => repository,
            // It is gone, and its refs with it.
            Err(RepositoryError::NoFolder { .. } | RepositoryError::NotARepository { .. }) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let prefix = git::refs::of_run(run);
        let listed = repository.git().args(["for-each-ref", "--format=%(refname)", &prefix]);
        let names = listed.text().await?;
        if !self.args.dry_run && !names.is_empty() {
            let lines: String = names.lines().map(|name| format!("delete {name}\n")).collect();
            let drop = ["update-ref", "--no-deref", "--stdin"];
            repository.git().args(drop).input(lines).run().await?;
        }
        self.cleaned.refs += names.lines().count() as u64;
        Ok(())
    }

    /// Sandboxes that carry this folder's label and belong to no run that goes on.
    async fn leftovers(&mut self, state: &StateFolder) {
        for runtime in self.runtimes.clone() {
            let sandboxes = match runtime.list(&self.owner).await {
                Ok(sandboxes) => sandboxes,
                Err(error) => {
                    self.not_asked(&*runtime, &error);
                    continue;
                }
            };
            // Looked at after the sandboxes: each was made by a run that had its job by then.
            let holders = state.jobs().into_iter().filter_map(|job| job.holder());
            let alive: BTreeSet<_> = holders.filter_map(|holder| holder.run_id).collect();
            self.answered.insert(runtime.kind());
            let meant = |run: &RunId| self.only.as_ref().is_none_or(|only| only.contains(run));
            let dead = |run: &RunId| !alive.contains(run);
            let orphans: Vec<_> = sandboxes
                .into_iter()
                .filter(|found| meant(&found.run) && dead(&found.run))
                .collect();
            for orphan in orphans {
                let reaped = match self.args.dry_run {
                    true => Ok(()),
                    false => runtime.reap(&self.owner, &orphan.run).await,
                };
                match reaped {
                    // Two runtimes may make theirs in the same engine.
                    Ok(()) if self.cleaned.leftovers.contains(&orphan.what) => {}
                    Ok(()) => self.cleaned.leftovers.push(orphan.what),
                    Err(error) => {
                        self.cleaned.problems.push(format!("{}: {}", orphan.what, chain(&error)));
                    }
                }
            }
        }
    }

    /// A runtime that can't be used, and never was by these runs, has nothing of theirs. One that does
    /// not answer says so once, however often it is asked.
    fn not_asked(&mut self, runtime: &dyn Runtime, error: &SandboxError) {
        let unused = !self.used.contains(&runtime.kind());
        let problem = chain(error);
        let told = self.cleaned.problems.contains(&problem);
        if !(told || unused && matches!(error, SandboxError::Unavailable { .. })) {
            self.cleaned.problems.push(problem);
        }
    }

    /// Clears what all state folders share: not while any run uses it.
    async fn cache(&mut self, cache: &Path) {
        let _hold = match cache::hold_alone(cache) {
            Ok(Some(hold)) => hold,
            Ok(None) => {
                let said = "a run uses the mirrors and cached paths; they are not removed";
                return self.cleaned.problems.push(format!("{}: {said}", cache.display()));
            }
            Err(error) => return self.problem(cache, &error),
        };
        for folder in ["mirrors", "volumes"].map(|name| cache.join(name)) {
            let removed = if self.args.dry_run { Ok(()) } else { remove_tree(&folder) };
            if let Err(error) = removed {
                return self.problem(&folder, &error);
            }
        }
        for runtime in self.runtimes.clone() {
            let cleared = match self.args.dry_run {
                true => Ok(self.answered.contains(&runtime.kind())),
                false => runtime.clear_cache().await.map(|()| true),
            };
            match cleared {
                Ok(cleared) => {
                    self.cleaned.cached_volumes |= cleared && runtime.kind() == RuntimeKind::Docker;
                }
                Err(error) => self.not_asked(&*runtime, &error),
            }
        }
        self.cleaned.cache = Some(cache.display().to_string());
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
        let volumes = if cleaned.cached_volumes { ", and cached volumes" } else { "" };
        let cache = words::quoted(cache);
        print::result(&format!("{verb} mirrors and cached paths in {cache}{volumes}"))?;
    }
    for job in &cleaned.running {
        print::note(&format!("{job} is running: left alone"));
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
