//! What the cluster keeps: its objects, every change of them, and the test's script.

use crate::exec::Protocol;
use crate::fault::Fault;
use crate::life::Start;
use crate::recorded::Request;
use crate::resource::Resource;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the server's thread and the test's share.
pub(crate) struct Shared {
    pub(crate) protocols: Vec<Protocol>,
    /// Below it are the pods' folders.
    pub(crate) folder: PathBuf,
    /// Sessions that run something.
    pub(crate) sessions: TaskTracker,
    pub(crate) stop: CancellationToken,
    state: Mutex<State>,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: Resource,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One change of one object.
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) resource: Resource,
    pub(crate) before: Option<Value>,
    /// `None`: it went.
    pub(crate) after: Option<Value>,
    /// What it was last, for who sees it go.
    pub(crate) last: Value,
}

/// What a pod is on its node.
pub(crate) struct Cell {
    pub(crate) folder: PathBuf,
    /// Nothing starts in one that does not.
    pub(crate) runs: bool,
    /// Processes started for it and not yet waited for.
    pub(crate) processes: BTreeSet<u32>,
    /// Its node is not heard of any more.
    pub(crate) lost: CancellationToken,
}

pub(crate) struct State {
    pub(crate) objects: BTreeMap<Key, Value>,
    pub(crate) changes: Vec<Change>,
    pub(crate) revision: u64,
    /// Watches from before this get to hear that they are too late.
    pub(crate) oldest: u64,
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) requests: Vec<Request>,
    pub(crate) starts: VecDeque<Start>,
    /// By the pods' uids.
    pub(crate) cells: BTreeMap<String, Cell>,
    changed: watch::Sender<()>,
}

impl Shared {
    pub(crate) fn new(protocols: Vec<Protocol>, folder: PathBuf) -> Self {
        let state = State {
            objects: BTreeMap::new(),
            changes: Vec::new(),
            revision: 1000,
            oldest: 1000,
            namespaces: ["default", "kube-system", "smelt"].map(str::to_owned).into(),
            faults: Vec::new(),
            requests: Vec::new(),
            starts: VecDeque::new(),
            cells: BTreeMap::new(),
            changed: watch::Sender::new(()),
        };
        let (sessions, stop) = (TaskTracker::new(), CancellationToken::new());
        Self { protocols, folder, sessions, stop, state: Mutex::new(state) }
    }

    /// A test that panics with it does not take the others' answers with it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    pub(crate) fn of(resource: Resource, object: &Value) -> Self {
        let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        Self { resource, namespace: field("namespace"), name: field("name") }
    }
}

impl State {
    /// Hears of every change, and of every fault that is set.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    /// Keeps an object, new or changed, and returns it with its revision.
    pub(crate) fn put(&mut self, resource: Resource, mut object: Value) -> Value {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let key = Key::of(resource, &object);
        let before = self.objects.insert(key, object.clone());
        self.changes.push(Change {
            revision: self.revision,
            resource,
            before,
            after: Some(object.clone()),
            last: object.clone(),
        });
        self.tell();
        object
    }

    pub(crate) fn remove(&mut self, key: &Key) -> Option<Value> {
        let before = self.objects.remove(key)?;
        self.revision += 1;
        let mut last = before.clone();
        last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let (revision, resource) = (self.revision, key.resource);
        let change =
            Change { revision, resource, before: Some(before), after: None, last: last.clone() };
        self.changes.push(change);
        self.tell();
        Some(last)
    }

    /// Changes the pod that has this uid; false when it is gone.
    pub(crate) fn update(&mut self, key: &Key, uid: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(pod) = self.objects.get(key) else { return false };
        if pod["metadata"]["uid"] != json!(uid) {
            return false;
        }
        let mut changed = pod.clone();
        change(&mut changed);
        if changed != *pod {
            self.put(key.resource, changed);
        }
        true
    }

    /// Objects of a kind, in the order of their names.
    pub(crate) fn all(&self, resource: Resource) -> Vec<Value> {
        let found = self.objects.iter().filter(|(key, _)| key.resource == resource);
        found.map(|(_, object)| object.clone()).collect()
    }

    /// An event about a pod.
    pub(crate) fn event(&mut self, pod: &Value, kind: &str, reason: &str, message: &str) {
        let meta = &pod["metadata"];
        let name = format!("{}.{:x}", meta["name"].as_str().unwrap_or_default(), self.revision);
        let event = json!({
            "kind": "Event", "apiVersion": "v1",
            "metadata": {
                "name": name, "namespace": meta["namespace"], "uid": uid(),
                "creationTimestamp": now(),
            },
            "involvedObject": {
                "kind": "Pod", "apiVersion": "v1", "namespace": meta["namespace"],
                "name": meta["name"], "uid": meta["uid"],
            },
            "type": kind, "reason": reason, "message": message, "count": 1,
            "source": { "component": "scripted" },
            "firstTimestamp": now(), "lastTimestamp": now(),
        });
        self.put(Resource::Events, event);
    }
}

/// A time as objects have it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn uid() -> String {
    uuid::Uuid::new_v4().to_string()
}
