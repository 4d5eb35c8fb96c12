//! Finding and ending processes, by what `/proc` tells of them.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::HashMap;
use std::fs;

/// Variable by which every process of a run can be told.
pub(super) const RUN_MARK: &str = "SMELT_RUN_ID";

/// Variable by which every process of one command can be told.
pub(super) const EXEC_MARK: &str = "SMELT_EXEC_ID";

/// How often processes are looked for again: they may fork while they are being killed.
const SWEEPS: usize = 20;

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that is gone already is what was wanted.
        let _ = kill_process(pid, signal);
    }
}

/// Kills the process `pid`.
pub(super) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Asks the process group of `leader` to end.
pub(super) fn ask_group(leader: u32) {
    if let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::TERM);
    }
}

/// Kills the process group of `leader`.
pub(super) fn kill_group(leader: u32) {
    if let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Asks everything that descends from `ancestor` to end, but not `ancestor` itself.
pub(super) fn ask_descendants(ancestor: u32) {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in pids() {
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut next = children.remove(&ancestor).unwrap_or_default();
    while let Some(pid) = next.pop() {
        signal(pid, Signal::TERM);
        next.extend(children.remove(&pid).unwrap_or_default());
    }
}

/// The parent, from `/proc/<pid>/stat` (proc(5)): the second field after the name in parentheses.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Kills every process that has `name=value` in the environment it was started with; returns
/// whether none is left.
pub(super) fn kill_marked(name: &str, value: &str) -> bool {
    let mark = format!("{name}={value}");
    let own = std::process::id();
    for _ in 0..SWEEPS {
        let marked: Vec<_> = pids().filter(|pid| *pid != own && is_marked(*pid, &mark)).collect();
        if marked.is_empty() {
            return true;
        }
        for pid in marked {
            kill(pid);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    false
}

fn is_marked(pid: u32, mark: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn marked_processes_are_found_wherever_they_went() {
        let mark = uuid::Uuid::new_v4().to_string();
        let script = "setsid sleep 60 & sleep 60 & echo; wait";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .env(EXEC_MARK, &mark)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut started = [0];
        std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut started).unwrap();
        let reaper = std::thread::spawn(move || shell.wait());
        assert!(kill_marked(EXEC_MARK, &mark));
        reaper.join().unwrap().unwrap();
        let left = pids().filter(|pid| is_marked(*pid, &format!("{EXEC_MARK}={mark}"))).count();
        assert_eq!(left, 0);
    }
}
