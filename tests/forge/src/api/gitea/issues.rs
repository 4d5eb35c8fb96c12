//! The half of a pull request that is an issue: labels and comments.

use super::{invalid, not_found, view};
use crate::Kind;
use crate::call::{Call, Reply};
use crate::pull::{Comment, now};
use crate::state::{BOT, Label, State};
use serde_json::{Value, json};

pub(super) fn labels(state: &State, call: &Call<'_>) -> Reply {
    match state.pull(call.number()) {
        Some(pull) => Reply::json(200, Value::Array(view::labels(state, call, pull))),
        None => not_found(call),
    }
}

/// `POST` adds labels, `PUT` replaces them. Forgejo takes names as well as ids.
pub(super) fn set_labels(state: &mut State, call: &Call<'_>) -> Reply {
    let none = Vec::new();
    let wanted = call.body["labels"].as_array().unwrap_or(&none);
    if call.kind == Kind::Gitea && wanted.iter().any(Value::is_string) {
        let message = "[]: json: cannot unmarshal string into Go struct field \
                       IssueLabelsOption.labels of type int64";
        return invalid(call, message);
    }
    let meant = |label: &&Label| {
        wanted.iter().any(|item| *item == json!(label.id) || *item == json!(label.name))
    };
    let names: Vec<_> = state.labels.iter().filter(meant).map(|label| label.name.clone()).collect();
    let Some(pull) = state.pull_mut(call.number()) else { return not_found(call) };
    if call.operation.method == "PUT" {
        pull.labels.clear();
    }
    let new: Vec<_> = names.into_iter().filter(|name| !pull.labels.contains(name)).collect();
    pull.labels.extend(new);
    pull.touch();
    labels(state, call)
}

pub(super) fn remove_label(state: &mut State, call: &Call<'_>) -> Reply {
    let wanted = call.operation.parameter("identifier");
    let by_name = call.kind == Kind::Forgejo;
    let mut known = state.labels.iter();
    let label = known
        .find(|label| label.id.to_string() == wanted || (by_name && label.name == wanted))
        .map(|label| label.name.clone());
    let Some(pull) = state.pull_mut(call.number()) else { return not_found(call) };
    let Some(label) = label else { return invalid(call, "label does not exist [label_id: 0]") };
    pull.labels.retain(|name| *name != label);
    pull.touch();
    Reply::bytes(204, Vec::new())
}

pub(super) fn create_label(state: &mut State, call: &Call<'_>) -> Reply {
    let name = call.text("name").unwrap_or_default();
    let color = call.text("color").unwrap_or_default().trim_start_matches('#').to_lowercase();
    let is_color = [3, 6].contains(&color.len()) && color.bytes().all(|b| b.is_ascii_hexdigit());
    if name.is_empty() || !is_color {
        return invalid(call, "invalid color or no name");
    }
    // Both take a second label of one name.
    let label = Label { id: state.id(), name: name.to_owned(), color };
    let shown = view::label(call, &label);
    state.labels.push(label);
    Reply::json(201, shown)
}

pub(super) fn comments(state: &State, call: &Call<'_>) -> Reply {
    let Some(pull) = state.pull(call.number()) else { return not_found(call) };
    // This list has no pages.
    let all: Vec<_> = pull.comments.iter().map(|comment| shown(call, comment)).collect();
    let total = all.len().to_string();
    Reply::json(200, Value::Array(all)).header("x-total-count", &total)
}

pub(super) fn comment(state: &mut State, call: &Call<'_>) -> Reply {
    let body = call.text("body").unwrap_or_default().to_owned();
    let comment = Comment { id: state.id(), author: BOT.to_owned(), body, at: now() };
    let Some(pull) = state.pull_mut(call.number()) else { return not_found(call) };
    pull.comments.push(comment.clone());
    pull.touch();
    Reply::json(201, shown(call, &comment))
}

fn shown(call: &Call<'_>, comment: &Comment) -> Value {
    let fields = json!({
        "id": comment.id,
        "body": comment.body,
        "user": view::user(call, &comment.author),
        "created_at": comment.at,
        "updated_at": comment.at,
    });
    call.complete("Comment", fields)
}
