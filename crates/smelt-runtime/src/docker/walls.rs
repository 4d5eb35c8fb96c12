//! What a sandbox's network does not reach: the engine's machine, metadata services, private ranges,
//! other sandboxes.
//!
//! A network of Docker's keeps none of them away, not even an internal one. A second container in
//! the sandbox's network namespace, which may change routes and nothing else, shuts them off for
//! good, with a packet filter behind them: the sandbox itself has no right to.

use super::engine::{ApiError, Engine, labels_of};
use super::network::Network;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, InspectContainerOptions,
    StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures::{Stream, StreamExt};
use smelt_core::port::Labels;
use std::net::Ipv4Addr;
use std::pin::Pin;
use tokio::task::JoinHandle;

const SCRIPT: &str = include_str!("walls.sh");

/// What the script ends with where the image has nothing that could change routes.
const NO_TOOL: i64 = 9;

/// What stands for an end of the script with routes and no filter.
const NO_FILTER: i64 = -1;

/// Whether other containers of the same network are to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peers {
    /// There are none.
    None,
    /// They belong to the same run.
    Reached,
}

/// Private ranges (RFC 1918, RFC 6598), link-local ones with their metadata services (RFC 3927), and
/// the range of [`super::network`] (RFC 2544); groups and broadcasts, which the machine hears.
const SHUT_OFF: [(Ipv4Addr, u32); 7] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

fn is_shut_off(address: Ipv4Addr) -> bool {
    SHUT_OFF.iter().any(|(range, bits)| {
        let mask = u32::MAX << (32 - bits);
        u32::from(address) & mask == u32::from(*range)
    })
}

/// What is known of the network around the engine's machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// Its own addresses.
    pub(super) own: Vec<Ipv4Addr>,
    /// Whom it asks for names.
    pub(super) resolvers: Vec<Ipv4Addr>,
    /// Whether this is all of them: not known of a machine elsewhere.
    pub(super) known: bool,
}

impl Surroundings {
    /// Of this machine.
    pub(super) fn of_this_machine() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut resolvers = resolvers(&read("/etc/resolv.conf"));
        if resolvers.iter().all(Ipv4Addr::is_loopback) {
            // Docker asks those that stand behind a local one.
            resolvers = self::resolvers(&read("/run/systemd/resolve/resolv.conf"));
        }
        Self { own: own_addresses(&read("/proc/net/fib_trie")), resolvers, known: true }
    }
}

/// The name servers in a resolv.conf(5).
fn resolvers(text: &str) -> Vec<Ipv4Addr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines.filter_map(|address| address.trim().parse().ok()).collect()
}

/// The addresses that the kernel takes for its own: in /proc/net/fib_trie each stands above a line
/// `/32 host LOCAL`.
fn own_addresses(trie: &str) -> Vec<Ipv4Addr> {
    let mut last: Option<Ipv4Addr> = None;
    let mut own = Vec::new();
    for line in trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse().ok();
        } else if line.contains("/32 host LOCAL") {
            own.extend(last.take());
        }
    }
    own.sort();
    own.dedup();
    own
}

/// The routes to be made, as the script takes them, and what stays open all the same.
fn routes(network: &Network, peers: Peers, around: &Surroundings) -> (Vec<String>, Vec<String>) {
    let Network { gateway, subnet, internal, .. } = network;
    let mut own = vec![format!("unreachable {gateway}/32")];
    if peers == Peers::Reached {
        own.extend(network.broadcasts().map(|address| format!("dropped {address}/32")));
        own.push(format!("direct {subnet}"));
    }
    if *internal {
        // In halves: there may be a route to all of it already.
        own.extend(["unreachable 0.0.0.0/1", "unreachable 128.0.0.0/1"].map(String::from));
        return (own, Vec::new());
    }
    let (mut routes, mut gaps) = (Vec::new(), Vec::new());
    // While the gateway can still be looked up.
    for resolver in around.resolvers.iter().filter(|resolver| is_shut_off(**resolver)) {
        if resolver.is_link_local() {
            gaps.push(format!(
                "names may not be resolved: the resolver {resolver} is among the metadata \
                 addresses, which are shut off"
            ));
        } else if around.own.contains(resolver) {
            gaps.push(format!(
                "names may not be resolved: the resolver {resolver} is this machine, which is shut off"
            ));
        } else {
            routes.push(format!("{gateway} {resolver}/32"));
            gaps.push(format!("the resolver {resolver} can be reached, all of its ports"));
        }
    }
    routes.extend(own);
    routes.extend(SHUT_OFF.iter().map(|(range, bits)| format!("unreachable {range}/{bits}")));
    let public = around.own.iter().filter(|own| !own.is_loopback() && !is_shut_off(**own));
    routes.extend(public.map(|own| format!("unreachable {own}/32")));
    if !around.known {
        gaps.push("public addresses of the engine's machine, if it has any, can be reached".into());
        gaps.push("names may not be resolved, if that machine asks a private resolver".into());
    }
    (routes, gaps)
}

