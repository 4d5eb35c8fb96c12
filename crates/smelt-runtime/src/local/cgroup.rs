//! Control groups of a run: version 1 where its controllers can be written (as root), version 2
//! where a part of the tree is delegated to the user (cgroups(7)).

use smelt_core::id::RunId;
use smelt_core::manifest::Resources;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The controllers that matter here.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// Name of a run's group below a controller of version 1.
fn name(run: &RunId) -> String {
    format!("smelt-{run}")
}

/// Name of a run's group in version 2, as systemd names what it did not make itself.
fn scope(run: &RunId) -> String {
    format!("smelt-{run}.scope")
}

/// Microseconds in which a share of processor time is counted.
const CPU_PERIOD: u64 = 100_000;

/// Control groups that can be written on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// A folder for each controller.
    V1(BTreeMap<&'static str, PathBuf>),
    /// One folder below which groups can be made, with these controllers.
    V2 { parent: PathBuf, controllers: Vec<&'static str> },
}

impl fmt::Display for Cgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, controllers): (_, Vec<&str>) = match self {
            Self::V1(folders) => (1, folders.keys().copied().collect()),
            Self::V2 { controllers, .. } => (2, controllers.clone()),
        };
        write!(f, "control groups (version {version}) for {}", controllers.join(", "))
    }
}

impl Cgroups {
    /// What can be written below `root` (the file system's, but for tests).
    pub(super) fn find(root: &Path) -> Option<Self> {
        let mounts = fs::read_to_string(root.join("proc/self/mounts")).ok()?;
        let own = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        Self::find_v2(root, &mounts, &own).or_else(|| Self::find_v1(root, &mounts))
    }

    fn find_v1(root: &Path, mounts: &str) -> Option<Self> {
        let mut folders = BTreeMap::new();
        for controller in CONTROLLERS {
            let mounted = mounts.lines().filter_map(|line| {
                let mut fields = line.split(' ');
                let (_, at, kind, options) =
                    (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
                let holds =
                    kind == "cgroup" && options.split(',').any(|option| option == controller);
                holds.then(|| below(root, at))
            });
            if let Some(folder) = mounted.into_iter().find(|folder| is_writable(folder)) {
                folders.insert(controller, folder);
            }
        }
        (!folders.is_empty()).then_some(Self::V1(folders))
    }

    fn find_v2(root: &Path, mounts: &str, own: &str) -> Option<Self> {
        let at = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| below(root, at))
        })?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
        let own = at.join(own.trim_start_matches('/'));
        // A group that holds processes can hand no controllers down: the one above it may. For root
        // the top is always there.
        let candidates =
            [own.parent().filter(|p| p.starts_with(&at)), Some(own.as_path()), Some(at.as_path())];
        candidates.into_iter().flatten().find_map(|parent| {
            let handed_down = fs::read_to_string(parent.join("cgroup.subtree_control")).ok()?;
            let handed_down: Vec<_> = handed_down.split_whitespace().collect();
            let controllers: Vec<_> =
                CONTROLLERS.into_iter().filter(|c| handed_down.contains(c)).collect();
            let usable = !controllers.is_empty()
                && is_writable(parent)
                && is_writable(&parent.join("cgroup.procs"));
            usable.then(|| Self::V2 { parent: parent.to_owned(), controllers })
        })
    }

    /// Makes the group of `run`, limited to `wanted`; also returns what could not be limited.
    pub(super) fn make(
        &self,
        run: &RunId,
        wanted: &Resources,
    ) -> io::Result<(Cgroup, Vec<String>)> {
        let mut group = Cgroup { folders: BTreeMap::new(), version: 1 };
        match self {
            Self::V1(parents) => {
                for (controller, parent) in parents {
                    group.folders.insert(*controller, parent.join(name(run)));
                }
            }
            Self::V2 { parent, controllers } => {
                group.version = 2;
                let folder = parent.join(scope(run));
                group.folders = controllers.iter().map(|c| (*c, folder.clone())).collect();
            }
        }
        let mut lacking = Vec::new();
        let made = group.folders.values().try_for_each(make_folder);
        if let Err(error) = made {
            group.remove_folders();
            return Err(error);
        }
        for controller in CONTROLLERS {
            if let Some(folder) = group.folders.get(controller)
                && let Err(error) = limit(group.version, controller, folder, wanted)
            {
                lacking.push(format!("{controller} can't be limited: {error}"));
            }
        }
        Ok((group, lacking))
    }
}

/// Version 2 has one folder for all controllers.
fn make_folder(folder: &PathBuf) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

fn limit(version: u8, controller: &str, folder: &Path, wanted: &Resources) -> io::Result<()> {
    let write = |file: &str, value: String| fs::write(folder.join(file), value);
    let quota = u64::from(wanted.cpu.millis()) * CPU_PERIOD / 1000;
    match (version, controller) {
        (1, "memory") => {
            write("memory.limit_in_bytes", wanted.memory.bytes().to_string())?;
            // Counts memory and swap together; not every kernel counts swap.
            let _ = write("memory.memsw.limit_in_bytes", wanted.memory.bytes().to_string());
            Ok(())
        }
        (1, "cpu") => {
            write("cpu.cfs_period_us", CPU_PERIOD.to_string())?;
            write("cpu.cfs_quota_us", quota.to_string())
        }
        (_, "memory") => {
            write("memory.max", wanted.memory.bytes().to_string())?;
            let _ = write("memory.swap.max", "0".into());
            Ok(())
        }
        (_, "cpu") => write("cpu.max", format!("{quota} {CPU_PERIOD}")),
        _ => write("pids.max", wanted.pids.to_string()),
    }
}

