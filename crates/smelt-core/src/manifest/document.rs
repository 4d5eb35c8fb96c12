//! The manifest as it is written: the keys, their types and what they mean.
//!
//! The comments here are the reference that users read (`smelt schema manifest`,
//! docs/manifest.md).

use super::services::Service;
use super::values::{Count, Cpu, PlainValue, RepoSlug, SandboxPath, Seconds, Size};
use crate::document::Located;
use crate::name::{BranchName, JobName, SecretName, SessionName, VariableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A Smelt job: what to do in which repository, in which sandbox, checked how, delivered where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Smelt job manifest")]
pub(super) struct Document {
    /// The job and its repository.
    #[schemars(required)]
    pub job: Option<Located<JobTable>>,
    /// The sandbox in which everything runs.
    pub environment: Option<Located<EnvironmentTable>>,
    /// What the agent is given to reach its model.
    pub credentials: Option<Located<CredentialsTable>>,
    /// The sessions: one agent task each, at least one.
    #[serde(default)]
    pub session: Vec<Located<SessionTable>>,
    /// How the sessions' work becomes one result.
    pub merge: Option<Located<MergeTable>>,
    /// Where the result is pushed and the pull request is opened.
    pub forge: Option<Located<ForgeTable>>,
    /// Where pods are made, for `runtime = "kubernetes"`.
    pub kubernetes: Option<Located<KubernetesTable>>,
    /// Services beside the sandbox, for `runtime = "compose"`.
    #[serde(default)]
    pub services: Vec<Located<Service>>,
    /// What runs the sessions inside the sandbox.
    pub orchestrator: Option<Located<OrchestratorTable>>,
    /// Where Assay keeps its state, handed on to its run manifest: `type = "linear"` with the keys
    /// beside it, or a table of Assay's own such as `[state_backend.linear]`; `type = "file"` is
    /// `local_fs`. `api_key_env` names the secret with its key.
    #[schemars(with = "Option<serde_json::Value>")]
    pub state_backend: Option<Located<toml::Value>>,
    /// Updates for other jobs of the same server.
    #[serde(default)]
    pub notify: Vec<Located<Notify>>,
}

/// The job and its repository.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobTable {
    /// Name of the job: letters, digits, `.`, `_`, `-`, at most 63.
    #[schemars(required)]
    pub name: Option<Located<JobName>>,
    /// The repository: a local path, or a URL (`https`, `ssh`, `git`, `file`, `user@host:path`)
    /// without a password or token.
    #[schemars(required)]
    pub repo: Option<Located<String>>,
    /// Branch, tag or commit to start from. Default: `HEAD`.
    pub base_ref: Option<Located<String>>,
    /// Commits of history to give to the sandbox. Default: all where the clone is mounted, 50 where
    /// it is streamed.
    pub depth: Option<Located<NonZeroU32>>,
    /// Seconds for the whole job. Default: the longest path of session timeouts and 300.
    pub timeout: Option<Located<Seconds>>,
    /// Which queued job goes first, from -100 to 100 (server). Default: 0.
    #[schemars(range(min = -100, max = 100))]
    pub priority: Option<Located<i64>>,
}

/// What makes sandboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// A container.
    #[default]
    Docker,
    /// A container beside services of its own.
    Compose,
    /// A pod.
    Kubernetes,
    /// A process jail on this machine (bubblewrap).
    Local,
}

impl RuntimeKind {
    /// The word for it in manifests and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Compose => "compose",
            Self::Kubernetes => "kubernetes",
            Self::Local => "local",
        }
    }
}

impl std::fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which network a sandbox sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The runtime's own; docs/runtimes.md says what it can reach.
    #[default]
    Default,
    /// None at all.
    None,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// When it is not there.
    #[default]
    Missing,
    /// Every time.
    Always,
    /// Never; a missing image is an error.
    Never,
}

