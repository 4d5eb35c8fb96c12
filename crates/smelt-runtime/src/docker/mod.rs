//! The `docker` runtime: a container of an engine for each run.

mod build;
pub mod compose;
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
mod provision;
mod reap;
mod sandbox;
mod shell;
mod user;
mod walls;

use async_trait::async_trait;
pub use endpoint::EngineConfig;
use engine::Engine;
use image::Image;
use provision::{Alone, Make, Provision};
use sha2::{Digest, Sha256};
use smelt_core::event::OutputStream;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Environment, ImageSource, RuntimeKind, Service};
use smelt_core::port::{
    Orphan, Output, Readiness, Runtime, Sandbox, SandboxError, SandboxSpec, Shell, Workspace,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

/// Makes containers by an engine that speaks Docker's API.
pub struct DockerRuntime {
    config: EngineConfig,
    cache: PathBuf,
    /// Tells caches from those of others in the same engine.
    cache_owner: String,
    engine: OnceCell<Engine>,
    streaming: bool,
    /// Whether runs have had a sandbox: what they left is looked for before another one is made.
    lives: Mutex<BTreeMap<RunId, Arc<AsyncMutex<bool>>>>,
    /// The last image that each source has led to. What a build is made of may have changed since.
    images: Mutex<Vec<(ImageSource, Image)>>,
}

impl DockerRuntime {
    /// A runtime for the engine that `config` leads to; nothing is asked of it yet. Caches are shared
    /// by whoever names the same folder `cache`, in which builds are prepared.
    pub fn new(config: EngineConfig, cache: PathBuf) -> Self {
        let cache_owner = cache_owner(&cache);
        let (engine, lives) = (OnceCell::new(), Mutex::default());
        Self {
            config,
            cache,
            cache_owner,
            engine,
            streaming: false,
            lives,
            images: Mutex::default(),
        }
    }

    /// The same, with workspaces streamed in as if the engine were on another machine.
    #[must_use]
    pub fn streaming(self) -> Self {
        Self { streaming: true, ..self }
    }

    async fn engine(&self) -> Result<&Engine, SandboxError> {
        self.engine.get_or_try_init(|| Engine::connect(&self.config)).await
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

    /// The image of `environment`, which must be there.
    async fn image_of(&self, environment: &Environment) -> Result<Image, SandboxError> {
        match self.image(environment) {
            Some(image) => Ok(image),
            None => image::of(self.engine().await?, environment).await,
        }
    }

    fn keep_image(&self, environment: &Environment, image: Image) {
        let Some(source) = &environment.image else { return };
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.retain(|(known, _)| known != source);
        images.push((source.clone(), image));
    }

    fn image(&self, environment: &Environment) -> Option<Image> {
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let source = environment.image.as_ref()?;
        images.iter().find(|(known, _)| known == source).map(|(_, image)| image.clone())
    }

    /// Gets the image of `environment`; returns its digest.
    async fn get_image(
        &self,
        environment: &Environment,
        output: &mut dyn Output,
    ) -> Result<String, SandboxError> {
        let engine = self.engine().await?;
        let made = std::fs::create_dir_all(&self.cache);
        made.map_err(|error| SandboxError::failed("making the cache folder", error))?;
        let image = image::get(engine, environment, &self.cache, output).await?;
        let digest = image.digest.clone();
        self.keep_image(environment, image);
        Ok(digest)
    }

    /// Makes a sandbox by `maker`, to the end of its making, also when nobody waits for it any more.
    async fn provision_by(
        &self,
        maker: Box<dyn Make>,
        spec: &SandboxSpec,
        output: &mut dyn Output,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        let engine = self.engine().await?;
        let mut life = self.life(&spec.labels.run).lock_owned().await;
        let (progress, mut told) = mpsc::unbounded_channel();
        let given_up = CancellationToken::new();
        let provision = Provision {
            engine: engine.clone(),
            spec: spec.clone(),
            mounted: self.mounts(engine, &spec.environment),
            cache_owner: self.cache_owner.clone(),
            image: self.image(&spec.environment),
            again: std::mem::replace(&mut *life, true),
            progress,
            given_up: given_up.clone(),
        };
        let _giving_up = given_up.drop_guard();
        let made = tokio::spawn(async move {
            let made = provision.carry_out(&*maker).await;
            drop(life);
            made
        });
        while let Some(line) = told.recv().await {
            // Whether anybody reads it does not matter.
            let _ = output.write(OutputStream::Stdout, format!("{line}\n").as_bytes()).await;
        }
        made.await.map_err(|error| SandboxError::failed("making the sandbox", error))?
    }

    /// What is known of `run` here; held for as long as a sandbox of it is made or removed.
    fn life(&self, run: &RunId) -> Arc<AsyncMutex<bool>> {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.entry(run.clone()).or_default().clone()
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
        _: &[Service],
        output: &mut dyn Output,
    ) -> Result<Option<String>, SandboxError> {
        self.get_image(environment, output).await.map(Some)
    }

    async fn provision(
        &self,
        spec: &SandboxSpec,
        output: &mut dyn Output,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        self.provision_by(Box::new(Alone), spec, output).await
    }

    async fn list(&self, owner: &OwnerId) -> Result<Vec<Orphan>, SandboxError> {
        let found = reap::find(self.engine().await?, owner, None).await?;
        Ok(reap::by_run(found))
    }

    async fn reap(&self, owner: &OwnerId, run: &RunId) -> Result<(), SandboxError> {
        let not_meanwhile = self.life(run).lock_owned().await;
        reap::remove_all(self.engine().await?, owner, run).await?;
        drop(not_meanwhile);
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
        Ok(())
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
        Ok(reap::clear_caches(self.engine().await?, &self.cache_owner).await?)
    }
}
