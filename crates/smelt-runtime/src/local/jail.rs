//! The view from inside a jail, as arguments for bubblewrap. Pure.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Folder inside that is the run's own. It can't be written itself; what is mounted in it can.
pub(super) const ROOT: &str = "/smelt";

/// Where the jail's user lives when the host's home can't be shadowed.
const PLAIN_HOME: &str = "/home/smelt";

/// Top folders that are links into `/usr` on most systems, and folders of their own on others.
pub(super) const USR_FOLDERS: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// What of `/proc` is about the whole machine and can be written by its root: entries that are neither
/// of a process nor links. Without capabilities a jail's root is still the owner of these files.
pub(super) fn machine_wide_proc() -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let entries = entries.filter(|entry| {
        let of_process = entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit());
        let writable = entry.metadata().is_ok_and(|meta| {
            meta.is_dir() || (meta.is_file() && meta.permissions().mode() & 0o222 != 0)
        });
        !of_process && writable
    });
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A folder or file of the host that is seen inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// On the host.
    pub(super) host: PathBuf,
    /// Inside.
    pub(super) inside: PathBuf,
    /// Whether it can be written.
    pub(super) writable: bool,
}

impl Mount {
    pub(super) fn read_only(host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        Self { host: host.into(), inside: inside.into(), writable: false }
    }

    pub(super) fn writable(host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        Self { host: host.into(), inside: inside.into(), writable: true }
    }
}

/// Who a jail's processes are, to themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// What is inside a jail.
#[derive(Clone, Debug)]
pub(super) struct Jail {
    /// The jail's program, bubblewrap.
    pub(super) program: PathBuf,
    /// Paths below `/proc` that are covered by themselves, read-only.
    pub(super) covered: Vec<PathBuf>,
    /// Links into `/usr`: path and where it leads.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// What is seen of the host, each after those it lies in.
    pub(super) mounts: Vec<Mount>,
    /// Who its processes are.
    pub(super) user: User,
    /// Whether the host's network is seen.
    pub(super) network: bool,
    /// Whether namespaces inside the jail can be forbidden.
    pub(super) forbids_namespaces: bool,
}

impl Jail {
    /// bubblewrap's arguments up to the command that is to run inside. Status goes to `status_fd`;
    /// further arguments, the variables inside, are read from `env_fd`.
    pub(super) fn arguments(&self, folder: &Path, status_fd: i32, env_fd: i32) -> Vec<OsString> {
        let mut arguments = Arguments(Vec::new());
        for option in [
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ] {
            arguments.push([option]);
        }
        if !self.network {
            arguments.push(["--unshare-net"]);
        }
        if self.forbids_namespaces {
            arguments.push(["--disable-userns"]);
        }
        arguments.push(["--die-with-parent"]);
        // Without a session of its own a command could type into the user's terminal.
        arguments.push(["--new-session"]);
        arguments.push(["--cap-drop", "ALL"]);
        arguments.push(["--hostname", "smelt"]);
        arguments.push(["--uid", &self.user.uid.to_string()]);
        arguments.push(["--gid", &self.user.gid.to_string()]);
        arguments.push(["--json-status-fd", &status_fd.to_string()]);
        arguments.push(["--args", &env_fd.to_string()]);
        arguments.push(["--proc", "/proc"]);
        for path in &self.covered {
            arguments.push([OsStr::new("--ro-bind"), path.as_os_str(), path.as_os_str()]);
        }
        arguments.push(["--dev", "/dev"]);
        for folder in ["/run", "/var"] {
            arguments.push(["--dir", folder]);
        }
        for (path, target) in &self.links {
            arguments.push([OsStr::new("--symlink"), target.as_os_str(), path.as_os_str()]);
        }
        for Mount { host, inside, writable } in &self.mounts {
            let option = if *writable { "--bind" } else { "--ro-bind" };
            arguments.push([OsStr::new(option), host.as_os_str(), inside.as_os_str()]);
        }
        // The jail's own root is a file system in memory: nothing is to be put there.
        arguments.push(["--remount-ro", "/"]);
        arguments.push([OsStr::new("--chdir"), folder.as_os_str()]);
        arguments.push(["--"]);
        arguments.0
    }
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn push<S: AsRef<OsStr>, const N: usize>(&mut self, words: [S; N]) {
        self.0.extend(words.iter().map(|word| word.as_ref().to_owned()));
    }
}

/// Where the jail's home is: at the path of the user's own, so that paths and links into it hold,
/// unless that path means something else.
pub(super) fn home_inside(home: &Path) -> PathBuf {
    let taken = ["/usr", "/etc", "/proc", "/dev", "/run", "/tmp", "/var", ROOT]
        .iter()
        .any(|folder| home.starts_with(folder));
    let plain = home.is_absolute() && home != Path::new("/") && !taken;
    if plain { home.to_owned() } else { PathBuf::from(PLAIN_HOME) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_from_inside() {
        let jail = Jail {
            program: "/usr/bin/bwrap".into(),
            covered: vec!["/proc/sys".into()],
            links: vec![("/bin".into(), "usr/bin".into())],
            mounts: vec![
                Mount::read_only("/usr", "/usr"),
                Mount::writable("/scratch/home", "/home/u"),
                Mount::read_only("/home/u/.cargo/bin", "/home/u/.cargo/bin"),
                Mount::writable("/scratch/root/workspace", Path::new(ROOT).join("workspace")),
            ],
            user: User { uid: 1000, gid: 1000 },
            network: false,
            forbids_namespaces: true,
        };
        let arguments = jail.arguments(Path::new("/smelt/workspace"), 3, 4);
        let words = arguments.iter().map(|word| word.to_string_lossy().into_owned());
        let lines = words.fold(String::new(), |text, word| {
            let separator = if word.starts_with("--") { "\n" } else { " " };
            text + separator + &word
        });
        insta::assert_snapshot!(lines.trim_start());
    }

    #[test]
    fn homes_that_mean_something_else_are_not_shadowed() {
        assert_eq!(home_inside(Path::new("/home/u")), Path::new("/home/u"));
        assert_eq!(home_inside(Path::new("/root")), Path::new("/root"));
        for odd in ["/", "/usr/games", "/var/lib/postgresql", "/tmp/x", "relative", "/smelt"] {
            assert_eq!(home_inside(Path::new(odd)), Path::new(PLAIN_HOME), "{odd}");
        }
    }
}
