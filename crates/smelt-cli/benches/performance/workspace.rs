//! The way in and out of a large repository: 1 GB of history, 20,000 files.

use crate::bench::{Bench, median, run};
use crate::table::{Row, ms, ratio};
use anyhow::{Context, Result, ensure};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

const FILES: usize = 20_000;
const FILE_BYTES: usize = 5_000;
/// Each changes every file: 1 GB in all.
const COMMITS: usize = 10;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let repo = bench.path().join("large");
    make_repository(bench, &repo).context("making the repository")?;
    let clone = bench.path().join("large-by-hand");
    let by_hand = median(5, || {
        bench.git(bench.path(), &["clone", "--quiet", "--shared", "large", "large-by-hand"])?;
        // A run cleans up after itself, too.
        Ok(std::fs::remove_dir_all(&clone)?)
    })?;
    let agent = "echo hi > new; git add new; git commit --quiet --message new";
    let manifest = bench.manifest("large", &repo, agent)?;
    let whole = median(5, || run(&mut bench.smelt_run(&manifest)))?;
    Ok(vec![Row {
        what: "workspace in and result out, 1 GB of history, 20,000 files",
        measured: format!(
            "the whole run {}; `git clone --shared`, checkout and removal {}",
            ms(whole),
            ms(by_hand)
        ),
        figure: ratio(whole, by_hand),
        goal: "≤ 1.3",
    }])
}

/// By `git fast-import`: what is in the files can't be compressed, and no two are alike.
fn make_repository(bench: &Bench, repo: &Path) -> Result<()> {
    bench.git(bench.path(), &["init", "--quiet", "large"])?;
    let mut import = bench
        .command("git")
        .current_dir(repo)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut out = BufWriter::new(import.stdin.take().context("its standard input")?);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for commit in 0..COMMITS {
        let when = 1_700_000_000 + commit;
        writeln!(out, "commit refs/heads/main\ncommitter B <b@localhost> {when} +0000")?;
        writeln!(out, "data <<END\nCommit {commit}\nEND")?;
        for file in 0..FILES {
            writeln!(out, "M 100644 inline d{:03}/f{file:05}\ndata {FILE_BYTES}", file % 200)?;
            for _ in 0..FILE_BYTES / 8 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                out.write_all(&random.to_le_bytes())?;
            }
            writeln!(out)?;
        }
    }
    drop(out);
    ensure!(import.wait()?.success(), "git fast-import failed");
    bench.git(repo, &["reset", "--quiet", "--hard"])
}
