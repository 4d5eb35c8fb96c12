//! A container with services beside it, as the engine of Smelt sees it.

use super::services::Services;
use crate::docker::reap;
use crate::docker::sandbox::DockerSandbox;
use async_trait::async_trait;
use futures::future::join_all;
use smelt_core::port::{Command, Exit, Isolation, Output, Sandbox, SandboxError, SandboxPaths};
use std::path::Path;
use tokio::io::{AsyncRead, AsyncWrite};

/// A container that a run's commands are run in, and the services that they reach by name.
pub(super) struct ComposeSandbox {
    pub(super) inner: DockerSandbox,
    pub(super) services: Services,
}

#[async_trait]
impl Sandbox for ComposeSandbox {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn isolation(&self) -> &Isolation {
        self.inner.isolation()
    }

    fn paths(&self) -> &SandboxPaths {
        self.inner.paths()
    }

    fn services(&self) -> Vec<String> {
        self.services.members().iter().map(|member| member.name.clone()).collect()
    }

    async fn follow(&self, name: &str, output: &mut dyn Output) -> Result<(), SandboxError> {
        self.services.follow(name, output).await
    }

    async fn trouble(&self) -> String {
        self.services.trouble().await
    }

    async fn seal(&self) -> Result<Vec<String>, SandboxError> {
        let gaps = self.inner.seal().await;
        // One without a check that ends at once has done so by now.
        self.services.look().await?;
        match self.services.failed().await {
            Some(error) => Err(error),
            None => gaps,
        }
    }

    async fn exec(&self, command: Command, output: &mut dyn Output) -> Result<Exit, SandboxError> {
        self.inner.exec(command, output).await
    }

    async fn upload(
        &self,
        archive: &mut (dyn AsyncRead + Send + Unpin),
        at: &Path,
    ) -> Result<(), SandboxError> {
        self.inner.upload(archive, at).await
    }

    async fn download(
        &self,
        path: &Path,
        into: &mut (dyn AsyncWrite + Send + Unpin),
        most: u64,
    ) -> Result<u64, SandboxError> {
        self.inner.download(path, into, most).await
    }

    async fn destroy(&self) -> Result<(), SandboxError> {
        let engine = &self.inner.engine;
        let members = self.services.members().iter();
        let removed =
            join_all(members.map(|member| reap::remove_container(engine, &member.container))).await;
        let destroyed = self.inner.destroy().await;
        removed.into_iter().collect::<Result<Vec<_>, _>>()?;
        destroyed
    }
}
