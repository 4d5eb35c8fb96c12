//! One process from its start to its end: its input, its two outputs, its timeout.

use super::processes;
use async_trait::async_trait;
use smelt_core::event::OutputStream;
use smelt_core::port::{ExitStatus, Output, SandboxError};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::process::ExitStatus as OsStatus;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long output is waited for that nobody writes any more.
const DRAIN: Duration = Duration::from_secs(2);

/// Most that is kept of what a command said last on standard error, in bytes.
const SAID_MAX: usize = 1024;

/// What one process is, to whoever has to end it.
pub(super) enum Kind {
    /// bubblewrap; this end of a pipe tells what runs inside it.
    Jailed(OwnedFd),
    /// A process group of its own, its processes marked.
    Bare {
        /// Value of [`processes::EXEC_MARK`].
        mark: String,
    },
}

/// When a process is ended before it ends by itself.
pub(super) struct Ending {
    pub(super) timeout: Option<Duration>,
    pub(super) stop: CancellationToken,
    pub(super) grace: Duration,
}

/// Carries `child` from its start to its end.
pub(super) async fn carry(
    mut child: Child,
    kind: Kind,
    ending: Ending,
    input: Option<&mut (dyn AsyncRead + Send + Unpin)>,
    output: &mut dyn Output,
) -> Result<ExitStatus, SandboxError> {
    let failed = |source: io::Error| SandboxError::failed("running a command", source);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (refused, drained) = (CancellationToken::new(), CancellationToken::new());
    let mut watch = Watch::new(kind, child.id()).map_err(failed)?;
    let control = async {
        let status = watch.until_ended(&mut child, &ending, &refused).await;
        // What it left running may hold its pipes open.
        tokio::select! {
            () = tokio::time::sleep(DRAIN) => drained.cancel(),
            () = refused.cancelled() => drained.cancel(),
            () = drained.cancelled() => {}
        }
        status
    };
    let mut output = Overhearing { output, said: Vec::new() };
    let pump = async {
        pump(stdout, stderr, &mut output, &refused, &drained).await;
        drained.cancel();
    };
    let feed = async {
        tokio::select! {
            () = feed(stdin, input) => {}
            () = drained.cancelled() => {}
        }
    };
    let (status, (), ()) = tokio::join!(control, pump, feed);
    let (status, cause) = status.map_err(failed)?;
    match cause {
        Some(cause) => Ok(cause),
        None => watch.exit_status(status, &output.said).await,
    }
}

/// Hands output on, and keeps the last of what was said on standard error: where no jail could be
/// made it is bubblewrap that says why.
struct Overhearing<'a> {
    output: &'a mut dyn Output,
    said: Vec<u8>,
}

#[async_trait]
impl Output for Overhearing<'_> {
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        if stream == OutputStream::Stderr {
            let last = &bytes[bytes.len().saturating_sub(SAID_MAX)..];
            self.said.extend_from_slice(last);
            self.said.drain(..self.said.len().saturating_sub(SAID_MAX));
        }
        self.output.write(stream, bytes).await
    }
}

async fn feed(stdin: Option<ChildStdin>, input: Option<&mut (dyn AsyncRead + Send + Unpin)>) {
    if let (Some(mut stdin), Some(input)) = (stdin, input) {
        // Whoever does not read to the end did not want to.
        let _ = tokio::io::copy(input, &mut stdin).await;
        let _ = stdin.shutdown().await;
    }
}

/// Reads both outputs as they come, whichever has something, and hands it on.
async fn pump(
    mut stdout: Option<impl AsyncRead + Unpin>,
    mut stderr: Option<impl AsyncRead + Unpin>,
    output: &mut dyn Output,
    refused: &CancellationToken,
    drained: &CancellationToken,
) {
    let (mut out, mut err) = (vec![0; 1 << 16], vec![0; 1 << 14]);
    while stdout.is_some() || stderr.is_some() {
        let (stream, bytes) = tokio::select! {
            // What has been printed is read, also when nothing more is waited for.
            biased;
            n = read(&mut stdout, &mut out) => (OutputStream::Stdout, &out[..n]),
            n = read(&mut stderr, &mut err) => (OutputStream::Stderr, &err[..n]),
            () = drained.cancelled() => return,
        };
        if bytes.is_empty() {
            match stream {
                OutputStream::Stdout => stdout = None,
                OutputStream::Stderr => stderr = None,
            }
        } else if output.write(stream, bytes).await.is_break() {
            refused.cancel();
            return;
        }
    }
}

