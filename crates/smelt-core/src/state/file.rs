//! `state.toml` on disk: written whole or not at all, and never believed when it is torn.

use super::run::RunState;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Version of the state file that this Smelt writes, and the newest that it reads.
pub const STATE_VERSION: u32 = 1;

const SEAL: &str = "# sha256:";

/// Why a state file, or what stands around it, can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It could not be read or written.
    #[error("{} can't be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else's, who could change what is read from it and see what is written to it.
    #[error("{} belongs to another user", path.display())]
    OtherOwner {
        /// The folder.
        path: PathBuf,
    },
    /// It ends too early, or was changed: its checksum does not fit.
    #[error("{} is torn or was changed by hand: its checksum does not fit", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
    },
    /// A newer Smelt wrote it.
    #[error("{} has version {found}, this Smelt knows up to {STATE_VERSION}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It is whole and still makes no sense.
    #[error("{} can't be understood: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

impl StateError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => None,
            Self::Io { .. } => Some("mend that, or name a folder of yours with --dir"),
            Self::OtherOwner { .. } => Some("name a folder of yours with --dir"),
            Self::Torn { .. } => Some(
                "the run's events are beside it in events.jsonl; move the torn file away to go on",
            ),
            Self::Newer { .. } => Some("use the Smelt that wrote it, or a newer one"),
            Self::Malformed { .. } => Some("move the file away to go on"),
        }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// The state as text: TOML, and a last line by which a reader knows that it is whole.
pub(super) fn encode(state: &RunState) -> Result<String, toml::ser::Error> {
    let body = toml::to_string(state)?;
    Ok(format!("{body}{SEAL}{}\n", digest(&body)))
}

pub(super) fn decode(text: &str, path: &Path) -> Result<RunState, StateError> {
    let path = || path.to_owned();
    let version = text.lines().next().and_then(|line| line.strip_prefix("version = "));
    match version.and_then(|number| number.parse::<u32>().ok()) {
        Some(found) if found > STATE_VERSION => {
            return Err(StateError::Newer { path: path(), found });
        }
        Some(_) => {}
        None => return Err(StateError::Torn { path: path() }),
    }
    let seal = text.strip_suffix('\n').and_then(|text| text.rsplit_once(SEAL));
    let body = match seal {
        Some((body, sum)) if digest(body) == sum => body,
        _ => return Err(StateError::Torn { path: path() }),
    };
    toml::from_str(body).map_err(|error| StateError::Malformed {
        path: path(),
        message: error.message().to_owned(),
    })
}

pub(super) fn read(path: &Path) -> Result<RunState, StateError> {
    let bytes = std::fs::read(path).map_err(StateError::io(path))?;
    let text = String::from_utf8(bytes).map_err(|_| StateError::Torn { path: path.to_owned() })?;
    decode(&text, path)
}

/// Replaces the file at `path` by `text`: readers see the old or the new one, also after a crash.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = temporary(path);
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    std::fs::File::open(folder)?.sync_all()
}

/// Where the next text of the file at `path` is while it is written.
pub(super) fn temporary(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}

fn digest(body: &str) -> String {
    Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        encode(&RunState::sample()).unwrap()
    }

    #[test]
    fn what_is_written_reads_back() {
        let state = RunState::sample();
        assert_eq!(decode(&sample(), Path::new("s")).unwrap(), state);
    }

    #[test]
    fn torn_at_every_byte_is_refused_by_name() {
        let text = sample();
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let error = decode(&text[..end], Path::new("state.toml")).unwrap_err();
            assert!(matches!(error, StateError::Torn { .. }), "cut at {end}: {error}");
            assert!(error.to_string().contains("state.toml"));
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let text = sample();
        for byte in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[byte] ^= 1 << bit;
                let Ok(flipped) = String::from_utf8(bytes) else { continue };
                assert!(decode(&flipped, Path::new("s")).is_err(), "byte {byte}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_newer_file_is_refused_by_its_version() {
        let text = sample().replacen("version = 1", "version = 2", 1);
        let error = decode(&text, Path::new("state.toml")).unwrap_err();
        assert!(matches!(error, StateError::Newer { found: 2, .. }), "{error}");
    }

    #[test]
    fn replacing_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.toml");
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
