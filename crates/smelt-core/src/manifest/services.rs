//! Services beside a sandbox: the Compose keys that Smelt allows, typed.
//!
//! A key is allowed when it can't reach the host: nothing that mounts its folders, opens its
//! ports, reads its files or environment, or loosens the walls of a container (SECURITY, sandbox).

use super::graph::topological_order;
use super::values::{Cpu, PlainValue, Size};
use crate::document::{Located, Problem};
use crate::name::VariableName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A command as Compose takes it: a string that is split into words, or a list of words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ServiceCommand {
    /// Split into words as a shell does, but run without one.
    Line(String),
    /// Run as it is.
    Words(Vec<String>),
}

/// When a service counts as healthy; durations as Compose writes them (`5s`, `1m30s`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Healthcheck {
    /// The check, run in the service's container.
    pub test: ServiceCommand,
    /// Time between two checks.
    pub interval: Option<String>,
    /// Longest time for one check.
    pub timeout: Option<String>,
    /// Failures in a row that make it unhealthy.
    pub retries: Option<NonZeroU32>,
    /// Time to start up, in which failures do not count.
    pub start_period: Option<String>,
}

/// What must have happened to a service before another one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceCondition {
    /// It was started.
    ServiceStarted,
    /// It is healthy.
    ServiceHealthy,
    /// It ended with exit code 0.
    ServiceCompletedSuccessfully,
}

/// One service that another waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceDependency {
    /// What must have happened to it.
    pub condition: ServiceCondition,
}

/// Services that another waits for: their names, or a table with conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ServiceDependencies {
    /// Started before.
    Names(Vec<String>),
    /// Each with its condition.
    Conditions(BTreeMap<String, ServiceDependency>),
}

impl ServiceDependencies {
    /// Names of the services to wait for.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Names(names) => names.iter().map(String::as_str).collect(),
            Self::Conditions(map) => map.keys().map(String::as_str).collect(),
        }
    }
}

/// A service beside the sandbox: its name, its image, and the Compose keys that can't reach the
/// host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Name of the service, and its host name in the job's network.
    pub name: Located<String>,
    /// Image of the service.
    pub image: String,
    /// Command in place of the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Located<ServiceCommand>>,
    /// Entry point in place of the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Located<ServiceCommand>>,
    /// Variables of the service, as a map.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<VariableName, PlainValue>,
    /// When the service counts as healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Located<Healthcheck>>,
    /// Services to wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Located<ServiceDependencies>>,
    /// User of the service's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Folder the command starts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<Located<String>>,
    /// Paths that are kept in memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<Located<String>>,
    /// Anonymous volumes: absolute paths in the container, gone with the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Located<String>>,
    /// Ports other containers of the job reach; documentation, as in Compose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<Located<PlainValue>>,
    /// Size of `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<Size>,
    /// Run an init as process 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Make the container's own file system read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Signal that ends the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Located<String>>,
    /// Cores at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpu>,
    /// Memory at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_limit: Option<Located<Size>>,
    /// Processes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<NonZeroU32>,
}

/// Compose keys that are known and refused, with the reason.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("build", "services run images that exist; build the image before"),
    ("cap_add", "it loosens the container's walls"),
    ("cgroup", "it shares a namespace of the host"),
    ("cgroup_parent", "it moves the container out of its limits"),
    ("configs", "it reads files of the host"),
    ("container_name", "two runs would collide"),
    ("credential_spec", "it reads files of the host"),
    ("device_cgroup_rules", "it opens devices of the host"),
    ("devices", "it opens devices of the host"),
    ("env_file", "it reads files of the host; use `environment`"),
    ("extends", "it reads files of the host"),
    ("external_links", "it reaches containers outside of the job"),
    ("extra_hosts", "it can point a name at the host"),
    ("ipc", "it shares a namespace of the host"),
    ("links", "it can reach containers outside of the job"),
    ("network_mode", "it leaves the job's network"),
    ("networks", "every service is in the job's own network"),
    ("pid", "it shares a namespace of the host"),
    ("platform", "images are those of the engine's own platform"),
    ("ports", "it opens ports of the host; services reach each other by name"),
    ("privileged", "it takes the container's walls away"),
    ("restart", "a service that ends is reported, not restarted"),
    ("runtime", "it changes how the container is confined"),
    ("secrets", "it reads files of the host"),
    ("security_opt", "it loosens the container's walls"),
    ("sysctls", "it changes kernel settings"),
    ("userns_mode", "it shares a namespace of the host"),
    ("uts", "it shares a namespace of the host"),
    ("volumes_from", "it mounts volumes from outside of the job"),
];

