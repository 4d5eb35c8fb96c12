//! Addresses of engines.

use super::error::EndpointError;
use hyper::Uri;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where Docker's own package puts its socket.
pub(super) const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// Ports that Docker's command takes where none is given: plain, and with TLS.
const PORTS: [u16; 2] = [2375, 2376];

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::docker) enum Endpoint {
    /// At a socket of this machine.
    Unix(PathBuf),
    /// At a port.
    Tcp { address: String, tls: Option<TlsFiles> },
    /// On another machine, by its `docker` command.
    Ssh(SshAddress),
}

/// The files of a connection with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::docker) struct TlsFiles {
    /// Who may have signed the engine's certificate.
    pub(in crate::docker) ca: PathBuf,
    /// Our own certificate, where there is one.
    pub(in crate::docker) cert: PathBuf,
    /// The key of [`Self::cert`].
    pub(in crate::docker) key: PathBuf,
}

impl TlsFiles {
    pub(super) fn inside(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") }
    }
}

/// Another machine, as `ssh` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::docker) struct SshAddress {
    pub(in crate::docker) user: Option<String>,
    pub(in crate::docker) host: String,
    pub(in crate::docker) port: Option<u16>,
}

impl Endpoint {
    /// What `value` says, which was found at `origin`; `tls` is for the addresses that may have it.
    pub(super) fn parse(
        value: &str,
        origin: &str,
        tls: Option<TlsFiles>,
    ) -> Result<Self, EndpointError> {
        let wrong = |why| EndpointError::Address {
            origin: origin.to_owned(),
            value: value.to_owned(),
            why,
        };
        // Docker's command, too, takes `host:port` for an address of tcp.
        let (scheme, rest) = value.split_once("://").unwrap_or(("tcp", value));
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix(DOCKER_SOCKET.into())),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(wrong("is no absolute path")),
            "tcp" | "http" | "https" if rest.starts_with('/') => {
                Err(wrong("is a path: unix:// is missing before it"))
            }
            "tcp" | "http" | "https" => {
                let (user, host, port) = authority(rest).map_err(wrong)?;
                if user.is_some() {
                    return Err(wrong("has a user, which only ssh:// can have"));
                }
                if scheme == "https" && tls.is_none() {
                    return Err(wrong("needs DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"));
                }
                let port = port.unwrap_or(PORTS[usize::from(tls.is_some())]);
                Ok(Self::Tcp { address: format!("{host}:{port}"), tls })
            }
            "ssh" => {
                let (user, host, port) = authority(rest).map_err(wrong)?;
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                // Not even after `--` would every version of ssh take these for what they are.
                if [Some(&host), user.as_ref()].into_iter().flatten().any(|s| s.starts_with('-')) {
                    return Err(wrong("begins with a dash"));
                }
                Ok(Self::Ssh(SshAddress { user, host, port }))
            }
            _ => Err(wrong("is of a kind that is not known here")),
        }
    }
}

/// The parts of `user@host:port`.
fn authority(text: &str) -> Result<(Option<String>, String, Option<u16>), &'static str> {
    let uri: Uri = format!("http://{text}").parse().map_err(|_| "is no address")?;
    let authority = uri.authority().ok_or("has no host")?;
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err("has a path after its host");
    }
    let user = authority.as_str().rsplit_once('@').map(|(user, _)| user.to_owned());
    if user.as_ref().is_some_and(|user| user.contains(':')) {
        return Err("has a password in it, which belongs into ssh's own configuration");
    }
    match authority.host() {
        "" => Err("has no host"),
        host => Ok((user, host.to_owned(), authority.port_u16())),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { address, .. } => write!(f, "tcp://{address}"),
            Self::Ssh(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        self.user.iter().try_for_each(|user| write!(f, "{user}@"))?;
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host),
            false => f.write_str(&self.host),
        }?;
        self.port.iter().try_for_each(|port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> String {
        match Endpoint::parse(value, "DOCKER_HOST", None) {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn addresses_as_dockers_command_takes_them() {
        for (value, endpoint) in [
            ("unix:///run/user/1000/docker.sock", "unix:///run/user/1000/docker.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("tcp://192.0.2.7", "tcp://192.0.2.7:2375"),
            ("tcp://[2001:db8::1]:99/", "tcp://[2001:db8::1]:99"),
            ("build.example:2376", "tcp://build.example:2376"),
            ("ssh://build.example", "ssh://build.example"),
            ("ssh://me@[2001:db8::1]:22", "ssh://me@[2001:db8::1]:22"),
        ] {
            assert_eq!(parsed(value), endpoint, "{value}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (value, why) in [
            ("unix://run/docker.sock", "is no absolute path"),
            ("/var/run/docker.sock", "is a path: unix:// is missing before it"),
            ("tcp://me@host", "only ssh:// can have"),
            ("tcp://host/v1", "has a path after its host"),
            ("https://host", "needs DOCKER_TLS_VERIFY=1"),
            ("npipe:////./pipe/docker_engine", "is of a kind that is not known here"),
            ("ssh://me:secret@host", "has a password in it"),
            ("ssh://-oProxyCommand=id", "begins with a dash"),
            ("ssh://-oProxyCommand=id@host", "begins with a dash"),
            ("ssh://host/var/run/docker.sock", "has a path after its host"),
            ("ssh://", "is no address"),
            ("tcp://ho st", "is no address"),
        ] {
            assert!(parsed(value).contains(why), "{value}: {}", parsed(value));
        }
    }
}
