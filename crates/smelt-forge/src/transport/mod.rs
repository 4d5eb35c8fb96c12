//! The seam between a forge's client and the network: one request, one answer.

mod direct;
mod octo;
#[cfg(test)]
mod scripted;
mod wire;

pub(crate) use direct::Direct;
pub(crate) use octo::Octo;
#[cfg(test)]
pub(crate) use scripted::Scripted;
pub(crate) use wire::Wire;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};

/// Largest answer that is read, in bytes.
pub(crate) const ANSWER_MAX: usize = 10 << 20;

/// Sends requests to one forge, each once: nothing is tried again, no redirect is followed.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// Sends `request` and reads the answer, whatever its status.
    async fn send(&self, request: &Request) -> Result<Answer, Failure>;
}

/// A request to a forge's API.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `GET`, `POST` or `PATCH`.
    pub method: Method,
    /// Path and query below the API's address, from its slash on, encoded.
    pub path: String,
    /// What is sent along.
    pub body: Option<serde_json::Value>,
    /// The answer is wanted only where it is no longer the one with this tag.
    pub etag: Option<String>,
}

/// A forge's answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Its status.
    pub status: u16,
    /// Those of its headers that matter.
    pub headers: Headers,
    /// Its body, no more than [`ANSWER_MAX`].
    pub body: Bytes,
    /// Whether the body was longer.
    pub is_cut: bool,
}

/// The headers of an answer that matter, as they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers {
    pub date: Option<String>,
    pub etag: Option<String>,
    pub retry_after: Option<String>,
    /// Requests that are left in this window.
    pub remaining: Option<String>,
    /// When the next window starts, in seconds since 1970.
    pub reset: Option<String>,
    /// How many entries all pages of a list have.
    pub total: Option<u64>,
}

impl Headers {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Self {
            date: text("date"),
            etag: text("etag"),
            retry_after: text("retry-after"),
            remaining: text("x-ratelimit-remaining"),
            reset: text("x-ratelimit-reset"),
            total: text("x-total-count").and_then(|total| total.parse().ok()),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing, or not all, came in time.
    TimedOut,
    /// The network, TLS or HTTP failed, and this is how.
    Broken(String),
}
