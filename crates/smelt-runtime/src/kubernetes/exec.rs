//! One command in a pod from its start to its end: its input, its two outputs, its timeout.

use super::attach::{KEEP_ALIVE, Piece, Reading, Target, Writing};
use super::ending::Ending;
use super::error::{Ask, explain, status};
use super::events::Events;
use super::header::{Header, SCRIPT, Tail};
use crate::ending::{Cut as IsCut, Ends, MARK, Signal, exit_status, until_ended};
use smelt_core::event::OutputStream;
use smelt_core::port::{Command, Exit, ExitStatus, Output, SandboxError};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long output is waited for that nobody writes any more, and the cluster's word on a command that
/// has printed its last.
const DRAIN: Duration = Duration::from_millis(500);

/// How long the cluster may take to tell why a command was killed, or that its pod is gone.
const LATE: Duration = Duration::from_millis(800);

/// Exit code of what SIGKILL has ended.
const KILLED: ExitStatus = ExitStatus::Code(137);

/// Most of one piece of input, in bytes.
const PIECE: usize = 1 << 15;

/// What a command finds on its standard input, and how many bytes that is.
pub(super) type Input<'a> = Option<(u64, &'a mut (dyn AsyncRead + Send + Unpin))>;

/// A pod that commands are run in.
pub(super) struct Place<'a> {
    pub(super) target: &'a Target,
    pub(super) events: &'a Events,
    /// Variables of every command.
    pub(super) env: &'a BTreeMap<String, String>,
}

/// How a command's end was heard of.
enum Heard {
    /// The cluster says so.
    Code(i64),
    /// Only its outputs say so, and the cluster says nothing.
    Printed(i64),
    NotRun(String),
    /// The connection was lost.
    Nothing,
}

/// Why a command has no exit status.
enum Cut {
    /// Nothing is heard of it any more, for this reason; it may run.
    Unheard(SandboxError),
    /// Something still runs: what it left behind, or itself, and it printed what it was not to know.
    Printed(i64),
    Error(SandboxError),
}

impl From<SandboxError> for Cut {
    fn from(error: SandboxError) -> Self {
        Self::Error(error)
    }
}

impl IsCut for Cut {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Error(SandboxError::Gone(_)))
    }
}

impl Place<'_> {
    /// Runs `command` to its end.
    pub(super) async fn run(
        &self,
        command: &Command,
        input: Input<'_>,
        output: &mut dyn Output,
    ) -> Result<Exit, SandboxError> {
        let (mark, end) = (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().to_string());
        let end = format!("smelt-end-{end}:");
        let line = self.header(command, &mark, &end, input.as_ref().map(|(length, _)| *length))?;
        let (reading, writing) = self.attach().await?;
        let mut ending = Ending::of(self.target, &mark);
        let (refused, drained) = (CancellationToken::new(), CancellationToken::new());
        let printing_ended = CancellationToken::new();
        let (tell, told) = oneshot::channel();
        let control = async {
            let mut status = until_ended(command, self.ended(told), &refused, &mut ending).await;
            if let Err(Cut::Printed(code)) = status {
                let killed = ending.signal(Signal::Kill).await;
                status = killed.map(|()| exit_status(code)).map_err(Cut::Error);
            }
            // What it left running may hold its outputs open.
            tokio::select! {
                () = tokio::time::sleep(DRAIN) => {}
                () = refused.cancelled() => {}
                () = printing_ended.cancelled() => {}
            }
            drained.cancel();
            status
        };
        let pump = async {
            pump(reading, [&end, &end].map(|end| Tail::new(end)), output, tell, &refused, &drained)
                .await;
            printing_ended.cancel();
        };
        let feed = async {
            tokio::select! {
                fed = feed(writing, &line, input) => {
                    if fed.is_err() {
                        refused.cancel();
                    }
                    fed
                }
                () = drained.cancelled() => Ok(()),
            }
        };
        let (status, (), fed) = tokio::join!(control, pump, feed);
        let status = match status {
            Ok(status) => status,
            Err(Cut::Printed(code)) => exit_status(code),
            Err(Cut::Error(error)) => {
                ending.forget();
                return Err(error);
            }
            Err(Cut::Unheard(why)) => {
                // Nobody would hear of its end. Where it can't be ended now, that is tried further.
                let killed = ending.signal(Signal::Kill).await;
                tracing::debug!(?killed, "a command that nothing is heard of any more");
                ending.forget();
                return Err(why);
            }
        };
        ending.forget();
        fed.map_err(|error| SandboxError::failed("reading a command's input", error))?;
        self.judge(status).await
    }

    fn header(
        &self,
        command: &Command,
        mark: &str,
        end: &str,
        input: Option<u64>,
    ) -> Result<String, SandboxError> {
        let own = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given = command.env.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let header = Header {
            argv: command.argv.iter().map(String::as_str).collect(),
            folder: &command.folder,
            env: own.chain(given).chain([(MARK, mark)]).collect(),
            input,
            end,
        };
        header.line()
    }

    /// Starts the script that waits for the header.
    async fn attach(&self) -> Result<(Reading, Writing), SandboxError> {
        let attached = tokio::select! {
            attached = self.target.attach(&["sh", "-c", SCRIPT], false) => attached,
            why = self.events.gone() => return Err(SandboxError::Gone(why)),
        };
        match attached {
            Ok(attached) => Ok(attached),
            Err(error) => Err(self.not_run(error).await),
        }
    }

    /// Why a command could not be run: because of rights, or because there is no pod.
    async fn not_run(&self, error: kube::Error) -> SandboxError {
        match (self.gone_by_now().await, status(&error)) {
            (Some(why), _) => SandboxError::Gone(why),
            (None, Some(404)) => SandboxError::Gone("its pod is not there any more".into()),
            (None, _) => {
                let ask = Ask::of("create", "pods/exec", &self.target.namespace);
                explain("running a command", ask, error)
            }
        }
    }

    /// Why the pod is gone, where it is: that is told a little later at times.
    async fn gone_by_now(&self) -> Option<String> {
        tokio::time::timeout(LATE, self.events.gone()).await.ok()
    }

    /// Waits for the end of the command; returns its exit code.
    async fn ended(&self, told: oneshot::Receiver<Heard>) -> Result<i64, Cut> {
        let mut told = std::pin::pin!(told);
        tokio::select! {
            biased;
            heard = &mut told => match heard {
                Ok(Heard::Code(code)) => Ok(code),
                Ok(Heard::Printed(code)) => Err(Cut::Printed(code)),
                Ok(Heard::NotRun(why)) => match self.gone_by_now().await {
                    Some(why) => Err(SandboxError::Gone(why).into()),
                    None => Err(Cut::Unheard(SandboxError::failed("running a command", why))),
                },
                Ok(Heard::Nothing) | Err(_) => match self.gone_by_now().await {
                    Some(why) => Err(SandboxError::Gone(why).into()),
                    None => {
                        let why = "the connection to the cluster was lost while it ran";
                        Err(Cut::Unheard(SandboxError::failed("running a command", why)))
                    }
                },
            },
            // It may have ended before its pod did.
            why = self.events.gone() => match tokio::time::timeout(LATE, told).await {
                Ok(Ok(Heard::Code(code) | Heard::Printed(code))) => Ok(code),
                _ => Err(SandboxError::Gone(why).into()),
            },
        }
    }

    /// What `status` means, together with what is known of the pod.
    async fn judge(&self, status: ExitStatus) -> Result<Exit, SandboxError> {
        let why = match status {
            // What ends all of a pod is told after the end of its processes.
            KILLED => self.gone_by_now().await,
            _ => None,
        };
        let out_of_memory = why.is_some() && self.events.subscribe().borrow().state.out_of_memory;
        match why {
            // It did not end by itself, and neither will the next one.
            Some(why) if !out_of_memory => Err(SandboxError::Gone(why)),
            _ => Ok(Exit { status, out_of_memory }),
        }
    }
}

