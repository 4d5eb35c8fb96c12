use super::sandbox::SandboxPaths;
use crate::name::SessionName;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// How many fit in a line.
    pub columns: u16,
    /// How many lines there are.
    pub rows: u16,
}

/// A shell for somebody to look around in the sandbox of a run that goes on.
pub struct Shell<'a> {
    /// The session in whose worktree it starts; else in the workspace.
    pub session: Option<SessionName>,
    /// What is typed.
    pub input: &'a mut (dyn AsyncRead + Send + Unpin),
    /// What is shown.
    pub output: &'a mut (dyn AsyncWrite + Send + Unpin),
    /// What is complained of; a terminal shows it like all else.
    pub errors: &'a mut (dyn AsyncWrite + Send + Unpin),
    /// How large the terminal is, from now on; `None` where there is none.
    pub terminal: Option<Terminal>,
}

/// A terminal.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Its size.
    pub size: watch::Receiver<TerminalSize>,
    /// Which kind it is: `TERM`.
    pub kind: String,
}

impl Shell<'_> {
    /// Script for `sh` that becomes the best shell there is; its `$@` are the folders to start in, of
    /// which the first that is there is taken.
    pub const SCRIPT: &'static str = "for folder; do cd \"$folder\" 2>/dev/null && break; done\n\
        command -v bash >/dev/null 2>&1 && exec bash\nexec sh";

    /// The folders in which it starts, below `root`: the first that is there.
    pub fn folders(&self, root: &Path) -> Vec<PathBuf> {
        let sessions = root.join(SandboxPaths::SESSIONS);
        let by_assay = sessions.join(SandboxPaths::ASSAY).join(SandboxPaths::ASSAY_WORKTREES);
        let own = self.session.iter().flat_map(|name| {
            // Where Assay works, the other one is at most where its start was merged.
            [&by_assay, &sessions].map(|folder| folder.join(name.as_str()))
        });
        own.chain([root.join(SandboxPaths::WORKSPACE)]).collect()
    }
}
