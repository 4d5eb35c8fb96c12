//! What this machine gives a jail: bubblewrap, namespaces, control groups.

use super::LocalConfig;
use super::cgroup::Cgroups;
use super::jail::{Jail, Mount, USR_FOLDERS, User, machine_wide_proc};
use super::spawner::Spawner;
use smelt_core::port::{Check, CheckState, Readiness};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Longest time for trying a jail out.
const PROBE_DEADLINE: Duration = Duration::from_secs(10);

/// Whether a jail can be made, and with what.
#[derive(Clone, Debug)]
pub(super) enum JailState {
    /// It can.
    Works {
        program: PathBuf,
        /// What of `/proc` is to be covered.
        covered: Vec<PathBuf>,
        /// Whether namespaces inside a jail can be forbidden.
        forbids_namespaces: bool,
    },
    /// It can't.
    Fails {
        /// Why.
        why: String,
        /// What would help.
        fix: String,
    },
}

/// What this machine gives a jail.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) jail: JailState,
    /// Control groups that can be used; `None`: resource limits of single processes only.
    pub(super) cgroups: Option<Cgroups>,
    /// Where `prlimit` is.
    pub(super) prlimit: Option<PathBuf>,
    /// Where `setpriv` is.
    pub(super) setpriv: Option<PathBuf>,
}

impl Host {
    pub(super) async fn probe(config: &LocalConfig) -> Self {
        let find = |name| find_program(&config.path, name);
        let jail = match find("bwrap") {
            Some(program) => try_out(program).await,
            None => JailState::Fails {
                why: "bubblewrap (`bwrap`) is not installed".into(),
                fix: "install it: apt install bubblewrap, dnf install bubblewrap".into(),
            },
        };
        let (prlimit, setpriv) = (find("prlimit"), find("setpriv"));
        Self { jail, cgroups: Cgroups::find(Path::new("/")), prlimit, setpriv }
    }

    pub(super) fn readiness(&self) -> Readiness {
        let jail = match &self.jail {
            JailState::Works { program, .. } => Check {
                name: "bubblewrap".into(),
                state: CheckState::Good,
                found: format!("{}: a jail works", program.display()),
                fix: None,
            },
            JailState::Fails { why, fix } => Check {
                name: "bubblewrap".into(),
                state: CheckState::Missing,
                found: why.clone(),
                fix: Some(format!("{fix}; or accept to run without a jail: --unsandboxed")),
            },
        };
        let limits = match &self.cgroups {
            Some(cgroups) => Check {
                name: "limits".into(),
                state: CheckState::Good,
                found: cgroups.to_string(),
                fix: None,
            },
            None => Check {
                name: "limits".into(),
                state: CheckState::Lacking,
                found: "no control group can be written: memory is limited per process, cores not at all".into(),
                fix: Some("run in a delegated group: systemd-run --user --scope -p Delegate=yes smelt …".into()),
            },
        };
        Readiness { checks: vec![jail, limits] }
    }
}

/// `name` on the `PATH` given.
pub(super) fn find_program(path: &OsStr, name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let executable = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(executable)
}

/// Runs `true` in a jail: nothing else tells whether this kernel, in this container, lets us.
async fn try_out(program: PathBuf) -> JailState {
    let (links, mounts) = system_view();
    let (user, network, covered) = (current_user(), true, machine_wide_proc());
    let mut jail =
        Jail { program, covered, links, mounts, user, network, forbids_namespaces: true };
    let mut tried = try_jail(&jail).await;
    // `--disable-userns` came with 0.8.
    if tried.as_ref().is_err_and(|said| said.contains("--disable-userns")) {
        jail.forbids_namespaces = false;
        tried = try_jail(&jail).await;
    }
    let Jail { program, covered, forbids_namespaces, .. } = jail;
    match tried {
        Ok(()) => JailState::Works { program, covered, forbids_namespaces },
        Err(said) => explain(&said),
    }
}

/// What bubblewrap said, where it made no jail.
async fn try_jail(jail: &Jail) -> Result<(), String> {
    let mut command = Command::new(&jail.program);
    command
        .env_clear()
        .args(jail.arguments(Path::new("/"), 1, 0))
        .arg("/usr/bin/true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let tried = async {
        let spawner = Spawner::start(Vec::new())?;
        spawner.spawn(command).await?.wait_with_output().await
    };
    match tokio::time::timeout(PROBE_DEADLINE, tried).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Ok(Err(error)) => Err(format!("it can't be started: {error}")),
        Err(_) => Err("it does not answer".into()),
    }
}

/// What bubblewrap's complaint comes from, and what would help.
fn explain(stderr: &str) -> JailState {
    let said = smelt_core::text::clean_text(stderr);
    let said = said.lines().last().unwrap_or("it said nothing").to_owned();
    let setting = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
    let fix = if setting("kernel/apparmor_restrict_unprivileged_userns").trim() == "1" {
        "AppArmor keeps users from making namespaces: give bwrap a profile that allows it, or \
         sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    } else if setting("kernel/unprivileged_userns_clone").trim() == "0" {
        "the kernel keeps users from making namespaces: sysctl kernel.unprivileged_userns_clone=1"
    } else if setting("user/max_user_namespaces").trim() == "0" {
        "the kernel allows no user namespaces: sysctl user.max_user_namespaces=15000"
    } else {
        "inside a container, let it make namespaces and mount /proc (for Docker: \
         --security-opt seccomp=unconfined --security-opt systempaths=unconfined --cap-add SYS_ADMIN), \
         or run Smelt outside of it"
    };
    JailState::Fails { why: format!("bubblewrap can't make a jail here ({said})"), fix: fix.into() }
}

/// Who the jail's processes are by default: whoever runs Smelt.
pub(super) fn current_user() -> User {
    User { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() }
}

/// The programs of the system as every jail sees them: `/usr`, and what leads into it.
pub(super) fn system_view() -> (Vec<(PathBuf, PathBuf)>, Vec<Mount>) {
    let mut links = Vec::new();
    let mut mounts = vec![Mount::read_only("/usr", "/usr")];
    for folder in USR_FOLDERS.iter().map(Path::new) {
        match fs::read_link(folder) {
            Ok(target) => links.push((folder.to_owned(), target)),
            Err(_) if folder.is_dir() => mounts.push(Mount::read_only(folder, folder)),
            Err(_) => {}
        }
    }
    (links, mounts)
}
