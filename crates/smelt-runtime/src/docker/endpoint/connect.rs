//! A connection to an engine that answers, and is new enough.

use super::address::{Endpoint, TlsFiles};
use super::config::EngineConfig;
use super::error::EndpointError;
use super::ssh::Ssh;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// The oldest API that has what is used here: Docker Engine 20.10, Podman 4.
pub(super) const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// How long an engine may take for the beginning of an answer, in seconds. What it then sends may take as long
/// as it likes: bollard does not count that. What is *sent* counts, though: uploads and builds need a
/// client with a longer time ([`Docker::with_timeout`]).
const TIMEOUT: u64 = 120;

/// How long it may take to say who it is. Longer than ssh takes to give up.
const FIRST_ANSWER: Duration = Duration::from_secs(20);

/// An engine that answers.
#[derive(Clone, Debug)]
pub(in crate::docker) struct Connection {
    /// The client, speaking the newest version of the API that both know.
    pub(in crate::docker) api: Docker,
    /// Where it listens.
    pub(in crate::docker) endpoint: Endpoint,
}

impl Connection {
    /// Finds the engine that `config` means, and asks it for its version.
    pub(in crate::docker) async fn open(config: &EngineConfig) -> Result<Self, EndpointError> {
        let endpoint = config.endpoint()?;
        let failed = |source: Box<dyn Error + Send + Sync>| EndpointError::NoAnswer {
            endpoint: endpoint.to_string(),
            source,
        };
        let client = match &endpoint {
            Endpoint::Unix(path) => {
                knock(path).await?;
                Docker::connect_with_unix(&path.to_string_lossy(), TIMEOUT, API_DEFAULT_VERSION)
            }
            Endpoint::Tcp { address, tls: None } => {
                Docker::connect_with_http(address, TIMEOUT, API_DEFAULT_VERSION)
            }
            Endpoint::Tcp { address, tls: Some(files) } => {
                files.look()?;
                let TlsFiles { ca, cert, key } = files;
                Docker::connect_with_ssl(address, key, cert, ca, TIMEOUT, API_DEFAULT_VERSION)
            }
            Endpoint::Ssh(address) => Ssh { address: address.clone(), path: config.path.clone() }
                .client(TIMEOUT, API_DEFAULT_VERSION),
        };
        let client = client.map_err(|error| failed(error.into()))?;
        let negotiated = tokio::time::timeout(FIRST_ANSWER, client.negotiate_version()).await;
        let why: Box<dyn Error + Send + Sync> = match negotiated {
            Ok(Ok(api)) => return Self { api, endpoint }.new_enough(),
            Ok(Err(error)) => error.into(),
            Err(_) => format!("it said nothing for {} s", FIRST_ANSWER.as_secs()).into(),
        };
        if let Endpoint::Ssh(address) = &endpoint {
            let ssh = Ssh { address: address.clone(), path: config.path.clone() };
            if let Some(said) = ssh.complaint().await {
                return Err(EndpointError::Ssh { address: address.clone(), said });
            }
        }
        Err(failed(why))
    }

    fn new_enough(self) -> Result<Self, EndpointError> {
        let found = self.api.client_version();
        match found < OLDEST {
            true => Err(EndpointError::OldApi {
                endpoint: self.endpoint.to_string(),
                found: found.to_string(),
            }),
            false => Ok(self),
        }
    }
}

/// Tells a socket that nobody listens at from one that this user may not use: bollard's errors
/// don't.
async fn knock(socket: &Path) -> Result<(), EndpointError> {
    let path = || socket.to_owned();
    match UnixStream::connect(socket).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            ErrorKind::PermissionDenied => EndpointError::Permission { socket: path() },
            ErrorKind::NotFound => EndpointError::NoSocket { sockets: vec![path()] },
            ErrorKind::ConnectionRefused => EndpointError::NobodyListens { socket: path() },
            _ => EndpointError::NoAnswer {
                endpoint: format!("unix://{}", socket.display()),
                source: error.into(),
            },
        }),
    }
}

