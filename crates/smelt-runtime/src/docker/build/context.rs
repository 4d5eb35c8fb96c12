//! What an image is built of: a folder and its Dockerfile, as an archive that is the same wherever and
//! whenever it is made of the same files.

use super::error::BuildError;
use super::walk::{Entry, Kind, look_through, unreadable};
use crate::docker::endpoint::hex;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// The time of every file, in seconds since 1970. When a file was written would make an image of
/// the same content another one, by every fresh checkout. 2 January 1980 is the oldest that zip and what
/// is made of it (wheels, jars) can hold, in every time zone.
const MTIME: u64 = 315_619_200;

/// Stands before everything that is hashed: what an image is made of changes with this.
const FORM: &[u8] = b"smelt-build 1\n";

/// A build's context, looked through and not yet read.
#[derive(Debug)]
pub(super) struct Context {
    /// The folder, without links.
    root: PathBuf,
    /// The Dockerfile, relative to it.
    pub(super) dockerfile: String,
    entries: Vec<Entry>,
    /// What no image can hold, relative to the folder.
    pub(super) skipped: Vec<PathBuf>,
}

impl Context {
    /// Looks through `folder`, whose Dockerfile `dockerfile` is relative to it.
    pub(super) fn open(folder: &Path, dockerfile: &Path) -> Result<Self, BuildError> {
        let real = |path: &Path| path.canonicalize().map_err(|source| unreadable(path, source));
        let root = real(folder)?;
        let file = real(&root.join(dockerfile))?;
        let outside = || BuildError::Outside { dockerfile: file.clone(), context: root.clone() };
        let dockerfile =
            file.strip_prefix(&root).ok().and_then(Path::to_str).ok_or_else(outside)?;
        let (entries, skipped) = look_through(&root, dockerfile)?;
        let dockerfile = dockerfile.to_owned();
        Ok(Self { dockerfile, entries, skipped, root })
    }

    /// The hash of all that an image is made of.
    pub(super) fn hash(&self) -> Result<String, BuildError> {
        self.write(io::sink(), Path::new(""))
    }

    /// The archive in a file of `folder` that nobody else sees, from its beginning, and its hash.
    pub(super) fn spool(&self, folder: &Path) -> Result<(File, String), BuildError> {
        let failed = |source| BuildError::Spool { folder: folder.to_owned(), source };
        let mut file = tempfile::tempfile_in(folder).map_err(failed)?;
        let mut buffered = BufWriter::new(&mut file);
        let hash = self.write(&mut buffered, folder)?;
        buffered.flush().map_err(failed)?;
        drop(buffered);
        file.rewind().map_err(failed)?;
        Ok((file, hash))
    }

    /// Writes the archive to something in `folder`, and returns its hash.
    fn write(&self, into: impl Write, folder: &Path) -> Result<String, BuildError> {
        let failed = |source| BuildError::Spool { folder: folder.to_owned(), source };
        let mut hasher = Sha256::new();
        hasher.update(FORM);
        hasher.update(self.dockerfile.as_bytes());
        hasher.update(b"\n");
        let mut archive = tar::Builder::new(Hashing { into, hasher });
        for entry in &self.entries {
            let mut header = Header::new_gnu();
            // Whose the files are here is nothing to the image: root's, as with Docker's command.
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(MTIME);
            header.set_mode(entry.mode);
            header.set_size(0);
            match &entry.kind {
                Kind::Folder => {
                    header.set_entry_type(EntryType::Directory);
                    archive.append_data(&mut header, &entry.path, io::empty()).map_err(failed)?;
                }
                Kind::Link { target } => {
                    header.set_entry_type(EntryType::Symlink);
                    archive.append_link(&mut header, &entry.path, target).map_err(failed)?;
                }
                Kind::File { size } => {
                    header.set_entry_type(EntryType::Regular);
                    header.set_size(*size);
                    let path = self.root.join(&entry.path);
                    let file = File::open(&path).map_err(|source| unreadable(&path, source))?;
                    let mut exact = Exact { from: file, left: *size, fault: None };
                    let written = archive.append_data(&mut header, &entry.path, &mut exact);
                    match exact.fault {
                        Some(Fault::Changed) => return Err(BuildError::Changed { path }),
                        Some(Fault::Read(source)) => return Err(unreadable(&path, source)),
                        None => written.map_err(failed)?,
                    }
                }
            }
        }
        let Hashing { hasher, .. } = archive.into_inner().map_err(failed)?;
        Ok(hex(&hasher.finalize()))
    }
}

/// Hashes what goes through.
struct Hashing<W> {
    into: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.into.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// Why a file could not be read to its end.
enum Fault {
    Changed,
    Read(io::Error),
}

/// A file that has as many bytes as it had when it was looked at.
struct Exact {
    from: File,
    left: u64,
    fault: Option<Fault>,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let fault = match self.from.read(buffer) {
            Ok(n) if n as u64 > self.left || (n == 0 && self.left > 0) => Fault::Changed,
            Ok(n) => {
                self.left -= n as u64;
                return Ok(n);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => Fault::Read(error),
        };
        self.fault = Some(fault);
        Err(ErrorKind::Other.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    /// A context of these files, and the folders they are in.
    fn context(files: &[(&str, &str)]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn open(folder: &TempDir) -> Context {
        Context::open(folder.path(), Path::new("Dockerfile")).unwrap()
    }

    /// Names in the archive, with what each is.
    fn names(context: &Context) -> Vec<String> {
        let spool = TempDir::new().unwrap();
        let (file, hash) = context.spool(spool.path()).unwrap();
        assert_eq!(hash, context.hash().unwrap());
        assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 0);
        let mut archive = tar::Archive::new(file);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (MTIME, 0));
            let mode = header.mode().unwrap();
            match entry.link_name().unwrap() {
                Some(target) => format!("{path} -> {}", target.display()),
                None => format!("{path} {mode:o}"),
            }
        });
        entries.collect()
    }