/// The control group of one run.
#[derive(Debug)]
pub(super) struct Cgroup {
    folders: BTreeMap<&'static str, PathBuf>,
    version: u8,
}

impl Cgroup {
    /// Whether it limits what `controller` controls.
    pub(super) fn holds(&self, controller: &str) -> bool {
        self.folders.contains_key(controller)
    }

    /// Files to which a thread writes 0 to be in it, with whatever it starts: version 1 knows threads.
    pub(super) fn doors_for_threads(&self) -> Vec<PathBuf> {
        match self.version {
            1 => self.folders.values().map(|folder| folder.join("tasks")).collect(),
            _ => Vec::new(),
        }
    }

    /// The file to which a process writes its id to be in it: version 2 has one, and no other way.
    pub(super) fn door_for_processes(&self) -> Option<PathBuf> {
        let folder = self.folders.values().next().filter(|_| self.version != 1)?;
        Some(folder.join("cgroup.procs"))
    }

    /// How often one of its processes was killed for want of memory.
    pub(super) fn out_of_memory_kills(&self) -> u64 {
        let Some(folder) = self.folders.get("memory") else { return 0 };
        let file = if self.version == 1 { "memory.oom_control" } else { "memory.events" };
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    }

    /// Kills what is in it and removes it.
    pub(super) async fn remove(&self) -> io::Result<()> {
        for _ in 0..100 {
            let own = std::process::id();
            for folder in self.folders.values() {
                let inside = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
                let pids = inside.lines().filter_map(|pid| pid.parse().ok());
                pids.filter(|pid| *pid != own).for_each(super::processes::kill);
            }
            if self.remove_folders() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(io::Error::other("the control group still holds processes"))
    }

    fn remove_folders(&self) -> bool {
        self.folders.values().all(|folder| match fs::remove_dir(folder) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.remove_folders();
    }
}

/// Removes the group of a run that has ended without doing so.
pub(super) async fn remove_leftover(run: &RunId) {
    let Some(cgroups) = Cgroups::find(Path::new("/")) else { return };
    let (folders, version) = match &cgroups {
        Cgroups::V1(parents) => (parents.iter().map(|(c, p)| (*c, p.join(name(run)))).collect(), 1),
        Cgroups::V2 { parent, .. } => ([("memory", parent.join(scope(run)))].into(), 2),
    };
    let left = Cgroup { folders, version };
    if let Err(error) = left.remove().await {
        tracing::warn!(%error, %run, "a control group is left");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(mounts: &str, own: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::write(root.path().join("proc/self/mounts"), mounts).unwrap();
        fs::write(root.path().join("proc/self/cgroup"), own).unwrap();
        root
    }

    fn run() -> RunId {
        "20261123t141502-k3f9qz".parse().unwrap()
    }

    #[test]
    fn version_2_uses_the_group_above_that_hands_controllers_down() {
        let own = "0::/user.slice/app.slice/term.scope\n";
        let root = machine("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", own);
        let app = root.path().join("sys/fs/cgroup/user.slice/app.slice");
        fs::create_dir_all(app.join("term.scope")).unwrap();
        for folder in [&app, &app.join("term.scope")] {
            fs::write(folder.join("cgroup.procs"), "").unwrap();
            fs::write(folder.join("cgroup.subtree_control"), "").unwrap();
        }
        assert_eq!(Cgroups::find(root.path()), None);
        fs::write(app.join("cgroup.subtree_control"), "memory pids\n").unwrap();
        let found = Cgroups::find(root.path()).unwrap();
        assert_eq!(found.to_string(), "control groups (version 2) for memory, pids");
        let (group, lacking) = found.make(&run(), &Resources::default()).unwrap();
        assert_eq!(lacking, Vec::<String>::new());
        let folder = app.join("smelt-20261123t141502-k3f9qz.scope");
        assert_eq!(fs::read_to_string(folder.join("memory.max")).unwrap(), "8000000000");
        assert_eq!(fs::read_to_string(folder.join("pids.max")).unwrap(), "1024");
        assert_eq!(group.door_for_processes(), Some(folder.join("cgroup.procs")));
        assert_eq!(group.doors_for_threads(), Vec::<PathBuf>::new());
        fs::write(folder.join("memory.events"), "low 0\noom 2\noom_kill 2\n").unwrap();
        assert_eq!(group.out_of_memory_kills(), 2);
        assert!(!group.holds("cpu"));
    }

    #[test]
    fn version_1_has_a_folder_for_each_controller() {
        let mounts = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n";
        let root = machine(mounts, "4:memory:/\n");
        for controller in ["memory", "cpu"] {
            fs::create_dir_all(root.path().join("sys/fs/cgroup").join(controller)).unwrap();
        }
        let found = Cgroups::find(root.path()).unwrap();
        assert_eq!(found.to_string(), "control groups (version 1) for cpu, memory");
        let (group, _) = found.make(&run(), &Resources::default()).unwrap();
        let folder = root.path().join("sys/fs/cgroup/cpu/smelt-20261123t141502-k3f9qz");
        assert_eq!(fs::read_to_string(folder.join("cpu.cfs_quota_us")).unwrap(), "400000");
        assert_eq!(group.doors_for_threads().len(), 2);
        assert_eq!(group.door_for_processes(), None);
    }
}
