//! What the cluster tells of a pod, from before it runs until it is gone. It is watched, never asked
//! again and again.

use super::config::Cluster;
use super::error::{Ask, explain, status};
use super::state::{self, State};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use smelt_core::port::SandboxError;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Why a pod is not there of which nobody said that it would go.
const DELETED: &str = "its pod was deleted from outside";

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// How the pod is.
    pub(super) state: State,
    /// Why it is not there any more, or does not run.
    pub(super) gone: Option<String>,
    /// The cluster knows nothing of it any more.
    pub(super) deleted: bool,
    /// The cluster does not let it be watched.
    denied: Option<Arc<watcher::Error>>,
}

/// Watches one pod.
pub(super) struct Events {
    seen: watch::Receiver<Seen>,
    _task: AbortOnDropHandle<()>,
}

impl Events {
    /// Starts to watch the pod `name`, which is the one with the id `uid`. A watch that ends begins anew,
    /// after a while where it failed; one that missed something looks at everything again.
    pub(super) fn watch(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        uid: Option<String>,
    ) -> Self {
        let (told, seen) = watch::channel(Seen::default());
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
        let pod = watch_object(pods, name).default_backoff();
        let task = tokio::spawn(async move { follow(pod, uid.as_deref(), &told).await });
        Self { seen, _task: AbortOnDropHandle::new(task) }
    }

    /// What has been seen, now and from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Waits until the pod is not there any more, or does not run.
    pub(super) async fn gone(&self) -> String {
        let mut seen = self.subscribe();
        match seen.wait_for(|seen| seen.gone.is_some()).await {
            Ok(seen) => seen.gone.clone().unwrap_or_default(),
            Err(_) => "nobody watches it any more".to_owned(),
        }
    }

    /// Waits until the cluster knows nothing of the pod any more.
    pub(super) async fn deleted(&self) {
        let mut seen = self.subscribe();
        // Whoever watched it until its end has told so.
        let _ = seen.wait_for(|seen| seen.deleted || seen.denied.is_some()).await;
    }
}

impl Seen {
    /// Why the pod can't be watched.
    pub(super) fn denied(&self, namespace: &str) -> Option<SandboxError> {
        let ask = |verb| Ask::of(verb, "pods", namespace);
        let (ask, error) = match &**self.denied.as_ref()? {
            watcher::Error::InitialListFailed(error) => (ask("list"), error),
            watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
                (ask("watch"), error)
            }
            _ => return None,
        };
        match error {
            kube::Error::Api(said) => {
                Some(explain("watching the pod", ask, kube::Error::Api(said.clone())))
            }
            other => Some(SandboxError::failed("watching the pod", other.to_string())),
        }
    }
}

async fn follow(
    pod: impl Stream<Item = Result<Option<Pod>, watcher::Error>>,
    uid: Option<&str>,
    told: &watch::Sender<Seen>,
) {
    let mut pod = std::pin::pin!(pod);
    while let Some(next) = pod.next().await {
        match next {
            Ok(Some(pod)) if uid.is_none_or(|uid| pod.metadata.uid.as_deref() == Some(uid)) => {
                let state = state::of(&pod);
                told.send_modify(|seen| {
                    // It is let again: credentials are renewed, and servers start anew.
                    seen.denied = None;
                    take(state, seen);
                });
            }
            // Another one of the same name is not the same.
            Ok(_) => {
                told.send_modify(|seen| {
                    seen.gone.get_or_insert_with(|| DELETED.to_owned());
                    seen.deleted = true;
                });
                return;
            }
            Err(error) if is_denied(&error) => {
                told.send_modify(|seen| seen.denied = Some(Arc::new(error)));
            }
            Err(error) => tracing::debug!(%error, "watching a pod"),
        }
    }
}

/// Takes what is new over what was known. The first cause of an end is the one. While a pull is put off
/// the status may not say any more why it failed.
fn take(state: State, seen: &mut Seen) {
    if let Some(over) = &state.over {
        seen.gone.get_or_insert_with(|| over.clone());
    }
    let pull_error = state.pull_error.clone().or(seen.state.pull_error.take());
    let hopeless = match (state.hopeless.clone(), &pull_error) {
        (Some(why), Some(error)) if why.starts_with("ImagePullBackOff") && !why.contains(error) => {
            Some(format!("ImagePullBackOff: {error}"))
        }
        (hopeless, _) => hopeless,
    };
    seen.state = State {
        pull_error,
        hopeless,
        out_of_memory: state.out_of_memory || seen.state.out_of_memory,
        image: state.image.clone().or(seen.state.image.take()),
        ..state
    };
}

fn is_denied(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error)
    | watcher::Error::WatchStartFailed(error)
    | watcher::Error::WatchFailed(error)) = error
    else {
        return false;
    };
    matches!(status(error), Some(401 | 403))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[tokio::test]
    async fn a_watch_that_is_denied_once_may_be_let_again() {
        let status = Status { code: 401, ..Status::failure("", "Unauthorized") };
        let denied = watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed()));
        let (told, seen) = watch::channel(Seen::default());
        follow(futures::stream::iter([Err(denied)]), None, &told).await;
        assert!(seen.borrow().denied("x").is_some());
        follow(futures::stream::iter([Ok(Some(Pod::default()))]), None, &told).await;
        assert!(seen.borrow().denied("x").is_none() && !seen.borrow().deleted);
    }
}
