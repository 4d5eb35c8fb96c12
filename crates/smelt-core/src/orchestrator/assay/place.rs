//! Where Assay works inside a sandbox.

use crate::name::SessionName;
use crate::port::SandboxPaths;
use std::path::PathBuf;

/// Assay's name for the project: [`SandboxPaths::ASSAY_WORKTREES`] is this with `-worktrees` behind.
pub(super) const PROJECT: &str = "smelt";

/// Folder in the place with what is Assay's.
pub(super) const DOT_ASSAY: &str = ".assay";

/// The place in which Assay is started, and what is beside it.
///
/// Assay makes its worktrees in a folder *beside* the repository it is started in. Beside the
/// workspace nothing can be written, below the sessions' folder everything can: so it is started in a
/// worktree of the clone there, `_assay/repo`, and its own are in `_assay/smelt-worktrees`. No session
/// is called `_assay`.
pub(super) struct Place {
    /// The folder of all that belongs to Assay.
    pub(super) root: PathBuf,
}

impl Place {
    pub(super) fn of(paths: &SandboxPaths) -> Self {
        Self { root: paths.session(SandboxPaths::ASSAY) }
    }

    /// The worktree in which Assay is started.
    pub(super) fn repository(&self) -> PathBuf {
        self.root.join("repo")
    }

    /// The worktree that Assay makes for a session.
    pub(super) fn worktree(&self, session: &SessionName) -> PathBuf {
        self.root.join(SandboxPaths::ASSAY_WORKTREES).join(session.as_str())
    }

    /// The branch that Assay makes for a session.
    pub(super) fn branch(session: &SessionName) -> String {
        format!("assay/{session}")
    }

    /// What the gate's script records of a session, without the endings `.commit`, `.log`, `.exit`.
    pub(super) fn record(&self, session: &SessionName) -> PathBuf {
        self.root.join("gates").join(session.as_str())
    }
}
