//! The jail that a pod's commands run in: `bwrap` without a pid namespace.

use serde_json::Value;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Folders of the host that stand for the image's.
const IMAGE: [&str; 8] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "etc", "opt"];

/// The path of a container whose image says nothing else.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A container's files and environment.
pub(crate) struct Jail {
    folder: PathBuf,
    root: PathBuf,
    read_only: bool,
    mounts: Vec<Mount>,
    directory: String,
    environment: Vec<(String, String)>,
}

/// A volume of the pod.
struct Mount {
    host: PathBuf,
    path: String,
    read_only: bool,
}

/// Makes the folders of a pod that its node has taken.
pub(crate) fn prepare(folder: &Path, pod: &Value) -> io::Result<()> {
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        let jail = Jail::of(folder, pod, container);
        std::fs::create_dir_all(&jail.root)?;
        for name in IMAGE {
            let (host, inside) = (Path::new("/").join(name), jail.root.join(name));
            match std::fs::read_link(&host) {
                Ok(target) => std::os::unix::fs::symlink(target, inside)?,
                Err(_) if host.is_dir() => std::fs::create_dir_all(inside)?,
                Err(_) => {}
            }
        }
        for name in ["dev", "proc", "tmp"] {
            std::fs::create_dir_all(jail.root.join(name))?;
        }
        for mount in &jail.mounts {
            std::fs::create_dir_all(&mount.host)?;
        }
        // A mount below another needs its folder there.
        for path in jail.mounts.iter().map(|mount| &mount.path).chain([&jail.directory]) {
            if let Some(host) = jail.writable(path) {
                std::fs::create_dir_all(host)?;
            }
        }
    }
    std::fs::write(folder.join("termination-log"), "")
}

impl Jail {
    pub(crate) fn of(folder: &Path, pod: &Value, container: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&container["name"]);
        let mut mounts: Vec<Mount> = container["volumeMounts"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|mount| Mount {
                host: folder
                    .join("volumes")
                    .join(text(&mount["name"]))
                    .join(text(&mount["subPath"])),
                path: text(&mount["mountPath"]),
                read_only: mount["readOnly"] == true,
            })
            .collect();
        mounts.sort_by_key(|mount| mount.path.len());
        let given = container["env"].as_array().into_iter().flatten();
        let given = given.map(|pair| (text(&pair["name"]), text(&pair["value"])));
        let own = [("PATH".to_owned(), PATH.to_owned()), ("HOSTNAME".to_owned(), hostname(pod))];
        let directory = container["workingDir"].as_str().unwrap_or("/").to_owned();
        Self {
            folder: folder.to_owned(),
            root: folder.join("roots").join(name),
            read_only: container["securityContext"]["readOnlyRootFilesystem"] == true,
            mounts,
            directory,
            environment: own.into_iter().chain(given).collect(),
        }
    }

    /// What to run instead of the command, and its arguments.
    pub(crate) fn command(&self, command: &[String]) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec!["bwrap".into(), "--die-with-parent".into()];
        let mut add = |words: &[&std::ffi::OsStr]| all.extend(words.iter().map(OsString::from));
        let bind = |read_only: bool| if read_only { "--ro-bind" } else { "--bind" };
        add(&[bind(self.read_only).as_ref(), self.root.as_ref(), "/".as_ref()]);
        for name in IMAGE {
            let host = Path::new("/").join(name);
            if host.is_dir() && !host.is_symlink() {
                add(&["--ro-bind".as_ref(), host.as_ref(), host.as_ref()]);
            }
        }
        add(&["--bind".as_ref(), "/proc".as_ref(), "/proc".as_ref()]);
        add(&["--dev".as_ref(), "/dev".as_ref()]);
        let log = self.folder.join("termination-log");
        add(&["--bind".as_ref(), log.as_ref(), "/dev/termination-log".as_ref()]);
        for mount in &self.mounts {
            let (host, path) = (mount.host.as_ref(), mount.path.as_ref());
            add(&[bind(mount.read_only).as_ref(), host, path]);
        }
        add(&["--chdir".as_ref(), self.directory.as_ref(), "--clearenv".as_ref()]);
        for (name, value) in &self.environment {
            add(&["--setenv".as_ref(), name.as_ref(), value.as_ref()]);
        }
        add(&["--".as_ref()]);
        all.extend(command.iter().map(OsString::from));
        all
    }

    /// Why the program can't be run, in the words of the container's runtime.
    pub(crate) fn refusal(&self, program: &str) -> Option<String> {
        use std::os::unix::fs::PermissionsExt;
        if program.contains('/') {
            let path = Path::new(&self.directory).join(program);
            let host = self.host(&path.to_string_lossy());
            return match std::fs::metadata(&host) {
                Ok(found) if found.is_dir() => {
                    Some(format!("exec: \"{program}\": is a directory: unknown"))
                }
                Ok(found) if found.permissions().mode() & 0o111 == 0 => {
                    Some(format!("exec: \"{program}\": permission denied: unknown"))
                }
                Ok(_) => None,
                // Its target is a path of the jail's.
                Err(_) if host.is_symlink() => None,
                Err(_) => Some(format!(
                    "exec: \"{program}\": stat {program}: no such file or directory: unknown"
                )),
            };
        }
        let path = self.environment.iter().rev().find(|(name, _)| name == "PATH");
        let mut folders = path.map_or("", |(_, value)| value).split(':');
        let found = folders.any(|folder| {
            let host = self.host(&format!("{folder}/{program}"));
            host.is_symlink() || std::fs::metadata(host).is_ok_and(|found| found.is_file())
        });
        (!found)
            .then(|| format!("exec: \"{program}\": executable file not found in $PATH: unknown"))
    }

    /// Where a path of the jail's is on the host.
    fn host(&self, path: &str) -> PathBuf {
        self.writable(path).unwrap_or_else(|| PathBuf::from(path))
    }

    /// The same, for what is not the image's.
    fn writable(&self, path: &str) -> Option<PathBuf> {
        let mount = self.mounts.iter().rev().find(|mount| {
            Path::new(path).starts_with(&mount.path) && Path::new(path) != Path::new(&mount.path)
        });
        if let Some(mount) = mount {
            return Some(mount.host.join(Path::new(path).strip_prefix(&mount.path).ok()?));
        }
        let inside = Path::new(path).strip_prefix("/").ok()?;
        let first = inside.components().next();
        let image = matches!(first, Some(Component::Normal(name))
            if IMAGE.iter().any(|image| name == *image) || name == "dev" || name == "proc");
        (!image).then(|| self.root.join(inside))
    }
}

fn hostname(pod: &Value) -> String {
    let name = pod["spec"]["hostname"].as_str().or(pod["metadata"]["name"].as_str());
    name.unwrap_or_default().chars().take(63).collect()
}
