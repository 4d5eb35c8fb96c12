//! Labels, reviewers and assignees: what is missing, and what could not be added.

use crate::said::said;
use serde_json::{Value, json};
use smelt_core::port::ForgeError;

/// Those of `wanted` that are not `there`, each once. Forges do not mind case in these names.
pub(crate) fn missing(wanted: &[String], there: impl Fn(&str) -> bool) -> Vec<String> {
    let mut missing: Vec<String> = Vec::new();
    for name in wanted {
        let again = missing.iter().any(|other| other.eq_ignore_ascii_case(name));
        if !again && !there(name) {
            missing.push(name.clone());
        }
    }
    missing
}

/// Whether `name` is one of `names`, in whatever case.
pub(crate) fn is_among<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> bool {
    names.into_iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Adds `wanted` by `add`: all at once, and where the forge refuses that, one by one, so that one
/// wrong name does not keep out the others. Returns those that could not be added, and why.
///
/// # Errors
/// Transient ones: the caller tries everything again.
pub(crate) async fn add<Adding>(
    wanted: &[String],
    add: impl Fn(Vec<String>) -> Adding,
) -> Result<Option<(Vec<String>, ForgeError)>, ForgeError>
where
    Adding: Future<Output = Result<(), ForgeError>>,
{
    if wanted.is_empty() {
        return Ok(None);
    }
    match add(wanted.to_vec()).await {
        Ok(()) => return Ok(None),
        Err(error) if error.is_transient() => return Err(error),
        Err(ForgeError::Refused { .. } | ForgeError::NotFound { .. }) if wanted.len() > 1 => {}
        Err(error) => return Ok(Some((wanted.to_vec(), error))),
    }
    let mut failed = None;
    for name in wanted {
        match add(vec![name.clone()]).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => failed.get_or_insert_with(|| (Vec::new(), error)).0.push(name.clone()),
        }
    }
    Ok(failed)
}

/// The line that tells of `names` that are not at the pull request: `kind` is "label", `fix` what to
/// do.
pub(crate) fn warning(kind: &str, names: &[String], why: &str, fix: &str) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    let names: Vec<_> = names.iter().map(|name| format!("`{}`", said(name))).collect();
    format!("{kind}{plural} {} not added: {why}; {fix}", said(&names.join(", ")))
}

/// The team of `org/team`.
pub(crate) fn team(name: &str) -> Option<&str> {
    name.split_once('/').map(|(_, team)| team)
}

/// The body that asks `names`, people apart from teams.
pub(crate) fn requested(names: &[String]) -> Value {
    let people: Vec<_> = names.iter().filter(|name| team(name).is_none()).collect();
    let teams: Vec<_> = names.iter().filter_map(|name| team(name)).collect();
    let mut sent = json!({});
    if !people.is_empty() {
        sent["reviewers"] = json!(people);
    }
    if !teams.is_empty() {
        sent["team_reviewers"] = json!(teams);
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn refused() -> ForgeError {
        let text = String::new;
        ForgeError::Refused { forge: text(), action: text(), message: text() }
    }

    #[test]
    fn what_is_there_already_is_not_added() {
        let wanted = names(&["Bug", "smelt", "bug", "new"]);
        let there = |name: &str| is_among(name, ["Smelt", "other"]);
        assert_eq!(missing(&wanted, there), ["Bug", "new"]);
    }

    #[tokio::test]
    async fn one_wrong_name_keeps_nobody_else_out() {
        let asked = RefCell::new(Vec::new());
        let wanted = names(&["a", "wrong", "b"]);
        let failed = add(&wanted, |names| {
            asked.borrow_mut().push(names.join("+"));
            async move { if names.contains(&"wrong".to_owned()) { Err(refused()) } else { Ok(()) } }
        });
        let (names, error) = failed.await.unwrap().unwrap();
        assert_eq!(names, ["wrong"]);
        assert_eq!(*asked.borrow(), ["a+wrong+b", "a", "wrong", "b"]);
        let line = warning("reviewer", &names, &error.to_string(), "ask them");
        assert!(line.starts_with("reviewer `wrong` not added: "), "{line}");
    }

    #[tokio::test]
    async fn a_forge_that_is_away_is_asked_again_by_the_caller() {
        let away = || ForgeError::RateLimited {
            forge: String::new(),
            retry_after: None,
            message: String::new(),
        };
        let error = add(&names(&["a", "b"]), |_| async move { Err(away()) }).await.unwrap_err();
        assert!(error.is_transient());
        assert!(add(&[], |_| async { Err(refused()) }).await.unwrap().is_none());
    }

    #[test]
    fn teams_are_asked_by_their_slug() {
        let names = ["ann", "acme/core", "bob"].map(str::to_owned);
        let sent = json!({ "reviewers": ["ann", "bob"], "team_reviewers": ["core"] });
        assert_eq!(requested(&names), sent);
        assert_eq!(requested(&names[1..2]), json!({ "team_reviewers": ["core"] }));
    }
}
