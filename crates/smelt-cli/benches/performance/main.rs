//! What Smelt costs, in ratios that were taken in one run on one machine (`just bench`).
//!
//! Prints a table and writes it to docs/benchmarks.md. Nothing here passes or fails: machines
//! differ, and a figure is for people to read.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

mod bench;
mod binary;
mod docker;
mod local;
mod machine;
mod output;
mod start;
mod table;
mod workspace;

use anyhow::{Context, Result};
use bench::Bench;
use std::path::Path;
use table::Row;

/// A row of the table, and what measures it.
type Measure = fn(&Bench) -> Result<Vec<Row>>;

const MEASURES: [(&str, Measure); 6] = [
    ("docker", docker::measure),
    ("local", local::measure),
    ("start", start::measure),
    ("workspace", workspace::measure),
    ("output", output::measure),
    ("binary", binary::measure),
];

fn main() -> Result<()> {
    // cargo adds `--bench`; what else is given names the rows to measure.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let bench = Bench::new()?;
    let mut rows = Vec::new();
    for (name, measure) in MEASURES {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("measuring: {name}");
            rows.extend(measure(&bench).with_context(|| format!("the row `{name}`"))?);
        }
    }
    let table = table::of(&rows);
    println!("\n{table}");
    if wanted.is_empty() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks.md");
        std::fs::write(&page, format!("{}\n{table}", machine::heading()?))?;
        println!("written to docs/benchmarks.md");
    }
    Ok(())
}
