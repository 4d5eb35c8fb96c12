//! What sandboxes and services reach, and what they have no right to.

use super::service;
use crate::env::{amend, session};
use crate::needs_docker::docker;
use crate::running::Running;
use serde_json::Value;
use std::net::{TcpListener, UdpSocket};

/// Connects to the addresses that it is sent, one in a line, and answers how that went.
const PROBE: &str = "exec perl -MIO::Socket::INET -e '$| = 1;
    my $s = IO::Socket::INET->new(LocalPort => 7000, Listen => 5, ReuseAddr => 1) or die;
    while (my $c = $s->accept) { while (<$c>) { chomp;
        my $to = IO::Socket::INET->new(PeerAddr => $_, Timeout => 3);
        print $c \"$_ \", ($to ? \"REACHED\" : \"shut\"), \"\\n\" } }'";

const WELL: &str =
    "healthcheck = { test = \"grep -q ':1B58 ' /proc/net/tcp\", interval = \"500ms\" }";

/// Asks the probe of the service `probe` for `$1`, and tries it from here, too.
const ASK: &str = "perl -MIO::Socket::INET -e '
    my $to = IO::Socket::INET->new(PeerAddr => $ARGV[0], Timeout => 3);
    print \"here $ARGV[0] \", ($to ? \"REACHED\" : \"shut\"), \"\\n\"; close $to if $to;
    my $c = IO::Socket::INET->new(PeerAddr => \"probe:7000\", Timeout => 5) or die;
    print $c \"$ARGV[0]\\n\"; print \"there \", scalar <$c>'";

#[test]
fn services_and_sandbox_reach_each_other_and_not_this_machine() {
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let env = super::env();
    let repo = env.repo();
    let services = service("probe", PROBE, WELL);
    let agent = format!(
        "gateway=$(perl -lane 'print join q(.), reverse map hex, $F[2] =~ /../g if $F[1] eq q(00000000)' /proc/net/route); \
         for to in $gateway:{port} 172.17.0.1:{port} 169.254.169.254:80 probe:7000; do {ASK} $to; done > report.txt"
    );
    let manifest = env.manifest("job", &agent, &(services + &session("one", "true", "")));
    env.run(&manifest).with_code(0);
    let report = repo.git(&["show", "smelt/job:report.txt"]);
    assert_eq!(report.matches(" shut").count(), 6, "{report}");
    assert!(report.contains("here probe:7000 REACHED\nthere probe:7000 REACHED"), "{report}");
    assert!(report.starts_with("here 198.19."), "{report}");
    env.nothing_is_left(&repo);
}

/// Tries `to` until it is shut off, and only then listens.
fn until_shut(to: &str) -> String {
    format!(
        "exec perl -MIO::Socket::INET -e 'sleep 1 while IO::Socket::INET->new(PeerAddr => \"{to}\", Timeout => 3);
        my $s = IO::Socket::INET->new(LocalPort => 7001, Listen => 5) or die; $| = 1; print qq(shut\\n);
        1 while $s->accept'"
    )
}

#[test]
fn walls_are_up_around_a_service_before_the_others_are_ready() {
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let env = super::env();
    let repo = env.repo();
    // The second one gets well when the first one can't reach this machine any more.
    let asks = "perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr => q(first:7001), Timeout => 2)'";
    let check =
        format!("healthcheck = {{ test = \"{asks}\", interval = \"500ms\", retries = 100 }}");
    let services = service("first", &until_shut(&format!("172.17.0.1:{port}")), "")
        + &service("second", "sleep 600", &check);
    let manifest = env.manifest("job", "true", &(services + &session("one", "true", "")));
    env.run(&manifest).with_code(3);
    assert_eq!(super::log(&env, "first"), "shut\n");
    env.nothing_is_left(&repo);
}

#[test]
fn this_machine_hears_nothing_that_is_sent_to_all() {
    let heard = UdpSocket::bind("0.0.0.0:0").unwrap();
    heard.set_nonblocking(true).unwrap();
    let port = heard.local_addr().unwrap().port();
    let env = super::env();
    let repo = env.repo();
    // To the last and the first address of each subnet that the network may be, as far as these are not
    // the peers' own.
    let agent = format!(
        "perl -MSocket -e 'socket(my $s, PF_INET, SOCK_DGRAM, 0); setsockopt($s, SOL_SOCKET, SO_BROADCAST, 1);
        open my $r, q(<), q(/proc/net/fib_trie); my ($own) = grep /^198/, map /(198[0-9.]+)/, <$r>;
        my $n = unpack q(N), inet_aton($own);
        for my $to ($n & ~15, $n | 15) {{ send $s, q(x), 0, pack_sockaddr_in({port}, pack q(N), $to) }}
        print qq($own\n)' > sent.txt"
    );
    let services = service("web", "sleep 600", "");
    let manifest =
        env.manifest("job", &agent, &(services + &session("one", "grep -q ^198 sent.txt", "")));
    env.run(&manifest).with_code(0);
    let got = heard.recv(&mut [0; 64]);
    assert!(got.is_err(), "a datagram came through");
    env.nothing_is_left(&repo);
}

#[test]
fn without_a_network_there_are_only_the_services() {
    let env = super::env();
    let repo = env.repo();
    let services = service("probe", PROBE, WELL);
    let agent =
        format!("{{ {ASK} probe:7000; {ASK} 192.0.2.1:80; cat /proc/net/route; }} > report.txt");
    let manifest = env.manifest("job", &agent, &(services + &session("one", "true", "")));
    amend(&manifest, "[environment]", "network = \"none\"");
    env.run(&manifest).with_code(0);
    let report = repo.git(&["show", "smelt/job:report.txt"]);
    assert!(report.contains("here probe:7000 REACHED"), "{report}");
    assert!(report.contains("here 192.0.2.1:80 shut\nthere 192.0.2.1:80 shut"), "{report}");
    // Both halves of all there is, as unreachable (flags 0201).
    for half in ["00000000", "00000080"] {
        let fits = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            fields.get(1) == Some(&half) && fields.get(3) == Some(&"0201")
        };
        assert!(report.lines().any(fits), "{report}");
    }
    env.nothing_is_left(&repo);
}

#[test]
fn no_container_has_a_right_or_a_mount_that_it_does_not_need() {
    let env = super::env();
    let repo = env.repo();
    let services = service("web", "sleep 600", "volumes = [\"/data\"]\nmem_limit = \"100M\"");
    let manifest =
        env.manifest("job", "echo ready; sleep 600", &(services + &session("one", "true", "")));
    let running = Running::start(&env, &manifest);
    let run = env.run_ids().remove(0);
    let ids = docker(&["ps", "-q", "--filter", &format!("label=smelt.run={run}")]);
    let ids: Vec<_> = ids.lines().collect();
    let found: Value = serde_json::from_str(&docker(&[&["inspect"], &ids[..]].concat())).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 2);
    for container in found {
        let host = &container["HostConfig"];
        assert_eq!(host["Privileged"], false);
        assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
        assert_eq!(host["SecurityOpt"], serde_json::json!(["no-new-privileges"]));
        assert_eq!(host["IpcMode"], "private");
        assert_eq!(host["PidsLimit"], 1024);
        for namespace in ["PidMode", "UTSMode", "UsernsMode"] {
            assert_ne!(host[namespace], "host", "{namespace}");
        }
        assert_eq!(host["PortBindings"].as_object().map_or(0, serde_json::Map::len), 0);
        assert_eq!(host["Devices"].as_array().map_or(0, Vec::len), 0);
        let labels = &container["Config"]["Labels"];
        assert_eq!(labels["smelt.run"], *run);
        assert_eq!(labels["com.docker.compose.project"], format!("smelt-{run}"));
        let is_service = labels["com.docker.compose.service"] == "web";
        assert_eq!(host["Memory"], if is_service { 100_000_000_u64 } else { 8_000_000_000 });
        for mount in container["Mounts"].as_array().unwrap() {
            let is_bind = mount["Type"] == "bind";
            assert!(!(is_service && is_bind), "{mount}");
            assert!(!mount["Source"].as_str().unwrap().contains("docker.sock"), "{mount}");
        }
    }
    running.signal("-TERM");
    running.end().with_code(130);
    env.nothing_is_left(&repo);
}
