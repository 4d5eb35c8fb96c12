//! The server's configuration: read whole, every problem reported at once.

mod document;
mod model;
mod resolve;

pub use document::TrackerProvider;
pub use model::*;

use document::Document;
use smelt_core::document::{Problem, Problems, SecretSections, load, read_text, schema_of};
use std::path::Path;

/// Largest configuration that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Where a configuration names secrets, or says where they are.
const SECRET_SECTIONS: SecretSections<'_> =
    SecretSections(&["secrets", "auth", "policy", "workers", "tracker"]);

/// The JSON Schema of a server's configuration (draft 2020-12).
pub fn schema() -> serde_json::Value {
    schema_of::<Document>().to_value()
}

impl ServerConfig {
    /// Reads and checks the configuration at `path`. Returns it with the warnings about it.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn read(path: &Path) -> Result<(Self, Problems), Problems> {
        let origin = path.display().to_string();
        let text = read_text(path, MAX_BYTES).map_err(|error| {
            let problem = Problem::whole(format!("the configuration can't be read: {error}"));
            Problems::unreadable(origin.clone(), problem.help(error.hint()))
        })?;
        let folder = std::path::absolute(path).ok().and_then(|p| p.parent().map(Path::to_owned));
        Self::parse(&text, &origin, &folder.unwrap_or_default())
    }

    /// Checks the configuration in `text`, whose relative paths are relative to `folder`.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn parse(text: &str, origin: &str, folder: &Path) -> Result<(Self, Problems), Problems> {
        let loaded = load::<Document>(text, SECRET_SECTIONS);
        let mut problems = loaded.problems;
        let config =
            loaded.document.and_then(|document| resolve::resolve(document, folder, &mut problems));
        let problems = Problems::new(origin, text, problems).without_quoting(&loaded.secret_lines);
        match config {
            Some(config) if !problems.has_errors() => Ok((config, problems)),
            _ => Err(problems),
        }
    }
}
