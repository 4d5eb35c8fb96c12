//! The `docker` runtime: a container of an engine for each run.

mod build;
mod container;
mod ending;
mod endpoint;
mod engine;
mod events;
mod exec;
mod image;
mod login;
mod make;
mod network;
mod reap;
mod sandbox;
mod shell;
mod user;
mod walls;

use async_trait::async_trait;
pub use endpoint::EngineConfig;
use engine::Engine;
use make::How;
use sha2::{Digest, Sha256};
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Environment, RuntimeKind};
use smelt_core::port::{
    Orphan, Output, Readiness, Runtime, Sandbox, SandboxError, SandboxSpec, Shell, Workspace,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::OnceCell;
use user::Wanted;

/// Makes containers by an engine that speaks Docker's API.
pub struct DockerRuntime {
    config: EngineConfig,
    cache: PathBuf,
    /// Tells caches from those of others in the same engine.
    cache_owner: String,
    engine: OnceCell<Engine>,
    streaming: bool,
    /// Runs that have had a sandbox: what they left is looked for before another one is made.
    met: Mutex<BTreeSet<RunId>>,
}

impl DockerRuntime {
    /// A runtime for the engine that `config` leads to; nothing is asked of it yet. Caches are shared
    /// by whoever names the same folder `cache`, in which builds are prepared.
    pub fn new(config: EngineConfig, cache: PathBuf) -> Self {
        let cache_owner = cache_owner(&cache);
        let (engine, met) = (OnceCell::new(), Mutex::default());
        Self { config, cache, cache_owner, engine, streaming: false, met }
    }

    /// The same, with workspaces streamed in as if the engine were on another machine.
    #[must_use]
    pub fn streaming(self) -> Self {
        Self { streaming: true, ..self }
    }

    async fn engine(&self) -> Result<&Engine, SandboxError> {
        self.engine.get_or_try_init(|| Engine::connect(&self.config)).await
    }

    fn wanted<'a>(environment: &'a Environment) -> Wanted<'a> {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        match environment.user.as_deref() {
            None => Wanted::Own { uid, gid },
            Some(name) => Wanted::Named(name),
        }
    }

    fn mounts(&self, engine: &Engine, environment: &Environment) -> bool {
        // Files of this machine belong to this user, whoever the agent is.
        let own = rustix::process::getuid().as_raw().to_string();
        let is_own = match environment.user.as_deref() {
            None => true,
            Some("root") => own == "0",
            Some(name) => name.split(':').next() == Some(&own),
        };
        engine.shares_files && is_own && !self.streaming
    }

    /// Whether `run` has had a sandbox before.
    fn meets_again(&self, run: &RunId) -> bool {
        !self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone())
    }
}

/// A user's own name for the caches of everything that keeps its state at `cache`.
fn cache_owner(cache: &Path) -> String {
    let whole = format!("{}:{}", rustix::process::getuid().as_raw(), cache.display());
    Sha256::digest(whole.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Runtime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    async fn workspace(&self, environment: &Environment) -> Workspace {
        match self.engine().await {
            Ok(engine) if self.mounts(engine, environment) => Workspace::Mounted,
            _ => Workspace::Streamed,
        }
    }

    async fn check(&self) -> Readiness {
        endpoint::readiness(&self.config).await
    }

    async fn prepare(
        &self,
        environment: &Environment,
        output: &mut dyn Output,
    ) -> Result<Option<String>, SandboxError> {
        let engine = self.engine().await?;
        let made = std::fs::create_dir_all(&self.cache);
        made.map_err(|error| SandboxError::failed("making the cache folder", error))?;
        Ok(Some(image::get(engine, environment, &self.cache, output).await?.digest))
    }

    async fn provision(&self, spec: &SandboxSpec) -> Result<Box<dyn Sandbox>, SandboxError> {
        let engine = self.engine().await?;
        let environment = &spec.environment;
        let image = image::of(engine, environment).await?;
        let again = self.meets_again(&spec.labels.run);
        let left = match again {
            true => make::look_for_left(engine, &spec.labels).await?,
            false => None,
        };
        if left.is_none() && again {
            // Somebody has removed the container, and neither its network nor its volumes.
            reap::remove_all(engine, &spec.labels.owner, &spec.labels.run).await?;
        }
        let mounted = self.mounts(engine, environment);
        let wanted = Self::wanted(environment);
        let how = How { wanted, mounted, cache_owner: &self.cache_owner };
        let mut is_revived = left.is_some();
        let mut made = make::sandbox(engine, spec, &image, how, left).await;
        loop {
            let error = match made {
                Ok(sandbox) => return Ok(Box::new(sandbox)),
                Err(error) => error,
            };
            let removed = reap::remove_all(engine, &spec.labels.owner, &spec.labels.run).await;
            if let Err(left) = removed {
                tracing::warn!(%left, "a sandbox that could not be made is left");
            }
            if !std::mem::take(&mut is_revived) {
                return Err(error);
            }
            // What was left is on its way out, or broken. Mounted folders are there still.
            tracing::debug!(%error, "what was left can't be started again");
            made = make::sandbox(engine, spec, &image, how, None).await;
        }
    }

    async fn list(&self, owner: &OwnerId) -> Result<Vec<Orphan>, SandboxError> {
        let found = reap::find(self.engine().await?, owner, None).await?;
        Ok(reap::by_run(found))
    }

    async fn reap(&self, owner: &OwnerId, run: &RunId) -> Result<(), SandboxError> {
        Ok(reap::remove_all(self.engine().await?, owner, run).await?)
    }

    async fn shell(
        &self,
        owner: &OwnerId,
        run: &RunId,
        shell: Shell<'_>,
    ) -> Result<i64, SandboxError> {
        let engine = self.engine().await?;
        match reap::find_running(engine, owner, run).await? {
            Some((container, user)) => shell::open(engine, &container, &user, shell).await,
            None => Err(SandboxError::Gone("the run has no container now".into())),
        }
    }

    async fn clear_cache(&self) -> Result<(), SandboxError> {
        reap::clear_caches(self.engine().await?, &self.cache_owner).await?;
        Ok(())
    }
}
