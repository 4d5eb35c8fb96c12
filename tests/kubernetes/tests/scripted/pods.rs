//! Pods and policies come, live and go.

use crate::client::{made, pod, pods, until, with};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use smelt_testing_kubernetes::{PodEnd, ScriptedCluster, Start};
use std::time::Duration;

#[test]
fn a_pod_comes_to_run_and_is_deleted() {
    let cluster = ScriptedCluster::start();
    with(&cluster, async |client| {
        let pods = pods(&client);
        pods.create(&PostParams::default(), &pod("one")).await.unwrap();
        let params = WatchParams::default().labels("smelt.dev/job=one").timeout(20);
        let mut events = Box::pin(pods.watch(&params, "0").await.unwrap());
        let mut seen = Vec::new();
        while let Some(event) = events.try_next().await.unwrap() {
            match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                    let status = pod.status.clone().unwrap();
                    let phase = status.phase.unwrap();
                    let gone = pod.metadata.deletion_timestamp.is_some();
                    if phase == "Running" && !gone {
                        let container = &status.container_statuses.unwrap()[0];
                        assert!(container.image_id.starts_with("example.test/image@sha256:"));
                        assert!(container.ready);
                        pods.delete("one", &DeleteParams::default()).await.unwrap();
                    }
                    seen.push(format!("{phase}{}", if gone { " going" } else { "" }));
                }
                WatchEvent::Deleted(_) => break,
                _ => {}
            }
        }
        seen.dedup();
        assert_eq!(seen, ["Pending", "Running", "Running going"]);
        let error = pods.get("one").await.unwrap_err();
        assert_eq!(error.to_string().split(':').next(), Some("ApiError"), "{error}");
        assert!(error.to_string().contains("pods \"one\" not found"), "{error}");
    });
    assert!(cluster.pods().is_empty());
    let asked = cluster.requests();
    assert_eq!(
        (asked[0].method.as_str(), &asked[0].body["metadata"]["name"]),
        ("POST", &json!("one"))
    );
    assert_eq!(asked[1].values("labelSelector"), ["smelt.dev/job=one"]);
}

#[test]
fn lists_go_by_labels_and_over_namespaces() {
    let cluster = ScriptedCluster::start();
    cluster.add_namespace("other");
    with(&cluster, async |client| {
        made(&client, "one", "Running").await;
        let other = Api::namespaced(client.clone(), "other");
        other.create(&PostParams::default(), &pod("two")).await.unwrap();
        let labelled = ListParams::default().labels("smelt.dev/job in (one, two)");
        let all = Api::all(client.clone()).list(&labelled).await.unwrap();
        let names = |list: kube::core::ObjectList<k8s_openapi::api::core::v1::Pod>| {
            list.into_iter().filter_map(|pod| pod.metadata.name).collect::<Vec<_>>()
        };
        assert_eq!(names(all), ["two", "one"]);
        let here = pods(&client).list(&ListParams::default()).await.unwrap();
        assert!(here.metadata.resource_version.is_some());
        assert_eq!(names(here), ["one"]);
        other.delete_collection(&DeleteParams::default(), &labelled).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(names(other.list(&labelled).await.unwrap()).is_empty());
    });
}

#[test]
fn a_policy_is_kept_until_it_is_deleted() {
    let cluster = ScriptedCluster::start();
    with(&cluster, async |client| {
        let policies: Api<NetworkPolicy> = Api::default_namespaced(client.clone());
        let policy = json!({
            "metadata": { "name": "deny" },
            "spec": { "podSelector": { "matchLabels": { "a": "b" } }, "policyTypes": ["Egress"] },
        });
        let policy = serde_json::from_value(policy).unwrap();
        policies.create(&PostParams::default(), &policy).await.unwrap();
        assert_eq!(cluster.network_policies().len(), 1);
        let done = policies.delete("deny", &DeleteParams::default()).await.unwrap();
        assert!(done.is_right());
        assert!(cluster.network_policies().is_empty());
    });
}

#[test]
fn pods_that_do_not_start_say_why() {
    let cluster = ScriptedCluster::start();
    let text = |text: &str| text.to_owned();
    cluster.next_pod(Start::NeverScheduled { message: text("0/3 nodes are available") });
    cluster.next_pod(Start::ImageError { reason: text("ErrImagePull"), message: text("no such") });
    cluster.next_pod(Start::ConfigError { message: text("secret \"x\" not found") });
    cluster.next_pod(Start::CrashesAtOnce(7));
    cluster.next_pod(Start::Evicted { message: text("The node was low on resource: memory.") });
    cluster.next_pod(Start::RunsAfter(Duration::from_millis(300)));
    with(&cluster, async |client| {
        let create = async |name: &str| {
            pods(&client).create(&PostParams::default(), &pod(name)).await.unwrap();
        };
        let waiting = |reason: &'static str| {
            move |pod: &serde_json::Value| {
                pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
            }
        };
        create("one").await;
        until(&client, "one", |pod| pod["status"]["conditions"][0]["reason"] == "Unschedulable")
            .await;
        create("two").await;
        until(&client, "two", waiting("ImagePullBackOff")).await;
        create("three").await;
        until(&client, "three", waiting("CreateContainerConfigError")).await;
        create("four").await;
        let failed = until(&client, "four", |pod| pod["status"]["phase"] == "Failed").await;
        let status = &failed.status.unwrap().container_statuses.unwrap()[0];
        let ended = status.state.clone().unwrap().terminated.unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref()), (7, Some("Error")));
        create("five").await;
        until(&client, "five", |pod| pod["status"]["reason"] == "Evicted").await;
        create("six").await;
        until(&client, "six", waiting("ContainerCreating")).await;
        until(&client, "six", |pod| pod["status"]["phase"] == "Running").await;
        let events: Api<Event> = Api::default_namespaced(client.clone());
        let about = ListParams::default().fields("involvedObject.name=one");
        let events = events.list(&about).await.unwrap();
        assert_eq!(events.items[0].reason.as_deref(), Some("FailedScheduling"));
    });
}

#[test]
fn running_pods_end_as_the_test_says() {
    let cluster = ScriptedCluster::start();
    with(&cluster, async |client| {
        for name in ["oom", "evicted", "lost", "deleted", "late"] {
            made(&client, name, "Running").await;
        }
        cluster.end_pod("oom", PodEnd::OomKilled);
        let oom = until(&client, "oom", |pod| pod["status"]["phase"] == "Failed").await;
        let status = &oom.status.unwrap().container_statuses.unwrap()[0];
        let ended = status.state.clone().unwrap().terminated.unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref()), (137, Some("OOMKilled")));
        cluster.end_pod("evicted", PodEnd::Evicted { message: "low on memory".to_owned() });
        until(&client, "evicted", |pod| pod["status"]["reason"] == "Evicted").await;
        cluster.end_pod("lost", PodEnd::NodeLost);
        until(&client, "lost", |pod| pod["status"]["reason"] == "NodeLost").await;
        cluster.end_pod("deleted", PodEnd::Deleted);
        assert!(pods(&client).get_opt("deleted").await.unwrap().is_none());
        cluster.end_pod("late", PodEnd::DeadlineExceeded);
        until(&client, "late", |pod| pod["status"]["reason"] == "DeadlineExceeded").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(pods(&client).get_opt("lost").await.unwrap().is_none());
    });
}
