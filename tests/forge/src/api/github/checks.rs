//! What machines say of a commit: check runs, and the older statuses.

use super::super::combined;
use super::view;
use crate::call::{Call, Reply};
use crate::pull::CheckState;
use crate::state::{Mark, State};
use serde_json::{Value, json};

pub(super) fn runs(state: &State, call: &Call<'_>) -> Reply {
    let Some(sha) = state.git.commit(call.operation.parameter("ref")) else {
        return no_commit(call);
    };
    let marks = state.marks(&sha, true);
    let named = marks
        .into_iter()
        .filter(|mark| call.query("check_name").is_none_or(|name| mark.name == name))
        .filter(|mark| call.query("status").is_none_or(|word| status_word(mark) == word));
    let shown: Vec<_> = named.map(|mark| run(state, call, mark)).collect();
    let total = shown.len();
    let (page, link) = call.paged(shown);
    let reply = Reply::json(200, json!({ "total_count": total, "check_runs": page }));
    match link {
        Some(link) => reply.header("link", &link),
        None => reply,
    }
}

pub(super) fn combined_status(state: &State, call: &Call<'_>) -> Reply {
    let Some(sha) = state.git.commit(call.operation.parameter("ref")) else {
        return no_commit(call);
    };
    let marks = state.marks(&sha, false);
    let states: Vec<_> = marks.iter().map(|mark| mark.state).collect();
    let url = format!("{}/commits/{sha}", view::repository_url(state, call));
    let (page, link) = call.paged(marks);
    let statuses: Vec<_> = page.into_iter().map(|mark| status(call, mark)).collect();
    let fields = json!({
        "state": combined(&states),
        "sha": sha,
        "total_count": states.len(),
        "statuses": statuses,
        "repository": view::minimal_repository(state, call),
        "commit_url": url,
        "url": format!("{url}/status"),
    });
    let reply = Reply::json(200, call.complete("combined-commit-status", fields));
    match link {
        Some(link) => reply.header("link", &link),
        None => reply,
    }
}

fn no_commit(call: &Call<'_>) -> Reply {
    let name = call.operation.parameter("ref");
    Reply::error(call.kind, call.origin, 422, &format!("No commit found for SHA: {name}"))
}

fn status_word(mark: &Mark) -> &'static str {
    if mark.state == CheckState::Pending { "in_progress" } else { "completed" }
}

fn run(state: &State, call: &Call<'_>, mark: &Mark) -> Value {
    let conclusion = match mark.state {
        CheckState::Pending => None,
        CheckState::Success => Some("success"),
        CheckState::Failure => Some("failure"),
    };
    let url = format!("{}/check-runs/{}", view::repository_url(state, call), mark.id);
    let page = format!("{}/{}/runs/{}", call.origin, state.full_name(), mark.id);
    let fields = json!({
        "id": mark.id,
        "name": mark.name,
        "head_sha": mark.sha,
        "status": status_word(mark),
        "conclusion": conclusion,
        "started_at": mark.at,
        "completed_at": conclusion.map(|_| &mark.at),
        "url": url,
        "html_url": page,
        "details_url": page,
    });
    call.complete("check-run", fields)
}

fn status(call: &Call<'_>, mark: &Mark) -> Value {
    let fields = json!({
        "id": mark.id,
        "context": mark.name,
        "state": combined(&[mark.state]),
        "created_at": mark.at,
        "updated_at": mark.at,
    });
    call.complete("simple-commit-status", fields)
}
