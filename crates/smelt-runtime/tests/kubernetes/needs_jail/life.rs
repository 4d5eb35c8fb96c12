//! What is made, found again and removed, whatever the cluster does meanwhile.

use crate::cluster::{config, name, runtime, scripted};
use crate::contract::sh;
use smelt_core::port::{Discard, Labels, Runtime};
use smelt_runtime::kubernetes::KubernetesConfig;
use smelt_testing_kubernetes::{Fault, PodEnd};

#[tokio::test]
async fn a_pod_of_the_same_run_is_taken_as_it_is() {
    let (cluster, subject) = scripted();
    let spec = subject.spec("");
    let first = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    sh(&*first, "echo work > /smelt/workspace/kept").await;
    drop(first);
    let again = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    assert_eq!(sh(&*again, "cat /smelt/workspace/kept").await.1, "work");
    assert_eq!(cluster.pods().len(), 1);
    // Another run's is nobody's to take.
    let mut foreign = spec.clone();
    foreign.labels = Labels { owner: "d4nenhzc8c1h91b8".parse().unwrap(), ..spec.labels.clone() };
    let refused = subject.runtime.provision(&foreign, &mut Discard).await.err().unwrap();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert!(source.contains("is not this run's"), "{source}");
    assert_eq!(cluster.pods().len(), 1);
    again.destroy().await.unwrap();
}

#[tokio::test]
async fn a_name_that_was_taken_and_is_free_again_is_used() {
    let (cluster, subject) = scripted();
    cluster.fault(Fault::conflict());
    let sandbox = subject.sandbox().await;
    assert_eq!(cluster.pods().len(), 1);
    sandbox.destroy().await.unwrap();
    assert!(cluster.pods().is_empty());
}

/// The pod of an earlier attempt that has ended holds nothing any more.
#[tokio::test]
async fn a_pod_of_the_same_run_that_has_ended_is_made_anew() {
    let (cluster, subject) = scripted();
    let spec = subject.spec("");
    std::mem::forget(subject.runtime.provision(&spec, &mut Discard).await.unwrap());
    cluster.end_pod(&name(&spec), PodEnd::Evicted { message: "low on disk".into() });
    let again = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    assert_eq!(sh(&*again, "echo new").await.1, "new");
    assert_eq!(cluster.pods().len(), 1);
    again.destroy().await.unwrap();
}

#[tokio::test]
async fn a_watch_that_missed_something_begins_anew() {
    for fault in [Fault::watch_gone(), Fault::watch_gone_http(), Fault::watch_ends().times(2)] {
        let (cluster, subject) = scripted();
        cluster.fault(fault.clone());
        let sandbox = subject.sandbox().await;
        assert_eq!(sh(&*sandbox, "echo runs").await.1, "runs", "{fault:?}");
        sandbox.destroy().await.unwrap();
        assert!(cluster.pods().is_empty());
    }
}

/// A process that died by kill -9 has left a pod; the next one knows nothing of it but its labels.
#[tokio::test]
async fn orphans_are_found_by_a_process_that_starts_anew() {
    let (cluster, subject) = scripted();
    let spec = subject.spec("");
    std::mem::forget(subject.runtime.provision(&spec, &mut Discard).await.unwrap());
    for forbidden in [false, true] {
        if forbidden {
            // All namespaces are out of reach: the context's own is looked at.
            cluster.fault(Fault::status("GET", "/api/v1/pods", 403));
        }
        let places = match forbidden {
            false => vec![(Some("scripted".to_owned()), "smelt".to_owned())],
            true => Vec::new(),
        };
        let anew = runtime(KubernetesConfig { places, ..config(&cluster) });
        let found = anew.list(&subject.owner).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].run, spec.labels.run);
        assert!(found[0].what.contains(&format!("pod smelt/{}", name(&spec))), "{found:?}");
    }
    cluster.clear_faults();
    let anew = runtime(config(&cluster));
    anew.reap(&subject.owner, &spec.labels.run).await.unwrap();
    assert_eq!((cluster.pods(), cluster.network_policies()), (vec![], vec![]));
    assert_eq!(anew.list(&subject.owner).await.unwrap(), []);
}

#[tokio::test]
async fn a_wall_that_may_not_be_made_is_said_to_be_missing() {
    let (cluster, subject) = scripted();
    cluster.fault(Fault::forbidden("*", "networkpolicies"));
    let sandbox = subject.sandbox().await;
    let gaps = sandbox.isolation().gaps.join("\n");
    assert!(gaps.contains("what the sandbox can reach is not limited"), "{gaps}");
    assert!(gaps.contains("may not `create` `networkpolicies.networking.k8s.io`"), "{gaps}");
    sandbox.destroy().await.unwrap();
    assert!(cluster.pods().is_empty());
}

/// Whoever did not hear that it was done asks once more.
#[tokio::test]
async fn a_pod_whose_making_was_not_heard_of_is_not_left() {
    let (cluster, subject) = scripted();
    cluster.fault(Fault::drop_after_success("POST", "/pods"));
    match subject.runtime.provision(&subject.spec(""), &mut Discard).await {
        Ok(sandbox) => sandbox.destroy().await.unwrap(),
        Err(error) => assert!(error.to_string().contains("making the pod"), "{error}"),
    }
    assert_eq!((cluster.pods(), cluster.network_policies()), (vec![], vec![]));
}
