//! Waiting until a pod runs, or never will.

use super::events::{Events, Seen};
use super::provision::not_started;
use smelt_core::port::SandboxError;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

const IMAGE: &str =
    "see `environment.image`, `environment.pull` and `kubernetes.image_pull_secrets`";

const CONTAINER: &str = "the image is to run as a user who is not root, and to have `sh` and `cat`";

const NODE: &str = "reserve less (`kubernetes.cpu_request`, `kubernetes.memory_request`), or see what \
                    `kubernetes.node_selector` asks for";

/// Waits until the pod runs, and tells on `lines` what it waits for; returns its image by its digest. A node
/// is waited for as long as `patience` lasts, an image for as long as the node tries.
pub(super) async fn wait(
    events: &Events,
    namespace: &str,
    patience: Duration,
    lines: &mpsc::Sender<String>,
) -> Result<Option<String>, SandboxError> {
    let mut seen = events.subscribe();
    let mut told = None;
    let mut unscheduled: Option<Instant> = None;
    loop {
        let now = seen.borrow_and_update().clone();
        if let Some(image) = look(&now, namespace)? {
            return Ok(image);
        }
        let waiting = now.state.waiting;
        if waiting.is_some() && waiting != told {
            told = waiting;
            // Nobody may be listening any more.
            let _ = lines.send(format!("pod: {}", told.as_deref().unwrap_or_default())).await;
        }
        let since = match now.state.unscheduled {
            true => Some(*unscheduled.get_or_insert_with(Instant::now)),
            false => None,
        };
        let too_long = async {
            match since {
                Some(since) => tokio::time::sleep_until(since + patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = seen.changed() => if changed.is_err() && seen.borrow().gone.is_none() {
                return Err(SandboxError::Gone("nobody watches it any more".into()));
            },
            () = too_long => {
                let why = told.unwrap_or_default();
                return Err(not_started(&format!("{why} (for {} s)", patience.as_secs()), NODE));
            }
        }
    }
}

/// Whether it runs, with its image; an error where it never will.
fn look(seen: &Seen, namespace: &str) -> Result<Option<Option<String>>, SandboxError> {
    if let Some(why) = &seen.gone {
        return Err(not_started(why, CONTAINER));
    }
    if let Some(why) = &seen.state.hopeless {
        let hint = if why.contains("Image") { IMAGE } else { CONTAINER };
        return Err(not_started(why, hint));
    }
    if let Some(error) = seen.denied(namespace) {
        return Err(error);
    }
    Ok(seen.state.running.then(|| seen.state.image.clone()))
}
