//! From a request to a session.

use super::session::{self, Session};
use crate::api::{Answer, Call};
use crate::fault::{self, Kind};
use crate::lookup;
use crate::recorded::{flag, value, values};
use crate::resource::Target;
use crate::state::Shared;
use crate::status::Reply;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A subprotocol of exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `v4.channel.k8s.io`, where stdin ends only with the connection.
    V4,
    /// `v5.channel.k8s.io`, where a client can close it.
    V5,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }
}

/// What a client wants to run and to see of it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) command: Vec<String>,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

/// Refuses, or upgrades the connection and goes on without the caller.
pub(crate) fn answer(shared: &Arc<Shared>, target: &Target, mut call: Call) -> Answer {
    let wanted = wanted(&call.query)?;
    let key = lookup::key(target);
    let (uid, container, cut) = {
        let mut state = shared.state();
        let pod =
            state.objects.get(&key).ok_or_else(|| Reply::not_found(key.resource, &key.name))?;
        let container = container(pod, value(&call.query, "container"))?;
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        if pod["spec"]["nodeName"].is_null() {
            let message = format!("pod {} does not have a host assigned", key.name);
            return Err(Reply::bad_request(&message));
        }
        let runs = state.cells.get(&uid).is_some_and(|cell| cell.runs);
        if !runs {
            let name = container["name"].as_str().unwrap_or_default();
            return Err(Reply::internal(&not_found(name)));
        }
        if !upgrades(&call.headers) {
            return Err(Reply::bad_request("Upgrade request required"));
        }
        let cut = fault::take(&mut state.faults, |kind| matches!(kind, Kind::CutExec(_)));
        (uid, container, cut)
    };
    let cut = if let Some(Kind::CutExec(bytes)) = cut { Some(bytes) } else { None };
    let protocol = protocol(&call.headers, &shared.protocols)?;
    let upgrade = call.upgrade.take();
    let upgrade = upgrade.ok_or_else(|| Reply::bad_request("Upgrade request required"))?;
    let key_header = call.headers.get(header::SEC_WEBSOCKET_KEY);
    let accept = key_header.map(|key| derive_accept_key(key.as_bytes()));
    let accept = accept.ok_or_else(|| Reply::bad_request("Sec-WebSocket-Key is missing"))?;
    let session =
        Session { shared: Arc::clone(shared), key, uid, container, wanted, protocol, cut };
    shared.sessions.spawn(session::run(session, upgrade));
    Ok(switching(protocol, &accept))
}

fn switching(protocol: Protocol, accept: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let mut add = |name: HeaderName, value: &str| {
        let value = HeaderValue::from_str(value).expect("a header's value");
        response.headers_mut().insert(name, value);
    };
    add(header::CONNECTION, "Upgrade");
    add(header::UPGRADE, "websocket");
    add(header::SEC_WEBSOCKET_ACCEPT, accept);
    add(header::SEC_WEBSOCKET_PROTOCOL, protocol.name());
    response
}

fn wanted(query: &str) -> Result<Wanted, Reply> {
    let [stdin, stdout, stderr, tty] =
        ["stdin", "stdout", "stderr", "tty"].map(|name| flag(query, name));
    let wanted = Wanted { command: values(query, "command"), stdin, stdout, stderr, tty };
    if wanted.command.is_empty() {
        return Err(Reply::bad_request("you must specify at least 1 command for the container"));
    }
    if !(wanted.stdin || wanted.stdout || wanted.stderr) {
        return Err(Reply::bad_request("you must specify at least one of stdin, stdout, stderr"));
    }
    if wanted.tty && wanted.stderr {
        return Err(Reply::bad_request("tty and stderr cannot both be true"));
    }
    Ok(wanted)
}

fn container(pod: &Value, asked: Option<String>) -> Result<Value, Reply> {
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let found = match &asked {
        Some(asked) => containers.iter().find(|container| container["name"] == asked.as_str()),
        None => containers.first(),
    };
    found.cloned().ok_or_else(|| {
        let asked = asked.unwrap_or_default();
        Reply::bad_request(&format!("container {asked} is not valid for pod {name}"))
    })
}

/// In the words of the kubelet.
pub(super) fn not_found(container: &str) -> String {
    format!("unable to upgrade connection: container not found (\"{container}\")")
}

fn upgrades(headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, wanted: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket")
}

/// The first that the client names and this cluster knows.
fn protocol(headers: &HeaderMap, known: &[Protocol]) -> Result<Protocol, Reply> {
    let named = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let named: Vec<&str> = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let found = named.iter().find_map(|name| known.iter().find(|known| known.name() == *name));
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(|known| known.name()).collect();
        let message = format!("unable to upgrade: unable to negotiate protocol: {known:?}");
        Reply::bad_request(&message)
    })
}
