//! Credential helpers (docker/docker-credential-helpers): programs that keep logins elsewhere.

use super::error::LoginError;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use smelt_core::text::{clean_inline, shorten};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Longest time for a helper: some ask a server of their own, or the user to unlock a keychain.
pub(super) const HELPER_DEADLINE: Duration = Duration::from_secs(30);

/// What a helper prints that knows no login of this registry (docker/docker-credential-helpers).
const NOT_FOUND: &str = "credentials not found in native keychain";

/// User name with which a helper hands out an identity token.
const TOKEN: &str = "<token>";

/// Most of a helper's complaint that is repeated, in bytes.
const COMPLAINT_MAX: usize = 200;

/// What a helper answers to `get`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperLogin {
    username: String,
    secret: String,
}

/// A helper.
#[derive(Clone, Copy, Debug)]
pub(super) struct Helper<'a> {
    /// Its name after `docker-credential-`.
    pub(super) name: &'a str,
    /// Where it is looked up.
    pub(super) path: &'a OsStr,
    /// How long it may take.
    pub(super) deadline: Duration,
}

impl Helper<'_> {
    /// The login of `registry` that it knows.
    pub(super) async fn get(
        &self,
        registry: &str,
    ) -> Result<Option<DockerCredentials>, LoginError> {
        let Some(answer) = self.call("get", registry).await? else { return Ok(None) };
        let login: HelperLogin = serde_json::from_slice(&answer).map_err(|_| self.unreadable())?;
        let mut credentials = DockerCredentials {
            serveraddress: Some(registry.to_owned()),
            ..DockerCredentials::default()
        };
        match login.username.as_str() {
            TOKEN => credentials.identitytoken = Some(login.secret),
            _ => {
                credentials.username = Some(login.username);
                credentials.password = Some(login.secret);
            }
        }
        Ok(Some(credentials))
    }

    /// The registries whose logins it knows, with their users.
    pub(super) async fn list(&self) -> Result<BTreeMap<String, String>, LoginError> {
        let answer = self.call("list", "").await?.unwrap_or_else(|| b"{}".to_vec());
        serde_json::from_slice(&answer).map_err(|_| self.unreadable())
    }

    /// What it prints; `None` where it knows nothing of it.
    async fn call(&self, verb: &str, input: &str) -> Result<Option<Vec<u8>>, LoginError> {
        let failed = |said: String| LoginError::Helper { helper: self.name.to_owned(), said };
        let missing = || LoginError::NoHelper { helper: self.name.to_owned() };
        if self.name.contains('/') {
            return Err(missing());
        }
        let mut child = Command::new(format!("docker-credential-{}", self.name))
            .arg(verb)
            .env("PATH", self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => missing(),
                _ => failed(format!("can't be started: {error}")),
            })?;
        let stdin = child.stdin.take();
        let conversation = async move {
            if let Some(mut stdin) = stdin {
                // One that does not listen says itself what it misses.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(self.deadline, conversation)
            .await
            .map_err(|_| failed(format!("did not answer within {} s", self.deadline.as_secs())))?
            .map_err(|error| failed(format!("can't be spoken to: {error}")))?;
        // Helpers complain on standard output.
        let said = String::from_utf8_lossy(&output.stdout);
        match said.trim() {
            _ if output.status.success() => Ok(Some(output.stdout)),
            NOT_FOUND => Ok(None),
            // No complaint looks like that, but a login does.
            "" => Err(failed("failed".into())),
            said if said.contains('{') => Err(failed("failed".into())),
            said => Err(failed(format!("failed: {}", shorten(&clean_inline(said), COMPLAINT_MAX)))),
        }
    }

    /// An answer that is none. What it says instead may be a secret.
    fn unreadable(&self) -> LoginError {
        let said = "answered something that is no login".into();
        LoginError::Helper { helper: self.name.to_owned(), said }
    }
}
