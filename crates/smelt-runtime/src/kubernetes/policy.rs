//! The network policy of a run's pod: nobody calls it, and it calls nobody inside the cluster.

use super::labels::{OWNER, RUN, annotations_of, labels_of, name_of};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use smelt_core::manifest::Network;
use smelt_core::port::SandboxSpec;

/// Where no sandbox goes: private, shared and link-local networks (with the clouds' metadata addresses),
/// those for measuring, and all that are no host's own (many, reserved, broadcast). RFC 1918, 6598, 3927,
/// 2544, 1112. Azure's machines ask a public address for their secrets.
const CLOSED: [&str; 8] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
];

/// The policy for the pod of `spec`.
pub(super) fn policy(spec: &SandboxSpec) -> NetworkPolicy {
    let mut own = labels_of(&spec.labels);
    own.retain(|name, _| [OWNER, RUN].contains(&name.as_str()));
    let egress = match spec.environment.network {
        Network::None => Vec::new(),
        Network::Default => vec![names(), public()],
    };
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(name_of(&spec.labels.run)),
            namespace: spec.kubernetes.as_ref().map(|wishes| wishes.namespace.clone()),
            labels: Some(labels_of(&spec.labels)),
            annotations: annotations_of(&spec.labels),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(own), match_expressions: None }),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: None,
            egress: (!egress.is_empty()).then_some(egress),
        }),
    }
}

/// Names are looked up wherever the cluster's resolver is.
fn names() -> NetworkPolicyEgressRule {
    let ports = ["UDP", "TCP"].map(|protocol| NetworkPolicyPort {
        port: Some(IntOrString::Int(53)),
        protocol: Some(protocol.into()),
        end_port: None,
    });
    NetworkPolicyEgressRule { ports: Some(ports.into()), to: None }
}

fn public() -> NetworkPolicyEgressRule {
    let block = IPBlock { cidr: "0.0.0.0/0".into(), except: Some(CLOSED.map(String::from).into()) };
    let peer = NetworkPolicyPeer { ip_block: Some(block), ..NetworkPolicyPeer::default() };
    NetworkPolicyEgressRule { to: Some(vec![peer]), ports: None }
}
