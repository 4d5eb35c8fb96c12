//! `smelt shell`: into a running session, from another process.

use crate::env::{Said, TestEnv, session};
use std::io::Write;
use std::process::{Child, Stdio};

/// Starts a job whose agents wait for the file `~/go`, and waits until both of them do.
fn waiting(env: &TestEnv) -> Child {
    let agent = "echo $SMELT_SESSION > mine.txt; echo ready; until [ -e ~/go ]; do sleep 0.05; done; rm mine.txt; echo x > $SMELT_SESSION.txt";
    let sessions = session("one", "true", "") + &session("two", "true", "");
    let manifest = env.manifest("job", agent, &sessions);
    let mut run = env.command(&["run", manifest.to_str().unwrap()]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while env.smelt(&["logs", "job"]).stdout.matches("agent | ready").count() < 2 {
        assert!(run.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    run
}

fn typed(mut command: std::process::Command, text: &str) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_shell_opens_where_a_session_works_and_as_its_user() {
    let env = TestEnv::docker();
    let repo = env.repo();
    let mut run = waiting(&env);
    let uid = |said: &Said| said.stdout.lines().next().unwrap().to_owned();
    let said = typed(
        env.command(&["shell", "job", "--session", "two"]),
        "id -u\ncat mine.txt\npwd\necho complaint >&2\nexit 0\n",
    )
    .with_code(0);
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(repo.path()).unwrap());
    assert_eq!(uid(&said), own.to_string());
    assert!(said.stdout.contains("two\n/smelt/sessions/two"), "{}", said.stdout);
    assert_eq!(said.stderr, "complaint\n");
    typed(env.command(&["shell", "job"]), "exit 7\n").with_code(1);
    // At a terminal it is one, and as large.
    let smelt = env.command(&["shell", "job", "--session", "one"]);
    // `script` is the test's user already.
    let words = std::iter::once(smelt.get_program()).chain(smelt.get_args());
    let words = words.skip_while(|word| !word.to_str().unwrap().ends_with("/smelt"));
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut script = env.home().command("script");
    let line = format!("stty rows 33 cols 77; {}", words.join(" "));
    script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
    let said = typed(script, "stty size; tty; touch ~/go\nexit\n");
    assert!(said.stdout.contains("33 77") && said.stdout.contains("/dev/pts/"), "{}", said.stdout);
    assert!(run.wait().unwrap().success());
    let said = env.smelt(&["shell", "job"]).with_code(1);
    assert!(said.stderr.contains("`job` is not running"), "{}", said.stderr);
    env.nothing_is_left(&repo);
}

#[test]
fn a_session_that_is_not_one_is_told_with_those_there_are() {
    let env = TestEnv::docker();
    let _repo = env.repo();
    let mut run = waiting(&env);
    let said = env.smelt(&["shell", "job", "--session", "three"]).with_code(64);
    assert!(said.stderr.contains("its sessions: `one`, `two`"), "{}", said.stderr);
    typed(env.command(&["shell", "job"]), "touch ~/go\n").with_code(0);
    assert!(run.wait().unwrap().success());
}
