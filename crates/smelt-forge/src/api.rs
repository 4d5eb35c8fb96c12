//! Typed calls of one forge's API.

use crate::transport::{Answer, Request, Transport};
use crate::verdict::{Asked, judge, unanswered, unexpected};
use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smelt_core::port::ForgeError;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many answers are kept for conditional requests, and how large each may be, in bytes.
const KEPT_MAX: usize = 64;
const KEPT_BODY_MAX: usize = 1 << 20;

/// One forge's API.
pub(crate) struct Api {
    transport: Box<dyn Transport>,
    host: String,
    timeout: Duration,
    kept: Mutex<HashMap<String, Kept>>,
}

/// An answer that may still hold when its path is asked for again.
#[derive(Clone)]
struct Kept {
    etag: String,
    body: Bytes,
}

/// What a call is for, in an error's words: what is done, and what it is done to.
pub(crate) type For<'a> = (&'a str, &'a str);

/// A list that comes in pages.
pub(crate) struct Pages<'a> {
    /// Path with a query, to which the page's number is added.
    pub path: &'a str,
    /// Whether answers of earlier calls are used where they still hold.
    pub conditional: bool,
    /// How many entries a full page has; `None` where the server may give fewer than asked for.
    pub size: Option<usize>,
    /// How many pages are read at most.
    pub most: u32,
}

/// A page of a list.
pub(crate) trait Page: DeserializeOwned {
    /// What is listed.
    type Entry;
    /// What is on this page.
    fn entries(self) -> Vec<Self::Entry>;
}

impl<T: DeserializeOwned> Page for Vec<T> {
    type Entry = T;
    fn entries(self) -> Vec<T> {
        self
    }
}

/// Forgejo and Gitea answer `null` where a list would have nothing in it.
impl<P: Page> Page for Option<P> {
    type Entry = P::Entry;
    fn entries(self) -> Vec<P::Entry> {
        self.map(P::entries).unwrap_or_default()
    }
}

impl Api {
    pub(crate) fn new(transport: impl Transport + 'static, host: &str, timeout: Duration) -> Self {
        let (transport, host) = (Box::new(transport), host.to_owned());
        Self { transport, host, timeout, kept: Mutex::default() }
    }

    /// The host, as people know it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Reads `path`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        for_: For<'_>,
    ) -> Result<T, ForgeError> {
        let answer = self.send(Method::GET, path, None, None, for_).await?;
        self.read(&answer.body, for_)
    }

    /// Reads `path`; where nothing has changed since the last time, the forge need not tell it again.
    pub(crate) async fn poll<T: DeserializeOwned>(
        &self,
        path: &str,
        for_: For<'_>,
    ) -> Result<T, ForgeError> {
        Ok(self.polled(path, for_).await?.0)
    }

    /// Sends `body` to `path` as something new.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Value,
        for_: For<'_>,
    ) -> Result<T, ForgeError> {
        let answer = self.send(Method::POST, path, Some(body), None, for_).await?;
        self.read(&answer.body, for_)
    }

    /// Changes what is at `path`.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Value,
        for_: For<'_>,
    ) -> Result<T, ForgeError> {
        let answer = self.send(Method::PATCH, path, Some(body), None, for_).await?;
        self.read(&answer.body, for_)
    }

    /// The entries of all pages, or of as many as may be read.
    pub(crate) async fn pages<P: Page>(
        &self,
        pages: Pages<'_>,
        for_: For<'_>,
    ) -> Result<Vec<P::Entry>, ForgeError> {
        let mut all = Vec::new();
        for number in 1..=pages.most {
            let path = format!("{}&page={number}", pages.path);
            let (page, total): (P, _) = match pages.conditional {
                true => self.polled(&path, for_).await?,
                false => {
                    let answer = self.send(Method::GET, &path, None, None, for_).await?;
                    (self.read(&answer.body, for_)?, answer.headers.total)
                }
            };
            let entries = page.entries();
            let is_last = match (pages.size, total) {
                (Some(size), _) => entries.len() < size,
                (None, Some(total)) => (all.len() + entries.len()) as u64 >= total,
                (None, None) => false,
            };
            let is_empty = entries.is_empty();
            all.extend(entries);
            if is_last || is_empty {
                break;
            }
        }
        Ok(all)
    }

    /// What [`Self::poll`] reads, and how many entries the whole list has where that is told.
    async fn polled<T: DeserializeOwned>(
        &self,
        path: &str,
        for_: For<'_>,
    ) -> Result<(T, Option<u64>), ForgeError> {
        let kept = self.kept().get(path).cloned();
        let etag = kept.as_ref().map(|kept| kept.etag.clone());
        let answer = self.send(Method::GET, path, None, etag, for_).await?;
        let total = answer.headers.total;
        match kept {
            Some(kept) if answer.status == 304 => Ok((self.read(&kept.body, for_)?, total)),
            _ => {
                let read = self.read(&answer.body, for_)?;
                self.keep(path, answer);
                Ok((read, total))
            }
        }
    }

    fn keep(&self, path: &str, answer: Answer) {
        let mut kept = self.kept();
        match answer.headers.etag {
            Some(etag) if answer.body.len() <= KEPT_BODY_MAX => {
                // Paths of commits come and go: starting over costs a request each.
                if kept.len() >= KEPT_MAX {
                    kept.clear();
                }
                kept.insert(path.to_owned(), Kept { etag, body: answer.body });
            }
            _ => {
                kept.remove(path);
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        etag: Option<String>,
        for_: For<'_>,
    ) -> Result<Answer, ForgeError> {
        let asked = self.asked(for_);
        let is_conditional = etag.is_some();
        let request = Request { method, path: path.to_owned(), body, etag };
        let answer = self.transport.send(&request).await;
        let answer = answer.map_err(|failure| unanswered(asked, failure, self.timeout))?;
        if !(is_conditional && answer.status == 304) {
            judge(asked, &answer, Timestamp::now())?;
        }
        Ok(answer)
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8], for_: For<'_>) -> Result<T, ForgeError> {
        serde_json::from_slice(body)
            .map_err(|error| unexpected(self.asked(for_), &error.to_string()))
    }

    fn asked<'a>(&'a self, (action, what): For<'a>) -> Asked<'a> {
        Asked { forge: &self.host, action, what }
    }
}

/// `text` as one segment of a path, or one value of a query.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            // Writing to a string can't fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests;
