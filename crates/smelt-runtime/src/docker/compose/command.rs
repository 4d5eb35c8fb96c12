//! Compose itself: which one there is, and running it.

use crate::docker::endpoint::{Endpoint, EngineConfig};
use rustix::process::{Pid, Signal, kill_process_group};
use smelt_core::port::{Check, CheckState, SandboxError};
use smelt_core::text::clean_inline;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What Compose may be called, in the order in which it is looked for.
const NAMES: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

/// The oldest that reads files without a version: 1.27; and services' ends as conditions: 1.29.
const OLDEST: (u32, u32) = (1, 29);

/// How long it may take to say its version.
const VERSION: Duration = Duration::from_secs(20);

const INSTALL: &str = "install Docker's Compose plugin (its package is docker-compose-plugin, docker-compose-v2 or \
     docker-compose), or docker-compose 1.29";

/// The Compose of this machine.
#[derive(Clone, Debug)]
pub(super) struct Compose {
    words: &'static [&'static str],
    version: String,
    env: Vec<(&'static str, OsString)>,
}

impl Compose {
    /// Looks for the one that is to be used with the engine that `config` leads to.
    pub(super) async fn find(config: &EngineConfig) -> Result<Self, SandboxError> {
        let env = environment(config)?;
        let mut old = None;
        for words in NAMES {
            let mut found = Self { words, version: String::new(), env: env.clone() };
            let Some(version) = found.ask_version().await else { continue };
            found.version = version;
            if found.is_new_enough() {
                return Ok(found);
            }
            old.get_or_insert(found.version);
        }
        let message = match old {
            Some(version) => {
                format!(
                    "Compose {version} is too old: {}.{} is the oldest that will do",
                    OLDEST.0, OLDEST.1
                )
            }
            None => "there is no Compose on this machine: neither `docker compose` nor \
                     `docker-compose` answers"
                .into(),
        };
        Err(SandboxError::Unavailable { message, hint: Some(INSTALL.into()) })
    }

    /// What is to be said of it.
    pub(super) async fn check(config: &EngineConfig) -> Check {
        let (state, found, fix) = match Self::find(config).await {
            Ok(compose) => {
                let found = format!("{} {}", compose.words.join(" "), compose.version);
                (CheckState::Good, found, None)
            }
            Err(SandboxError::Unavailable { message, hint }) => {
                (CheckState::Missing, message, hint)
            }
            Err(error) => (CheckState::Missing, error.to_string(), None),
        };
        Check { name: "Compose".into(), state, found, fix }
    }

    /// Lets it create the containers of `project`, whose file is in `folder` with nothing else. Nothing is
    /// started: the older one waits even then for what is to start before.
    pub(super) async fn create(
        &self,
        folder: &Path,
        project: &str,
        file: &str,
    ) -> Result<(), Complaint> {
        let mut command = self.command();
        command.current_dir(folder);
        command.args(["--project-name", project, "--file", file, "up", "--no-start"]);
        let broken = |error: std::io::Error| Complaint(error.to_string());
        let child = command.spawn().map_err(broken)?;
        // The plugin is a child of Docker's command.
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let output = child.wait_with_output().await.map_err(broken)?;
        group.forget();
        let said = [output.stdout, output.stderr].concat();
        tracing::debug!(said = %String::from_utf8_lossy(&said), "compose");
        match output.status.success() {
            true => Ok(()),
            false => Err(Complaint::of(&said, &output.status.to_string())),
        }
    }

    async fn ask_version(&self) -> Option<String> {
        let asked = self.command().args(["version", "--short"]).output();
        let answer = tokio::time::timeout(VERSION, asked).await.ok()?.ok()?;
        let text = String::from_utf8_lossy(&answer.stdout);
        let version = clean_inline(text.trim().trim_start_matches('v')).into_owned();
        (answer.status.success() && numbers(&version).is_some()).then_some(version)
    }

    fn is_new_enough(&self) -> bool {
        numbers(&self.version).is_some_and(|found| found >= OLDEST)
    }

