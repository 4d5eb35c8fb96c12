//! The processes of a pod: found by what is mounted for them, ended by their ids.

use crate::state::Shared;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Kills all that runs in a pod's jails, and returns when none is left.
pub(crate) fn end_all(shared: &Shared, uid: &str) {
    // What forks while it is being killed is met in the next round.
    for _ in 0..200 {
        let started = match shared.state().cells.get(uid) {
            Some(cell) => cell.processes.clone(),
            None => return,
        };
        let found = each(uid, &started, |pid| {
            let Some(id) = Pid::from_raw(pid.cast_signed()) else { return };
            // The descriptor keeps the id from being somebody else's by now.
            let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { return };
            if is_of(pid, uid, &started) {
                let _ = pidfd_send_signal(process, Signal::KILL);
            }
        });
        if found.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ids of all that runs in a pod's jails.
pub(crate) fn of(uid: &str) -> Vec<u32> {
    each(uid, &BTreeSet::new(), |_| {})
}

fn each(uid: &str, started: &BTreeSet<u32>, act: impl Fn(u32)) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|pid| is_of(*pid, uid, started)).inspect(|pid| act(*pid)).collect()
}

/// A jail's mounts come from the pod's folder, whose name is its uid; the jail's own parent is
/// outside of it and is known as one that was started.
fn is_of(pid: u32, uid: &str, started: &BTreeSet<u32>) -> bool {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    if started.contains(&pid) {
        // After the name, which may have anything in it: the state and the parent.
        let stat = read("stat").unwrap_or_default();
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next(), fields.next());
        let own = parent == Some(std::process::id().to_string().as_str());
        if own && !matches!(state, Some("Z" | "X")) {
            return true;
        }
    }
    pid != std::process::id() && read("mountinfo").is_ok_and(|mounts| mounts.contains(uid))
}

/// Removes a folder with what can't be written to in it.
pub(crate) fn clear(folder: &Path) {
    if std::fs::remove_dir_all(folder).is_err() && folder.exists() {
        let _ = Command::new("chmod").args(["-R", "u+rwX"]).arg(folder).status();
        let _ = std::fs::remove_dir_all(folder);
    }
}
