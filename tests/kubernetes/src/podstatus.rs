//! A pod's status, as the nodes of a real cluster write it.

use crate::state::now;
use serde_json::{Value, json};

/// The only node there is.
pub(crate) const NODE: &str = "scripted-node";

/// What every image turns out to be.
pub(crate) const IMAGE_ID: &str = "example.test/image@sha256:\
    0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Sets a condition, whose time changes only with it.
pub(crate) fn condition(pod: &mut Value, kind: &str, holds: bool, reason: &str, message: &str) {
    let status = if holds { "True" } else { "False" };
    let mut condition = json!({ "type": kind, "status": status, "lastProbeTime": null,
        "lastTransitionTime": now() });
    if !reason.is_empty() {
        condition["reason"] = json!(reason);
    }
    if !message.is_empty() {
        condition["message"] = json!(message);
    }
    let conditions = &mut pod["status"]["conditions"];
    if conditions.is_null() {
        *conditions = json!([]);
    }
    if let Some(conditions) = conditions.as_array_mut() {
        conditions.retain(|known| known["type"] != json!(kind));
        conditions.push(condition);
    }
}

/// The pod got its node.
pub(crate) fn scheduled(pod: &mut Value) {
    pod["spec"]["nodeName"] = json!(NODE);
    condition(pod, "PodScheduled", true, "", "");
}

/// Its node knows of it, and its containers wait for what this says.
pub(crate) fn waiting(pod: &mut Value, reason: &str, message: &str) {
    let mut why = json!({ "reason": reason });
    if !message.is_empty() {
        why["message"] = json!(message);
    }
    let names = names(pod);
    let unready = format!("containers with unready status: [{}]", names.join(" "));
    pod["status"]["hostIP"] = json!("192.0.2.10");
    if pod["status"]["startTime"].is_null() {
        pod["status"]["startTime"] = json!(now());
    }
    condition(pod, "Initialized", true, "", "");
    condition(pod, "Ready", false, "ContainersNotReady", &unready);
    condition(pod, "ContainersReady", false, "ContainersNotReady", &unready);
    containers(pod, |_| json!({ "waiting": why }), false);
}

/// All its containers run.
pub(crate) fn running(pod: &mut Value) {
    pod["status"]["phase"] = json!("Running");
    pod["status"]["podIP"] = json!("192.0.2.77");
    pod["status"]["podIPs"] = json!([{ "ip": "192.0.2.77" }]);
    condition(pod, "PodReadyToStartContainers", true, "", "");
    condition(pod, "Ready", true, "", "");
    condition(pod, "ContainersReady", true, "", "");
    containers(pod, |_| json!({ "running": { "startedAt": now() } }), true);
}

/// The containers' processes ended: the pod as well, or they are started once more, as its
/// restart policy says.
pub(crate) fn terminated(pod: &mut Value, reason: &str, code: i32) {
    let ended = || {
        json!({ "terminated": {
            "exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now(),
            "containerID": container_id(),
        }})
    };
    let policy = pod["spec"]["restartPolicy"].as_str().unwrap_or("Always");
    if policy == "Never" || (policy == "OnFailure" && code == 0) {
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let why = if code == 0 { "PodCompleted" } else { "PodFailed" };
        pod["status"]["phase"] = json!(phase);
        condition(pod, "Ready", false, why, "");
        condition(pod, "ContainersReady", false, why, "");
        containers(pod, |_| ended(), false);
        return;
    }
    let last = ended();
    let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0) + 1;
    containers(pod, |_| json!({ "running": { "startedAt": now() } }), true);
    for status in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
        status["lastState"] = last.clone();
        status["restartCount"] = json!(restarts);
    }
}

/// The pod as a whole failed for a reason of its own; its containers were killed.
pub(crate) fn failed(pod: &mut Value, reason: &str, message: &str) {
    let started = !pod["status"]["containerStatuses"].is_null();
    pod["status"]["phase"] = json!("Failed");
    pod["status"]["reason"] = json!(reason);
    pod["status"]["message"] = json!(message);
    if pod["status"]["startTime"].is_null() {
        pod["status"]["startTime"] = json!(now());
    }
    condition(pod, "Ready", false, "PodFailed", "");
    condition(pod, "ContainersReady", false, "PodFailed", "");
    if started {
        let ended = json!({ "terminated": {
            "exitCode": 137, "reason": "Error", "startedAt": now(), "finishedAt": now(),
            "containerID": container_id(),
        }});
        containers(pod, |_| ended.clone(), false);
    }
}

/// Names of the containers that live as long as the pod.
pub(crate) fn names(pod: &Value) -> Vec<String> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers.filter_map(|container| container["name"].as_str()).map(str::to_owned).collect()
}

fn containers(pod: &mut Value, state: impl Fn(&Value) -> Value, runs: bool) {
    let spec = pod["spec"].clone();
    let statuses = |field: &str, state: &dyn Fn(&Value) -> Value, ready: bool, known: bool| {
        let containers = spec[field].as_array().into_iter().flatten();
        let statuses = containers.map(|container| {
            let state = state(container);
            let (image, id) = match known {
                true => (IMAGE_ID, container_id()),
                false => ("", String::new()),
            };
            let mut status = json!({
                "name": container["name"], "image": container["image"], "imageID": image,
                "state": state, "lastState": {}, "ready": ready, "started": runs,
                "restartCount": 0,
            });
            if known {
                status["containerID"] = json!(id);
            }
            status
        });
        Value::Array(statuses.collect())
    };
    let was_pulled = pod["status"]["containerStatuses"][0]["imageID"] == json!(IMAGE_ID);
    let known = runs || was_pulled;
    pod["status"]["containerStatuses"] = statuses("containers", &state, runs, known);
    if spec["initContainers"].as_array().is_some_and(|containers| !containers.is_empty()) {
        let done = |_: &Value| {
            json!({ "terminated": {
                "exitCode": 0, "reason": "Completed", "startedAt": now(), "finishedAt": now(),
                "containerID": container_id(),
            }})
        };
        pod["status"]["initContainerStatuses"] = statuses("initContainers", &done, true, true);
    }
}

fn container_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("containerd://{id}{id}")
}
