//! One operation of a contract, and whether a request is one that it takes.

use super::convert::{Dialect, Side};
use super::{Contract, referred};
use serde_json::{Value, json};

/// An operation as a request named it.
pub(crate) struct Operation<'a> {
    /// In capitals.
    pub(crate) method: String,
    /// The path with its parameters' names: `/repos/{owner}/{repo}`.
    pub(crate) template: &'a str,
    /// What stood for them, decoded.
    parameters: Vec<(&'a str, String)>,
    pub(super) value: &'a Value,
}

impl Operation<'_> {
    /// What stood for a parameter of the path.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

impl Contract {
    /// The operation that a request is for; the one with the fewest parameters where two fit.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let paths = self.document["paths"].as_object()?;
        let fits = paths.iter().filter_map(|(template, item)| {
            let value = item.get(method.to_lowercase())?;
            let wanted: Vec<_> = template.trim_start_matches('/').split('/').collect();
            let parameters = matched(&wanted, &segments)?;
            Some(Operation { method: method.to_owned(), template, parameters, value })
        });
        fits.min_by_key(|operation| operation.parameters.len())
    }

    /// What is wrong with a request.
    pub(crate) fn check_request<'a>(
        &'a self,
        operation: &Operation<'a>,
        query: &[(String, String)],
        content_type: Option<&str>,
        body: &[u8],
    ) -> Vec<String> {
        let mut problems = self.check_parameters(operation, query);
        let schema = self.body_schema(operation);
        match (schema, body.is_empty()) {
            (None, true) => {}
            (None, false) => problems.push("a body where the contract has none".to_owned()),
            (Some((_, required)), true) => {
                if required {
                    problems.push("no body where the contract requires one".to_owned());
                }
            }
            (Some((schema, _)), false) => {
                if !content_type.is_some_and(|kind| kind.starts_with("application/json")) {
                    problems.push(format!("a body of type {content_type:?}, not JSON"));
                }
                match serde_json::from_slice(body) {
                    Ok(body) => {
                        let name = format!("{} takes", operation.name());
                        let found = self.problems(&name, schema, Side::Request, &body);
                        problems.extend(found.map(|problem| format!("the body: {problem}")));
                    }
                    Err(error) => problems.push(format!("the body is no JSON: {error}")),
                }
            }
        }
        problems
    }

    fn check_parameters<'a>(
        &'a self,
        operation: &Operation<'a>,
        query: &[(String, String)],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let parts = operation.parameters.iter().map(|(name, value)| (*name, value, "path"));
        let asked = query.iter().map(|(name, value)| (name.as_str(), value, "query"));
        for (name, value, place) in parts.chain(asked) {
            let Some(parameter) = self.parameter(operation, name, place) else {
                problems.push(format!("the {place} parameter {name} is not in the contract"));
                continue;
            };
            let schema = parameter.get("schema").unwrap_or(parameter);
            // A list's name is given once for each of its items.
            let schema = if schema["type"] == "array" { &schema["items"] } else { schema };
            let key = format!("{} {place} {name}", operation.name());
            let value = typed(schema["type"].as_str(), value);
            let found = self.problems(&key, schema, Side::Request, &value);
            problems
                .extend(found.map(|problem| format!("the {place} parameter {name}: {problem}")));
        }
        problems
    }

    fn parameter<'a>(
        &'a self,
        operation: &Operation<'a>,
        name: &str,
        place: &str,
    ) -> Option<&'a Value> {
        let all = operation.value["parameters"].as_array()?;
        let mut all = all.iter().map(|parameter| self.resolved(parameter));
        all.find(|parameter| parameter["name"] == name && parameter["in"] == place)
    }

    /// The schema of the body, and whether there has to be one.
    fn body_schema<'a>(&'a self, operation: &Operation<'a>) -> Option<(&'a Value, bool)> {
        match self.dialect {
            Dialect::OpenApi => {
                let body = self.resolved(operation.value.get("requestBody")?);
                let schema = body.pointer("/content/application~1json/schema")?;
                Some((schema, body["required"] == true))
            }
            Dialect::Go => {
                let all = operation.value["parameters"].as_array()?;
                let body = all.iter().find(|parameter| parameter["in"] == "body")?;
                let schema = body.get("schema")?;
                // Go's handlers refuse an absent body whatever the document says.
                Some((schema, referred(schema).is_some() && operation.method != "DELETE"))
            }
        }
    }
}

/// The parameters of the path, if it fits. Refs and branches may have slashes in them.
fn matched<'a>(wanted: &[&'a str], segments: &[&str]) -> Option<Vec<(&'a str, String)>> {
    let Some((first, rest)) = wanted.split_first() else {
        return segments.is_empty().then(Vec::new);
    };
    let Some(name) = first.strip_prefix('{').and_then(|name| name.strip_suffix('}')) else {
        let (segment, after) = segments.split_first()?;
        return if segment == first { matched(rest, after) } else { None };
    };
    let longest = if matches!(name, "ref" | "branch" | "head") { segments.len() } else { 1 };
    (1..=longest.min(segments.len())).find_map(|length| {
        let (own, after) = segments.split_at(length);
        let own = decoded(&own.join("/"));
        let mut parameters = matched(rest, after)?;
        parameters.insert(0, (name, own));
        Some(parameters)
    })
}

fn typed(kind: Option<&str>, text: &str) -> Value {
    let read = match kind {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("number") => text.parse::<f64>().ok().map(Value::from),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    read.unwrap_or_else(|| json!(text))
}

/// `text` without its percent-encoding.
pub(crate) fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (rest, _) = match (byte, value) {
            (b'%', Some(value)) => (&after[2..], out.push(value)),
            (byte, _) => (after, out.push(byte)),
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}
