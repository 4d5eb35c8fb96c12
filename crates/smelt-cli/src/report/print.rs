//! The two streams. Colour goes where a terminal is, and not where `NO_COLOR` is set.

use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

/// Something that went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something that did not.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Something to look at.
pub const CAREFUL: Style = AnsiColor::Yellow.on_default();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// What matters more.
pub const BOLD: Style = Style::new().bold();

/// `text` in `style`.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints `text` and a newline as a result.
pub fn result(text: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{text}")
}

/// Prints `value` as one JSON object, as a result.
pub fn json(value: &impl serde::Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    result(&text)
}

/// Prints `bytes` as a result, as they are.
pub fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Prints `text` and a newline as progress or a complaint. Where nobody reads, nobody is told.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}
