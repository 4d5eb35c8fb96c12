//! A manifest that has been checked: what the rest of Smelt works with.

pub use super::document::{
    AgentCommand, AgentKind, AssaySessions, ForgeProvider, MergeStrategy, Network, Notify,
    OnGatesFailed, OrchestratorKind, PullPolicy, RuntimeKind,
};
use super::repo::RepoLocation;
use super::services::Service;
use super::values::{Cpu, RepoSlug, SandboxPath, Size};
use crate::name::{BranchName, JobName, SecretName, SessionName, VariableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// A job, checked and complete: defaults filled in, paths absolute, tasks read.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The job and its repository.
    pub job: Job,
    /// The sandbox.
    pub environment: Environment,
    /// What the agent is given to reach its model.
    pub credentials: Credentials,
    /// The sessions, each after those it depends on; at least one.
    pub sessions: Vec<Session>,
    /// How their work becomes one result.
    pub merge: Merge,
    /// Where the result is delivered to.
    pub forge: Option<Forge>,
    /// Where pods are made.
    pub kubernetes: Option<Kubernetes>,
    /// Services beside the sandbox.
    pub services: Vec<Service>,
    /// What runs the sessions.
    pub orchestrator: Orchestrator,
    /// Handed on to Assay.
    pub state_backend: Option<StateBackend>,
    /// Updates for other jobs.
    pub notify: Vec<Notify>,
}

/// The job and its repository.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub name: JobName,
    /// Where its repository is.
    pub repo: RepoLocation,
    /// Branch, tag or commit to start from.
    pub base_ref: String,
    /// Commits of history to give to the sandbox; `None`: the runtime's default.
    pub depth: Option<NonZeroU32>,
    /// Longest time for the whole job.
    pub timeout: Duration,
    /// From -100 to 100.
    pub priority: i8,
}

/// The sandbox.
#[derive(Clone, Debug)]
pub struct Environment {
    /// What makes it.
    pub runtime: RuntimeKind,
    /// Its image; `None` for `local`.
    pub image: Option<ImageSource>,
    /// Its limits.
    pub resources: Resources,
    /// Plain variables.
    pub env: BTreeMap<VariableName, String>,
    /// Path inside to file of the host.
    pub files: BTreeMap<SandboxPath, PathBuf>,
    /// Paths kept between runs of the same repository.
    pub cache: Vec<SandboxPath>,
    /// Shell commands, run once before the sessions.
    pub setup: Vec<String>,
    /// Its network.
    pub network: Network,
    /// When its image is pulled.
    pub pull: PullPolicy,
    /// User inside; `None`: the invoking user's uid.
    pub user: Option<String>,
    /// `local`: further host paths the jail may read.
    pub tools: Vec<PathBuf>,
    /// `local`: run without a jail where none can be made.
    pub unsandboxed: bool,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// An image by its name.
    Image(String),
    /// One that is built first.
    Build {
        /// Folder that is sent to the engine.
        context: PathBuf,
        /// The Dockerfile, relative to the context.
        dockerfile: PathBuf,
    },
}

/// Limits of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Resources {
    /// Cores.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Size,
    /// Processes and threads at once.
    pub pids: NonZeroU32,
    /// Disk space; `None`: what the host has.
    pub disk: Option<Size>,
}

impl Default for Resources {
    /// Room for a compiler and its tests, and a wall in front of a runaway.
    fn default() -> Self {
        Self {
            cpu: Cpu::cores(NonZeroU32::new(4).expect("4 is not zero")),
            memory: Size::of(std::num::NonZeroU64::new(8_000_000_000).expect("not zero")),
            pids: NonZeroU32::new(1024).expect("1024 is not zero"),
            disk: None,
        }
    }
}

/// What the agent is given to reach its model.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Provider of the model.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Variable to secret.
    pub env: BTreeMap<VariableName, SecretName>,
    /// Path inside to secret.
    pub files: BTreeMap<SandboxPath, SecretName>,
}

/// One agent task.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its name.
    pub name: SessionName,
    /// The task.
    pub spec: String,
    /// The gate, a shell command.
    pub harness: String,
    /// Longest time for the agent and its gate.
    pub timeout: Duration,
    /// Sessions that must have passed first.
    pub depends_on: Vec<SessionName>,
}

/// How the sessions' work becomes one result.
#[derive(Clone, Debug)]
pub struct Merge {
    /// One after another, or all at once.
    pub strategy: MergeStrategy,
    /// Order of merging: every session once, dependencies first.
    pub order: Vec<SessionName>,
    /// The result branch asked for; see [`crate::git::refs`] for the one that is written.
    pub target: BranchName,
    /// Run the gates again on the merged tree.
    pub verify: bool,
    /// Give a conflict back to the agent once.
    pub ai_resolution: bool,
}

