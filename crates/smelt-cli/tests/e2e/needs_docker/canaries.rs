//! Where a secret is, while it is used and afterwards: with the agent, and nowhere else.

use super::docker;
use crate::env::{TestEnv, session};
use crate::running::Running;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

/// What is looked for; the file holds the second one.
const CANARIES: [&str; 2] = ["canary-7d1c40e5b2", "canary-93aa6e01ff"];

/// Base64, in the three ways in which a text can lie in a longer one.
fn encoded(text: &str) -> Vec<String> {
    let encode = |shift: usize| {
        let script = format!("printf '%{shift}s%s' '' '{text}' | base64 -w 0");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let whole = String::from_utf8(output.stdout).unwrap();
        // The first and last digits depend on what stands around it.
        whole[4..whole.len() - 4].to_owned()
    };
    (0..3).map(encode).collect()
}

#[track_caller]
fn has_none(what: &str, text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary} is in {what}: {text}");
        for encoded in encoded(canary) {
            assert!(!text.contains(&encoded), "{canary} is encoded in {what}: {text}");
        }
    }
}

/// The answer of the engine to a request that its client has no command for.
fn ask(path: &str) -> String {
    let mut socket = UnixStream::connect("/var/run/docker.sock").unwrap();
    write!(socket, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 OK"), "{answer}");
    answer
}

/// Files below `folder` with a canary in them, plain or encoded.
fn found_below(folder: &std::path::Path) -> String {
    let mut grep = Command::new("grep");
    grep.args(["-rlaF"]);
    for canary in CANARIES {
        grep.args(["-e", canary]);
        grep.args(encoded(canary).iter().flat_map(|encoded| ["-e", encoded.as_str()]));
    }
    String::from_utf8(grep.arg(folder).output().unwrap().stdout).unwrap()
}

fn manifest(env: &TestEnv, agent: &str) -> std::path::PathBuf {
    let credentials =
        "[credentials]\nenv = { KEY = \"AGENT_KEY\" }\nfiles = { \"~/.key\" = \"FILE_KEY\" }\n";
    env.manifest("job", agent, &format!("{credentials}\n{}", session("one", "true", "")))
}

#[test]
fn an_agent_s_key_is_in_its_environment_and_nowhere_else() {
    let env = super::env();
    let repo = env.repo();
    let since = docker(&["info", "--format", "{{.SystemTime}}"]);
    let agent = "for secret in \"$KEY\" \"$(cat ~/.key)\"; do printf %s \"$secret\" | sha256sum; done > sums.txt; \
                 echo the key is $KEY and $(cat ~/.key); echo ready; until [ -e /tmp/go ]; do sleep 0.1; done";
    let text = format!("AGENT_KEY={}\nFILE_KEY={}\n", CANARIES[0], CANARIES[1]);
    let secrets = env.write("secrets.env", text);
    let running = Running::start_with(&env, &manifest(&env, agent), |command| {
        command.args(["--env-file", "secrets.env"])
    });
    std::fs::remove_file(secrets).unwrap();

    let container = running.container();
    has_none("inspect", &docker(&["inspect", &container]));
    has_none("inspect of the image", &docker(&["image", "inspect", "smelt-test/base"]));
    let format = "{{range .NetworkSettings.Networks}}{{.NetworkID}}{{end}}";
    let network = docker(&["inspect", "--format", format, &container]);
    has_none("inspect of the network", &docker(&["network", "inspect", &network]));
    let execs = docker(&["inspect", "--format", "{{range .ExecIDs}}{{.}} {{end}}", &container]);
    assert!(!execs.is_empty(), "the agent's own, at least");
    for exec in execs.split_whitespace() {
        has_none("inspect of the exec", &ask(&format!("/exec/{exec}/json")));
    }
    has_none("the processes' arguments", &docker(&["top", &container, "-eo", "pid,args"]));
    // The first process has nothing of it, nor has any other command that is run there.
    let keeper = "for p in /proc/1/environ /proc/self/environ; do tr '\\0' '\\n' < $p; done";
    has_none(
        "a process beside the agent",
        &docker(&["exec", "-u", "65534:65533", &container, "sh", "-c", keeper, "||", "true"]),
    );
    has_none("what is kept during the run", &found_below(&env.path().join(".smelt")));
    docker(&["exec", &container, "sh", "-c", ": > /tmp/go"]);
    let said = running.end().with_code(0);
    has_none("what is printed", &(said.stdout + &said.stderr));

    let now = docker(&["info", "--format", "{{.SystemTime}}"]);
    let filter = format!("container={container}");
    let events = docker(&["events", "--since", &since, "--until", &now, "--filter", &filter]);
    assert!(events.contains("exec_create"), "{events}");
    has_none("events", &events);
    // The whole folder: state, logs, repository, home, cache.
    assert_eq!(found_below(env.path()), "");
    let sums = repo.git(&["show", "smelt/job:sums.txt"]);
    for (canary, line) in CANARIES.iter().zip(sums.lines()) {
        let script = format!("printf %s {canary} | sha256sum");
        let sum = Command::new("sh").args(["-c", &script]).output().unwrap().stdout;
        assert_eq!(line, String::from_utf8(sum).unwrap().trim_end(), "the agent had it");
    }
    env.nothing_is_left(&repo);
}

#[test]
fn what_the_manifest_does_not_name_does_not_go_in() {
    let env = super::env();
    let repo = env.repo();
    // Put together inside, so that it does not find itself.
    let agent = "c=canary; c=$c-7d1c40e5b2; exec > report.txt 2>&1; \
                 { env; cat /proc/[0-9]*/environ; } 2>/dev/null | grep -ac -e $c -e GITHUB_TOKEN; \
                 grep -rlaF -e $c ~ /tmp /smelt /etc /run /var 2>/dev/null; echo over";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    let mut command = env.command(&["run", manifest.to_str().unwrap()]);
    command.env("GITHUB_TOKEN", CANARIES[0]).env("SMELT_TOKEN", CANARIES[0]);
    let said: crate::env::Said = command.output().unwrap().into();
    said.with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:report.txt"]), "0\nover");
    assert_eq!(found_below(env.path()), "");
    env.nothing_is_left(&repo);
}
