//! The way to a cluster, and who may do what there.

use crate::cluster::{config, runtime, scripted};
use smelt_core::id::OwnerId;
use smelt_core::port::{CheckState, Discard, Runtime, SandboxError};
use smelt_runtime::kubernetes::KubernetesConfig;
use smelt_testing_kubernetes::Fault;

#[tokio::test]
async fn without_a_kubeconfig_there_is_nothing_left_anywhere() {
    let runtime = runtime(KubernetesConfig::default());
    assert_eq!(runtime.list(&OwnerId::random()).await.unwrap(), []);
    let readiness = runtime.check().await;
    assert_eq!(readiness.missing().unwrap().found, "there is no kubeconfig");
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_said_to_be_out_of_reach() {
    let (cluster, subject) = scripted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    std::fs::write(&path, text.replace(cluster.url(), "http://127.0.0.1:1")).unwrap();
    let runtime = runtime(KubernetesConfig { kubeconfig: vec![path], ..config(&cluster) });
    let refused = runtime.provision(&subject.spec(""), &mut Discard).await.err().unwrap();
    let SandboxError::Unavailable { message, hint } = refused else { panic!("{refused}") };
    assert!(message.contains("can't be reached"), "{message}");
    assert!(hint.unwrap().contains("kubectl version"));
    assert!(runtime.list(&subject.owner).await.is_err());
    let readiness = runtime.check().await;
    assert_eq!(readiness.missing().unwrap().name, "cluster");
}

#[tokio::test]
async fn wrong_credentials_are_said_to_be_wrong() {
    let (cluster, subject) = scripted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let text: Vec<_> = text
        .lines()
        .map(|line| if line.contains("token:") { "    token: wrong" } else { line })
        .collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    let runtime = runtime(KubernetesConfig { kubeconfig: vec![path], ..config(&cluster) });
    let refused = runtime.provision(&subject.spec(""), &mut Discard).await.err().unwrap();
    assert!(refused.to_string().contains("does not know these credentials"), "{refused}");
}

#[tokio::test]
async fn a_check_names_each_right_that_is_missing() {
    let (cluster, subject) = scripted();
    let readiness = subject.runtime.check().await;
    assert_eq!(readiness.missing(), None, "{readiness:?}");
    cluster.fault(Fault::forbidden("*", "pods/exec"));
    cluster.fault(Fault::forbidden("list", "networkpolicies"));
    let checks = subject.runtime.check().await.checks;
    let missing: Vec<_> = checks.iter().filter(|check| check.state != CheckState::Good).collect();
    let found: Vec<_> = missing.iter().map(|check| check.found.as_str()).collect();
    let expected = [
        "may not `create` `pods/exec` in namespace `smelt`",
        "may not `get` `pods/exec` in namespace `smelt`",
        "may not `list` `networkpolicies.networking.k8s.io` in namespace `smelt`",
    ];
    assert_eq!(found, expected);
    assert!(missing[0].fix.as_ref().unwrap().contains("the Role below"));
    assert!(checks.last().unwrap().found.contains("kind: Role"), "{checks:?}");
    assert_eq!(missing[2].state, CheckState::Lacking);
}
