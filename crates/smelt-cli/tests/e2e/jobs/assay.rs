//! Jobs by Assay: its stand-in in `tests/images/assay`, with a scripted agent.

use crate::env::{Said, TestEnv};
use smelt_testing::TestRepo;
use std::path::{Path, PathBuf};

/// A folder outside of `/tmp`, where the jail has its own, with programs that the jail may see.
pub(super) struct Tools(PathBuf);

impl Tools {
    /// The stand-ins called so.
    fn new(env: &TestEnv, names: &[&str]) -> Self {
        let id = env.path().file_name().unwrap();
        let folder = Path::new("/var/tmp").join(id);
        let bin = folder.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/images/assay");
        for name in names {
            std::fs::copy(from.join(name), bin.join(name)).unwrap();
        }
        Self(folder)
    }

    pub(super) fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A test's surroundings with both stand-ins.
pub(super) struct Assay {
    pub(super) env: TestEnv,
    pub(super) tools: Tools,
}

impl Assay {
    pub(super) fn new() -> Self {
        Self::with(&["assay", "claude"])
    }

    /// One that has only some of the programs: in a jail, where there is no image that has them all.
    pub(super) fn with(programs: &[&str]) -> Self {
        let env = super::env();
        let tools = Tools::new(&env, programs);
        Self { env, tools }
    }

    /// Writes the manifest of a job on `repo`; `rest` holds its sessions and further sections.
    pub(super) fn manifest(&self, name: &str, mode: &str, rest: &str) -> PathBuf {
        let sandbox = match self.env.is_docker() {
            true => self.env.sandbox().replace("smelt-test/base", "smelt-test/assay"),
            false => {
                format!("{}\ntools = [\"{}\"]", self.env.sandbox(), self.tools.bin().display())
            }
        };
        let text = format!(
            "[job]\nname = \"{name}\"\nrepo = \"repo\"\n\n[environment]\n{sandbox}\n\n\
             [orchestrator]\nkind = \"assay\"\nsessions = \"{mode}\"\n\n{rest}"
        );
        self.env.write(&format!("{name}.toml"), text)
    }

    pub(super) fn run(&self, mode: &str, rest: &str, code: i32) -> Said {
        let manifest = self.manifest("job", mode, rest);
        self.env.run(&manifest).with_code(code)
    }

