//! Seeing what a run does and did.

use crate::env::session;
use std::process::Stdio;

#[test]
fn events_come_as_json_lines_the_outcome_last() {
    let env = super::env();
    env.repo();
    let manifest =
        env.manifest("job", "echo hello; echo new > new.txt", &session("one", "true", ""));
    let said = env.smelt(&["run", manifest.to_str().unwrap(), "--json"]).with_code(0);
    let events: Vec<serde_json::Value> =
        said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "run_started");
    let last = events.last().unwrap();
    assert_eq!(
        (last["event"].as_str(), last["outcome"].as_str()),
        (Some("run_finished"), Some("complete"))
    );
    for (n, event) in (1..).zip(&events) {
        assert_eq!(event["seq"], n);
    }
    assert!(
        events
            .iter()
            .any(|e| e["event"] == "output" && e["text"] == "hello" && e["source"] == "agent")
    );
    // The same events are on disk, and the logs beside them.
    let run = events[0]["run_id"].as_str().unwrap();
    let folder = env.path().join(".smelt/runs/job").join(run);
    assert_eq!(std::fs::read_to_string(folder.join("events.jsonl")).unwrap(), said.stdout);
    assert_eq!(std::fs::read_to_string(folder.join("logs/one.agent.log")).unwrap(), "hello\n");
    assert!(
        std::fs::read_to_string(folder.join("state.toml"))
            .unwrap()
            .contains("outcome = \"complete\"")
    );
    assert_eq!(std::fs::read_to_string(env.path().join(".smelt/.gitignore")).unwrap(), "*\n");
}

#[test]
fn progress_goes_to_stderr_and_results_to_stdout() {
    let env = super::env();
    env.repo();
    let manifest =
        env.manifest("job", "echo hello; echo new > new.txt", &session("one", "echo checked", ""));
    let path = manifest.to_str().unwrap();
    let full = env.smelt(&["run", path]).with_code(0);
    assert!(
        full.stderr.contains("[one] agent | hello") && full.stderr.contains("[one] gate | checked")
    );
    assert!(!full.stdout.contains("| hello") && !full.stdout.contains('\u{1b}'), "{}", full.stdout);
    let quiet = env.smelt(&["run", path, "--output", "final"]).with_code(0);
    assert_eq!(quiet.stderr, "");
    assert!(quiet.stdout.starts_with("complete: job"));
}

