//! The phases as values: each carries what it needs, and only legal transitions can be written.

use super::collect::Checked;
use crate::event;
use crate::git::{Base, Oid, Repository};
use crate::name::{BranchName, SessionName};
use crate::outcome::{Conclusion, Failure};
use crate::port::{Sandbox, SandboxSpec, Workspace};
use crate::session::floor::Worktree;

/// Where a run is, with everything that is needed to go on from there.
pub(crate) enum Phase {
    Preparing(Preparing),
    Provisioning(Provisioning),
    Executing(Executing),
    Collecting(Collecting),
    Delivering(Delivering),
    TearingDown(TearingDown),
}

impl Phase {
    pub(crate) fn name(&self) -> event::Phase {
        match self {
            Self::Preparing(_) => event::Phase::Preparing,
            Self::Provisioning(_) => event::Phase::Provisioning,
            Self::Executing(_) => event::Phase::Executing,
            Self::Collecting(_) => event::Phase::Collecting,
            Self::Delivering(_) => event::Phase::Delivering,
            Self::TearingDown(_) => event::Phase::TearingDown,
        }
    }

    /// The end of a run that has no sandbox.
    pub(crate) fn end(conclusion: impl Into<Conclusion>) -> Self {
        Self::TearingDown(TearingDown { sandbox: None, conclusion: conclusion.into() })
    }

    /// The end of a run, from within its sandbox.
    pub(crate) fn end_in(sandbox: Box<dyn Sandbox>, conclusion: impl Into<Conclusion>) -> Self {
        Self::TearingDown(TearingDown { sandbox: Some(sandbox), conclusion: conclusion.into() })
    }
}

/// The repository is opened, the base pinned, the workspace made.
pub(crate) struct Preparing;

/// What is known after preparing.
pub(crate) struct Prepared {
    pub(crate) repository: Repository,
    pub(crate) base: Base,
    /// The branch the result goes to.
    pub(crate) target: BranchName,
    /// How the workspace gets into the sandbox.
    pub(crate) workspace: Workspace,
    /// The sandbox to be made.
    pub(crate) spec: SandboxSpec,
    /// What it is made of, by digest.
    pub(crate) image: Option<String>,
}

/// The sandbox is made.
pub(crate) struct Provisioning {
    pub(crate) prepared: Prepared,
}

/// Agents work, gates run, work is merged.
pub(crate) struct Executing {
    pub(crate) prepared: Prepared,
    pub(crate) sandbox: Box<dyn Sandbox>,
}

/// What has come of the sessions, as the sandbox tells it.
#[derive(Debug)]
pub(crate) struct Work {
    /// Sessions and their last commits.
    pub(crate) sessions: Vec<(SessionName, Oid)>,
    /// Sessions whose work is still lying in their worktrees.
    pub(crate) unsaved: Vec<(SessionName, Worktree)>,
    /// The verdict: the result's commit, or why there is none.
    pub(crate) verdict: Verdict,
}

/// Whether there is a result.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Everything passed; this commit holds the work.
    Passed(Oid),
    /// Not everything did; this commit holds what did, for a draft.
    Draft(Oid, Conclusion),
    /// Not everything did.
    Not(Conclusion),
}

/// The commits are brought out of the sandbox and checked.
pub(crate) struct Collecting {
    pub(crate) prepared: Prepared,
    pub(crate) sandbox: Box<dyn Sandbox>,
    pub(crate) work: Work,
}

/// The commits are put where they belong. The sandbox is not needed for it, and removed meanwhile.
pub(crate) struct Delivering {
    pub(crate) prepared: Prepared,
    pub(crate) sandbox: Box<dyn Sandbox>,
    pub(crate) verdict: Verdict,
    /// What has come out of the sandbox and is good; nothing where nothing was changed.
    pub(crate) checked: Vec<Checked>,
}

/// The sandbox is removed.
pub(crate) struct TearingDown {
    pub(crate) sandbox: Option<Box<dyn Sandbox>>,
    pub(crate) conclusion: Conclusion,
}

impl Verdict {
    /// The commit that holds the work.
    pub(crate) fn commit(&self) -> Option<&Oid> {
        match self {
            Self::Passed(commit) | Self::Draft(commit, _) => Some(commit),
            Self::Not(_) => None,
        }
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self::Not(failure.into())
    }
}
