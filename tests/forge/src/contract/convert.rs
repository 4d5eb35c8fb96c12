//! OpenAPI 3.0 and Swagger 2.0 schemas as the JSON Schema that a validator understands.

use serde_json::{Map, Value, json};

/// Which words a document's schemas are written in, and how its service reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAPI 3.0: what may be null says so.
    OpenApi,
    /// Swagger 2.0 of a Go service. It writes null for any pointer, list or date that is not
    /// set, which its document does not say.
    Go,
}

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// To the service.
    Request,
    /// From the service.
    Response,
}

/// Keywords that mean the same in all three.
const SAME: [&str; 11] = [
    "type",
    "enum",
    "required",
    "format",
    "minimum",
    "maximum",
    "pattern",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
];

/// A Go pointer to a text, which Swagger does not tell from a text.
const TEXT_OR_NULL: &str = "merge_commit_sha";

/// `schema` in JSON Schema, closed: a property that it does not name is refused, on either side.
/// References point into `$defs`.
pub(crate) fn convert(schema: &Value, dialect: Dialect, side: Side) -> Value {
    let Some(object) = schema.as_object() else { return schema.clone() };
    let nullable = object.get("nullable") == Some(&Value::Bool(true));
    if let Some(name) = referred(schema) {
        let reference = json!({ "$ref": format!("#/$defs/{name}") });
        return if nullable { or_null(reference) } else { reference };
    }
    let mut out = Map::new();
    for (key, value) in object {
        let converted = match key.as_str() {
            "properties" => properties(value, object.get("required"), dialect, side),
            "items" | "additionalProperties" | "not" => convert(value, dialect, side),
            "oneOf" | "anyOf" | "allOf" => {
                let branches = value.as_array().into_iter().flatten();
                branches.map(|branch| convert(branch, dialect, side)).collect()
            }
            // Of a parameter in Swagger it says that there has to be one.
            "required" if value.is_boolean() => continue,
            key if SAME.contains(&key) => value.clone(),
            _ => continue,
        };
        out.insert(key.clone(), converted);
    }
    if out.contains_key("properties") && !out.contains_key("additionalProperties") {
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if nullable { or_null(Value::Object(out)) } else { Value::Object(out) }
}

/// `schema`, or null.
fn or_null(mut schema: Value) -> Value {
    // As a second type where that can be: the validator then says what is wrong within.
    if let Some(kind) = schema["type"].as_str().map(str::to_owned) {
        if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
        schema["type"] = json!([kind, "null"]);
        return schema;
    }
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// The name of the definition that a schema refers to.
pub(crate) fn referred(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

fn properties(value: &Value, required: Option<&Value>, dialect: Dialect, side: Side) -> Value {
    let needed = |name: &str| {
        required.and_then(Value::as_array).is_some_and(|all| all.contains(&name.into()))
    };
    let members = value.as_object().into_iter().flatten();
    let converted = members.map(|(name, schema)| {
        let converted = convert(schema, dialect, side);
        let pointer = dialect == Dialect::Go && side == Side::Response && !needed(name);
        let converted = if pointer && (may_be_unset(schema) || name == TEXT_OR_NULL) {
            or_null(converted)
        } else {
            converted
        };
        (name.clone(), converted)
    });
    Value::Object(converted.collect())
}

/// Whether Go has a value for this that it writes as null.
fn may_be_unset(schema: &Value) -> bool {
    let word = |key: &str| schema.get(key).and_then(Value::as_str);
    schema.get("$ref").is_some()
        || matches!(word("type"), Some("object" | "array"))
        || word("format") == Some("date-time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_null_says_so() {
        let schema = json!({ "type": "string", "nullable": true, "example": "x", "enum": ["x"] });
        let wanted = json!({ "type": ["string", "null"], "enum": ["x", null] });
        assert_eq!(convert(&schema, Dialect::OpenApi, Side::Response), wanted);
        let schema = json!({ "$ref": "#/components/schemas/label", "nullable": true });
        let wanted = json!({ "anyOf": [{ "$ref": "#/$defs/label" }, { "type": "null" }] });
        assert_eq!(convert(&schema, Dialect::OpenApi, Side::Response), wanted);
    }

    #[test]
    fn a_go_service_answers_null_for_what_is_not_set_but_is_not_asked_so() {
        let schema = json!({ "type": "object", "properties": {
            "due": { "type": "string", "format": "date-time" } } });
        let answer = convert(&schema, Dialect::Go, Side::Response);
        assert_eq!(answer["properties"]["due"]["type"], json!(["string", "null"]));
        let request = convert(&schema, Dialect::Go, Side::Request);
        assert_eq!(request["properties"]["due"]["type"], "string");
    }

    #[test]
    fn objects_are_closed_and_references_lead_to_definitions() {
        let schema = json!({ "type": "object", "properties": {
            "user": { "$ref": "#/components/schemas/simple-user" } } });
        let converted = convert(&schema, Dialect::OpenApi, Side::Request);
        assert_eq!(converted["additionalProperties"], false);
        assert_eq!(converted["properties"]["user"]["$ref"], "#/$defs/simple-user");
    }
}
