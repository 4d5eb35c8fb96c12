//! An agent that prints 100 MB: what that takes beside the same bytes by hand.

use crate::bench::{Bench, run};
use crate::docker;
use crate::table::{Row, ms, ratio};
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

const AGENT: &str =
    "yes 'a line of output, as agents print them by the thousand' | head -c 100000000";

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let repo = bench.path().join("chatty");
    bench.git(bench.path(), &["init", "--quiet", "chatty"])?;
    bench.git(&repo, &["commit", "--quiet", "--allow-empty", "--message=base"])?;

    let by_hand =
        timed(|| run(bench.command("sh").args(["-c", &format!("{AGENT} | cat > by-hand.log")])))?;
    let (whole, peak) = of_smelt(bench, &bench.manifest("chatty", &repo, AGENT)?)?;
    let measured = format!("{}; through a pipe into a file {}", ms(whole), ms(by_hand));
    let local = Row {
        what: "100 MB of agent output, local",
        measured,
        figure: format!("{peak} MB resident at most"),
        goal: "< 50 MB",
    };
    Ok(vec![local, in_docker(bench, &repo)?])
}

fn in_docker(bench: &Bench, repo: &Path) -> Result<Row> {
    let start = format!("docker run --detach --rm {} sleep 600 > container", docker::IMAGE);
    run(bench.command("sh").args(["-c", &start]))?;
    let exec = format!("docker exec \"$(cat container)\" sh -c \"{AGENT}\" | cat > by-hand.log");
    let by_hand = timed(|| run(bench.command("sh").args(["-c", &exec])));
    run(bench.command("sh").args(["-c", "docker rm --force \"$(cat container)\""]))?;
    let by_hand = by_hand?;
    let manifest = bench.manifest_in(docker::ENVIRONMENT, "chatty-docker", repo, AGENT)?;
    let (whole, peak) = of_smelt(bench, &manifest)?;
    let quiet = bench.manifest_in(docker::ENVIRONMENT, "silent-docker", repo, "true")?;
    let (silent, _) = of_smelt(bench, &quiet)?;
    let printing = whole.saturating_sub(silent);
    Ok(Row {
        what: "100 MB of agent output, docker",
        measured: format!(
            "{} more than a run that prints nothing, {peak} MB resident at most; \
             `docker exec … | cat` into a file {}",
            ms(printing),
            ms(by_hand)
        ),
        figure: ratio(printing, by_hand),
        goal: "≤ 1.5",
    })
}

fn timed(once: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let started = Instant::now();
    once()?;
    Ok(started.elapsed())
}

/// Wall time of a run, and the most memory that Smelt has had meanwhile, in MB.
fn of_smelt(bench: &Bench, manifest: &Path) -> Result<(Duration, u64)> {
    let started = Instant::now();
    let mut smelt = bench.smelt_run(manifest).spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(resident(smelt.id()));
        if let Some(status) = smelt.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    ensure!(status.code() == Some(3), "{status}: the agent changes nothing");
    Ok((started.elapsed(), peak / 1000))
}

/// The most memory that a process has had, in kB (proc(5), `VmHWM`).
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
