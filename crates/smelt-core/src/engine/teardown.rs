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
        let released = match sandbox {
            Some(sandbox) => release(context, &*sandbox).await,
            None => true,
        };
        match released {
            true => remove_scratch(context).await,
            // What is in a sandbox that is still there may be all that is left of the work.
            false => {
                let scratch = context.scratch();
                warn(
                    context,
                    &format!(
                        "what it was working on is still in {}: look there before `smelt clean` \
                         removes it with the sandbox",
                        scratch.display()
                    ),
                );
            }
        }
        conclusion
    }
}

/// Removes the sandbox, unless it is to be looked at; returns whether it is gone.
pub(super) async fn release(context: &Context<'_>, sandbox: &dyn Sandbox) -> bool {
    if context.request.keep {
        return false;
    }
    match tokio::time::timeout(DEADLINE, sandbox.destroy()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => warn(context, &format!("the sandbox could not be removed: {error}")),
        Err(_) => warn(context, "the sandbox could not be removed in time"),
    }
    false
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
