//! A whole run in a local jail, on a small repository.

use crate::bench::{Bench, median, run};
use crate::table::{Row, ms};
use anyhow::Result;

const AGENT: &str = "echo hi > new; git add new; git commit --quiet --message new";

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let repo = bench.small_repo("small")?;
    let clone = bench.path().join("small-by-hand");
    bench.git(bench.path(), &["clone", "--quiet", "small", "small-by-hand"])?;
    let agent = median(20, || {
        run(bench.command("sh").current_dir(&clone).args(["-c", &AGENT.replace("hi", "$$")]))
    })?;
    let manifest = bench.manifest("small", &repo, AGENT)?;
    let whole = median(20, || run(&mut bench.smelt_run(&manifest)))?;
    Ok(vec![Row {
        what: "`smelt run`, local, small repository, agent = a script that commits",
        measured: format!("{} in all, the agent alone {}", ms(whole), ms(agent)),
        figure: format!("{} over the agent", ms(whole.saturating_sub(agent))),
        goal: "≤ 150 ms",
    }])
}
