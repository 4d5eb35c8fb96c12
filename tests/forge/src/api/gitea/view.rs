//! What Forgejo and Gitea show of things.

use super::super::{REPOSITORY_ID, combined};
use crate::access::Access;
use crate::call::Call;
use crate::pull::{Pull, PullState, Review, Verdict};
use crate::state::{BOT, Label, Mark, OWNER, State};
use serde_json::{Value, json};

/// Somebody.
pub(super) fn user(call: &Call<'_>, login: &str) -> Value {
    let id = if login == BOT { 1001 } else { login.bytes().map(u64::from).sum::<u64>() };
    let fields = json!({
        "id": id,
        "login": login,
        "email": format!("{login}@noreply.example.org"),
        "html_url": format!("{}/{login}", call.origin),
        "created": "2026-01-01T00:00:00Z",
        "last_login": "0001-01-01T00:00:00Z",
        "visibility": "public",
    });
    call.complete("User", fields)
}

/// The repository.
pub(super) fn repository(state: &State, call: &Call<'_>) -> Value {
    let full_name = state.full_name();
    let page = format!("{}/{full_name}", call.origin);
    let fields = json!({
        "id": REPOSITORY_ID,
        "name": state.name,
        "full_name": full_name,
        "owner": user(call, OWNER),
        "private": true,
        "empty": state.git.branches().is_empty(),
        "default_branch": crate::git::MAIN,
        "permissions": { "admin": false, "push": call.access == Access::Full, "pull": true },
        "html_url": page,
        "clone_url": format!("{page}.git"),
        "url": format!("{}{}/repos/{full_name}", call.origin, call.kind.prefix()),
        "has_issues": true,
        "has_pull_requests": true,
        "allow_merge_commits": true,
        "allow_squash_merge": true,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    });
    call.complete("Repository", fields)
}

/// A label.
pub(super) fn label(call: &Call<'_>, label: &Label) -> Value {
    let fields = json!({ "id": label.id, "name": label.name, "color": label.color });
    call.complete("Label", fields)
}

/// The labels of a pull request.
pub(super) fn labels(state: &State, call: &Call<'_>, pull: &Pull) -> Vec<Value> {
    let known = state.labels.iter().filter(|label| pull.labels.contains(&label.name));
    known.map(|known| label(call, known)).collect()
}

/// A pull request. It can't be merged as a draft.
pub(super) fn pull(state: &State, call: &Call<'_>, pull: &Pull) -> Value {
    let people = |all: &[String]| {
        let shown: Vec<_> = all.iter().map(|login| user(call, login)).collect();
        if shown.is_empty() { Value::Null } else { Value::Array(shown) }
    };
    let end = |branch: &str, sha: &str| {
        json!({ "label": branch, "ref": branch, "sha": sha, "repo_id": REPOSITORY_ID,
            "repo": repository(state, call) })
    };
    let merged = pull.state == PullState::Merged;
    let draft = pull.draft;
    let difference = state.git.difference(&pull.base_sha, &pull.head_sha);
    let page = format!("{}/{}/pulls/{}", call.origin, state.full_name(), pull.number);
    let fields = json!({
        "id": pull.id,
        "number": pull.number,
        "url": page,
        "html_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "title": pull.title,
        "body": pull.body,
        "state": pull.state_word(),
        "draft": draft,
        "user": user(call, BOT),
        "labels": labels(state, call, pull),
        "assignee": pull.assignees.first().map(|login| user(call, login)),
        "assignees": people(&pull.assignees),
        "requested_reviewers": people(&pull.reviewers),
        "head": end(&pull.head, &pull.head_sha),
        "base": end(&pull.base, &pull.base_sha),
        "merge_base": state.git.merge_base(&pull.base_sha, &pull.head_sha).unwrap_or_default(),
        "mergeable": !draft && state.git.mergeable(&pull.base_sha, &pull.head_sha),
        "merged": merged,
        "merged_at": pull.closed.as_ref().filter(|_| merged),
        "merged_by": merged.then(|| user(call, "alice")),
        "merge_commit_sha": pull.merge_sha,
        "comments": pull.comments.len(),
        "additions": difference.additions,
        "deletions": difference.deletions,
        "changed_files": difference.files,
        "created_at": pull.created,
        "updated_at": pull.updated,
        "closed_at": pull.closed,
    });
    call.complete("PullRequest", fields)
}

/// A review.
pub(super) fn review(call: &Call<'_>, review: &Review) -> Value {
    let word = match review.verdict {
        Verdict::Approve => "APPROVED",
        Verdict::RequestChanges => "REQUEST_CHANGES",
        Verdict::Comment | Verdict::Dismissed => "COMMENT",
    };
    let fields = json!({
        "id": review.id,
        "user": user(call, &review.author),
        "state": word,
        "dismissed": review.dismissed,
        "official": true,
        "commit_id": review.commit,
        "submitted_at": review.at,
        "updated_at": review.at,
    });
    call.complete("PullReview", fields)
}

/// A review that was asked for and not given: it stands among the reviews.
pub(super) fn asked_review(call: &Call<'_>, pull: &Pull, login: &str) -> Value {
    let fields = json!({
        "id": pull.id + 100_000,
        "user": user(call, login),
        "state": "REQUEST_REVIEW",
        "commit_id": "",
        "submitted_at": pull.updated,
        "updated_at": pull.updated,
    });
    call.complete("PullReview", fields)
}

/// A commit status.
pub(super) fn status(call: &Call<'_>, mark: &Mark) -> Value {
    let fields = json!({
        "id": mark.id,
        "context": mark.name,
        "status": combined(&[mark.state]),
        "creator": user(call, BOT),
        "created_at": mark.at,
        "updated_at": mark.at,
    });
    call.complete("CommitStatus", fields)
}
