//! A run that has been, and the forge that its result goes to.

use super::execution::fetch_secrets;
use super::runs::{self, existing};
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::settings::Settings;
use crate::wiring;
use smelt_core::delivery::DeliveryOrder;
use smelt_core::engine::PastRun;
use smelt_core::port::Forge;
use smelt_core::state::{JobFolder, LockError, PullRecord, RunFolder, RunState, StateFolder};
use std::path::Path;

/// A run of the past.
pub struct Past {
    pub folder: StateFolder,
    pub job: JobFolder,
    pub run: RunFolder,
    pub state: RunState,
}

impl Past {
    /// The run of `job` that `run` names; the newest where it names none.
    pub fn find(dir: &Path, job: &str, run: Option<&str>) -> Result<Self> {
        let folder = existing(dir)?;
        let job = runs::job(&folder, job)?;
        let run = runs::run(&job, run)?;
        let state = run.state()?;
        Ok(Self { folder, job, run, state })
    }

    /// How its result is to be delivered.
    pub fn order(&self) -> Result<DeliveryOrder> {
        self.run.order()?.ok_or_else(|| {
            let message =
                format!("`{}` names no forge: there is nowhere to deliver to", self.job.name());
            CliError::told(Exit::Invalid, message)
                .hint("add `[forge]` to its manifest and run it again; the result is on its branch")
        })
    }

    /// The run with everything that its forge needs.
    pub async fn with_secrets(self, settings: &Settings) -> Result<PastRun> {
        let order = self.order()?;
        let secrets = fetch_secrets(settings, order.forge.target.token()).await?;
        let (bundle, pulls) = (self.run.bundle(), self.folder.pulls());
        Ok(PastRun { state: self.state, order, secrets, bundle, pulls })
    }
}

/// The forge of a run, as it can be asked now.
pub async fn connect(past: &PastRun, settings: &Settings) -> Result<Box<dyn Forge>> {
    Ok(past.connect(&wiring::engine(settings, false)).await?)
}

/// Keeps what the forge told of a run's pull request. Nothing is kept while the job runs: its own
/// process knows better.
pub async fn keep(job: &JobFolder, run: &RunFolder, record: &PullRecord) -> Result<()> {
    let _lock = match job.lock_to_tidy_up().await {
        Ok(lock) => lock,
        Err(LockError::Held(_)) => return Ok(()),
        Err(LockError::Io(error)) => return Err(error.into()),
    };
    let mut state = run.state()?;
    state.pr = Some(record.clone());
    Ok(run.amend(&state)?)
}
