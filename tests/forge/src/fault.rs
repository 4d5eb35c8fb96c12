//! What goes wrong on the way to a service, as a test scripts it.

use crate::Kind;
use crate::call::Reply;
use std::time::{SystemTime, UNIX_EPOCH};

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// This status, with an error in the service's shape.
    Status(u16),
    /// Too many requests.
    RateLimited {
        /// 429 or 403.
        status: u16,
        /// Seconds, in `Retry-After`.
        retry_after: Option<u64>,
        /// Seconds from now, in `X-RateLimit-Reset`.
        reset_in: Option<u64>,
    },
    /// The connection ends before the service does anything.
    DropConnection,
    /// The service does it, and the connection ends before the answer.
    DropAfterSuccess,
    /// The service does it, and never answers.
    StallAfterSuccess,
    /// 200 with what is no JSON.
    Garbage,
}

/// A fault, and which requests it befalls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    method: Option<String>,
    path: String,
    kind: FaultKind,
    times: u32,
}

impl Fault {
    /// Befalls the next request of this method (`*`: any) whose path with its query has
    /// `path_part` in it; git's requests as well.
    pub fn on(method: &str, path_part: &str, kind: FaultKind) -> Self {
        let method = (method != "*").then(|| method.to_uppercase());
        Self { method, path: path_part.to_owned(), kind, times: 1 }
    }

    /// That many requests in a row.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn befalls(&self, method: &str, path: &str) -> bool {
        self.times > 0
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && path.contains(&self.path)
    }
}

/// The first fault that this request meets, used up by one.
pub(crate) fn next(faults: &mut Vec<Fault>, method: &str, path: &str) -> Option<FaultKind> {
    faults.retain(|fault| fault.times > 0);
    let fault = faults.iter_mut().find(|fault| fault.befalls(method, path))?;
    fault.times -= 1;
    Some(fault.kind)
}

impl FaultKind {
    /// Whether the service does what it was asked before this happens.
    pub(crate) fn after_success(self) -> bool {
        matches!(self, Self::DropAfterSuccess | Self::StallAfterSuccess)
    }

    /// What is answered; nothing where nothing is.
    pub(crate) fn reply(self, kind: Kind, origin: &str) -> Option<Reply> {
        match self {
            Self::Status(status) => Some(Reply::error(kind, origin, status, reason(status))),
            Self::RateLimited { status, retry_after, reset_in } => {
                let message = match (kind, retry_after) {
                    (Kind::GitHub, None) => "API rate limit exceeded for user ID 1001.",
                    (Kind::GitHub, Some(_)) => {
                        "You have exceeded a secondary rate limit. Please wait a few minutes \
                         before you try again."
                    }
                    _ => "Too many requests",
                };
                let mut reply = Reply::error(kind, origin, status, message);
                if let Some(seconds) = retry_after {
                    reply = reply.header("retry-after", &seconds.to_string());
                }
                if let Some(seconds) = reset_in {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH);
                    let then = now.map_or(0, |now| now.as_secs()) + seconds;
                    reply = reply
                        .header("x-ratelimit-limit", "5000")
                        .header("x-ratelimit-remaining", "0")
                        .header("x-ratelimit-reset", &then.to_string());
                }
                Some(reply)
            }
            Self::Garbage => {
                let page = b"<html><body>one moment please</body></html>".to_vec();
                Some(Reply::bytes(200, page).header("content-type", "text/html"))
            }
            Self::DropConnection | Self::DropAfterSuccess | Self::StallAfterSuccess => None,
        }
    }
}

fn reason(status: u16) -> &'static str {
    axum::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error")
}
