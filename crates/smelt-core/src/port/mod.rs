//! What the engine needs of the world, as traits: narrow, object-safe, honest.
//!
//! What a backend can't do is [`SandboxError::Unsupported`], never a pretended success.

mod command;
mod forge;
mod runner;
mod runtime;
mod sandbox;
mod shell;

pub use command::{Command, Discard, Exit, ExitStatus, Input, Output, Value};
pub use forge::{
    CheckSummary, Checks, Forge, ForgeConnector, ForgeError, ForgePlace, ForgeRepository,
    NewPullRequest, PullRequest, PullRequestExtras, PullRequestStatus, PushTarget, ReviewSummary,
    Reviews,
};
pub use runner::{Cancellation, JobRequest, JobRunner};
pub use runtime::{
    Blueprint, CacheSpec, Check, CheckState, Labels, Orphan, Readiness, Runtime, SandboxSpec,
    Workspace,
};
pub use sandbox::{Isolation, Sandbox, SandboxError, SandboxPaths};
pub use shell::{Shell, Terminal, TerminalSize};
