use super::Secret;
use crate::name::SecretName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Longest time for a command that fetches a secret: it may ask a person to unlock something.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

/// How a configuration says where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// A file whose text is the secret, without its last newline.
    File(PathBuf),
    /// A program and its arguments that print the secret.
    Command(Vec<String>),
}

impl SecretSource {
    /// The same, a relative path of a file being one below `folder`.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            Self::Command(words) => Self::Command(words),
        }
    }
}

/// Where a secret was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The file given with `--env-file`.
    EnvFile,
    /// `[secrets]` of the user's or server's configuration.
    Config,
    /// systemd's credentials.
    Systemd,
    /// The environment.
    Environment,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnvFile => "the env file",
            Self::Config => "the configuration's [secrets]",
            Self::Systemd => "systemd's credentials",
            Self::Environment => "the environment",
        })
    }
}

/// A secret that is named in a place which did not yield it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error("the secret `{name}` can't be read from `{}`", path.display())]
    File {
        /// The secret.
        name: SecretName,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The command failed.
    #[error("the command for the secret `{name}` (`{program}`) {why}")]
    Command {
        /// The secret.
        name: SecretName,
        /// The program that was run.
        program: String,
        /// How it failed.
        why: String,
    },
}

/// Where secrets are looked up, in this order.
#[derive(Clone, Debug, Default)]
pub struct SecretSources {
    /// What the env file holds.
    pub env_file: BTreeMap<SecretName, Secret>,
    /// What the configuration names.
    pub configured: BTreeMap<SecretName, SecretSource>,
    /// systemd's folder of credentials.
    pub credentials_dir: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, Secret>,
}

impl SecretSources {
    /// Where `name` would be taken from; runs no command and opens no file.
    pub fn locate(&self, name: &SecretName) -> Option<Origin> {
        if self.env_file.contains_key(name) {
            return Some(Origin::EnvFile);
        }
        if self.configured.contains_key(name) {
            return Some(Origin::Config);
        }
        let credential = self.credentials_dir.as_ref().map(|dir| dir.join(name.as_str()));
        if credential.is_some_and(|path| path.is_file()) {
            return Some(Origin::Systemd);
        }
        let value = self.environment.get(name.as_str());
        let set = value.is_some_and(|value| !value.expose().trim().is_empty());
        set.then_some(Origin::Environment)
    }

    /// The value of `name`; `None` where no place has it. A blank variable counts as not set, and
    /// its last newline is not part of it.
    ///
    /// # Errors
    /// Where a place names the secret and does not yield it.
    pub async fn fetch(&self, name: &SecretName) -> Result<Option<Secret>, SecretError> {
        match self.locate(name) {
            None => Ok(None),
            Some(Origin::EnvFile) => Ok(self.env_file.get(name).cloned()),
            Some(Origin::Environment) => {
                let value = self.environment.get(name.as_str());
                Ok(value.map(|value| Secret::new(without_newline(value.expose()))))
            }
            Some(Origin::Systemd) => {
                let folder = self.credentials_dir.clone().unwrap_or_default();
                read_file(name, folder.join(name.as_str())).await.map(Some)
            }
            Some(Origin::Config) => match &self.configured[name] {
                SecretSource::File(path) => read_file(name, path.clone()).await.map(Some),
                SecretSource::Command(words) => run_command(name, words).await.map(Some),
            },
        }
    }
}

async fn read_file(name: &SecretName, path: PathBuf) -> Result<Secret, SecretError> {
    match tokio::fs::read_to_string(&path).await {
        Ok(text) => Ok(Secret::new(without_newline(&text))),
        Err(source) => Err(SecretError::File { name: name.clone(), path, source }),
    }
}

async fn run_command(name: &SecretName, words: &[String]) -> Result<Secret, SecretError> {
    let program = words.first().cloned().unwrap_or_default();
    let fail =
        |why: String| SecretError::Command { name: name.clone(), program: program.clone(), why };
    let mut command = tokio::process::Command::new(&program);
    command
        .args(words.iter().skip(1))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = tokio::time::timeout(COMMAND_TIMEOUT, command.output())
        .await
        .map_err(|_| fail(format!("did not end within {} s", COMMAND_TIMEOUT.as_secs())))?
        .map_err(|error| fail(format!("can't be started: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Err(fail(format!("failed ({}): {}", output.status, crate::text::clean_line(last))));
    }
    match std::str::from_utf8(&output.stdout).map(without_newline) {
        Ok("") => Err(fail("printed nothing".into())),
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => Err(fail("printed something that is not UTF-8 text".into())),
    }
}

fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn places_are_asked_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("C"), "from systemd\n").unwrap();
        std::fs::write(folder.path().join("file"), "from file\r\n").unwrap();
        let secret = |text: &str| Secret::new(text);
        let sources = SecretSources {
            env_file: [(name("A"), secret("from env file"))].into(),
            configured: [
                (name("A"), SecretSource::File("/nowhere".into())),
                (name("B"), SecretSource::Command(vec!["printf".into(), "from command\\n".into()])),
                (name("F"), SecretSource::File(folder.path().join("file"))),
            ]
            .into(),
            credentials_dir: Some(folder.path().to_owned()),
            environment: [("C", "no"), ("D", "from environment"), ("E", "")]
                .map(|(k, v)| (k.to_owned(), secret(v)))
                .into(),
        };
        for (key, value, origin) in [
            ("A", Some("from env file"), Some(Origin::EnvFile)),
            ("B", Some("from command"), Some(Origin::Config)),
            ("F", Some("from file"), Some(Origin::Config)),
            ("C", Some("from systemd"), Some(Origin::Systemd)),
            ("D", Some("from environment"), Some(Origin::Environment)),
            ("E", None, None),
            ("G", None, None),
        ] {
            let found = sources.fetch(&name(key)).await.unwrap();
            assert_eq!(found.as_ref().map(Secret::expose), value, "{key}");
            assert_eq!(sources.locate(&name(key)), origin, "{key}");
        }
    }

    #[tokio::test]
    async fn a_failing_command_says_so_without_its_output() {
        let words = ["sh", "-c", "echo secret; echo 'vault is locked' >&2; exit 3"];
        let source = SecretSource::Command(words.map(str::to_owned).into());
        let sources =
            SecretSources { configured: [(name("K"), source)].into(), ..SecretSources::default() };
        let error = sources.fetch(&name("K")).await.unwrap_err().to_string();
        assert!(error.contains("vault is locked") && !error.contains("secret;"), "{error}");
    }
}
