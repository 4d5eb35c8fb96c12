//! Finding runs by what people say of them.

use crate::error::{CliError, Result};
use crate::exit::Exit;
use smelt_core::name::JobName;
use smelt_core::state::{JobFolder, RunFolder, StateError, StateFolder};
use std::path::Path;

/// The state folder that is there.
pub fn existing(dir: &Path) -> Result<StateFolder> {
    StateFolder::find(dir)?.ok_or_else(|| {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        CliError::told(Exit::Failed, format!("nothing has been run in `{}`", dir.display()))
            .hint("`smelt run` makes a `.smelt` folder; --dir names the folder it is in")
    })
}

/// The job called `name`, which has run before or is starting.
pub fn job(state: &StateFolder, name: &str) -> Result<JobFolder> {
    let known: JobName =
        name.parse().map_err(|error: String| CliError::told(Exit::Usage, error))?;
    let job = state.job(&known);
    if !job.runs().is_empty() || job.holder().is_some() {
        return Ok(job);
    }
    let jobs: Vec<_> = state.jobs().iter().map(|job| format!("`{}`", job.name())).collect();
    let error = CliError::told(Exit::Failed, format!("`{known}` has not been run here"));
    Err(match jobs.is_empty() {
        true => error,
        false => error.hint(format!("the jobs here: {}", jobs.join(", "))),
    })
}

/// The run of `job` whose id is, starts with or ends in `id`; its newest where none is given.
pub fn run(job: &JobFolder, id: Option<&str>) -> Result<RunFolder> {
    let mut runs = job.runs();
    let none = || CliError::told(Exit::Failed, format!("`{}` has no such run", job.name()));
    let Some(id) = id else {
        let starting = || CliError::told(Exit::Failed, format!("`{}` is starting", job.name()));
        return runs.pop().ok_or_else(|| starting().hint("try again in a moment"));
    };
    runs.retain(|run| run.id().as_str().starts_with(id) || run.id().as_str().ends_with(id));
    match runs.len() {
        1 => runs.pop().ok_or_else(none),
        0 => Err(none().hint("`smelt list` shows the runs and their ids")),
        _ => Err(CliError::told(
            Exit::Failed,
            format!("`{id}` could be several runs of `{}`", job.name()),
        )
        .hint("give more of the id; `smelt list` shows them")),
    }
}

/// The newest run of all jobs.
pub fn newest(state: &StateFolder) -> Option<(JobFolder, RunFolder)> {
    let jobs = state.jobs().into_iter();
    let newest = jobs.filter_map(|job| job.runs().pop().map(|run| (job, run)));
    newest.max_by(|a, b| a.1.id().cmp(b.1.id()))
}

/// Whether a run's folder is there and nothing was written down yet.
pub fn is_missing(error: &StateError) -> bool {
    matches!(error, StateError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}
