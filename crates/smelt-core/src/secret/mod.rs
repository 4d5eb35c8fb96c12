//! Secrets: named by manifests, looked up here, given to one process at a time.

mod env_file;
mod lookup;
mod redact;

pub use env_file::{EnvFileError, parse_env_file};
pub use lookup::{Origin, SecretError, SecretSource, SecretSources};
pub use redact::Redactor;

use secrecy::{ExposeSecret, SecretString};

/// The value of a secret. It is wiped from memory when dropped, and never printed.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes `value` as a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
