//! What GitHub shows of things.

use super::super::REPOSITORY_ID;
use crate::access::Access;
use crate::call::Call;
use crate::pull::{Pull, PullState};
use crate::state::{BOT, Label, OWNER, State};
use serde_json::{Value, json};

/// The address of the repository within the API.
pub(super) fn repository_url(state: &State, call: &Call<'_>) -> String {
    format!("{}{}/repos/{}", call.origin, call.kind.prefix(), state.full_name())
}

fn user_fields(call: &Call<'_>, login: &str) -> Value {
    let kind = if login == OWNER { "Organization" } else { "User" };
    // The tokens' owner has the number that the rate limit's message names.
    let id = if login == BOT { 1001 } else { login.bytes().map(u64::from).sum::<u64>() };
    json!({
        "login": login,
        "id": id,
        "type": kind,
        "url": format!("{}{}/users/{login}", call.origin, call.kind.prefix()),
        "html_url": format!("{}/{login}", call.origin),
    })
}

/// Somebody.
pub(super) fn user(call: &Call<'_>, login: &str) -> Value {
    call.complete("simple-user", user_fields(call, login))
}

/// Somebody at length.
pub(super) fn public_user(call: &Call<'_>, login: &str) -> Value {
    let mut made = call.complete("public-user", user_fields(call, login));
    made["user_view_type"] = "public".into();
    made
}

/// The fields that GitHub's shapes of a repository have in common.
fn repository_fields(state: &State, call: &Call<'_>) -> Value {
    let (name, full_name) = (&state.name, state.full_name());
    json!({
        "id": REPOSITORY_ID,
        "name": name,
        "full_name": full_name,
        "private": true,
        "owner": user(call, OWNER),
        "url": repository_url(state, call),
        "html_url": format!("{}/{full_name}", call.origin),
    })
}

/// The repository, as a pull request's ends show it.
fn repository(state: &State, call: &Call<'_>) -> Value {
    let mut fields = repository_fields(state, call);
    fields["default_branch"] = crate::git::MAIN.into();
    fields["clone_url"] = format!("{}/{}.git", call.origin, state.full_name()).into();
    call.complete("repository", fields)
}

/// The repository, as a combined status shows it.
pub(super) fn minimal_repository(state: &State, call: &Call<'_>) -> Value {
    call.complete("minimal-repository", repository_fields(state, call))
}

/// The repository.
pub(super) fn full_repository(state: &State, call: &Call<'_>) -> Value {
    let push = call.access == Access::Full;
    let mut fields = repository_fields(state, call);
    fields["default_branch"] = crate::git::MAIN.into();
    fields["clone_url"] = format!("{}/{}.git", call.origin, state.full_name()).into();
    fields["permissions"] = json!({ "admin": false, "maintain": false, "push": push,
        "triage": push, "pull": true });
    fields["visibility"] = "private".into();
    fields["allow_auto_merge"] = false.into();
    call.complete("full-repository", fields)
}

/// A label.
pub(super) fn label(call: &Call<'_>, label: &Label) -> Value {
    let fields = json!({ "id": label.id, "name": label.name, "color": label.color,
        "description": "", "default": false });
    call.complete("label", fields)
}

/// The labels of a pull request.
pub(super) fn labels(state: &State, call: &Call<'_>, pull: &Pull) -> Vec<Value> {
    let known = pull
        .labels
        .iter()
        .filter_map(|name| state.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name)));
    known.map(|known| label(call, known)).collect()
}

fn pull_fields(state: &State, call: &Call<'_>, pull: &Pull) -> Value {
    let people = |all: &[String]| all.iter().map(|login| user(call, login)).collect::<Vec<_>>();
    let end = |branch: &str, sha: &str| {
        json!({ "label": format!("{OWNER}:{branch}"), "ref": branch, "sha": sha,
            "user": user(call, OWNER), "repo": repository(state, call) })
    };
    let number = pull.number;
    let merged_at = pull.closed.as_ref().filter(|_| pull.state == PullState::Merged);
    let api = repository_url(state, call);
    let page = format!("{}/{}/pull/{number}", call.origin, state.full_name());
    json!({
        "id": pull.id,
        "number": number,
        "state": pull.state_word(),
        "title": pull.title,
        "body": if pull.body.is_empty() { Value::Null } else { json!(pull.body) },
        "draft": pull.draft,
        "user": user(call, BOT),
        "labels": labels(state, call, pull),
        "assignee": pull.assignees.first().map(|login| user(call, login)),
        "assignees": people(&pull.assignees),
        "requested_reviewers": people(&pull.reviewers),
        "requested_teams": [],
        "head": end(&pull.head, &pull.head_sha),
        "base": end(&pull.base, &pull.base_sha),
        "author_association": "CONTRIBUTOR",
        "created_at": pull.created,
        "updated_at": pull.updated,
        "closed_at": pull.closed,
        "merged_at": merged_at,
        "merge_commit_sha": pull.merge_sha,
        "url": format!("{api}/pulls/{number}"),
        "issue_url": format!("{api}/issues/{number}"),
        "html_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
    })
}

/// A pull request, as lists show it.
pub(super) fn pull_simple(state: &State, call: &Call<'_>, pull: &Pull) -> Value {
    call.complete("pull-request-simple", pull_fields(state, call, pull))
}

/// A pull request.
pub(super) fn pull(state: &State, call: &Call<'_>, pull: &Pull) -> Value {
    let open = pull.state == PullState::Open;
    let merged = pull.state == PullState::Merged;
    let mergeable = open && state.git.mergeable(&pull.base_sha, &pull.head_sha);
    let word = match (open, mergeable) {
        (false, _) => "unknown",
        (true, false) => "dirty",
        (true, true) if pull.draft => "draft",
        (true, true) => "clean",
    };
    let difference = state.git.difference(&pull.base_sha, &pull.head_sha);
    let mut fields = pull_fields(state, call, pull);
    let more = json!({
        "merged": merged,
        "mergeable": open.then_some(mergeable),
        "mergeable_state": word,
        "merged_by": merged.then(|| user(call, "alice")),
        "comments": pull.comments.len(),
        "commits": difference.commits,
        "additions": difference.additions,
        "deletions": difference.deletions,
        "changed_files": difference.files,
    });
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    call.complete("pull-request", fields)
}
