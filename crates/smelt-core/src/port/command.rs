use crate::event::OutputStream;
use crate::secret::Secret;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The value of a variable of one process.
#[derive(Clone)]
pub enum Value {
    /// One that may be seen.
    Plain(String),
    /// One that may not.
    Secret(Secret),
}

impl Value {
    /// The value, for the process that is given it.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => text.fmt(f),
            Self::Secret(_) => f.write_str("[secret]"),
        }
    }
}

/// What a process finds on its standard input.
#[derive(Clone, Debug, Default)]
pub enum Input {
    /// Nothing: it is closed.
    #[default]
    Closed,
    /// These bytes, then the end.
    Bytes(Bytes),
}

/// One command to run in a sandbox.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program and its arguments; looked up on the sandbox's `PATH`. No secret belongs here.
    pub argv: Vec<String>,
    /// The folder it starts in.
    pub folder: PathBuf,
    /// Its variables, besides those that the sandbox gives to every process.
    pub env: BTreeMap<String, Value>,
    /// Its standard input.
    pub input: Input,
    /// After this long it is ended, with everything it started.
    pub timeout: Option<Duration>,
    /// Ends it early, with everything it started.
    pub stop: CancellationToken,
    /// How long it may clean up between being asked to end and being killed.
    pub grace: Duration,
}

impl Command {
    /// `argv`, run in `folder`.
    pub fn new<S: Into<String>>(
        argv: impl IntoIterator<Item = S>,
        folder: impl Into<PathBuf>,
    ) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            folder: folder.into(),
            env: BTreeMap::new(),
            input: Input::Closed,
            timeout: None,
            stop: CancellationToken::new(),
            grace: Duration::ZERO,
        }
    }

    /// `script` for `sh`, with `arguments` as its `$1`, `$2`, …
    pub fn shell<'a>(
        script: &'a str,
        arguments: impl IntoIterator<Item = &'a str>,
        folder: impl Into<PathBuf>,
    ) -> Self {
        let words = ["sh", "-c", script, "smelt"].into_iter().chain(arguments);
        Self::new(words, folder)
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code; 128 and the signal's number where a signal ended it.
    Code(i32),
    /// At its timeout.
    TimedOut,
    /// Because it was stopped.
    Stopped,
    /// Because its output was refused.
    Refused,
}

/// How a command ended, and whether the system had to take memory back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// One of its processes was killed because the sandbox's memory was used up.
    pub out_of_memory: bool,
}

impl Exit {
    /// Whether it ended by itself with code 0.
    pub fn success(&self) -> bool {
        self.status == ExitStatus::Code(0)
    }

    /// Its exit code, where it ended by itself.
    pub fn code(&self) -> Option<i32> {
        match self.status {
            ExitStatus::Code(code) => Some(code),
            _ => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            ExitStatus::Code(127) => f.write_str("exit code 127: command not found")?,
            ExitStatus::Code(code) => write!(f, "exit code {code}")?,
            ExitStatus::TimedOut => f.write_str("timed out")?,
            ExitStatus::Stopped => f.write_str("stopped")?,
            ExitStatus::Refused => f.write_str("printed too much")?,
        }
        match self.out_of_memory {
            true => f.write_str(", out of memory"),
            false => Ok(()),
        }
    }
}

/// Takes what a command prints, as it comes. While it takes its time the command waits.
#[async_trait]
pub trait Output: Send {
    /// Takes `bytes` of `stream`; `Break` ends the command.
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()>;
}

/// Lets everything go by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

#[async_trait]
impl Output for Discard {
    async fn write(&mut self, _: OutputStream, _: &[u8]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
