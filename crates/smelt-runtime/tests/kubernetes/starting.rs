//! Pods that never run: why is said in the cluster's own words, and nothing is left.

use crate::cluster::{Told, name, refused, scripted};
use smelt_core::port::Discard;
use smelt_testing_kubernetes::{Fault, Start};

fn image_error(reason: &str, message: &str) -> Start {
    Start::ImageError { reason: reason.into(), message: message.into() }
}

#[tokio::test]
async fn a_pod_without_a_node_is_told_of_and_given_up_in_the_end() {
    let (cluster, subject) = scripted();
    cluster.next_pod(Start::NeverScheduled { message: "0/3 nodes are available".into() });
    let mut told = Told::default();
    let refused = subject.runtime.provision(&subject.spec(""), &mut told).await.err().unwrap();
    let told = told.0;
    assert!(told.contains("pod: waiting for a node: 0/3 nodes are available\n"), "{told}");
    let refused = refused.to_string();
    assert!(refused.contains("waiting for a node: 0/3 nodes are available"), "{refused}");
    assert_eq!((cluster.pods(), cluster.network_policies()), (vec![], vec![]));
    assert!(subject.runtime.list(&subject.owner).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_image_that_can_not_be_had_is_named() {
    let (cluster, subject) = scripted();
    for (reason, message) in [
        ("ErrImagePull", "agent:1: not found"),
        ("InvalidImageName", "couldn't parse image name"),
        ("ErrImageNeverPull", "Container image is not present with pull policy of Never"),
    ] {
        cluster.next_pod(image_error(reason, message));
        let (told, hint) = refused(&cluster, &subject, &subject.spec("")).await;
        assert!(told.contains(message), "{told}");
        assert!(hint.unwrap().contains("environment.image"), "{told}");
    }
}

#[tokio::test]
async fn a_container_that_can_not_run_says_why() {
    let (cluster, subject) = scripted();
    let root = "container has runAsNonRoot and image will run as root";
    cluster.next_pod(Start::ConfigError { message: root.into() });
    let (told, _) = refused(&cluster, &subject, &subject.spec("")).await;
    assert!(told.contains(root), "{told}");
    cluster.next_pod(Start::CrashesAtOnce(3));
    let (told, _) = refused(&cluster, &subject, &subject.spec("")).await;
    assert!(told.contains("exit code 3"), "{told}");
    cluster.next_pod(Start::Evicted { message: "low on memory".into() });
    let (told, _) = refused(&cluster, &subject, &subject.spec("")).await;
    assert!(told.contains("its pod was evicted: low on memory"), "{told}");
}

#[tokio::test]
async fn a_missing_right_is_named_with_what_would_grant_it() {
    let (cluster, subject) = scripted();
    for (verb, resource) in [("create", "pods"), ("watch", "pods")] {
        cluster.fault(Fault::forbidden(verb, resource));
        let (told, hint) = refused(&cluster, &subject, &subject.spec("")).await;
        let expected = format!("may not `{verb}` `{resource}` in namespace `smelt`");
        assert!(told.contains(&expected), "{told}");
        assert!(hint.unwrap().contains("smelt doctor --runtime kubernetes"));
        cluster.clear_faults();
    }
    cluster.fault(Fault::forbidden("create", "networkpolicies"));
    let (told, _) = refused(&cluster, &subject, &subject.spec("network = \"none\"")).await;
    assert!(told.contains("may not `create` `networkpolicies.networking.k8s.io`"), "{told}");
}

#[tokio::test]
async fn the_cluster_s_own_rules_speak_for_themselves() {
    let (cluster, subject) = scripted();
    cluster.fault(Fault::quota("requested: pods=1, used: pods=10, limited: pods=10"));
    let (told, _) = refused(&cluster, &subject, &subject.spec("")).await;
    assert!(told.contains("exceeded quota") && told.contains("used: pods=10"), "{told}");
    cluster.fault(Fault::pod_security("allowPrivilegeEscalation != false"));
    let (told, _) = refused(&cluster, &subject, &subject.spec("")).await;
    assert!(told.contains("violates PodSecurity"), "{told}");
}

#[tokio::test]
async fn who_does_not_wait_any_more_leaves_nothing() {
    let (cluster, subject) = scripted();
    cluster.next_pod(Start::RunsAfter(std::time::Duration::from_secs(60)));
    let spec = subject.spec("");
    let waited = std::time::Duration::from_millis(300);
    let mut output = Discard;
    let given_up = subject.runtime.provision(&spec, &mut output);
    assert!(tokio::time::timeout(waited, given_up).await.is_err());
    // Whoever reaps waits for what is being made.
    subject.runtime.reap(&subject.owner, &spec.labels.run).await.unwrap();
    assert_eq!((cluster.pods(), cluster.network_policies()), (vec![], vec![]), "{}", name(&spec));
}
