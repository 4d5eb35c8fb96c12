//! A runtime with a fault in it.

use async_trait::async_trait;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Environment, RuntimeKind};
use smelt_core::port::{
    Command, Exit, Isolation, Orphan, Output, Readiness, Runtime, Sandbox, SandboxError,
    SandboxPaths, SandboxSpec, Workspace,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Making a sandbox never ends.
    ProvisionHangs,
    /// Making a sandbox panics, the sandbox being half made.
    ProvisionPanics,
    /// The runtime can't be used.
    Unavailable,
    /// The sandbox dies as soon as the agent (whose command holds `AGENT`) has ended.
    DiesAfterAgent,
    /// Bringing the work out never ends.
    BundleHangs,
}

pub struct Faulty<R> {
    pub inner: R,
    pub fault: Fault,
    /// Cancelled when the fault is met.
    pub met: CancellationToken,
    died: Arc<AtomicBool>,
    /// Sandboxes that nobody knows of; they go with the test.
    unknown: Mutex<Vec<Box<dyn Sandbox>>>,
}

impl<R> Faulty<R> {
    pub fn new(inner: R, fault: Fault) -> Self {
        let (met, died) = (CancellationToken::new(), Arc::default());
        Self { inner, fault, met, died, unknown: Mutex::default() }
    }
}

#[async_trait]
impl<R: Runtime> Runtime for Faulty<R> {
    fn kind(&self) -> RuntimeKind {
        self.inner.kind()
    }

    async fn workspace(&self, environment: &Environment) -> Workspace {
        self.inner.workspace(environment).await
    }

    async fn check(&self) -> Readiness {
        self.inner.check().await
    }

    async fn provision(
        &self,
        spec: &SandboxSpec,
        output: &mut dyn Output,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        let inner = match self.fault {
            Fault::Unavailable => {
                return Err(SandboxError::Unavailable {
                    message: "the engine does not answer".into(),
                    hint: Some("start it".into()),
                });
            }
            Fault::ProvisionHangs | Fault::ProvisionPanics => {
                let made = self.inner.provision(spec, output).await?;
                self.unknown.lock().unwrap().push(made);
                self.met.cancel();
                assert_ne!(self.fault, Fault::ProvisionPanics, "a defect in the runtime");
                std::future::pending().await
            }
            _ => self.inner.provision(spec, output).await?,
        };
        // A sandbox that is made after one has died lives.
        let alive = !self.died.load(Ordering::SeqCst);
        let fault = if alive { self.fault } else { Fault::None };
        Ok(Box::new(FaultySandbox { inner, fault, met: self.met.clone(), died: self.died.clone() }))
    }

    async fn list(&self, owner: &OwnerId) -> Result<Vec<Orphan>, SandboxError> {
        self.inner.list(owner).await
    }

    async fn reap(&self, owner: &OwnerId, run: &RunId) -> Result<(), SandboxError> {
        self.inner.reap(owner, run).await
    }
}

struct FaultySandbox {
    inner: Box<dyn Sandbox>,
    fault: Fault,
    met: CancellationToken,
    died: Arc<AtomicBool>,
}

impl FaultySandbox {
    fn is_dead(&self) -> bool {
        self.fault == Fault::DiesAfterAgent && self.died.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Sandbox for FaultySandbox {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn isolation(&self) -> &Isolation {
        self.inner.isolation()
    }

    fn paths(&self) -> &SandboxPaths {
        self.inner.paths()
    }

    async fn exec(&self, command: Command, output: &mut dyn Output) -> Result<Exit, SandboxError> {
        if self.is_dead() {
            return Err(SandboxError::Gone("killed".into()));
        }
        let holds = |text: &str| command.argv.iter().any(|word| word.contains(text));
        let (is_agent, is_bundle) = (holds("AGENT"), holds("bundle create"));
        if self.fault == Fault::BundleHangs && is_bundle {
            self.met.cancel();
            std::future::pending::<()>().await;
        }
        let exit = self.inner.exec(command, output).await?;
        if self.fault == Fault::DiesAfterAgent && is_agent {
            self.died.store(true, Ordering::SeqCst);
        }
        Ok(exit)
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
        self.inner.destroy().await
    }
}
