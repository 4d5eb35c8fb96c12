//! A container as the engine of Smelt sees it.

use super::engine::Engine;
use super::events::Events;
use super::exec::Place;
use super::walls::Rising;
use super::{network, reap};
use crate::archive::{self, Feed, Feeds};
use async_trait::async_trait;
use futures::future::join_all;
use smelt_core::port::{
    Command, Exit, Isolation, Labels, Output, Sandbox, SandboxError, SandboxPaths,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex as SyncMutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// A container that a run's commands are run in.
pub(super) struct DockerSandbox {
    pub(super) engine: Engine,
    pub(super) labels: Labels,
    pub(super) container: String,
    pub(super) network: Option<String>,
    pub(super) events: Events,
    pub(super) user: String,
    pub(super) env: BTreeMap<String, String>,
    pub(super) isolation: Isolation,
    /// The walls of its network, while they are being put up.
    pub(super) walls: Mutex<Option<Rising>>,
    /// Its network, while it is being taken away.
    pub(super) cut: SyncMutex<Option<JoinHandle<()>>>,
    /// The containers that put them up.
    pub(super) builders: Vec<String>,
    pub(super) paths: SandboxPaths,
}

#[async_trait]
impl Feeds for DockerSandbox {
    async fn run(
        &self,
        command: &Command,
        feed: Feed<'_>,
        output: &mut dyn Output,
    ) -> Result<Exit, SandboxError> {
        let place = Place {
            engine: &self.engine,
            container: &self.container,
            events: &self.events,
            user: &self.user,
            env: &self.env,
        };
        place.run(command, feed, output).await
    }
}

#[async_trait]
impl Sandbox for DockerSandbox {
    fn id(&self) -> &str {
        &self.container
    }

    fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    fn paths(&self) -> &SandboxPaths {
        &self.paths
    }

    async fn seal(&self) -> Result<Vec<String>, SandboxError> {
        match self.walls.lock().await.take() {
            Some(walls) => {
                let failed = |error| SandboxError::failed("putting the walls up", error);
                Ok(walls.await.map_err(failed)??)
            }
            None => Ok(Vec::new()),
        }
    }

    fn cut_off(&self) {
        let Some(network) = &self.network else { return };
        if self.events.subscribe().borrow().gone.is_some() {
            return;
        }
        let (engine, container) = (self.engine.clone(), self.container.clone());
        let network = network.clone();
        let cut = tokio::spawn(async move {
            if let Err(error) = network::cut(&engine, &network, &container).await {
                // It is tried once more when the container is gone.
                tracing::debug!(%error, "the network");
            }
        });
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    async fn exec(&self, command: Command, output: &mut dyn Output) -> Result<Exit, SandboxError> {
        archive::exec(self, &command, output).await
    }

    async fn upload(
        &self,
        archive: &mut (dyn AsyncRead + Send + Unpin),
        at: &Path,
    ) -> Result<(), SandboxError> {
        archive::upload(self, archive, at).await
    }

    async fn download(
        &self,
        path: &Path,
        into: &mut (dyn AsyncWrite + Send + Unpin),
        most: u64,
    ) -> Result<u64, SandboxError> {
        archive::download(self, path, into, most).await
    }

    async fn destroy(&self) -> Result<(), SandboxError> {
        if let Some(walls) = self.walls.lock().await.take() {
            let _ = walls.await;
        }
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner).take();
        let cut = async {
            if let Some(cut) = cut {
                let _ = cut.await;
            }
        };
        // It goes by itself, but not at once, and not where it could not be started.
        let builders = self.builders.iter().map(|id| reap::remove_container(&self.engine, id));
        let builders = join_all(builders);
        let container = reap::remove_container(&self.engine, &self.container);
        let ((), builders, container) = tokio::join!(cut, builders, container);
        let network = match &self.network {
            Some(network) => reap::remove_network(&self.engine, network).await,
            None => Ok(()),
        };
        builders.into_iter().collect::<Result<Vec<_>, _>>()?;
        network?;
        if !container? {
            // Somebody else has removed it, and maybe not its volumes.
            reap::remove_all(&self.engine, &self.labels.owner, &self.labels.run).await?;
        }
        Ok(())
    }
}
