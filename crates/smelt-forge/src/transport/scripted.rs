//! A forge that answers by a function, for tests of the clients.

use super::{Answer, Failure, Headers, Request, Transport};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::{Arc, Mutex};

type Answering = dyn Fn(&str, &Value) -> (u16, Value) + Send + Sync;

/// Answers `"GET /path?query"` and a body, and keeps what it was asked.
#[derive(Clone)]
pub(crate) struct Scripted {
    answering: Arc<Answering>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Scripted {
    pub(crate) fn new(
        answering: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        Self { answering: Arc::new(answering), asked: Arc::default() }
    }

    /// What was sent that starts with `start`, with its body.
    pub(crate) fn asked(&self, start: &str) -> Vec<(String, Value)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(line, _)| line.starts_with(start)).cloned().collect()
    }
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let line = format!("{} {}", request.method, request.path);
        let sent = request.body.clone().unwrap_or_default();
        let (status, body) = (self.answering)(&line, &sent);
        self.asked.lock().unwrap().push((line, sent));
        let body = body.to_string().into();
        Ok(Answer { status, headers: Headers::default(), body, is_cut: false })
    }
}
