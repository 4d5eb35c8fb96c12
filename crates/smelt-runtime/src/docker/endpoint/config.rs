//! Which engine is meant: what a user has told Docker's own command is right here, too.

use super::address::{DOCKER_SOCKET, Endpoint, TlsFiles};
use super::error::EndpointError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where Podman's package puts its one for root.
const PODMAN_SOCKET: &str = "/run/podman/podman.sock";

/// Name of the context that means: as if there were none.
const DEFAULT_CONTEXT: &str = "default";

/// What tells which engine is meant. Nothing of it is looked up in the environment here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineConfig {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// Docker's own folder: `DOCKER_CONFIG`, else `~/.docker`.
    pub config_dir: PathBuf,
    /// `DOCKER_TLS_VERIFY` is set to something.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`: a folder with `ca.pem`, `cert.pem` and `key.pem`.
    pub cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `PATH`: where `ssh` and credential helpers are looked up.
    pub path: OsString,
}

/// What is read of Docker's `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    current_context: Option<String>,
}

/// What is read of a context's `meta.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextFile {
    endpoints: ContextEndpoints,
}

#[derive(Debug, Deserialize)]
struct ContextEndpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

impl EngineConfig {
    /// The engine that Docker's own command would ask. It takes the first that is set of
    /// `DOCKER_HOST`, `DOCKER_CONTEXT` and its configuration's `currentContext`; further than that
    /// it knows one socket only, and we the usual ones.
    pub(in crate::docker) fn endpoint(&self) -> Result<Endpoint, EndpointError> {
        if let Some(host) = set(&self.docker_host) {
            let tls = self
                .tls_verify
                .then(|| TlsFiles::inside(self.cert_path.as_deref().unwrap_or(&self.config_dir)));
            return Endpoint::parse(host, "DOCKER_HOST", tls);
        }
        let config: ConfigFile = read(&self.config_dir.join("config.json"))?.unwrap_or_default();
        let asked = set(&self.docker_context).map(|name| (name, "DOCKER_CONTEXT"));
        let current = || set(&config.current_context).map(|name| (name, "Docker's config.json"));
        match asked.or_else(current) {
            Some((name, origin)) if name != DEFAULT_CONTEXT => self.context(name, origin),
            _ => first_there(self.usual_sockets()),
        }
    }

    /// The engine of a context (docker/cli, `cli/context/store`: folders are called by the hash of
    /// the context's name).
    fn context(&self, name: &str, origin: &'static str) -> Result<Endpoint, EndpointError> {
        let folder = hex(&Sha256::digest(name));
        let store = self.config_dir.join("contexts");
        let file: Option<ContextFile> = read(&store.join("meta").join(&folder).join("meta.json"))?;
        let unknown = || EndpointError::UnknownContext { origin, name: name.to_owned() };
        let wrong = |why| EndpointError::Context { name: name.to_owned(), why };
        let found = file.ok_or_else(unknown)?.endpoints.docker;
        let found = found.ok_or_else(|| wrong("is of no Docker engine"))?;
        let tls = TlsFiles::inside(&store.join("tls").join(&folder).join("docker"));
        let tls = tls.ca.exists().then_some(tls);
        if found.skip_tls_verify {
            return Err(wrong("skips the check of the engine's certificate, which Smelt does not"));
        }
        Endpoint::parse(&found.host, &format!("the Docker context {name:?}"), tls)
    }

