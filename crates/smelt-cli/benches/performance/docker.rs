//! A whole run in a container, on a small repository.

use crate::bench::{Bench, run};
use crate::table::{Row, ms, ratio};
use anyhow::Result;
use std::time::{Duration, Instant};

/// The image of `tests/images/build`.
pub const IMAGE: &str = "smelt-test/base";
const SUBNET: &str = "198.19.250.0/28";
const TIMES: usize = 15;

/// What a manifest says for a container.
pub const ENVIRONMENT: &str = "image = \"smelt-test/base\"\npull = \"never\"";

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let repo = bench.small_repo("small-docker")?;
    let by_hand = format!(
        "docker network create --subnet {SUBNET} smelt-bench && \
         docker run --rm --network smelt-bench {IMAGE} true && docker network rm smelt-bench"
    );
    let agent = "echo hi > new; git add new; git commit --quiet --message new";
    let manifest = bench.manifest_in(ENVIRONMENT, "small-docker", &repo, agent)?;
    // In turns: what else the machine does is met by both.
    let (mut base, mut own) = (Vec::new(), Vec::new());
    for turn in 0..=TIMES {
        let started = Instant::now();
        run(bench.command("sh").args(["-c", &by_hand]))?;
        let between = Instant::now();
        run(&mut bench.smelt_run(&manifest))?;
        if turn > 0 {
            base.push(between - started);
            own.push(between.elapsed());
        }
    }
    let (base, own) = (middle(base), middle(own));
    Ok(vec![Row {
        what: "`smelt run`, docker, small repository, agent = a script that commits",
        measured: format!(
            "{}; `docker network create`, `docker run --rm --network … true`, `docker network rm` {}",
            ms(own),
            ms(base)
        ),
        figure: ratio(own, base),
        goal: "≤ 1.5",
    }])
}

/// The median of what was taken.
pub fn middle(mut walls: Vec<Duration>) -> Duration {
    walls.sort();
    walls[walls.len() / 2]
}