/// Says why a refused Compose key is refused, in place of a guess at its spelling.
pub(super) fn explain_refused(problem: Problem) -> Problem {
    let refused = REFUSED
        .iter()
        .find(|(key, _)| problem.message == format!("unknown key `{key}` in `[services]`"));
    match refused {
        Some((key, why)) => Problem {
            message: format!("`{key}` is not allowed for a service: {why}"),
            help: Some(
                "take the key out; docs/manifest.md lists the keys a service may have".into(),
            ),
            ..problem
        },
        None => problem,
    }
}

/// Name of the sandbox's own service. No other one is called so.
pub const AGENT_SERVICE: &str = "smelt";

/// What a health check given as words begins with.
const TESTS: [&str; 3] = ["CMD", "CMD-SHELL", "NONE"];

/// Most services of a job.
const SERVICES_MAX: usize = 32;

/// Least memory that a limit leaves: with less not even a shell starts.
const MEMORY_MIN: u64 = 16_000_000;

/// Signals that end a service, as Linux calls them (signal(7)).
const SIGNALS: [&str; 10] =
    ["TERM", "INT", "QUIT", "HUP", "KILL", "USR1", "USR2", "WINCH", "ABRT", "PWR"];

/// Shortest and longest duration of a health check, in nanoseconds; Docker's own.
const DURATION: std::ops::RangeInclusive<u128> = 1_000_000..=i64::MAX as u128;

/// Units of durations in nanoseconds; a longer one comes before its own beginning.
const UNITS: [(&str, u128); 5] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reports what is wrong among services: names taken twice, unknown dependencies, host volumes, health
/// checks that are none.
pub(super) fn check(services: &[Located<Service>], problems: &mut Vec<Problem>) {
    for (i, service) in services.iter().enumerate() {
        check_name(&service.name, &services[..i], problems);
        check_paths(service, problems);
        check_values(service, problems);
        if let Some(healthcheck) = &service.healthcheck {
            check_health(healthcheck, problems);
        }
        let Some(dependencies) = &service.depends_on else { continue };
        for name in dependencies.names() {
            if !services.iter().any(|other| other.name.as_str() == name) {
                let message = format!("no service is called `{}`", crate::text::clean_line(name));
                problems.push(Problem::error(dependencies.span(), message));
            }
        }
    }
    if let Some(service) = services.get(SERVICES_MAX) {
        let message = format!("a job has {SERVICES_MAX} services at most");
        problems.push(Problem::error(service.span(), message));
    }
    check_order(services, problems);
}

fn check_paths(service: &Service, problems: &mut Vec<Problem>) {
    for (n, volume) in service.volumes.iter().enumerate() {
        if !volume.starts_with('/') || volume.contains([':', '\0', '\n']) {
            let message = "a volume from the host or with a name is not allowed for a service";
            problems.push(Problem::error(volume.span(), message).help(
                "give just an absolute path in the container: an anonymous volume, gone with \
                 the run",
            ));
        }
        let twice = service.volumes[..n].iter().any(|other| **other == **volume);
        if twice || volume.trim_matches('/').is_empty() {
            let message = "a volume is a folder of its own, below `/`, and named once";
            problems.push(Problem::error(volume.span(), message));
        }
    }
    for tmpfs in &service.tmpfs {
        let (path, options) = tmpfs.split_once(':').unwrap_or((tmpfs, ""));
        let fits = options.is_empty() || options.split(',').all(is_tmpfs_option);
        if !path.starts_with('/') || path.trim_matches('/').is_empty() || !fits {
            let message = "a path of `tmpfs` is absolute, with no more than a size, mode and owner";
            problems.push(
                Problem::error(tmpfs.span(), message)
                    .help("write such as `/run`, or `/run:size=64m,mode=1777,uid=999,gid=999`"),
            );
        }
    }
    if let Some(folder) = service.working_dir.as_ref().filter(|path| !path.starts_with('/')) {
        let message = "`working_dir` is an absolute path";
        problems.push(Problem::error(folder.span(), message).help("begin it with `/`"));
    }
}

/// Whether a tmpfs may have it: what would let devices and set-user-id programs in is not among these.
fn is_tmpfs_option(option: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match option.split_once('=') {
        Some(("size", size)) => number(size.trim_end_matches(['k', 'm', 'g', '%'])),
        Some(("mode" | "uid" | "gid", text)) => number(text),
        _ => matches!(option, "exec" | "noexec"),
    }
}

