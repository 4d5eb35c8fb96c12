//! Pull requests and their reviews.

use super::{custom, invalid, not_found, own_branch, view};
use crate::call::{Call, DOCUMENTATION, Reply};
use crate::pull::{Pull, PullState, Verdict, now};
use crate::state::{BOT, State};
use serde_json::{Value, json};

/// The longest description that GitHub takes, in characters.
const LONGEST_BODY: usize = 65536;

pub(super) fn list(state: &State, call: &Call<'_>) -> Reply {
    let wanted = call.query("state").unwrap_or("open");
    // A head without an owner filters nothing: that is what GitHub does.
    let head = call.query("head").filter(|head| head.contains(':'));
    let mut found: Vec<_> = state
        .pulls
        .iter()
        .filter(|pull| wanted == "all" || pull.state_word() == wanted)
        .filter(|pull| head.is_none_or(|head| own_branch(head) == Some(&pull.head)))
        .filter(|pull| call.query("base").is_none_or(|base| pull.base == base))
        .collect();
    let sort = call.query("sort").unwrap_or("created");
    match sort {
        "updated" => found.sort_by_key(|pull| (pull.updated.clone(), pull.number)),
        "popularity" => found.sort_by_key(|pull| pull.comments.len()),
        _ => found.sort_by_key(|pull| pull.number),
    }
    let newest_first = if sort == "created" { "desc" } else { "asc" };
    if call.query("direction").unwrap_or(newest_first) == "desc" {
        found.reverse();
    }
    call.list(found.into_iter().map(|pull| view::pull_simple(state, call, pull)).collect())
}

pub(super) fn get(state: &State, call: &Call<'_>) -> Reply {
    match state.pull(call.number()) {
        Some(pull) => Reply::json(200, view::pull(state, call, pull)),
        None => not_found(call),
    }
}

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Reply {
    let wrong = |field: &str, code: &str| {
        invalid(json!([{ "resource": "PullRequest", "field": field, "code": code }]))
    };
    let title = call.text("title").unwrap_or_default();
    let body = call.text("body").unwrap_or_default();
    let base = call.text("base").unwrap_or_default();
    let Some(head) = call.text("head").and_then(own_branch) else {
        return wrong("head", "invalid");
    };
    if title.trim().is_empty() {
        return wrong("title", "missing_field");
    }
    if let Some(refusal) = too_long(body) {
        return refusal;
    }
    let mut branches = state.git.branches();
    let Some(base_sha) = branches.get(base).cloned() else { return wrong("base", "invalid") };
    let Some(head_sha) = branches.remove(head) else { return wrong("head", "invalid") };
    if state.open(head, base).is_some() {
        let message = format!("A pull request already exists for acme:{head}.");
        return custom("PullRequest", None, &message);
    }
    if state.git.holds(&base_sha, &head_sha) {
        return custom("PullRequest", None, &format!("No commits between {base} and {head}"));
    }
    if state.git.merge_base(&base_sha, &head_sha).is_none() {
        let message = format!("The {head} branch has no history in common with {base}");
        return custom("PullRequest", None, &message);
    }
    let draft = call.body["draft"] == true;
    let at = now();
    let pull = Pull {
        number: state.pulls.len() as u64 + 1,
        title: title.to_owned(),
        body: body.to_owned(),
        head: head.to_owned(),
        base: base.to_owned(),
        head_sha,
        draft,
        labels: Vec::new(),
        reviewers: Vec::new(),
        assignees: Vec::new(),
        state: PullState::Open,
        comments: Vec::new(),
        reviews: Vec::new(),
        id: state.id(),
        base_sha,
        merge_sha: None,
        created: at.clone(),
        updated: at,
        closed: None,
    };
    let shown = view::pull(state, call, &pull);
    let place = shown["url"].as_str().unwrap_or_default().to_owned();
    state.pulls.push(pull);
    Reply::json(201, shown).header("location", &place)
}

