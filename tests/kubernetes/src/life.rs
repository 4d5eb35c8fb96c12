//! How a pod comes to run, or doesn't.

use crate::end::{self, PodEnd};
use crate::jail;
use crate::podstatus;
use crate::resource::Resource;
use crate::state::{Cell, Key, Shared};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What comes of a pod that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// It runs at once, as all do of which nothing is said.
    Runs,
    /// Its containers are being created for that long.
    RunsAfter(Duration),
    /// No node takes it.
    NeverScheduled {
        /// As the scheduler words it: `0/3 nodes are available: 3 Insufficient memory.`
        message: String,
    },
    /// Its image can't be had. After `ErrImagePull` comes `ImagePullBackOff`, as it does in a
    /// real cluster; any other reason stays.
    ImageError {
        /// `ErrImagePull`, `InvalidImageName`, `ErrImageNeverPull`.
        reason: String,
        /// As the node words it.
        message: String,
    },
    /// Its container is not what the node can create.
    ConfigError {
        /// As the node words it.
        message: String,
    },
    /// Its containers end at once with this exit code.
    CrashesAtOnce(i32),
    /// Its node has no room for it after all.
    Evicted {
        /// As the node words it.
        message: String,
    },
}

/// So that a client that only looks now and then sees the steps as well.
const STEP: Duration = Duration::from_millis(10);

/// Leads a pod through what the script has for it.
pub(crate) async fn live(shared: Arc<Shared>, key: Key, uid: String, start: Start) {
    tokio::time::sleep(STEP).await;
    if let Start::NeverScheduled { message } = &start {
        let change = |pod: &mut Value| {
            podstatus::condition(pod, "PodScheduled", false, "Unschedulable", message);
        };
        step(&shared, &key, &uid, ("Warning", "FailedScheduling", message), change);
        return;
    }
    let where_to = format!("Successfully assigned {}/{} to scripted-node", key.namespace, key.name);
    let event = ("Normal", "Scheduled", where_to.as_str());
    if !step(&shared, &key, &uid, event, podstatus::scheduled) {
        return;
    }
    tokio::time::sleep(STEP).await;
    if let Start::Evicted { message } = &start {
        let change = |pod: &mut Value| podstatus::failed(pod, "Evicted", message);
        step(&shared, &key, &uid, ("Warning", "Evicted", message), change);
        return;
    }
    let change = |pod: &mut Value| podstatus::waiting(pod, "ContainerCreating", "");
    if !step(&shared, &key, &uid, ("Normal", "Pulling", "Pulling image"), change) {
        return;
    }
    let wait = if let Start::RunsAfter(wait) = start { wait } else { STEP };
    tokio::time::sleep(wait).await;
    match start {
        Start::ImageError { reason, message } => {
            let change = |pod: &mut Value| podstatus::waiting(pod, &reason, &message);
            let there = step(&shared, &key, &uid, ("Warning", "Failed", &message), change);
            if there && reason == "ErrImagePull" {
                tokio::time::sleep(STEP * 5).await;
                back_off(&shared, &key, &uid, &message);
            }
        }
        Start::ConfigError { message } => {
            let reason = "CreateContainerConfigError";
            let change = |pod: &mut Value| podstatus::waiting(pod, reason, &message);
            step(&shared, &key, &uid, ("Warning", "Failed", &message), change);
        }
        Start::CrashesAtOnce(code) => crash(&shared, &key, &uid, code),
        _ => run(&shared, key, uid).await,
    }
}

fn back_off(shared: &Shared, key: &Key, uid: &str, message: &str) {
    let change = |pod: &mut Value| {
        let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {message}");
        podstatus::waiting(pod, "ImagePullBackOff", &message);
    };
    step(shared, key, uid, ("Normal", "BackOff", "Back-off pulling image"), change);
}

fn crash(shared: &Shared, key: &Key, uid: &str, code: i32) {
    let change = |pod: &mut Value| {
        let reason = if code == 0 { "Completed" } else { "Error" };
        podstatus::running(pod);
        podstatus::terminated(pod, reason, code);
        if pod["status"]["phase"] != json!("Running") {
            return;
        }
        // It is to be started again, which the node does later and later.
        let name = podstatus::names(pod).first().cloned().unwrap_or_default();
        let last = pod["status"]["containerStatuses"][0]["lastState"].clone();
        let message = format!("back-off 10s restarting failed container={name} pod={}", key.name);
        podstatus::waiting(pod, "CrashLoopBackOff", &message);
        for status in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
            status["lastState"] = last.clone();
            status["restartCount"] = json!(1);
        }
    };
    step(shared, key, uid, ("Normal", "Started", "Started container"), change);
}

async fn run(shared: &Arc<Shared>, key: Key, uid: String) {
    let deadline = {
        let mut state = shared.state();
        let Some(pod) = state.objects.get(&key).cloned() else { return };
        if pod["metadata"]["uid"] != json!(uid) || !pod["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let folder = shared.folder.join(&uid);
        jail::prepare(&folder, &pod).expect("a pod's folders");
        let (processes, lost) = (BTreeSet::new(), CancellationToken::new());
        state.cells.insert(uid.clone(), Cell { folder, runs: true, processes, lost });
        state.update(&key, &uid, podstatus::running);
        state.event(&pod, "Normal", "Started", "Started container");
        pod["spec"]["activeDeadlineSeconds"].as_u64()
    };
    if let Some(seconds) = deadline {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let shared = Arc::clone(shared);
        let work = move || end::end(&shared, &key, Some(&uid), &PodEnd::DeadlineExceeded);
        let _ = tokio::task::spawn_blocking(work).await;
    }
}

/// One change of the pod and the event that tells of it; false when the pod is gone.
fn step(
    shared: &Shared,
    key: &Key,
    uid: &str,
    (kind, reason, message): (&str, &str, &str),
    change: impl FnOnce(&mut Value),
) -> bool {
    let mut state = shared.state();
    let there = state.update(key, uid, change);
    if there {
        let pod = state.objects[&Key { resource: Resource::Pods, ..key.clone() }].clone();
        state.event(&pod, kind, reason, message);
    }
    there
}