/// Hands on what a command prints, as it comes, and tells of its end. A command can find out what is
/// printed after it, and print that itself: so the cluster's word is waited for, which comes at once where
/// nothing holds the outputs any more.
async fn pump(
    mut reading: Reading,
    mut tails: [Tail; 2],
    output: &mut dyn Output,
    tell: oneshot::Sender<Heard>,
    refused: &CancellationToken,
    drained: &CancellationToken,
) {
    let (mut tell, mut ends) = (Some(tell), 0);
    // The code that was printed, and how long the cluster may take to say the same.
    let mut printed: Option<(i64, Instant)> = None;
    let mut heard = |heard: Heard| {
        if let Some(tell) = tell.take() {
            // Where nobody waits any more, the command was ended.
            let _ = tell.send(heard);
        }
    };
    loop {
        let late = async {
            match printed {
                Some((code, until)) => {
                    tokio::time::sleep_until(until).await;
                    code
                }
                None => std::future::pending().await,
            }
        };
        let piece = tokio::select! {
            biased;
            // Also where there is always something to read.
            code = late => {
                printed = None;
                heard(Heard::Printed(code));
                continue;
            }
            // What has been printed is read, also when nothing more is waited for.
            piece = reading.next() => piece,
            () = drained.cancelled() => return,
        };
        let end = match piece {
            Some(Piece::Output(stream, bytes)) => {
                let tail = &mut tails[usize::from(stream == OutputStream::Stderr)];
                let (bytes, code) = tail.take(bytes);
                if !bytes.is_empty() && output.write(stream, &bytes).await.is_break() {
                    refused.cancel();
                    return;
                }
                // What was written before it has come when both outputs have told it.
                ends += u8::from(code.is_some());
                if let (2, Some(code)) = (ends, code) {
                    printed = Some((code, Instant::now() + DRAIN));
                }
                continue;
            }
            Some(Piece::Ended(code)) => Heard::Code(code),
            Some(Piece::NotRun(why)) => printed.map_or(Heard::NotRun(why), of_printed),
            None => printed.map_or(Heard::Nothing, of_printed),
        };
        for (stream, tail) in
            [OutputStream::Stdout, OutputStream::Stderr].into_iter().zip(&mut tails)
        {
            let rest = tail.rest();
            if !rest.is_empty() && output.write(stream, &rest).await.is_break() {
                refused.cancel();
            }
        }
        heard(end);
        return;
    }
}

fn of_printed((code, _): (i64, Instant)) -> Heard {
    Heard::Printed(code)
}

/// Writes the header and the input, and keeps the connection alive. Its input's end is in the header: the
/// way to a process can't be closed in one direction only, in version 4 of the protocol.
async fn feed(mut writing: Writing, line: &str, input: Input<'_>) -> io::Result<()> {
    let mut sent = Ok(());
    for piece in line.as_bytes().chunks(PIECE) {
        sent = sent.and(writing.input(piece).await);
    }
    if let Some((length, input)) = input {
        let (mut left, mut buffer) = (length, vec![0; PIECE]);
        while left > 0 && sent.is_ok() {
            let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let read = input.read(&mut buffer[..most]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read as u64;
            sent = writing.input(&buffer[..read]).await;
        }
    }
    // What can't be written any more is for the reading side to tell.
    while sent.is_ok() {
        sent = writing.keep_alive().await;
        tokio::time::sleep(KEEP_ALIVE).await;
    }
    std::future::pending().await
}
