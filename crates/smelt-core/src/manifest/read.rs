//! From a file to a [`Manifest`], or to everything that is wrong with it.

use super::document::Document;
use super::model::Manifest;
use super::resolve::{Surroundings, resolve};
use crate::document::{Problem, Problems, SecretSections, TextError, load, read_text, schema_of};
use std::path::Path;

/// Largest manifest that is read, in bytes. Tasks that are longer belong into a `spec_file`.
pub const MANIFEST_MAX_BYTES: u64 = 1 << 20;

/// Where a manifest names secrets, or hands on what may hold one.
const SECRET_SECTIONS: SecretSections<'_> =
    SecretSections(&["credentials", "forge", "kubernetes", "state_backend"]);

/// The JSON Schema of a manifest (draft 2020-12).
pub fn schema() -> serde_json::Value {
    schema_of::<Document>().to_value()
}

impl Manifest {
    /// Reads and checks the manifest at `path`; `home` is what `~` stands for in paths of the host.
    ///
    /// Returns the manifest with the warnings about it.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn read(path: &Path, home: Option<&Path>) -> Result<(Self, Problems), Problems> {
        let origin = path.display().to_string();
        let text = read_text(path, MANIFEST_MAX_BYTES)
            .map_err(|error| Problems::unreadable(origin.clone(), unreadable(&error)))?;
        let folder = std::path::absolute(path)
            .ok()
            .and_then(|path| path.parent().map(Path::to_owned))
            .unwrap_or_default();
        Self::parse(&text, &origin, &folder, home)
    }

    /// Checks the manifest in `text`, whose relative paths are relative to `folder`.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn parse(
        text: &str,
        origin: &str,
        folder: &Path,
        home: Option<&Path>,
    ) -> Result<(Self, Problems), Problems> {
        let says_nothing = |line: &str| line.trim().is_empty() || line.trim().starts_with('#');
        if text.lines().all(says_nothing) {
            let problem = Problem::whole("the manifest is empty");
            let help = "`smelt init` writes one to start from";
            return Err(Problems::new(origin, text, vec![problem.help(help)]));
        }
        let loaded = load::<Document>(text, SECRET_SECTIONS);
        let explained = loaded.problems.into_iter().map(super::services::explain_refused);
        let mut problems: Vec<_> = explained.collect();
        let around = Surroundings { folder, home, left_out: &loaded.left_out };
        let manifest =
            loaded.document.and_then(|document| resolve(document, text, &around, &mut problems));
        let problems = Problems::new(origin, text, problems).without_quoting(&loaded.secret_lines);
        match manifest {
            Some(manifest) if !problems.has_errors() => Ok((manifest, problems)),
            _ => Err(problems),
        }
    }
}

/// Why there is no manifest at a path, and what to do.
fn unreadable(error: &TextError) -> Problem {
    let help = match error {
        TextError::Unreadable(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            "check the path; `smelt init` writes a manifest to start from"
        }
        TextError::Folder => "name the file in it, such as `job-manifest.toml`",
        TextError::TooLarge { .. } => {
            "put long tasks into files of their own and name them with `spec_file`"
        }
        _ => error.hint(),
    };
    Problem::whole(format!("the manifest can't be read: {error}")).help(help)
}
