//! The engine: the connection to it, and what it is like.

use super::endpoint::{Connection, Endpoint, EngineConfig};
use super::walls::Surroundings;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::SystemInfo;
use smelt_core::port::{Labels, SandboxError};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use tokio::net::UnixStream;

/// Label with the id of the state folder.
pub(super) const OWNER: &str = "smelt.owner";

/// Label with the job's name.
const JOB: &str = "smelt.job";

/// Label with the run's id.
pub(super) const RUN: &str = "smelt.run";

/// The labels of everything that is made for a run.
pub(super) fn labels_of(labels: &Labels) -> impl Iterator<Item = (String, String)> {
    let own = [
        (OWNER, labels.owner.to_string()),
        (JOB, labels.job.to_string()),
        (RUN, labels.run.to_string()),
    ];
    own.into_iter().map(|(name, value)| (name.to_owned(), value))
}

/// What the engine refused, or could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {}", told(source))]
pub(super) struct ApiError {
    what: &'static str,
    source: Error,
}

/// In the engine's own words, without the client's around them.
pub(super) fn told(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => {
            smelt_core::text::clean_inline(message).into_owned()
        }
        Error::DockerStreamError { error } => smelt_core::text::clean_inline(error).into_owned(),
        Error::RequestTimeoutError => "the engine does not answer".into(),
        other => {
            // The cause of all: what lies between is the client's own.
            let causes = std::iter::successors(Some(other as &dyn std::error::Error), |error| {
                error.source()
            });
            causes.last().map(ToString::to_string).unwrap_or_default()
        }
    }
}

impl ApiError {
    pub(super) fn new(what: &'static str, source: Error) -> Self {
        Self { what, source }
    }

    fn status(&self) -> Option<u16> {
        status(&self.source)
    }
}

/// The HTTP status of an answer.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// An answer that says no is an error; no answer means that the engine can't be used.
impl From<ApiError> for SandboxError {
    fn from(error: ApiError) -> Self {
        match error.status() {
            Some(_) => {
                let (what, told) = (error.what, told(&error.source));
                Self::failed(format!("{what} failed"), told)
            }
            None if matches!(error.source, Error::DockerStreamError { .. }) => {
                Self::failed(format!("{} failed", error.what), told(&error.source))
            }
            None => Self::Unavailable {
                message: format!(
                    "the Docker engine failed while {}: {}",
                    error.what,
                    told(&error.source)
                ),
                hint: Some("is it still running? `smelt doctor --runtime docker` tells".into()),
            },
        }
    }
}

/// An engine that answers.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) api: Docker,
    /// What led to it; the registries' logins are there too.
    pub(super) config: EngineConfig,
    /// Paths of this machine are paths of the engine's, and belong to the same users.
    pub(super) shares_files: bool,
    /// The machine's network.
    pub(super) surroundings: Surroundings,
    /// What it tells of itself.
    pub(super) info: SystemInfo,
}

impl Engine {
    /// Connects to the engine that `config` leads to, and asks what it is like.
    pub(super) async fn connect(config: &EngineConfig) -> Result<Self, SandboxError> {
        let Connection { api, endpoint } = Connection::open(config).await?;
        let info = api.info().await;
        let info = info.map_err(|error| ApiError::new("asking what the engine is like", error))?;
        let (here, address) = match &endpoint {
            Endpoint::Unix(socket) => (is_of_this_machine(socket).await, None),
            Endpoint::Tcp { address, .. } => (false, resolve(address).await),
            Endpoint::Ssh(address) => (false, resolve(&format!("{}:22", address.host)).await),
        };
        let surroundings = match here && same_kernel(&info) {
            true => Surroundings::of_this_machine(),
            false => Surroundings { own: address.into_iter().collect(), ..Surroundings::default() },
        };
        let shares_files = here && shares_files(&info);
        Ok(Self { api, config: config.clone(), shares_files, surroundings, info })
    }

    /// Cores of its machine: a limit beyond them is refused.
    pub(super) fn cores(&self) -> i64 {
        self.info.ncpu.filter(|cores| *cores > 0).unwrap_or(i64::from(u16::MAX))
    }

    /// What cannot be given on it, of the limits that every sandbox has.
    pub(super) fn gaps(&self) -> Vec<String> {
        let lacks = |there: Option<bool>| there == Some(false);
        let mut gaps = Vec::new();
        if lacks(self.info.memory_limit) {
            gaps.push(
                "memory is not limited: the engine's machine has no control group for it".into(),
            );
        }
        if lacks(self.info.pids_limit) {
            gaps.push(
                "the number of processes is not limited: the engine's machine has no control group for it".into(),
            );
        }
        if lacks(self.info.cpu_cfs_quota) {
            gaps.push("cores are not limited: the engine's machine can't".into());
        }
        gaps
    }
}

/// Whether who listens at `socket` is a process of this machine, and not behind the wall of a
/// container that was only given the socket: then it has no number here.
async fn is_of_this_machine(socket: &Path) -> bool {
    let Ok(stream) = UnixStream::connect(socket).await else { return false };
    stream.peer_cred().is_ok_and(|peer| peer.pid().is_some_and(|pid| pid > 0))
}

/// The address behind a name with a port; only an IPv4 one, as sandboxes have no other.
async fn resolve(address: &str) -> Option<Ipv4Addr> {
    let found = tokio::net::lookup_host(address).await.ok()?;
    found.map(|address| address.ip()).find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    })
}

fn same_kernel(info: &SystemInfo) -> bool {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let desktop = info.operating_system.as_deref().is_some_and(|name| name.contains("Desktop"));
    info.kernel_version.as_deref().map(str::trim) == Some(kernel.trim()) && !desktop
}

/// Whether paths of this machine are the engine's, and belong to the same users there: not behind a
/// virtual machine, a user namespace or SELinux's labels.
fn shares_files(info: &SystemInfo) -> bool {
    let root = info.docker_root_dir.as_ref();
    let seen = root.is_some_and(|root| std::fs::exists(root).unwrap_or(true));
    same_kernel(info) && seen && walls_between(info).is_none()
}

/// What of the engine's security keeps a sandbox from files of this machine's user.
fn walls_between(info: &SystemInfo) -> Option<&'static str> {
    let options = info.security_options.iter().flatten();
    let names: Vec<_> = options.filter_map(|option| option.split(',').next()).collect();
    ["selinux", "rootless", "userns"]
        .into_iter()
        .find(|wall| names.contains(&&*format!("name={wall}")))
}
