//! From the bytes a process prints to lines that may be shown.

use crate::event::{EventSink, JobEvent, OutputSource, OutputStream};
use crate::name::SessionName;
use crate::port::Output;
use crate::secret::Redactor;
use crate::text::clean_line;
use async_trait::async_trait;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Longest line, in bytes; longer ones are cut into several.
const LINE_MAX: usize = 16 << 10;

/// Longest line that a reader of its own gets in one piece: agents print whole files as JSON.
const RECORD_MAX: usize = 8 << 20;

/// Output that is kept of one command, in bytes. The command runs on; the rest is not kept.
const OUTPUT_MAX: u64 = 512 << 20;

/// Makes something readable of what an agent prints.
pub(crate) trait AgentOutput: Send {
    /// The lines to show for one line of the agent's standard output.
    fn read(&mut self, line: &str) -> Vec<String>;
}

/// Sends a process's lines on as events, and keeps the last of them.
pub(crate) struct Lines<'a, 'r> {
    events: &'a EventSink,
    redactor: &'a Redactor,
    session: Option<SessionName>,
    source: OutputSource,
    agent: Option<&'r mut dyn AgentOutput>,
    pending: [Vec<u8>; 2],
    tail: VecDeque<String>,
    tail_length: usize,
    kept: u64,
}

impl<'a, 'r> Lines<'a, 'r> {
    pub(crate) fn new(
        events: &'a EventSink,
        redactor: &'a Redactor,
        session: Option<&SessionName>,
        source: OutputSource,
        tail_length: usize,
    ) -> Self {
        Self {
            events,
            redactor,
            session: session.cloned(),
            source,
            agent: None,
            pending: [Vec::new(), Vec::new()],
            tail: VecDeque::with_capacity(tail_length),
            tail_length,
            kept: 0,
        }
    }

    /// The same, with standard output read by `agent` first.
    pub(crate) fn read_by(self, agent: Option<&'r mut dyn AgentOutput>) -> Self {
        Self { agent, ..self }
    }

    /// Sends on what was printed without a last newline; returns the last lines.
    pub(crate) async fn finish(mut self) -> Vec<String> {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let rest = std::mem::take(&mut self.pending[slot(stream)]);
            if !rest.is_empty() {
                self.line(stream, &rest).await;
            }
        }
        self.tail.into()
    }

    async fn line(&mut self, stream: OutputStream, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        match (&mut self.agent, stream) {
            (Some(agent), OutputStream::Stdout) => {
                for said in agent.read(&text) {
                    for line in said.lines() {
                        self.show(stream, line).await;
                    }
                }
            }
            _ => self.show(stream, &text).await,
        }
    }

    async fn show(&mut self, stream: OutputStream, line: &str) {
        let clean = clean_line(line);
        let text = self.redactor.redact(&clean).into_owned();
        if self.tail_length > 0 {
            if self.tail.len() == self.tail_length {
                self.tail.pop_front();
            }
            self.tail.push_back(text.clone());
        }
        let bytes = text.len() + 1;
        self.kept += bytes as u64;
        if self.kept <= OUTPUT_MAX {
            let (session, source) = (self.session.clone(), self.source);
            self.events
                .emit_output(JobEvent::Output { session, source, stream, text }, bytes)
                .await;
        } else if self.kept - bytes as u64 <= OUTPUT_MAX {
            let message =
                format!("the {}'s output is kept up to {OUTPUT_MAX} bytes", self.source.as_str());
            let (level, session) = (crate::event::Level::Warning, self.session.clone());
            self.events.emit(JobEvent::Notice { level, message, session });
        }
    }
}

fn slot(stream: OutputStream) -> usize {
    match stream {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
    }
}

#[async_trait]
impl Output for Lines<'_, '_> {
    async fn write(&mut self, stream: OutputStream, mut bytes: &[u8]) -> ControlFlow<()> {
        let read_whole = self.agent.is_some() && stream == OutputStream::Stdout;
        let longest = if read_whole { RECORD_MAX } else { LINE_MAX };
        while !bytes.is_empty() {
            let mut line = std::mem::take(&mut self.pending[slot(stream)]);
            let room = longest - line.len();
            let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let cut = end.unwrap_or(room.min(bytes.len()));
            line.extend_from_slice(&bytes[..cut]);
            bytes = &bytes[cut + usize::from(end.is_some())..];
            if end.is_some() || line.len() == longest {
                // A line that is cut is cut between two characters.
                let rest = if end.is_some() { 0 } else { incomplete_end(&line) };
                let whole = line.len() - rest;
                self.line(stream, &line[..whole]).await;
                line.drain(..whole);
            }
            self.pending[slot(stream)] = line;
        }
        ControlFlow::Continue(())
    }
}

/// How many bytes at the end are the start of a character of UTF-8 that goes on behind them.
fn incomplete_end(bytes: &[u8]) -> usize {
    for (back, byte) in (1..=3).zip(bytes.iter().rev()) {
        match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf if back < 2 => return back,
            0xe0..=0xef if back < 3 => return back,
            0xf0..=0xff if back < 4 => return back,
            _ => return 0,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::channel;
    use crate::secret::Secret;

    async fn lines(chunks: &[(OutputStream, &[u8])]) -> (Vec<String>, Vec<String>) {
        let (sink, mut stream) = channel();
        let redactor = Redactor::new(&[Secret::new("hunter22")]);
        let mut lines = Lines::new(&sink, &redactor, None, OutputSource::Gate, 2);
        for (stream, bytes) in chunks {
            assert!(lines.write(*stream, bytes).await.is_continue());
        }
        let tail = lines.finish().await;
        let mut seen = Vec::new();
        while let Some(event) = stream.try_recv() {
            if let JobEvent::Output { text, .. } = event.what {
                seen.push(text);
            }
        }
        (seen, tail)
    }

    #[tokio::test]
    async fn lines_are_put_together_cleaned_and_masked() {
        use OutputStream::{Stderr, Stdout};
        let (seen, tail) = lines(&[
            (Stdout, b"one\ntw"),
            (Stderr, b"\x1b[31mbad\x1b[0m\n"),
            (Stdout, b"o\n\nkey hunter22"),
        ])
        .await;
        assert_eq!(seen, ["one", "bad", "two", "", "key ***"]);
        assert_eq!(tail, ["", "key ***"]);
    }

    #[tokio::test]
    async fn endless_lines_are_cut_between_characters() {
        let long = "ä".repeat(LINE_MAX);
        let (seen, _) = lines(&[(OutputStream::Stdout, format!("x{long}").as_bytes())]).await;
        assert!(seen.len() > 1 && seen.iter().all(|line| line.len() <= LINE_MAX));
        assert_eq!(seen.concat(), format!("x{long}"));
    }
}
