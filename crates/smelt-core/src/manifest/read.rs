//! From a file to a [`Manifest`], or to everything that is wrong with it.

use super::document::Document;
use super::model::Manifest;
use super::resolve::{Surroundings, resolve};
use crate::document::{Problem, Problems, SecretSections, load, schema_of};
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
        let text = read_text(path).map_err(|p| Problems::unreadable(origin.clone(), p))?;
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
        if text.trim().is_empty() {
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

/// The text of a file that a person wrote, or why it can't be read as one.
fn read_text(path: &Path) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "check the path; `smelt init` writes a manifest to start from"
            }
            std::io::ErrorKind::PermissionDenied => "make the file readable for you (chmod)",
            _ => "check that this is the file you mean",
        };
        Problem::whole(format!("the manifest can't be read: {error}")).help(help)
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Problem::whole("this is a folder, not a manifest")
            .help("name the file in it, such as `job-manifest.toml`"));
    }
    if metadata.len() > MANIFEST_MAX_BYTES {
        return Err(Problem::whole(format!(
            "the file is {} large, a manifest at most {}",
            bytesize::ByteSize(metadata.len()).display().iec(),
            bytesize::ByteSize(MANIFEST_MAX_BYTES).display().iec()
        ))
        .help("put long tasks into files of their own and name them with `spec_file`"));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|b| **b == b'\n').count() + 1;
        Problem::whole(format!("the file is not UTF-8 text: line {line} holds other bytes"))
            .help("save it as UTF-8")
    })
}
