//! A run's pod and policy as people write them.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;

/// Both, as `kubectl apply` would take them.
pub(super) fn text(pod: &Pod, policy: &NetworkPolicy) -> String {
    // As values, their keys are in order.
    let documents = [serde_json::to_value(policy), serde_json::to_value(pod)];
    let texts = documents.into_iter().map(|document| {
        let document = document.unwrap_or_default();
        serde_saphyr::to_string(&document).unwrap_or_else(|_| document.to_string())
    });
    texts.collect::<Vec<_>>().join("---\n")
}