impl TlsFiles {
    /// Reads what has to be there: bollard goes on without a certificate of ours that it can't
    /// read, and the engine then says no more than "bad certificate".
    fn look(&self) -> Result<(), EndpointError> {
        let ours = [&self.cert, &self.key];
        let some = ours.iter().any(|path| path.exists());
        let needed = [&self.ca].into_iter().chain(ours.into_iter().filter(|_| some));
        for path in needed {
            std::fs::File::open(path).map_err(|error| EndpointError::File {
                path: path.clone(),
                why: error.to_string(),
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    fn at(host: String) -> EngineConfig {
        EngineConfig {
            docker_host: Some(host),
            path: "/usr/bin:/bin".into(),
            ..EngineConfig::default()
        }
    }

    /// An engine at a socket that gives this one answer to everything.
    fn engine(folder: &TempDir, body: &'static str) -> EngineConfig {
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                // One that only knocks sends nothing.
                if stream.read(&mut request).await.unwrap_or(0) > 0 {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        at(format!("unix://{}", socket.display()))
    }

    async fn refused(config: &EngineConfig) -> EndpointError {
        match Connection::open(config).await {
            Ok(connection) => panic!("{connection:?}"),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn both_speak_the_older_version_of_the_two() {
        let folder = TempDir::new().unwrap();
        let config = engine(&folder, r#"{"ApiVersion":"1.43","Version":"24.0.7"}"#);
        let connection = Connection::open(&config).await.unwrap();
        assert_eq!(connection.api.client_version().to_string(), "1.43");
    }

    #[tokio::test]
    async fn an_old_engine_is_told_to_be_upgraded() {
        let folder = TempDir::new().unwrap();
        let error =
            refused(&engine(&folder, r#"{"ApiVersion":"1.40","Version":"19.03.15"}"#)).await;
        assert!(
            matches!(&error, EndpointError::OldApi { found, .. } if found == "1.40"),
            "{error}"
        );
        assert!(error.to_string().contains("1.41 is the oldest"), "{error}");
        assert!(error.hint().contains("20.10"));
    }

    #[tokio::test]
    async fn something_else_at_the_socket_is_no_engine() {
        let folder = TempDir::new().unwrap();
        let error = refused(&engine(&folder, "hello")).await;
        assert!(matches!(error, EndpointError::NoAnswer { .. }), "{error}");
    }

    #[tokio::test]
    async fn sockets_without_an_engine_are_told_apart() {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("engine.sock");
        let config = at(format!("unix://{}", socket.display()));
        assert!(matches!(refused(&config).await, EndpointError::NoSocket { .. }));
        drop(UnixListener::bind(&socket).unwrap());
        assert!(matches!(refused(&config).await, EndpointError::NobodyListens { .. }));
        if !rustix::process::geteuid().is_root() {
            fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
            let error = refused(&config).await;
            assert!(matches!(error, EndpointError::Permission { .. }), "{error}");
            assert!(error.hint().contains("usermod -aG docker"));
        }
    }

    #[tokio::test]
    async fn nobody_at_a_port() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = refused(&at(format!("tcp://127.0.0.1:{port}"))).await;
        assert!(error.to_string().contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn certificates_that_are_not_there_are_named() {
        let folder = TempDir::new().unwrap();
        let mut config = at("tcp://127.0.0.1:1".into());
        (config.tls_verify, config.cert_path) = (true, Some(folder.path().to_owned()));
        let error = refused(&config).await;
        assert!(error.to_string().contains("ca.pem can't be read: No such file"), "{error}");
        for name in ["ca.pem", "cert.pem"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(refused(&config).await.to_string().contains("key.pem can't be read"));
        // With all of them TLS begins, as far as somebody listens.
        fs::write(folder.path().join("key.pem"), "").unwrap();
        assert!(refused(&config).await.to_string().contains("refused"));
    }

    /// `ssh`, as this script.
    fn scripted_ssh(folder: &TempDir, script: &str) -> EngineConfig {
        let program = folder.path().join("ssh");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let mut config = at("ssh://me@build.example:2222".into());
        config.path = format!("{}:/usr/bin:/bin", folder.path().display()).into();
        config
    }

    #[tokio::test]
    async fn an_engine_is_reached_through_ssh() {
        let folder = TempDir::new().unwrap();
        let asked = folder.path().join("asked");
        let body = r#"{"ApiVersion":"1.45"}"#;
        let script = format!(
            "echo \"$@\" >{}; read line; printf 'HTTP/1.1 200 OK\\r\\ncontent-length: {}\\r\\n\\r\\n{body}'; cat >/dev/null",
            asked.display(),
            body.len(),
        );
        let connection = Connection::open(&scripted_ssh(&folder, &script)).await.unwrap();
        assert_eq!(connection.api.client_version().to_string(), "1.45");
        let asked = fs::read_to_string(asked).unwrap();
        assert!(asked.contains("StrictHostKeyChecking=yes"), "{asked}");
        assert!(
            asked.ends_with("-l me -p 2222 -- build.example docker system dial-stdio\n"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn what_ssh_says_is_told() {
        let folder = TempDir::new().unwrap();
        let config = scripted_ssh(&folder, "echo Host key verification failed. >&2; exit 255");
        let error = refused(&config).await;
        assert!(
            error.to_string().contains("can't be reached: Host key verification failed."),
            "{error}"
        );
        assert!(error.hint().contains("known_hosts"));
    }
}
