//! What an answer means.

use crate::said::said;
use crate::transport::{Answer, Failure};
use crate::waiting::retry_after;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use smelt_core::port::ForgeError;
use std::time::Duration;

/// What a forge is asked, in the words of an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The forge's host.
    pub forge: &'a str,
    /// What it is asked to do: "open a pull request".
    pub action: &'a str,
    /// What that is about: "pull request #5".
    pub what: &'a str,
}

/// `Ok` for a 2xx with all of its body, else the error that the answer stands for.
pub(crate) fn judge(asked: Asked<'_>, answer: &Answer, now: Timestamp) -> Result<(), ForgeError> {
    let message = message(answer);
    let forge = asked.forge.to_owned();
    let (action, what) = (asked.action.to_owned(), asked.what.to_owned());
    Err(match answer.status {
        200..=299 if answer.is_cut => return Err(unexpected(asked, "it is too large")),
        200..=299 => return Ok(()),
        301 | 302 | 307 | 308 => ForgeError::Moved { forge, what },
        401 => ForgeError::Unauthorized { forge, message },
        403 if is_rate_limit(answer, &message) => ForgeError::RateLimited {
            forge,
            retry_after: retry_after(&answer.headers, now),
            message,
        },
        403 => ForgeError::Forbidden { forge, action, message },
        404 => ForgeError::NotFound { forge, what },
        408 | 425 | 500..=599 => {
            let retry_after = retry_after(&answer.headers, now);
            let message = said(&with_status(answer.status, &message));
            ForgeError::Unavailable { forge, action, message, retry_after }
        }
        429 => ForgeError::RateLimited {
            forge,
            retry_after: retry_after(&answer.headers, now),
            message,
        },
        400..=499 => {
            let message = match message.is_empty() {
                true => with_status(answer.status, ""),
                false => message,
            };
            ForgeError::Refused { forge, action, message }
        }
        status => unexpected(asked, &with_status(status, &message)),
    })
}

/// The error for a request that got no answer.
pub(crate) fn unanswered(asked: Asked<'_>, failure: Failure, timeout: Duration) -> ForgeError {
    let message = match failure {
        Failure::TimedOut => format!("no answer within {}", in_words(timeout)),
        Failure::Broken(why) => why,
    };
    let (forge, action) = (asked.forge.to_owned(), asked.action.to_owned());
    ForgeError::Unavailable { forge, action, message: said(&message), retry_after: None }
}

/// The error for an answer that makes no sense.
pub(crate) fn unexpected(asked: Asked<'_>, why: &str) -> ForgeError {
    let (forge, action) = (asked.forge.to_owned(), asked.action.to_owned());
    ForgeError::Unexpected { forge, action, message: said(why) }
}

fn in_words(timeout: Duration) -> String {
    match timeout.as_secs() {
        0 => format!("{} ms", timeout.as_millis()),
        seconds => format!("{seconds} s"),
    }
}

fn with_status(status: u16, message: &str) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let status = format!("HTTP {status} {}", reason.unwrap_or_default());
    match message.is_empty() {
        true => status.trim_end().to_owned(),
        false => format!("{}: {message}", status.trim_end()),
    }
}

fn is_rate_limit(answer: &Answer, message: &str) -> bool {
    let spent = answer.headers.remaining.as_deref().is_some_and(|left| left.trim() == "0");
    let message = message.to_ascii_lowercase();
    let tells = ["secondary rate limit", "rate limit exceeded", "abuse detection"];
    answer.headers.retry_after.is_some() || spent || tells.iter().any(|tell| message.contains(tell))
}

/// An error as the forges write it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Complaint {
    message: Option<String>,
    errors: Option<Vec<Detail>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    Parts {
        resource: Option<String>,
        field: Option<String>,
        code: Option<String>,
        message: Option<String>,
    },
    Other(serde::de::IgnoredAny),
}

/// What an answer complains about, with its details.
fn message(answer: &Answer) -> String {
    if (200..300).contains(&answer.status) {
        return String::new();
    }
    // Error pages of proxies say nothing that a person wants to read.
    let Ok(complaint) = serde_json::from_slice::<Complaint>(&answer.body) else {
        return String::new();
    };
    let details = complaint.errors.unwrap_or_default().into_iter().filter_map(|detail| {
        let told = match detail {
            Detail::Text(text) => text,
            Detail::Parts { message: Some(message), .. } => message,
            Detail::Parts { resource, field, code, .. } => {
                [resource, field, code].into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
            Detail::Other(_) => String::new(),
        };
        Some(told).filter(|told| !told.is_empty())
    });
    let details = details.collect::<Vec<_>>().join("; ");
    let parts = [complaint.message.unwrap_or_default(), details];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    said(&parts.join(": "))
}

#[cfg(test)]
mod tests;
