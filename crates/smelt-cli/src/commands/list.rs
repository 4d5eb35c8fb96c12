//! `smelt list`.

use super::runs::is_missing;
use crate::args::List;
use crate::error::Result;
use crate::exit::Exit;
use crate::report::{complaint, print, words};
use jiff::Timestamp;
use serde::Serialize;
use smelt_core::state::{RunState, StateFolder};

/// A run in a list.
#[derive(Serialize)]
struct Listed {
    job: String,
    run_id: String,
    status: String,
    started_at: Timestamp,
    elapsed_secs: f64,
    sessions_passed: usize,
    sessions: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_commit: Option<String>,
}

#[derive(Serialize)]
struct Listing {
    runs: Vec<Listed>,
    /// Runs whose state file can't be used, and why.
    unreadable: Vec<String>,
}

pub fn list(args: &List) -> Result {
    let mut listing = Listing { runs: Vec::new(), unreadable: Vec::new() };
    let state = StateFolder::find(&args.dir.dir)?;
    for job in state.iter().flat_map(StateFolder::jobs) {
        for run in job.runs() {
            // Looked at first: a run that ends now has its outcome in the state that is read next.
            let alive = job.is_running(run.id());
            match run.state() {
                Ok(state) => listing.runs.push(listed(&state, alive)),
                Err(error) if is_missing(&error) => {}
                Err(error) => {
                    listing.unreadable.push(error.to_string());
                    if !args.json {
                        complaint::tell(&error.into());
                    }
                }
            }
        }
    }
    listing.runs.sort_by(|a, b| b.run_id.cmp(&a.run_id));
    if args.json {
        print::json(&listing)?;
    } else if listing.runs.is_empty() {
        if listing.unreadable.is_empty() {
            print::note("nothing has been run here yet; `smelt demo` shows what a run is");
        }
    } else {
        print::result(&table(&listing.runs))?;
    }
    Ok(if listing.unreadable.is_empty() { Exit::Success } else { Exit::Failed })
}

fn listed(state: &RunState, alive: bool) -> Listed {
    let status = match state.outcome {
        Some(outcome) => outcome.as_str(),
        None if alive => state.phase.as_str(),
        None => "interrupted",
    };
    let (sessions_passed, sessions) = state.passed();
    let now = if alive { Timestamp::now() } else { state.updated_at };
    Listed {
        job: state.job.to_string(),
        run_id: state.run_id.to_string(),
        status: status.to_owned(),
        started_at: state.started_at,
        elapsed_secs: state.elapsed(now).as_secs_f64(),
        sessions_passed,
        sessions,
        result_branch: state.result_branch.clone(),
        result_commit: state.result_commit.clone(),
    }
}

fn table(runs: &[Listed]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["JOB", "RUN", "STATUS", "PASSED", "STARTED", "TIME", "RESULT"]);
    for run in runs {
        let result = match (&run.result_branch, &run.result_commit) {
            (Some(branch), Some(commit)) => format!("{branch} at {}", words::short(commit)),
            _ => "-".to_owned(),
        };
        let time = words::duration(std::time::Duration::from_secs_f64(run.elapsed_secs));
        table.add_row([
            run.job.clone(),
            run.run_id.clone(),
            run.status.clone(),
            format!("{}/{}", run.sessions_passed, run.sessions),
            run.started_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            time,
            result,
        ]);
    }
    table.trim_fmt()
}
