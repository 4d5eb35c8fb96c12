//! One run, from its secrets to its summary.

use super::cache::{self, CacheHold};
use super::stage::Stage;
use crate::args::RunOptions;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::{junit, print, step_summary};
use crate::settings::Settings;
use crate::wiring;
use jiff::Timestamp;
use smelt_core::delivery::DeliveryOrder;
use smelt_core::engine::Engine;
use smelt_core::event::channel;
use smelt_core::manifest::{Forge, Manifest};
use smelt_core::name::{JobName, SecretName};
use smelt_core::port::{JobRequest, JobRunner};
use smelt_core::secret::Secret;
use smelt_core::state::{JobLock, LockError, Recorder, StateFolder, Wake};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

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
    stage: Stage,
    report: Option<Report>,
    /// The file in which a build server wants a summary of the step.
    step_summary: Option<PathBuf>,
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
        let secrets = fetch_secrets(settings, manifest.needed_secrets(deliver)).await?;
        if let Some(forge) = manifest.forge.as_ref().filter(|_| deliver) {
            check_token(forge, &secrets)?;
        }
        let engine = wiring::engine(settings, options.unsandboxed);
        let state = StateFolder::find_or_create(&options.dir.dir)?;
        let job = state.job(&manifest.job.name);
        let run = job.next_run(Timestamp::now());
        let lock = job.lock(&run).await.map_err(|error| refused(&manifest.job.name, error))?;
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
            pulls: state.pulls(),
            run,
        };
        let stage = Stage { folder, output: options.output, json: options.json };
        let step_summary = step_summary::file(settings);
        Ok(Self { engine, request, stage, report, step_summary, _held: (lock, cache) })
    }

    /// Runs it, shows it, and sums it up.
    pub async fn run(self) -> Result {
        if let Some(order) = DeliveryOrder::of(&self.request.manifest) {
            self.stage.folder.keep_order(&order)?;
        }
        let wake = Wake::default();
        let recorder = Recorder::create(self.stage.folder.clone(), wake.clone())?;
        let (request, engine) = (self.request.clone(), self.engine.clone());
        let run =
            |events, cancellation| async move { engine.run(request, events, cancellation).await };
        let played = self.stage.play(recorder, wake, channel(), run).await?;
        if let (Some(Report { path, .. }), Some(state)) = (&self.report, &played.state)
            && let Err(error) = junit::write(state, path)
        {
            let path = path.display();
            print::note(&format!("warning: the report `{path}` could not be written: {error}"));
        }
        if let (Some(path), Some(state)) = (&self.step_summary, &played.state)
            && let Err(error) = step_summary::append(state, &self.request.manifest, path)
        {
            let path = path.display();
            print::note(&format!(
                "warning: the step's summary `{path}` could not be written: {error}"
            ));
        }
        self.stage.sum_up(&played);
        Ok(Exit::from(&played.conclusion))
    }
}

/// Why a job can't be taken.
pub fn refused(job: &JobName, error: LockError) -> CliError {
    match error {
        LockError::Held(holder) => {
            let pid =
                holder.pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
            let run = holder.run_id.map(|run| format!(" as run {run}")).unwrap_or_default();
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

/// What can't be a token is told before anything is provisioned.
fn check_token(forge: &Forge, secrets: &BTreeMap<SecretName, Secret>) -> Result<()> {
    let Some((name, token)) = forge.target.token().and_then(|name| secrets.get_key_value(name))
    else {
        return Ok(());
    };
    if token.expose().chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    let message = format!("the secret `{name}` is no token: it holds spaces or other characters");
    Err(CliError::told(Exit::Invalid, message)
        .hint("give the token alone, without quotes or words"))
}

/// The secrets called `names`; all that are missing are told at once.
pub async fn fetch_secrets(
    settings: &Settings,
    names: impl IntoIterator<Item = &SecretName>,
) -> Result<BTreeMap<SecretName, Secret>> {
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for name in names {
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
