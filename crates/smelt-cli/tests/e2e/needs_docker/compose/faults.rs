//! Services that don't work, and runs that end while they start.

use super::{POSTGRES, service};
use crate::env::{Said, TestEnv, docker_things, session};
use crate::needs_docker::{docker, kept};
use crate::running::{Running, wait_until};
use std::process::{Child, Stdio};

/// Runs a job with `services`, which is to end with `code`.
fn run(services: &str, code: i32) -> Said {
    let env = super::env();
    let repo = env.repo();
    let manifest =
        env.manifest("job", "true", &format!("{services}\n{}", session("one", "true", "")));
    let said = env.run(&manifest).with_code(code);
    assert_eq!(repo.git(&["branch", "--list", "smelt/*"]), "");
    env.nothing_is_left(&repo);
    said
}

#[track_caller]
fn tells(said: &Said, what: &str) {
    let all = format!("{}\n{}", said.stdout, said.stderr);
    assert!(all.contains(what), "{all}");
}

#[test]
fn a_check_that_fails_is_told_with_what_the_service_said() {
    let check = "healthcheck = { test = \"false\", interval = \"500ms\", retries = 2 }";
    let said = run(&service("web", "echo up but not well; sleep 600", check), 1);
    tells(&said, "the service `web` is unhealthy: its health check fails");
    tells(&said, "its last lines: up but not well");
    tells(&said, "sandbox | web: starting");
    tells(&said, "sandbox | web | up but not well");
}

#[test]
fn one_that_ends_at_once_is_told_with_its_code_and_what_it_said() {
    let said = run(&service("web", "echo no configuration >&2; exit 3", ""), 1);
    tells(&said, "the service `web` has ended (exit code 3): its last lines: no configuration");
    let said = run(&service("web", "exec no-such-program", ""), 1);
    tells(&said, "the service `web` has ended (exit code 127: command not found)");
    let said = run(&service("web", "true", ""), 1);
    tells(&said, "nothing waits for that");
}

#[test]
fn one_whose_program_is_not_there_is_told_by_compose() {
    let said = run(
        "[[services]]\nname = \"web\"\nimage = \"smelt-test/base\"\nentrypoint = [\"/no/such\"]\n",
        1,
    );
    tells(&said, "/no/such");
}

#[test]
fn an_image_that_is_not_there_is_told_by_name() {
    let said = run("[[services]]\nname = \"web\"\nimage = \"smelt-test/none\"\n", 69);
    tells(&said, "the engine has no image `smelt-test/none`");
}

#[test]
fn ports_of_the_host_are_refused_and_two_services_may_have_the_same_inside() {
    let said = run(
        "[[services]]\nname = \"web\"\nimage = \"smelt-test/base\"\nports = [\"5432:5432\"]\n",
        65,
    );
    tells(&said, "`ports` is not allowed for a service: it opens ports of the host");
    let listens = "exec perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 5) or die; sleep 600'";
    let check = "healthcheck = { test = \"grep -q ':0050 ' /proc/net/tcp\", interval = \"500ms\" }";
    run(&(service("one", listens, check) + &service("two", listens, check)), 3);
}

/// A job whose service never gets well.
fn start(env: &TestEnv) -> Child {
    let check = "healthcheck = { test = \"false\", interval = \"1s\", start_period = \"600s\" }";
    let services = service("slow", "sleep 600", check) + POSTGRES;
    let manifest = env.manifest("job", "true", &(services + &session("one", "true", "")));
    let mut command = env.command(&["run", manifest.to_str().unwrap()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the services have started", || {
        env.smelt(&["logs", "job"]).stdout.contains("slow: starting")
    });
    child
}

/// Sends `signal` to a run whose services start; returns its id.
fn ended_by(env: &TestEnv, signal: &str) -> (String, Said) {
    let child = start(env);
    let pid = env.status("job")["pid"].to_string();
    let status = std::process::Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(status.success());
    let said = child.wait_with_output().unwrap().into();
    (env.run_ids().remove(0), said)
}

#[test]
fn a_run_that_is_stopped_while_services_start_leaves_nothing() {
    let env = super::env();
    let repo = env.repo();
    let (_, said) = ended_by(&env, "-INT");
    said.with_code(130);
    env.nothing_is_left(&repo);
}

#[test]
fn after_kill_9_clean_removes_services_their_volumes_and_the_network() {
    let env = super::env();
    let repo = env.repo();
    let (run, _) = ended_by(&env, "-KILL");
    let label = format!("label=smelt.run={run}");
    let containers = docker(&["ps", "-aq", "--filter", &label]);
    let containers: Vec<_> = containers.lines().collect();
    let volumes = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{println .Name}}{{end}}{{end}}";
    let volumes = docker(&[&["inspect", "--format", volumes], &containers[..]].concat());
    assert!(!volumes.trim().is_empty(), "the database has none");
    let said = env.smelt(&["clean"]).with_code(0);
    assert!(said.stdout.contains("removed container"), "{}", said.stdout);
    env.nothing_is_left(&repo);
    assert_eq!(docker_things(&format!("smelt.run={run}")), Vec::<String>::new());
    let left = docker(&["volume", "ls", "-q"]);
    for volume in volumes.split_whitespace() {
        assert!(!left.contains(volume), "{volume} is left");
    }
}

/// A service that works only once: what it finds from its first time ends it.
const ONCE: &str = "test ! -e /data/seen || exit 9; touch /data/seen; echo up; sleep 600";

#[test]
fn a_sandbox_that_is_killed_or_removed_costs_no_work_whatever_its_services_do() {
    for end in [&["kill"][..], &["rm", "-f"]] {
        let env = super::env();
        let repo = env.repo();
        let agent = "echo work > work.txt; sync; echo ready; sleep 600";
        let services = service("once", ONCE, "volumes = [\"/data\"]") + POSTGRES;
        let manifest = env.manifest("job", agent, &(services + &session("one", "true", "")));
        let running = Running::start(&env, &manifest);
        docker(&[end, &[&running.container()]].concat());
        let said = running.end().with_code(1);
        tells(&said, "its container was ended from outside");
        assert!(!said.stdout.contains("could not be removed"), "{}", said.stdout);
        assert_eq!(kept(&env, &repo, "job", "work.txt"), "work");
        env.nothing_is_left(&repo);
    }
}
