//! What the environment and the user's configuration say, read once.

use crate::error::{CliError, Result};
use crate::exit::Exit;
use schemars::JsonSchema;
use serde::Deserialize;
use smelt_core::document::{Located, Problems, SecretSections, TextError, load, read_text};
use smelt_core::name::SecretName;
use smelt_core::secret::{Secret, SecretSource, SecretSources, parse_env_file};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Largest env file or configuration that is read, in bytes.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// What the environment and the user's configuration say.
#[derive(Debug)]
pub struct Settings {
    /// All variables, for the processes that are to have them.
    pub environment: Vec<(OsString, OsString)>,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// Smelt's folder for what can be made again: mirrors, volumes, running sandboxes.
    pub cache: PathBuf,
    /// Where programs are found.
    pub path: OsString,
    /// The user's configuration file.
    pub config: Option<PathBuf>,
    /// Where secrets are looked up.
    pub secrets: SecretSources,
}

/// `~/.config/smelt/config.toml`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UserConfig {
    /// Where secrets are: name to `{ file = "…" }` or `{ command = ["…"] }`.
    #[serde(default)]
    secrets: BTreeMap<Located<SecretName>, SecretSource>,
}

impl Settings {
    /// Reads the environment, the user's configuration, and an env file where one is given.
    pub fn read(env_file: Option<&Path>) -> Result<Self> {
        let mut settings = Self::without_config()?;
        if let Some(path) = env_file {
            settings.secrets.env_file = read_env_file(path)?;
        }
        settings.secrets.configured = settings.read_config()?;
        Ok(settings)
    }

    /// A variable of the environment, unless it is empty or no text.
    pub fn variable(&self, name: &str) -> Option<String> {
        let found = self.environment.iter().find(|(key, _)| key == name)?;
        found.1.to_str().filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// What the user's configuration says of secrets.
    pub fn read_config(&self) -> Result<BTreeMap<SecretName, SecretSource>> {
        match &self.config {
            Some(path) => read_config(path, self.home.as_deref()),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Reads the environment only, for what must work whatever the configuration says.
    pub fn without_config() -> Result<Self> {
        let environment: Vec<_> = std::env::vars_os().collect();
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let home = folder("HOME").or_else(std::env::home_dir).filter(|home| home.is_absolute());
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let cache = folder("XDG_CACHE_HOME").or_else(|| below_home(".cache")).ok_or_else(|| {
            CliError::told(Exit::Invalid, "there is no place for runs: you have no home folder")
                .hint("set HOME, or XDG_CACHE_HOME to a folder of yours")
        })?;
        let config = folder("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
        let config = config.map(|folder| folder.join("smelt/config.toml"));
        let text = |(name, value): &(OsString, OsString)| {
            Some((name.to_str()?.to_owned(), Secret::new(value.to_str()?)))
        };
        let secrets = SecretSources {
            env_file: BTreeMap::new(),
            configured: BTreeMap::new(),
            credentials_dir: folder("CREDENTIALS_DIRECTORY"),
            environment: environment.iter().filter_map(text).collect(),
        };
        let path = variable("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        Ok(Self { environment, home, cache: cache.join("smelt"), path, config, secrets })
    }
}

fn read_env_file(path: &Path) -> Result<BTreeMap<SecretName, Secret>> {
    let named = |why: String| {
        CliError::told(Exit::Invalid, format!("the env file `{}`: {why}", path.display()))
    };
    let text = read_text(path, FILE_MAX_BYTES)
        .map_err(|error| named(error.to_string()).hint(error.hint()))?;
    parse_env_file(&text).map_err(|error| {
        named(error.to_string()).hint("write a `NAME=value` a line; `#` starts a comment")
    })
}

fn read_config(path: &Path, home: Option<&Path>) -> Result<BTreeMap<SecretName, SecretSource>> {
    let text = match read_text(path, FILE_MAX_BYTES) {
        Ok(text) => text,
        Err(TextError::Unreadable(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(BTreeMap::new());
        }
        Err(error) => {
            let message = format!("your configuration `{}` can't be read: {error}", path.display());
            return Err(CliError::told(Exit::Invalid, message).hint(error.hint()));
        }
    };
    let loaded = load::<UserConfig>(&text, SecretSections(&["secrets"]));
    let problems: Vec<_> =
        loaded.problems.into_iter().map(smelt_core::document::Problem::confidential).collect();
    let problems = Problems::new(path.display().to_string(), text, problems);
    match loaded.document {
        Some(config) if !problems.has_errors() => {
            let entries = config.secrets.into_iter();
            Ok(entries.map(|(name, source)| (name.into_inner(), below(home, source))).collect())
        }
        _ => Err(problems.into()),
    }
}

/// `~/` in a file's path is the user's home, where other paths start too: this configuration is of
/// one user, wherever they are.
fn below(home: Option<&Path>, source: SecretSource) -> SecretSource {
    let Some(home) = home else { return source };
    match source {
        SecretSource::File(path) => {
            SecretSource::File(path.strip_prefix("~").map(Path::to_owned).unwrap_or(path))
        }
        command @ SecretSource::Command(_) => command,
    }
    .relative_to(home)
}