    #[test]
    fn the_archive_holds_files_folders_and_links_in_order() {
        let folder = context(&[("Dockerfile", "FROM a\n"), ("b/run", "x"), ("a", "")]);
        let set = |name: &str, mode| {
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode))
                .unwrap();
        };
        set("Dockerfile", 0o644);
        set("a", 0o600);
        set("b", 0o755);
        set("b/run", 0o750);
        symlink("/etc/passwd", folder.path().join("b/link")).unwrap();
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let context = open(&folder);
        let expected = [
            "Dockerfile 644",
            "a 600",
            "b 755",
            "b/link -> /etc/passwd",
            "b/run 750",
            "dangling -> nowhere",
        ];
        assert_eq!(names(&context), expected);
        assert_eq!(context.skipped, [Path::new("socket")]);
    }

    #[test]
    fn the_hash_is_of_what_is_in_the_files_and_not_of_when() {
        let files =
            [("Dockerfile", "FROM a\n"), ("x/y", "1"), (".dockerignore", "log\n"), ("log", "1")];
        let (one, other) = (context(&files), context(&files));
        let old = std::time::SystemTime::UNIX_EPOCH;
        File::open(other.path().join("x/y")).unwrap().set_modified(old).unwrap();
        fs::write(other.path().join("log"), "what is left out").unwrap();
        let hash = open(&one).hash().unwrap();
        assert_eq!(hash.len(), 64);
        assert_eq!(open(&other).hash().unwrap(), hash);
        let changes: [fn(&Path); 5] = [
            |folder| fs::write(folder.join("x/y"), "2").unwrap(),
            |folder| fs::rename(folder.join("x/y"), folder.join("x/z")).unwrap(),
            |folder| {
                fs::set_permissions(folder.join("x/y"), fs::Permissions::from_mode(0o755)).unwrap();
            },
            |folder| fs::create_dir(folder.join("empty")).unwrap(),
            |folder| fs::write(folder.join("Dockerfile"), "FROM b\n").unwrap(),
        ];
        for change in changes {
            let changed = context(&files);
            change(changed.path());
            assert_ne!(open(&changed).hash().unwrap(), hash);
        }
    }

    #[test]
    fn what_is_left_out_keeps_the_dockerfile_and_what_exceptions_let_in() {
        let folder = context(&[
            ("Dockerfile", "FROM a\n"),
            (".dockerignore", "**\n!src/*/keep\n"),
            ("src/a/keep", ""),
            ("src/a/other", ""),
            ("src/b/other", ""),
            ("target/debug/x", ""),
        ]);
        let names = names(&open(&folder)).join(" ");
        let names: Vec<_> = names.split(' ').step_by(2).map(|n| n.trim_end_matches('/')).collect();
        assert_eq!(names, [".dockerignore", "Dockerfile", "src", "src/a", "src/a/keep"]);
    }

    #[test]
    fn a_dockerfile_may_have_rules_of_its_own() {
        let folder = context(&[
            ("docker/Dockerfile", "FROM a\n"),
            ("docker/Dockerfile.dockerignore", "*\n"),
            (".dockerignore", ""),
            ("big", ""),
        ]);
        let context =
            Context::open(folder.path(), Path::new("docker/../docker/Dockerfile")).unwrap();
        assert_eq!(context.dockerfile, "docker/Dockerfile");
        let names = names(&context).join(" ");
        assert!(names.contains("docker/Dockerfile ") && !names.contains("big"), "{names}");
        assert!(!names.contains("Dockerfile.dockerignore"), "{names}");
    }

    #[test]
    fn what_cannot_be_a_context_is_refused_with_the_reason() {
        let folder = context(&[("in/x", ""), ("Dockerfile", ""), ("in/.dockerignore", "ok\n[\n")]);
        let error = |dockerfile: &str| {
            Context::open(&folder.path().join("in"), Path::new(dockerfile)).unwrap_err().to_string()
        };
        assert!(error("../Dockerfile").contains("is not below the build's context"));
        assert!(error("absent").contains("absent can't be read: No such file"));
        assert!(
            error("x").contains("in/.dockerignore, line 2: \"[\" is no pattern"),
            "{}",
            error("x")
        );
        let context = open(&folder);
        fs::remove_file(folder.path().join("in/x")).unwrap();
        assert!(matches!(context.hash(), Err(BuildError::Read { .. })));
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_named() {
        for text in ["shorter", "this is longer than before"] {
            let folder = context(&[("Dockerfile", "FROM scratch\n")]);
            let context = open(&folder);
            fs::write(folder.path().join("Dockerfile"), text).unwrap();
            assert!(matches!(context.hash(), Err(BuildError::Changed { .. })));
        }
    }
}
