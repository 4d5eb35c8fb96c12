//! Tearing down: always, however the run ends.

use super::Context;
use super::phase::TearingDown;
use crate::event::{JobEvent, Level};
use crate::outcome::Conclusion;
use crate::port::Sandbox;
use std::path::Path;
use std::time::Duration;

/// Longest time for removing a sandbox.
const DEADLINE: Duration = Duration::from_secs(60);

impl TearingDown {
    pub(super) async fn step(self, context: &Context<'_>) -> Conclusion {
        let Self { sandbox, conclusion } = self;
        if context.request.keep {
            let message = format!("kept for you to look at: {}", context.scratch().display());
            context.events.emit(JobEvent::Notice { level: Level::Info, message, session: None });
            return conclusion;
        }
        if let Some(sandbox) = sandbox {
            release(context, &*sandbox).await;
        }
        remove_scratch(context).await;
        conclusion
    }
}

/// Removes the sandbox, unless it is to be looked at.
pub(super) async fn release(context: &Context<'_>, sandbox: &dyn Sandbox) {
    if context.request.keep {
        return;
    }
    match tokio::time::timeout(DEADLINE, sandbox.destroy()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn(context, &format!("the sandbox could not be removed: {error}")),
        Err(_) => warn(context, "the sandbox could not be removed in time"),
    }
}

/// Removes whatever carries the run's labels, where nobody holds the sandbox any more.
pub(super) async fn reap(context: &Context<'_>) {
    if let Some(runtime) = context.runtime() {
        let reaping = runtime.reap(&context.request.owner, &context.request.run);
        match tokio::time::timeout(DEADLINE, reaping).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn(context, &format!("the sandbox could not be removed: {error}")),
            Err(_) => warn(context, "the sandbox could not be removed in time"),
        }
    }
    remove_scratch(context).await;
}

async fn remove_scratch(context: &Context<'_>) {
    let scratch = context.scratch();
    let removed = tokio::task::spawn_blocking({
        let scratch = scratch.clone();
        move || remove_tree(&scratch)
    });
    let removed = removed.await.map_err(std::io::Error::other).flatten();
    if let Err(error) = removed {
        warn(context, &format!("`{}` could not be removed: {error}", scratch.display()));
    }
    // The owner's folder goes with its last run.
    let _ = scratch.parent().map(std::fs::remove_dir);
}

/// Removes `path` and everything below, also where a sandbox took away the right to do so.
///
/// # Errors
/// Where something is left.
pub fn remove_tree(path: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind;
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            make_removable(path)?;
            std::fs::remove_dir_all(path)
        }
        done => done,
    }
}

/// Gives folders back the right to be emptied. Follows no links.
fn make_removable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_removable(&entry.path())?;
        }
    }
    Ok(())
}

fn warn(context: &Context<'_>, message: &str) {
    let (level, message) = (Level::Warning, message.to_owned());
    context.events.emit(JobEvent::Notice { level, message, session: None });
}
