//! The operations of Forgejo and of Gitea, which it comes from.

mod issues;
mod pulls;
mod view;

use super::{combined, own_branch, route};
use crate::Kind;
use crate::call::{Call, Reply};
use crate::state::{BOT, State};
use serde_json::{Value, json};

/// What the service answers; nothing for an operation that is not here.
pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Option<Reply> {
    Some(match route(call.operation) {
        ("GET", "") => Reply::json(200, view::repository(state, call)),
        ("GET", "/branches/{branch}") => branch(state, call),
        ("GET", "/collaborators/{collaborator}/permission") => permission(state, call),
        ("GET", "/commits/{ref}/status") => combined_status(state, call),
        ("GET", "/commits/{ref}/statuses" | "/statuses/{sha}") => statuses(state, call),
        ("GET", "/pulls") => pulls::list(state, call),
        ("POST", "/pulls") => pulls::create(state, call),
        ("GET", "/pulls/{index}") => pulls::get(state, call),
        ("GET", "/pulls/{base}/{head}") => pulls::by_branches(state, call),
        ("PATCH", "/pulls/{index}") => pulls::edit(state, call),
        ("POST", "/pulls/{index}/requested_reviewers") => pulls::request(state, call),
        ("GET", "/pulls/{index}/reviews") => pulls::reviews(state, call),
        ("GET", "/issues/{index}/labels") => issues::labels(state, call),
        ("POST" | "PUT", "/issues/{index}/labels") => issues::set_labels(state, call),
        ("DELETE", "/issues/{index}/labels/{identifier}") => issues::remove_label(state, call),
        ("GET", "/issues/{index}/comments") => issues::comments(state, call),
        ("POST", "/issues/{index}/comments") => issues::comment(state, call),
        ("GET", "/labels") => {
            call.list(state.labels.iter().map(|label| view::label(call, label)).collect())
        }
        ("POST", "/labels") => issues::create_label(state, call),
        ("GET", "/user") => Reply::json(200, view::user(call, BOT)),
        ("GET", "/version") => {
            let version = match call.kind {
                Kind::Gitea => "1.22.6",
                _ => "11.0.0+gitea-1.22.0",
            };
            Reply::json(200, json!({ "version": version }))
        }
        _ => return None,
    })
}

/// 404, as they say it.
fn not_found(call: &Call<'_>) -> Reply {
    Reply::error(call.kind, call.origin, 404, call.kind.not_found())
}

/// 422 with what is wrong.
fn invalid(call: &Call<'_>, message: &str) -> Reply {
    Reply::error(call.kind, call.origin, 422, message)
}

fn branch(state: &State, call: &Call<'_>) -> Reply {
    let name = call.operation.parameter("branch");
    let Some(sha) = state.git.branches().remove(name) else { return not_found(call) };
    let protected = state.is_protected(name);
    let fields = json!({
        "name": name,
        "commit": call.complete("PayloadCommit", json!({ "id": sha })),
        "protected": protected,
        "user_can_push": !protected,
        "user_can_merge": true,
        "effective_branch_protection_name": if protected { name } else { "" },
    });
    Reply::json(200, call.complete("Branch", fields))
}

fn permission(state: &State, call: &Call<'_>) -> Reply {
    let login = call.operation.parameter("collaborator");
    let known = login == BOT || state.people.iter().any(|known| known == login);
    let word = if known { "write" } else { "none" };
    let fields = json!({ "permission": word, "role_name": word, "user": view::user(call, login) });
    Reply::json(200, call.complete("RepoCollaboratorPermission", fields))
}

/// With no status there is no object either: null.
fn combined_status(state: &State, call: &Call<'_>) -> Reply {
    let Some(sha) = state.git.commit(call.operation.parameter("ref")) else {
        return not_found(call);
    };
    let marks = state.marks(&sha, false);
    if marks.is_empty() {
        return Reply::json(200, Value::Null).header("x-total-count", "0");
    }
    let states: Vec<_> = marks.iter().map(|mark| mark.state).collect();
    let total = marks.len().to_string();
    let (page, _) = call.paged(marks);
    let fields = json!({
        "state": combined(&states),
        "sha": sha,
        "total_count": states.len(),
        "statuses": page.into_iter().map(|mark| view::status(call, mark)).collect::<Vec<_>>(),
        "repository": view::repository(state, call),
    });
    Reply::json(200, call.complete("CombinedStatus", fields)).header("x-total-count", &total)
}

fn statuses(state: &State, call: &Call<'_>) -> Reply {
    let name = ["ref", "sha"].map(|name| call.operation.parameter(name)).concat();
    let Some(sha) = state.git.commit(&name) else { return not_found(call) };
    let all = state.marks.iter().rev().filter(|mark| mark.sha == sha && !mark.is_check);
    call.list(all.map(|mark| view::status(call, mark)).collect())
}
