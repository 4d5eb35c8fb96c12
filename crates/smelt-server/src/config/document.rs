//! The configuration as it is written: the keys, their types and what they mean.
//!
//! The comments here are the reference that operators read (`smelt schema server`).

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use smelt_core::document::Located;
use smelt_core::manifest::{RepoSlug, RuntimeKind, Seconds};
use smelt_core::name::SecretName;
use smelt_core::secret::SecretSource;
use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

/// Configuration of `smelt serve`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Smelt server configuration")]
pub(super) struct Document {
    /// Folder of the queue. Jobs are dropped here as `*.toml`.
    #[schemars(required)]
    pub queue_dir: Option<Located<String>>,
    /// Jobs that run at the same time. Default: 2.
    pub max_concurrent: Option<Located<NonZeroU32>>,
    /// Jobs of one repository that run at the same time; 0: no limit. Default: 0.
    pub max_concurrent_per_repo: Option<Located<u32>>,
    /// Retries after the first try. Default: 3.
    pub retry_attempts: Option<Located<u32>>,
    /// Seconds before the first retry; doubles from then on, with jitter. Default: 5.
    pub retry_backoff_secs: Option<Located<Seconds>>,
    /// Longest seconds between retries. Default: 300.
    pub max_backoff_secs: Option<Located<Seconds>>,
    /// Retry jobs that took too long. Default: false.
    pub retry_timeouts: Option<Located<bool>>,
    /// Seconds that running jobs are given when the server is stopped. Default: 30.
    pub shutdown_grace_secs: Option<Located<u32>>,
    /// Seconds for a connection to a worker. Default: 3.
    pub ssh_timeout_secs: Option<Located<Seconds>>,
    /// The HTTP API.
    pub server: Option<Located<ServerTable>>,
    /// Who may use it; names of secrets, never tokens.
    pub auth: Option<Located<AuthTable>>,
    /// Where secrets are: name to `{ file = "…" }` or `{ command = ["…"] }`.
    #[serde(default)]
    pub secrets: BTreeMap<Located<SecretName>, SecretSource>,
    /// What submitters may ask for.
    pub policy: Option<Located<PolicyTable>>,
    /// How long what has ended is kept.
    pub retention: Option<Located<RetentionTable>>,
    /// Machines that jobs run on; with any, nothing runs on the server's own.
    #[serde(default)]
    pub workers: Vec<Located<WorkerTable>>,
    /// Issue trackers that jobs come from: one, or a list.
    pub tracker: Option<Trackers>,
}

/// One issue tracker, or several.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the variants are what the schema is made of")]
enum OneOrSeveral {
    Several(Vec<TrackerTable>),
    One(Box<TrackerTable>),
}

/// The trackers, however they were written.
#[derive(Debug, JsonSchema)]
#[schemars(with = "OneOrSeveral")]
pub(super) struct Trackers(pub(super) Vec<TrackerTable>);

