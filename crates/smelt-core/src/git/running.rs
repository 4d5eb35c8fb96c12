//! A call of git that goes on: talked to, and ended so that it leaves no locks behind.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// How long git may take to clean up when it is ended.
const GRACE: Duration = Duration::from_secs(2);

/// Most that is kept of what git says on standard error, in bytes.
const STDERR_MAX: usize = 1 << 20;

/// What a reader of output wants next.
pub(super) enum Next {
    /// What follows.
    More,
    /// Nothing: it has what it was looking for.
    Enough,
    /// Nothing: it is more than it can take.
    TooMuch,
}

/// Why git was not talked to until its end.
pub(super) enum Stop {
    Enough,
    TooMuch,
    Io(std::io::Error),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// How git ended.
pub(super) struct End {
    pub(super) status: ExitStatus,
    /// What it said, without control characters.
    pub(super) stderr: String,
}

/// A running git with all that it has started. It is asked to end when this is dropped.
pub(super) struct Running {
    child: Child,
    /// Whether it leads a process group of its own.
    leads: bool,
    has_ended: bool,
}

impl Running {
    /// Starts `command`: in the terminal's foreground, or in a process group of its own, which the
    /// terminal's Ctrl-C does not reach.
    pub(super) fn start(command: &mut Command, in_foreground: bool) -> std::io::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if !in_foreground {
            command.process_group(0);
        }
        Ok(Self { child: command.spawn()?, leads: !in_foreground, has_ended: false })
    }

    /// Writes `input`, gives what comes to `take`, and waits for the end.
    pub(super) async fn talk(
        &mut self,
        input: &[u8],
        take: &mut (dyn FnMut(&[u8]) -> Next + Send),
    ) -> Result<End, Stop> {
        let (stdin, stdout) = (self.child.stdin.take(), self.child.stdout.take());
        let stderr = self.child.stderr.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // Whoever ends without reading says why in its exit code.
                let _ = stdin.write_all(input).await;
            }
            Ok(())
        };
        let mut said = Vec::new();
        let mut keep = |bytes: &[u8]| {
            let room = STDERR_MAX - said.len();
            said.extend_from_slice(&bytes[..bytes.len().min(room)]);
            Next::More
        };
        tokio::try_join!(read(stdout, take), read(stderr, &mut keep), write)?;
        let status = self.child.wait().await?;
        self.has_ended = true;
        Ok(End { status, stderr: crate::text::clean_text(&String::from_utf8_lossy(&said)) })
    }

    /// Ends it: it is asked first, so that it can take its locks away.
    pub(super) async fn end(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut ended = tokio::time::timeout(GRACE, self.child.wait()).await;
        if ended.is_err() {
            self.signal(Signal::KILL);
            ended = Ok(self.child.wait().await);
        }
        self.has_ended = true;
        ended.ok().and_then(Result::ok).unwrap_or(ExitStatus::from_raw(Signal::KILL.as_raw()))
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let Some(pid) = id.and_then(Pid::from_raw) else { return };
        // One that has just ended needs no signal.
        let _ = match self.leads {
            true => kill_process_group(pid, signal),
            false => kill_process(pid, signal),
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.signal(Signal::TERM);
        }
    }
}

async fn read(
    stream: Option<impl AsyncRead + Unpin>,
    take: &mut (dyn FnMut(&[u8]) -> Next + Send),
) -> Result<(), Stop> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        match take(&buffer[..read]) {
            Next::More => {}
            Next::Enough => return Err(Stop::Enough),
            Next::TooMuch => return Err(Stop::TooMuch),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::git::{Git, GitError};
    use std::ops::ControlFlow;
    use std::time::Duration;

    /// A program in git's place.
    fn program(script: &str) -> (tempfile::TempDir, Git) {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = ("PATH".into(), "/usr/bin:/bin".into());
        let git = Git::new(&program, [path]);
        (folder, git)
    }

    #[tokio::test]
    async fn records_come_one_by_one_and_no_longer_than_wanted() {
        let (_folder, git) = program("printf 'one\\ntwo\\nthree\\n'; exec yes more");
        let mut seen = Vec::new();
        let records = git.isolated().records(b'\n', |record| {
            seen.push(String::from_utf8_lossy(record).into_owned());
            if seen.len() == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        records.await.unwrap();
        assert_eq!(seen, ["one", "two", "three", "more"]);
        let (_folder, git) = program("exec tr '\\0' x < /dev/zero");
        let endless = git.isolated().output_max(1 << 20).records(b'\n', |_| ControlFlow::Break(()));
        assert!(matches!(endless.await, Err(GitError::TooMuchOutput { .. })));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_asked_to_clean_up() {
        let script = "trap 'rm \"$0.lock\"; exit 1' TERM; touch \"$0.lock\"; sleep 100 & wait";
        let (folder, git) = program(script);
        let lock = folder.path().join("program.lock");
        let call = git.isolated().deadline(Duration::from_millis(500)).run();
        assert!(matches!(call.await, Err(GitError::TimedOut { .. })));
        assert!(!lock.exists());
    }

    /// Ctrl-C goes to the terminal's foreground group: it is for Smelt, not for a git in the middle of
    /// writing refs.
    #[tokio::test]
    async fn git_leads_a_process_group_of_its_own_unless_it_may_ask() {
        let (_folder, git) = program("cut -d ' ' -f 5 < /proc/$$/stat; echo $$");
        let told = git.isolated().text().await.unwrap();
        let (group, own) = told.split_once('\n').unwrap();
        assert_eq!(group, own);
        let told = git.as_user().in_foreground().text().await.unwrap();
        let (group, own) = told.split_once('\n').unwrap();
        assert_ne!(group, own);
    }
}
