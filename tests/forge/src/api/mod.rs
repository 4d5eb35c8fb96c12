//! The API: which call it is, whether the caller may, and whether the contract has it.

mod gitea;
mod github;

use crate::Kind;
use crate::access::Access;
use crate::call::{Call, Reply};
use crate::contract::{Operation, decoded};
use crate::state::{OWNER, Shared, State};
use axum::http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The repository's number, which GitHub's redirects name it by.
pub(crate) const REPOSITORY_ID: u64 = 1;

/// A request for the API.
pub(crate) struct ApiCall {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether a fault stands in the way of doing it. It has to be in the contract all the same.
    pub(crate) faulted: bool,
}

/// Answers it; violations of the contract are kept.
pub(crate) fn answer(shared: &Shared, asked: &ApiCall) -> Reply {
    let ApiCall { method, path, headers, body, faulted } = asked;
    let (kind, origin) = (shared.kind, shared.origin());
    let mut problems = Vec::new();
    let (before, query) = path.split_once('?').unwrap_or((path, ""));
    let reply = 'reply: {
        let Some(inner) = before.strip_prefix(kind.prefix()) else {
            problems.push(format!("the API is below {}", kind.prefix()));
            break 'reply Reply::error(kind, &origin, 404, kind.not_found());
        };
        let inner = by_name(shared, inner);
        let Some(operation) = shared.contract.operation(method, &inner) else {
            problems.push("no such operation in the contract".to_owned());
            break 'reply Reply::error(kind, &origin, 404, kind.not_found());
        };
        let (access, problem) = Access::of_api(shared, headers);
        problems.extend(problem.filter(|_| !is_public(operation.template)));
        if headers.get("user-agent").is_none_or(|agent| agent.as_bytes().is_empty()) {
            problems.push("no user-agent header".to_owned());
        }
        let query: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
        problems.extend(shared.contract.check_request(&operation, &query, content_type, body));
        let call = Call {
            kind,
            contract: shared.contract,
            operation: &operation,
            query: &query,
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
            access,
            origin: &origin,
            path: before,
        };
        if *faulted {
            break 'reply Reply::bytes(503, Vec::new());
        }
        let reply = served(shared, &call, &mut problems);
        let status = reply.status;
        problems.extend(shared.contract.check_response(&operation, status, reply.json.as_ref()));
        reply
    };
    shared.violated(method, path, problems);
    if kind == Kind::GitHub { github_headers(method, headers, reply) } else { reply }
}

fn served(shared: &Shared, call: &Call<'_>, problems: &mut Vec<String>) -> Reply {
    let mut state = shared.state();
    if let Some(refusal) = refused(&state, call) {
        return refusal;
    }
    let reply = match call.kind {
        Kind::GitHub => github::answer(&mut state, call),
        Kind::Forgejo | Kind::Gitea => gitea::answer(&mut state, call),
    };
    reply.unwrap_or_else(|| {
        problems.push("the scripted forge does not have this operation yet".to_owned());
        Reply::error(call.kind, call.origin, 501, "not in the scripted forge")
    })
}

/// What is answered instead to who may not do this, or who names what is not there.
fn refused(state: &State, call: &Call<'_>) -> Option<Reply> {
    let error = |status, message: &str| Some(Reply::error(call.kind, call.origin, status, message));
    let template = call.operation.template;
    match call.access {
        Access::Unknown => return error(401, call.kind.bad_token()),
        Access::Anonymous if is_public(template) => return None,
        Access::Anonymous if !template.starts_with("/repos/") => {
            return error(401, call.kind.no_token());
        }
        _ => {}
    }
    if !template.starts_with("/repos/") {
        return None;
    }
    let (owner, name) = (call.operation.parameter("owner"), call.operation.parameter("repo"));
    let named = format!("{owner}/{name}");
    let hidden = matches!(call.access, Access::Anonymous | Access::Outsider);
    if hidden || state.deleted || owner != OWNER {
        return error(404, call.kind.not_found());
    }
    if state.former_names.contains(&named) {
        return Some(moved(state, call, &named));
    }
    if name != state.name {
        return error(404, call.kind.not_found());
    }
    if call.access == Access::ReadOnly && call.operation.method != "GET" {
        let scope = if template.contains("/issues/") { "issue" } else { "repository" };
        let message = match call.kind {
            Kind::GitHub => "Resource not accessible by personal access token".to_owned(),
            Kind::Forgejo | Kind::Gitea => {
                format!("token does not have at least one of required scope(s): [write:{scope}]")
            }
        };
        return error(403, &message);
    }
    None
}

