//! The two streams. Colour goes where a terminal is, and not where `NO_COLOR` is set.

use anstyle::{AnsiColor, Style};
use smelt_core::text::{is_plain, is_printable};
use std::borrow::Cow;
use std::io::{self, Write};

/// Something that went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something that did not.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Something to look at.
pub const CAREFUL: Style = AnsiColor::Yellow.on_default();
/// Something like all others.
pub const PLAIN: Style = Style::new();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// What matters more.
pub const BOLD: Style = Style::new().bold();

/// `text` in `style`.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// `text` as it may be written to standard error: without its colours where they are not wanted.
pub fn for_stderr(text: &str) -> String {
    match anstream::AutoStream::choice(&io::stderr()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

/// Prints `text` and a newline as a result.
pub fn result(text: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{text}")
}

/// Prints `value` as one JSON object, as a result.
pub fn json(value: &impl serde::Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    result(&harmless_json(&text))
}

/// Prints `value` as a line of JSON, as a result.
pub fn json_line(value: &impl serde::Serialize) -> io::Result<()> {
    let line = serde_json::to_string(value).map_err(io::Error::other)?;
    plain_result(harmless_json(&line).into_owned())
}

/// Prints `text`, which has no colours, and a newline as a result, in one go.
pub fn plain_result(mut text: String) -> io::Result<()> {
    text.push('\n');
    raw(text.as_bytes())
}

/// JSON that says the same, and holds nothing that a terminal would obey: whatever is odd stands in
/// a string, and there may be written by its number.
fn harmless_json(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => harmless.push(c),
            c if is_printable(c) => harmless.push(c),
            c => {
                let units = &mut [0; 2];
                for unit in c.encode_utf16(units) {
                    harmless += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(harmless)
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

/// Prints `text`, which has no colours, and a newline as progress, in one go.
pub fn plain_note(mut text: String) {
    text.push('\n');
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_what_a_terminal_obeys() {
        let said = serde_json::json!({ "a": "ü\u{9b}2J\u{202e}\u{e0041}\n\u{1b}" });
        let text = serde_json::to_string_pretty(&said).unwrap();
        let text = harmless_json(&text);
        assert!(text.chars().all(|c| c == '\n' || is_printable(c)), "{text:?}");
        assert!(text.contains('ü'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), said);
    }
}
