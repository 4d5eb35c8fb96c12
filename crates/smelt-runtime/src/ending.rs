//! Ending commands where the far end ends nothing by itself, whatever runs them.

use async_trait::async_trait;
use smelt_core::port::{Command, ExitStatus, SandboxError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Variable by which every process of one command can be told.
pub(crate) const MARK: &str = "_SMELT_EXEC";

/// Script for `sh` that sends a signal (`$1`) to all processes with a mark (`$2`), and all of their sessions.
pub(crate) const SCRIPT: &str = include_str!("end.sh");

/// How a command's processes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// They may clean up.
    Term,
    /// They end.
    Kill,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Kill => "KILL",
        }
    }
}

/// The way to end one command with everything that it has started.
#[async_trait]
pub(crate) trait Ends: Send {
    /// Sends the signal to all of its processes.
    async fn signal(&mut self, signal: Signal) -> Result<(), SandboxError>;
}

/// Why it was not heard how a command ended.
pub(crate) trait Cut: From<SandboxError> {
    /// What the command ran in is gone.
    fn is_gone(&self) -> bool;
}

impl Cut for SandboxError {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Gone(_))
    }
}

/// A command's own exit code as its status.
pub(crate) fn exit_status(code: i64) -> ExitStatus {
    ExitStatus::Code(i32::try_from(code).unwrap_or(-1))
}

/// Waits until a command has ended, and ends it when its time has come.
pub(crate) async fn until_ended<E: Cut>(
    command: &Command,
    ended: impl Future<Output = Result<i64, E>>,
    refused: &CancellationToken,
    ending: &mut dyn Ends,
) -> Result<ExitStatus, E> {
    let timeout = async {
        match command.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let mut ended = std::pin::pin!(ended);
    let cause = tokio::select! {
        code = &mut ended => {
            let code = code?;
            return Ok(exit_status(code));
        }
        () = command.stop.cancelled() => ExitStatus::Stopped,
        () = timeout => ExitStatus::TimedOut,
        () = refused.cancelled() => ExitStatus::Refused,
    };
    if command.grace > Duration::ZERO && cause != ExitStatus::Refused {
        let asked = async {
            ending.signal(Signal::Term).await?;
            (&mut ended).await
        };
        if let Ok(Err(error)) = tokio::time::timeout(command.grace, asked).await
            && error.is_gone()
        {
            return Err(error);
        }
    }
    ending.signal(Signal::Kill).await?;
    // Should that have taken all of the sandbox, the next command finds it gone.
    Ok(cause)
}
