//! The cluster as a test holds it.

use crate::access::TOKEN;
use crate::end::{self, PodEnd};
use crate::exec::Protocol;
use crate::fault::Fault;
use crate::life::Start;
use crate::processes;
use crate::recorded::Request;
use crate::resource::Resource;
use crate::server::Server;
use crate::state::{Key, Shared};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A Kubernetes API server on loopback. It ends with this, and so does all that runs in its pods.
pub struct ScriptedCluster {
    shared: Arc<Shared>,
    server: Option<Server>,
    folder: TempDir,
    kubeconfig: PathBuf,
    url: String,
}

impl ScriptedCluster {
    /// A cluster that speaks both protocols of exec.
    pub fn start() -> Self {
        Self::with(vec![Protocol::V5, Protocol::V4])
    }

    /// A cluster that knows only this one.
    pub fn speaking(protocol: Protocol) -> Self {
        Self::with(vec![protocol])
    }

    fn with(protocols: Vec<Protocol>) -> Self {
        let folder = tempfile::Builder::new().prefix("scripted-cluster-").tempdir();
        let folder = folder.expect("a folder for the pods");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let port = listener.local_addr().expect("it is bound").port();
        let url = format!("http://127.0.0.1:{port}");
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, config(&url)).expect("the folder takes a file");
        let pods = folder.path().join("pods");
        let shared = Arc::new(Shared::new(protocols, pods));
        let server = Some(Server::start(Arc::clone(&shared), listener));
        Self { shared, server, folder, kubeconfig, url }
    }

    /// A file whose context `scripted` is this cluster, with a token and the namespace `smelt`.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where the API is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All pods there are, of all namespaces.
    pub fn pods(&self) -> Vec<Value> {
        self.shared.state().all(Resource::Pods)
    }

    /// All network policies there are, of all namespaces.
    pub fn network_policies(&self) -> Vec<Value> {
        self.shared.state().all(Resource::NetworkPolicies)
    }

    /// All that was asked so far, refused or not.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Makes a namespace, beside `smelt` and `default`.
    pub fn add_namespace(&self, name: &str) {
        self.shared.state().namespaces.insert(name.to_owned());
    }

    /// Says what comes of the next pod that is made; more than one are a queue.
    pub fn next_pod(&self, start: Start) {
        self.shared.state().starts.push_back(start);
    }

    /// Scripts a fault, which running watches hear of at once.
    pub fn fault(&self, fault: Fault) {
        let mut state = self.shared.state();
        state.faults.push(fault);
        state.tell();
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Ends the pod of this name in any namespace; panics when there is none.
    pub fn end_pod(&self, name: &str, how: PodEnd) {
        let key = self.key(name);
        assert!(end::end(&self.shared, &key, None, &how), "the pod {name} is gone");
    }

    /// Ids of all that runs in the pod of this name; panics when there is none.
    pub fn processes(&self, name: &str) -> Vec<u32> {
        let key = self.key(name);
        let uid = self.shared.state().objects[&key]["metadata"]["uid"].clone();
        processes::of(uid.as_str().expect("every pod has a uid"))
    }

    fn key(&self, name: &str) -> Key {
        let state = self.shared.state();
        let mut keys = state.objects.keys();
        let found = keys.find(|key| key.resource == Resource::Pods && key.name == name);
        found.unwrap_or_else(|| panic!("there is no pod {name}")).clone()
    }
}

impl Drop for ScriptedCluster {
    fn drop(&mut self) {
        let uids: Vec<String> = {
            let mut state = self.shared.state();
            state.cells.values_mut().for_each(|cell| cell.runs = false);
            state.cells.keys().cloned().collect()
        };
        for uid in uids {
            processes::end_all(&self.shared, &uid);
        }
        drop(self.server.take());
        processes::clear(self.folder.path());
    }
}

fn config(url: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: scripted
clusters:
- name: scripted
  cluster:
    server: {url}
users:
- name: smelt
  user:
    token: {TOKEN}
contexts:
- name: scripted
  context:
    cluster: scripted
    user: smelt
    namespace: smelt
"
    )
}
