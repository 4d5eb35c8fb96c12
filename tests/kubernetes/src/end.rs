//! How a pod ends that nobody who made it has ended.

use crate::podstatus::{self, NODE};
use crate::processes;
use crate::state::{Key, Shared, now};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What befalls a running pod. Its processes are killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodEnd {
    /// Its container took more memory than it may.
    OomKilled,
    /// Its node needs the room.
    Evicted {
        /// As the node words it.
        message: String,
    },
    /// Its node is not heard of any more: connections of what it runs are cut, and the pod is
    /// deleted a little later.
    NodeLost,
    /// Somebody else deletes it.
    Deleted,
    /// It is older than its `activeDeadlineSeconds`.
    DeadlineExceeded,
}

/// How long the pod of a lost node is still seen.
const LOST: Duration = Duration::from_millis(300);

/// Ends a pod; false when there is none, or one with another uid.
pub(crate) fn end(shared: &Arc<Shared>, key: &Key, uid: Option<&str>, how: &PodEnd) -> bool {
    let Some(uid) = stop(shared, key, uid, how) else { return false };
    processes::end_all(shared, &uid);
    let mut state = shared.state();
    match how {
        PodEnd::OomKilled => {
            state.update(key, &uid, |pod| podstatus::terminated(pod, "OOMKilled", 137));
            let again =
                state.objects.get(key).is_some_and(|pod| pod["status"]["phase"] == "Running");
            if let Some(cell) = state.cells.get_mut(&uid) {
                cell.runs = again;
            }
        }
        PodEnd::Evicted { message } => {
            state.update(key, &uid, |pod| {
                let why = "TerminationByKubelet";
                podstatus::condition(pod, "DisruptionTarget", true, why, message);
                podstatus::failed(pod, "Evicted", message);
            });
            if let Some(pod) = state.objects.get(key).cloned() {
                state.event(&pod, "Warning", "Evicted", message);
            }
        }
        PodEnd::DeadlineExceeded => {
            let message = "Pod was active on the node longer than the specified deadline";
            state.update(key, &uid, |pod| podstatus::failed(pod, "DeadlineExceeded", message));
        }
        PodEnd::Deleted => {
            state.remove(key);
        }
        PodEnd::NodeLost => {
            state.update(key, &uid, lose);
            drop(state);
            let (shared, key) = (Arc::clone(shared), key.clone());
            // The caller is a test's thread, which has no runtime.
            let later = move || {
                std::thread::sleep(LOST);
                let mut state = shared.state();
                if state.objects.get(&key).is_some_and(|pod| pod["metadata"]["uid"] == json!(uid)) {
                    state.remove(&key);
                }
            };
            let _ = std::thread::Builder::new().name("lost-pod".to_owned()).spawn(later);
        }
    }
    true
}

/// Lets nothing more start in it, and says which it was.
fn stop(shared: &Shared, key: &Key, uid: Option<&str>, how: &PodEnd) -> Option<String> {
    let mut state = shared.state();
    let known = state.objects.get(key)?["metadata"]["uid"].as_str()?.to_owned();
    if uid.is_some_and(|uid| uid != known) {
        return None;
    }
    if let Some(cell) = state.cells.get_mut(&known) {
        cell.runs = false;
        if *how == PodEnd::NodeLost {
            cell.lost.cancel();
        }
    }
    Some(known)
}

fn lose(pod: &mut Value) {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let message = format!("Node {NODE} which was running pod {name} is unresponsive");
    pod["metadata"]["deletionTimestamp"] = json!(now());
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    pod["status"]["reason"] = json!("NodeLost");
    pod["status"]["message"] = json!(message);
    let taint = "Taint manager: deleting due to NoExecute taint";
    podstatus::condition(pod, "DisruptionTarget", true, "DeletionByTaintManager", taint);
    podstatus::condition(pod, "Ready", false, "NodeLost", &message);
}