/// Bytes read; 0 at the end. Waits for ever where there is nothing to read from.
async fn read(from: &mut Option<impl AsyncRead + Unpin>, into: &mut [u8]) -> usize {
    match from {
        Some(from) => from.read(into).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// Watches a process, and ends it when its time has come.
struct Watch {
    pid: Option<u32>,
    jail: Option<watch::Receiver<JailStatus>>,
    mark: Option<String>,
    ended: bool,
}

impl Watch {
    fn new(kind: Kind, pid: Option<u32>) -> io::Result<Self> {
        Ok(match kind {
            Kind::Jailed(status) => {
                let (told, jail) = watch::channel(JailStatus::default());
                let status = pipe::Receiver::from_owned_fd(status)?;
                tokio::spawn(read_status(status, told));
                Self { pid, jail: Some(jail), mark: None, ended: false }
            }
            Kind::Bare { mark } => Self { pid, jail: None, mark: Some(mark), ended: false },
        })
    }

    async fn until_ended(
        &mut self,
        child: &mut Child,
        ending: &Ending,
        refused: &CancellationToken,
    ) -> io::Result<(OsStatus, Option<ExitStatus>)> {
        let timeout = async {
            match ending.timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        let cause = tokio::select! {
            status = child.wait() => {
                self.sweep();
                return Ok((status?, None));
            }
            () = ending.stop.cancelled() => ExitStatus::Stopped,
            () = timeout => ExitStatus::TimedOut,
            () = refused.cancelled() => ExitStatus::Refused,
        };
        if ending.grace > Duration::ZERO && cause != ExitStatus::Refused {
            self.ask();
            let deadline = Instant::now() + ending.grace;
            let _ = tokio::time::timeout_at(deadline, child.wait()).await;
        }
        self.kill();
        let _ = child.start_kill();
        let status = child.wait().await?;
        self.sweep();
        Ok((status, Some(cause)))
    }

    /// The process inside the jail that all others descend from.
    fn jailed_init(&self) -> Option<u32> {
        self.jail.as_ref()?.borrow().child_pid
    }

    fn ask(&self) {
        match (self.jailed_init(), self.pid) {
            (Some(init), _) => processes::ask_descendants(init),
            (None, Some(pid)) if self.mark.is_some() => processes::ask_group(pid),
            _ => {}
        }
    }

    /// With the first process of its namespace everything in a jail ends.
    fn kill(&self) {
        match (self.jailed_init(), self.pid) {
            (Some(init), _) => processes::kill(init),
            (None, Some(pid)) if self.mark.is_some() => processes::kill_group(pid),
            _ => {}
        }
    }

    fn sweep(&mut self) {
        self.ended = true;
        if let Some(mark) = &self.mark {
            processes::kill_marked(processes::EXEC_MARK, mark);
        }
    }

    /// The command's own exit code: that of bubblewrap may be about the jail.
    async fn exit_status(
        &mut self,
        status: OsStatus,
        said: &[u8],
    ) -> Result<ExitStatus, SandboxError> {
        use std::os::unix::process::ExitStatusExt;
        let Some(jail) = &mut self.jail else {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            return Ok(ExitStatus::Code(code.unwrap_or(-1)));
        };
        // It was written before bubblewrap ended, and may not have been read yet.
        let told =
            tokio::time::timeout(DRAIN, jail.wait_for(|told| told.exit_code.is_some())).await;
        match told.ok().and_then(|told| told.ok()?.exit_code) {
            Some(code) => Ok(ExitStatus::Code(code)),
            None => {
                let said = smelt_core::text::clean_text(&String::from_utf8_lossy(said));
                let said = said.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
                let problem = format!("{status}{said}");
                Err(SandboxError::failed("starting a command in the jail", problem))
            }
        }
    }
}

/// Whoever loses interest in a command ends it.
impl Drop for Watch {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
            self.sweep();
        }
    }
}

/// What bubblewrap tells of itself: one JSON object a line (bwrap(1), `--json-status-fd`).
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
struct JailStatus {
    #[serde(rename = "child-pid")]
    child_pid: Option<u32>,
    #[serde(rename = "exit-code")]
    exit_code: Option<i32>,
}

async fn read_status(mut status: pipe::Receiver, told: watch::Sender<JailStatus>) {
    let mut text = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(read @ 1..) = status.read(&mut buffer).await {
        text.extend_from_slice(&buffer[..read]);
        let known = serde_json::Deserializer::from_slice(&text).into_iter::<JailStatus>();
        for status in known.flatten() {
            told.send_modify(|told| {
                told.child_pid = status.child_pid.or(told.child_pid);
                told.exit_code = status.exit_code.or(told.exit_code);
            });
        }
    }
}
