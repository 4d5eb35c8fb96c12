use super::TrackerProvider;
use smelt_core::manifest::{RepoSlug, RuntimeKind};
use smelt_core::name::SecretName;
use smelt_core::secret::SecretSource;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

/// Configuration of `smelt serve`, checked and complete.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Folder of the queue.
    pub queue_dir: PathBuf,
    /// Jobs that run at the same time.
    pub max_concurrent: NonZeroU32,
    /// Jobs of one repository that run at the same time.
    pub max_concurrent_per_repo: Option<NonZeroU32>,
    /// When and how often a job is tried again.
    pub retry: Retry,
    /// What running jobs are given when the server is stopped.
    pub shutdown_grace: Duration,
    /// For a connection to a worker.
    pub ssh_timeout: Duration,
    /// The HTTP API.
    pub listen: Listen,
    /// Who may use it.
    pub auth: Option<Auth>,
    /// Where secrets are, beyond systemd's credentials and the environment.
    pub secrets: BTreeMap<SecretName, SecretSource>,
    /// What submitters may ask for.
    pub policy: Policy,
    /// How long what has ended is kept.
    pub retention: Retention,
    /// Machines that jobs run on.
    pub workers: Vec<Worker>,
    /// Issue trackers that jobs come from.
    pub trackers: Vec<TrackerConfig>,
}

/// When and how often a job is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries after the first.
    pub attempts: u32,
    /// Before the first of them.
    pub backoff: Duration,
    /// Longest time between them.
    pub max_backoff: Duration,
    /// Also for jobs that took too long.
    pub timeouts: bool,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its address as others see it.
    pub public_url: Option<String>,
    /// Proxies whose word on a client's address counts.
    pub trusted_proxies: Vec<IpAddr>,
    /// The listener for sandboxes.
    pub callback: Option<SocketAddr>,
}

/// Who may use the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Secret with the token that may do everything.
    pub write_token: SecretName,
    /// Secret with the token that may only look.
    pub read_token: Option<SecretName>,
}

/// What submitters may ask for; `None` allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Patterns of `job.repo` and `forge.repo`.
    pub allowed_repos: Option<Vec<String>>,
    /// Secrets that `[credentials]` may name.
    pub allowed_credentials: Option<Vec<SecretName>>,
    /// Runtimes.
    pub allowed_runtimes: Option<Vec<RuntimeKind>>,
    /// Patterns of images.
    pub allowed_images: Option<Vec<String>>,
    /// Longest timeout of a job.
    pub max_timeout: Option<Duration>,
}

/// How long what has ended is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// In days.
    pub days: u32,
    /// In bytes of logs and state.
    pub max_bytes: u64,
}

/// A machine that jobs run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its name or address.
    pub host: String,
    /// User to log in as.
    pub user: String,
    /// Secret with the path of the private key.
    pub key: SecretName,
    /// Port of its SSH server.
    pub port: NonZeroU16,
    /// Jobs that run there at the same time.
    pub max_concurrent: NonZeroU32,
    /// File of known hosts.
    pub known_hosts: Option<PathBuf>,
}

/// An issue tracker that jobs come from.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    /// Where it is.
    pub source: TrackerSource,
    /// The manifest that issues become jobs by.
    pub manifest_template: PathBuf,
    /// Between two looks.
    pub poll_interval: Duration,
    /// Start of the labels' names.
    pub label_prefix: String,
    /// The gate of an issue that names none.
    pub default_harness: String,
    /// For an issue that names none.
    pub default_timeout: Duration,
    /// Who may have an issue worked on.
    pub dispatchers: Dispatchers,
    /// Jobs of one author at the same time.
    pub max_jobs_per_author: NonZeroU32,
    /// Let the pull request close the issue.
    pub close_issue: bool,
}

/// Where a tracker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerSource {
    /// The issues of a repository on a forge.
    Forge {
        /// GitHub, Forgejo or Gitea.
        provider: TrackerProvider,
        /// The repository.
        repo: RepoSlug,
        /// Its API; `None`: GitHub's public one.
        api_url: Option<String>,
        /// Secret with the token.
        token: SecretName,
    },
    /// The issues of a team of Linear's.
    Linear {
        /// The team.
        team_id: String,
        /// Secret with the key.
        api_key: SecretName,
    },
}

/// Who may have an issue worked on, by putting on its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dispatchers {
    /// Whoever has at least this permission.
    Permission(String),
    /// These people.
    Users(Vec<String>),
}
