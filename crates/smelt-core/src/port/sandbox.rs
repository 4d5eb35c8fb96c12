use super::command::{Command, Exit, Output};
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite};

/// Why a sandbox, or what makes it, did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// What makes sandboxes can't be used now.
    #[error("{message}")]
    Unavailable {
        /// Why.
        message: String,
        /// What would help.
        hint: Option<String>,
    },
    /// It can't do this, and says so.
    #[error("the {runtime} runtime can't do this: {what}")]
    Unsupported {
        /// Which runtime.
        runtime: &'static str,
        /// What it can't do.
        what: String,
    },
    /// The sandbox is not there any more.
    #[error("the sandbox is gone: {0}")]
    Gone(String),
    /// Something broke.
    #[error("{what}")]
    Failed {
        /// What was being done.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SandboxError {
    /// Something broke while `what` was being done.
    pub fn failed(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }
}

/// Where things are inside a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxPaths {
    /// Folder of everything that is Smelt's: the workspace, the sessions' worktrees, the tasks.
    pub root: PathBuf,
    /// Home of its user; writable.
    pub home: PathBuf,
}

impl SandboxPaths {
    /// Name of the workspace's folder below the root.
    pub const WORKSPACE: &str = "workspace";
    /// Name of the folder of worktrees below the root.
    pub const SESSIONS: &str = "sessions";
    /// Name of the folder of all that is Assay's, below that of the worktrees. No session is called so.
    pub const ASSAY: &str = "_assay";
    /// Name of the folder of the worktrees that Assay makes, below its own.
    pub const ASSAY_WORKTREES: &str = "smelt-worktrees";
    /// Name of the folder of tasks below the root.
    pub const TASKS: &str = "tasks";
    /// Name of the folder of borrowed objects below the root; they are in it as `0`, `1`, …
    pub const OBJECTS: &str = "objects";

    /// The folders below the root in which is written; all there are but [`Self::OBJECTS`].
    pub const FOLDERS: [&str; 3] = [Self::WORKSPACE, Self::SESSIONS, Self::TASKS];

    /// The private clone.
    pub fn workspace(&self) -> PathBuf {
        self.root.join(Self::WORKSPACE)
    }

    /// The worktree of a session.
    pub fn session(&self, name: &str) -> PathBuf {
        self.root.join(Self::SESSIONS).join(name)
    }

    /// The worktree in which sessions' work is merged. No session has such a name.
    pub fn merged(&self) -> PathBuf {
        self.session("_merged")
    }

    /// The file that holds a session's task.
    pub fn task(&self, name: &str) -> PathBuf {
        self.root.join(Self::TASKS).join(format!("{name}.md"))
    }

    /// The file that holds the task of resolving a conflict for a session. No session's own task is
    /// called so.
    pub fn conflict_task(&self, name: &str) -> PathBuf {
        self.task(&format!("_conflict-{name}"))
    }
}

/// What holds a sandbox in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// In a few words.
    pub summary: String,
    /// Walls and limits that were asked for and that this host can't give.
    pub gaps: Vec<String>,
    /// There is no wall at all.
    pub unsandboxed: bool,
}

/// An isolated place where untrusted code runs.
///
/// Several commands may run at once. Processes that one leaves behind are not promised to live
/// until the next.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Its id: of a container or pod, or the folder of a jail.
    fn id(&self) -> &str;

    /// What holds it in.
    fn isolation(&self) -> &Isolation;

    /// Where things are inside.
    fn paths(&self) -> &SandboxPaths;

    /// Its image by its digest, where [`Runtime::prepare`](super::Runtime::prepare) could not tell.
    fn image(&self) -> Option<&str> {
        None
    }

    /// Whether what was worked on in it is there for another one of the same run, when this one is gone.
    fn work_outlives_it(&self) -> bool {
        true
    }

    /// Names of the services beside it.
    fn services(&self) -> Vec<String> {
        Vec::new()
    }

    /// Hands on what the service `name` prints, from its start until it or the sandbox ends. Who loses
    /// interest gives up.
    ///
    /// # Errors
    /// Where it can't be read.
    async fn follow(&self, name: &str, output: &mut dyn Output) -> Result<(), SandboxError> {
        let (_, _) = (name, output);
        Ok(())
    }

    /// Waits for the next thing that goes wrong with a service, and tells it: that it has ended, or that
    /// its check fails.
    async fn trouble(&self) -> String {
        std::future::pending().await
    }

    /// Waits until all walls are up, and tells which of them can't be given, besides the gaps that
    /// [`Self::isolation`] names. Before that only what is Smelt's own is run: nothing of an agent's
    /// or of the user's.
    ///
    /// # Errors
    /// Where they could not be put up.
    async fn seal(&self) -> Result<Vec<String>, SandboxError> {
        Ok(Vec::new())
    }

    /// Tells that nothing of an agent's or of the user's runs any more: Smelt's own git, which still
    /// does, needs no network. What can be taken down from now on is, in the background.
    fn cut_off(&self) {}

    /// Runs a command to its end.
    ///
    /// Its variables reach its own processes and nothing else. When it is stopped or takes too
    /// long, everything it started is ended.
    ///
    /// # Errors
    /// Where it could not be run; a command that fails is not an error.
    async fn exec(&self, command: Command, output: &mut dyn Output) -> Result<Exit, SandboxError>;

    /// Unpacks a tar `archive` in the folder `at` of the sandbox, as its user. Nothing of it gets
    /// anywhere else.
    ///
    /// # Errors
    /// Where it can't be unpacked whole.
    async fn upload(
        &self,
        archive: &mut (dyn AsyncRead + Send + Unpin),
        at: &Path,
    ) -> Result<(), SandboxError>;

    /// Writes `path` of the sandbox to `into` as a tar archive, of at most `most` bytes. Links are
    /// archived as links. Returns how many bytes it wrote.
    ///
    /// # Errors
    /// Where there is no such path, or more than `most` bytes of it.
    async fn download(
        &self,
        path: &Path,
        into: &mut (dyn AsyncWrite + Send + Unpin),
        most: u64,
    ) -> Result<u64, SandboxError>;

    /// Ends everything in it and removes it. May be called again.
    ///
    /// # Errors
    /// Where something of it is left.
    async fn destroy(&self) -> Result<(), SandboxError>;
}
