//! The `compose` runtime: the sandbox and the services beside it as one Compose project of an engine.

mod command;
mod file;
mod project;
mod sandbox;
mod services;
mod state;

use super::{DockerRuntime, EngineConfig};
use async_trait::async_trait;
use command::Compose;
use file::Preview;
use project::Project;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Environment, ImageSource, RuntimeKind, Service};
use smelt_core::port::{
    Blueprint, Orphan, Output, Readiness, Runtime, Sandbox, SandboxError, SandboxSpec, Shell,
    Workspace,
};
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// Makes groups of containers by Docker's Compose: the plugin (`docker compose`) or the older
/// `docker-compose`. What it leaves is found and removed as that of [`DockerRuntime`] is.
pub struct ComposeRuntime {
    docker: DockerRuntime,
    compose: OnceCell<Compose>,
}

impl ComposeRuntime {
    /// A runtime for the engine that `config` leads to; `cache` as for [`DockerRuntime::new`].
    pub fn new(config: EngineConfig, cache: PathBuf) -> Self {
        Self { docker: DockerRuntime::new(config, cache), compose: OnceCell::new() }
    }

    /// The same, with workspaces streamed in as if the engine were on another machine.
    #[must_use]
    pub fn streaming(self) -> Self {
        Self { docker: self.docker.streaming(), ..self }
    }

    async fn compose(&self) -> Result<&Compose, SandboxError> {
        self.compose.get_or_try_init(|| Compose::find(&self.docker.config)).await
    }

    /// An environment whose image is that of `service`.
    fn environment_of(service: &Service, environment: &Environment) -> Environment {
        let image = Some(ImageSource::Image(service.image.clone()));
        Environment { image, ..environment.clone() }
    }
}

#[async_trait]
impl Runtime for ComposeRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Compose
    }

    async fn workspace(&self, environment: &Environment) -> Workspace {
        self.docker.workspace(environment).await
    }

    async fn check(&self) -> Readiness {
        let mut readiness = self.docker.check().await;
        readiness.checks.push(Compose::check(&self.docker.config).await);
        readiness
    }

    async fn prepare(
        &self,
        environment: &Environment,
        services: &[Service],
        output: &mut dyn Output,
    ) -> Result<Option<String>, SandboxError> {
        self.compose().await?;
        let digest = self.docker.get_image(environment, output).await?;
        for service in services {
            let of_service = Self::environment_of(service, environment);
            self.docker.get_image(&of_service, output).await?;
        }
        Ok(Some(digest))
    }

    fn blueprint(&self, spec: &SandboxSpec) -> Option<Blueprint> {
        Some(Blueprint { title: "compose file", text: Preview { spec }.write() })
    }

    async fn provision(
        &self,
        spec: &SandboxSpec,
        output: &mut dyn Output,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        let mut images = Vec::new();
        for service in &spec.services {
            let of_service = Self::environment_of(service, &spec.environment);
            images.push(self.docker.image_of(&of_service).await?.id);
        }
        let compose = self.compose().await?.clone();
        self.docker.provision_by(Box::new(Project { compose, images }), spec, output).await
    }

    async fn list(&self, owner: &OwnerId) -> Result<Vec<Orphan>, SandboxError> {
        self.docker.list(owner).await
    }

    async fn reap(&self, owner: &OwnerId, run: &RunId) -> Result<(), SandboxError> {
        self.docker.reap(owner, run).await
    }

    async fn shell(
        &self,
        owner: &OwnerId,
        run: &RunId,
        shell: Shell<'_>,
    ) -> Result<i64, SandboxError> {
        self.docker.shell(owner, run, shell).await
    }

    async fn clear_cache(&self) -> Result<(), SandboxError> {
        self.docker.clear_cache().await
    }
}
