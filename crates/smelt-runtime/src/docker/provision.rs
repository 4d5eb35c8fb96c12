//! One sandbox from its spec to the end of its making, whoever still waits for it: what the engine is
//! asked for it makes, and only what is made can be removed.

use super::engine::Engine;
use super::image::{self, Image};
use super::make::{self, How, Left};
use super::reap;
use super::sandbox::DockerSandbox;
use super::user::Wanted;
use smelt_core::port::{SandboxError, SandboxSpec};

/// A sandbox to be made.
pub(super) struct Provision {
    pub(super) engine: Engine,
    pub(super) spec: SandboxSpec,
    /// The host's folders are mounted.
    pub(super) mounted: bool,
    /// Tells caches from those of others in the same engine.
    pub(super) cache_owner: String,
    /// The run has had a sandbox before.
    pub(super) again: bool,
}

impl Provision {
    /// Makes it. Where that fails nothing of it is left.
    pub(super) async fn carry_out(self) -> Result<DockerSandbox, SandboxError> {
        let image = image::of(&self.engine, &self.spec.environment).await?;
        if let Some(left) = self.look_for_left().await? {
            match self.make(&image, Some(left)).await {
                Ok(sandbox) => return Ok(sandbox),
                // It is on its way out, or broken. Mounted folders are there still.
                Err(error) => tracing::debug!(%error, "what was left can't be started again"),
            }
        }
        self.make(&image, None).await
    }

    async fn look_for_left(&self) -> Result<Option<Left>, SandboxError> {
        if !self.again {
            return Ok(None);
        }
        let left = make::look_for_left(&self.engine, &self.spec.labels).await?;
        if left.is_none() {
            // Somebody has removed the container, and neither its network nor its volumes.
            self.remove_all().await;
        }
        Ok(left)
    }

    async fn make(&self, image: &Image, left: Option<Left>) -> Result<DockerSandbox, SandboxError> {
        let wanted = Wanted::of(&self.spec.environment);
        let how = How { wanted, mounted: self.mounted, cache_owner: &self.cache_owner };
        let made = make::sandbox(&self.engine, &self.spec, image, how, left).await;
        if made.is_err() {
            self.remove_all().await;
        }
        made
    }

    async fn remove_all(&self) {
        let labels = &self.spec.labels;
        if let Err(error) = reap::remove_all(&self.engine, &labels.owner, &labels.run).await {
            tracing::warn!(%error, "something of a sandbox is left");
        }
    }
}
