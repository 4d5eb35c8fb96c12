//! An agent that prints 100 MB.

use crate::bench::{Bench, run};
use crate::table::{Row, ms, ratio};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

const AGENT: &str =
    "yes 'a line of output, as agents print them by the thousand' | head -c 100000000";

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let repo = bench.path().join("chatty");
    bench.git(bench.path(), &["init", "--quiet", "chatty"])?;
    bench.git(&repo, &["commit", "--quiet", "--allow-empty", "--message=base"])?;
    let started = Instant::now();
    run(bench.command("sh").args(["-c", &format!("{AGENT} | cat > by-hand.log")]))?;
    let by_hand = started.elapsed();

    let manifest = bench.manifest("chatty", &repo, AGENT)?;
    let started = Instant::now();
    let mut smelt = bench.smelt_run(&manifest).spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(resident(smelt.id()));
        if let Some(status) = smelt.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let whole = started.elapsed();
    ensure!(status.code() == Some(3), "{status}: the agent changes nothing");
    Ok(vec![Row {
        what: "100 MB of agent output, local",
        measured: format!(
            "{}; through a pipe into a file {} (×{})",
            ms(whole),
            ms(by_hand),
            ratio(whole, by_hand)
        ),
        figure: format!("{} MB resident at most", peak / 1000),
        goal: "< 50 MB",
    }])
}

/// The most memory that a process has had, in kB (proc(5), `VmHWM`).
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