    /// Where engines listen by default, in the order in which they are looked for.
    fn usual_sockets(&self) -> Vec<PathBuf> {
        let own = |name: &str| self.runtime_dir.iter().map(move |dir| dir.join(name)).next();
        [
            Some(DOCKER_SOCKET.into()),
            own("docker.sock"),
            own("podman/podman.sock"),
            Some(PODMAN_SOCKET.into()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A variable that is set to something.
fn set(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

/// The first of `sockets` that exists, or that this user may not look for.
fn first_there(sockets: Vec<PathBuf>) -> Result<Endpoint, EndpointError> {
    match sockets.iter().find(|socket| socket.try_exists().unwrap_or(true)) {
        Some(socket) => Ok(Endpoint::Unix(socket.clone())),
        None => Err(EndpointError::NoSocket { sockets }),
    }
}

/// A file of Docker's own; `None` where there is none. The error repeats nothing of its text: some hold
/// secrets.
pub(in crate::docker) fn read<T: DeserializeOwned>(
    path: &Path,
) -> Result<Option<T>, EndpointError> {
    let failed = |why| EndpointError::File { path: path.to_owned(), why };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            failed(format!("what stands in line {} is not as Docker writes it", error.line()))
        }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Bytes as Docker writes hashes.
pub(in crate::docker) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// Docker's folder, and what tells of it.
    fn config() -> (TempDir, EngineConfig) {
        let folder = TempDir::new().unwrap();
        let config_dir = folder.path().join(".docker");
        fs::create_dir(&config_dir).unwrap();
        let runtime_dir = Some(folder.path().join("run"));
        (folder, EngineConfig { config_dir, runtime_dir, ..EngineConfig::default() })
    }

    fn add_context(config: &EngineConfig, name: &str, docker: &str) -> PathBuf {
        let folder = hex(&Sha256::digest(name));
        let meta = config.config_dir.join("contexts/meta").join(&folder);
        fs::create_dir_all(&meta).unwrap();
        let text = format!(r#"{{"Name":{name:?},"Metadata":{{}},"Endpoints":{{{docker}}}}}"#);
        fs::write(meta.join("meta.json"), text).unwrap();
        config.config_dir.join("contexts/tls").join(folder).join("docker")
    }

    fn found(config: &EngineConfig) -> String {
        match config.endpoint() {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => format!("{error}\n{}", error.hint()),
        }
    }

    #[test]
    fn what_is_said_nearest_to_the_command_wins() {
        let (_folder, mut config) = config();
        add_context(&config, "near", r#""docker":{"Host":"ssh://me@near"}"#);
        add_context(&config, "far", r#""docker":{"Host":"ssh://far:2222","SkipTLSVerify":false}"#);
        fs::write(config.config_dir.join("config.json"), r#"{"currentContext":"far","auths":{}}"#)
            .unwrap();
        assert_eq!(found(&config), "ssh://far:2222");
        config.docker_context = Some("near".into());
        assert_eq!(found(&config), "ssh://me@near");
        config.docker_host = Some("tcp://192.0.2.7".into());
        assert_eq!(found(&config), "tcp://192.0.2.7:2375");
        // Set to nothing is not set.
        config.docker_host = Some(String::new());
        config.docker_context = Some(String::new());
        assert_eq!(found(&config), "ssh://far:2222");
        // The context of this name is that there is none.
        config.docker_context = Some("default".into());
        assert!(!found(&config).starts_with("ssh"));
    }

    #[test]
    fn a_context_brings_its_certificates() {
        let (_folder, mut config) = config();
        config.docker_context = Some("safe".into());
        let tls = add_context(&config, "safe", r#""docker":{"Host":"tcp://192.0.2.7"}"#);
        fs::create_dir_all(&tls).unwrap();
        fs::write(tls.join("ca.pem"), "").unwrap();
        let Ok(Endpoint::Tcp { address, tls: Some(files) }) = config.endpoint() else {
            panic!("{}", found(&config));
        };
        assert_eq!((address.as_str(), files.key), ("192.0.2.7:2376", tls.join("key.pem")));
    }

    #[test]
    fn variables_bring_certificates_when_they_are_to_be_checked() {
        let (_folder, mut config) = config();
        config.docker_host = Some("192.0.2.7:4000".into());
        config.cert_path = Some("/certs".into());
        assert!(matches!(config.endpoint(), Ok(Endpoint::Tcp { tls: None, .. })));
        config.tls_verify = true;
        let ca = |config: &EngineConfig| match config.endpoint() {
            Ok(Endpoint::Tcp { tls: Some(files), .. }) => files.ca,
            other => panic!("{other:?}"),
        };
        assert_eq!(ca(&config), Path::new("/certs/ca.pem"));
        config.cert_path = None;
        assert_eq!(ca(&config), config.config_dir.join("ca.pem"));
    }

    #[test]
    fn contexts_that_cannot_be_used_are_refused_by_name() {
        let (_folder, mut config) = config();
        add_context(&config, "cluster", r#""kubernetes":{}"#);
        add_context(&config, "blind", r#""docker":{"Host":"tcp://h","SkipTLSVerify":true}"#);
        for (name, said) in [
            ("cluster", "is of no Docker engine"),
            ("blind", "skips the check"),
            ("gone", "DOCKER_CONTEXT names the Docker context \"gone\", which does not exist"),
            ("../../x", "does not exist"),
        ] {
            config.docker_context = Some(name.into());
            assert!(found(&config).contains(said), "{}", found(&config));
        }
        config.docker_context = None;
        fs::write(config.config_dir.join("config.json"), "{").unwrap();
        assert!(
            found(&config).contains("config.json can't be read: what stands in line 1"),
            "{}",
            found(&config)
        );
    }

    #[test]
    fn the_first_usual_socket_that_exists_is_taken() {
        let (folder, config) = config();
        let sockets = config.usual_sockets();
        let own = folder.path().join("run/podman/podman.sock");
        assert_eq!(sockets[0], Path::new(DOCKER_SOCKET));
        assert_eq!(
            sockets[1..],
            [folder.path().join("run/docker.sock"), own.clone(), PODMAN_SOCKET.into()]
        );
        let there = [folder.path().join("run/docker.sock"), own.clone()];
        let Err(EndpointError::NoSocket { sockets }) = first_there(there.to_vec()) else {
            panic!("nothing is there");
        };
        assert_eq!(sockets, there);
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::write(&own, "").unwrap();
        assert_eq!(first_there(there.to_vec()).unwrap(), Endpoint::Unix(own));
    }
}
