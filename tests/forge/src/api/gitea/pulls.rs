//! Pull requests and their reviews.

use super::{invalid, not_found, own_branch, view};
use crate::Kind;
use crate::call::{Call, Reply};
use crate::pull::{Pull, PullState, now, undrafted};
use crate::state::{BOT, State};
use serde_json::Value;

pub(super) fn list(state: &State, call: &Call<'_>) -> Reply {
    let wanted = call.query("state").unwrap_or("open");
    // Gitea has neither filter and says nothing of them.
    let filter = |name| call.query(name).filter(|_| call.kind == Kind::Forgejo);
    let (head, base) = (filter("head"), filter("base"));
    let labels: Vec<u64> = call
        .query
        .iter()
        .filter(|(name, _)| name == "labels")
        .filter_map(|(_, id)| id.parse().ok())
        .collect();
    let has = |pull: &Pull, id: u64| {
        state.labels.iter().any(|label| label.id == id && pull.labels.contains(&label.name))
    };
    let mut found: Vec<_> = state
        .pulls
        .iter()
        .filter(|pull| wanted == "all" || pull.state_word() == wanted)
        .filter(|pull| head.is_none_or(|head| own_branch(head) == Some(&pull.head)))
        .filter(|pull| base.is_none_or(|base| pull.base == base))
        .filter(|pull| labels.iter().all(|id| has(pull, *id)))
        .collect();
    match call.query("sort") {
        Some("oldest") => {}
        Some("leastupdate") => found.sort_by(|one, other| one.updated.cmp(&other.updated)),
        Some("recentupdate") => found.sort_by(|one, other| other.updated.cmp(&one.updated)),
        _ => found.reverse(),
    }
    call.list(found.into_iter().map(|pull| view::pull(state, call, pull)).collect())
}

pub(super) fn get(state: &State, call: &Call<'_>) -> Reply {
    match state.pull(call.number()) {
        Some(pull) => Reply::json(200, view::pull(state, call, pull)),
        None => not_found(call),
    }
}