    pub(super) fn state(&self, session: &str) -> serde_json::Value {
        let status = self.env.status("job");
        let sessions = status["sessions"].as_array().unwrap();
        sessions.iter().find(|s| s["name"] == session).unwrap().clone()
    }
}

pub(super) const BOTH: [&str; 2] = ["separate", "together"];

/// A session whose agent is the shell `agent`.
pub(super) fn session(name: &str, agent: &str, gate: &str, more: &str) -> String {
    format!(
        "[[session]]\nname = \"{name}\"\nspec = '''\nDo \"{name}\":\n```sh\n{agent}\n```\n'''\n\
         harness = '''{gate}'''\ntimeout = 60\n{more}\n"
    )
}

pub(super) fn files(repo: &TestRepo<'_>, at: &str) -> String {
    repo.git(&["ls-tree", "-r", "--name-only", at]).replace('\n', " ")
}

#[test]
fn two_at_once_and_one_that_starts_from_their_work() {
    let assay = Assay::new();
    let repo = assay.env.repo();
    // Each of the first two waits until the other has started: only at the same time can both end.
    let meet = |name: &str, commit: &str| {
        format!(
            "mkdir -p /tmp/met; touch /tmp/met/{name}\n\
             until [ -f /tmp/met/a ] && [ -f /tmp/met/b ]; do sleep 0.05; done\n\
             echo {name} > {name}.txt; {commit}"
        )
    };
    let sessions = session("a", &meet("a", "git add .; git commit -qm A"), "test -f a.txt", "")
        + &session("b", &meet("b", "true"), "test -f b.txt", "")
        + &session(
            "c",
            "cat a.txt b.txt > c.txt",
            "grep a c.txt && grep b c.txt",
            "depends_on = [\"a\", \"b\"]",
        );
    let said = assay.run("separate", &sessions, 0);
    assert_eq!(files(&repo, "smelt/job"), "README.md a.txt b.txt c.txt", "{}", said.stdout);
    let subjects = repo.git(&["log", "--format=%s", "main..smelt/job"]);
    for subject in ["A", "b: what the agent left uncommitted", "c: what the agent left uncommitted"]
    {
        assert!(subjects.lines().any(|line| line == subject), "{subjects}");
    }
    for name in ["a", "b", "c"] {
        let session = assay.state(name);
        assert_eq!(session["state"], "passed");
        assert_eq!(session["gate"]["passed"], true);
        assert_eq!(session["gate"]["exit_code"], 0);
        assert_eq!(session["merged_gate"]["passed"], true);
    }
    assay.env.nothing_is_left(&repo);
}

#[test]
fn a_single_session_s_commits_are_on_the_result_branch() {
    for mode in BOTH {
        let assay = Assay::new();
        let repo = assay.env.repo();
        let agent = "echo a > a.txt; git add .; git commit -qm Work; echo b > b.txt";
        assay.run(mode, &session("one", agent, "cat a.txt b.txt", ""), 0);
        assert_eq!(files(&repo, "smelt/job"), "README.md a.txt b.txt");
        let subjects = repo.git(&["log", "--format=%s", "main..smelt/job"]);
        assert_eq!(subjects, "one: what the agent left uncommitted\nWork");
        // What the gate has said is told, though Assay keeps it to itself; its logs are lines.
        let logs = assay.env.smelt(&["logs", "job", "--session", "one"]).with_code(0).stdout;
        assert!(logs.contains("INFO assay: Launching agent session_name=one"), "{logs}");
        assert!(!logs.contains("[32m") && !logs.contains("spec_name"), "{logs}");
        assert_eq!(assay.state("one")["gate"]["tail"], serde_json::json!(["a", "b"]));
        assay.env.nothing_is_left(&repo);
    }
}

#[test]
fn a_gate_that_failed_among_several_is_told_and_nothing_is_written() {
    for mode in BOTH {
        let assay = Assay::new();
        let repo = assay.env.repo();
        let sessions = session("good", "echo g > good.txt", "test -f good.txt", "")
            + &session("bad", "echo 5 > sum.txt", "echo expected 4; exit 9", "")
            + &session("after", "echo a > after.txt", "true", "depends_on = [\"bad\"]");
        let said = assay.run(mode, &sessions, 2);
        assert!(said.stdout.contains("gates_failed: job"), "{}", said.stdout);
        assert!(said.stdout.contains("expected 4"), "{}", said.stdout);
        assert!(!repo.refs().contains("refs/heads/smelt"));
        assert_eq!(assay.state("good")["state"], "passed");
        let bad = assay.state("bad");
        assert_eq!((&bad["state"], &bad["gate"]["exit_code"]), (&"gate_failed".into(), &9.into()));
        let after = assay.state("after");
        assert_eq!(
            (&after["state"], &after["reason"]),
            (&"skipped".into(), &"`bad` did not pass".into())
        );
        // What has been done is kept, also of the one that failed.
        let kept = format!("{}:sum.txt", bad["reference"].as_str().unwrap());
        assert_eq!(repo.git(&["show", &kept]), "5");
        assay.env.nothing_is_left(&repo);
    }
}

#[test]
fn together_dependents_are_checked_on_the_work_they_depend_on() {
    let assay = Assay::new();
    let repo = assay.env.repo();
    let sessions = session("a", "echo a > a.txt; git add .; git commit -qm A", "test -f a.txt", "")
        + &session("b", "echo b > b.txt", "test -f b.txt", "")
        + &session(
            "c",
            "test ! -f a.txt && echo c > c.txt",
            "cat a.txt b.txt c.txt",
            "depends_on = [\"a\", \"b\"]",
        );
    let said = assay.run("together", &sessions, 0);
    assert_eq!(files(&repo, "smelt/job"), "README.md a.txt b.txt c.txt", "{}", said.stdout);
    assert_eq!(assay.state("c")["gate"]["tail"], serde_json::json!(["a", "b", "c"]));
    assay.env.nothing_is_left(&repo);
}

#[test]
fn what_a_gate_changes_is_not_part_of_the_result() {
    for mode in BOTH {
        let assay = Assay::new();
        let repo = assay.env.repo();
        let gate = "echo built > built.txt; echo changed > $SMELT_SESSION.txt; git add .; git commit -qm Gate; true";
        let sessions = session("a", "echo a > a.txt", gate, "")
            + &session("b", "echo b > b.txt; git add .; git commit -qm B", gate, "");
        assay.run(mode, &sessions, 0);
        assert_eq!(files(&repo, "smelt/job"), "README.md a.txt b.txt");
        assert_eq!(repo.git(&["show", "smelt/job:a.txt"]), "a");
        assert_eq!(repo.git(&["show", "smelt/job:b.txt"]), "b");
    }
}

/// The set-up of Assay that a repository has for itself, and its settings for Claude: Smelt's and
/// Assay's own go over them in the sandbox, and never get out of it.
#[test]
fn what_the_repository_tracks_of_assay_and_its_agent_stays_as_it_is() {
    for mode in BOTH {
        let assay = Assay::new();
        let repo = assay.env.repo();
        repo.write(".assay/config.toml", "project_name = \"theirs\"\n");
        repo.write(".assay/specs/a.toml", "name = \"theirs\"\n");
        repo.write(".claude/settings.json", "{ \"theirs\": true }\n");
        repo.write(".mcp.json", "{ \"theirs\": true }\n");
        repo.commit("Theirs");
        let agent = "cat .assay/config.toml > seen.txt; echo more >> .assay/specs/a.toml";
        let sessions = session("a", agent, "grep -q theirs seen.txt", "")
            + &session("b", "echo b > b.txt; git commit -qam B; git add b.txt", "true", "");
        assay.run(mode, &sessions, 0);
        let changed = repo.git(&["diff", "--name-only", "main", "smelt/job"]);
        assert_eq!(changed, ".assay/specs/a.toml\nb.txt\nseen.txt", "{mode}");
        assert_eq!(repo.git(&["show", "smelt/job:.assay/specs/a.toml"]), "name = \"theirs\"\nmore");
        assay.env.nothing_is_left(&repo);
    }
}

#[test]
fn what_setup_made_is_there_for_agents_and_gates_and_not_in_the_result() {
    for mode in BOTH {
        let assay = Assay::new();
        let repo = assay.env.repo();
        let sessions = session("a", "cat deps/x > a.txt", "test -f deps/x", "")
            + &session("b", "cat deps/x > b.txt", "test -f deps/x", "");
        let manifest = assay.manifest("job", mode, &sessions);
        let text = std::fs::read_to_string(&manifest).unwrap();
        let setup = "[environment]\nsetup = [\"mkdir deps; echo dependency > deps/x\"]";
        std::fs::write(&manifest, text.replace("[environment]", setup)).unwrap();
        assay.env.run(&manifest).with_code(0);
        assert_eq!(files(&repo, "smelt/job"), "README.md a.txt b.txt");
    }
}

#[test]
fn an_agent_that_ignores_its_end_ends_at_the_session_s_deadline() {
    for mode in BOTH {
        let assay = Assay::new();
        let repo = assay.env.repo();
        let agent = "trap '' TERM; echo started > work.txt; sleep 60 & sleep 60; sleep 60";
        let sessions =
            session("stuck", agent, "true", "") + &session("fine", "echo f > f.txt", "true", "");
        let manifest =
            assay.manifest("job", mode, &sessions.replace("timeout = 60", "timeout = 3"));
        let started = std::time::Instant::now();
        let said = assay.env.run(&manifest).with_code(5);
        assert!(started.elapsed().as_secs() < 60, "{}", said.stdout);
        let stuck = assay.state("stuck");
        assert_eq!(
            (&stuck["state"], &stuck["reason"]),
            (&"timed_out".into(), &"in its agent".into())
        );
        let kept = format!("{}:work.txt", stuck["reference"].as_str().unwrap());
        assert_eq!(repo.git(&["show", &kept]), "started");
        assert_eq!(assay.state("fine")["state"], "passed", "{mode}");
        assay.env.nothing_is_left(&repo);
    }
}

#[test]
fn a_gate_that_takes_too_long_is_told_from_its_agent() {
    let assay = Assay::new();
    let repo = assay.env.repo();
    let one = session("one", "echo a > a.txt", "echo waiting; sleep 60", "");
    assay.run("separate", &one.replace("timeout = 60", "timeout = 2"), 5);
    let one = assay.state("one");
    assert_eq!((&one["state"], &one["reason"]), (&"timed_out".into(), &"in its gate".into()));
    assert_eq!(one["gate"]["tail"], serde_json::json!(["waiting"]));
    assay.env.nothing_is_left(&repo);
}

#[test]
fn what_assay_says_of_a_failure_is_the_reason() {
    for mode in BOTH {
        let assay = Assay::new();
        let repo = assay.env.repo();
        let sessions =
            session("bad", "echo half > half.txt; echo I give up >&2; exit 7", "true", "")
                + &session("after", "true", "true", "depends_on = [\"bad\"]");
        let said = assay.run(mode, &sessions, 1);
        let bad = assay.state("bad");
        let reason = bad["reason"].as_str().unwrap();
        assert!(reason.contains("exit code 7") && reason.contains("I give up"), "{reason}");
        assert_eq!(bad["state"], "agent_failed", "{}", said.stdout);
        assert_eq!(assay.state("after")["state"], "skipped");
        let kept = format!("{}:half.txt", bad["reference"].as_str().unwrap());
        assert_eq!(repo.git(&["show", &kept]), "half");
        assay.env.nothing_is_left(&repo);
    }
}

#[test]
fn a_conflict_goes_back_to_the_agent_that_assay_starts() {
    let assay = Assay::new();
    let repo = assay.env.repo();
    // The same text is the task of the conflict: in a merge it says what to do with it.
    let agent = |word: &str| {
        format!(
            "if git rev-parse -q --verify MERGE_HEAD >/dev/null; then echo both > README.md; git add README.md\n\
             else echo {word} > README.md; fi"
        )
    };
    let sessions = session("left", &agent("left"), "true", "")
        + &session("right", &agent("right"), "true", "");
    assay.run("separate", &sessions, 4);
    let resolved = format!("[merge]\nai_resolution = true\n\n{sessions}");
    let said = assay.run("separate", &resolved, 0);
    assert_eq!(repo.git(&["show", "smelt/job:README.md"]), "both", "{}", said.stdout);
    assay.env.nothing_is_left(&repo);
}

#[test]
fn the_agent_gets_what_it_is_to_be_given() {
    let assay = Assay::new();
    let repo = assay.env.repo();
    let agent = "printf '%s\\n' \"$SMELT_SESSION $SMELT_MODEL $ANTHROPIC_MODEL $IS_SANDBOX $LINEAR_API_KEY $PLAIN\" > env.txt\n\
                 git config --get-all safe.directory >> env.txt; git config user.name >> env.txt";
    let rest = "[environment]\nenv = { PLAIN = \"yes\", GIT_CONFIG_COUNT = \"1\", GIT_CONFIG_KEY_0 = \"a.b\", GIT_CONFIG_VALUE_0 = \"c\" }\n";
    let sections = format!(
        "[credentials]\nmodel = \"opus\"\n\n[state_backend]\ntype = \"linear\"\nteam_id = \"T\"\n\
         api_key_env = \"LINEAR_OF_MINE\"\n\n{}",
        session(
            "one",
            agent,
            "test \"$(git config a.b)\" = c && test \"$SMELT_SESSION\" = one",
            ""
        )
    );
    let manifest = assay.manifest("job", "together", &sections);
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("[environment]\n", rest)).unwrap();
    let said = assay.env.run(&manifest).with_code(65);
    assert!(said.stderr.contains("LINEAR_OF_MINE"), "{}", said.stderr);
    let run = assay
        .env
        .command(&["run", "job.toml"])
        .env("LINEAR_OF_MINE", "lin_api_0123456789")
        .output();
    let said: Said = run.unwrap().into();
    let said = said.with_code(0);
    assert!(!said.stdout.contains("lin_api_0123456789"));
    let seen = repo.git(&["show", "smelt/job:env.txt"]);
    let mut seen = seen.lines();
    assert_eq!(seen.next(), Some("one opus opus 1 lin_api_0123456789 yes"));
    assert_eq!(seen.next(), Some("*"));
    assert!(seen.next().is_some());
}

