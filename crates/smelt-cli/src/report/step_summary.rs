//! The summary that build servers show beside a step: a file that they name in the environment.

use crate::settings::Settings;
use smelt_core::delivery::{DeliveryOrder, Task, summary};
use smelt_core::manifest::Manifest;
use smelt_core::state::RunState;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Variables that name the file, a forge's own before that of whose actions it runs.
const VARIABLES: [&str; 3] = ["FORGEJO_STEP_SUMMARY", "GITEA_STEP_SUMMARY", "GITHUB_STEP_SUMMARY"];

/// The file, where a build server has named one.
pub fn file(settings: &Settings) -> Option<PathBuf> {
    VARIABLES.iter().find_map(|name| settings.variable(name)).map(PathBuf::from)
}

/// Adds the run to it: what other steps and programs have written there stays.
pub fn append(state: &RunState, manifest: &Manifest, path: &Path) -> io::Result<()> {
    let tasks: Vec<Task> = DeliveryOrder::tasks_of(manifest);
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(summary(state, &tasks).as_bytes())
}
