//! One command in a container from its start to its end: its input, its two outputs, its timeout.

use super::ending::Ending;
use super::engine::{ApiError, Engine, status};
use super::events::{Events, Seen};
use crate::ending::{MARK, until_ended};
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures::{Stream, StreamExt};
use smelt_core::event::OutputStream;
use smelt_core::port::{Command, Exit, ExitStatus, Output, SandboxError};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long output is waited for that nobody writes any more.
const DRAIN: Duration = Duration::from_millis(500);

/// How long the engine may take to tell that a command has ended whose output has.
const TOLD: Duration = Duration::from_millis(300);

/// How often it is asked where it does not tell.
const ASK: Duration = Duration::from_millis(50);

/// How long it may take to tell why a command was killed.
const LATE: Duration = Duration::from_millis(500);

/// Exit code of what SIGKILL has ended.
const KILLED: ExitStatus = ExitStatus::Code(137);

/// Most of one piece of output, in bytes.
const PIECE: usize = 1 << 16;

/// A shell, so that a program that is not there ends with 127 and nothing else; and so that one process
/// of the session keeps the mark, whatever its others do with their environment. It outlives being asked
/// to end: the command is to have the last word.
const START: &str = r#"trap : TERM INT HUP; "$@""#;

/// A container that commands are run in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) engine: &'a Engine,
    pub(super) container: &'a str,
    pub(super) events: &'a Events,
    /// User and group, as numbers.
    pub(super) user: &'a str,
    /// Variables of every command.
    pub(super) env: &'a BTreeMap<String, String>,
}

type Input<'a> = Option<&'a mut (dyn AsyncRead + Send + Unpin)>;
type Printed = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
type Stdin = Pin<Box<dyn AsyncWrite + Send>>;

