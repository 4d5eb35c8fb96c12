//! A watch: lines of changes for as long as the client wants them.

use crate::fault::{self, Kind};
use crate::selector::Selector;
use crate::state::{Shared, State};
use crate::status::Reply;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a watch that wants bookmarks gets one; a real server takes a minute.
const BOOKMARK: Duration = Duration::from_secs(1);

/// How long one lasts of which nothing is said.
const LONGEST: Duration = Duration::from_secs(1800);

/// What the client wants.
pub(crate) struct Wanted {
    pub(crate) selector: Selector,
    pub(crate) revision: Option<String>,
    pub(crate) bookmarks: bool,
    pub(crate) seconds: Option<u64>,
}

struct Watch {
    shared: Arc<Shared>,
    wanted: Wanted,
    seen: u64,
    changed: watch::Receiver<()>,
    until: Instant,
    marked: u64,
    first: Option<String>,
    over: bool,
}

/// Answers with a stream, or refuses.
pub(crate) fn start(shared: &Arc<Shared>, wanted: Wanted) -> Result<Response, Reply> {
    let mut state = shared.state();
    if fault::take(&mut state.faults, |kind| *kind == Kind::WatchGoneHttp).is_some() {
        return Err(Reply::gone(1, state.revision));
    }
    let (seen, first) = match wanted.revision.as_deref() {
        None | Some("" | "0") => (state.revision, Some(existing(&state, &wanted.selector))),
        Some(text) => match text.parse::<u64>() {
            Ok(revision) => (revision, None),
            Err(_) => {
                let why = format!("Invalid value: \"{text}\": strconv.ParseUint: parsing");
                return Err(Reply::bad_request(&format!("resourceVersion: {why}")));
            }
        },
    };
    let (changed, marked) = (state.listen(), seen);
    drop(state);
    let lasts = wanted.seconds.filter(|seconds| *seconds > 0).map_or(LONGEST, Duration::from_secs);
    let until = Instant::now() + lasts;
    let shared = Arc::clone(shared);
    let watch = Watch { shared, wanted, seen, changed, until, marked, first, over: false };
    let lines = futures::stream::unfold(watch, |mut watch| async move {
        let lines = watch.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(lines)), watch))
    });
    let mut response = Response::new(Body::from_stream(lines));
    *response.status_mut() = StatusCode::OK;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

impl Watch {
    /// The next lines; nothing more when it is over.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Some(first);
        }
        let mut mark_at = Instant::now() + BOOKMARK;
        while !self.over {
            self.changed.borrow_and_update();
            if let Some(lines) = self.lines() {
                return Some(lines);
            }
            if self.over {
                break;
            }
            let wake = self.until.min(mark_at);
            tokio::select! {
                _ = self.changed.changed() => {}
                () = self.shared.stop.cancelled() => self.over = true,
                () = tokio::time::sleep_until(wake) => {
                    self.over = wake == self.until;
                    mark_at = Instant::now() + BOOKMARK;
                    if let Some(line) = self.bookmark() {
                        return Some(line);
                    }
                }
            }
        }
        None
    }

    /// What happened since it looked last.
    fn lines(&mut self) -> Option<String> {
        let mut state = self.shared.state();
        let script = |kind: &Kind| matches!(kind, Kind::WatchGone | Kind::WatchEnds);
        match fault::take(&mut state.faults, script) {
            Some(Kind::WatchGone) => {
                self.over = true;
                return Some(gone(self.seen, state.revision));
            }
            Some(_) => {
                self.over = true;
                return None;
            }
            None => {}
        }
        if self.seen < state.oldest {
            self.over = true;
            return Some(gone(self.seen, state.oldest));
        }
        let selector = &self.wanted.selector;
        let news = state.changes.iter().filter(|change| change.revision > self.seen);
        let mut lines = String::new();
        for change in news {
            let fits = |object: &Option<Value>| {
                object.as_ref().is_some_and(|object| selector.fits(change.resource, object))
            };
            let kind = match (fits(&change.before), fits(&change.after)) {
                (false, false) => continue,
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
            };
            lines.push_str(&line(kind, &change.last));
        }
        self.seen = self.seen.max(state.revision);
        (!lines.is_empty()).then_some(lines)
    }

    fn bookmark(&mut self) -> Option<String> {
        if !self.wanted.bookmarks || self.marked == self.seen {
            return None;
        }
        self.marked = self.seen;
        let resource = self.wanted.selector.resource();
        let metadata = json!({ "resourceVersion": self.seen.to_string() });
        Some(line(
            "BOOKMARK",
            &json!({ "kind": resource.kind(), "apiVersion": resource.api_version(),
                "metadata": metadata, "spec": { "containers": null }, "status": {} }),
        ))
    }
}

/// A watch from nowhere begins with what there is.
fn existing(state: &State, selector: &Selector) -> String {
    let all = state.objects.iter().filter(|(key, object)| selector.fits(key.resource, object));
    all.map(|(_, object)| line("ADDED", object)).collect()
}

fn gone(asked: u64, oldest: u64) -> String {
    line("ERROR", &Reply::gone(asked, oldest).body)
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": kind, "object": object }))
}

/// A list that is to be a watch's beginning is what this server is too old for.
pub(crate) fn refuse_initial_events() -> Reply {
    let why = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the \
               WatchList feature gate is enabled";
    let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {why}");
    Reply::refused(422, "Invalid", &message)
}
