//! The way to a process in a pod: a WebSocket with a channel for each of its streams.
//!
//! Kubernetes' `channel.k8s.io` protocol, versions 4 and 5. kube's own loop for it waits until input has
//! been taken before it reads output again, and so for ever where a process does the same.

use super::config::Cluster;
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
use tokio_tungstenite::tungstenite::{Error, Message};

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

/// What is written to a process.
pub(super) struct Writing {
    frames: Pin<Box<dyn Sink<Message, Error = Error> + Send>>,
    /// The protocol has a word for the end of input: version 5.
    pub(super) can_end_input: bool,
}

/// What a process writes.
pub(super) struct Reading(Pin<Box<dyn Stream<Item = Result<Message, Error>> + Send>>);

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
        let connection = self.cluster.client.connect(request).await?;
        let can_end_input = connection.supports_stream_close();
        let (frames, reading) = connection.into_stream().split();
        Ok((Reading(Box::pin(reading)), Writing { frames: Box::pin(frames), can_end_input }))
    }
}

impl Writing {
    /// Writes to its input.
    pub(super) async fn input(&mut self, bytes: &[u8]) -> Result<(), Error> {
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
    /// The next piece; `None` where the connection has ended without a word about the process.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        loop {
            let frame = match self.0.next().await? {
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
