//! Reading one object or all that fit.

use crate::resource::Target;
use crate::selector::Selector;
use crate::state::{Key, State};
use crate::status::Reply;
use serde_json::{Value, json};

pub(crate) fn get(state: &State, target: &Target) -> Reply {
    match state.objects.get(&key(target)) {
        Some(object) => Reply::ok(object.clone()),
        None => Reply::not_found(target.resource, &key(target).name),
    }
}

/// Where the object is that a target names.
pub(crate) fn key(target: &Target) -> Key {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (namespace, name) = (text(&target.namespace), text(&target.name));
    Key { resource: target.resource, namespace, name }
}

/// A namespace that is not there has no objects, and no real server complains of that.
pub(crate) fn list(state: &State, selector: &Selector) -> Reply {
    let resource = selector.resource();
    let fitting = state.objects.iter().filter(|(key, value)| selector.fits(key.resource, value));
    let items = fitting.map(|(_, object)| {
        let mut item = object.clone();
        // Lists say it once, for all.
        if let Some(fields) = item.as_object_mut() {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
        item
    });
    Reply::ok(json!({
        "kind": format!("{}List", resource.kind()), "apiVersion": resource.api_version(),
        "metadata": { "resourceVersion": state.revision.to_string() },
        "items": items.collect::<Vec<Value>>(),
    }))
}

pub(crate) fn namespace(state: &State, name: &str) -> Reply {
    if !state.namespaces.contains(name) {
        return Reply::no_namespace(name);
    }
    Reply::ok(namespace_object(name))
}

pub(crate) fn namespaces(state: &State) -> Reply {
    let items: Vec<Value> = state.namespaces.iter().map(|name| namespace_object(name)).collect();
    Reply::ok(json!({
        "kind": "NamespaceList", "apiVersion": "v1",
        "metadata": { "resourceVersion": state.revision.to_string() }, "items": items,
    }))
}

fn namespace_object(name: &str) -> Value {
    json!({
        "kind": "Namespace", "apiVersion": "v1",
        "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
    })
}

/// What the server says of itself.
pub(crate) fn about(path: &str) -> Option<Value> {
    let group = |name: &str| {
        let version = json!({ "groupVersion": format!("{name}/v1"), "version": "v1" });
        json!({ "name": name, "versions": [version], "preferredVersion": version })
    };
    let kinds = |version: &str, resources: &[(&str, &str)]| {
        let verbs = ["create", "delete", "deletecollection", "get", "list", "watch"];
        let resources = resources.iter().map(|(name, kind)| {
            json!({ "name": name, "singularName": "", "namespaced": true, "kind": kind,
                "verbs": verbs })
        });
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
            "resources": resources.collect::<Vec<Value>>() })
    };
    match path.trim_end_matches('/') {
        "/version" => Some(json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.4", "gitCommit": "scripted",
            "gitTreeState": "clean", "buildDate": "2025-08-12T00:00:00Z",
            "goVersion": "go1.24.5", "compiler": "gc", "platform": "linux/amd64",
        })),
        "/api" => Some(json!({ "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [] })),
        "/apis" => Some(json!({ "kind": "APIGroupList", "apiVersion": "v1",
            "groups": [group("networking.k8s.io"), group("authorization.k8s.io")] })),
        "/api/v1" => {
            let pods = [("pods", "Pod"), ("pods/exec", "PodExecOptions"), ("events", "Event")];
            Some(kinds("v1", &pods))
        }
        "/apis/networking.k8s.io/v1" => {
            Some(kinds("networking.k8s.io/v1", &[("networkpolicies", "NetworkPolicy")]))
        }
        _ => None,
    }
}
