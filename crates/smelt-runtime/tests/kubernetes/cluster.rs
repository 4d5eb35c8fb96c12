//! A runtime in front of a scripted cluster.

use crate::contract::Subject;
use async_trait::async_trait;
use smelt_core::event::OutputStream;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Environment, RuntimeKind};
use smelt_core::port::{
    Discard, Orphan, Output, Readiness, Runtime, Sandbox, SandboxError, SandboxSpec, Workspace,
};
use smelt_runtime::kubernetes::{KubernetesConfig, KubernetesRuntime};
use smelt_testing_kubernetes::{Protocol, ScriptedCluster};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// A runtime, with its cluster.
struct Held {
    /// It lives for as long as it is needed.
    _cluster: Arc<ScriptedCluster>,
    runtime: KubernetesRuntime,
}

/// How a runtime finds `cluster`.
pub fn config(cluster: &ScriptedCluster) -> KubernetesConfig {
    let kubeconfig = vec![cluster.kubeconfig().to_owned()];
    // Longer than it takes to look again after a watch has failed.
    let patience = Duration::from_secs(4);
    KubernetesConfig { kubeconfig, patience, ..KubernetesConfig::default() }
}

/// A runtime for `config`.
pub fn runtime(config: KubernetesConfig) -> KubernetesRuntime {
    let _ = rustls::crypto::ring::default_provider().install_default();
    KubernetesRuntime::new(config)
}

/// A cluster, and what is put to the test with it.
pub fn scripted() -> (Arc<ScriptedCluster>, Subject) {
    with(ScriptedCluster::start())
}

/// The same with a cluster that knows only one protocol.
pub fn speaking(protocol: Protocol) -> Subject {
    with(ScriptedCluster::speaking(protocol)).1
}

fn with(cluster: ScriptedCluster) -> (Arc<ScriptedCluster>, Subject) {
    let cluster = Arc::new(cluster);
    let runtime = runtime(config(&cluster));
    let held = Held { _cluster: Arc::clone(&cluster), runtime };
    let subject = Subject {
        runtime: Box::new(held),
        environment: "image = \"agent:1\"",
        folder: tempfile::tempdir().unwrap(),
        owner: OwnerId::random(),
    };
    (cluster, subject)
}

/// Name of the pod for `spec`.
pub fn name(spec: &SandboxSpec) -> String {
    format!("smelt-{}", spec.labels.run)
}

/// Why `spec` is refused, and what would help; nothing of it is left.
pub async fn refused(
    cluster: &ScriptedCluster,
    subject: &Subject,
    spec: &SandboxSpec,
) -> (String, Option<String>) {
    let refused = subject.runtime.provision(spec, &mut Discard).await.err().unwrap();
    assert_eq!((cluster.pods(), cluster.network_policies()), (vec![], vec![]), "{refused}");
    match refused {
        SandboxError::Unavailable { message, hint } => (message, hint),
        SandboxError::Failed { what, source } => (format!("{what}: {source}"), None),
        other => (other.to_string(), None),
    }
}

/// Keeps what is told, as text.
#[derive(Default)]
pub struct Told(pub String);

#[async_trait]
impl Output for Told {
    async fn write(&mut self, _: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        self.0.push_str(&String::from_utf8_lossy(bytes));
        ControlFlow::Continue(())
    }
}

#[async_trait]
impl Runtime for Held {
    fn kind(&self) -> RuntimeKind {
        self.runtime.kind()
    }

    async fn workspace(&self, environment: &Environment) -> Workspace {
        self.runtime.workspace(environment).await
    }

    async fn check(&self) -> Readiness {
        self.runtime.check().await
    }

    async fn provision(
        &self,
        spec: &SandboxSpec,
        output: &mut dyn Output,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        self.runtime.provision(spec, output).await
    }

    async fn list(&self, owner: &OwnerId) -> Result<Vec<Orphan>, SandboxError> {
        self.runtime.list(owner).await
    }

    async fn reap(&self, owner: &OwnerId, run: &RunId) -> Result<(), SandboxError> {
        self.runtime.reap(owner, run).await
    }

    async fn shell(
        &self,
        owner: &OwnerId,
        run: &RunId,
        shell: smelt_core::port::Shell<'_>,
    ) -> Result<i64, SandboxError> {
        self.runtime.shell(owner, run, shell).await
    }
}