#[test]
fn logs_follow_a_run_to_its_end() {
    let env = super::env();
    env.repo();
    let agent = "for n in 1 2 3 4 5 6; do echo line $n; sleep 0.1; done; echo new > new.txt";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    let run = env
        .command(&["run", manifest.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut run = run.unwrap();
    while env.smelt(&["logs", "job"]).code != Some(0) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let said = env.smelt(&["logs", "job", "-f", "--session", "one"]).with_code(0);
    assert!(run.wait().unwrap().success());
    for n in 1..=6 {
        assert!(said.stdout.contains(&format!("[one] agent | line {n}")), "{}", said.stdout);
    }
    assert!(
        said.stdout.contains("[one] passed") && !said.stdout.contains("== "),
        "{}",
        said.stdout
    );
    let said = env.smelt(&["logs", "job", "--session", "two"]).with_code(1);
    assert!(said.stderr.contains("its sessions: `one`"), "{}", said.stderr);
}

#[test]
fn lines_that_are_printed_at_once_are_one_event_and_each_is_shown() {
    let env = super::env();
    env.repo();
    let agent = "printf 'one\\n\\ntwo\\n'; echo new > new.txt";
    let manifest = env.manifest("job", agent, &session("a", "true", ""));
    let said = env.smelt(&["run", manifest.to_str().unwrap(), "--output", "full"]).with_code(0);
    let shown = "[a] agent | one\n[a] agent | \n[a] agent | two\n";
    assert!(said.stderr.contains(shown), "{}", said.stderr);
    let logs = env.smelt(&["logs", "job", "--session", "a"]).with_code(0).stdout;
    assert!(logs.contains(shown), "{logs}");
    let json = env.smelt(&["logs", "job", "--json"]).with_code(0).stdout;
    assert!(json.contains(r#""text":"one\n\ntwo""#), "{json}");
    let folder = env.path().join(".smelt/runs/job").join(&env.run_ids()[0]);
    assert_eq!(std::fs::read_to_string(folder.join("logs/a.agent.log")).unwrap(), "one\n\ntwo\n");
    // Events of a Smelt that made one of each line.
    let events = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    let output = events.lines().find(|line| line.contains("one")).unwrap();
    let each = ["one", "", "two"].map(|text| output.replace(r"one\n\ntwo", text)).join("\n");
    std::fs::write(folder.join("events.jsonl"), events.replace(output, &each)).unwrap();
    assert_eq!(env.smelt(&["logs", "job", "--session", "a"]).with_code(0).stdout, logs);
}

#[test]
fn gates_are_reported_as_junit() {
    let env = super::env();
    env.repo();
    let sessions = session("good", "true", "")
        + &session("bad", "echo broken; exit 3", "")
        + &session("after", "true", "depends_on = [\"bad\"]");
    let manifest = env.manifest("job", "echo $SMELT_SESSION > $SMELT_SESSION.txt", &sessions);
    env.smelt(&["run", manifest.to_str().unwrap(), "--report", "junit.xml"]).with_code(2);
    let report = std::fs::read_to_string(env.path().join("junit.xml")).unwrap();
    assert!(report.contains(r#"tests="3""#) && report.contains(r#"failures="1""#), "{report}");
    assert!(
        report.contains("exit code 3") && report.contains("broken") && report.contains("<skipped"),
        "{report}"
    );
}

#[test]
fn a_report_that_can_not_be_written_is_told_before_the_run_and_changes_no_outcome() {
    let env = super::env();
    let repo = env.repo();
    let before = repo.refs();
    let manifest = env.manifest("job", "echo new > new.txt", &session("one", "true", ""));
    let path = manifest.to_str().unwrap();
    let said = env.smelt(&["run", path, "--report", "nowhere/junit.xml"]).with_code(64);
    assert!(said.stderr.contains("`nowhere/junit.xml` can't be written"), "{}", said.stderr);
    assert!(env.run_ids().is_empty());
    assert_eq!(repo.refs(), before);
    // Every write to it fails, and opening it does not.
    let said = env.smelt(&["run", path, "--report", "/dev/full"]).with_code(0);
    assert!(said.stderr.contains("warning: the report `/dev/full`"), "{}", said.stderr);
    assert!(said.stdout.contains("complete: job"), "{}", said.stdout);
}

#[test]
fn status_shows_the_newest_run_any_run_and_an_older_smelt_s() {
    let env = super::env();
    env.write(
        ".smelt/run-state.toml",
        "job_name = \"old\"\nphase = \"complete\"\nsessions = [\"a\"]\nstarted_at = 1700000000\n",
    );
    let said = env.smelt(&["status"]).with_code(0);
    assert!(said.stdout.contains("job_name         old"), "{}", said.stdout);
    env.repo();
    let manifest = env.manifest("job", "echo new > new.txt", &session("one", "true", ""));
    env.run(&manifest).with_code(0);
    env.run(&manifest).with_code(0);
    let mut runs = env.run_ids();
    runs.sort();
    assert!(env.smelt(&["status"]).with_code(0).stdout.contains(&runs[1]));
    assert!(
        env.smelt(&["status", "job", "--run", &runs[0]]).with_code(0).stdout.contains(&runs[0])
    );
    let end = &runs[0][runs[0].len() - 6..];
    assert!(env.smelt(&["status", "job", "--run", end]).with_code(0).stdout.contains(&runs[0]));
    let said = env.smelt(&["status", "jop"]).with_code(1);
    assert!(said.stderr.contains("the jobs here: `job`"), "{}", said.stderr);
    let list: serde_json::Value =
        serde_json::from_str(&env.smelt(&["list", "--json"]).with_code(0).stdout).unwrap();
    assert_eq!(list["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_torn_or_newer_state_file_is_refused_by_name() {
    let env = super::env();
    env.repo();
    let manifest = env.manifest("job", "echo new > new.txt", &session("one", "true", ""));
    env.run(&manifest).with_code(0);
    let path = env.path().join(format!(".smelt/runs/job/{}/state.toml", env.run_ids()[0]));
    let text = std::fs::read_to_string(&path).unwrap();
    for (broken, why) in [
        (text[..text.len() / 2].to_owned(), "is torn"),
        (text.replace("complete", "conflict"), "is torn"),
        (text.replace("version = 1", "version = 7"), "has version 7"),
        (String::new(), "is torn"),
    ] {
        std::fs::write(&path, broken).unwrap();
        let said = env.smelt(&["status", "job"]).with_code(1);
        assert!(said.stderr.contains(why) && said.stderr.contains("state.toml"), "{}", said.stderr);
        env.smelt(&["list"]).with_code(1);
        assert_ne!(env.smelt(&["clean", "--older-than", "0s"]).code, Some(0));
        assert!(path.exists(), "what can't be read is not removed");
    }
}

#[test]
fn on_a_terminal_a_run_is_drawn_and_leaves_a_summary() {
    let env = super::env();
    env.repo();
    let agent = "for n in 1 2 3; do echo step $n; sleep 0.2; done; echo new > new.txt";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    let smelt = env.command(&["run", manifest.to_str().unwrap()]);
    let words = std::iter::once(smelt.get_program()).chain(smelt.get_args());
    let line: Vec<_> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut script = std::process::Command::new("script");
    script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    script
        .env_clear()
        .envs(smelt.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("TERM", "xterm-256color");
    let output = script.current_dir(env.path()).stdin(Stdio::null()).output().unwrap();
    let drawn = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{drawn}");
    assert!(drawn.contains("agent | step"), "{drawn}");
    assert!(drawn.contains('\u{1b}') && drawn.contains("✓"), "{drawn}");
    assert!(drawn.contains("take"), "{drawn}");
}
