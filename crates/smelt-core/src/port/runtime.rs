use super::command::Output;
use super::sandbox::{Sandbox, SandboxError};
use super::shell::Shell;
use crate::id::{OwnerId, RunId};
use crate::manifest::{Environment, Kubernetes, RuntimeKind, SandboxPath, Service};
use crate::name::JobName;
use async_trait::async_trait;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What whatever a runtime makes is labelled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// `smelt.owner`: the state folder.
    pub owner: OwnerId,
    /// `smelt.job`: the job.
    pub job: JobName,
    /// `smelt.run`: the run.
    pub run: RunId,
}

/// How the workspace gets into the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workspace {
    /// The sandbox shares the host's files: [`SandboxSpec::root`] is mounted.
    Mounted,
    /// It does not: the engine uploads the contents of [`SandboxSpec::root`].
    Streamed,
}

/// Paths that are kept between runs of the same repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSpec {
    /// Stands for the repository; fit for file and volume names.
    pub key: String,
    /// The paths.
    pub paths: Vec<SandboxPath>,
}

/// The sandbox that a run needs.
#[derive(Clone, Debug)]
pub struct SandboxSpec {
    /// What it is labelled with.
    pub labels: Labels,
    /// What the manifest asks for.
    pub environment: Environment,
    /// Folder of the host for this run alone; the runtime may put things in it.
    pub scratch: PathBuf,
    /// Folder in it whose contents are the sandbox's root folder.
    pub root: PathBuf,
    /// Folders of the host with git objects, to be seen read-only below the root folder as
    /// `objects/0`, `objects/1`, …; none where the workspace is streamed.
    pub borrowed: Vec<PathBuf>,
    /// What is kept between runs.
    pub cache: Option<CacheSpec>,
    /// Services beside it, for `compose`.
    pub services: Vec<Service>,
    /// Where its pod is made, for `kubernetes`.
    pub kubernetes: Option<Kubernetes>,
    /// After this long nobody needs it any more, whatever has become of Smelt: what can end by itself
    /// does so then.
    pub lifetime: Duration,
}

/// What a runtime would ask for to make a sandbox, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blueprint {
    /// What it is, such as `pod`.
    pub title: &'static str,
    /// It, in the form that is usual for it.
    pub text: String,
}

/// Whether one thing that a runtime needs is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It is.
    Good,
    /// It is not, and something will be weaker for it.
    Lacking,
    /// It is not, and nothing works without it.
    Missing,
}

/// One thing that a runtime needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is there.
    pub state: CheckState,
    /// What was found.
    pub found: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Whether a runtime can be used, and what was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Each thing it needs.
    pub checks: Vec<Check>,
}

impl Readiness {
    /// The first thing without which nothing works.
    pub fn missing(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.state == CheckState::Missing)
    }
}

/// Something that a run left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The run.
    pub run: RunId,
    /// What it is, for people.
    pub what: String,
}

/// Makes sandboxes.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Which one it is.
    fn kind(&self) -> RuntimeKind;

    /// How a workspace gets into its sandboxes for `environment`: whose files are to be seen inside
    /// may depend on the user there. It may have to look at the engine first, as [`Self::check`]
    /// does.
    async fn workspace(&self, environment: &Environment) -> Workspace;

    /// Whether it can be used: is the daemon reachable, does the jail work?
    async fn check(&self) -> Readiness;

    /// Gets what sandboxes for `environment` and the `services` beside them are made of: finds, pulls or
    /// builds their images. What takes its time is told on `output` as lines of text. Returns the
    /// sandbox's image by its digest, such as `debian@sha256:…`; `None` for a runtime without images, or
    /// where only the sandbox can tell ([`Sandbox::image`]).
    ///
    /// # Errors
    /// [`SandboxError::Unavailable`] where the runtime can't be used or the image can't be had.
    async fn prepare(
        &self,
        environment: &Environment,
        services: &[Service],
        output: &mut dyn Output,
    ) -> Result<Option<String>, SandboxError> {
        let (_, _, _) = (environment, services, output);
        Ok(None)
    }

    /// What [`Self::provision`] would ask for; nothing is asked of anybody. `None` where there is
    /// nothing that tells people more than the manifest does.
    fn blueprint(&self, spec: &SandboxSpec) -> Option<Blueprint> {
        let _ = spec;
        None
    }

    /// Makes a sandbox, of what [`Self::prepare`] got, with its services, which work when it returns.
    /// What takes its time is told on `output` as lines of text. Where it fails half-way it removes what
    /// it had made.
    ///
    /// # Errors
    /// [`SandboxError::Unavailable`] where the runtime can't be used, [`SandboxError::Unsupported`]
    /// where it can't do what the spec asks for.
    async fn provision(
        &self,
        spec: &SandboxSpec,
        output: &mut dyn Output,
    ) -> Result<Box<dyn Sandbox>, SandboxError>;

    /// What runs of `owner` have left, or are using.
    ///
    /// # Errors
    /// Where the runtime can't be asked.
    async fn list(&self, owner: &OwnerId) -> Result<Vec<Orphan>, SandboxError>;

    /// Removes whatever is labelled as `run` of `owner`, as if it had never been.
    ///
    /// # Errors
    /// Where something of it is left.
    async fn reap(&self, owner: &OwnerId, run: &RunId) -> Result<(), SandboxError>;

    /// Opens a shell in the sandbox of a run that goes on, maybe in another process; returns the
    /// shell's exit code.
    ///
    /// # Errors
    /// [`SandboxError::Gone`] where the run has no sandbox now, [`SandboxError::Unsupported`] where
    /// its sandboxes can't be entered from outside.
    async fn shell(
        &self,
        owner: &OwnerId,
        run: &RunId,
        shell: Shell<'_>,
    ) -> Result<i64, SandboxError> {
        let (_, _, _) = (owner, run, shell);
        let what = "opening a shell in a sandbox that another process has made".into();
        Err(SandboxError::Unsupported { runtime: self.kind().as_str(), what })
    }

    /// Removes what is kept between runs and is not in a folder of Smelt's own. No run goes on
    /// meanwhile.
    ///
    /// # Errors
    /// Where something of it is left.
    async fn clear_cache(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}
