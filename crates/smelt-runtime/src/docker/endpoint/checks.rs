//! What an engine tells of itself, for `smelt doctor`.

use super::config::EngineConfig;
use super::connect::{Connection, OLDEST};
use super::error::EndpointError;
use bollard::models::{SystemInfo, SystemVersion};
use smelt_core::port::{Check, CheckState, Readiness};
use smelt_core::text::clean_inline;

/// Storage drivers that can hold each container to a size of its own.
const DRIVERS_WITH_QUOTA: [&str; 3] = ["btrfs", "devicemapper", "zfs"];

/// Looks at the engine that `config` means.
pub(in crate::docker) async fn readiness(config: &EngineConfig) -> Readiness {
    let checks = match Connection::open(config).await {
        Ok(connection) => look(&connection).await.unwrap_or_else(|error| vec![failed(&error)]),
        Err(error) => vec![failed(&error)],
    };
    Readiness { checks }
}

fn failed(error: &EndpointError) -> Check {
    Check {
        name: "engine".into(),
        state: CheckState::Missing,
        found: error.to_string(),
        fix: Some(error.hint()),
    }
}

async fn look(connection: &Connection) -> Result<Vec<Check>, EndpointError> {
    let failed = |error: bollard::errors::Error| EndpointError::NoAnswer {
        endpoint: connection.endpoint.to_string(),
        source: error.into(),
    };
    let (version, info) = tokio::join!(connection.api.version(), connection.api.info());
    Ok(checks(connection, &version.map_err(failed)?, &info.map_err(failed)?))
}

/// What was found, of each thing that sandboxes need.
fn checks(connection: &Connection, version: &SystemVersion, info: &SystemInfo) -> Vec<Check> {
    let found = format!(
        "{} {} at {}, API {} ({OLDEST} or later will do)",
        product(version),
        clean_inline(version.version.as_deref().unwrap_or("of an unknown version")),
        connection.endpoint,
        connection.api.client_version(),
    );
    let engine = match info.os_type.as_deref() {
        Some("windows") => Check {
            name: "engine".into(),
            state: CheckState::Missing,
            found: format!("{found}, with containers of Windows"),
            fix: Some("switch it to Linux containers".into()),
        },
        _ => good("engine", found),
    };
    [Some(engine), Some(limits(info)), Some(disk(info)), walls(info)]
        .into_iter()
        .flatten()
        .collect()
}

fn good(name: &str, found: impl Into<String>) -> Check {
    Check { name: name.into(), state: CheckState::Good, found: found.into(), fix: None }
}

/// Whose engine it is.
fn product(version: &SystemVersion) -> &'static str {
    match is_podman(version) {
        true => "Podman",
        false => "Docker Engine",
    }
}

/// Podman answers as Docker would, and tells who it is among its components.
fn is_podman(version: &SystemVersion) -> bool {
    version.components.iter().flatten().any(|component| component.name.starts_with("Podman"))
}

/// Whether each sandbox can be held to its share of the machine.
fn limits(info: &SystemInfo) -> Check {
    let kinds = [
        (info.memory_limit, "memory"),
        (info.swap_limit, "swap"),
        (info.cpu_cfs_quota, "cores"),
        (info.pids_limit, "the number of processes"),
    ];
    let lacking: Vec<_> =
        kinds.iter().filter(|(there, _)| *there == Some(false)).map(|(_, kind)| *kind).collect();
    if lacking.is_empty() {
        let driver = info.cgroup_driver.as_ref().map_or_else(String::new, |d| format!(" by {d}"));
        return good("limits", format!("memory, cores and processes{driver}"));
    }
    let fix = match has(info, "rootless") {
        true => {
            "delegate control groups to users: a drop-in of user@.service with `Delegate=cpu \
             cpuset io memory pids`, then systemctl daemon-reload and log in again"
        }
        false if lacking == ["swap"] => "turn swap off, or boot with swapaccount=1",
        false => {
            "boot the engine's machine with cgroup_enable=memory, and with control groups of \
             version 2 where it can"
        }
    };
    Check {
        name: "limits".into(),
        state: CheckState::Lacking,
        found: format!("not limited: {}", lacking.join(", ")),
        fix: Some(fix.into()),
    }
}

/// Whether `disk` of a manifest's `resources` can be kept.
fn disk(info: &SystemInfo) -> Check {
    let driver = clean_inline(info.driver.as_deref().unwrap_or("an unknown driver"));
    match limits_disk(info) {
        true if driver == "overlay2" => good(
            "disk limit",
            "storage by overlay2 on XFS: kept where that is mounted with `pquota`",
        ),
        true => good("disk limit", format!("storage by {driver}, which can limit each sandbox")),
        false => Check {
            name: "disk limit".into(),
            state: CheckState::Lacking,
            found: format!("storage by {driver} can't limit one sandbox: `disk` is not kept"),
            fix: Some(
                "only needed for `disk`: overlay2 on XFS mounted with `pquota`, btrfs or zfs"
                    .into(),
            ),
        },
    }
}

