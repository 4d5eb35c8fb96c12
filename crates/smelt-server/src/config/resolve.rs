//! From the written configuration to the checked one.

use super::TrackerProvider;
use super::document::{
    Document, PolicyTable, RetentionTable, ServerTable, TrackerTable, WorkerTable,
};
use super::model::{
    Auth, Dispatchers, Listen, Policy, Retention, Retry, ServerConfig, TrackerConfig,
    TrackerSource, Worker,
};
use smelt_core::document::{Located, Problem};
use smelt_core::manifest::Seconds;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PERMISSIONS: [&str; 5] = ["read", "triage", "write", "maintain", "admin"];

pub(super) fn resolve(
    document: Document,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<ServerConfig> {
    let has_auth = document.auth.is_some();
    let listen = listen(document.server, has_auth, problems);
    let workers = document.workers.into_iter().map(|w| worker(w.into_inner(), folder));
    let workers: Option<Vec<_>> = workers.collect();
    let trackers = document.tracker.map_or_else(Vec::new, |trackers| trackers.0);
    let trackers: Vec<_> = trackers.into_iter().map(|t| tracker(t, folder, problems)).collect();
    Some(ServerConfig {
        queue_dir: folder.join(document.queue_dir?.into_inner()),
        max_concurrent: number(document.max_concurrent, 2),
        max_concurrent_per_repo: document.max_concurrent_per_repo.and_then(|n| NonZeroU32::new(*n)),
        retry: Retry {
            attempts: document.retry_attempts.map_or(3, Located::into_inner),
            backoff: seconds(document.retry_backoff_secs, 5),
            max_backoff: seconds(document.max_backoff_secs, 300),
            timeouts: document.retry_timeouts.is_some_and(|yes| *yes),
        },
        shutdown_grace: Duration::from_secs(
            document.shutdown_grace_secs.map_or(30, |s| (*s).into()),
        ),
        ssh_timeout: seconds(document.ssh_timeout_secs, 3),
        listen,
        auth: match document.auth.map(Located::into_inner) {
            None => None,
            Some(auth) => Some(Auth {
                write_token: auth.write_token_env?.into_inner(),
                read_token: auth.read_token_env.map(Located::into_inner),
            }),
        },
        secrets: document
            .secrets
            .into_iter()
            .map(|(name, source)| (name.into_inner(), source.relative_to(folder)))
            .collect(),
        policy: policy(document.policy.map(Located::into_inner).unwrap_or_default()),
        retention: retention(document.retention.map(Located::into_inner).unwrap_or_default()),
        workers: workers?,
        trackers: trackers.into_iter().collect::<Option<_>>()?,
    })
}

fn seconds(value: Option<Located<Seconds>>, default: u64) -> Duration {
    value.map_or(Duration::from_secs(default), |seconds| seconds.into_inner().into())
}

fn number(value: Option<Located<NonZeroU32>>, default: u32) -> NonZeroU32 {
    value.map(Located::into_inner).or(NonZeroU32::new(default)).unwrap_or(NonZeroU32::MIN)
}

fn listen(
    table: Option<Located<ServerTable>>,
    has_auth: bool,
    problems: &mut Vec<Problem>,
) -> Listen {
    let table = table.map(Located::into_inner).unwrap_or_default();
    let mut ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if let Some(host) = &table.host {
        match host.parse::<IpAddr>() {
            Ok(address) => ip = address,
            Err(_) if host.as_str() == "localhost" => {}
            Err(_) => problems.push(
                Problem::error(host.span(), "this is not an address to listen on")
                    .help("use an IP address, such as 127.0.0.1 or 0.0.0.0"),
            ),
        }
        let open = table.allow_unauthenticated.as_ref().is_some_and(|yes| **yes);
        if !ip.is_loopback() && !has_auth && !open {
            problems.push(
                Problem::error(host.span(), "everybody who reaches this address could submit jobs")
                    .help(
                        "add `[auth]`, listen on 127.0.0.1, or set `allow_unauthenticated = true`",
                    ),
            );
        }
    }
    let mut trusted_proxies = Vec::new();
    for proxy in &table.trusted_proxies {
        match proxy.parse() {
            Ok(address) => trusted_proxies.push(address),
            Err(_) => problems.push(Problem::error(proxy.span(), "this is not an IP address")),
        }
    }
    let callback = table.callback.and_then(|callback| match callback.parse::<SocketAddr>() {
        Ok(address) => Some(address),
        Err(_) => {
            problems.push(
                Problem::error(callback.span(), "this is not an address to listen on")
                    .help("use an IP address and a port, such as 0.0.0.0:8766"),
            );
            None
        }
    });
    let port = table.port.map_or(8765, |port| port.get());
    Listen {
        address: SocketAddr::new(ip, port),
        public_url: table.public_url.map(Located::into_inner),
        trusted_proxies,
        callback,
    }
}

fn policy(table: PolicyTable) -> Policy {
    fn inner<T>(list: Vec<Located<T>>) -> Vec<T> {
        list.into_iter().map(Located::into_inner).collect()
    }
    Policy {
        allowed_repos: table.allowed_repos,
        allowed_credentials: table.allowed_credential_env.map(inner),
        allowed_runtimes: table.allowed_runtimes.map(inner),
        allowed_images: table.allowed_images,
        max_timeout: table.max_timeout_secs.map(|seconds| seconds.into_inner().into()),
    }
}

fn retention(table: RetentionTable) -> Retention {
    Retention {
        days: number(table.days, 30).get(),
        max_bytes: u64::from(number(table.max_gb, 50).get()) * 1_000_000_000,
    }
}

fn worker(table: WorkerTable, folder: &Path) -> Option<Worker> {
    Some(Worker {
        host: table.host?.into_inner(),
        user: table.user?.into_inner(),
        key: table.key_env?.into_inner(),
        port: table.port.map(Located::into_inner).or(NonZeroU16::new(22))?,
        max_concurrent: number(table.max_concurrent, 4),
        known_hosts: table.known_hosts.map(|path| folder.join(path.into_inner())),
    })
}

fn tracker(
    table: TrackerTable,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<TrackerConfig> {
    let provider = table.provider?;
    let mut need = |there: bool, key: &str| {
        if !there {
            let name = serde_json::to_value(*provider).unwrap_or_default();
            let message = format!("a {} tracker needs `{key}`", name.as_str().unwrap_or_default());
            problems.push(Problem::error(provider.span(), message));
        }
    };
    let source = match *provider {
        TrackerProvider::Linear => {
            need(table.team_id.is_some(), "team_id");
            need(table.api_key_env.is_some(), "api_key_env");
            TrackerSource::Linear {
                team_id: table.team_id?.into_inner(),
                api_key: table.api_key_env?.into_inner(),
            }
        }
        hosted => {
            need(table.repo.is_some(), "repo");
            need(table.token_env.is_some(), "token_env");
            need(hosted == TrackerProvider::Github || table.api_url.is_some(), "api_url");
            TrackerSource::Forge {
                provider: hosted,
                repo: table.repo?.into_inner(),
                api_url: table.api_url.map(Located::into_inner),
                token: table.token_env?.into_inner(),
            }
        }
    };
    let permission = table.min_permission;
    if let Some(named) = permission.as_ref().filter(|p| !PERMISSIONS.contains(&p.as_str())) {
        problems.push(
            Problem::error(named.span(), "this permission is not known")
                .help(format!("use one of {}", PERMISSIONS.join(", "))),
        );
    }
    let template = table.manifest_template?;
    Some(TrackerConfig {
        source,
        manifest_template: PathBuf::from(folder).join(template.into_inner()),
        poll_interval: seconds(table.poll_interval_secs, 30),
        label_prefix: table.label_prefix.map_or_else(|| "smelt".into(), Located::into_inner),
        default_harness: table.default_harness.map_or_else(|| "bash".into(), Located::into_inner),
        default_timeout: seconds(table.default_timeout, 600),
        dispatchers: match table.allowed_users {
            Some(users) => Dispatchers::Users(users),
            None => {
                let permission = permission.map(Located::into_inner);
                Dispatchers::Permission(permission.unwrap_or_else(|| "triage".into()))
            }
        },
        max_jobs_per_author: number(table.max_jobs_per_author, 5),
        close_issue: table.close_issue.is_some_and(|yes| *yes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    fn parse(text: &str) -> Result<ServerConfig, String> {
        ServerConfig::parse(text, "server.toml", Path::new("/etc/smelt"))
            .map(|(config, _)| config)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn only_the_queue_is_required() {
        let config = parse("queue_dir = \"queue\"").unwrap();
        assert_eq!(config.queue_dir, Path::new("/etc/smelt/queue"));
        assert_eq!(config.listen.address.to_string(), "127.0.0.1:8765");
        assert_eq!(config.retry.backoff, Duration::from_secs(5));
        assert_eq!((config.retention.days, config.max_concurrent.get()), (30, 2));
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let text = r#"
max_concurent = 2
retry_backoff_secs = 0
[server]
host = "0.0.0.0"
port = 0
callback = "8766"
[auth_]
[[workers]]
host = "w1"
[[tracker]]
provider = "linear"
manifest_template = "t.toml"
min_permission = "root"
"#;
        insta::assert_snapshot!(parse(text).unwrap_err());
    }

    #[test]
    fn an_open_address_needs_auth_or_a_word() {
        let open = "queue_dir = \"q\"\n[server]\nhost = \"0.0.0.0\"\n";
        assert!(parse(open).is_err());
        assert!(parse(&format!("{open}allow_unauthenticated = true")).is_ok());
        assert!(parse(&format!("{open}[auth]\nwrite_token_env = \"T\"")).is_ok());
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        for section in [
            "secrets = { TOKEN = \"hunter2\" }",
            "[auth]\nwrite_token = \"hunter2\"",
            "[auth]\nwrite_token_env = hunter2",
            "[[workers]]\nkey_env = \"BEGIN hunter2\"",
            "[policy]\nallowed_credential_env = [\"sk-hunter2\"]",
        ] {
            let text = format!("queue_dir = \"q\"\n{section}\n");
            let problems =
                ServerConfig::parse(&text, "server.toml", Path::new("/etc/smelt")).unwrap_err();
            assert!(!problems.to_string().contains("hunter2"), "{problems}");
            for problem in problems.iter() {
                let shown = problem.span.clone().filter(|_| !problem.confidential);
                let shown = shown.map(|span| &text[span]).unwrap_or_default();
                assert!(!shown.contains("hunter2"), "{problem:?}");
            }
        }
    }
}
