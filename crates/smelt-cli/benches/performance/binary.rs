//! The program itself.

use crate::bench::Bench;
use crate::table::Row;
use anyhow::Result;

pub fn measure(_: &Bench) -> Result<Vec<Row>> {
    let bytes = std::fs::metadata(env!("CARGO_BIN_EXE_smelt"))?.len();
    Ok(vec![Row {
        what: "the program, stripped",
        measured: format!("{bytes} bytes"),
        figure: format!("{:.1} MB", bytes as f64 / 1e6),
        goal: "≤ 30 MB",
    }])
}
