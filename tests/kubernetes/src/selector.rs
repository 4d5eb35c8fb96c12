//! Which objects a list or a watch is about.

use crate::resource::{Resource, Target};
use crate::status::Reply;
use serde_json::Value;

/// A namespace or all of them, labels and fields.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    resource: Resource,
    namespace: Option<String>,
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    /// Where the value is.
    path: Vec<String>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Is(String),
    IsNot(String),
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    pub(crate) fn of(target: &Target, labels: &str, fields: &str) -> Result<Self, Reply> {
        let mut terms = Vec::new();
        for part in split(labels) {
            let (key, test) = test(part).ok_or_else(|| {
                Reply::bad_request(&format!("unable to parse requirement: found '{part}'"))
            })?;
            let path = vec!["metadata".to_owned(), "labels".to_owned(), key];
            terms.push(Term { path, test });
        }
        for part in split(fields) {
            let (key, test) = match test(part) {
                Some((key, test @ (Test::Is(_) | Test::IsNot(_)))) => (key, test),
                _ => {
                    let message = format!("invalid selector: '{part}'; can't understand '{part}'");
                    return Err(Reply::bad_request(&message));
                }
            };
            if !selectable(target.resource).contains(&key.as_str()) {
                let message = format!("field label not supported: {key}");
                return Err(Reply::bad_request(&message));
            }
            terms.push(Term { path: key.split('.').map(str::to_owned).collect(), test });
        }
        if let Some(name) = &target.name {
            let path = vec!["metadata".to_owned(), "name".to_owned()];
            terms.push(Term { path, test: Test::Is(name.clone()) });
        }
        Ok(Self { resource: target.resource, namespace: target.namespace.clone(), terms })
    }

    pub(crate) fn resource(&self) -> Resource {
        self.resource
    }

    pub(crate) fn fits(&self, resource: Resource, object: &Value) -> bool {
        let namespace = object["metadata"]["namespace"].as_str();
        resource == self.resource
            && self.namespace.as_deref().is_none_or(|wanted| namespace == Some(wanted))
            && self.terms.iter().all(|term| term.fits(object))
    }
}

impl Term {
    fn fits(&self, object: &Value) -> bool {
        let found = self.path.iter().try_fold(object, |value, key| value.get(key));
        let is = |wanted: &String| found.and_then(Value::as_str) == Some(wanted);
        match &self.test {
            // A field that is not there is an empty one; a label has to be there.
            Test::Is(wanted) => is(wanted) || (wanted.is_empty() && found.is_none()),
            Test::IsNot(wanted) => !is(wanted),
            Test::In(wanted) => wanted.iter().any(is),
            Test::NotIn(wanted) => !wanted.iter().any(is),
            Test::Exists => found.is_some(),
            Test::Absent => found.is_none(),
        }
    }
}

fn selectable(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::Pods => &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "status.phase",
        ],
        Resource::NetworkPolicies => &["metadata.name", "metadata.namespace"],
        Resource::Events => &[
            "metadata.name",
            "metadata.namespace",
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "type",
        ],
    }
}

/// Splits at the commas that are in no parentheses.
fn split(selector: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_i32, 0);
    for (at, character) in selector.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(selector[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(selector[from..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn test(part: &str) -> Option<(String, Test)> {
    let value = |text: &str| text.trim().to_owned();
    if let Some((key, set)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values: Vec<String> = set.split(',').map(value).collect();
        let mut words = key.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Some((key.to_owned(), Test::In(values))),
            (Some(key), Some("notin"), None) => Some((key.to_owned(), Test::NotIn(values))),
            _ => None,
        };
    }
    let (key, test) = if let Some((key, wanted)) = part.split_once("!=") {
        (key, Test::IsNot(value(wanted)))
    } else if let Some((key, wanted)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Test::Is(value(wanted)))
    } else if let Some(key) = part.strip_prefix('!') {
        (key, Test::Absent)
    } else {
        (part, Test::Exists)
    };
    let key = value(key);
    (!key.is_empty() && !key.contains(char::is_whitespace)).then_some((key, test))
}