pub(super) fn edit(state: &mut State, call: &Call<'_>) -> Reply {
    let number = call.number();
    let Some(pull) = state.pull(number).cloned() else { return not_found(call) };
    let mut changed = pull.clone();
    if let Some(title) = call.text("title") {
        title.clone_into(&mut changed.title);
    }
    if let Some(body) = call.text("body") {
        if let Some(refusal) = too_long(body) {
            return refusal;
        }
        body.clone_into(&mut changed.body);
    }
    let branches = state.git.branches();
    if let Some(base) = call.text("base").filter(|base| *base != pull.base) {
        let Some(sha) = branches.get(base) else {
            let error = json!({ "resource": "PullRequest", "field": "base", "code": "invalid" });
            return invalid(json!([error]));
        };
        base.clone_into(&mut changed.base);
        changed.base_sha.clone_from(sha);
    }
    match (call.text("state"), pull.state) {
        (Some("closed"), PullState::Open) => changed.close(),
        (Some("open"), PullState::Closed) => {
            let Some(sha) = branches.get(&pull.head) else {
                let message =
                    format!("state cannot be changed. The {} branch has been deleted.", pull.head);
                return custom("PullRequest", Some("state"), &message);
            };
            if state.open(&pull.head, &pull.base).is_some() {
                let message = format!(
                    "state cannot be changed. There is already an open pull request from {} to {}.",
                    pull.head, pull.base
                );
                return custom("PullRequest", Some("state"), &message);
            }
            changed.head_sha.clone_from(sha);
            changed.reopen();
        }
        (Some("open"), PullState::Merged) => {
            let message = "state cannot be changed. The pull request is already merged.";
            return custom("PullRequest", Some("state"), message);
        }
        _ => {}
    }
    if changed != pull {
        changed.touch();
    }
    let shown = view::pull(state, call, &changed);
    if let Some(pull) = state.pull_mut(number) {
        *pull = changed;
    }
    Reply::json(200, shown)
}

pub(super) fn reviewers(state: &State, call: &Call<'_>) -> Reply {
    let Some(pull) = state.pull(call.number()) else { return not_found(call) };
    let users: Vec<_> = pull.reviewers.iter().map(|login| view::user(call, login)).collect();
    Reply::json(200, json!({ "users": users, "teams": [] }))
}

pub(super) fn request(state: &mut State, call: &Call<'_>) -> Reply {
    let number = call.number();
    if state.pull(number).is_none() {
        return not_found(call);
    }
    let wanted = call.texts("reviewers");
    let refuse = |message: &str| {
        Reply::json(422, json!({ "message": message, "documentation_url": DOCUMENTATION }))
    };
    if wanted.iter().any(|login| login == BOT) {
        return refuse("Review cannot be requested from pull request author.");
    }
    let stranger = wanted.iter().any(|login| !state.people.contains(login));
    if stranger || !call.texts("team_reviewers").is_empty() {
        return refuse(&format!(
            "Reviews may only be requested from collaborators. One or more of the users or teams \
             you specified is not a collaborator of the {} repository.",
            state.full_name()
        ));
    }
    if let Some(pull) = state.pull_mut(number) {
        let new: Vec<_> =
            wanted.into_iter().filter(|login| !pull.reviewers.contains(login)).collect();
        pull.reviewers.extend(new);
        pull.touch();
    }
    match state.pull(number) {
        Some(pull) => Reply::json(201, view::pull_simple(state, call, pull)),
        None => not_found(call),
    }
}

pub(super) fn reviews(state: &State, call: &Call<'_>) -> Reply {
    let Some(pull) = state.pull(call.number()) else { return not_found(call) };
    let shown = pull.reviews.iter().map(|review| {
        let word = match review.verdict {
            _ if review.dismissed => "DISMISSED",
            Verdict::Approve => "APPROVED",
            Verdict::RequestChanges => "CHANGES_REQUESTED",
            Verdict::Comment => "COMMENTED",
            Verdict::Dismissed => "DISMISSED",
        };
        let fields = json!({
            "id": review.id,
            "user": view::user(call, &review.author),
            "body": "",
            "state": word,
            "commit_id": review.commit,
            "submitted_at": review.at,
            "author_association": "COLLABORATOR",
        });
        call.complete("pull-request-review", fields)
    });
    call.list(shown.collect::<Vec<Value>>())
}

fn too_long(body: &str) -> Option<Reply> {
    let message = format!("body is too long (maximum is {LONGEST_BODY} characters)");
    (body.chars().count() > LONGEST_BODY).then(|| custom("Issue", Some("body"), &message))
}