type Printed = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;

/// Walls that are being put up: what they do not keep away is known when they stand.
pub(super) type Rising = JoinHandle<Result<Vec<String>, ApiError>>;

/// The container that puts up the walls of another one.
pub(super) struct Builder {
    engine: Engine,
    id: String,
    sandbox: String,
    printed: Printed,
    gaps: Vec<String>,
}

impl Builder {
    /// The container.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether they are those of the container `sandbox`.
    pub(super) fn is_for(&self, sandbox: &str) -> bool {
        self.sandbox == sandbox
    }
}

/// Makes the builder for the container `sandbox`, which need not run yet.
pub(super) async fn prepare(
    engine: &Engine,
    labels: &Labels,
    image: &str,
    sandbox: &str,
    network: &Network,
    peers: Peers,
) -> Result<Builder, ApiError> {
    let (routes, gaps) = routes(network, peers, &engine.surroundings);
    let body = helper(labels, image, sandbox, routes);
    let made = engine.api.create_container(None::<CreateContainerOptions>, body).await;
    let id = made.map_err(failed)?.id;
    let options = AttachContainerOptionsBuilder::default().stream(true).stdout(true).stderr(true);
    let attached = engine.api.attach_container(&id, Some(options.build())).await;
    let printed = attached.map_err(failed)?.output;
    Ok(Builder { engine: engine.clone(), id, sandbox: sandbox.to_owned(), printed, gaps })
}

fn failed(error: Error) -> ApiError {
    ApiError::new("shutting the sandbox's network off", error)
}

/// Puts the walls up around the sandbox, which runs; returns what they do not keep away.
pub(super) async fn put_up(builder: Builder) -> Result<Vec<String>, ApiError> {
    let Builder { engine, id, sandbox, printed, mut gaps } = builder;
    let ended = match run(&engine, &id, printed).await {
        Ok(code @ (0 | NO_TOOL | NO_FILTER)) => code,
        // What has ended needs none.
        _ if !is_running(&engine, &sandbox).await => 0,
        ended => ended.map_err(failed)?,
    };
    match ended {
        0 => {}
        code @ (NO_TOOL | 127) => {
            tracing::debug!(code, "no walls");
            gaps.push(
                "this machine's ports and private networks can be reached: the image has neither \
                 `ip` nor `perl` to shut them off with (install iproute2 in it)"
                    .into(),
            );
        }
        NO_FILTER => {
            gaps.push(
                "this machine's ports and private networks can be reached by who means to: nothing \
                 drops what goes past their routes (the image has neither `perl` nor `nft`, or the \
                 engine's kernel no nf_tables)"
                    .into(),
            );
        }
        code => {
            gaps.push(format!(
                "this machine's ports and private networks may be reached: shutting them off \
                 failed with exit code {code}"
            ));
        }
    }
    Ok(gaps)
}

async fn is_running(engine: &Engine, id: &str) -> bool {
    let found = engine.api.inspect_container(id, None::<InspectContainerOptions>).await;
    found.is_ok_and(|found| found.state.is_some_and(|state| state.running == Some(true)))
}

/// Runs the container until it says that it is done, or to its end, when the engine removes it;
/// returns its exit code.
async fn run(engine: &Engine, id: &str, mut printed: Printed) -> Result<i64, Error> {
    let options = WaitContainerOptionsBuilder::default().condition("next-exit").build();
    let mut ends = engine.api.wait_container(id, Some(options));
    let started = engine.api.start_container(id, None::<StartContainerOptions>);
    // The engine takes longer to see an end than to hand on what was said before it.
    let said = async {
        while let Some(Ok(said)) = printed.next().await {
            tracing::debug!(%said, "walls");
            match said.as_ref() {
                b"up\n" => return 0,
                b"up without a filter\n" => return NO_FILTER,
                _ => {}
            }
        }
        std::future::pending().await
    };
    let ended = async {
        tokio::select! {
            ended = ends.next() => match ended {
                Some(Ok(response)) => Ok(response.status_code),
                Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
                Some(Err(error)) => Err(error),
                None => Err(Error::RequestTimeoutError),
            },
            code = said => Ok(code),
        }
    };
    let mut started = std::pin::pin!(started);
    let mut ended = std::pin::pin!(ended);
    tokio::select! {
        code = &mut ended => return code,
        started = &mut started => started?,
    }
    ended.await
}

