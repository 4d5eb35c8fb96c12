//! A cluster behind the port of runtimes.

use super::attach::Target;
use super::config::KubernetesConfig;
use super::places::Places;
use super::policy::policy;
use super::provision::{Asked, Provision};
use super::reap::{self, Kind};
use super::user::User;
use super::{blueprint, check, pod, shell};
use async_trait::async_trait;
use smelt_core::event::OutputStream;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Environment, RuntimeKind};
use smelt_core::port::{
    Blueprint, Orphan, Output, Readiness, Runtime, Sandbox, SandboxError, SandboxSpec, Shell,
    Workspace,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_util::sync::CancellationToken;

/// Lines that may wait to be told.
const LINES: usize = 16;

/// Makes pods in the clusters of a kubeconfig.
///
/// Whoever uses it installs a crypto provider for rustls first.
pub struct KubernetesRuntime {
    config: KubernetesConfig,
    /// Where runs have had pods.
    places: Places,
    /// Held for as long as a pod of a run is made or removed.
    lives: Mutex<BTreeMap<RunId, Arc<AsyncMutex<()>>>>,
}

impl KubernetesRuntime {
    /// A runtime for the clusters that `config` leads to; nothing is asked of them yet.
    pub fn new(config: KubernetesConfig) -> Self {
        let places = Places::new(&config.places);
        Self { config, places, lives: Mutex::default() }
    }

    fn life(&self, run: &RunId) -> Arc<AsyncMutex<()>> {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.entry(run.clone()).or_default().clone()
    }
}

#[async_trait]
impl Runtime for KubernetesRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Kubernetes
    }

    async fn workspace(&self, _: &Environment) -> Workspace {
        Workspace::Streamed
    }

    async fn check(&self) -> Readiness {
        check::readiness(&self.config).await
    }

    fn blueprint(&self, spec: &SandboxSpec) -> Option<Blueprint> {
        let user = User::of(&spec.environment).ok()?;
        let text = blueprint::text(&pod::pod(spec, user).ok()?, &policy(spec));
        Some(Blueprint { title: "pod", text })
    }

    async fn provision(
        &self,
        spec: &SandboxSpec,
        output: &mut dyn Output,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        let user = User::of(&spec.environment)?;
        let pod = pod::pod(spec, user)?;
        let wishes = spec.kubernetes.as_ref();
        let context = wishes.and_then(|wishes| wishes.context.as_deref());
        let cluster = self.config.connect(context).await?;
        let namespace = wishes.map_or(&cluster.namespace, |wishes| &wishes.namespace).clone();
        self.places.remember(context, &namespace);
        let life = self.life(&spec.labels.run).lock_owned().await;
        let (lines, mut told) = mpsc::channel(LINES);
        let given_up = CancellationToken::new();
        let _nobody_waits = given_up.clone().drop_guard();
        let provision = Provision {
            cluster,
            namespace,
            spec: spec.clone(),
            user,
            pod,
            policy: policy(spec),
            patience: self.config.patience,
            lines,
            given_up,
            asked: Asked::default(),
        };
        let made = tokio::spawn(async move {
            let made = provision.carry_out().await;
            drop(life);
            made
        });
        // It ends when the pod is made, or is not.
        while let Some(line) = told.recv().await {
            let _ = output.write(OutputStream::Stdout, format!("{line}\n").as_bytes()).await;
        }
        let failed = |error| SandboxError::failed("making the sandbox", error);
        Ok(Box::new(made.await.map_err(failed)??))
    }

    async fn list(&self, owner: &OwnerId) -> Result<Vec<Orphan>, SandboxError> {
        let searches = self.places.search(&self.config, owner, None).await?;
        let found: Vec<_> = searches.into_iter().flat_map(|search| search.found).collect();
        Ok(reap::by_run(&found))
    }

    async fn reap(&self, owner: &OwnerId, run: &RunId) -> Result<(), SandboxError> {
        let not_meanwhile = self.life(run).lock_owned().await;
        for search in self.places.search(&self.config, owner, Some(run)).await? {
            let removals = search.found.iter().map(|found| reap::remove(&search.cluster, found));
            for removed in futures::future::join_all(removals).await {
                removed?;
            }
        }
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
        for search in self.places.search(&self.config, owner, Some(run)).await? {
            let mut pods = search.found.iter().filter(|found| found.kind == Kind::Pod);
            if let Some(pod) = pods.find(|pod| pod.running) {
                let (namespace, pod) = (pod.namespace.clone(), pod.name.clone());
                let target = Target { cluster: search.cluster.clone(), namespace, pod };
                return shell::open(&target, shell).await;
            }
        }
        Err(SandboxError::Gone("the run has no pod now".into()))
    }
}
