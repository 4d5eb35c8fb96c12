//! Agents that take more than they are given: memory, processes, time, room for their words.

use super::kept;
use crate::env::{Said, TestEnv, amend, session};
use crate::running::{Running, wait_until};
use std::path::PathBuf;
use std::process::Stdio;

const HOG: &str = "perl -e '$x = \"x\" x 500_000_000; print length $x'";

fn small(env: &TestEnv, agent: &str, resources: &str) -> PathBuf {
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    amend(&manifest, "[environment]", &format!("resources = {{ {resources} }}"));
    manifest
}

#[test]
fn an_agent_that_is_killed_for_its_memory_is_told_which_limit_it_met() {
    let env = super::env();
    let repo = env.repo();
    let agent = format!("echo work > work.txt; exec {HOG}");
    let said = env.run(&small(&env, &agent, "memory = \"100M\"")).with_code(1);
    assert!(said.stdout.contains("exit code 137, out of memory"), "{}", said.stdout);
    assert!(said.stdout.contains("`environment.resources.memory` is 100"), "{}", said.stdout);
    assert_eq!(kept(&env, &repo, "job", "work.txt"), "work");
    env.nothing_is_left(&repo);
}

#[test]
fn memory_that_ran_out_is_told_also_where_the_agent_got_over_it() {
    let env = super::env();
    let repo = env.repo();
    let agent = format!("{HOG}; echo $? > code.txt; true");
    let said = env.run(&small(&env, &agent, "memory = \"100M\"")).with_code(0);
    assert!(said.stdout.contains("the agent ran out of memory"), "{}", said.stdout);
    assert!(said.stdout.contains("`environment.resources.memory` is 100"), "{}", said.stdout);
    assert_eq!(kept(&env, &repo, "job", "code.txt"), "137");
    env.nothing_is_left(&repo);
}

/// Each of its processes tries again as soon as there is room, and none of them listens to SIGTERM.
const BOMB: &str = "echo work > work.txt; sync; echo ready; exec perl -e '$SIG{TERM} = \"IGNORE\"; \
                    while (1) { defined fork or select undef, undef, undef, 0.1 }'";

#[test]
fn a_fork_bomb_ends_at_its_time_and_neighbours_are_served() {
    let env = super::env();
    let repo = env.repo();
    let sessions = session("one", "true", "").replace("timeout = 60", "timeout = 10");
    let manifest = env.manifest("job", BOMB, &sessions);
    amend(&manifest, "[environment]", "resources = { pids = 60, cpu = \"0.5\" }");
    let running = Running::start(&env, &manifest);

    let neighbour = super::env();
    let other = neighbour.repo();
    let agent = "echo new > new.txt";
    let manifest = neighbour.manifest("job", agent, &session("one", "true", ""));
    neighbour.run(&manifest).with_code(0);
    neighbour.nothing_is_left(&other);

    let said = running.end().with_code(5);
    assert!(said.stdout.contains("timed_out: job"), "{}", said.stdout);
    assert_eq!(env.status("job")["sessions"][0]["state"], "timed_out", "{}", said.stdout);
    assert_eq!(kept(&env, &repo, "job", "work.txt"), "work");
    env.nothing_is_left(&repo);
}

/// Processes on this machine with `mark` in their arguments.
fn with_argument(mark: &str) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let has = |path: &PathBuf| {
        let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument == mark.as_bytes())
    };
    processes.filter(has).collect()
}

#[test]
fn an_agent_that_hides_its_processes_and_ignores_signals_is_ended_with_all_of_them() {
    let env = super::env();
    let repo = env.repo();
    let mark = format!("86399.{}", std::process::id());
    let agent = format!(
        "trap '' TERM INT HUP; echo work > work.txt\n\
         setsid sleep {mark} &\n\
         env -i setsid /bin/sh -c \"trap '' TERM; (setsid sleep {mark} &) ; sleep {mark}\" &\n\
         echo ready; while :; do sleep 1; done"
    );
    let sessions = session("one", "true", "").replace("timeout = 60", "timeout = 5");
    let running = Running::start(&env, &env.manifest("job", &agent, &sessions));
    wait_until("its processes", || with_argument(&mark).len() == 3);
    let said = running.end().with_code(5);
    assert!(said.stdout.contains("timed_out: job"), "{}", said.stdout);
    assert_eq!(env.status("job")["sessions"][0]["state"], "timed_out");
    assert_eq!(kept(&env, &repo, "job", "work.txt"), "work");
    assert_eq!(with_argument(&mark), Vec::<PathBuf>::new());
    env.nothing_is_left(&repo);
}

/// Most memory that a process has had, in KiB.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn a_flood_of_words_goes_by_in_little_memory() {
    let env = super::env();
    let repo = env.repo();
    // Lines first, then one that does not end.
    let agent = "yes \"$(printf %0999d 1)\" | head -c 70000000; head -c 30000000 /dev/zero | tr '\\0' x >&2; echo done > done.txt";
    let sessions = session("one", "true", "").replace("timeout = 60", "timeout = 600");
    let manifest = env.manifest("job", agent, &sessions);
    let mut command = env.command(&["run", manifest.to_str().unwrap()]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    while run.try_wait().unwrap().is_none() {
        most = most.max(peak(run.id()).unwrap_or_default());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Said::from(run.wait_with_output().unwrap()).with_code(0);
    assert_eq!(kept(&env, &repo, "job", "done.txt"), "done");
    assert!(most > 0 && most < 50 << 10, "{most} KiB of memory");
    env.nothing_is_left(&repo);
}