/// Whether the storage driver may take a size for each container. Overlays can on XFS only, and there
/// only where it is mounted with `pquota`, which the engine does not tell before it is asked for one.
fn limits_disk(info: &SystemInfo) -> bool {
    let rows = info.driver_status.iter().flatten();
    let mut backing =
        rows.filter(|row| row.first().is_some_and(|name| name == "Backing Filesystem"));
    match info.driver.as_deref() {
        Some("overlay2") => backing.any(|row| row.get(1).is_some_and(|value| value == "xfs")),
        Some(driver) => DRIVERS_WITH_QUOTA.contains(&driver),
        None => false,
    }
}

/// What stands between a sandbox and the files of this machine's users: no fault, and good to know.
fn walls(info: &SystemInfo) -> Option<Check> {
    let known = [
        ("rootless", "the engine is an ordinary user's"),
        ("userns", "users inside are others outside"),
        ("selinux", "SELinux labels files"),
    ];
    let there: Vec<_> =
        known.iter().filter(|(name, _)| has(info, name)).map(|(_, what)| *what).collect();
    let found = format!("{}: workspaces are copied in, not mounted", there.join(", "));
    (!there.is_empty()).then(|| good("files", found))
}

/// Whether `name` is among the engine's security options, which are like `name=seccomp,profile=…`.
fn has(info: &SystemInfo, name: &str) -> bool {
    let options = info.security_options.iter().flatten();
    options.filter_map(|option| option.split(',').next()?.strip_prefix("name=")).any(|n| n == name)
}

#[cfg(test)]
mod tests {
    use super::super::address::Endpoint;
    use super::*;
    use bollard::models::SystemVersionComponents;
    use bollard::{API_DEFAULT_VERSION, Docker};

    /// The checks of an engine that says this of itself, a line for each.
    fn lines(version: &SystemVersion, info: &SystemInfo) -> String {
        let api = Docker::connect_with_http("192.0.2.1:1", 1, API_DEFAULT_VERSION).unwrap();
        let address = "192.0.2.1:1".to_owned();
        let connection = Connection { api, endpoint: Endpoint::Tcp { address, tls: None } };
        let checks = checks(&connection, version, info);
        let line = |check: &Check| {
            let fix = check.fix.iter().map(|fix| format!("\n    {fix}")).collect::<String>();
            format!("{:?} {}: {}{fix}\n", check.state, check.name, check.found)
        };
        checks.iter().map(line).collect()
    }

    fn version(engine: &str) -> SystemVersion {
        let name = engine.to_owned();
        let components = vec![SystemVersionComponents { name, ..Default::default() }];
        let version = Some("29.3.1".into());
        SystemVersion { components: Some(components), version, ..Default::default() }
    }

    #[test]
    fn an_engine_that_has_everything() {
        let info = SystemInfo {
            driver: Some("overlay2".into()),
            driver_status: Some(vec![vec!["Backing Filesystem".into(), "xfs".into()]]),
            memory_limit: Some(true),
            pids_limit: Some(true),
            cpu_cfs_quota: Some(true),
            swap_limit: Some(true),
            security_options: Some(vec!["name=seccomp,profile=builtin".into()]),
            ..Default::default()
        };
        insta::assert_snapshot!(lines(&version("Engine"), &info), @r"
        Good engine: Docker Engine 29.3.1 at tcp://192.0.2.1:1, API 1.53 (1.41 or later will do)
        Good limits: memory, cores and processes
        Good disk limit: storage by overlay2 on XFS: kept where that is mounted with `pquota`
        ");
    }

    #[test]
    fn a_rootless_one_without_control_groups() {
        let info = SystemInfo {
            driver: Some("fuse-overlayfs".into()),
            memory_limit: Some(false),
            pids_limit: Some(false),
            cpu_cfs_quota: Some(false),
            security_options: Some(vec!["name=rootless".into(), "name=selinux".into()]),
            ..Default::default()
        };
        insta::assert_snapshot!(lines(&version("Podman Engine"), &info), @r"
        Good engine: Podman 29.3.1 at tcp://192.0.2.1:1, API 1.53 (1.41 or later will do)
        Lacking limits: not limited: memory, cores, the number of processes
            delegate control groups to users: a drop-in of user@.service with `Delegate=cpu cpuset io memory pids`, then systemctl daemon-reload and log in again
        Lacking disk limit: storage by fuse-overlayfs can't limit one sandbox: `disk` is not kept
            only needed for `disk`: overlay2 on XFS mounted with `pquota`, btrfs or zfs
        Good files: the engine is an ordinary user's, SELinux labels files: workspaces are copied in, not mounted
        ");
    }

    #[test]
    fn one_of_windows() {
        let info = SystemInfo { os_type: Some("windows".into()), ..Default::default() };
        let lines = lines(&version("Engine"), &info);
        assert!(lines.starts_with("Missing engine:"), "{lines}");
        assert!(lines.contains("switch it to Linux containers"), "{lines}");
    }
}

#[cfg(test)]
mod needs_docker {
    use super::*;

    #[tokio::test]
    async fn the_engine_of_this_machine_will_do() {
        let readiness = readiness(&EngineConfig::default()).await;
        assert!(readiness.missing().is_none(), "{readiness:?}");
        assert!(readiness.checks[0].found.contains("Docker Engine"), "{readiness:?}");
    }
}