/// By hand, because an untagged enum says nothing of where and why it can't be read.
impl<'de> Deserialize<'de> for Trackers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Trackers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table, or a list of tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Trackers, A::Error> {
                let table = TrackerTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Trackers(vec![table]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Trackers, A::Error> {
                let mut tables = Vec::new();
                while let Some(table) = list.next_element()? {
                    tables.push(table);
                }
                Ok(Trackers(tables))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// The HTTP API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerTable {
    /// Address to listen on. Default: `127.0.0.1`.
    pub host: Option<Located<String>>,
    /// Port to listen on. Default: 8765.
    pub port: Option<Located<NonZeroU16>>,
    /// Listen on another address than loopback without `[auth]`. Default: false.
    pub allow_unauthenticated: Option<Located<bool>>,
    /// The server's address as others see it, behind a proxy.
    pub public_url: Option<Located<String>>,
    /// Proxies whose word on a client's address counts.
    #[serde(default)]
    pub trusted_proxies: Vec<Located<String>>,
    /// A second listener, `host:port`, for sandboxes: only job-token routes.
    pub callback: Option<Located<String>>,
}

/// Who may use the API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthTable {
    /// Name of the secret with the token that may do everything.
    #[schemars(required)]
    pub write_token_env: Option<Located<SecretName>>,
    /// Name of the secret with the token that may only look.
    pub read_token_env: Option<Located<SecretName>>,
}

/// What submitters may ask for. A list that is missing allows everything.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyTable {
    /// Patterns of `job.repo` and `forge.repo`.
    pub allowed_repos: Option<Vec<String>>,
    /// Secrets that `[credentials]` may name.
    pub allowed_credential_env: Option<Vec<Located<SecretName>>>,
    /// Runtimes.
    pub allowed_runtimes: Option<Vec<Located<RuntimeKind>>>,
    /// Patterns of images.
    pub allowed_images: Option<Vec<String>>,
    /// Longest timeout of a job, in seconds.
    pub max_timeout_secs: Option<Located<Seconds>>,
}

/// How long what has ended is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionTable {
    /// Days. Default: 30.
    pub days: Option<Located<NonZeroU32>>,
    /// Gigabytes of logs and state. Default: 50.
    pub max_gb: Option<Located<NonZeroU32>>,
}

/// A machine that jobs run on, reached by SSH.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkerTable {
    /// Its name or address.
    #[schemars(required)]
    pub host: Option<Located<String>>,
    /// User to log in as.
    #[schemars(required)]
    pub user: Option<Located<String>>,
    /// Name of the secret with the path of the private key.
    #[schemars(required)]
    pub key_env: Option<Located<SecretName>>,
    /// Port of its SSH server. Default: 22.
    pub port: Option<Located<NonZeroU16>>,
    /// Jobs that run there at the same time. Default: 4.
    pub max_concurrent: Option<Located<NonZeroU32>>,
    /// File of known hosts. Default: the user's own. Hosts are always checked.
    pub known_hosts: Option<Located<String>>,
}

/// Where issues live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrackerProvider {
    /// GitHub Issues.
    Github,
    /// Linear.
    Linear,
    /// Forgejo.
    Forgejo,
    /// Gitea.
    Gitea,
}

/// An issue tracker that jobs come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrackerTable {
    /// What kind of tracker it is.
    #[schemars(required)]
    pub provider: Option<Located<TrackerProvider>>,
    /// `owner/name` (github, forgejo, gitea).
    pub repo: Option<Located<RepoSlug>>,
    /// The tracker's API (self-hosted).
    pub api_url: Option<Located<String>>,
    /// Name of the secret with the token (github, forgejo, gitea).
    pub token_env: Option<Located<SecretName>>,
    /// Name of the secret with the key (linear).
    pub api_key_env: Option<Located<SecretName>>,
    /// Id of the team (linear).
    pub team_id: Option<Located<String>>,
    /// The manifest, without sessions, that issues become jobs by.
    #[schemars(required)]
    pub manifest_template: Option<Located<String>>,
    /// Seconds between two looks. Default: 30.
    pub poll_interval_secs: Option<Located<Seconds>>,
    /// Start of the labels' names. Default: `smelt`.
    pub label_prefix: Option<Located<String>>,
    /// The gate of an issue that names none. Default: `bash`.
    pub default_harness: Option<Located<String>>,
    /// Seconds for an issue that names none. Default: 600.
    pub default_timeout: Option<Located<Seconds>>,
    /// Who may put on the `ready` label: at least this permission. Default: `triage`.
    pub min_permission: Option<Located<String>>,
    /// Who may put on the `ready` label, by name.
    pub allowed_users: Option<Vec<String>>,
    /// Jobs of one author at the same time. Default: 5.
    pub max_jobs_per_author: Option<Located<NonZeroU32>>,
    /// Let the pull request close the issue. Default: false.
    pub close_issue: Option<Located<bool>>,
}
