//! The least that a schema takes for an answer, to lay the real fields over.

use super::convert::{Dialect, referred};
use serde_json::{Map, Value, json};

/// Deep enough for every schema of the contracts, and an end for one that refers to itself.
const DEEPEST: usize = 12;

/// A minimal valid instance of `schema`. OpenAPI's services leave out what is optional; Go's write
/// every field, with null for what is not set.
pub(crate) fn sample(
    schema: &Value,
    definitions: &Map<String, Value>,
    dialect: Dialect,
    depth: usize,
) -> Value {
    if depth > DEEPEST || (depth > 0 && schema.get("nullable") == Some(&Value::Bool(true))) {
        return Value::Null;
    }
    if let Some(name) = referred(schema) {
        let target = definitions.get(name).unwrap_or(&Value::Null);
        let pointer = dialect == Dialect::Go && depth > 0 && target["type"] == "object";
        return if pointer { Value::Null } else { sample(target, definitions, dialect, depth + 1) };
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(first) = schema.get(choice).and_then(|branches| branches.get(0)) {
            return sample(first, definitions, dialect, depth + 1);
        }
    }
    match (schema["type"].as_str(), dialect) {
        (Some("string"), Dialect::Go) if schema["format"] == "date-time" => Value::Null,
        (Some("string"), _) => {
            let shortest = schema["minLength"].as_u64().unwrap_or(0) as usize;
            json!(format!("{:0<shortest$}", text(schema["format"].as_str())))
        }
        (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or(json!(0)),
        (Some("boolean"), _) => json!(false),
        (Some("array"), Dialect::OpenApi) => json!([]),
        (Some("array"), Dialect::Go) if depth > 0 => Value::Null,
        (Some("array"), Dialect::Go) => json!([]),
        (Some("object") | None, _) => object(schema, definitions, dialect, depth),
        _ => Value::Null,
    }
}

/// Lays `over` over `base`: objects member by member, anything else replaces.
pub(crate) fn overlay(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                overlay(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

fn object(
    schema: &Value,
    definitions: &Map<String, Value>,
    dialect: Dialect,
    depth: usize,
) -> Value {
    let none = Vec::new();
    let required = schema["required"].as_array().unwrap_or(&none);
    let members = schema["properties"].as_object().into_iter().flatten();
    let written = members
        .filter(|(name, _)| dialect == Dialect::Go || required.contains(&name.as_str().into()));
    let pointer = dialect == Dialect::Go && depth > 1;
    if pointer {
        return Value::Null;
    }
    let made = written
        .map(|(name, schema)| (name.clone(), sample(schema, definitions, dialect, depth + 1)));
    Value::Object(made.collect())
}

fn text(format: Option<&str>) -> &'static str {
    match format {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("uri" | "url") => "https://example.org/",
        Some("email") => "nobody@example.org",
        _ => "",
    }
}
