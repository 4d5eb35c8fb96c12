//! What holds a container in: what the engine was asked for, and what is out of reach from inside.

use super::docker;
use crate::env::{amend, session};
use crate::running::Running;
use serde_json::Value;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

const READY: &str = "echo ready; sleep 600";

fn inspect(container: &str) -> Value {
    let text = docker(&["inspect", container]);
    serde_json::from_str::<Value>(&text).unwrap()[0].take()
}

#[test]
fn a_container_has_no_right_and_no_mount_that_it_does_not_need() {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest("job", READY, &session("one", "true", ""));
    amend(
        &manifest,
        "[environment]",
        "resources = { cpu = \"0.5\", memory = \"200M\", pids = 77 }",
    );
    let running = Running::start(&env, &manifest);
    let container = inspect(&running.container());
    let host = &container["HostConfig"];
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
    assert_eq!(host["CapAdd"], Value::Null);
    assert_eq!(host["SecurityOpt"], serde_json::json!(["no-new-privileges"]));
    assert_eq!(host["Init"], true);
    assert_eq!(host["PidsLimit"], 77);
    assert_eq!(host["Memory"], 200_000_000);
    assert_eq!(host["MemorySwap"], 200_000_000);
    assert_eq!(host["NanoCpus"], 500_000_000);
    assert_eq!(host["RestartPolicy"]["Name"], "");
    for namespace in ["PidMode", "UTSMode", "UsernsMode"] {
        assert_ne!(host[namespace], "host", "{namespace}");
    }
    for namespace in ["IpcMode", "CgroupnsMode"] {
        assert_eq!(host[namespace], "private", "{namespace}");
    }
    assert!(host["NetworkMode"].as_str().unwrap().starts_with("smelt-"), "{host}");
    assert_eq!(host["Binds"], Value::Null);
    assert_eq!(host["Devices"].as_array().map_or(0, Vec::len), 0);
    assert_eq!(host["PortBindings"].as_object().map_or(0, serde_json::Map::len), 0);

    let own = repo.path().join(".git");
    for mount in container["Mounts"].as_array().unwrap() {
        let source = mount["Source"].as_str().unwrap();
        assert!(!source.contains("docker.sock"), "{mount}");
        let is_of_the_repository = std::path::Path::new(source).starts_with(&own);
        assert!(!is_of_the_repository || mount["RW"] == false, "{mount}");
    }

    // Who keeps the container going is nobody that the agent could be.
    let processes = docker(&["top", &running.container(), "-eo", "pid,uid,args"]);
    let uid_of = |command: &str| {
        let line = processes.lines().find(|line| line.contains(command));
        line.unwrap_or_else(|| panic!("{processes}")).split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_ne!(uid_of("cat"), uid_of("sleep 600"), "{processes}");

    let labels = &container["Config"]["Labels"];
    let run = env.run_ids().remove(0);
    assert_eq!((labels["smelt.run"].as_str(), &labels["smelt.job"]), (Some(&*run), &"job".into()));
    assert!(labels["smelt.owner"].is_string(), "{labels}");
    running.signal("-TERM");
    running.end().with_code(130);
    env.nothing_is_left(&repo);
}

/// Every address that this machine has, but for those of other tests' networks.
fn own_addresses() -> Vec<String> {
    let trie = std::fs::read_to_string("/proc/net/fib_trie").unwrap();
    let lines: Vec<_> = trie.lines().collect();
    let local = lines.windows(2).filter(|pair| pair[1].contains("/32 host LOCAL"));
    let addresses = local.filter_map(|pair| pair[0].split("|-- ").nth(1)?.trim().parse().ok());
    let mut addresses: Vec<Ipv4Addr> = addresses.collect();
    addresses.sort();
    addresses.dedup();
    let is_of_a_test = |address: &Ipv4Addr| address.octets()[..2] == [198, 19];
    addresses.retain(|address| !address.is_loopback() && !is_of_a_test(address));
    addresses.iter().map(Ipv4Addr::to_string).collect()
}

#[test]
fn neither_this_machine_nor_metadata_nor_a_sibling_can_be_reached() {
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    udp.set_nonblocking(true).unwrap();

    let other = super::env();
    other.repo();
    let listens = format!(
        "exec perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => {port}, \
         Listen => 5) or die; $| = 1; print qq(ready\\n); sleep 600'"
    );
    let sibling =
        Running::start(&other, &other.manifest("job", &listens, &session("one", "true", "")));
    let networks = inspect(&sibling.container())["NetworkSettings"]["Networks"].take();
    let network = networks.as_object().unwrap().values().next().unwrap();
    let mut addresses = own_addresses();
    assert!(!addresses.is_empty());
    addresses.extend(["IPAddress", "Gateway"].map(|key| network[key].as_str().unwrap().into()));

    let env = super::env();
    let repo = env.repo();
    repo.write("probe.pl", include_str!("probe.pl"));
    repo.commit("A probe");
    let agent = format!(
        "exec > report.txt 2>&1; perl probe.pl {port} {}; cat /proc/net/if_inet6; \
         for socket in /var/run/docker.sock /run/docker.sock; do test ! -e $socket || echo SEEN; done",
        addresses.join(" ")
    );
    let manifest = env.manifest("job", &agent, &session("one", "true", ""));
    let said = env.run(&manifest).with_code(0);
    let report = repo.git(&["show", "smelt/job:report.txt"]);
    assert!(report.starts_with("127.0.0.1 plain REACHED"), "{report}");
    assert_eq!(report.matches("REACHED").count(), 1, "{report}");
    assert_eq!(report.matches(" shut").count(), 3 * (2 + addresses.len()), "{report}");
    assert!(report.contains("route refused\nfilter refused"), "{report}");
    assert!(!report.contains("SEEN") && !report.contains("eth0"), "{report}");
    let heard = udp.recv(&mut [0; 64]);
    assert!(heard.is_err(), "a datagram came through");
    assert!(!said.stdout.contains("can be reached by who means to"), "{}", said.stdout);
    sibling.signal("-TERM");
    sibling.end().with_code(130);
    env.nothing_is_left(&repo);
}

#[test]
fn without_a_network_there_is_none() {
    let env = super::env();
    let repo = env.repo();
    let agent = "tail -n +3 /proc/net/dev | cut -d : -f 1 > devices.txt; cat /proc/net/route >> devices.txt";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    amend(&manifest, "[environment]", "network = \"none\"");
    let said = env.run(&manifest).with_code(0);
    assert!(said.stdout.contains("no network"), "{}", said.stdout);
    let devices = repo.git(&["show", "smelt/job:devices.txt"]);
    let devices: Vec<_> = devices.lines().map(str::trim).collect();
    assert!(!devices.iter().any(|device| device.starts_with("eth")), "{devices:?}");
    assert!(devices.iter().filter(|line| line.starts_with("Iface")).count() <= 1, "{devices:?}");
    env.nothing_is_left(&repo);
}
