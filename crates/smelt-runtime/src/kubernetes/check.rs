//! Whether the cluster can be used: the kubeconfig, the way there, each right that is needed.

use super::config::{Cluster, KubernetesConfig};
use super::error::{Ask, answered, explain, may_not};
use super::reap::POLICIES;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use smelt_core::port::{Check, CheckState, Readiness, SandboxError};
use std::time::Duration;

/// A Role that is enough for Smelt, with its binding.
pub const ROLE: &str = include_str!("role.yaml");

/// How long the cluster may take for each answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// Resource, group and verb of each right.
const RIGHTS: [(&str, &str, &str); 10] = [
    ("pods", "", "create"),
    ("pods", "", "get"),
    ("pods", "", "list"),
    ("pods", "", "watch"),
    ("pods", "", "delete"),
    ("pods/exec", "", "create"),
    ("pods/exec", "", "get"),
    ("networkpolicies", "networking.k8s.io", "create"),
    ("networkpolicies", "networking.k8s.io", "delete"),
    ("networkpolicies", "networking.k8s.io", "list"),
];

/// Looks at everything, as far as one thing leads to the next.
pub(super) async fn readiness(config: &KubernetesConfig) -> Readiness {
    let mut checks = look(config).await;
    checks.push(good("Role", format!("this one is enough:\n{}", ROLE.trim_end())));
    Readiness { checks }
}

async fn look(config: &KubernetesConfig) -> Vec<Check> {
    let mut checks = Vec::new();
    // Where a run would have its pod, where that is known.
    let (context, namespace) = match config.places.first() {
        Some((context, namespace)) => (context.as_deref(), Some(namespace)),
        None => (None, None),
    };
    let cluster = match config.connect(context).await {
        Ok(cluster) => {
            Cluster { namespace: namespace.unwrap_or(&cluster.namespace).clone(), ..cluster }
        }
        Err(error) => {
            checks.push(broken("kubeconfig", error));
            return checks;
        }
    };
    let found = match config.files() {
        files if files.is_empty() => format!("context {}", cluster.context),
        files => format!("context {} of {files}", cluster.context),
    };
    checks.push(good("kubeconfig", found));
    match version(&cluster).await {
        Ok(version) => checks.push(good("cluster", version)),
        Err(error) => {
            checks.push(broken("cluster", error));
            return checks;
        }
    }
    checks.extend(rights(&cluster).await);
    checks
}

async fn version(cluster: &Cluster) -> Result<String, SandboxError> {
    let asked = tokio::time::timeout(DEADLINE, cluster.client.apiserver_version()).await;
    let late = |_| {
        let why = format!("{} does not answer in time", cluster.url);
        super::error::unavailable(why, "see whether `kubectl version` works with the same context")
    };
    let ask = Ask { verb: "get", resource: "/version", namespace: None };
    let version = asked
        .map_err(late)?
        .map_err(|error| explain(&format!("asking {}", cluster.url), ask, error))?;
    Ok(format!("Kubernetes {} at {}", version.git_version, cluster.url))
}

/// A check for each right that is missing, or one for all.
async fn rights(cluster: &Cluster) -> Vec<Check> {
    let namespace = &cluster.namespace;
    let name = format!("rights in namespace {namespace}");
    let mut asked = futures::future::join_all(RIGHTS.map(|right| may(cluster, right))).await;
    let unknown = asked.iter().position(Result::is_err).map(|at| asked.swap_remove(at));
    if let Some(Err(error)) = unknown {
        let found = format!("could not be asked for: {error}");
        return vec![Check { name, state: CheckState::Lacking, found, fix: None }];
    }
    let mut missing = Vec::new();
    for ((resource, group, verb), may) in RIGHTS.into_iter().zip(asked) {
        if may.unwrap_or(true) {
            continue;
        }
        // Without policies there are pods all the same.
        let state = if group.is_empty() { CheckState::Missing } else { CheckState::Lacking };
        let fix = "have somebody who may apply the Role below".to_owned();
        let resource = if group.is_empty() { resource } else { POLICIES };
        let found = may_not(Ask::of(verb, resource, namespace));
        missing.push(Check { name: name.clone(), state, found, fix: Some(fix) });
    }
    match missing.is_empty() {
        true => vec![good(&name, "all that are needed".to_owned())],
        false => missing,
    }
}

async fn may(
    cluster: &Cluster,
    (resource, group, verb): (&str, &str, &str),
) -> Result<bool, kube::Error> {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(group.to_owned()),
                namespace: Some(cluster.namespace.clone()),
                resource: Some(resource.to_owned()),
                subresource,
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let answer = answered(reviews.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

fn good(name: &str, found: String) -> Check {
    Check { name: name.to_owned(), state: CheckState::Good, found, fix: None }
}

fn broken(name: &str, error: SandboxError) -> Check {
    let (found, fix) = match error {
        SandboxError::Unavailable { message, hint } => (message, hint),
        other => (other.to_string(), None),
    };
    Check { name: name.to_owned(), state: CheckState::Missing, found, fix }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::rbac::v1::Role;

    #[test]
    fn the_role_allows_what_is_needed_and_no_more() {
        let (role, _) = ROLE.split_once("---\n").unwrap();
        let role: Role = serde_saphyr::from_str(role).unwrap();
        let mut allowed = Vec::new();
        for rule in role.rules.iter().flatten() {
            let groups = rule.api_groups.as_deref().unwrap_or_default();
            for resource in rule.resources.iter().flatten() {
                allowed.extend(
                    rule.verbs
                        .iter()
                        .map(|verb| (resource.as_str(), groups.join(","), verb.as_str())),
                );
            }
        }
        let mut needed = RIGHTS.map(|(resource, group, verb)| (resource, group.to_owned(), verb));
        needed.sort();
        allowed.sort();
        assert_eq!(allowed, needed);
    }
}