/// Reports what Compose or the engine would not take.
fn check_values(service: &Service, problems: &mut Vec<Problem>) {
    for (key, command) in [("command", &service.command), ("entrypoint", &service.entrypoint)] {
        let Some(command) = command else { continue };
        if let ServiceCommand::Line(line) = &**command
            && shlex::split(line).is_none()
        {
            let message = format!("a quote of `{key}` does not end");
            problems.push(
                Problem::error(command.span(), message).help("close it, or give a list of words"),
            );
        }
    }
    for port in &service.expose {
        let (number, protocol) = port.0.split_once('/').unwrap_or((&port.0, "tcp"));
        let is_port = number.split('-').all(|n| n.parse::<u16>().is_ok_and(|n| n > 0));
        if !is_port || !["tcp", "udp", "sctp"].contains(&protocol) {
            let message = format!("`{}` is no port", crate::text::clean_line(&port.0));
            problems.push(Problem::error(port.span(), message).help("write such as 5432"));
        }
    }
    if let Some(signal) = &service.stop_signal {
        let name = signal.strip_prefix("SIG").unwrap_or(signal);
        if !SIGNALS.contains(&name) && !signal.parse::<u8>().is_ok_and(|n| (1..65).contains(&n)) {
            let message = format!("`{}` is no signal", crate::text::clean_line(signal));
            problems.push(Problem::error(signal.span(), message).help("write such as SIGINT"));
        }
    }
    if let Some(memory) = service.mem_limit.as_ref().filter(|memory| memory.bytes() < MEMORY_MIN) {
        let message = format!("{} of memory are not enough for any program", **memory);
        problems.push(Problem::error(memory.span(), message).help("write such as \"512M\""));
    }
}

fn check_name(name: &Located<String>, before: &[Located<Service>], problems: &mut Vec<Problem>) {
    // What begins with a digit may be read as an address.
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.ends_with('-')
        && name.len() <= 63
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !fits {
        let message = format!("`{}` can't be a host name", crate::text::clean_line(name));
        problems.push(
            Problem::error(name.span(), message)
                .help("use letters, digits and `-`, a letter first"),
        );
    }
    if [AGENT_SERVICE, "localhost"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        let message = format!("`{}` is what the sandbox calls itself", **name);
        problems.push(Problem::error(name.span(), message).help("give the service another name"));
    }
    if before.iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
        let message = format!("two services are called `{}`", **name);
        problems.push(Problem::error(name.span(), message).help("give each a name of its own"));
    }
}

fn check_health(healthcheck: &Located<Healthcheck>, problems: &mut Vec<Problem>) {
    let Healthcheck { test, interval, timeout, start_period, .. } = &**healthcheck;
    let mut wrong = |message: String, help: &str| {
        problems.push(Problem::error(healthcheck.span(), message).help(help));
    };
    if let ServiceCommand::Words(words) = test
        && !words.first().is_some_and(|first| TESTS.contains(&first.as_str()))
    {
        wrong(
            "a health check given as a list begins with `CMD` or `CMD-SHELL`".into(),
            "for instance `test = [\"CMD\", \"pg_isready\"]`; or give the command line as a string",
        );
    }
    for (key, text) in
        [("interval", interval), ("timeout", timeout), ("start_period", start_period)]
    {
        let Some(text) = text else { continue };
        if !is_duration(text) {
            wrong(
                format!("`{}` of `{key}` is no duration", crate::text::clean_line(text)),
                "write it as Compose does: `5s`, `500ms`, `1m30s`",
            );
        }
    }
}

/// Whether both Composes, and the engine, take it for a duration: numbers, each with its unit.
fn is_duration(text: &str) -> bool {
    let (mut rest, mut sum) = (text, 0_u128);
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = rest[..rest.len() - unit.len()].parse::<u64>();
        let found = UNITS.iter().find(|(known, _)| unit.starts_with(known));
        let (Ok(number), Some((known, nanos))) = (number, found) else { return false };
        sum += u128::from(number) * nanos;
        rest = &unit[known.len()..];
    }
    // Of nothing at all the engine makes its default.
    DURATION.contains(&sum) || sum == 0 && !text.is_empty()
}

/// Reports services that wait for each other.
fn check_order(services: &[Located<Service>], problems: &mut Vec<Problem>) {
    let place = |name: &str| services.iter().position(|service| service.name.as_str() == name);
    let edges: Vec<Vec<usize>> = services
        .iter()
        .map(|service| {
            let names = service.depends_on.iter().flat_map(|dependencies| dependencies.names());
            names.filter_map(place).collect()
        })
        .collect();
    let Err(cycle) = topological_order(&edges) else { return };
    let path: Vec<_> = cycle.iter().map(|&n| services[n].name.as_str()).collect();
    let first = cycle.first().map(|&n| &services[n]);
    let span = first.and_then(|service| service.depends_on.as_ref()).map(Located::span);
    let message = format!("services wait for each other in a cycle: {}", path.join(" → "));
    problems.push(
        Problem::error(span.unwrap_or_default(), message)
            .help("take one of these dependencies out"),
    );
}
