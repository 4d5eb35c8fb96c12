//! The limits of a sandbox: by control groups where there are any, else by the limits of single
//! processes. What can't be given is said.

use super::cgroup::Cgroup;
use super::host::Host;
use smelt_core::id::RunId;
use smelt_core::manifest::Resources;
use smelt_core::port::SandboxError;
use std::ffi::OsString;

/// How a sandbox is limited.
#[derive(Debug)]
pub(super) struct Limits {
    /// The control group that holds all of it.
    pub(super) cgroup: Option<Cgroup>,
    /// `prlimit` and its arguments, to stand before the command inside.
    pub(super) prefix: Vec<OsString>,
    /// What can't be given.
    pub(super) gaps: Vec<String>,
}

impl Limits {
    pub(super) fn set(host: &Host, run: &RunId, wanted: &Resources) -> Result<Self, SandboxError> {
        let mut gaps = Vec::new();
        if let Some(disk) = wanted.disk {
            gaps.push(format!(
                "disk space is not limited to {disk}: it is a folder of this machine"
            ));
        }
        let cgroup = match host.cgroups.as_ref().map(|groups| groups.make(run, wanted)) {
            Some(Ok((cgroup, lacking))) => {
                gaps.extend(lacking);
                Some(cgroup)
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "no control group");
                None
            }
            None => None,
        };
        let (prefix, lacking) = per_process(host, cgroup.as_ref(), wanted);
        gaps.extend(lacking);
        Ok(Self { cgroup, prefix, gaps })
    }
}

/// Limits that the system puts on each process, for what no control group holds.
fn per_process(
    host: &Host,
    cgroup: Option<&Cgroup>,
    wanted: &Resources,
) -> (Vec<OsString>, Vec<String>) {
    let (mut prefix, mut gaps) = (Vec::new(), Vec::new());
    let holds = |controller: &str| cgroup.is_some_and(|group| group.holds(controller));
    let Some(prlimit) = &host.prlimit else {
        if !holds("memory") || !holds("pids") {
            gaps.push(
                "memory and processes are not limited: no control group, no `prlimit`".into(),
            );
        }
        return (prefix, gaps);
    };
    prefix.extend([prlimit.into(), "--core=0".into()]);
    if !holds("memory") {
        // Private memory that can be written, not reserved addresses: runtimes reserve a lot.
        prefix.push(format!("--data={}", wanted.memory.bytes()).into());
        gaps.push(format!(
            "memory is limited to {} for each process, not for all together",
            wanted.memory
        ));
    }
    if !holds("pids") {
        // Set inside the jail's own user namespace, where only its own processes count.
        prefix.push(format!("--nproc={}", wanted.pids).into());
        if rustix::process::getuid().is_root() {
            gaps.push(
                "the number of processes is not limited: the system does not do so for root".into(),
            );
        }
    }
    if !holds("cpu") {
        gaps.push(format!("cores are not limited to {}", wanted.cpu));
    }
    prefix.push("--".into());
    (prefix, gaps)
}
