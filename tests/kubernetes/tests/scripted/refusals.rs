//! What is refused, and in which words.

use crate::client::{made, pod, pods, with};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use kube::{Client, Config, Error};
use serde_json::{Value, json};
use smelt_testing_kubernetes::{Fault, ScriptedCluster};

/// Code, reason and message of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String, String) {
    match result.unwrap_err() {
        Error::Api(status) => (status.code, status.reason.clone(), status.message.clone()),
        error => panic!("no refusal of the server's: {error:?}"),
    }
}

#[test]
fn names_and_namespaces() {
    let cluster = ScriptedCluster::start();
    with(&cluster, async |client| {
        made(&client, "one", "Running").await;
        let create = pods(&client).create(&PostParams::default(), &pod("one")).await;
        let message = "pods \"one\" already exists".to_owned();
        assert_eq!(refusal(create), (409, "AlreadyExists".to_owned(), message));
        let nowhere = Api::namespaced(client.clone(), "nowhere");
        let create = nowhere.create(&PostParams::default(), &pod("one")).await;
        let message = "namespaces \"nowhere\" not found".to_owned();
        assert_eq!(refusal(create), (404, "NotFound".to_owned(), message));
        let uid = Some("another".to_owned());
        let params = DeleteParams::default();
        let params = params.preconditions(Preconditions { uid, resource_version: None });
        assert_eq!(refusal(pods(&client).delete("one", &params).await).0, 409);
        let mut config = Config::new(cluster.url().parse().unwrap());
        config.default_namespace = "smelt".to_owned();
        let stranger = Client::try_from(config).unwrap();
        assert_eq!(refusal(pods(&stranger).get("one").await).0, 401);
        assert_eq!(stranger.apiserver_version().await.unwrap().minor, "33");
    });
}

#[test]
fn rights_admission_and_what_the_script_says() {
    let cluster = ScriptedCluster::start();
    with(&cluster, async |client| {
        let create =
            async || refusal(pods(&client).create(&PostParams::default(), &pod("p")).await);
        cluster.fault(Fault::forbidden("create", "pods").times(1));
        let message = "pods is forbidden: User \"system:serviceaccount:smelt:smelt\" cannot create \
                       resource \"pods\" in API group \"\" in the namespace \"smelt\"";
        let review = json!({ "spec": { "resourceAttributes": {
            "namespace": "smelt", "verb": "create", "group": "", "resource": "pods" } } });
        let review: SelfSubjectAccessReview = serde_json::from_value(review).unwrap();
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let may = async || {
            let review = reviews.create(&PostParams::default(), &review).await.unwrap();
            review.status.unwrap().allowed
        };
        assert!(!may().await);
        assert_eq!(create().await, (403, "Forbidden".to_owned(), message.to_owned()));
        assert!(may().await);
        cluster.fault(Fault::quota("requested: pods=1, used: pods=5, limited: pods=5"));
        let message = "pods \"p\" is forbidden: exceeded quota: requested: pods=1, used: pods=5, \
                       limited: pods=5";
        assert_eq!(create().await.2, message);
        cluster.fault(Fault::pod_security("privileged"));
        assert!(create().await.2.contains("violates PodSecurity \"restricted:latest\""));
        cluster.fault(Fault::conflict());
        assert_eq!(create().await.0, 409);
        cluster.fault(Fault::status("POST", "/pods", 503).times(2));
        assert_eq!(create().await.0, 503);
        assert_eq!(create().await.1, "ServiceUnavailable");
        cluster.fault(Fault::drop_after_success("POST", "/pods"));
        let lost = pods(&client).create(&PostParams::default(), &pod("p")).await;
        assert!(!matches!(lost.unwrap_err(), Error::Api(_)));
        assert_eq!(create().await.1, "AlreadyExists");
    });
}

#[test]
fn what_is_no_pod() {
    let cluster = ScriptedCluster::start();
    let send = |change: &dyn Fn(&mut Value)| {
        with(&cluster, async |client| {
            let mut body = serde_json::to_value(pod("one")).unwrap();
            change(&mut body);
            let request = axum::http::Request::post("/api/v1/namespaces/smelt/pods");
            let request = request.header("content-type", "application/json");
            let request = request.body(serde_json::to_vec(&body).unwrap()).unwrap();
            refusal(client.request::<Value>(request).await)
        })
    };
    let (code, _, message) = send(&|pod| pod["spec"]["restartpolicy"] = json!("Never"));
    assert_eq!((code, message.contains("spec.restartpolicy")), (422, true), "{message}");
    let (code, _, message) = send(&|pod| {
        pod["spec"]["containers"][0]["securityContext"] = json!({ "runAsUser": "root" });
    });
    assert_eq!(code, 422, "{message}");
    let (code, _, message) = send(&|pod| pod["metadata"]["labels"]["a"] = json!("-no-"));
    assert_eq!((code, message.contains("a valid label must")), (422, true), "{message}");
    let (code, ..) = send(&|pod| pod["metadata"]["name"] = json!("No_Name"));
    assert_eq!(code, 422);
    let (code, _, message) = send(&|pod| pod["spec"]["volumes"] = json!([]));
    assert_eq!((code, message.contains("Not found: \"work\"")), (422, true), "{message}");
    assert!(cluster.pods().is_empty());
}
