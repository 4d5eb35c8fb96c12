//! The ends of pipes that archives go through, to and from a sandbox.

use async_trait::async_trait;
use smelt_core::event::OutputStream;
use smelt_core::port::{Exit, Output, SandboxError};
use std::io;
use std::ops::ControlFlow;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Keeps the last of what a command says on standard error.
#[derive(Default)]
pub(super) struct Said(Vec<u8>);

impl Said {
    pub(super) fn must_succeed(&self, exit: Exit, what: &str) -> Result<(), SandboxError> {
        if exit.success() {
            return Ok(());
        }
        let said = smelt_core::text::clean_text(&String::from_utf8_lossy(&self.0));
        // The first complaint is the cause of the others.
        let first = said.lines().next().unwrap_or_default();
        Err(SandboxError::failed(what, format!("{exit}: {first}")))
    }
}

#[async_trait]
impl Output for Said {
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        if stream == OutputStream::Stderr {
            self.0.extend_from_slice(bytes);
            let surplus = self.0.len().saturating_sub(4096);
            self.0.drain(..surplus);
        }
        ControlFlow::Continue(())
    }
}

/// Copies standard output on, up to a limit.
pub(super) struct Copy<'a> {
    pub(super) into: &'a mut (dyn AsyncWrite + Send + Unpin),
    pub(super) written: u64,
    pub(super) most: u64,
    pub(super) problem: Option<io::Error>,
    pub(super) said: Said,
}

#[async_trait]
impl Output for Copy<'_> {
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        if stream == OutputStream::Stderr {
            return self.said.write(stream, bytes).await;
        }
        if self.written + bytes.len() as u64 > self.most {
            return ControlFlow::Break(());
        }
        self.written += bytes.len() as u64;
        match self.into.write_all(bytes).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(problem) => {
                self.problem = Some(problem);
                ControlFlow::Break(())
            }
        }
    }
}
