//! Whether an object is what it says it is.

use crate::resource::Resource;
use crate::status::Reply;
use k8s_openapi::api::{core::v1::Pod, networking::v1::NetworkPolicy};
use serde_json::Value;

/// Refuses what does not fit the type, what has fields that the type does not know, and names
/// that Kubernetes would not take.
pub(crate) fn check(resource: Resource, object: &Value) -> Result<(), Reply> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let invalid = |field: &str, why: &str| Err(Reply::invalid(resource, name, field, why));
    let again = match resource {
        Resource::Pods => again::<Pod>(object),
        Resource::NetworkPolicies => again::<NetworkPolicy>(object),
        Resource::Events => Ok(object.clone()),
    };
    match again {
        Err(error) => return invalid("<decode>", &format!("strict decoding error: {error}")),
        Ok(again) => {
            if let Some(field) = lost(object, &again, "") {
                return invalid(&field, "strict decoding error: unknown field");
            }
        }
    }
    if !subdomain(name) {
        let why = format!(
            "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case \
             alphanumeric characters, '-' or '.', and must start and end with an alphanumeric \
             character"
        );
        return invalid("metadata.name", &why);
    }
    let labels = object["metadata"]["labels"].as_object();
    for (key, value) in labels.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        if !label_key(key) {
            return invalid("metadata.labels", &bad_key(key));
        }
        if !value.is_empty() && !label(value) {
            let why = format!(
                "Invalid value: \"{value}\": a valid label must be an empty string or consist of \
                 alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character, and must be no more than 63 characters"
            );
            return invalid("metadata.labels", &why);
        }
    }
    let annotations = object["metadata"]["annotations"].as_object();
    if let Some((key, _)) = annotations.into_iter().flatten().find(|(key, _)| !label_key(key)) {
        return invalid("metadata.annotations", &bad_key(key));
    }
    match resource {
        Resource::Pods => pod(name, object),
        Resource::NetworkPolicies | Resource::Events => Ok(()),
    }
}

fn pod(name: &str, object: &Value) -> Result<(), Reply> {
    let invalid = |field: &str, why: &str| Err(Reply::invalid(Resource::Pods, name, field, why));
    let spec = &object["spec"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let containers = list(&spec["containers"]);
    if containers.is_empty() {
        return invalid("spec.containers", "Required value");
    }
    let volumes = list(&spec["volumes"]);
    let all = [("containers", containers), ("initContainers", list(&spec["initContainers"]))];
    for (field, containers) in &all {
        for (at, container) in containers.iter().enumerate() {
            let field = format!("spec.{field}[{at}]");
            let called = container["name"].as_str().unwrap_or_default();
            if !subdomain(called) || called.len() > 63 || called.contains('.') {
                let why = format!(
                    "Invalid value: \"{called}\": a lowercase RFC 1123 label must consist of lower \
                     case alphanumeric characters or '-', and must start and end with an \
                     alphanumeric character"
                );
                return invalid(&format!("{field}.name"), &why);
            }
            if container["image"].as_str().unwrap_or_default().is_empty() {
                return invalid(&format!("{field}.image"), "Required value");
            }
            for (at, mount) in list(&container["volumeMounts"]).iter().enumerate() {
                if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
                    let why = format!("Not found: {}", mount["name"]);
                    return invalid(&format!("{field}.volumeMounts[{at}].name"), &why);
                }
            }
        }
    }
    Ok(())
}

fn bad_key(key: &str) -> String {
    format!(
        "Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or \
         '.', and must start and end with an alphanumeric character"
    )
}

fn again<T: serde::de::DeserializeOwned + serde::Serialize>(
    object: &Value,
) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(object.clone())?)
}

/// The first field that did not survive.
fn lost(before: &Value, after: &Value, at: &str) -> Option<String> {
    match (before, after) {
        (Value::Object(before), after) => before.iter().find_map(|(key, value)| {
            let field = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            match after.get(key) {
                Some(after) => lost(value, after, &field),
                None => (!value.is_null()).then_some(field),
            }
        }),
        (Value::Array(before), after) => before.iter().enumerate().find_map(|(index, value)| {
            let field = format!("{at}[{index}]");
            match after.get(index) {
                Some(after) => lost(value, after, &field),
                None => Some(field),
            }
        }),
        _ => None,
    }
}

fn subdomain(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

fn label(value: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => subdomain(prefix) && label(name),
        None => label(key),
    }
}
