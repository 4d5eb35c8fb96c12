//! From a request to what it asks for.

use crate::access;
use crate::create;
use crate::delete;
use crate::exec;
use crate::lookup;
use crate::recorded::{flag, value};
use crate::resource::Target;
use crate::selector::Selector;
use crate::state::Shared;
use crate::status::Reply;
use crate::watch::{self, Wanted};
use axum::http::HeaderMap;
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use std::sync::Arc;

/// A request that was let in.
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) upgrade: Option<OnUpgrade>,
}

/// A stream or an upgrade, or a body and its status.
pub(crate) type Answer = Result<Response, Reply>;

pub(crate) fn answer(shared: &Arc<Shared>, call: Call) -> Answer {
    if let Some(about) = lookup::about(&call.path).filter(|_| call.method == "GET") {
        return Err(Reply::ok(about));
    }
    if let "/healthz" | "/livez" | "/readyz" = call.path.as_str() {
        return Err(Reply::ok(Value::from("ok")));
    }
    let parts: Vec<&str> = call.path.split('/').filter(|part| !part.is_empty()).collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("POST", ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"]) => {
            return Err(access::review(&shared.state().faults, call.body));
        }
        ("GET", ["api", "v1", "namespaces"]) => return Err(lookup::namespaces(&shared.state())),
        ("GET", ["api", "v1", "namespaces", name]) => {
            return Err(lookup::namespace(&shared.state(), name));
        }
        _ => {}
    }
    let target = Target::of(&call.path).ok_or_else(Reply::no_such_path)?;
    let watches = flag(&call.query, "watch");
    let exec = target.sub.as_deref() == Some("exec");
    let verbs: &[&str] = match (call.method.as_str(), target.name.is_some()) {
        // Who upgrades a GET needs the right to create as well in newer clusters.
        ("GET", true) if exec => &["get", "create"],
        ("POST", true) if exec => &["create"],
        ("GET", false) if watches => &["watch"],
        ("GET", true) => &["get"],
        ("GET", false) => &["list"],
        ("POST", false) => &["create"],
        ("DELETE", true) => &["delete"],
        ("DELETE", false) => &["deletecollection"],
        _ => return Err(Reply::not_allowed()),
    };
    if let Some(reply) = access::refusal(&mut shared.state().faults, &target, verbs) {
        return Err(reply);
    }
    match target.sub.as_deref() {
        Some("exec") => return exec::answer(shared, &target, call),
        Some(_) => return Err(Reply::no_such_path()),
        None => {}
    }
    match verbs[0] {
        "get" => Err(lookup::get(&shared.state(), &target)),
        "list" => Err(lookup::list(&shared.state(), &selector(&target, &call.query)?)),
        "create" => {
            let dry = value(&call.query, "dryRun").is_some();
            Err(create::create(shared, &target, call.body, dry))
        }
        "delete" => Err(delete::one(shared, &target, &call.query, &call.body)),
        "deletecollection" => {
            let selector = selector(&target, &call.query)?;
            Err(delete::all(shared, &selector, &call.query, &call.body))
        }
        _ => watch(shared, &target, &call.query),
    }
}

fn watch(shared: &Arc<Shared>, target: &Target, query: &str) -> Answer {
    if flag(query, "sendInitialEvents") {
        return Err(watch::refuse_initial_events());
    }
    let wanted = Wanted {
        selector: selector(target, query)?,
        revision: value(query, "resourceVersion"),
        bookmarks: flag(query, "allowWatchBookmarks"),
        seconds: value(query, "timeoutSeconds").and_then(|seconds| seconds.parse().ok()),
    };
    watch::start(shared, wanted)
}

fn selector(target: &Target, query: &str) -> Result<Selector, Reply> {
    let text = |name: &str| value(query, name).unwrap_or_default();
    Selector::of(target, &text("labelSelector"), &text("fieldSelector"))
}
