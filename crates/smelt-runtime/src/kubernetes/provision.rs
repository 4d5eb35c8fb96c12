//! One pod from its spec to the moment it runs, whoever still waits for it: what the cluster is asked for
//! it makes, and only what is made can be removed.

use super::attach::Target;
use super::config::Cluster;
use super::error::{Ask, answered, explain, status, unavailable};
use super::events::Events;
use super::labels::{are_of, name_of};
use super::pod::{HOME, ROOT};
use super::reap::{self, POLICIES};
use super::sandbox::KubernetesSandbox;
use super::user::User;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::{ListParams, PostParams};
use smelt_core::manifest::Network;
use smelt_core::port::{Command, Discard, Isolation, SandboxError, SandboxPaths, SandboxSpec};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Makes the folders that a workspace is streamed into, and shows that commands can be run at all.
const SETTLE: &str = r#"mkdir -p -- "$@""#;

/// A pod to be made.
pub(super) struct Provision {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    pub(super) spec: SandboxSpec,
    pub(super) user: User,
    pub(super) pod: Pod,
    pub(super) policy: NetworkPolicy,
    /// How long it may wait for a node.
    pub(super) patience: Duration,
    /// Hears what takes its time.
    pub(super) lines: mpsc::Sender<String>,
    /// Nobody waits for it any more.
    pub(super) given_up: CancellationToken,
    /// What is this attempt's own, and not of an earlier one whose pod holds the run's work.
    pub(super) asked: Asked,
}

/// What the cluster has been asked for. It may have made it also where it did not answer.
#[derive(Debug, Default)]
pub(super) struct Asked {
    policy: AtomicBool,
    pod: AtomicBool,
}

impl Provision {
    /// Makes it. Where that fails, or nobody waits for it, nothing of it is left.
    pub(super) async fn carry_out(self) -> Result<KubernetesSandbox, SandboxError> {
        let made = tokio::select! {
            made = self.make() => made,
            () = self.given_up.cancelled() => Err(SandboxError::Gone("nobody waits for it".into())),
        };
        if made.is_err() {
            self.remove().await;
        }
        made
    }

    async fn make(&self) -> Result<KubernetesSandbox, SandboxError> {
        let gap = self.make_policy().await?;
        let made = self.make_pod().await?;
        let (name, uid) = (name_of(&self.spec.labels.run), made.metadata.uid);
        let events = Events::watch(&self.cluster, &self.namespace, &name, uid.clone());
        let image =
            super::start::wait(&events, &self.namespace, self.patience, &self.lines).await?;
        let sandbox = KubernetesSandbox {
            target: Target {
                cluster: self.cluster.clone(),
                namespace: self.namespace.clone(),
                pod: name,
            },
            uid,
            events,
            env: self.environment(),
            isolation: self.isolation(gap),
            paths: SandboxPaths { root: ROOT.into(), home: HOME.into() },
            image,
            scratch: self.spec.scratch.clone(),
        };
        self.settle(&sandbox).await?;
        Ok(sandbox)
    }

    async fn settle(&self, sandbox: &KubernetesSandbox) -> Result<(), SandboxError> {
        let folders = SandboxPaths::FOLDERS.map(|folder| format!("{ROOT}/{folder}"));
        let command = Command::shell(SETTLE, folders.iter().map(String::as_str), "/");
        let exit = sandbox.run_with(&command, None, &mut Discard).await?;
        match exit.success() {
            true => Ok(()),
            false => Err(SandboxError::failed("making the sandbox's folders", exit.to_string())),
        }
    }

