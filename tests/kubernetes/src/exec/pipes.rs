//! Starting a command, with pipes or a terminal.

use super::request::Wanted;
use super::terminal::{self, Terminal};
use rustix::io::Errno;
use std::ffi::OsString;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, Command};

/// A command that runs, and its ends.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    pub(super) stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    pub(super) stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    pub(super) terminal: Option<Terminal>,
}

/// Starts it; panics without `bwrap`, of which nothing else can take the place.
pub(super) fn start(words: &[OsString], wanted: &Wanted) -> Running {
    if wanted.tty {
        return with_terminal(words, wanted);
    }
    let pipe = |wanted: bool| if wanted { Stdio::piped() } else { Stdio::null() };
    // As a container's runtime does: who ends a session ends nothing of anybody else's.
    let mut command = Command::new("setsid");
    command.args(words);
    command.stdin(pipe(wanted.stdin)).stdout(pipe(wanted.stdout)).stderr(pipe(wanted.stderr));
    let mut child = spawn(&mut command);
    Running {
        stdin: child.stdin.take().map(|pipe| Box::new(pipe) as _),
        stdout: child.stdout.take().map(|pipe| Box::new(pipe) as _),
        stderr: child.stderr.take().map(|pipe| Box::new(pipe) as _),
        child,
        terminal: None,
    }
}

fn with_terminal(words: &[OsString], wanted: &Wanted) -> Running {
    let (terminal, end) = terminal::open().expect("a pseudoterminal");
    let copy = |end: &std::os::fd::OwnedFd| Stdio::from(end.try_clone().expect("a descriptor"));
    // Only a new session can have it as its own.
    let mut command = Command::new("setsid");
    command.arg("--ctty").args(words);
    command.stdin(copy(&end)).stdout(copy(&end)).stderr(copy(&end));
    let child = spawn(&mut command);
    Running {
        child,
        stdin: wanted.stdin.then(|| Box::new(terminal.clone()) as _),
        stdout: wanted.stdout.then(|| Box::new(terminal.clone()) as _),
        stderr: None,
        terminal: Some(terminal),
    }
}

fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        panic!("a scripted pod runs its commands with `bwrap`, and `{program}` did not: {error}")
    })
}

/// The end of a terminal whose programs are gone.
pub(super) fn is_end(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}
