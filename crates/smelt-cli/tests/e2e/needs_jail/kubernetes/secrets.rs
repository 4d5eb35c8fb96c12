//! A secret reaches the agent, and nothing else that anybody could look at.

use super::{env, tells};
use crate::env::{Said, session};
use crate::running::Running;
use std::fs;
use std::process::Command;

const CANARY: &str = "canary-7d20b94c6e";

fn holds(text: &[u8]) -> bool {
    text.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())
}

#[test]
fn a_secret_is_in_no_request_no_pod_no_command_line_and_nothing_that_is_kept() {
    let env = env();
    let _repo = env.repo();
    // The agent prints it, as a careless one does.
    let agent =
        "echo the key is $KEY; cat ~/.key; echo; printf %s $KEY | wc -c > length.txt; echo ready
                 until [ -e ~/go ]; do sleep 0.05; done";
    let gate = "echo $KEY; cat ~/.key";
    let credentials =
        "[credentials]\nenv = { KEY = \"AGENT_KEY\" }\nfiles = { \"~/.key\" = \"AGENT_KEY\" }\n";
    let rest = format!("{credentials}\n{}", session("one", gate, ""));
    let manifest = env.manifest("job", agent, &rest);
    let running = Running::start_with(&env, &manifest, |command| command.env("AGENT_KEY", CANARY));
    // While it works: the pod as anybody sees it who may look at pods, and every process.
    let pods = format!("{:?} {:?}", env.cluster().pods(), env.cluster().network_policies());
    assert!(!holds(pods.as_bytes()), "{pods}");
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!holds(&line), "{}", String::from_utf8_lossy(&line));
    }
    let mut shell = env.command(&["shell", "job"]);
    let go = env.write("go", "env; touch ~/go\n");
    let shell = Said::from(shell.stdin(fs::File::open(go).unwrap()).output().unwrap()).with_code(0);
    assert!(!holds(shell.stdout.as_bytes()), "{}", shell.stdout);
    let said = running.end().with_code(0);
    tells(&said, "the key is ***");
    assert!(!holds(super::all(&said).as_bytes()), "{}", super::all(&said));
    for request in env.cluster().requests() {
        assert!(!holds(format!("{request:?}").as_bytes()), "{request:?}");
    }
    let repo = smelt_testing::TestRepo::at(env.home(), env.path().join("repo"));
    let length = repo.git(&["show", "smelt/job:length.txt"]);
    assert_eq!(length.trim(), CANARY.len().to_string());
    let found = Command::new("grep").args(["-rl", CANARY]).arg(env.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "kept somewhere");
}