    /// Makes the policy, before there is a pod that it would be too late for. Returns what is missing
    /// without it, where none may be made.
    async fn make_policy(&self) -> Result<Option<String>, SandboxError> {
        let policies: Api<NetworkPolicy> =
            Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let failed = |error| {
            let ask = Ask::of("create", POLICIES, &self.namespace);
            explain("making the network policy", ask, error)
        };
        self.asked.policy.store(true, Relaxed);
        let mut made = answered(policies.create(&PostParams::default(), &self.policy)).await;
        if is_taken(&made) {
            if self.has_policy(&policies).await {
                self.asked.policy.store(false, Relaxed);
                return Ok(None);
            }
            made = answered(policies.create(&PostParams::default(), &self.policy)).await;
        }
        match made {
            Ok(_) => Ok(None),
            made if is_taken(&made) => {
                self.asked.policy.store(false, Relaxed);
                Err(self.foreign("network policy"))
            }
            Err(error)
                if status(&error) == Some(403)
                    && self.spec.environment.network == Network::Default =>
            {
                let why = failed(error);
                Ok(Some(format!("what the sandbox can reach is not limited: {why}")))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether the policy that is there is this run's.
    async fn has_policy(&self, policies: &Api<NetworkPolicy>) -> bool {
        let labels = &self.spec.labels;
        let selector = super::labels::selector(&labels.owner, Some(&labels.run));
        let listed = answered(policies.list(&ListParams::default().labels(&selector))).await;
        listed.is_ok_and(|listed| !listed.items.is_empty())
    }

    /// Makes the pod. One of the same run that still runs holds its work, and is taken as it is.
    async fn make_pod(&self) -> Result<Pod, SandboxError> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let failed =
            |verb, error| explain("making the pod", Ask::of(verb, "pods", &self.namespace), error);
        self.asked.pod.store(true, Relaxed);
        let made = answered(pods.create(&PostParams::default(), &self.pod)).await;
        if !is_taken(&made) {
            return made.map_err(|error| failed("create", error));
        }
        self.asked.pod.store(false, Relaxed);
        let name = name_of(&self.spec.labels.run);
        let there = answered(pods.get_opt(&name)).await.map_err(|error| failed("get", error))?;
        if let Some(pod) = there {
            if !are_of(pod.metadata.labels.as_ref(), &self.spec.labels) {
                return Err(self.foreign("pod"));
            }
            let runs = super::state::of(&pod).running;
            if runs && pod.metadata.deletion_timestamp.is_none() {
                return Ok(pod);
            }
            let uid = pod.metadata.uid;
            let events = Events::watch(&self.cluster, &self.namespace, &name, uid.clone());
            reap::delete_pod(&self.cluster, &self.namespace, &name, uid.as_deref()).await?;
            reap::in_time(events.deleted()).await?;
        }
        self.asked.pod.store(true, Relaxed);
        let again = answered(pods.create(&PostParams::default(), &self.pod)).await;
        again.map_err(|error| failed("create", error))
    }

    fn foreign(&self, what: &str) -> SandboxError {
        let name = name_of(&self.spec.labels.run);
        let namespace = &self.namespace;
        SandboxError::failed(
            format!("making the {what}"),
            format!("there is one called {name} in namespace {namespace} that is not this run's"),
        )
    }

    async fn remove(&self) {
        let name = name_of(&self.spec.labels.run);
        let policy = async {
            match self.asked.policy.load(Relaxed) {
                true => reap::delete_policy(&self.cluster, &self.namespace, &name).await,
                false => Ok(()),
            }
        };
        let pod = async {
            if !self.asked.pod.load(Relaxed) {
                return Ok(());
            }
            let events = Events::watch(&self.cluster, &self.namespace, &name, None);
            reap::delete_pod(&self.cluster, &self.namespace, &name, None).await?;
            reap::in_time(events.deleted()).await
        };
        let (pod, policy) = tokio::join!(pod, policy);
        if let Err(error) = pod.and(policy) {
            tracing::warn!(%error, "something of a sandbox is left");
        }
    }

    fn isolation(&self, gap: Option<String>) -> Isolation {
        let environment = &self.spec.environment;
        let mut gaps = vec![match gap {
            Some(gap) => gap,
            None => "only a cluster whose network plugin enforces network policies keeps to the \
                     sandbox's: this can't be seen from here"
                .to_owned(),
        }];
        gaps.push(format!(
            "the number of processes is not limited to {}: a cluster limits it on its nodes alone",
            environment.resources.pids
        ));
        if self.spec.cache.is_some() {
            gaps.push(
                "nothing is kept between runs (`environment.cache`): pods share no files".into(),
            );
        }
        let network = match environment.network {
            Network::None => "no network",
            Network::Default => "no network inside the cluster",
        };
        let summary = format!("a pod: no capabilities, {network}, user {}", self.user.spec());
        Isolation { summary, gaps, unsandboxed: false }
    }

    /// Variables of every command. None of them is the pod's own: who may look at pods sees none.
    fn environment(&self) -> BTreeMap<String, String> {
        let mut env: BTreeMap<String, String> = [
            ("HOME", HOME),
            ("TMPDIR", "/tmp"),
            ("USER", "smelt"),
            ("LOGNAME", "smelt"),
            ("SHELL", "/bin/sh"),
            ("LANG", "C.UTF-8"),
            ("TERM", "dumb"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let given = self.spec.environment.env.iter();
        env.extend(given.map(|(name, value)| (name.to_string(), value.clone())));
        env
    }
}

/// Its name is taken, or a quota was counted anew meanwhile.
fn is_taken<T>(made: &Result<T, kube::Error>) -> bool {
    made.as_ref().err().and_then(status) == Some(409)
}

/// Why a pod did not start.
pub(super) fn not_started(why: &str, hint: &str) -> SandboxError {
    unavailable(format!("the pod could not be started: {why}"), hint)
}
