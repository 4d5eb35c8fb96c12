//! The table of figures.

use std::fmt::Write;
use std::time::Duration;

/// One figure with its goal.
pub struct Row {
    pub what: &'static str,
    /// What it was measured as.
    pub measured: String,
    /// The figure that the goal is about.
    pub figure: String,
    pub goal: &'static str,
}

/// The rows as a table in Markdown.
pub fn of(rows: &[Row]) -> String {
    let mut table = String::from("| what | measured | figure | goal |\n|---|---|---|---|\n");
    for Row { what, measured, figure, goal } in rows {
        let _ = writeln!(table, "| {what} | {measured} | **{figure}** | {goal} |");
    }
    table
}

/// Milliseconds, as people read them.
pub fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

/// How many times `base` goes into `time`.
pub fn ratio(time: Duration, base: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() / base.as_secs_f64())
}