/// Where the result is delivered to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forge {
    /// The forge and the repository there.
    pub target: ForgeTarget,
    /// Branch the pull request goes to.
    pub base: Option<BranchName>,
    /// Open it as a draft.
    pub draft: bool,
    /// Its labels.
    pub labels: Vec<String>,
    /// Reviewers to ask.
    pub reviewers: Vec<String>,
    /// People to assign.
    pub assignees: Vec<String>,
    /// Template of the title.
    pub title: Option<String>,
    /// Template of the body.
    pub body: Option<String>,
    /// What becomes of work whose gates failed.
    pub on_gates_failed: OnGatesFailed,
}

/// A forge and the repository there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgeTarget {
    /// Files under `.smelt/pulls/`.
    Local,
    /// A server.
    Hosted {
        /// GitHub, Forgejo or Gitea.
        provider: ForgeProvider,
        /// `owner/name`.
        repo: RepoSlug,
        /// Name of the secret with the token.
        token: SecretName,
        /// Its API; `None`: GitHub's public one.
        api_url: Option<String>,
        /// Where to push; `None`: derived from the API's host.
        git_url: Option<String>,
    },
}

impl ForgeTarget {
    /// Name of the secret with the token; none where none is needed.
    pub fn token(&self) -> Option<&SecretName> {
        match self {
            Self::Hosted { token, .. } => Some(token),
            Self::Local => None,
        }
    }

    /// Which kind of forge it is.
    pub fn provider(&self) -> ForgeProvider {
        match self {
            Self::Local => ForgeProvider::Local,
            Self::Hosted { provider, .. } => *provider,
        }
    }
}

/// Where pods are made.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    /// Namespace of the pods.
    pub namespace: String,
    /// Context of the kubeconfig.
    pub context: Option<String>,
    /// Cores to reserve.
    pub cpu_request: Option<Cpu>,
    /// Memory to reserve.
    pub memory_request: Option<Size>,
    /// Cores at most.
    pub cpu_limit: Option<Cpu>,
    /// Memory at most.
    pub memory_limit: Option<Size>,
    /// Service account of the pods.
    pub service_account: Option<String>,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Secrets of the namespace with registry logins.
    pub image_pull_secrets: Vec<String>,
    /// Accepted, not needed.
    pub ssh_key_env: Option<SecretName>,
}

/// Where in which cluster runs have their pods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ClusterPlace {
    /// Context of the kubeconfig; none: its current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Namespace.
    pub namespace: String,
}

impl Manifest {
    /// How its pod is to be made, where it is to be one.
    pub fn pod(&self) -> Option<&Kubernetes> {
        let is_pod = self.environment.runtime == RuntimeKind::Kubernetes;
        self.kubernetes.as_ref().filter(|_| is_pod)
    }
}

impl Kubernetes {
    /// Where its pods are made.
    pub fn place(&self) -> ClusterPlace {
        ClusterPlace { context: self.context.clone(), namespace: self.namespace.clone() }
    }
}

/// What runs the sessions inside the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orchestrator {
    /// Assay.
    Assay(AssaySessions),
    /// Smelt itself, starting this agent.
    Direct(Agent),
}

impl Orchestrator {
    /// Which one it is.
    pub fn kind(&self) -> OrchestratorKind {
        match self {
            Self::Assay(_) => OrchestratorKind::Assay,
            Self::Direct(_) => OrchestratorKind::Direct,
        }
    }
}

/// Where Assay keeps its state.
#[derive(Clone, Debug, PartialEq)]
pub struct StateBackend {
    /// As Assay's run manifest holds it: the string `local_fs`, or a table of one variant.
    pub config: toml::Value,
    /// Its key.
    pub key: Option<StateKey>,
}

/// The key of a state backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateKey {
    /// The variable in which Assay looks for it.
    pub variable: VariableName,
    /// The secret that it is.
    pub secret: SecretName,
}

/// What works on a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// An agent that Smelt knows how to start.
    Preset(AgentKind),
    /// The job's own command.
    Command(AgentCommand),
}

impl Manifest {
    /// The session called `name`.
    pub fn session(&self, name: &SessionName) -> Option<&Session> {
        self.sessions.iter().find(|session| session.name == *name)
    }

    /// Secrets that must be there before the job can start: the agent's, the state backend's, and
    /// the forge's unless `delivers` is false.
    pub fn needed_secrets(&self, delivers: bool) -> Vec<&SecretName> {
        let agent = self.credentials.env.values().chain(self.credentials.files.values());
        let state = self.state_backend.iter().filter_map(|backend| backend.key.as_ref());
        let forge = self.forge.as_ref().filter(|_| delivers);
        let forge = forge.and_then(|forge| forge.target.token());
        let mut names: Vec<_> = agent.chain(state.map(|key| &key.secret)).chain(forge).collect();
        names.sort();
        names.dedup();
        names
    }
}
