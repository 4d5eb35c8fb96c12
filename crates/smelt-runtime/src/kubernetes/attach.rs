//! The way to a process in a pod: a WebSocket with a channel for each of its streams.
//!
//! Kubernetes' `channel.k8s.io` protocol, versions 4 and 5. kube's own loop for it waits until input has
//! been taken before it reads output again, and so for ever where a process does the same.

use super::config::Cluster;
use super::error::answered;
use super::pod::CONTAINER;
use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Resource;
use kube::api::AttachParams;
use kube::core::Request;
use smelt_core::event::OutputStream;
use smelt_core::port::TerminalSize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

/// How often a connection is kept alive; proxies end it after a minute or more.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long nothing may come over one that is kept alive.
const SILENCE: Duration = Duration::from_secs(60);

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// The pod that processes are started in.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    pub(super) pod: String,
}

/// What comes from a process.
#[derive(Debug)]
pub(super) enum Piece {
    /// What it wrote.
    Output(OutputStream, Bytes),
    /// It has ended with this code.
    Ended(i64),
    /// It could not be run, for this reason.
    NotRun(String),
}

/// Whether the far end still answers. It answers a ping when it has read all that was written before, and
/// so it may take as long for the first one as a process takes for its input.
#[derive(Debug, Default)]
struct Pulse {
    /// A ping was answered since the last input.
    heard: bool,
    /// When the first ping was sent since which nothing has come.
    unanswered: Option<Instant>,
}

impl Pulse {
    /// Nothing has come for too long.
    fn is_lost(&self) -> bool {
        self.heard && self.unanswered.is_some_and(|since| since.elapsed() >= SILENCE)
    }
}

/// What is written to a process.
pub(super) struct Writing {
    pulse: Arc<Mutex<Pulse>>,
    frames: Pin<Box<dyn Sink<Message, Error = Error> + Send>>,
    /// The protocol has a word for the end of input: version 5.
    pub(super) can_end_input: bool,
}

/// What a process writes.
pub(super) struct Reading {
    frames: Pin<Box<dyn Stream<Item = Result<Message, Error>> + Send>>,
    pulse: Arc<Mutex<Pulse>>,
}

fn lock(pulse: &Mutex<Pulse>) -> MutexGuard<'_, Pulse> {
    pulse.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Target {
    /// Starts `command`, all of whose streams are read, with a terminal if `tty`.
    pub(super) async fn attach(
        &self,
        command: &[&str],
        tty: bool,
    ) -> Result<(Reading, Writing), kube::Error> {
        let params = AttachParams::default().container(CONTAINER).stdin(true).stderr(!tty).tty(tty);
        let request = Request::new(Pod::url_path(&(), Some(&self.namespace)))
            .exec(&self.pod, command.iter().copied(), &params)
            .map_err(kube::Error::BuildRequest)?;
        let connection = answered(self.cluster.client.connect(request)).await?;
        let can_end_input = connection.supports_stream_close();
        let (frames, reading) = connection.into_stream().split();
        let pulse = Arc::default();
        let reading = Reading { frames: Box::pin(reading), pulse: Arc::clone(&pulse) };
        Ok((reading, Writing { frames: Box::pin(frames), pulse, can_end_input }))
    }
}

impl Writing {
    /// Writes to its input.
    pub(super) async fn input(&mut self, bytes: &[u8]) -> Result<(), Error> {
        *lock(&self.pulse) = Pulse::default();
        self.send(STDIN, bytes).await
    }

    /// Ends its input, where the protocol can.
    pub(super) async fn end_input(&mut self) -> Result<(), Error> {
        self.send(CLOSE, &[STDIN]).await
    }

    /// Tells it how large its terminal is.
    pub(super) async fn resize(&mut self, size: TerminalSize) -> Result<(), Error> {
        let size = serde_json::json!({ "Width": size.columns, "Height": size.rows });
        self.send(RESIZE, size.to_string().as_bytes()).await
    }

