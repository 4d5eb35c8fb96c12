//! What a pod's status means.

use super::pod::CONTAINER;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition, PodStatus};
use smelt_core::text::clean_inline;

/// How a pod is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Its container runs.
    pub(super) running: bool,
    /// What it waits for, for people.
    pub(super) waiting: Option<String>,
    /// No node has room for it.
    pub(super) unscheduled: bool,
    /// Why its image could not be pulled.
    pub(super) pull_error: Option<String>,
    /// Why it will never run.
    pub(super) hopeless: Option<String>,
    /// Why it does not run any more.
    pub(super) over: Option<String>,
    /// It ended because its memory was used up.
    pub(super) out_of_memory: bool,
    /// Its image by its digest.
    pub(super) image: Option<String>,
}

/// Why a container waits that waits for ever.
const HOPELESS: [&str; 10] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "SignatureValidationFailed",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
    "CrashLoopBackOff",
];

/// What the status of `pod` says.
pub(super) fn of(pod: &Pod) -> State {
    let empty = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    let all = status.container_statuses.iter().flatten();
    let container = all.clone().find(|container| container.name == CONTAINER);
    let state = container.and_then(|container| container.state.as_ref());
    let mut found = State { image: container.and_then(image), ..State::default() };
    let ended = state.is_some_and(|state| state.terminated.is_some());
    if ended || matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) || is_lost(status) {
        found.out_of_memory = reason_of_end(state) == Some("OOMKilled");
        found.over = Some(why_over(status, state));
    } else if state.is_some_and(|state| state.running.is_some()) {
        found.running = true;
    } else {
        look_at_waiting(status, state, &mut found);
    }
    found
}

fn look_at_waiting(status: &PodStatus, state: Option<&ContainerState>, found: &mut State) {
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or_default();
    let message = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
    if HOPELESS.contains(&reason) {
        found.hopeless = Some(said(reason, message));
        return;
    }
    found.waiting = Some(match (condition(status, "PodScheduled"), reason) {
        (Some(scheduled), _) if scheduled.status == "False" => {
            found.unscheduled = true;
            let why = scheduled.message.as_deref().or(scheduled.reason.as_deref());
            said("waiting for a node", why.unwrap_or_default())
        }
        (_, "ErrImagePull") => {
            found.pull_error = Some(clean_inline(message).into_owned());
            said("the image could not be pulled, it is tried again", message)
        }
        (Some(_), "" | "ContainerCreating" | "PodInitializing") => "pulling the image".to_owned(),
        (Some(_), reason) => said(reason, message),
        (None, _) => {
            found.unscheduled = true;
            "waiting for a node".to_owned()
        }
    });
}

/// Why a pod does not run any more.
fn why_over(status: &PodStatus, state: Option<&ContainerState>) -> String {
    let message = status.message.as_deref().unwrap_or_default();
    let disruption = condition(status, "DisruptionTarget").filter(|found| found.status == "True");
    let disrupted = disruption.and_then(|found| found.reason.as_deref());
    match (reason_of_end(state), status.reason.as_deref(), disrupted) {
        (Some("OOMKilled"), ..) => {
            "its pod ran out of memory (`environment.resources.memory`)".to_owned()
        }
        (_, Some("DeadlineExceeded"), _) => "its pod's time was up".to_owned(),
        (_, Some("NodeLost" | "NodeShutdown" | "Terminated"), _)
        | (_, _, Some("DeletionByPodGC" | "DeletionByTaintManager")) => {
            "its node was lost".to_owned()
        }
        (_, Some("Evicted"), _) => said("its pod was evicted", message),
        (_, _, Some(reason)) => {
            let told = disruption.and_then(|found| found.message.as_deref()).unwrap_or(reason);
            said("its pod was evicted", told)
        }
        (_, Some(reason), _) => said(&format!("its pod ended ({reason})"), message),
        (reason, None, None) => {
            let ended = state.and_then(|state| state.terminated.as_ref());
            let code = ended.map(|ended| format!("exit code {}", ended.exit_code));
            let told = ended.and_then(|ended| ended.message.as_deref()).unwrap_or_default();
            let how: Vec<_> = [code.as_deref(), reason].into_iter().flatten().collect();
            said(&format!("its pod ended ({})", how.join(", ")), told)
        }
    }
}

