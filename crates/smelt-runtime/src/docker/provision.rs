//! One sandbox from its spec to the end of its making, whoever still waits for it: what the engine is
//! asked for it makes, and only what is made can be removed.

use super::engine::Engine;
use super::image::{self, Image};
use super::make::{self, How};
use super::reap;
use super::user::Wanted;
use async_trait::async_trait;
use smelt_core::port::{Sandbox, SandboxError, SandboxSpec};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Makes a sandbox of an engine's containers.
#[async_trait]
pub(super) trait Make: Send + Sync {
    /// Makes it, of `image`. What is half made when it fails is left for [`reap::remove_all`].
    async fn make(
        &self,
        provision: &Provision,
        image: &Image,
    ) -> Result<Box<dyn Sandbox>, SandboxError>;
}

/// One container.
pub(super) struct Alone;

#[async_trait]
impl Make for Alone {
    async fn make(
        &self,
        provision: &Provision,
        image: &Image,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        let Provision { engine, spec, .. } = provision;
        Ok(Box::new(make::sandbox(engine, spec, image, provision.how()).await?))
    }
}

/// A sandbox to be made.
pub(super) struct Provision {
    pub(super) engine: Engine,
    pub(super) spec: SandboxSpec,
    /// The host's folders are mounted.
    pub(super) mounted: bool,
    /// Tells caches from those of others in the same engine.
    pub(super) cache_owner: String,
    /// What [`image::get`] has got.
    pub(super) image: Option<Image>,
    /// The run has had a sandbox before.
    pub(super) again: bool,
    /// Takes lines that tell how far it is.
    pub(super) progress: mpsc::UnboundedSender<String>,
    /// Nobody waits for it any more.
    pub(super) given_up: CancellationToken,
}

impl Provision {
    /// Makes it. Where that fails nothing of it is left, but for a container that holds all there is of
    /// a run's work.
    pub(super) async fn carry_out(
        self,
        maker: &dyn Make,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        if self.again {
            // The work of the run may be in what its last sandbox has left.
            match make::look_for_left(&self.engine, &self.spec.labels).await? {
                Some(left) => {
                    // Services and builders of walls would keep its network.
                    let others = reap::remove_others(&self.engine, &self.spec.labels, left.id());
                    others.await?;
                    match make::revive(&self.engine, &self.spec, self.how(), left).await {
                        Ok(sandbox) => return Ok(Box::new(sandbox)),
                        // Only what is mounted outlives its container.
                        Err(error) if !self.mounted => return Err(error),
                        Err(error) => {
                            tracing::debug!(%error, "what was left can't be started");
                            self.remove_all().await;
                        }
                    }
                }
                None => self.remove_all().await,
            }
        }
        let image = match self.image.clone() {
            Some(image) => image,
            None => image::of(&self.engine, &self.spec.environment).await?,
        };
        let made = maker.make(&self, &image).await;
        if made.is_err() {
            self.remove_all().await;
        }
        made
    }

    pub(super) fn how(&self) -> How<'_> {
        How {
            wanted: Wanted::of(&self.spec.environment),
            mounted: self.mounted,
            // What is made once more is for Smelt's own git, to collect the work.
            offline: self.again,
            cache_owner: &self.cache_owner,
        }
    }

    async fn remove_all(&self) {
        let labels = &self.spec.labels;
        if let Err(error) = reap::remove_all(&self.engine, &labels.owner, &labels.run).await {
            tracing::warn!(%error, "something of a sandbox is left");
        }
    }
}
