//! Running git: with a deadline, capped output, no prompts, no hooks.

use super::running::{End, Next, Running, Stop};
use command_fds::{CommandFdExt, FdMapping};

use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

/// Longest time for a call that says nothing else.
const DEADLINE: Duration = Duration::from_secs(60);

/// Most output of a call that says nothing else, in bytes.
const OUTPUT_MAX: usize = 16 << 20;

/// Variables of the user's that reach git when it runs with the user's configuration: how to get at
/// a remote, and where that configuration is. Everything else of `GIT_…` would change what a call
/// means.
const USER_VARIABLES: &[&str] = &[
    "GIT_ASKPASS",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_VALUE_",
    "GIT_EXEC_PATH",
    "GIT_HTTP_",
    "GIT_PROXY_",
    "GIT_SSH",
    "GIT_SSL_",
];

/// Settings of every call: no code of a repository's or user's runs, and nothing happens behind
/// our back.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "protocol.ext.allow=never",
];

/// Why a call of git did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// git is not there.
    #[error("`{}` can't be started", program.display())]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// git said no.
    #[error("git {what} failed{}", said(stderr))]
    Failed {
        /// The subcommand.
        what: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said, without control characters.
        stderr: String,
    },
    /// It took too long.
    #[error("git {what} did not end within {} s", deadline.as_secs())]
    TimedOut {
        /// The subcommand.
        what: String,
        /// How long it was given.
        deadline: Duration,
    },
    /// It said too much.
    #[error("git {what} printed more than {limit} bytes")]
    TooMuchOutput {
        /// The subcommand.
        what: String,
        /// How much it might have printed.
        limit: usize,
    },
    /// It said something that makes no sense.
    #[error("git {what} printed something unexpected: {output}")]
    Unexpected {
        /// The subcommand.
        what: String,
        /// The start of what it printed.
        output: String,
    },
    /// It could not be talked to.
    #[error("git {what} can't be talked to")]
    Io {
        /// The subcommand.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}

impl GitError {
    /// What git said, where it failed.
    pub fn stderr(&self) -> &str {
        match self {
            Self::Failed { stderr, .. } => stderr,
            _ => "",
        }
    }
}

fn said(stderr: &str) -> String {
    let told = stderr.lines().filter(|line| !line.trim().is_empty());
    let last: Vec<_> = told.collect::<Vec<_>>().into_iter().rev().take(3).rev().collect();
    if last.is_empty() { String::new() } else { format!(": {}", last.join("; ")) }
}

/// The git program, and the environment it is given.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    /// The user's environment without git's own variables.
    plain: Arc<Vec<(OsString, OsString)>>,
    /// Those of git's own variables that belong to the user's configuration.
    user: Arc<Vec<(OsString, OsString)>>,
}

impl Git {
    /// Git as `program`, run for a user with this environment.
    pub fn new(
        program: impl Into<PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let of_git = |name: &OsStr| name.to_string_lossy().starts_with("GIT_");
        let (git, plain): (Vec<_>, Vec<_>) =
            environment.into_iter().partition(|(name, _)| of_git(name));
        let wanted = |name: &OsStr| {
            USER_VARIABLES.iter().any(|known| name.to_string_lossy().starts_with(known))
        };
        let user = git.into_iter().filter(|(name, _)| wanted(name)).collect();
        Self { program: program.into(), plain: Arc::new(plain), user: Arc::new(user) }
    }

    /// A call with the user's configuration: their credentials, proxies, `safe.directory`.
    pub fn as_user(&self) -> Invocation {
        let mut call = self.call();
        call.command.envs(self.user.iter().map(|(k, v)| (k, v)));
        call
    }

    /// A call that no configuration but the repository's own reaches.
    ///
    /// For folders of ours, and for those that [`Self::as_user`] has opened before: whose owner the
    /// user trusts is not asked again.
    pub fn isolated(&self) -> Invocation {
        let mut call = self.call();
        call.command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ATTR_NOSYSTEM", "1");
        call.setting("safe.directory=*")
    }

    fn call(&self) -> Invocation {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(self.plain.iter().map(|(k, v)| (k, v)))
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .stdin(Stdio::null());
        let call = Invocation {
            program: self.program.clone(),
            command,
            what: String::new(),
            input: Vec::new(),
            in_foreground: false,
            deadline: DEADLINE,
            output_max: OUTPUT_MAX,
        };
        SETTINGS.iter().fold(call, |call, setting| call.setting(setting))
    }
}

/// One call of git that is being put together.
#[derive(Debug)]
pub struct Invocation {
    program: PathBuf,
    command: Command,
    what: String,
    input: Vec<u8>,
    in_foreground: bool,
    deadline: Duration,
    output_max: usize,
}

/// What a call printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said.
    pub stderr: String,
}

impl Invocation {
    /// With `setting` (`key=value`) above all configuration. Before any other argument.
    #[must_use]
    pub fn setting(mut self, setting: &str) -> Self {
        self.command.args(["-c", setting]);
        self
    }

