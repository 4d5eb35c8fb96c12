use crate::event::EventSink;
use crate::id::{OwnerId, RunId};
use crate::manifest::Manifest;
use crate::name::SecretName;
use crate::outcome::Conclusion;
use crate::secret::Secret;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// A job to be run, with everything it needs.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// The run's id.
    pub run: RunId,
    /// The state folder it belongs to.
    pub owner: OwnerId,
    /// The job.
    pub manifest: Manifest,
    /// The secrets it names.
    pub secrets: BTreeMap<SecretName, Secret>,
    /// Leave the sandbox and its files for somebody to look at.
    pub keep: bool,
    /// Deliver to the manifest's forge; else the result stays in the repository.
    pub deliver: bool,
    /// Where the result goes as a bundle when the repository is a URL.
    pub bundle: PathBuf,
    /// Folder of the pull requests of the local forge.
    pub pulls: PathBuf,
}

/// Two ways to stop a run.
#[derive(Clone, Debug, Default)]
pub struct Cancellation {
    /// Stop: end what runs, keep the work that is there, remove the sandbox.
    pub stop: CancellationToken,
    /// Stop at once: only remove the sandbox.
    pub abort: CancellationToken,
}

/// Carries a job from its manifest to its outcome.
#[async_trait]
pub trait JobRunner: Send + Sync {
    /// Runs the job. What happens goes to `events`, the last of which tells the same conclusion.
    async fn run(
        &self,
        request: JobRequest,
        events: EventSink,
        cancellation: Cancellation,
    ) -> Conclusion;
}
