//! The half of a pull request that GitHub calls an issue: labels, assignees, comments.

use super::{not_found, view};
use crate::call::{Call, Reply};
use crate::pull::{Comment, Pull, now};
use crate::state::{BOT, State};
use serde_json::{Value, json};

pub(super) fn get(state: &State, call: &Call<'_>) -> Reply {
    match state.pull(call.number()) {
        Some(pull) => Reply::json(200, issue(state, call, pull)),
        None => not_found(call),
    }
}

pub(super) fn labels(state: &State, call: &Call<'_>) -> Reply {
    match state.pull(call.number()) {
        Some(pull) => call.list(view::labels(state, call, pull)),
        None => not_found(call),
    }
}

/// Labels that the repository does not have are made.
pub(super) fn add_labels(state: &mut State, call: &Call<'_>) -> Reply {
    let number = call.number();
    if state.pull(number).is_none() {
        return not_found(call);
    }
    let names: Vec<_> =
        call.texts("labels").iter().map(|name| state.label(name).name.clone()).collect();
    if let Some(pull) = state.pull_mut(number) {
        let new: Vec<_> = names.into_iter().filter(|name| !pull.labels.contains(name)).collect();
        pull.labels.extend(new);
        pull.touch();
    }
    all_labels(state, call, number)
}

pub(super) fn remove_label(state: &mut State, call: &Call<'_>) -> Reply {
    let (number, name) = (call.number(), call.operation.parameter("name"));
    let Some(pull) = state.pull_mut(number) else { return not_found(call) };
    let before = pull.labels.len();
    pull.labels.retain(|label| !label.eq_ignore_ascii_case(name));
    if pull.labels.len() == before {
        return Reply::error(call.kind, call.origin, 404, "Label does not exist");
    }
    pull.touch();
    all_labels(state, call, number)
}

/// People who have no access are left out without a word.
pub(super) fn assign(state: &mut State, call: &Call<'_>) -> Reply {
    let number = call.number();
    let wanted = call.texts("assignees");
    let known: Vec<_> =
        wanted.into_iter().filter(|login| login == BOT || state.people.contains(login)).collect();
    let Some(pull) = state.pull_mut(number) else { return not_found(call) };
    let new: Vec<_> = known.into_iter().filter(|login| !pull.assignees.contains(login)).collect();
    pull.assignees.extend(new);
    pull.touch();
    match state.pull(number) {
        Some(pull) => Reply::json(201, issue(state, call, pull)),
        None => not_found(call),
    }
}

pub(super) fn comments(state: &State, call: &Call<'_>) -> Reply {
    let Some(pull) = state.pull(call.number()) else { return not_found(call) };
    call.list(pull.comments.iter().map(|comment| shown(call, comment)).collect())
}

pub(super) fn comment(state: &mut State, call: &Call<'_>) -> Reply {
    let body = call.text("body").unwrap_or_default().to_owned();
    let comment = Comment { id: state.id(), author: BOT.to_owned(), body, at: now() };
    let Some(pull) = state.pull_mut(call.number()) else { return not_found(call) };
    pull.comments.push(comment.clone());
    pull.touch();
    Reply::json(201, shown(call, &comment))
}

fn all_labels(state: &State, call: &Call<'_>, number: u64) -> Reply {
    let pull = state.pull(number);
    let labels = pull.map(|pull| view::labels(state, call, pull)).unwrap_or_default();
    Reply::json(200, Value::Array(labels))
}

fn shown(call: &Call<'_>, comment: &Comment) -> Value {
    let fields = json!({
        "id": comment.id,
        "body": comment.body,
        "user": view::user(call, &comment.author),
        "created_at": comment.at,
        "updated_at": comment.at,
        "author_association": "COLLABORATOR",
    });
    call.complete("issue-comment", fields)
}

fn issue(state: &State, call: &Call<'_>, pull: &Pull) -> Value {
    let people: Vec<_> = pull.assignees.iter().map(|login| view::user(call, login)).collect();
    let url = format!("{}/pulls/{}", view::repository_url(state, call), pull.number);
    let page = format!("{}/{}/pull/{}", call.origin, state.full_name(), pull.number);
    let fields = json!({
        "id": pull.id,
        "number": pull.number,
        "title": pull.title,
        "body": pull.body,
        "state": pull.state_word(),
        "user": view::user(call, BOT),
        "labels": view::labels(state, call, pull),
        "assignee": people.first(),
        "assignees": people,
        "comments": pull.comments.len(),
        "created_at": pull.created,
        "updated_at": pull.updated,
        "closed_at": pull.closed,
        "draft": pull.draft,
        "html_url": page,
        "author_association": "CONTRIBUTOR",
        "pull_request": { "url": url, "html_url": page, "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch") },
    });
    call.complete("issue", fields)
}