/// The sandbox in which everything runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvironmentTable {
    /// What makes the sandbox. Default: `docker`.
    pub runtime: Option<Located<RuntimeKind>>,
    /// Image of the sandbox. One of `image` and `build`, but for `local`.
    pub image: Option<Located<String>>,
    /// Image to build instead, cached by content.
    pub build: Option<Located<BuildTable>>,
    /// Limits of the sandbox.
    pub resources: Option<Located<ResourcesTable>>,
    /// Plain variables for the sandbox. Not for secrets.
    #[serde(default)]
    pub env: BTreeMap<Located<VariableName>, Located<PlainValue>>,
    /// Files of the host to put into the sandbox: path inside (`~/…` is its home) to path of the
    /// host.
    #[serde(default)]
    pub files: BTreeMap<Located<SandboxPath>, Located<String>>,
    /// Paths in the sandbox that are kept between runs of the same repository.
    #[serde(default)]
    pub cache: Vec<Located<SandboxPath>>,
    /// Shell commands, run once before the sessions.
    #[serde(default)]
    pub setup: Vec<Located<String>>,
    /// Network of the sandbox. Default: `default`.
    pub network: Option<Located<Network>>,
    /// When the image is pulled. Default: `missing`.
    pub pull: Option<Located<PullPolicy>>,
    /// User inside the sandbox. Default: the invoking user's uid.
    pub user: Option<Located<String>>,
    /// Further host paths the jail may read (`local` only). Its `PATH` holds those that are called
    /// `bin`, and the folders of your own `PATH` that are one of them or lie in one.
    #[serde(default)]
    pub tools: Vec<Located<String>>,
    /// Accept to run without a jail where none can be made (`local` only). Default: false.
    pub unsandboxed: Option<Located<bool>>,
}

/// An image to build.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BuildTable {
    /// Folder that is sent to the engine. Default: `.`.
    pub context: Option<Located<String>>,
    /// The Dockerfile, relative to the context. Default: `Dockerfile`.
    pub dockerfile: Option<Located<String>>,
}

/// Limits of the sandbox; docs/runtimes.md has the defaults.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourcesTable {
    /// Cores.
    pub cpu: Option<Located<Cpu>>,
    /// Memory.
    pub memory: Option<Located<Size>>,
    /// Processes and threads at once.
    pub pids: Option<Located<Count>>,
    /// Disk space, where the runtime can limit it.
    pub disk: Option<Located<Size>>,
}

/// What the agent is given to reach its model. Secrets are named, never held.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialsTable {
    /// Provider of the model, given to the agent as `SMELT_PROVIDER`.
    pub provider: Option<Located<String>>,
    /// The model, given to the agent as `SMELT_MODEL`.
    pub model: Option<Located<String>>,
    /// Variable inside the sandbox to the name of the secret it holds.
    #[serde(default)]
    pub env: BTreeMap<Located<VariableName>, Located<SecretName>>,
    /// Path in the sandbox to the name of the secret whose text the file holds.
    #[serde(default)]
    pub files: BTreeMap<Located<SandboxPath>, Located<SecretName>>,
}

/// One agent task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionTable {
    /// Name of the session, unique in the job.
    #[schemars(required)]
    pub name: Option<Located<SessionName>>,
    /// The task. One of `spec` and `spec_file`.
    pub spec: Option<Located<String>>,
    /// File that holds the task.
    pub spec_file: Option<Located<String>>,
    /// The gate: a shell command, run in the session's worktree after the agent. Exit 0 passes.
    #[schemars(required)]
    pub harness: Option<Located<String>>,
    /// Seconds for the agent and its gate.
    #[schemars(required)]
    pub timeout: Option<Located<Seconds>>,
    /// Sessions that must have passed first; this one starts from their merged work.
    #[serde(default)]
    pub depends_on: Vec<Located<String>>,
}

/// How sessions' work is merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeStrategy {
    /// One after another.
    #[default]
    Sequential,
    /// All in one merge commit.
    Octopus,
}

impl MergeStrategy {
    /// The word for it in manifests and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Octopus => "octopus",
        }
    }
}

impl std::fmt::Display for MergeStrategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the sessions' work becomes one result.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeTable {
    /// How work is merged. Default: `sequential`.
    pub strategy: Option<Located<MergeStrategy>>,
    /// Order of merging; names every session once. Default: as defined, dependencies first.
    #[serde(default)]
    pub order: Option<Located<Vec<Located<String>>>>,
    /// The result branch. Default: `smelt/<job name>`.
    pub target: Option<Located<BranchName>>,
    /// Run every gate again on the merged tree of several sessions. Default: true.
    pub verify: Option<Located<bool>>,
    /// Give a merge conflict back to the agent once. Default: false.
    pub ai_resolution: Option<Located<bool>>,
}

/// Where pull requests live.
#[derive(Clone, Copy, Debug, PartialEq, Hash, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForgeProvider {
    /// GitHub, also Enterprise Server.
    Github,
    /// Forgejo.
    Forgejo,
    /// Gitea.
    Gitea,
    /// A pull request as files under `.smelt/pulls/`.
    Local,
}

impl ForgeProvider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Github, Self::Forgejo, Self::Gitea, Self::Local];

    /// The word for it in manifests and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Forgejo => "forgejo",
            Self::Gitea => "gitea",
            Self::Local => "local",
        }
    }
}

impl std::fmt::Display for ForgeProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of work whose gates failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnGatesFailed {
    /// No pull request.
    #[default]
    None,
    /// The passing sessions' work as a draft.
    Draft,
}