fn reason_of_end(state: Option<&ContainerState>) -> Option<&str> {
    state?.terminated.as_ref()?.reason.as_deref()
}

fn is_lost(status: &PodStatus) -> bool {
    status.reason.as_deref() == Some("NodeLost")
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// The image that was pulled; some runtimes write what they would pull it by in front.
fn image(container: &ContainerStatus) -> Option<String> {
    let id = container.image_id.as_str();
    let id = id.split_once("://").map_or(id, |(_, id)| id);
    id.contains("sha256:").then(|| id.to_owned())
}

fn said(what: &str, more: &str) -> String {
    match more.trim() {
        "" => what.to_owned(),
        more => format!("{what}: {}", clean_inline(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn state(status: Value) -> State {
        of(&serde_json::from_value(json!({ "metadata": {}, "status": status })).unwrap())
    }

    fn container(state: Value) -> Value {
        json!([{ "name": "sandbox", "image": "a", "imageID": "docker-pullable://a@sha256:cafe",
                 "ready": false, "restartCount": 0, "state": state }])
    }

    #[test]
    fn what_a_pod_waits_for_is_told() {
        let scheduled = json!([{ "type": "PodScheduled", "status": "True" }]);
        let waiting = |reason: &str, message: &str| {
            let state = json!({ "waiting": { "reason": reason, "message": message } });
            state_with(&scheduled, state)
        };
        fn state_with(conditions: &Value, container_state: Value) -> State {
            let statuses = container(container_state);
            state(
                json!({ "phase": "Pending", "conditions": conditions, "containerStatuses": statuses }),
            )
        }
        let told = |state: State| state.waiting.unwrap();
        assert_eq!(told(state(json!({ "phase": "Pending" }))), "waiting for a node");
        let full = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                            "message": "0/3 nodes are available" }]);
        let found = state(json!({ "phase": "Pending", "conditions": full }));
        assert!(found.unscheduled);
        assert_eq!(told(found), "waiting for a node: 0/3 nodes are available");
        assert_eq!(told(waiting("ContainerCreating", "")), "pulling the image");
        let error = waiting("ErrImagePull", "not found");
        assert_eq!(told(error), "the image could not be pulled, it is tried again: not found");
        let back_off = waiting("ImagePullBackOff", "Back-off pulling image \"a\"");
        let hopeless = "ImagePullBackOff: Back-off pulling image \"a\"";
        assert_eq!(back_off.hopeless.as_deref(), Some(hopeless));
        let running = state_with(&scheduled, json!({ "running": {} }));
        assert!(running.running);
        assert_eq!(running.image.as_deref(), Some("a@sha256:cafe"));
    }

    #[test]
    fn why_a_pod_is_over_is_told() {
        let over = |status: Value| state(status).over.unwrap();
        let killed = container(json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }));
        let found = state(json!({ "phase": "Failed", "containerStatuses": killed }));
        assert!(found.out_of_memory);
        assert!(found.over.unwrap().starts_with("its pod ran out of memory"));
        let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "low on disk" });
        assert_eq!(over(evicted), "its pod was evicted: low on disk");
        let lost =
            json!([{ "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC" }]);
        assert_eq!(over(json!({ "phase": "Failed", "conditions": lost })), "its node was lost");
        assert_eq!(over(json!({ "phase": "Running", "reason": "NodeLost" })), "its node was lost");
        let ended = container(json!({ "terminated": { "exitCode": 3, "reason": "Error" } }));
        let told = over(json!({ "phase": "Failed", "containerStatuses": ended }));
        assert_eq!(told, "its pod ended (exit code 3, Error)");
    }
}
