//! What the cluster was asked.

use serde_json::Value;

/// A request as it came, refused or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As it was sent; empty without one.
    pub query: String,
    /// Null without one, and for what is no JSON.
    pub body: Value,
}

impl Request {
    /// The values of a parameter of the query, in their order.
    pub fn values(&self, name: &str) -> Vec<String> {
        values(&self.query, name)
    }
}

/// The values of a parameter, in their order.
pub(crate) fn values(query: &str, name: &str) -> Vec<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// The first value of a parameter that is not empty.
pub(crate) fn value(query: &str, name: &str) -> Option<String> {
    values(query, name).into_iter().find(|value| !value.is_empty())
}

/// A parameter that says yes or no, as Go reads it.
pub(crate) fn flag(query: &str, name: &str) -> bool {
    matches!(value(query, name).as_deref(), Some("1" | "t" | "T" | "true" | "True" | "TRUE"))
}
