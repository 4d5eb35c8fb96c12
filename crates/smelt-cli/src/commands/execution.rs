//! One run, from its secrets to its summary.

use super::cache::{self, CacheHold};
use crate::args::{OutputMode, RunOptions};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::run::RunReporter;
use crate::report::summary::{Surroundings, of_run};
use crate::report::{junit, print};
use crate::settings::Settings;
use crate::wiring;
use jiff::Timestamp;
use smelt_core::engine::Engine;
use smelt_core::event::channel;
use smelt_core::manifest::Manifest;
use smelt_core::name::SecretName;
use smelt_core::port::{Cancellation, JobRequest, JobRunner};
use smelt_core::secret::Secret;
use smelt_core::state::{
    Follower, JobLock, LockError, Recorded, Recorder, RunFolder, RunState, StateFolder, Wake,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// The file for the gates' verdicts, opened before the run: where it can't be written is told in
/// time.
struct Report {
    path: PathBuf,
    _file: File,
}

impl Report {
    fn open(path: PathBuf) -> Result<Self> {
        // What an earlier run has written stays until there is something to put in its place.
        match File::options().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => Ok(Self { path, _file: file }),
            Err(error) => {
                let message = format!("the report `{}` can't be written: {error}", path.display());
                Err(CliError::told(Exit::Usage, message).hint("check the path given to --report"))
            }
        }
    }
}

/// A run that has everything it needs.
pub struct Execution {
    engine: Engine,
    request: JobRequest,
    folder: RunFolder,
    output: Option<OutputMode>,
    json: bool,
    report: Option<Report>,
    /// Held for as long as the run goes on.
    _held: (JobLock, CacheHold),
}

impl Execution {
    /// Looks up the secrets and takes the job; nothing is provisioned before both are there.
    pub async fn prepare(
        settings: &Settings,
        manifest: Manifest,
        options: &RunOptions,
    ) -> Result<Self> {
        let deliver = !options.no_pr;
        let secrets = fetch_secrets(settings, &manifest, deliver).await?;
        let engine = wiring::engine(settings, options.unsandboxed);
        let state = StateFolder::find_or_create(&options.dir.dir)?;
        let job = state.job(&manifest.job.name);
        let run = job.next_run(Timestamp::now());
        let lock = job.lock(&run).await.map_err(|error| refused(&manifest, error))?;
        let cache = cache::hold(&settings.cache).await?;
        let report = options.report.clone().map(Report::open).transpose()?;
        let folder = job.run(&run);
        let request = JobRequest {
            owner: state.owner()?,
            manifest,
            secrets,
            keep: options.keep,
            deliver,
            bundle: folder.bundle(),
            run,
        };
        let (output, json) = (options.output, options.json);
        Ok(Self { engine, request, folder, output, json, report, _held: (lock, cache) })
    }

    /// Runs it, shows it, and sums it up.
    pub async fn run(self) -> Result {
        let wake = Wake::default();
        let recorder = Recorder::create(self.folder.clone(), wake.clone())?;
        let (events, stream) = channel();
        let recording = tokio::task::spawn_blocking(move || recorder.record(stream));
        let mut reporter = RunReporter::new(self.output, self.json);
        let mut follower = Follower::own(&self.folder.events(), wake)?;
        let cancellation = Cancellation::default();
        let signals = tokio::spawn(obey_signals(cancellation.clone()));
        let request = self.request.clone();
        let engine = self.engine.clone();
        let run = tokio::spawn(async move { engine.run(request, events, cancellation).await });
        // What has been written is shown, however fast it came and however slow the terminal is.
        let show = async {
            while let Some(event) = follower.next(|| !recording.is_finished()).await? {
                reporter.show(&event)?;
                if event.is_last() {
                    break;
                }
            }
            io::Result::Ok(())
        };
        let shown = show.await;
        let conclusion = run.await.map_err(io::Error::other)?;
        let recorded = recording.await.map_err(io::Error::other)?;
        signals.abort();
        let summarize = reporter.end();
        if let Err(error) = shown {
            // A run whose reader has gone is carried through all the same.
            tracing::debug!(%error, "the run could not be shown");
        }
        let state = self.written_down(&recorded);
        if let (Some(Report { path, .. }), Some(state)) = (&self.report, &state)
            && let Err(error) = junit::write(state, path)
        {
            let path = path.display();
            print::note(&format!("warning: the report `{path}` could not be written: {error}"));
        }
        if let Some(state) = state.filter(|_| summarize)
            && let Err(error) = self.sum_up(&state)
        {
            // The exit code tells how the run ended, also where nobody reads on.
            print::note(&format!("warning: the summary could not be printed: {error}"));
        }
        Ok(Exit::from(&conclusion))
    }

    fn written_down(&self, recorded: &Recorded) -> Option<RunState> {
        if let Some(problem) = &recorded.problem {
            let folder = self.folder.path().display();
            print::note(&format!(
                "warning: the run could not be written down in {folder}: {problem}"
            ));
        }
        recorded.state.clone()
    }

    fn sum_up(&self, state: &RunState) -> io::Result<()> {
        let here = std::env::current_dir()?;
        let around = Surroundings {
            here: &here,
            now: Timestamp::now(),
            alive: true,
            folder: self.folder.path(),
        };
        print::result(&of_run(state, &around))
    }
}

/// The first signal stops the run, the second one at once.
async fn obey_signals(cancellation: Cancellation) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let Ok(mut signals) = kinds.into_iter().map(signal).collect::<io::Result<Vec<_>>>() else {
        return;
    };
    let [interrupt, terminate, hangup] = signals.as_mut_slice() else { return };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if cancellation.stop.is_cancelled() {
            cancellation.abort.cancel();
            print::note("stopping at once");
        } else {
            cancellation.stop.cancel();
            print::note("stopping; once more to stop at once");
        }
    }
}

fn refused(manifest: &Manifest, error: LockError) -> CliError {
    match error {
        LockError::Held(holder) => {
            let pid =
                holder.pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
            let run = holder.run_id.map(|run| format!(" as run {run}")).unwrap_or_default();
            let job = &manifest.job.name;
            if holder.pid.is_some() && run.is_empty() {
                return CliError::told(Exit::Failed, format!("`{job}` is being cleaned, by {pid}"))
                    .hint("try again when that has ended");
            }
            CliError::told(Exit::Failed, format!("`{job}` is being run already, by {pid}{run}"))
                .hint(format!("wait for it, or stop it: smelt stop {job}"))
        }
        LockError::Io(error) => CliError::new(Exit::Failed, error),
    }
}

/// The secrets that the manifest names; all that are missing are told at once.
async fn fetch_secrets(
    settings: &Settings,
    manifest: &Manifest,
    deliver: bool,
) -> Result<BTreeMap<SecretName, Secret>> {
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for name in manifest.needed_secrets(deliver) {
        let secret = settings.secrets.fetch(name).await;
        match secret.map_err(|error| CliError::new(Exit::Invalid, error))? {
            Some(secret) => {
                found.insert(name.clone(), secret);
            }
            None => missing.push(name.as_str()),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    let config = settings.config.as_ref().map(|path| path.display().to_string());
    let config = config.unwrap_or_else(|| "~/.config/smelt/config.toml".into());
    let names = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(CliError::told(Exit::Invalid, format!("missing secrets: {names}")).hint(format!(
        "set them in the environment, give a file with --env-file, or say in {config} where they \
         are: [secrets] {} = {{ file = \"…\" }} or {{ command = [\"…\"] }}",
        missing[0]
    )))
}
