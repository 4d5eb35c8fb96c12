//! A pod as the engine of Smelt sees it.

use super::attach::Target;
use super::events::Events;
use super::exec::{Input, Place};
use super::reap;
use crate::archive::{self, Feed, Feeds};
use async_trait::async_trait;
use smelt_core::port::{
    Command, Exit, Input as Given, Isolation, Output, Sandbox, SandboxError, SandboxPaths,
};
use std::collections::BTreeMap;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// A pod that a run's commands are run in.
pub(super) struct KubernetesSandbox {
    pub(super) target: Target,
    pub(super) uid: Option<String>,
    pub(super) events: Events,
    pub(super) env: BTreeMap<String, String>,
    pub(super) isolation: Isolation,
    pub(super) paths: SandboxPaths,
    pub(super) image: Option<String>,
    /// Folder of this machine for what is on its way in.
    pub(super) scratch: PathBuf,
}

impl KubernetesSandbox {
    pub(super) async fn run_with(
        &self,
        command: &Command,
        input: Input<'_>,
        output: &mut dyn Output,
    ) -> Result<Exit, SandboxError> {
        let place = Place { target: &self.target, events: &self.events, env: &self.env };
        place.run(command, input, output).await
    }

    /// Keeps what is fed in a file without a name until it is known how much it is.
    async fn spool(
        &self,
        feed: &mut (dyn AsyncRead + Send + Unpin),
    ) -> io::Result<(u64, tokio::fs::File)> {
        std::fs::create_dir_all(&self.scratch)?;
        let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(&self.scratch)?);
        let length = tokio::io::copy(feed, &mut file).await?;
        file.flush().await?;
        let mut file = file.into_std().await;
        file.rewind()?;
        Ok((length, tokio::fs::File::from_std(file)))
    }
}

#[async_trait]
impl Feeds for KubernetesSandbox {
    async fn run(
        &self,
        command: &Command,
        feed: Feed<'_>,
        output: &mut dyn Output,
    ) -> Result<Exit, SandboxError> {
        let Some(feed) = feed else {
            return self.run_with(command, None, output).await;
        };
        let failed = |error| SandboxError::failed("reading what goes into the sandbox", error);
        let (length, mut file) = self.spool(feed).await.map_err(failed)?;
        self.run_with(command, Some((length, &mut file)), output).await
    }
}

#[async_trait]
impl Sandbox for KubernetesSandbox {
    fn id(&self) -> &str {
        &self.target.pod
    }

    fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    fn paths(&self) -> &SandboxPaths {
        &self.paths
    }

    fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// A pod's volumes go with it.
    fn work_outlives_it(&self) -> bool {
        false
    }

    async fn exec(&self, command: Command, output: &mut dyn Output) -> Result<Exit, SandboxError> {
        match &command.input {
            Given::Closed => self.run_with(&command, None, output).await,
            Given::Bytes(bytes) => {
                let mut given: &[u8] = bytes;
                self.run_with(&command, Some((bytes.len() as u64, &mut given)), output).await
            }
        }
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
        let Target { cluster, namespace, pod } = &self.target;
        let policy = reap::delete_policy(cluster, namespace, pod);
        let pod = async {
            reap::delete_pod(cluster, namespace, pod, self.uid.as_deref()).await?;
            reap::in_time(self.events.deleted()).await
        };
        let (pod, policy) = tokio::join!(pod, policy);
        pod.and(policy)
    }
}
