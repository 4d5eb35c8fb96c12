//! Who is calling, by the token they bring.

use crate::state::Shared;
use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// No token.
    Anonymous,
    /// A token that the service does not know.
    Unknown,
    /// May not even see the repository.
    Outsider,
    /// May read.
    ReadOnly,
    /// May write.
    Full,
}

/// The three tokens that there are.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) good: String,
    pub(crate) read_only: String,
    pub(crate) outsider: String,
}

impl Tokens {
    /// New ones that stand nowhere else, so that a test finds them where they leak to.
    pub(crate) fn new() -> Self {
        let canary = |what: &str| format!("smelt-canary-{what}{}", uuid::Uuid::new_v4().simple());
        Self { good: canary(""), read_only: canary("read-"), outsider: canary("outside-") }
    }

    fn access(&self, token: &str) -> Access {
        match token {
            token if token == self.good => Access::Full,
            token if token == self.read_only => Access::ReadOnly,
            token if token == self.outsider => Access::Outsider,
            _ => Access::Unknown,
        }
    }
}

impl Access {
    /// Who calls the API, and what is wrong with how they say so.
    pub(crate) fn of_api(shared: &Shared, headers: &HeaderMap) -> (Self, Option<String>) {
        let Some(value) = headers.get("authorization") else {
            return (Self::Anonymous, Some("no authorization header".to_owned()));
        };
        let value = value.to_str().unwrap_or_default();
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !["bearer", "token"].contains(&scheme.to_lowercase().as_str()) {
            let problem = format!("authorization as {scheme:?}, neither Bearer nor token");
            return (Self::Unknown, Some(problem));
        }
        (shared.tokens.access(token.trim()), None)
    }

    /// Who calls as git: the token is the password, whatever the user's name.
    pub(crate) fn of_git(shared: &Shared, headers: &HeaderMap) -> Self {
        let Some(value) = headers.get("authorization").and_then(|value| value.to_str().ok()) else {
            return Self::Anonymous;
        };
        let encoded = value.strip_prefix("Basic ").or_else(|| value.strip_prefix("basic "));
        let decoded = encoded.and_then(|text| BASE64_STANDARD.decode(text.trim()).ok());
        let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let password = pair.as_deref().and_then(|pair| pair.split_once(':'));
        password.map_or(Self::Unknown, |(_, token)| shared.tokens.access(token))
    }
}
