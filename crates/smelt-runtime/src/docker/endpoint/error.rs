//! Why no engine can be used, and what would help.

use super::address::SshAddress;
use super::connect::OLDEST;
use smelt_core::port::SandboxError;
use std::error::Error;
use std::path::PathBuf;

/// Why no engine can be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::docker) enum EndpointError {
    /// An address that is none.
    #[error("{origin} names no engine: {value:?} {why}")]
    Address { origin: String, value: String, why: &'static str },
    /// A context that nobody has made.
    #[error("{origin} names the Docker context {name:?}, which does not exist")]
    UnknownContext { origin: &'static str, name: String },
    /// A context that asks for what is not done here.
    #[error("the Docker context {name:?} {why}")]
    Context { name: String, why: &'static str },
    /// A file of Docker's own, or one that it names.
    #[error("{} can't be read: {why}", path.display())]
    File { path: PathBuf, why: String },
    /// No socket is there.
    #[error("no container engine listens on this machine: there is no {}", listed(sockets))]
    NoSocket { sockets: Vec<PathBuf> },
    /// The socket of an engine that does not run.
    #[error("the container engine does not run: nobody listens at {}", socket.display())]
    NobodyListens { socket: PathBuf },
    /// The socket of an engine that this user may not ask.
    #[error("this user may not use the container engine's socket {}", socket.display())]
    Permission { socket: PathBuf },
    /// ssh came back without a connection.
    #[error("{address} can't be reached: {said}")]
    Ssh { address: SshAddress, said: String },
    /// No answer, or one that no engine gives.
    #[error("no container engine answers at {endpoint}: {}", smelt_core::outcome::chain(&**source))]
    NoAnswer { endpoint: String, source: Box<dyn Error + Send + Sync> },
    /// It is too old.
    #[error(
        "the container engine at {endpoint} speaks version {found} of Docker's API, and {OLDEST} is the oldest that will do"
    )]
    OldApi { endpoint: String, found: String },
}

/// Paths in a sentence.
fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

impl EndpointError {
    /// What would help.
    pub(in crate::docker) fn hint(&self) -> String {
        match self {
            Self::Address { .. } => "addresses are like unix:///var/run/docker.sock, \
                 tcp://host:2376 and ssh://user@host"
                .into(),
            Self::UnknownContext { .. } => "`docker context ls` shows those there are; \
                 `docker context use default` goes back to this machine's engine"
                .into(),
            Self::Context { name, .. } => {
                format!("`docker context inspect {name}` shows it, `docker context update {name}` mends it")
            }
            Self::File { path, .. } => {
                format!("mend it, and let this user read it: ls -l {}", path.display())
            }
            Self::NoSocket { .. } => "install an engine (apt install docker.io, or podman) and start \
                 it (systemctl start docker, or systemctl --user start podman.socket), or name one \
                 elsewhere by DOCKER_HOST"
                .into(),
            Self::NobodyListens { .. } => "start it: systemctl start docker".into(),
            Self::Permission { .. } => "add yourself to the group `docker` and log in again (sudo \
                 usermod -aG docker $USER; its members are as good as root), or run a rootless \
                 engine (dockerd-rootless-setuptool.sh install, or podman)"
                .into(),
            Self::Ssh { address, said } if said.contains("Host key verification failed") => format!(
                "its key is not the one in ~/.ssh/known_hosts, or not there yet: compare it with \
                 the administrator's, then `ssh {}` once by hand",
                address.host
            ),
            Self::Ssh { address, .. } => format!(
                "`ssh {} docker version` has to work without a question: a key without a \
                 passphrase or in an agent, and Docker's command on that machine",
                address.host
            ),
            Self::NoAnswer { .. } => "is the address right, and is the engine reached without TLS \
                 or with it (DOCKER_TLS_VERIFY, DOCKER_CERT_PATH)? `docker version` asks the same one"
                .into(),
            Self::OldApi { .. } => {
                "upgrade it: Docker Engine 20.10 and Podman 4 are the oldest".into()
            }
        }
    }
}

impl From<EndpointError> for SandboxError {
    fn from(error: EndpointError) -> Self {
        Self::Unavailable { message: error.to_string(), hint: Some(error.hint()) }
    }
}
