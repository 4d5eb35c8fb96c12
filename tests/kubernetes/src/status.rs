//! What a real API server says when it refuses, word by word.

use crate::resource::{Resource, Target};
use serde_json::{Value, json};

/// Who the token belongs to.
pub(crate) const USER: &str = "system:serviceaccount:smelt:smelt";

/// A body and its HTTP status.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { code: 200, body }
    }

    pub(crate) fn created(body: Value) -> Self {
        Self { code: 201, body }
    }

    /// A refusal without details.
    pub(crate) fn refused(code: u16, reason: &str, message: &str) -> Self {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        Self { code, body }
    }

    fn about(mut self, resource: Resource, name: &str) -> Self {
        let mut details = json!({ "kind": resource.plural() });
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        if !resource.group().is_empty() {
            details["group"] = json!(resource.group());
        }
        self.body["details"] = details;
        self
    }

    pub(crate) fn unauthorized() -> Self {
        Self::refused(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        let mut reply = Self::refused(404, "NotFound", message);
        reply.body["details"] = json!({});
        reply
    }

    pub(crate) fn not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::refused(405, "MethodNotAllowed", message)
    }

    pub(crate) fn not_found(resource: Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::refused(404, "NotFound", &message).about(resource, name)
    }

    pub(crate) fn no_namespace(name: &str) -> Self {
        let message = format!("namespaces \"{name}\" not found");
        let mut reply = Self::refused(404, "NotFound", &message);
        reply.body["details"] = json!({ "name": name, "kind": "namespaces" });
        reply
    }

    pub(crate) fn exists(resource: Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::refused(409, "AlreadyExists", &message).about(resource, name)
    }

    pub(crate) fn conflict(resource: Resource, name: &str, why: &str) -> Self {
        let named = resource.qualified();
        let message = format!("Operation cannot be fulfilled on {named} \"{name}\": {why}");
        Self::refused(409, "Conflict", &message).about(resource, name)
    }

    /// What two pods made at once get of a namespace with a quota.
    pub(crate) fn quota_conflict() -> Self {
        let message = "Operation cannot be fulfilled on resourcequotas \"pods\": the object has \
                       been modified; please apply your changes to the latest version and try again";
        let mut reply = Self::refused(409, "Conflict", message);
        reply.body["details"] = json!({ "name": "pods", "kind": "resourcequotas" });
        reply
    }

    pub(crate) fn invalid(resource: Resource, name: &str, field: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is invalid: {field}: {why}", resource.kind());
        let mut reply = Self::refused(422, "Invalid", &message).about(resource, name);
        reply.body["details"]["kind"] = json!(resource.kind());
        reply.body["details"]["causes"] =
            json!([{ "reason": "FieldValueInvalid", "message": why, "field": field }]);
        reply
    }

    /// Refused by an admission: a quota, pod security.
    pub(crate) fn not_admitted(resource: Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", resource.qualified());
        Self::refused(403, "Forbidden", &message).about(resource, name)
    }

    /// Refused by the rights of the user.
    pub(crate) fn forbidden(target: &Target, verb: &str) -> Self {
        let (resource, right) = (target.resource, target.right());
        let name = target.name.as_deref().unwrap_or_default();
        let what = match name {
            "" => resource.qualified(),
            name => format!("{} \"{name}\"", resource.qualified()),
        };
        let scope = match &target.namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let message = format!(
            "{what} is forbidden: User \"{USER}\" cannot {verb} resource \"{right}\" in API group \
             \"{}\" {scope}",
            resource.group()
        );
        Self::refused(403, "Forbidden", &message).about(resource, name)
    }

    /// The revision that a watch asks for is forgotten.
    pub(crate) fn gone(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self::refused(410, "Expired", &message)
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        Self::refused(400, "BadRequest", message)
    }

    pub(crate) fn internal(message: &str) -> Self {
        let mut reply =
            Self::refused(500, "InternalError", &format!("Internal error occurred: {message}"));
        reply.body["details"] = json!({ "causes": [{ "message": message }] });
        reply
    }

    /// A status that the test's script asks for.
    pub(crate) fn scripted(code: u16) -> Self {
        let message = format!("the test's script answers {code}");
        match code {
            401 => Self::unauthorized(),
            429 => {
                let mut reply = Self::refused(code, "TooManyRequests", "Too many requests");
                reply.body["details"] = json!({ "retryAfterSeconds": 1 });
                reply
            }
            400 => Self::bad_request(&message),
            403 => Self::refused(code, "Forbidden", &message),
            404 => Self::refused(code, "NotFound", &message),
            409 => Self::refused(code, "Conflict", &message),
            410 => Self::refused(code, "Expired", &message),
            422 => Self::refused(code, "Invalid", &message),
            503 => Self::refused(code, "ServiceUnavailable", &message),
            504 => Self::refused(code, "Timeout", &message),
            500 => Self::internal(&message),
            _ => Self::refused(code, "", &message),
        }
    }
}
