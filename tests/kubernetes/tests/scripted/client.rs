//! A real client of a scripted cluster.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, AttachedProcess, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use smelt_testing_kubernetes::ScriptedCluster;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Runs a test that has a client.
pub(crate) fn with<T>(cluster: &ScriptedCluster, test: impl AsyncFnOnce(Client) -> T) -> T {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(config, &options).await.unwrap();
        // It would hide what the server says of a 429 or 503.
        config.default_retry = false;
        test(Client::try_from(config).unwrap()).await
    })
}

/// The pods of the context's namespace.
pub(crate) fn pods(client: &Client) -> Api<Pod> {
    Api::default_namespaced(client.clone())
}

pub(crate) fn pod(name: &str) -> Pod {
    let spec = json!({
        "restartPolicy": "Never",
        "containers": [{
            "name": "main", "image": "example.test/image:1", "command": ["sleep", "infinity"],
            "volumeMounts": [{ "name": "work", "mountPath": "/data" }],
        }],
        "volumes": [{ "name": "work", "emptyDir": {} }],
    });
    let meta = json!({ "name": name, "labels": { "smelt.dev/job": name } });
    serde_json::from_value(json!({ "metadata": meta, "spec": spec })).unwrap()
}

/// Makes a pod and waits until it is in this phase.
pub(crate) async fn made(client: &Client, name: &str, phase: &str) -> Pod {
    pods(client).create(&PostParams::default(), &pod(name)).await.unwrap();
    until(client, name, |pod| pod["status"]["phase"] == phase).await
}

/// Watches a pod until this holds.
pub(crate) async fn until(client: &Client, name: &str, holds: impl Fn(&Value) -> bool) -> Pod {
    use futures::TryStreamExt;
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(20);
    let mut events = Box::pin(pods(client).watch(&params, "0").await.unwrap());
    while let Some(event) = events.try_next().await.unwrap() {
        if let WatchEvent::Added(pod) | WatchEvent::Modified(pod) = event
            && holds(&serde_json::to_value(&pod).unwrap())
        {
            return pod;
        }
    }
    panic!("{name} did not come to that");
}

/// What a command wrote, and its exit code or the reason that there is none.
pub(crate) async fn said(mut process: AttachedProcess) -> (Vec<u8>, Vec<u8>, Result<i32, String>) {
    let status = process.take_status().unwrap();
    let (out, err) = (process.stdout(), process.stderr());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = {
        let reads = async { tokio::join!(read(out, &mut stdout), read(err, &mut stderr)) };
        tokio::pin!(status, reads);
        // kube's readers have no end of their own when the connection breaks.
        tokio::select! {
            _ = &mut reads => status.await,
            status = &mut status => {
                let wait = Duration::from_secs(if status.is_some() { 30 } else { 1 });
                let _ = tokio::time::timeout(wait, reads).await;
                status
            }
        }
    };
    let code = match status {
        None => Err("no status".to_owned()),
        Some(status) if status.status.as_deref() == Some("Success") => Ok(0),
        Some(status) => {
            let causes = status.details.clone().and_then(|details| details.causes);
            let code = causes.into_iter().flatten().find_map(|cause| {
                (cause.reason.as_deref() == Some("ExitCode")).then_some(cause.message?)
            });
            code.map_or(Err(status.message.unwrap_or_default()), |code| Ok(code.parse().unwrap()))
        }
    };
    (stdout, stderr, code)
}

async fn read(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    if let Some(mut from) = from {
        from.read_to_end(into).await.unwrap();
    }
}

/// Runs a script of the shell's.
pub(crate) async fn sh(
    client: &Client,
    name: &str,
    script: &str,
) -> (Vec<u8>, Vec<u8>, Result<i32, String>) {
    let params = AttachParams::default();
    said(pods(client).exec(name, ["sh", "-c", script], &params).await.unwrap()).await
}
