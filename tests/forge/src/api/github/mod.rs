//! GitHub's operations.

mod checks;
mod issues;
mod pulls;
mod view;

use super::{own_branch, route};
use crate::access::Access;
use crate::call::{Call, DOCUMENTATION, Reply};
use crate::state::{BOT, State};
use serde_json::{Value, json};

/// What GitHub answers; nothing for an operation that is not here.
pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Option<Reply> {
    Some(match route(call.operation) {
        ("GET", "") => Reply::json(200, view::full_repository(state, call)),
        ("GET", "/branches/{branch}") => branch(state, call),
        ("GET", "/git/ref/{ref}") => git_ref(state, call),
        ("GET", "/collaborators/{username}/permission") => permission(state, call),
        ("GET", "/commits/{ref}/check-runs") => checks::runs(state, call),
        ("GET", "/commits/{ref}/status") => checks::combined_status(state, call),
        ("GET", "/pulls") => pulls::list(state, call),
        ("POST", "/pulls") => pulls::create(state, call),
        ("GET", "/pulls/{pull_number}") => pulls::get(state, call),
        ("PATCH", "/pulls/{pull_number}") => pulls::edit(state, call),
        ("GET", "/pulls/{pull_number}/requested_reviewers") => pulls::reviewers(state, call),
        ("POST", "/pulls/{pull_number}/requested_reviewers") => pulls::request(state, call),
        ("GET", "/pulls/{pull_number}/reviews") => pulls::reviews(state, call),
        ("GET", "/issues/{issue_number}") => issues::get(state, call),
        ("GET", "/issues/{issue_number}/labels") => issues::labels(state, call),
        ("POST", "/issues/{issue_number}/labels") => issues::add_labels(state, call),
        ("DELETE", "/issues/{issue_number}/labels/{name}") => issues::remove_label(state, call),
        ("POST", "/issues/{issue_number}/assignees") => issues::assign(state, call),
        ("GET", "/issues/{issue_number}/comments") => issues::comments(state, call),
        ("POST", "/issues/{issue_number}/comments") => issues::comment(state, call),
        ("GET", "/labels") => {
            call.list(state.labels.iter().map(|label| view::label(call, label)).collect())
        }
        ("GET", "/user") => Reply::json(200, view::public_user(call, BOT)),
        ("GET", "/rate_limit") => Reply::json(200, rate_limit(call)),
        ("GET", "/meta") => {
            let fields = json!({ "verifiable_password_authentication": false });
            Reply::json(200, call.complete("api-overview", fields))
        }
        _ => return None,
    })
}

/// 404, as GitHub says it.
fn not_found(call: &Call<'_>) -> Reply {
    Reply::error(call.kind, call.origin, 404, call.kind.not_found())
}

/// 422 with what is wrong.
fn invalid(errors: Value) -> Reply {
    let body = json!({ "message": "Validation Failed", "errors": errors,
        "documentation_url": DOCUMENTATION });
    Reply::json(422, body)
}

/// One error of a [422](invalid) in words.
fn custom(resource: &str, field: Option<&str>, message: &str) -> Reply {
    let mut error = json!({ "resource": resource, "code": "custom", "message": message });
    if let Some(field) = field {
        error["field"] = field.into();
    }
    invalid(json!([error]))
}

fn branch(state: &State, call: &Call<'_>) -> Reply {
    let name = call.operation.parameter("branch");
    let Some(sha) = state.git.branches().remove(name) else {
        return Reply::error(call.kind, call.origin, 404, "Branch not found");
    };
    let url = format!("{}/branches/{name}", view::repository_url(state, call));
    let fields = json!({
        "name": name,
        "commit": call.complete("commit", json!({ "sha": sha })),
        "protected": state.is_protected(name),
        "_links": { "self": url },
        "protection_url": format!("{url}/protection"),
    });
    Reply::json(200, call.complete("branch-with-protection", fields))
}

fn git_ref(state: &State, call: &Call<'_>) -> Reply {
    let name = call.operation.parameter("ref");
    let sha = name.strip_prefix("heads/").and_then(|branch| state.git.branches().remove(branch));
    let Some(sha) = sha else { return not_found(call) };
    let fields = json!({ "ref": format!("refs/{name}"),
        "url": format!("{}/git/refs/{name}", view::repository_url(state, call)),
        "object": { "type": "commit", "sha": sha } });
    Reply::json(200, call.complete("git-ref", fields))
}

fn permission(state: &State, call: &Call<'_>) -> Reply {
    let login = call.operation.parameter("username");
    let may = state.people.iter().any(|known| known == login)
        || (login == BOT && call.access == Access::Full);
    let word = match (may, login) {
        (true, _) => "write",
        (false, BOT) => "read",
        (false, _) => "none",
    };
    let user = json!({ "login": login });
    let fields = json!({ "permission": word, "role_name": word,
        "user": call.complete("nullable-collaborator", user) });
    Reply::json(200, call.complete("repository-collaborator-permission", fields))
}

fn rate_limit(call: &Call<'_>) -> Value {
    let reset = jiff::Timestamp::now().as_second() + 3600;
    let rate = json!({ "limit": 5000, "remaining": 4999, "used": 1, "reset": reset });
    let resources = json!({ "core": rate });
    call.complete("rate-limit-overview", json!({ "rate": rate, "resources": resources }))
}