    /// Keeps the connection from being taken for a dead one; where it is one, that shows.
    pub(super) async fn keep_alive(&mut self) -> Result<(), Error> {
        lock(&self.pulse).unanswered.get_or_insert_with(Instant::now);
        self.frames.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, channel: u8, bytes: &[u8]) -> Result<(), Error> {
        let mut frame = Vec::with_capacity(bytes.len() + 1);
        frame.push(channel);
        frame.extend_from_slice(bytes);
        self.frames.send(Message::Binary(frame.into())).await
    }
}

impl Reading {
    /// The next piece; `None` where the connection has ended without a word about the process, or nothing
    /// comes over it any more.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        loop {
            let Ok(frame) = timeout(KEEP_ALIVE, self.frames.next()).await else {
                if lock(&self.pulse).is_lost() {
                    tracing::debug!("a process in a pod: its connection is dead");
                    return None;
                }
                continue;
            };
            let frame = frame?;
            {
                let mut pulse = lock(&self.pulse);
                pulse.unanswered = None;
                pulse.heard |= matches!(frame, Ok(Message::Pong(_)));
            }
            let frame = match frame {
                Ok(Message::Binary(frame)) => frame,
                Ok(_) => continue,
                Err(error) => {
                    tracing::debug!(%error, "a process in a pod");
                    return None;
                }
            };
            // Each channel is opened with an empty frame.
            let (Some(channel), true) = (frame.first(), frame.len() > 1) else { continue };
            return Some(match *channel {
                STDOUT => Piece::Output(OutputStream::Stdout, frame.slice(1..)),
                STDERR => Piece::Output(OutputStream::Stderr, frame.slice(1..)),
                STATUS => ended(&frame[1..]),
                _ => continue,
            });
        }
    }
}

/// What the cluster's last word on a process means. The code stands among the causes.
fn ended(status: &[u8]) -> Piece {
    let status: Status = match serde_json::from_slice(status) {
        Ok(status) => status,
        Err(error) => return Piece::NotRun(format!("the cluster tells of its end: {error}")),
    };
    if status.status.as_deref() == Some("Success") {
        return Piece::Ended(0);
    }
    let causes = status.details.and_then(|details| details.causes).unwrap_or_default();
    let mut causes = causes.into_iter();
    let code = causes.find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    match code.and_then(|cause| cause.message?.parse().ok()) {
        Some(code) => Piece::Ended(code),
        None => Piece::NotRun(status.message.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_answered_and_does_not_any_more_is_given_up() {
        for answers in [true, false] {
            let first: Vec<_> =
                answers.then(|| Ok(Message::Pong(Bytes::new()))).into_iter().collect();
            let pulse = Arc::new(Mutex::new(Pulse::default()));
            let frames = Box::pin(stream::iter(first).chain(stream::pending()));
            let mut reading = Reading { frames, pulse: Arc::clone(&pulse) };
            let sink = futures::sink::drain().sink_map_err(|never| match never {});
            let mut writing = Writing { frames: Box::pin(sink), pulse, can_end_input: true };
            let pings = async {
                loop {
                    tokio::time::sleep(KEEP_ALIVE).await;
                    writing.keep_alive().await.unwrap();
                }
            };
            let since = Instant::now();
            tokio::select! {
                piece = timeout(10 * SILENCE, reading.next()) => match answers {
                    true => assert!(piece.unwrap().is_none()),
                    // Who reads no input yet answers no ping either.
                    false => assert!(piece.is_err()),
                },
                () = pings => {}
            }
            assert_eq!(since.elapsed() < 3 * SILENCE, answers);
        }
    }

    #[test]
    fn a_code_stands_among_the_causes() {
        let failed = r#"{"status":"Failure","message":"command terminated with non-zero exit code: 3","reason":"NonZeroExitCode",
            "details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        assert!(matches!(ended(failed.as_bytes()), Piece::Ended(3)));
        assert!(matches!(ended(br#"{"status":"Success"}"#), Piece::Ended(0)));
        let broken = br#"{"status":"Failure","reason":"InternalError","message":"no sh"}"#;
        assert!(matches!(ended(broken), Piece::NotRun(why) if why == "no sh"));
    }
}
