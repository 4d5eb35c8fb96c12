//! What was asked of the service, and what was wrong with it.

use axum::http::HeaderMap;
use std::fmt;

/// A request, and how it was answered.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// In capitals.
    pub method: String,
    /// The path with its query, as it was sent.
    pub path: String,
    /// The answer's status; none where the connection was dropped.
    pub status: Option<u16>,
    /// Every header as it was sent, names in small letters; the authorization too.
    pub headers: Vec<(String, String)>,
    /// The body; empty for git's packs.
    pub body: String,
    /// Whether it was git that asked, not a client of the API.
    pub git: bool,
}

impl Recorded {
    /// A header as it was sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn headers_of(headers: &HeaderMap) -> Vec<(String, String)> {
        let pairs = headers.iter();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        pairs.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
    }
}

/// Something that the real service's contract does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The request's.
    pub method: String,
    /// The request's, with its query.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.path, self.reason)
    }
}