#[test]
fn odd_base_branches_leave_room_for_assays() {
    for branch in ["assay", "assay/one", "smelt-session"] {
        let assay = Assay::new();
        let repo = assay.env.repo();
        repo.git(&["checkout", "-qb", branch]);
        let sessions = session("one", "echo a > a.txt", "true", "")
            + &session("two", "echo b > b.txt", "true", "");
        assay.run("together", &sessions, 0);
        assert_eq!(files(&repo, "smelt/job"), "README.md a.txt b.txt", "{branch}");
    }
    let assay = Assay::new();
    let repo = assay.env.repo();
    repo.git(&["checkout", "-q", "--detach"]);
    assay.run("separate", &session("one", "echo a > a.txt", "true", ""), 0);
    assert_eq!(files(&repo, "smelt/job"), "README.md a.txt");
}

#[test]
fn a_run_that_is_stopped_keeps_what_was_done() {
    for mode in BOTH {
        let assay = Assay::new();
        let repo = assay.env.repo();
        let sessions = session("a", "echo a > a.txt; sleep 60", "true", "")
            + &session("b", "sleep 60", "true", "");
        let manifest = assay.manifest("job", mode, &sessions);
        let mut run = assay.env.command(&["run", manifest.to_str().unwrap(), "--json"]);
        let mut run = run.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(run.stdout.take().unwrap()));
        let started =
            lines.find(|line| line.as_ref().unwrap().contains("Launching agent session_name=b"));
        assert!(started.is_some());
        std::thread::sleep(std::time::Duration::from_millis(500));
        assay.env.smelt(&["stop", "job"]).with_code(0);
        lines.for_each(drop);
        assert_eq!(run.wait().unwrap().code(), Some(130), "{mode}");
        let a = assay.state("a");
        assert_eq!(a["state"], "cancelled");
        let kept = format!("{}:a.txt", a["reference"].as_str().unwrap());
        assert_eq!(repo.git(&["show", &kept]), "a");
        assay.env.nothing_is_left(&repo);
    }
}
