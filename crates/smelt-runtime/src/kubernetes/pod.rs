//! The pod of a run, as the cluster is asked for it.
//!
//! A bare pod that is never started anew, and no Job. A Job would replace a pod that was evicted by one
//! without its workspace, and call that the same run; whether a run is tried again is Smelt's to decide,
//! as with every runtime. A deadline and labels are a pod's too. And a Role that allows pods and
//! `pods/exec` is enough.

use super::error::unsupported;
use super::labels::{annotations_of, labels_of, name_of};
use super::user::User;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use smelt_core::manifest::{Cpu, ImageSource, PullPolicy, Size};
use smelt_core::port::{SandboxError, SandboxSpec};
use std::collections::BTreeMap;

/// Folder of everything that is Smelt's.
pub(super) const ROOT: &str = "/smelt";

/// Home of the agent.
pub(super) const HOME: &str = "/home/smelt";

/// Name of the one container.
pub(super) const CONTAINER: &str = "sandbox";

/// Waits for ever for input that never comes. A shell and not `cat` alone: it buries what agents leave
/// behind, and as the first process of all it can't be ended from inside.
const WAIT: &str = "while :; do cat; sleep 1; done";

/// The pod for `spec`; it keeps to the Pod Security standard "restricted".
pub(super) fn pod(spec: &SandboxSpec, user: User) -> Result<api::Pod, SandboxError> {
    let wishes = spec.kubernetes.as_ref();
    let secrets = wishes.map(|wishes| &wishes.image_pull_secrets[..]).unwrap_or_default();
    let selector = wishes.map(|wishes| wishes.node_selector.clone()).unwrap_or_default();
    let volumes = ["smelt", "home", "tmp"].map(|name| api::Volume {
        name: name.into(),
        empty_dir: Some(api::EmptyDirVolumeSource::default()),
        ..api::Volume::default()
    });
    Ok(api::Pod {
        metadata: ObjectMeta {
            name: Some(name_of(&spec.labels.run)),
            namespace: spec.kubernetes.as_ref().map(|wishes| wishes.namespace.clone()),
            labels: Some(labels_of(&spec.labels)),
            annotations: annotations_of(&spec.labels),
            ..ObjectMeta::default()
        },
        spec: Some(api::PodSpec {
            restart_policy: Some("Never".into()),
            // Nobody cleans up after a Smelt that never comes back but the cluster.
            active_deadline_seconds: Some(
                i64::try_from(spec.lifetime.as_secs()).unwrap_or(i64::MAX),
            ),
            termination_grace_period_seconds: Some(0),
            service_account_name: wishes.and_then(|wishes| wishes.service_account.clone()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            node_selector: (!selector.is_empty()).then_some(selector),
            image_pull_secrets: (!secrets.is_empty())
                .then(|| secrets.iter().map(|name| login(name)).collect()),
            security_context: Some(pod_security(user)),
            containers: vec![container(spec)?],
            volumes: Some(volumes.into()),
            ..api::PodSpec::default()
        }),
        status: None,
    })
}

fn login(name: &str) -> api::LocalObjectReference {
    api::LocalObjectReference { name: name.to_owned() }
}

fn container(spec: &SandboxSpec) -> Result<api::Container, SandboxError> {
    let image = match &spec.environment.image {
        Some(ImageSource::Image(image)) => image.clone(),
        Some(ImageSource::Build { .. }) => {
            return Err(unsupported(
                "building an image: build it elsewhere, push it to a registry that the cluster pulls \
                 from, and name it as `environment.image`",
            ));
        }
        None => return Err(unsupported("a pod without an image: name one as `environment.image`")),
    };
    let pull = match spec.environment.pull {
        PullPolicy::Missing => "IfNotPresent",
        PullPolicy::Always => "Always",
        PullPolicy::Never => "Never",
    };
    let mounts =
        [("smelt", ROOT), ("home", HOME), ("tmp", "/tmp")].map(|(name, path)| api::VolumeMount {
            name: name.into(),
            mount_path: path.into(),
            ..api::VolumeMount::default()
        });
    Ok(api::Container {
        name: CONTAINER.into(),
        image: Some(image),
        image_pull_policy: Some(pull.into()),
        command: Some(["sh", "-c", WAIT].map(String::from).into()),
        stdin: Some(true),
        working_dir: Some("/".into()),
        resources: Some(resources(spec)),
        security_context: Some(api::SecurityContext {
            allow_privilege_escalation: Some(false),
            privileged: Some(false),
            capabilities: Some(api::Capabilities { add: None, drop: Some(vec!["ALL".into()]) }),
            ..api::SecurityContext::default()
        }),
        volume_mounts: Some(mounts.into()),
        ..api::Container::default()
    })
}

fn pod_security(user: User) -> api::PodSecurityContext {
    api::PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user.uid),
        run_as_group: Some(user.gid),
        // The volumes are theirs to write.
        fs_group: Some(user.gid),
        seccomp_profile: Some(api::SeccompProfile {
            type_: "RuntimeDefault".into(),
            localhost_profile: None,
        }),
        ..api::PodSecurityContext::default()
    }
}

/// What is reserved and what there is at most. What `[kubernetes]` does not say is as in
/// `environment.resources`; a limit below what is reserved would be refused.
fn resources(spec: &SandboxSpec) -> api::ResourceRequirements {
    let wishes = spec.kubernetes.as_ref();
    let own = &spec.environment.resources;
    let (cpu_request, cpu_limit) = between(
        wishes.and_then(|wishes| wishes.cpu_request).map(Cpu::millis),
        wishes.and_then(|wishes| wishes.cpu_limit).map(Cpu::millis),
        own.cpu.millis(),
    );
    let (memory_request, memory_limit) = between(
        wishes.and_then(|wishes| wishes.memory_request).map(Size::bytes),
        wishes.and_then(|wishes| wishes.memory_limit).map(Size::bytes),
        own.memory.bytes(),
    );
    let quantities = |cpu: u32, memory: u64, disk: Option<Size>| {
        let cpu = match cpu % 1000 {
            0 => (cpu / 1000).to_string(),
            _ => format!("{cpu}m"),
        };
        let mut quantities = vec![("cpu", cpu), ("memory", memory.to_string())];
        quantities.extend(disk.map(|disk| ("ephemeral-storage", disk.bytes().to_string())));
        let named = quantities.into_iter().map(|(name, text)| (name.to_owned(), Quantity(text)));
        named.collect::<BTreeMap<_, _>>()
    };
    api::ResourceRequirements {
        requests: Some(quantities(cpu_request, memory_request, None)),
        limits: Some(quantities(cpu_limit, memory_limit, own.disk)),
        claims: None,
    }
}

/// Request and limit, of which either may have been said.
fn between<T: Ord + Copy>(request: Option<T>, limit: Option<T>, usual: T) -> (T, T) {
    let limit = limit.unwrap_or(usual.max(request.unwrap_or(usual)));
    (request.unwrap_or(usual.min(limit)), limit)
}

#[cfg(test)]
#[path = "pod_tests.rs"]
mod tests;
