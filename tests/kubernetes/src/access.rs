//! Who may do what.

use crate::fault::{self, Fault, Kind};
use crate::resource::Target;
use crate::status::Reply;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

/// The only token that is known.
pub(crate) const TOKEN: &str = "scripted-token";

/// Whether the request comes with the token.
pub(crate) fn known(headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")) == Some(TOKEN)
}

/// The refusal, if the user may not do one of these.
pub(crate) fn refusal(faults: &mut Vec<Fault>, target: &Target, verbs: &[&str]) -> Option<Reply> {
    let right = target.right();
    verbs.iter().find_map(|verb| {
        fault::take(faults, |kind| denies(kind, verb, &right))?;
        Some(Reply::forbidden(target, verb))
    })
}

/// Answers a `SelfSubjectAccessReview` from the denials that the test has set.
pub(crate) fn review(faults: &[Fault], mut review: Value) -> Reply {
    let asked = &review["spec"]["resourceAttributes"];
    let field = |name: &str| asked[name].as_str().unwrap_or_default();
    if asked.is_null() && review["spec"]["nonResourceAttributes"].is_null() {
        let message =
            "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        return Reply::refused(422, "Invalid", message);
    }
    let right = match field("subresource") {
        "" => field("resource").to_owned(),
        sub => format!("{}/{sub}", field("resource")),
    };
    let verb = field("verb");
    let denied = fault::any(faults, |kind| denies(kind, verb, &right));
    review["status"] = if denied {
        json!({ "allowed": false })
    } else {
        let reason = "RBAC: allowed by RoleBinding \"smelt/smelt\" of Role \"smelt\" to \
                      ServiceAccount \"smelt/smelt\"";
        json!({ "allowed": true, "reason": reason })
    };
    Reply::created(review)
}

fn denies(kind: &Kind, asked: &str, right: &str) -> bool {
    let Kind::Forbidden { verb, resource } = kind else { return false };
    (verb == "*" || verb == asked) && (resource == "*" || resource == right)
}