/// The newest of these branches, an open one before the others.
pub(super) fn by_branches(state: &State, call: &Call<'_>) -> Reply {
    let base = call.operation.parameter("base");
    let head = own_branch(call.operation.parameter("head")).unwrap_or_default();
    let of_them = |pull: &&Pull| pull.base == base && pull.head == head;
    let last = state.pulls.iter().rev().find(of_them);
    match state.open(head, base).or(last) {
        Some(pull) => Reply::json(200, view::pull(state, call, pull)),
        None => not_found(call),
    }
}

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Reply {
    let (base, head) = (call.text("base").unwrap_or_default(), call.text("head"));
    let Some(head) = head.and_then(own_branch) else { return not_found(call) };
    let mut branches = state.git.branches();
    let Some(base_sha) = branches.get(base).cloned() else { return not_found(call) };
    let Some(head_sha) = branches.remove(head) else { return not_found(call) };
    if base == head {
        return invalid(
            call,
            "Invalid PullRequest: There are no changes between the head and the base",
        );
    }
    if let Some(known) = state.open(head, base) {
        let message = format!(
            "pull request already exists for these targets [id: {}, issue_id: {}, head_repo_id: 1, \
             base_repo_id: 1, head_branch: {head}, base_branch: {base}]",
            known.id, known.id
        );
        return Reply::error(call.kind, call.origin, 409, &message);
    }
    let title = call.text("title").unwrap_or_default();
    if title.is_empty() {
        return invalid(call, "[Title]: Required");
    }
    let assignees = match assignees(state, call) {
        Ok(assignees) => assignees.unwrap_or_default(),
        Err(refusal) => return refusal,
    };
    let at = now();
    let pull = Pull {
        number: state.pulls.len() as u64 + 1,
        title: title.to_owned(),
        body: call.text("body").unwrap_or_default().to_owned(),
        head: head.to_owned(),
        base: base.to_owned(),
        head_sha,
        draft: undrafted(title) != title,
        labels: labels(state, call).unwrap_or_default(),
        reviewers: Vec::new(),
        assignees,
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
    state.pulls.push(pull);
    Reply::json(201, shown)
}

pub(super) fn edit(state: &mut State, call: &Call<'_>) -> Reply {
    let number = call.number();
    let Some(mut pull) = state.pull(number).cloned() else { return not_found(call) };
    if let Some(title) = call.text("title").filter(|title| !title.is_empty()) {
        title.clone_into(&mut pull.title);
        pull.draft = undrafted(title) != title;
    }
    if let Some(body) = call.text("body") {
        body.clone_into(&mut pull.body);
    }
    if let Some(labels) = labels(state, call) {
        pull.labels = labels;
    }
    match assignees(state, call) {
        Ok(Some(assignees)) => pull.assignees = assignees,
        Ok(None) => {}
        Err(refusal) => return refusal,
    }
    let branches = state.git.branches();
    if let Some(base) = call.text("base").filter(|base| !base.is_empty() && *base != pull.base) {
        let Some(sha) = branches.get(base) else { return not_found(call) };
        base.clone_into(&mut pull.base);
        pull.base_sha.clone_from(sha);
    }
    match (call.text("state"), pull.state) {
        (Some(_), PullState::Merged) => {
            let message = "cannot change state of this pull request, it was already merged";
            return Reply::error(call.kind, call.origin, 412, message);
        }
        (Some("closed"), PullState::Open) => pull.close(),
        (Some("open"), PullState::Closed) => {
            let Some(sha) = branches.get(&pull.head) else { return not_found(call) };
            pull.head_sha.clone_from(sha);
            pull.reopen();
        }
        _ => {}
    }
    pull.touch();
    let shown = view::pull(state, call, &pull);
    if let Some(known) = state.pull_mut(number) {
        *known = pull;
    }
    Reply::json(201, shown)
}

pub(super) fn request(state: &mut State, call: &Call<'_>) -> Reply {
    let wanted = call.texts("reviewers");
    let number = call.number();
    if state.pull(number).is_none() {
        return not_found(call);
    }
    for login in &wanted {
        if login == BOT {
            let message = "poster of pr can't be reviewer [user_id: 1001, repo_id: 1]";
            return invalid(call, message);
        }
        if !state.people.contains(login) {
            return not_found(call);
        }
    }
    let Some(pull) = state.pull_mut(number) else { return not_found(call) };
    let new: Vec<_> = wanted.into_iter().filter(|login| !pull.reviewers.contains(login)).collect();
    pull.reviewers.extend(new.iter().cloned());
    pull.touch();
    let shown = new.iter().map(|login| view::asked_review(call, pull, login));
    Reply::json(201, Value::Array(shown.collect()))
}

pub(super) fn reviews(state: &State, call: &Call<'_>) -> Reply {
    let Some(pull) = state.pull(call.number()) else { return not_found(call) };
    let given = pull.reviews.iter().map(|review| view::review(call, review));
    let asked = pull.reviewers.iter().map(|login| view::asked_review(call, pull, login));
    call.list(given.chain(asked).collect())
}

/// The names of the labels that the body has the ids of; ids that are unknown are passed over.
fn labels(state: &State, call: &Call<'_>) -> Option<Vec<String>> {
    let ids = call.body["labels"].as_array()?;
    let known = state.labels.iter().filter(|label| ids.contains(&label.id.into()));
    Some(known.map(|label| label.name.clone()).collect())
}

fn assignees(state: &State, call: &Call<'_>) -> Result<Option<Vec<String>>, Reply> {
    let one = call.text("assignee").filter(|login| !login.is_empty());
    if one.is_none() && call.body.get("assignees").is_none() {
        return Ok(None);
    }
    let mut all = call.texts("assignees");
    all.extend(one.map(str::to_owned).filter(|login| !all.contains(login)));
    match all.iter().find(|login| *login != BOT && !state.people.contains(login)) {
        Some(stranger) => {
            Err(invalid(call, &format!("Assignee does not exist: [name: {stranger}]")))
        }
        None => Ok(Some(all)),
    }
}
