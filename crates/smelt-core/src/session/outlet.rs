//! From lines that may be shown to events, and the last of them.

use crate::event::{EventSink, JobEvent, Level, OutputSource, OutputStream};
use crate::name::SessionName;
use std::collections::VecDeque;

/// What the output of one command may take on the disk, in bytes: in the events and in the log. The
/// command runs on; the rest is not kept.
const OUTPUT_MAX: u64 = 512 << 20;

/// How much text one event holds at most, in bytes; lines are not parted for it.
const EVENT_MAX: usize = 32 << 10;

/// What an event takes besides its text and its session, in bytes.
const EVENT_OVERHEAD: usize = 120;

/// Whose lines they are.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    session: Option<SessionName>,
    service: Option<String>,
    source: OutputSource,
}

impl Speaker {
    /// What runs for `session`; for no session, what runs for all of them.
    pub(crate) fn new(session: Option<&SessionName>, source: OutputSource) -> Self {
        Self { session: session.cloned(), service: None, source }
    }

    /// The service `name`.
    pub(crate) fn service(name: &str) -> Self {
        Self { session: None, service: Some(name.to_owned()), source: OutputSource::Service }
    }
}

/// Where a process's lines go.
///
/// Lines that come together go together, as one event: an event for each would cost more than all
/// that is done with its text.
pub(crate) struct Outlet<'a> {
    events: &'a EventSink,
    speaker: Speaker,
    /// Lines that are not sent yet, each with a newline.
    ready: String,
    /// The stream they came from.
    stream: OutputStream,
    tail: VecDeque<String>,
    tail_length: usize,
    kept: u64,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(events: &'a EventSink, speaker: Speaker, tail_length: usize) -> Self {
        let (ready, tail) = (String::new(), VecDeque::with_capacity(tail_length));
        let stream = OutputStream::Stdout;
        Self { events, speaker, ready, stream, tail, tail_length, kept: 0 }
    }

    /// Sends what is left; returns the last lines.
    pub(super) async fn finish(mut self) -> Vec<String> {
        self.send().await;
        self.tail.into()
    }

    /// Lets `line` go with those before it, once they are sent.
    pub(super) async fn gather(&mut self, stream: OutputStream, line: &str) {
        if self.stream != stream || self.ready.len() + line.len() > EVENT_MAX {
            self.send().await;
            self.stream = stream;
        }
        self.ready.push_str(line);
        self.ready.push('\n');
    }

    /// Sends the lines that have been gathered, if there are any.
    pub(super) async fn send(&mut self) {
        let Some(text) = self.ready.strip_suffix('\n') else { return };
        // An event may wait long: it holds no more memory than it is charged for.
        let text = text.to_owned();
        self.ready.clear();
        self.remember(&text);
        let bytes = written(&self.speaker, &text);
        let before = self.kept;
        self.kept += bytes as u64;
        if self.kept <= OUTPUT_MAX {
            let (Speaker { session, service, source }, stream) =
                (self.speaker.clone(), self.stream);
            let what = JobEvent::Output { session, service, source, stream, text };
            self.events.emit_output(what, bytes).await;
        } else if before <= OUTPUT_MAX {
            let message = format!(
                "the {}'s output fills {} on the disk: the rest of it is left out",
                self.speaker.source.as_str(),
                bytesize::ByteSize(OUTPUT_MAX).display().iec()
            );
            let (level, session) = (Level::Warning, self.speaker.session.clone());
            self.events.emit(JobEvent::Notice { level, message, session });
        }
    }

    /// Takes the lines of `text` for the last ones.
    fn remember(&mut self, text: &str) {
        let mut last: Vec<_> = text.rsplit('\n').take(self.tail_length).collect();
        let stay = self.tail_length - last.len();
        self.tail.drain(..self.tail.len().saturating_sub(stay));
        last.reverse();
        self.tail.extend(last.into_iter().map(str::to_owned));
    }
}

/// What an event's lines take on the disk, in bytes: in the events as JSON, and in the log.
fn written(speaker: &Speaker, text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n')).count();
    let named = |key: &str, name: Option<&str>| name.map_or(0, |name| key.len() + name.len());
    let session = named(r#""session":"","#, speaker.session.as_ref().map(SessionName::as_str));
    let service = named(r#""service":"","#, speaker.service.as_deref());
    EVENT_OVERHEAD + session + service + 2 * text.len() + escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::channel;

    #[test]
    fn lines_are_charged_what_they_take_on_the_disk() {
        let session: SessionName = "a-session".parse().unwrap();
        let of_session = Speaker::new(Some(&session), OutputSource::Setup);
        for (speaker, text) in [
            (Speaker::new(None, OutputSource::Setup), ""),
            (of_session, "say \"ä\\\"\n\nmore"),
            (Speaker::service("db"), "ready"),
        ] {
            let what = JobEvent::Output {
                session: speaker.session.clone(),
                service: speaker.service.clone(),
                source: speaker.source,
                stream: OutputStream::Stdout,
                text: text.to_owned(),
            };
            let event = crate::event::Event { seq: 1_000_000, at: jiff::Timestamp::now(), what };
            let taken = serde_json::to_string(&event).unwrap().len() + 1 + text.len() + 1;
            let charged = written(&speaker, text);
            assert!((taken..taken + 10).contains(&charged), "{charged} for {taken}");
        }
    }

    #[tokio::test]
    async fn what_fills_the_disk_is_left_out_and_that_is_said() {
        let (sink, mut stream) = channel();
        let mut outlet = Outlet::new(&sink, Speaker::new(None, OutputSource::Gate), 1);
        outlet.kept = OUTPUT_MAX - 200;
        for line in ["kept", "not", ""] {
            outlet.gather(OutputStream::Stdout, line).await;
            outlet.send().await;
        }
        let seen: Vec<_> = std::iter::from_fn(|| stream.try_recv()).map(|e| e.what).collect();
        assert!(
            matches!(
                &seen[..],
                [JobEvent::Output { text, .. }, JobEvent::Notice { message, .. }]
                    if text == "kept" && message.contains("512.0 MiB")
            ),
            "{seen:?}"
        );
        assert_eq!(outlet.finish().await, [""]);
    }

    #[tokio::test]
    async fn lines_go_together_until_it_is_too_much_or_the_stream_is_another() {
        let (sink, mut stream) = channel();
        let mut outlet = Outlet::new(&sink, Speaker::new(None, OutputSource::Gate), 2);
        let line = "x".repeat(99);
        for _ in 0..1000 {
            outlet.gather(OutputStream::Stdout, &line).await;
        }
        outlet.gather(OutputStream::Stderr, "").await;
        assert_eq!(outlet.finish().await, [&*line, ""]);
        let mut seen = Vec::new();
        while let Some(event) = stream.try_recv() {
            let JobEvent::Output { stream, text, .. } = event.what else { panic!("{event:?}") };
            assert!(text.len() <= EVENT_MAX);
            seen.push((stream, text.split('\n').count()));
        }
        let [out, err] = [OutputStream::Stdout, OutputStream::Stderr];
        assert_eq!(seen, [(out, 327), (out, 327), (out, 327), (out, 19), (err, 1)]);
    }
}