    /// It, in an environment of nothing but what leads it to the engine: what else was in it could stand
    /// in the place of a variable. Nobody's Ctrl-C but Smelt's reaches it.
    fn command(&self) -> Command {
        let mut command = Command::new(self.words[0]);
        command.args(&self.words[1..]);
        command.env_clear().envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// The processes of one command, ended with it when nobody waits for it any more.
struct Group(Option<Pid>);

impl Group {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What Compose complained of.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Complaint(String);

impl Complaint {
    /// The last of what was `said` that is no progress.
    fn of(said: &[u8], status: &str) -> Self {
        let text = String::from_utf8_lossy(said);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let progress = ["Container ", "Creating ", "Encountered errors"];
        let is_progress = |line: &str| progress.iter().any(|start| line.starts_with(start));
        let last: Vec<_> = lines.filter(|line| !is_progress(line)).collect();
        let last = &last[last.len().saturating_sub(3)..];
        match last.is_empty() {
            true => Self(format!("it ended with {status}")),
            false => Self(clean_inline(&last.join("; ")).into_owned()),
        }
    }
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The variables that lead to the same engine that Smelt itself asks.
fn environment(config: &EngineConfig) -> Result<Vec<(&'static str, OsString)>, SandboxError> {
    let endpoint = config.endpoint()?;
    let mut env = vec![
        ("PATH", config.path.clone()),
        ("DOCKER_CONFIG", config.config_dir.clone().into_os_string()),
        ("DOCKER_HOST", endpoint.to_string().into()),
        // The older one writes its output as it comes.
        ("PYTHONUNBUFFERED", "1".into()),
    ];
    match endpoint {
        Endpoint::Tcp { tls: Some(files), .. } => {
            let folder = files.ca.parent().unwrap_or(Path::new("/"));
            env.push(("DOCKER_TLS_VERIFY", "1".into()));
            env.push(("DOCKER_CERT_PATH", folder.into()));
        }
        // ssh asks the user's agent for keys, as it does for Smelt's own connection.
        Endpoint::Ssh(_) => {
            let agent = std::env::var_os("SSH_AUTH_SOCK");
            env.extend(agent.map(|agent| ("SSH_AUTH_SOCK", agent)));
        }
        Endpoint::Tcp { tls: None, .. } | Endpoint::Unix(_) => {}
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    /// A machine with these programs.
    fn machine(programs: &[(&str, &str)]) -> (TempDir, EngineConfig) {
        let folder = TempDir::new().unwrap();
        for (name, script) in programs {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let config = EngineConfig {
            docker_host: Some("unix:///nowhere.sock".into()),
            config_dir: "/config".into(),
            path: folder.path().into(),
            ..EngineConfig::default()
        };
        (folder, config)
    }

    async fn found(programs: &[(&str, &str)]) -> String {
        let (_folder, config) = machine(programs);
        let Check { found, .. } = Compose::check(&config).await;
        found
    }

    #[tokio::test]
    async fn the_plugin_comes_first_and_what_is_too_old_is_told() {
        let plugin = ("docker", "[ $1 = compose ] && echo 2.26.1");
        let no_plugin = ("docker", "echo \"'compose' is not a docker command\" >&2; exit 1");
        let older = ("docker-compose", "echo 1.29.2");
        assert_eq!(found(&[plugin, older]).await, "docker compose 2.26.1");
        assert_eq!(found(&[no_plugin, older]).await, "docker-compose 1.29.2");
        assert_eq!(
            found(&[("docker-compose", "echo v2.40.0-desktop.1")]).await,
            "docker-compose 2.40.0-desktop.1"
        );
        let too_old = found(&[("docker-compose", "echo 1.25.0")]).await;
        assert_eq!(too_old, "Compose 1.25.0 is too old: 1.29 is the oldest that will do");
        assert!(found(&[no_plugin]).await.starts_with("there is no Compose"), "");
    }

    #[tokio::test]
    async fn it_sees_nothing_of_the_environment_and_its_last_words_are_told() {
        let script = r#"case $1 in version) echo 2.0.0; exit;; esac
            echo " Container x-1  Created"; echo "HOME=$HOME CARGO=$CARGO_MANIFEST_DIR" >&2; exit 3"#;
        let (folder, config) = machine(&[("docker-compose", script)]);
        let compose = Compose::find(&config).await.unwrap();
        let said = compose.create(folder.path(), "p", "f.json").await.unwrap_err();
        assert_eq!(said.to_string(), "HOME= CARGO=");
    }
}
