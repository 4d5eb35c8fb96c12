//! `smelt status`.

use super::runs::{self, existing};
use crate::args::Status;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print;
use crate::report::summary::{Surroundings, of_run};
use jiff::Timestamp;
use smelt_core::state::{JobFolder, RunFolder, RunState, StateFolder};

pub fn status(args: &Status) -> Result {
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
    show(&job, &run, args.json)
}

fn show(job: &JobFolder, run: &RunFolder, json: bool) -> Result {
    let alive = job.is_running(run.id());
    let state = match run.state() {
        Ok(state) => state,
        Err(error) if runs::is_missing(&error) && alive => {
            print::note(&format!("{}: run {} is starting", job.name(), run.id()));
            return Ok(Exit::Success);
        }
        Err(error) => return Err(error.into()),
    };
    if json {
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
