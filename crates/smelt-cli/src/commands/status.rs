//! `smelt status`.

use super::past::{Past, connect, keep};
use super::runs::{self, existing};
use crate::args::Status;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::summary::{Surroundings, of_run};
use crate::report::{complaint, print};
use crate::settings::Settings;
use jiff::Timestamp;
use smelt_core::event::PullState;
use smelt_core::state::{JobFolder, PullRecord, RunFolder, RunState, StateFolder};
use std::time::Duration;

/// Longest time for asking the forge: whoever wants to know more can wait with `smelt watch`.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn status(args: &Status) -> Result {
    let state = existing(&args.dir.dir)?;
    let (job, run) = match &args.job {
        Some(name) => {
            let job = runs::job(&state, name)?;
            let run = runs::run(&job, args.run.as_deref())?;
            (job, run)
        }
        None => match runs::newest(&state) {
            Some(newest) => newest,
            None => return legacy(&state, args.json),
        },
    };
    show(&state, &job, &run, args).await
}

async fn show(folder: &StateFolder, job: &JobFolder, run: &RunFolder, args: &Status) -> Result {
    let alive = job.is_running(run.id());
    let mut state = match run.state() {
        Ok(state) => state,
        Err(error) if runs::is_missing(&error) && alive => {
            print::note(&format!("{}: run {} is starting", job.name(), run.id()));
            return Ok(Exit::Success);
        }
        Err(error) => return Err(error.into()),
    };
    let is_open = |pull: &PullRecord| pull.state == PullState::Open;
    if !args.offline && !alive && state.pr.as_ref().is_some_and(is_open) {
        look(folder, job, run, &mut state, args).await;
    }
    if args.json {
        print::json(&WithLife { interrupted: is_interrupted(&state, alive), state: &state })?;
        return Ok(Exit::Success);
    }
    let here = std::env::current_dir()?;
    let now = if alive { Timestamp::now() } else { state.updated_at };
    print::result(&of_run(&state, &Surroundings { here: &here, now, alive, folder: run.path() }))?;
    if is_interrupted(&state, alive) {
        print::note(&format!(
            "process {} ended without finishing the run; `smelt clean` removes what it left",
            state.pid
        ));
    }
    Ok(Exit::Success)
}

/// Asks the forge how the pull request stands; where it can't be asked, what is known is shown.
async fn look(
    folder: &StateFolder,
    job: &JobFolder,
    run: &RunFolder,
    state: &mut RunState,
    args: &Status,
) {
    let (folder, job) = (folder.clone(), job.clone());
    let past = Past { folder, job: job.clone(), run: run.clone(), state: state.clone() };
    let why = match tokio::time::timeout(PATIENCE, ask(past, args)).await {
        Ok(Ok(record)) => {
            let kept = keep(&job, run, &record).await;
            state.pr = Some(record);
            match kept {
                Ok(()) => return,
                Err(error) => format!("it could not be kept: {}", complaint::in_a_line(&error)),
            }
        }
        Ok(Err(error)) => complaint::in_a_line(&error),
        Err(_) => format!("the forge did not answer within {} s", PATIENCE.as_secs()),
    };
    let since = state.pr.as_ref().map(|pull| format!(" as of {}", pull.checked_at));
    print::note(&format!("the pull request is shown{}: {why}", since.unwrap_or_default()));
}

async fn ask(past: Past, args: &Status) -> Result<PullRecord> {
    let settings = Settings::read(args.env_file.as_deref())?;
    let number = past.state.pr.as_ref().map_or(0, |pull| pull.number);
    let past = past.with_secrets(&settings).await?;
    let forge = connect(&past, &settings).await?;
    let status = forge.status(number).await;
    let status = status.map_err(|error| CliError::new(Exit::Unavailable, error))?;
    Ok(PullRecord::new(&status, Timestamp::now()))
}

fn is_interrupted(state: &RunState, alive: bool) -> bool {
    state.outcome.is_none() && !alive
}

/// The state file, and what it can't know itself.
#[derive(serde::Serialize)]
struct WithLife<'a> {
    interrupted: bool,
    #[serde(flatten)]
    state: &'a RunState,
}

/// What Smelt's predecessor wrote: a flat file, shown as it is.
fn legacy(state: &StateFolder, json: bool) -> Result {
    let path = state.legacy_state();
    let text = std::fs::read_to_string(&path).map_err(|_| {
        CliError::told(
            Exit::Failed,
            format!("nothing has been run in `{}`", state.path().display()),
        )
        .hint("`smelt run MANIFEST` runs a job")
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let message = format!("`{}` can't be understood: {}", path.display(), error.message());
        CliError::told(Exit::Failed, message)
    })?;
    if json {
        print::json(&table)?;
        return Ok(Exit::Success);
    }
    print::note(&format!("from an older Smelt: {}", path.display()));
    for (key, value) in &table {
        let value = match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        print::result(&format!("{key:<16} {}", smelt_core::text::clean_line(&value)))?;
    }
    Ok(Exit::Success)
}
