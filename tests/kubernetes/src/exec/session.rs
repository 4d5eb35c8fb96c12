//! A session: what a command reads and writes, and its last word.

use super::outcome;
use super::pipes::{self, Running};
use super::request::{Protocol, Wanted, not_found};
use super::terminal::Terminal;
use crate::jail::Jail;
use crate::state::{Key, Shared};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// With the number of the channel that ends.
const CLOSE: u8 = 255;

/// How much is read at once; a few of them may wait for the client, and then the command does.
const PIECE: usize = 32 * 1024;

/// How long the client has to end the connection after the last word.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a session is to run, and where.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) container: Value,
    pub(super) wanted: Wanted,
    pub(super) protocol: Protocol,
    /// After so many bytes of output the connection ends.
    pub(super) cut: Option<u64>,
}

/// Runs the command to its end, whether or not anybody still listens.
pub(super) async fn run(session: Session, upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None);
    let (mut sink, source) = socket.await.split();
    // So does a real server tell that it is there.
    let greeting = if session.wanted.stdout { STDOUT } else { ERROR };
    let _ = sink.send(message(greeting, b"")).await;
    let (running, lost) = match session.start() {
        Ok(started) => started,
        Err(status) => {
            let _ = sink.send(message(ERROR, status.to_string().as_bytes())).await;
            let _ = sink.close().await;
            let _ = tokio::time::timeout(FAREWELL, drain(source)).await;
            return;
        }
    };
    let Running { mut child, stdin, stdout, stderr, terminal } = running;
    let (id, exited) = (child.id(), CancellationToken::new());
    let v5 = session.protocol == Protocol::V5;
    let reader = Reader { stdin, terminal, v5, exited: exited.clone() };
    let reader = tokio::spawn(reader.read(source));
    let (words, rest) = mpsc::channel(4);
    let stop = session.shared.stop.clone();
    let (writer, abort) = (Writer { sink, left: session.cut }, reader.abort_handle());
    let writer = tokio::spawn(async move {
        let sink = tokio::select! {
            () = lost.cancelled() => None,
            () = stop.cancelled() => None,
            sink = writer.write(rest) => sink,
        };
        if sink.is_none() {
            // The connection is there for as long as one of the two has it.
            abort.abort();
        }
        sink
    });
    let pumps = [(STDOUT, stdout), (STDERR, stderr)]
        .map(|(channel, pipe)| tokio::spawn(pump(channel, pipe, words.clone())));
    let status = child.wait().await.expect("a child can be waited for");
    if let (Some(id), Some(cell)) = (id, session.shared.state().cells.get_mut(&session.uid)) {
        cell.processes.remove(&id);
    }
    exited.cancel();
    for pump in pumps {
        let _ = pump.await;
    }
    let last = outcome::ended(&session.wanted.command, status).to_string();
    let _ = words.send(message(ERROR, last.as_bytes())).await;
    drop(words);
    let sink = writer.await.ok().flatten();
    let abort = reader.abort_handle();
    if sink.is_some() {
        // Bytes that nobody read would make the end of the connection a reset.
        let _ = tokio::time::timeout(FAREWELL, reader).await;
    }
    abort.abort();
}

impl Session {
    /// The command's processes and what tells that the node is lost; or the last word at once.
    fn start(&self) -> Result<(Running, CancellationToken), Value> {
        let mut state = self.shared.state();
        let name = self.container["name"].as_str().unwrap_or_default();
        let gone = || outcome::internal(&not_found(name));
        let pod = state.objects.get(&self.key).cloned().ok_or_else(gone)?;
        let cell = state.cells.get_mut(&self.uid).filter(|cell| cell.runs).ok_or_else(gone)?;
        let jail = Jail::of(&cell.folder, &pod, &self.container);
        if let Some(why) = jail.refusal(&self.wanted.command[0]) {
            return Err(outcome::not_started(&why));
        }
        // Under the lock, so that who ends the pod meets all that was started in it.
        let running = pipes::start(&jail.command(&self.wanted.command), &self.wanted);
        cell.processes.extend(running.child.id());
        Ok((running, cell.lost.clone()))
    }
}

struct Writer {
    sink: SplitSink<Socket, Message>,
    left: Option<u64>,
}

impl Writer {
    /// Sends until the last word; nothing comes back of a connection that is no more.
    async fn write(
        mut self,
        mut words: mpsc::Receiver<Message>,
    ) -> Option<SplitSink<Socket, Message>> {
        loop {
            if self.left == Some(0) {
                return None;
            }
            let Some(word) = words.recv().await else { break };
            let data = word.into_data();
            let (channel, bytes) = (data[0], &data[1..]);
            let cut = self.left.filter(|_| channel != ERROR);
            let length = cut.map_or(bytes.len(), |left| {
                bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))
            });
            self.sink.send(message(channel, &bytes[..length])).await.ok()?;
            if let Some(left) = cut {
                self.left = Some(left - length as u64);
            }
        }
        self.sink.close().await.ok()?;
        Some(self.sink)
    }
}

struct Reader {
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    terminal: Option<Terminal>,
    v5: bool,
    exited: CancellationToken,
}

impl Reader {
    /// Reads as fast as the command does; the end of the connection is the end of its stdin.
    async fn read(mut self, mut source: SplitStream<Socket>) {
        while let Some(Ok(word)) = source.next().await {
            let (Message::Binary(_) | Message::Text(_)) = word else { continue };
            let data = word.into_data();
            match data.split_first() {
                Some((&STDIN, bytes)) => self.pass(bytes).await,
                Some((&CLOSE, [STDIN])) if self.v5 => self.stdin = None,
                Some((&RESIZE, size)) => self.resize(size),
                _ => {}
            }
        }
    }

    async fn pass(&mut self, bytes: &[u8]) {
        let Some(stdin) = &mut self.stdin else { return };
        let passed = tokio::select! {
            passed = stdin.write_all(bytes) => passed.is_ok(),
            () = self.exited.cancelled() => false,
        };
        if !passed {
            self.stdin = None;
        }
    }

    fn resize(&self, size: &[u8]) {
        let size: Value = serde_json::from_slice(size).unwrap_or_default();
        let side = |name: &str| size[name].as_u64().and_then(|side| u16::try_from(side).ok());
        if let (Some(terminal), Some(width), Some(height)) =
            (&self.terminal, side("Width"), side("Height"))
        {
            terminal.resize(width, height);
        }
    }
}

/// Takes what the command writes, and goes on taking it when nobody wants it any more.
async fn pump(
    channel: u8,
    pipe: Option<Box<dyn AsyncRead + Send + Unpin>>,
    words: mpsc::Sender<Message>,
) {
    let Some(mut pipe) = pipe else { return };
    let mut piece = vec![0; PIECE];
    loop {
        match pipe.read(&mut piece).await {
            Ok(0) => return,
            Ok(length) => {
                let _ = words.send(message(channel, &piece[..length])).await;
            }
            Err(error) => {
                debug_assert!(pipes::is_end(&error), "a pipe could not be read: {error}");
                return;
            }
        }
    }
}

async fn drain(mut source: SplitStream<Socket>) {
    while let Some(Ok(_)) = source.next().await {}
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut data = Vec::with_capacity(bytes.len() + 1);
    data.push(channel);
    data.extend_from_slice(bytes);
    Message::Binary(Bytes::from(data))
}
