//! Tearing down: always, however the run ends.

use super::Context;
use super::phase::TearingDown;
use crate::event::{JobEvent, Level};
use crate::outcome::Conclusion;
use crate::port::Sandbox;
use crate::tree::remove_tree;
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

fn warn(context: &Context<'_>, message: &str) {
    let (level, message) = (Level::Warning, message.to_owned());
    context.events.emit(JobEvent::Notice { level, message, session: None });
}