fn helper(labels: &Labels, image: &str, sandbox: &str, routes: Vec<String>) -> ContainerCreateBody {
    let mut cmd = vec!["-c".to_owned(), SCRIPT.to_owned(), "smelt".to_owned()];
    cmd.extend(routes);
    ContainerCreateBody {
        image: Some(image.to_owned()),
        user: Some("0:0".into()),
        entrypoint: Some(vec!["sh".into()]),
        cmd: Some(cmd),
        env: Some(vec!["LC_ALL=C".into()]),
        labels: Some(labels_of(labels).collect()),
        host_config: Some(HostConfig {
            network_mode: Some(format!("container:{sandbox}")),
            cap_drop: Some(vec!["ALL".into()]),
            cap_add: Some(vec!["NET_ADMIN".into()]),
            security_opt: Some(vec!["no-new-privileges".into()]),
            readonly_rootfs: Some(true),
            auto_remove: Some(true),
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes_around(own: &[[u8; 4]], resolvers: &[[u8; 4]]) -> (Vec<String>, Vec<String>) {
        let addresses = |list: &[[u8; 4]]| list.iter().map(|a| Ipv4Addr::from(*a)).collect();
        let around =
            Surroundings { own: addresses(own), resolvers: addresses(resolvers), known: true };
        routes(&network(), Peers::None, &around)
    }

    fn network() -> Network {
        let (id, subnet) = ("net".into(), "198.19.0.0/28".into());
        Network { id, subnet, gateway: Ipv4Addr::new(198, 19, 0, 1), internal: false }
    }

    #[test]
    fn peers_are_reached_and_the_gateway_among_them_is_not() {
        let (routes, _) = routes(&network(), Peers::Reached, &Surroundings::default());
        let start = [
            "unreachable 198.19.0.1/32",
            "dropped 198.19.0.0/32",
            "dropped 198.19.0.15/32",
            "direct 198.19.0.0/28",
            "unreachable 10.0.0.0/8",
        ];
        assert_eq!(routes[..5], start);
    }

    #[test]
    fn ranges_and_the_machine_s_own_addresses_are_shut_off() {
        let (routes, gaps) =
            routes_around(&[[127, 0, 0, 1], [192, 168, 1, 2], [8, 9, 10, 11]], &[]);
        assert_eq!(
            routes,
            [
                "unreachable 198.19.0.1/32",
                "unreachable 10.0.0.0/8",
                "unreachable 100.64.0.0/10",
                "unreachable 169.254.0.0/16",
                "unreachable 172.16.0.0/12",
                "unreachable 192.168.0.0/16",
                "unreachable 198.18.0.0/15",
                "unreachable 224.0.0.0/3",
                "unreachable 8.9.10.11/32",
            ]
        );
        assert_eq!(gaps, Vec::<String>::new());
    }

    #[test]
    fn a_resolver_in_a_private_range_stays_open_and_that_is_said() {
        let (routes, gaps) = routes_around(&[], &[[192, 168, 1, 1], [9, 9, 9, 9]]);
        assert_eq!(routes[0], "198.19.0.1 192.168.1.1/32");
        assert_eq!(gaps, ["the resolver 192.168.1.1 can be reached, all of its ports"]);
        // One that is a metadata service too does not.
        let (routes, gaps) = routes_around(&[], &[[169, 254, 169, 254]]);
        assert!(!routes.iter().any(|route| route.starts_with("198")), "{routes:?}");
        assert!(gaps[0].contains("names may not be resolved"), "{gaps:?}");
    }

    #[test]
    fn the_kernel_s_and_the_resolver_s_files_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    |-- 127.0.0.1\n           /32 host LOCAL\n     |-- 10.0.0.7\n        /32 host LOCAL\n     \
                    |-- 10.0.0.255\n        /32 link BROADCAST\nLocal:\n     |-- 10.0.0.7\n        /32 host LOCAL\n";
        let own = own_addresses(trie);
        assert_eq!(own, [Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::LOCALHOST]);
        let conf = "# nameserver 1.1.1.1\nsearch a\nnameserver 10.0.0.2\nnameserver fe80::1\n";
        assert_eq!(resolvers(conf), [Ipv4Addr::new(10, 0, 0, 2)]);
    }
}
