//! Mounts, put together so that nothing inside can lead them astray.
//!
//! A mount point is made anew for each command, by its path. Where that path leads through a folder
//! that can be written inside, a link planted there would lead out of the jail while it is being
//! made. So every folder on the way is a mount point itself: those can neither be moved nor replaced.

use super::jail::Mount;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Mounts, each after those it lies in.
#[derive(Debug)]
pub(super) struct Mounts<'a> {
    mounts: Vec<Mount>,
    /// Folder of the run's own; nobody but this run writes below it.
    own: &'a Path,
}

impl<'a> Mounts<'a> {
    pub(super) fn new(mounts: Vec<Mount>, own: &'a Path) -> Self {
        Self { mounts, own }
    }

    pub(super) fn push(&mut self, mount: Mount) -> io::Result<()> {
        if let Some(around) = self.innermost_around(&mount.inside)
            && around.writable
        {
            let Mount { host, inside, .. } = around.clone();
            self.pin(&host, &inside, &mount)?;
        }
        self.mounts.push(mount);
        Ok(())
    }

    pub(super) fn into_vec(self) -> Vec<Mount> {
        self.mounts
    }

    fn innermost_around(&self, path: &Path) -> Option<&Mount> {
        let around = self.mounts.iter().filter(|m| path != m.inside && path.starts_with(&m.inside));
        around.max_by_key(|mount| mount.inside.as_os_str().len())
    }

    /// Makes the way from the folder `host`, seen at `inside`, to `mount`, and keeps it as it is.
    fn pin(&mut self, host: &Path, inside: &Path, mount: &Mount) -> io::Result<()> {
        if !host.starts_with(self.own) {
            return Err(io::Error::other(format!(
                "`{}` would lie in `{}`, which other runs write too",
                mount.inside.display(),
                inside.display()
            )));
        }
        let way = mount.inside.strip_prefix(inside).map_err(io::Error::other)?;
        let folders = way.parent().unwrap_or(Path::new(""));
        let (mut host, mut inside) = (host.to_owned(), inside.to_owned());
        for part in folders {
            host.push(part);
            inside.push(part);
            real_folder(&host)?;
            self.mounts.push(Mount::writable(&host, &inside));
        }
        let place = host.join(way.file_name().unwrap_or_default());
        match mount.host.is_dir() {
            true => real_folder(&place),
            false => real_file(&place),
        }
    }
}

/// A folder at `path` that is no link, made where nothing is.
fn real_folder(path: &PathBuf) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ if fs::symlink_metadata(path)?.is_dir() => Ok(()),
        _ => Err(io::Error::other(format!("`{}` is no folder", path.display()))),
    }
}

/// A file at `path` that is no link, made where nothing is.
fn real_file(path: &PathBuf) -> io::Result<()> {
    match fs::File::create_new(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ if fs::symlink_metadata(path)?.is_file() => Ok(()),
        _ => Err(io::Error::other(format!("`{}` is no file", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_mount_is_made_of_mount_points() {
        let own = tempfile::tempdir().unwrap();
        let home = own.path().join("home");
        let tool = own.path().join("tool");
        fs::create_dir(&home).unwrap();
        fs::create_dir(&tool).unwrap();
        let mut mounts = Mounts::new(vec![Mount::writable(&home, "/home/u")], own.path());
        for inside in ["/home/u/.local/share/tool", "/home/u/.local/bin", "/opt/tool"] {
            mounts.push(Mount::read_only(&tool, inside)).unwrap();
        }
        let seen = mounts.into_vec();
        let seen: Vec<_> = seen.iter().map(|m| m.inside.display().to_string()).collect();
        assert_eq!(
            seen,
            [
                "/home/u",
                "/home/u/.local",
                "/home/u/.local/share",
                "/home/u/.local/share/tool",
                "/home/u/.local/bin",
                "/opt/tool"
            ]
        );
        assert!(home.join(".local/share/tool").is_dir());
    }

    #[test]
    fn a_link_on_the_way_is_not_followed() {
        let own = tempfile::tempdir().unwrap();
        let (home, victim) = (own.path().join("home"), own.path().join("victim"));
        fs::create_dir(&home).unwrap();
        fs::create_dir(&victim).unwrap();
        std::os::unix::fs::symlink(&victim, home.join(".local")).unwrap();
        let mut mounts = Mounts::new(vec![Mount::writable(&home, "/home/u")], own.path());
        mounts.push(Mount::read_only("/usr", "/home/u/.local/usr")).unwrap_err();
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
    }

    #[test]
    fn a_volume_that_other_runs_write_holds_no_mounts() {
        let (own, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let volume = Mount::writable(volume.path(), "/home/u/.cargo");
        let mut mounts = Mounts::new(vec![volume], own.path());
        mounts.push(Mount::read_only("/usr", "/home/u/.cargo/bin")).unwrap_err();
    }
}
