//! Making an object.

use crate::fault::{self, Kind};
use crate::life::{self, Start};
use crate::resource::{Resource, Target};
use crate::state::{Key, Shared, now, uid};
use crate::status::Reply;
use crate::valid;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn create(shared: &Arc<Shared>, target: &Target, body: Value, dry: bool) -> Reply {
    let resource = target.resource;
    let Some(namespace) = &target.namespace else { return Reply::not_allowed() };
    if resource == Resource::Events {
        return Reply::not_allowed();
    }
    if !body.is_object() {
        return Reply::bad_request("the object provided is unrecognized: it is no JSON object");
    }
    let mut object = match completed(resource, namespace, body) {
        Ok(object) => object,
        Err(reply) => return reply,
    };
    let key = Key::of(resource, &object);
    let mut state = shared.state();
    if !state.namespaces.contains(namespace) {
        return Reply::no_namespace(namespace);
    }
    if let Err(reply) = valid::check(resource, &object) {
        return reply;
    }
    if fault::take(&mut state.faults, |kind| *kind == Kind::Conflict).is_some() {
        return match resource {
            Resource::Pods => Reply::quota_conflict(),
            _ => Reply::conflict(resource, &key.name, "object is being modified"),
        };
    }
    let admission = |kind: &Kind| matches!(kind, Kind::Quota(_) | Kind::PodSecurity(_));
    if resource == Resource::Pods
        && let Some(Kind::Quota(why) | Kind::PodSecurity(why)) =
            fault::take(&mut state.faults, admission)
    {
        return Reply::not_admitted(resource, &key.name, &why);
    }
    if let Some(known) = state.objects.get(&key) {
        if !known["metadata"]["deletionTimestamp"].is_null() {
            let why = "object is being deleted: ";
            let mut reply = Reply::exists(resource, &key.name);
            let message = reply.body["message"].as_str().unwrap_or_default();
            reply.body["message"] = json!(format!("{why}{message}"));
            return reply;
        }
        return Reply::exists(resource, &key.name);
    }
    if dry {
        return Reply::created(object);
    }
    object = state.put(resource, object);
    if resource == Resource::Pods {
        let start = state.starts.pop_front().unwrap_or(Start::Runs);
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        tokio::spawn(life::live(Arc::clone(shared), key, uid, start));
    }
    Reply::created(object)
}

/// The object with what the server adds to it.
fn completed(resource: Resource, namespace: &str, mut body: Value) -> Result<Value, Reply> {
    let given = body["metadata"]["namespace"].as_str().unwrap_or_default();
    if !given.is_empty() && given != namespace {
        return Err(Reply::bad_request(&format!(
            "the namespace of the provided object does not match the namespace sent on the \
             request ({given} != {namespace})"
        )));
    }
    for (field, wanted) in [("kind", resource.kind()), ("apiVersion", resource.api_version())] {
        match body[field].as_str().unwrap_or(wanted) {
            given if given == wanted => body[field] = json!(wanted),
            given => {
                let (kind, version) = (resource.kind(), resource.api_version());
                return Err(Reply::bad_request(&format!(
                    "the API version or kind in the data ({given}) does not match the expected \
                     {kind} of {version}"
                )));
            }
        }
    }
    if !body["metadata"].is_object() && !body["metadata"].is_null() {
        return Err(Reply::invalid(resource, "", "metadata", "it is no object"));
    }
    let meta = &mut body["metadata"];
    if meta["name"].as_str().unwrap_or_default().is_empty() {
        match meta["generateName"].as_str() {
            Some(prefix) => meta["name"] = json!(format!("{prefix}{}", &uid()[..5])),
            None => {
                let why = "Required value: name or generateName is required";
                return Err(Reply::invalid(resource, "", "metadata.name", why));
            }
        }
    }
    if !meta["resourceVersion"].as_str().unwrap_or_default().is_empty() {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(Reply::refused(500, "", message));
    }
    meta["namespace"] = json!(namespace);
    meta["uid"] = json!(uid());
    meta["creationTimestamp"] = json!(now());
    if resource == Resource::Pods && body["spec"].is_object() {
        let defaults = [
            ("restartPolicy", json!("Always")),
            ("terminationGracePeriodSeconds", json!(30)),
            ("dnsPolicy", json!("ClusterFirst")),
            ("schedulerName", json!("default-scheduler")),
            ("serviceAccountName", json!("default")),
            ("enableServiceLinks", json!(true)),
        ];
        for (field, value) in defaults {
            if body["spec"][field].is_null() {
                body["spec"][field] = value;
            }
        }
        body["status"] = json!({ "phase": "Pending", "qosClass": "BestEffort" });
    }
    Ok(body)
}
