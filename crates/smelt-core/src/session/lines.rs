//! From the bytes a process prints to lines that may be shown.

use super::outlet::{Outlet, Speaker};
use crate::event::{EventSink, OutputStream};
use crate::port::Output;
use crate::secret::Redactor;
use crate::text::clean_line;
use async_trait::async_trait;
use std::ops::ControlFlow;

/// Longest line that is shown, in bytes; longer ones are cut into several.
const LINE_MAX: usize = 16 << 10;

/// Longest escape sequence that is looked for where a line is cut, in bytes.
const ESCAPE_MAX: usize = 64;

/// Longest line that a reader of its own gets in one piece: agents print whole files as JSON.
const RECORD_MAX: usize = 8 << 20;

/// Makes something readable of what an agent prints.
pub(crate) trait AgentOutput: Send {
    /// The lines to show for one line of the agent's standard output.
    fn read(&mut self, line: &str) -> Vec<String>;
}

/// Sends a process's lines on as events, and keeps the last of them.
pub(crate) struct Lines<'a, 'r> {
    redactor: &'a Redactor,
    outlet: Outlet<'a>,
    agent: Option<&'r mut dyn AgentOutput>,
    pending: [Vec<u8>; 2],
}

impl<'a, 'r> Lines<'a, 'r> {
    pub(crate) fn new(
        events: &'a EventSink,
        redactor: &'a Redactor,
        speaker: Speaker,
        tail_length: usize,
    ) -> Self {
        let outlet = Outlet::new(events, speaker, tail_length);
        Self { redactor, outlet, agent: None, pending: [Vec::new(), Vec::new()] }
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
        self.outlet.finish().await
    }