fn moved(state: &State, call: &Call<'_>, former: &str) -> Reply {
    let prefix = call.kind.prefix();
    let old = format!("{prefix}/repos/{former}");
    let rest = call.path.strip_prefix(&old).unwrap_or_default();
    let asked: Vec<_> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let asked = if asked.is_empty() { String::new() } else { format!("?{}", asked.join("&")) };
    if call.kind != Kind::GitHub {
        let place = format!("{prefix}/repos/{}{rest}{asked}", state.full_name());
        return Reply::text(307, "").header("location", &place);
    }
    let place = format!("{}{prefix}/repositories/{REPOSITORY_ID}{rest}{asked}", call.origin);
    let (status, message) = match call.operation.method.as_str() {
        "GET" => (301, "Moved Permanently"),
        _ => (307, "Temporary Redirect"),
    };
    let body = serde_json::json!({ "message": message, "url": place,
        "documentation_url": crate::call::DOCUMENTATION });
    Reply::json(status, body).header("location", &place)
}

/// GitHub's redirects name a repository by its number, which its document does not have.
fn by_name(shared: &Shared, path: &str) -> String {
    let numbered = format!("/repositories/{REPOSITORY_ID}");
    match path.strip_prefix(&numbered) {
        Some(rest) if shared.kind == Kind::GitHub && (rest.is_empty() || rest.starts_with('/')) => {
            format!("/repos/{}{rest}", shared.state().full_name())
        }
        _ => path.to_owned(),
    }
}

fn is_public(template: &str) -> bool {
    matches!(template, "/meta" | "/rate_limit" | "/version")
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(name), decoded(&value.replace('+', " ")))
}

/// What stands on each of GitHub's answers; a client that has this very answer gets a 304.
fn github_headers(method: &str, headers: &HeaderMap, mut reply: Reply) -> Reply {
    if method == "GET" && reply.status == 200 {
        let digest = Sha256::digest(&reply.body);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let tag = format!("W/\"{digest}\"");
        let known = headers.get("if-none-match").and_then(|value| value.to_str().ok());
        if known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
            reply = Reply::bytes(304, Vec::new());
        }
        reply = reply.header("etag", &tag);
    }
    let hour = jiff::Timestamp::now().as_second() + 3600;
    reply
        .header("x-ratelimit-limit", "5000")
        .header("x-ratelimit-remaining", "4999")
        .header("x-ratelimit-used", "1")
        .header("x-ratelimit-resource", "core")
        .header("x-ratelimit-reset", &hour.to_string())
        .header("x-github-request-id", &uuid::Uuid::new_v4().simple().to_string())
}

/// How well a commit does: the worst of its statuses, `pending` where there is none.
fn combined(states: &[crate::CheckState]) -> &'static str {
    use crate::CheckState::{Failure, Pending};
    if states.contains(&Failure) {
        "failure"
    } else if states.is_empty() || states.contains(&Pending) {
        "pending"
    } else {
        "success"
    }
}

/// The branch of `branch` or `acme:branch`; nothing where it is another owner's.
fn own_branch(head: &str) -> Option<&str> {
    match head.split_once(':') {
        Some((owner, branch)) => (owner == OWNER).then_some(branch),
        None => Some(head),
    }
}

/// The state that `Operation` names, for a `match` over both.
fn route<'a>(operation: &'a Operation<'_>) -> (&'a str, &'a str) {
    let template = operation.template;
    let short = template.strip_prefix("/repos/{owner}/{repo}").unwrap_or(template);
    (operation.method.as_str(), short)
}
