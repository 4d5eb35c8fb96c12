//! `smelt stop`.

use super::runs::{self, existing};
use crate::args::Stop;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print;
use smelt_core::state::JobFolder;
use std::time::Duration;

/// How often it is looked whether the run has ended.
const LOOK: Duration = Duration::from_millis(50);

/// How long a run may take to end: it keeps its work and removes its sandbox.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn stop(args: &Stop) -> Result {
    let state = existing(&args.dir.dir)?;
    let job = runs::job(&state, &args.job)?;
    // Who only tidies the job up is nobody to stop.
    let holder = job.holder().filter(|holder| holder.run_id.is_some());
    let Some((pid, holder)) = holder.and_then(|holder| Some((holder.pid?, holder))) else {
        return Err(CliError::told(Exit::Failed, format!("`{}` is not running", job.name()))
            .hint("`smelt list` shows what is"));
    };
    if !holder.is_here() {
        let message =
            format!("`{}` is run by process {pid} of another container or machine", job.name());
        return Err(CliError::told(Exit::Failed, message).hint("stop it there"));
    }
    signal(pid)?;
    if !args.json {
        print::note(&format!("stopping {} (process {pid})", job.name()));
    }
    if tokio::time::timeout(PATIENCE, ended(&job, pid)).await.is_err() {
        let message = format!("process {pid} has not stopped within {} s", PATIENCE.as_secs());
        return Err(
            CliError::told(Exit::Failed, message).hint("stop once more: it then ends at once")
        );
    }
    match args.json {
        true => print::json(&serde_json::json!({ "stopped": job.name(), "pid": pid }))?,
        false => print::result(&format!("{} has stopped", job.name()))?,
    }
    Ok(Exit::Success)
}

async fn ended(job: &JobFolder, pid: u32) {
    while job.holder().is_some_and(|holder| holder.pid == Some(pid)) {
        tokio::time::sleep(LOOK).await;
    }
}

fn signal(pid: u32) -> Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let target =
        target.ok_or_else(|| CliError::told(Exit::Failed, format!("{pid} is no process")))?;
    match kill_process(target, Signal::TERM) {
        // It has ended by itself in the meantime.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => {
            let why = std::io::Error::from(error);
            Err(CliError::told(Exit::Failed, format!("process {pid} can't be stopped: {why}")))
        }
    }
}
