//! The `local` runtime: a jail of processes by bubblewrap.
//!
//! Each command is a jail of its own with the same view: an allowlist of read-only system paths, a
//! private home and `/tmp`, the run's own folder, its own namespaces and no capabilities. Where no
//! jail can be made it refuses, unless the job accepts to run without.

mod cgroup;
mod etc;
mod exec;
mod host;
mod jail;
mod limits;
mod mounts;
mod plan;
mod processes;
mod sandbox;
mod spawner;

use async_trait::async_trait;
use host::Host;
use sandbox::LocalSandbox;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Environment, RuntimeKind, Service};
use smelt_core::port::{
    Orphan, Output, Readiness, Runtime, Sandbox, SandboxError, SandboxSpec, Workspace,
};
use smelt_core::tree::remove_tree;
use std::ffi::OsString;
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// What the runtime has to know of the machine and its user.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Folder of the runs' own folders: `<owner>/<run>` below it.
    pub scratch: PathBuf,
    /// Folder for what is kept between runs.
    pub cache: PathBuf,
    /// The user's `PATH`: programs are found in the same order inside.
    pub path: OsString,
    /// The user's home; the sandbox has an empty one of its own at the same path.
    pub home: PathBuf,
    /// Run without a jail where none can be made, whatever the manifest says.
    pub accept_unsandboxed: bool,
}

/// Makes jails of processes on this machine.
pub struct LocalRuntime {
    config: LocalConfig,
    host: OnceCell<Host>,
    workspace: Workspace,
}

impl LocalRuntime {
    /// A runtime for the machine that `config` tells about.
    pub fn new(config: LocalConfig) -> Self {
        Self { config, host: OnceCell::new(), workspace: Workspace::Mounted }
    }

    /// The same, with workspaces streamed in as if the host's files were out of reach.
    #[must_use]
    pub fn streaming(self) -> Self {
        Self { workspace: Workspace::Streamed, ..self }
    }

    /// What the machine can do; looked at once.
    async fn host(&self) -> &Host {
        self.host.get_or_init(|| Host::probe(&self.config)).await
    }
}

#[async_trait]
impl Runtime for LocalRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Local
    }

    async fn workspace(&self, _: &Environment) -> Workspace {
        self.workspace
    }

    async fn check(&self) -> Readiness {
        self.host().await.readiness()
    }

    /// There is no image; the machine is looked at.
    async fn prepare(
        &self,
        _: &Environment,
        _: &[Service],
        _: &mut dyn Output,
    ) -> Result<Option<String>, SandboxError> {
        self.host().await;
        Ok(None)
    }

    async fn provision(
        &self,
        spec: &SandboxSpec,
        _: &mut dyn Output,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        let host = self.host().await;
        Ok(Box::new(LocalSandbox::make(&self.config, host, spec)?))
    }

    async fn list(&self, owner: &OwnerId) -> Result<Vec<Orphan>, SandboxError> {
        let folder = self.config.scratch.join(owner.as_str());
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let runs = entries.filter_map(|entry| {
            let run = entry.file_name().to_str()?.parse().ok()?;
            Some(Orphan { run, what: format!("sandbox files in {}", entry.path().display()) })
        });
        Ok(runs.collect())
    }

    async fn reap(&self, owner: &OwnerId, run: &RunId) -> Result<(), SandboxError> {
        processes::kill_marked(processes::RUN_MARK, run.as_str());
        cgroup::remove_leftover(run).await;
        let folder = self.config.scratch.join(owner.as_str()).join(run.as_str());
        let removed = tokio::task::spawn_blocking({
            let folder = folder.clone();
            move || remove_tree(&folder)
        });
        let removed = removed.await.map_err(std::io::Error::other).flatten();
        removed.map_err(|error| SandboxError::failed("removing the jail", error))?;
        // The owner's folder goes with its last run.
        let _ = folder.parent().map(std::fs::remove_dir);
        Ok(())
    }
}
