//! Archives on their way into a sandbox and out of it: `tar` runs inside, so that whatever links are
//! there, they lead nowhere else.

use async_trait::async_trait;
use smelt_core::event::OutputStream;
use smelt_core::port::{Command, Exit, ExitStatus, Input, Output, SandboxError};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// Options that GNU's tar and busybox's have in common.
const UNPACK: &str = r#"mkdir -p -- "$1" && exec tar -x -o -f - -C "$1""#;

const PACK: &str = r#"cd -- "$(dirname -- "$1")" && exec tar -c -f - -- "$(basename -- "$1")""#;

/// What a command finds on its standard input, as it comes; closed where there is none.
pub(crate) type Feed<'a> = Option<&'a mut (dyn AsyncRead + Send + Unpin)>;

/// A sandbox whose commands can be fed as they run.
#[async_trait]
pub(crate) trait Feeds: Sync {
    /// Runs `command` to its end, `feed` on its standard input whatever it says of that itself.
    async fn run(
        &self,
        command: &Command,
        feed: Feed<'_>,
        output: &mut dyn Output,
    ) -> Result<Exit, SandboxError>;
}

/// Runs `command` with the input that it names.
pub(crate) async fn exec(
    sandbox: &dyn Feeds,
    command: &Command,
    output: &mut dyn Output,
) -> Result<Exit, SandboxError> {
    match &command.input {
        Input::Closed => sandbox.run(command, None, output).await,
        Input::Bytes(bytes) => {
            let mut bytes: &[u8] = bytes;
            sandbox.run(command, Some(&mut bytes), output).await
        }
    }
}

/// Unpacks `archive` in the folder `at`.
pub(crate) async fn upload(
    sandbox: &dyn Feeds,
    archive: &mut (dyn AsyncRead + Send + Unpin),
    at: &Path,
) -> Result<(), SandboxError> {
    let at = at.to_string_lossy();
    let command = Command::shell(UNPACK, [&*at], "/");
    let mut said = Said::default();
    let exit = sandbox.run(&command, Some(archive), &mut said).await?;
    said.must_succeed(exit, "unpacking files in the sandbox")
}

/// Archives `path` to `into`, `most` bytes at most; returns how many it took.
pub(crate) async fn download(
    sandbox: &dyn Feeds,
    path: &Path,
    into: &mut (dyn AsyncWrite + Send + Unpin),
    most: u64,
) -> Result<u64, SandboxError> {
    let path = path.to_string_lossy();
    let command = Command::shell(PACK, [&*path], "/");
    let mut copy = Copy { into, written: 0, most, problem: None, said: Said::default() };
    let exit = sandbox.run(&command, None, &mut copy).await?;
    let what = "archiving files of the sandbox";
    if let Some(problem) = copy.problem {
        return Err(SandboxError::failed(what, problem));
    }
    if exit.status == ExitStatus::Refused {
        return Err(SandboxError::failed(what, format!("they are more than {most} bytes")));
    }
    copy.said.must_succeed(exit, what)?;
    Ok(copy.written)
}

/// Keeps the last of what a command says on standard error.
#[derive(Default)]
struct Said(Vec<u8>);

impl Said {
    fn must_succeed(&self, exit: Exit, what: &str) -> Result<(), SandboxError> {
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
struct Copy<'a> {
    into: &'a mut (dyn AsyncWrite + Send + Unpin),
    written: u64,
    most: u64,
    problem: Option<io::Error>,
    said: Said,
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
