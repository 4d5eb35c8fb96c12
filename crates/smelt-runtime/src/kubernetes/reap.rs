//! Finding and removing what runs have made, by its labels.

use super::config::Cluster;
use super::error::{Ask, answered, explain, status};
use super::events::Events;
use super::labels::{RUN, selector};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Preconditions};
use smelt_core::id::{OwnerId, RunId};
use smelt_core::port::{Orphan, SandboxError};
use std::time::Duration;

/// How long a pod may take to go.
const DEADLINE: Duration = Duration::from_secs(30);

/// The group and name of policies, as a Role has them.
pub(super) const POLICIES: &str = "networkpolicies.networking.k8s.io";

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pod,
    Policy,
}

/// Something of a run's.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: Option<String>,
    pub(super) run: Option<RunId>,
    /// It is a pod that runs.
    pub(super) running: bool,
}

/// Looks for what belongs to `owner`, or to one run of its, in `namespace` or in all of them. Where
/// policies can't be listed none were made.
pub(super) async fn find(
    cluster: &Cluster,
    namespace: Option<&str>,
    owner: &OwnerId,
    run: Option<&RunId>,
) -> Result<Vec<Found>, kube::Error> {
    let params = ListParams::default().labels(&selector(owner, run));
    let (pods, policies): (Api<Pod>, Api<NetworkPolicy>) = match namespace {
        Some(name) => (
            Api::namespaced(cluster.client.clone(), name),
            Api::namespaced(cluster.client.clone(), name),
        ),
        None => (Api::all(cluster.client.clone()), Api::all(cluster.client.clone())),
    };
    let (pods, policies) =
        tokio::join!(answered(pods.list(&params)), answered(policies.list(&params)));
    let mut found: Vec<_> = pods?
        .items
        .into_iter()
        .map(|pod| {
            let running = super::state::of(&pod).running;
            Found { running, ..of(Kind::Pod, pod.metadata) }
        })
        .collect();
    match policies {
        Ok(policies) => {
            let policies = policies.items.into_iter();
            found.extend(policies.map(|policy| of(Kind::Policy, policy.metadata)));
        }
        Err(error) if matches!(status(&error), Some(403 | 404)) => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn of(kind: Kind, metadata: ObjectMeta) -> Found {
    let run = metadata.labels.as_ref().and_then(|labels| labels.get(RUN)?.parse().ok());
    Found {
        kind,
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid,
        run,
        running: false,
    }
}

/// Why nothing could be looked for.
pub(super) fn not_listed(namespace: Option<&str>, error: kube::Error) -> SandboxError {
    let ask = Ask { verb: "list", resource: "pods", namespace };
    explain("looking for what runs have left in the cluster", ask, error)
}

/// One entry for each run, with all that it has.
pub(super) fn by_run(found: &[Found]) -> Vec<Orphan> {
    let mut orphans: Vec<Orphan> = Vec::new();
    for found in found {
        let Some(run) = &found.run else { continue };
        let what = match found.kind {
            Kind::Pod => format!("pod {}/{}", found.namespace, found.name),
            Kind::Policy => format!("network policy {}/{}", found.namespace, found.name),
        };
        match orphans.iter_mut().find(|orphan| &orphan.run == run) {
            Some(orphan) => orphan.what = format!("{}, {what}", orphan.what),
            None => orphans.push(Orphan { run: run.clone(), what }),
        }
    }
    orphans
}

/// Removes it; a pod is gone when this returns.
pub(super) async fn remove(cluster: &Cluster, found: &Found) -> Result<(), SandboxError> {
    let Found { kind, namespace, name, uid, .. } = found;
    match kind {
        Kind::Policy => delete_policy(cluster, namespace, name).await,
        Kind::Pod => {
            let events = Events::watch(cluster, namespace, name, uid.clone());
            delete_pod(cluster, namespace, name, uid.as_deref()).await?;
            in_time(events.deleted()).await
        }
    }
}

/// Waits until a pod is deleted, for as long as that may take.
pub(super) async fn in_time(deleted: impl Future<Output = ()>) -> Result<(), SandboxError> {
    let waited = tokio::time::timeout(DEADLINE, deleted).await;
    waited.map_err(|_| {
        let why = format!("it is still there after {} seconds", DEADLINE.as_secs());
        SandboxError::failed("deleting the pod", why)
    })
}

/// Has the pod deleted at once: it is the one with the id `uid`, where that is known. What is not there is
/// as good as deleted.
pub(super) async fn delete_pod(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    uid: Option<&str>,
) -> Result<(), SandboxError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let mut params = DeleteParams::default().grace_period(0);
    params.preconditions =
        uid.map(|uid| Preconditions { uid: Some(uid.to_owned()), resource_version: None });
    match answered(pods.delete(name, &params)).await {
        Ok(_) => Ok(()),
        // Another one has its name now.
        Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(()),
        Err(error) => Err(explain("deleting the pod", Ask::of("delete", "pods", namespace), error)),
    }
}

/// Deletes the policy. Where that is not allowed, none could be made either.
pub(super) async fn delete_policy(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<(), SandboxError> {
    let policies: Api<NetworkPolicy> = Api::namespaced(cluster.client.clone(), namespace);
    match answered(policies.delete(name, &DeleteParams::default())).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(status(&error), Some(403 | 404)) => Ok(()),
        Err(error) => {
            let ask = Ask::of("delete", POLICIES, namespace);
            Err(explain("deleting the network policy", ask, error))
        }
    }
}
