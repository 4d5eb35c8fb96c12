//! Looks through a build's context: what of it goes to the engine, in an order of its own.

use super::error::BuildError;
use super::ignore::{Ignore, Malformed};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the file with rules.
const IGNORE: &str = ".dockerignore";

/// Something in the context.
#[derive(Debug)]
pub(super) struct Entry {
    /// Relative to the context.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// Permissions.
    pub(super) mode: u32,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Kind {
    Folder,
    File { size: u64 },
    Link { target: PathBuf },
}

/// What is in the folder `root` and goes to the engine; and what of it no image can hold, relative to the
/// folder.
pub(super) fn look_through(
    root: &Path,
    dockerfile: &str,
) -> Result<(Vec<Entry>, Vec<PathBuf>), BuildError> {
    let ignore = read_ignore(root, dockerfile)?.behind_own();
    // The engine itself takes these two out again, where they are left out.
    let kept = [IGNORE, dockerfile];
    let mut walk = Walk { root, ignore, kept, entries: Vec::new(), skipped: Vec::new() };
    walk.folder(Path::new(""), &mut Vec::new())?;
    Ok((walk.entries, walk.skipped))
}

/// `path` can't be read.
pub(super) fn unreadable(path: &Path, source: io::Error) -> BuildError {
    BuildError::Read { path: path.to_owned(), source }
}

/// The rules of a context: those of its Dockerfile alone come first.
fn read_ignore(root: &Path, dockerfile: &str) -> Result<Ignore, BuildError> {
    for name in [&format!("{dockerfile}{IGNORE}"), IGNORE] {
        let path = root.join(name);
        match fs::read(&path) {
            Ok(text) => {
                let malformed = |error: Malformed| BuildError::Ignore {
                    path: path.clone(),
                    line: error.line,
                    text: error.text,
                };
                return Ignore::parse(&String::from_utf8_lossy(&text)).map_err(malformed);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, error)),
        }
    }
    Ok(Ignore::default())
}

/// Looks through a context.
struct Walk<'a> {
    root: &'a Path,
    ignore: Ignore,
    /// What no rule leaves out.
    kept: [&'a str; 2],
    entries: Vec<Entry>,
    skipped: Vec<PathBuf>,
}

impl Walk<'_> {
    /// Looks through `folder`. `above` are the folders it is in that are left out themselves, and not
    /// needed before something in them is let in.
    fn folder(&mut self, folder: &Path, above: &mut Vec<Entry>) -> Result<(), BuildError> {
        let whole = self.root.join(folder);
        let failed = |source| unreadable(&whole, source);
        let listed: Result<Vec<_>, _> = fs::read_dir(&whole).map_err(failed)?.collect();
        let mut names: Vec<_> =
            listed.map_err(failed)?.iter().map(fs::DirEntry::file_name).collect();
        names.sort();
        for name in names {
            let path = folder.join(name);
            let text = path.to_string_lossy().into_owned();
            let excluded = self.ignore.excludes(&text) && !self.kept.contains(&text.as_str());
            let leads_to_kept = || self.kept.iter().any(|kept| Path::new(kept).starts_with(&path));
            if excluded && !self.ignore.may_include_below(&text) && !leads_to_kept() {
                continue;
            }
            let whole = self.root.join(&path);
            let metadata =
                fs::symlink_metadata(&whole).map_err(|source| unreadable(&whole, source))?;
            if metadata.is_dir() {
                let entry = Entry::new(path.clone(), &metadata, Kind::Folder);
                if excluded {
                    above.push(entry);
                } else {
                    self.entries.append(above);
                    self.entries.push(entry);
                }
                let depth = above.len();
                self.folder(&path, above)?;
                // Still there if nothing in it was let in.
                if excluded && above.len() == depth {
                    above.pop();
                }
            } else if !excluded {
                match kind_of(&whole, &metadata)? {
                    Some(kind) => {
                        self.entries.append(above);
                        self.entries.push(Entry::new(path, &metadata, kind));
                    }
                    None => self.skipped.push(path),
                }
            }
        }
        Ok(())
    }
}

/// What is no folder; `None` for what no image holds.
fn kind_of(path: &Path, metadata: &Metadata) -> Result<Option<Kind>, BuildError> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(|source| unreadable(path, source))?;
        return Ok(Some(Kind::Link { target }));
    }
    let special =
        kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device();
    Ok((!special).then_some(Kind::File { size: metadata.len() }))
}

impl Entry {
    fn new(path: PathBuf, metadata: &Metadata, kind: Kind) -> Self {
        // Links have none that mean something, and other ones on each system.
        let mode = match kind {
            Kind::Link { .. } => 0o777,
            Kind::File { .. } | Kind::Folder => metadata.permissions().mode() & 0o7777,
        };
        Self { path, kind, mode }
    }
}