/// Where the result is pushed and the pull request is opened.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgeTable {
    /// What kind of forge it is.
    #[schemars(required)]
    pub provider: Option<Located<ForgeProvider>>,
    /// `owner/name` of the repository there.
    pub repo: Option<Located<RepoSlug>>,
    /// Name of the secret with the token.
    pub token_env: Option<Located<SecretName>>,
    /// Branch the pull request goes to. Default: the base branch, or the forge's default branch.
    pub base: Option<Located<BranchName>>,
    /// The forge's API: `https://HOST/api/v3` (Enterprise Server) or `https://HOST/api/v1`
    /// (Forgejo, Gitea). Default for `github`: its public one.
    pub api_url: Option<Located<String>>,
    /// Where to push. Default: `/owner/name.git` on the same host.
    pub git_url: Option<Located<String>>,
    /// Open the pull request as a draft. Default: false.
    pub draft: Option<Located<bool>>,
    /// Labels of the pull request; those that do not exist are made.
    #[serde(default)]
    pub labels: Vec<Located<String>>,
    /// Reviewers to ask, by login name; `org/team` for a team.
    #[serde(default)]
    pub reviewers: Vec<Located<String>>,
    /// People to assign, by login name.
    #[serde(default)]
    pub assignees: Vec<Located<String>>,
    /// Template of the title, such as `{{ job.name }}`; docs/delivery.md lists the names. Default: the
    /// task's first line.
    pub title: Option<Located<String>>,
    /// Template of the body. Default: everything that a reviewer needs, `{{ default_body }}`.
    pub body: Option<Located<String>>,
    /// What becomes of work whose gates failed. Default: `none`.
    pub on_gates_failed: Option<Located<OnGatesFailed>>,
}

/// Where pods are made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KubernetesTable {
    /// Namespace of the pods.
    #[schemars(required)]
    pub namespace: Option<Located<String>>,
    /// Context of the kubeconfig. Default: its current one.
    pub context: Option<Located<String>>,
    /// Cores to reserve. Default: `resources.cpu`.
    pub cpu_request: Option<Located<Cpu>>,
    /// Memory to reserve. Default: `resources.memory`.
    pub memory_request: Option<Located<Size>>,
    /// Cores at most. Default: `resources.cpu`.
    pub cpu_limit: Option<Located<Cpu>>,
    /// Memory at most. Default: `resources.memory`.
    pub memory_limit: Option<Located<Size>>,
    /// Service account of the pods; its token is not mounted.
    pub service_account: Option<Located<String>>,
    /// Labels that a node must have.
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    /// Secrets of the namespace with registry logins.
    #[serde(default)]
    pub image_pull_secrets: Vec<Located<String>>,
    /// Accepted, and not needed: no key has to enter the pod.
    pub ssh_key_env: Option<Located<SecretName>>,
}

/// What runs the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrchestratorKind {
    /// Assay, in the sandbox.
    #[default]
    Assay,
    /// Smelt itself.
    Direct,
}

impl OrchestratorKind {
    /// The word for it in manifests and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assay => "assay",
            Self::Direct => "direct",
        }
    }
}

impl std::fmt::Display for OrchestratorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Agents that Smelt knows how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// Claude Code.
    Claude,
    /// Codex CLI.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// opencode.
    Opencode,
    /// aider.
    Aider,
}

impl AgentKind {
    /// The word for it in manifests and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Aider => "aider",
        }
    }
}

impl std::fmt::Display for AgentKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How Assay is given the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssaySessions {
    /// One `assay run` per session.
    #[default]
    Separate,
    /// One `assay run` for all.
    Together,
}

/// A command: a string goes to `sh -c`, an array is run as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AgentCommand {
    /// A shell command.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

/// What runs the sessions inside the sandbox.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrchestratorTable {
    /// Which one. Default: `assay`.
    pub kind: Option<Located<OrchestratorKind>>,
    /// `direct`: the agent to start.
    pub agent: Option<Located<AgentKind>>,
    /// `assay`: one `assay run` per session, or one for all. Default: `separate`.
    pub sessions: Option<Located<AssaySessions>>,
    /// `direct`: own command instead of `agent`; a string goes to `sh -c`, an array is run as it is.
    /// The task arrives on stdin and in the file `$SMELT_SPEC_FILE`.
    pub command: Option<Located<AgentCommand>>,
}

/// An update for another job of the same server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Name of the job to tell.
    pub target_job: JobName,
    /// Tell it whenever a session completes. Default: true.
    #[serde(default = "yes")]
    pub on_session_complete: bool,
}

fn yes() -> bool {
    true
}