    /// Sends on the start of a line that is too long; returns what is to be seen with its rest.
    ///
    /// It is cut between two characters, outside of escape sequences, and outside of secrets, even
    /// of those with escape sequences in them.
    async fn piece(&mut self, stream: OutputStream, bytes: &[u8]) -> Vec<u8> {
        let recent = bytes.len().saturating_sub(ESCAPE_MAX);
        let escape = bytes[recent..].iter().rposition(|byte| *byte == 0x1b);
        let end = escape.map_or(bytes.len() - incomplete_end(bytes), |at| recent + at);
        let (whole, begun) = bytes.split_at(end);
        let text = String::from_utf8_lossy(whole);
        let clean = clean_line(&text);
        let (piece, rest) = clean.split_at(self.redactor.cut(&clean));
        if !piece.is_empty() {
            self.line(stream, piece.as_bytes()).await;
        }
        [rest.as_bytes(), begun].concat()
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

    /// Shows `line`, cut into pieces that are not too long once no secret is in it any more.
    async fn show(&mut self, stream: OutputStream, line: &str) {
        let clean = clean_line(line);
        let text = self.redactor.redact(&clean);
        let mut rest = &*text;
        while rest.len() > LINE_MAX {
            let (piece, more) = rest.split_at(rest.floor_char_boundary(LINE_MAX));
            self.outlet.gather(stream, piece).await;
            rest = more;
        }
        self.outlet.gather(stream, rest).await;
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
        // What may be the start of a secret stays for the next piece.
        let longest = self.redactor.longest() + if read_whole { RECORD_MAX } else { LINE_MAX };
        while !bytes.is_empty() {
            let begun = &mut self.pending[slot(stream)];
            let reach = bytes.len().min(longest - begun.len());
            let end = memchr::memchr(b'\n', &bytes[..reach]);
            let (part, rest) = bytes.split_at(end.unwrap_or(reach));
            bytes = &rest[usize::from(end.is_some())..];
            if end.is_some() && begun.is_empty() {
                self.line(stream, part).await;
                continue;
            }
            let mut line = std::mem::take(begun);
            line.extend_from_slice(part);
            if end.is_some() {
                self.line(stream, &line).await;
                line.clear();
            } else if line.len() == longest {
                line = self.piece(stream, &line).await;
            }
            self.pending[slot(stream)] = line;
        }
        // None waits for lines that may follow.
        self.outlet.send().await;
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
    use crate::event::{Event, EventStream, JobEvent, OutputSource, channel};
    use crate::secret::Secret;

    async fn lines(chunks: &[(OutputStream, &[u8])]) -> (Vec<String>, Vec<String>) {
        let (sink, mut stream) = channel();
        let redactor = Redactor::new(&[Secret::new("hunter22")]);
        let mut lines = Lines::new(&sink, &redactor, Speaker::new(None, OutputSource::Gate), 2);
        for (stream, bytes) in chunks {
            assert!(lines.write(*stream, bytes).await.is_continue());
        }
        let tail = lines.finish().await;
        (texts(&mut stream), tail)
    }

    /// What the events say that are there by now.
    fn texts(stream: &mut EventStream) -> Vec<String> {
        let events = std::iter::from_fn(|| stream.try_recv());
        let text = |event: Event| match event.what {
            JobEvent::Output { text, .. } => text,
            other => panic!("{other:?}"),
        };
        events.map(text).collect()
    }

    /// The lines of all events.
    fn in_lines(texts: &[String]) -> Vec<&str> {
        texts.iter().flat_map(|text| text.split('\n')).collect()
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
        assert_eq!(seen, ["one", "bad", "two\n", "key ***"]);
        assert_eq!(tail, ["", "key ***"]);
    }

    #[tokio::test]
    async fn lines_that_come_together_are_one_event_and_none_waits_for_more() {
        let (sink, mut stream) = channel();
        let redactor = Redactor::new(&[Secret::new("hunter22")]);
        let mut lines = Lines::new(&sink, &redactor, Speaker::new(None, OutputSource::Agent), 3);
        for (written, seen) in [
            (&b"one\n\ntwo\nthr"[..], vec!["one\n\ntwo"]),
            (b"ee", vec![]),
            (b"\n\n", vec!["three\n"]),
            (b"\n", vec![""]),
            (b"hunter22\n\tx\xff\nrest", vec!["***\n x\u{fffd}"]),
        ] {
            assert!(lines.write(OutputStream::Stdout, written).await.is_continue());
            assert_eq!(texts(&mut stream), seen, "{written:?}");
        }
        assert_eq!(lines.finish().await, ["***", " x\u{fffd}", "rest"]);
        assert_eq!(texts(&mut stream), ["rest"]);
    }

    #[tokio::test]
    async fn endless_lines_are_cut_between_characters() {
        let long = "ä".repeat(LINE_MAX);
        let (seen, _) = lines(&[(OutputStream::Stdout, format!("x{long}").as_bytes())]).await;
        let seen = in_lines(&seen);
        assert!(seen.len() > 1 && seen.iter().all(|line| line.len() <= LINE_MAX));
        assert_eq!(seen.concat(), format!("x{long}"));
    }

    #[tokio::test]
    async fn a_secret_where_a_line_is_cut_is_masked() {
        for before in LINE_MAX - 10..LINE_MAX + 20 {
            for secret in ["hunter22", "hunt\u{1b}[1mer22"] {
                let text = format!("{}{secret}{}", "x".repeat(before), "y".repeat(LINE_MAX));
                let (seen, _) = lines(&[(OutputStream::Stderr, text.as_bytes())]).await;
                let seen = in_lines(&seen);
                let (x, y) = ("x".repeat(before), "y".repeat(LINE_MAX));
                assert!(seen.concat() == format!("{x}***{y}"), "{secret:?} after {before}");
                assert!(seen.iter().all(|line| line.len() <= LINE_MAX));
            }
        }
    }

    /// Says everything twice, in one line.
    struct Twice;

    impl AgentOutput for Twice {
        fn read(&mut self, line: &str) -> Vec<String> {
            vec![line.repeat(2)]
        }
    }

    #[tokio::test]
    async fn what_an_agents_reader_makes_is_cut_like_all_else() {
        let (sink, mut stream) = channel();
        let (redactor, mut reader) = (Redactor::new([]), Twice);
        let mut lines = Lines::new(&sink, &redactor, Speaker::new(None, OutputSource::Agent), 0)
            .read_by(Some(&mut reader));
        let text = "z".repeat(LINE_MAX) + "\n";
        assert!(lines.write(OutputStream::Stdout, text.as_bytes()).await.is_continue());
        assert_eq!(in_lines(&texts(&mut stream)), vec!["z".repeat(LINE_MAX); 2]);
    }
}