    /// In `folder`.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.arg("-C").arg(folder);
        self
    }

    /// With these arguments, the first of which is the subcommand.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            if self.what.is_empty() {
                self.what = arg.as_ref().to_string_lossy().into_owned();
            }
            self.command.arg(arg);
        }
        self
    }

    /// With `name` set in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With `file` open as the descriptor `number`, for it and whatever it starts.
    #[must_use]
    pub fn descriptor(mut self, number: i32, file: OwnedFd) -> Self {
        let mapping = FdMapping { parent_fd: file, child_fd: number };
        self.command.fd_mappings(vec![mapping]).expect("one mapping collides with no other");
        self
    }

    /// With `input` on its standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self.command.stdin(Stdio::piped());
        self
    }

    /// With an open file as its standard input, read from where it stands.
    #[must_use]
    pub fn input_file(mut self, file: std::fs::File) -> Self {
        self.command.stdin(Stdio::from(file));
        self
    }

    /// One that may ask the user something at the terminal, as ssh does for a passphrase: only what
    /// is in the foreground may read there. It hears Ctrl-C as Smelt itself does.
    #[must_use]
    pub fn in_foreground(self) -> Self {
        Self { in_foreground: true, ..self }
    }

    /// Ended after `deadline`.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Ended when it prints more than `bytes`.
    #[must_use]
    pub fn output_max(self, bytes: usize) -> Self {
        Self { output_max: bytes, ..self }
    }

    /// Under limits of the system's own: bytes of private memory, bytes of a file, and processor
    /// time. Where the system can't limit one, it is left out.
    #[must_use]
    pub fn limited(mut self, memory: u64, file: u64, processor: Duration) -> Self {
        let std = self.command.as_std();
        // POSIX: -f counts blocks of 512 bytes; -d counts KiB in dash and bash alike.
        let script = format!(
            "ulimit -c 0; ulimit -d {} 2>/dev/null; ulimit -f {} 2>/dev/null; ulimit -t {}; exec \"$0\" \"$@\"",
            memory / 1024,
            file / 512,
            processor.as_secs().max(1)
        );
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg(&self.program).args(std.get_args()).env_clear();
        command.envs(std.get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        self.command = command;
        self
    }

    /// Runs it to its end, whatever its exit code.
    ///
    /// # Errors
    /// Where it can't be started, takes too long or prints too much.
    pub async fn output(self) -> Result<Output, GitError> {
        let (mut stdout, most) = (Vec::new(), self.output_max);
        let mut keep = |bytes: &[u8]| {
            stdout.extend_from_slice(bytes);
            if stdout.len() > most { Next::TooMuch } else { Next::More }
        };
        let End { status, stderr } = self.carry(&mut keep).await?;
        Ok(Output { status, stdout, stderr })
    }

    /// Runs it and returns what it printed, without the last newline.
    ///
    /// # Errors
    /// As [`Self::output`], and where it fails.
    pub async fn text(self) -> Result<String, GitError> {
        let what = self.what.clone();
        let output = self.output().await?;
        if !output.status.success() {
            return Err(GitError::Failed { what, status: output.status, stderr: output.stderr });
        }
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }

    /// Runs it; nothing that it prints matters.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub async fn run(self) -> Result<(), GitError> {
        self.text().await.map(drop)
    }

    /// Runs it and returns what it printed, or `None` where its exit code is 1: git's way to say
    /// that there is nothing.
    ///
    /// # Errors
    /// As [`Self::text`], for every other exit code.
    pub async fn text_if_any(self) -> Result<Option<String>, GitError> {
        match self.text().await {
            Ok(text) => Ok(Some(text)),
            Err(GitError::Failed { status, .. }) if status.code() == Some(1) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs it and counts the records it prints, each ended by `end`, up to one more than `most`.
    ///
    /// # Errors
    /// As [`Self::records`].
    pub async fn count(self, end: u8, most: u64) -> Result<u64, GitError> {
        let mut count = 0;
        let counting = self.records(end, |_| {
            count += 1;
            if count > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        counting.await?;
        Ok(count)
    }

    /// Runs it and hands on each record it prints, ended by `end`, for as long as `each` wants more.
    /// However many there are, no more than one is kept.
    ///
    /// # Errors
    /// As [`Self::text`], and where a single record is larger than what may be printed.
    pub async fn records(
        self,
        end: u8,
        mut each: impl FnMut(&[u8]) -> ControlFlow<()> + Send,
    ) -> Result<(), GitError> {
        let (mut record, mut enough) = (Vec::new(), false);
        let (most, what) = (self.output_max, self.what.clone());
        let mut split = |bytes: &[u8]| {
            for part in bytes.split_inclusive(|byte| *byte == end) {
                let (part, is_whole) =
                    part.strip_suffix(&[end]).map_or((part, false), |part| (part, true));
                record.extend_from_slice(part);
                if record.len() > most {
                    return Next::TooMuch;
                }
                if is_whole {
                    enough = each(&record).is_break();
                    record.clear();
                }
                if enough {
                    return Next::Enough;
                }
            }
            Next::More
        };
        let End { status, stderr } = self.carry(&mut split).await?;
        match status.success() || enough {
            true => Ok(()),
            false => Err(GitError::Failed { what, status, stderr }),
        }
    }

    /// Runs it, its output given to `take` as it comes.
    async fn carry(self, take: &mut (dyn FnMut(&[u8]) -> Next + Send)) -> Result<End, GitError> {
        let Self { program, mut command, what, input, in_foreground, deadline, output_max } = self;
        let mut running = Running::start(&mut command, in_foreground)
            .map_err(|source| GitError::Start { program, source })?;
        match tokio::time::timeout(deadline, running.talk(&input, take)).await {
            Ok(Ok(end)) => Ok(end),
            Ok(Err(Stop::TooMuch)) => Err(GitError::TooMuchOutput { what, limit: output_max }),
            Ok(Err(Stop::Enough)) => Ok(End { status: running.end().await, stderr: String::new() }),
            Ok(Err(Stop::Io(source))) => Err(GitError::Io { what, source }),
            Err(_) => {
                running.end().await;
                Err(GitError::TimedOut { what, deadline })
            }
        }
    }
}