impl Place<'_> {
    /// Runs `command` to its end.
    pub(super) async fn run(
        &self,
        command: &Command,
        input: Input<'_>,
        output: &mut dyn Output,
    ) -> Result<Exit, SandboxError> {
        let mark = uuid::Uuid::new_v4().to_string();
        let seen = self.events.subscribe();
        let memory = seen.borrow().out_of_memory;
        let mut ending = Ending::of(*self, &mark);
        let (exec, printed, stdin) = self.start(command, &mark, input.is_some()).await?;
        let (refused, drained) = (CancellationToken::new(), CancellationToken::new());
        let printing_ended = CancellationToken::new();
        let control = async {
            let ended = self.ended(&exec, seen.clone(), &printing_ended);
            let code = until_ended(command, ended, &refused, &mut ending).await;
            // What it left running may hold its outputs open.
            tokio::select! {
                () = tokio::time::sleep(DRAIN) => {}
                () = refused.cancelled() => {}
                () = printing_ended.cancelled() => {}
            }
            drained.cancel();
            code
        };
        let pump = async {
            pump(printed, output, &refused, &drained).await;
            printing_ended.cancel();
        };
        let feed = async {
            tokio::select! {
                () = feed(stdin, input) => {}
                () = drained.cancelled() => {}
            }
        };
        let (status, (), ()) = tokio::join!(control, pump, feed);
        ending.forget();
        self.events.take_exit(&exec);
        let status = status?;
        let seen = seen_in_the_end(status, memory, seen).await;
        match seen.gone {
            // It did not end by itself, and neither will the next one.
            Some(why) if status == KILLED => Err(SandboxError::Gone(why)),
            _ => Ok(Exit { status, out_of_memory: seen.out_of_memory > memory }),
        }
    }

    async fn start(
        &self,
        command: &Command,
        mark: &str,
        has_input: bool,
    ) -> Result<(String, Printed, Stdin), SandboxError> {
        let own = self.env.iter().map(|(name, value)| format!("{name}={value}"));
        let given = command.env.iter().map(|(name, value)| format!("{name}={}", value.expose()));
        let mut cmd: Vec<_> = ["sh", "-c", START, "smelt"].map(String::from).into();
        cmd.extend(command.argv.iter().cloned());
        let options = CreateExecOptions {
            attach_stdin: Some(has_input),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(own.chain(given).chain([format!("{MARK}={mark}")]).collect()),
            cmd: Some(cmd),
            user: Some(self.user.to_owned()),
            working_dir: Some(command.folder.display().to_string()),
            ..CreateExecOptions::default()
        };
        let created = self.engine.api.create_exec(self.container, options).await;
        let exec = created.map_err(|error| self.not_run(error))?.id;
        let options =
            StartExecOptions { output_capacity: Some(PIECE), ..StartExecOptions::default() };
        match self.engine.api.start_exec(&exec, Some(options)).await {
            Ok(StartExecResults::Attached { output, input }) => Ok((exec, output, input)),
            Ok(StartExecResults::Detached) => {
                Err(SandboxError::failed("starting a command", "the engine has detached it"))
            }
            Err(error) => Err(self.not_run(error)),
        }
    }

    /// Why a command could not be run: because of the command, or because there is no container.
    fn not_run(&self, error: Error) -> SandboxError {
        let gone = self.events.subscribe().borrow().gone.clone();
        match (gone, status(&error)) {
            (Some(why), _) => SandboxError::Gone(why),
            (None, Some(404 | 409)) => {
                SandboxError::Gone(ApiError::new("starting a command", error).to_string())
            }
            (None, Some(_)) => ApiError::new("starting a command", error).into(),
            (None, None) => SandboxError::Gone("the engine does not answer any more".into()),
        }
    }

    /// Waits for the end of `exec`; returns its exit code.
    async fn ended(
        &self,
        exec: &str,
        mut seen: watch::Receiver<Seen>,
        printing_ended: &CancellationToken,
    ) -> Result<i64, SandboxError> {
        let told = async {
            let over = |seen: &Seen| seen.exits.contains_key(exec) || seen.gone.is_some();
            match seen.wait_for(over).await {
                Ok(seen) => match (seen.exits.get(exec), &seen.gone) {
                    (Some(code), _) => Ok(*code),
                    (None, why) => Err(SandboxError::Gone(why.clone().unwrap_or_default())),
                },
                Err(_) => Err(SandboxError::Gone("nobody watches it any more".into())),
            }
        };
        // Where an event was missed, the engine is asked.
        let asked = async {
            printing_ended.cancelled().await;
            tokio::time::sleep(TOLD).await;
            loop {
                match self.engine.api.inspect_exec(exec).await {
                    Ok(state) if state.running == Some(false) => {
                        return Ok(state.exit_code.unwrap_or(-1));
                    }
                    Ok(_) => tokio::time::sleep(ASK).await,
                    Err(error) => return Err(self.not_run(error)),
                }
            }
        };
        tokio::select! {
            biased;
            told = told => told,
            asked = asked => asked,
        }
    }
}

/// Hands on what a command prints, as it comes.
async fn pump(
    mut printed: Printed,
    output: &mut dyn Output,
    refused: &CancellationToken,
    drained: &CancellationToken,
) {
    loop {
        let piece = tokio::select! {
            // What has been printed is read, also when nothing more is waited for.
            biased;
            piece = printed.next() => piece,
            () = drained.cancelled() => return,
        };
        let (stream, bytes) = match piece {
            Some(Ok(LogOutput::StdErr { message })) => (OutputStream::Stderr, message),
            Some(Ok(LogOutput::StdOut { message } | LogOutput::Console { message })) => {
                (OutputStream::Stdout, message)
            }
            Some(Ok(LogOutput::StdIn { .. })) => continue,
            // Why it has ended is for others to tell.
            Some(Err(_)) | None => return,
        };
        if output.write(stream, &bytes).await.is_break() {
            refused.cancel();
            return;
        }
    }
}

async fn feed(mut stdin: Stdin, input: Input<'_>) {
    if let Some(input) = input {
        // Whoever does not read to the end did not want to.
        let _ = tokio::io::copy(input, &mut stdin).await;
        let _ = stdin.shutdown().await;
    }
}

/// What has been seen after a command that ended with `status`. Why one was killed is told after its
/// end at times: that memory ran out, as it had done `before` times, or that all of its container did.
async fn seen_in_the_end(status: ExitStatus, before: u64, mut seen: watch::Receiver<Seen>) -> Seen {
    if status == KILLED {
        let told = seen.wait_for(|seen| seen.out_of_memory > before || seen.gone.is_some());
        let _ = tokio::time::timeout(LATE, told).await;
    }
    seen.borrow().clone()
}
