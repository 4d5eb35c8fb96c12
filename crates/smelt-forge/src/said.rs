//! What others wrote, made fit for one line.

use smelt_core::text::{clean_inline, shorten};

/// Longest text of a forge's that is passed on, in characters.
const SAID_MAX: usize = 300;

/// `text` as one clean line, short enough to be shown.
pub(crate) fn said(text: &str) -> String {
    let clean = clean_inline(text);
    shorten(clean.trim(), SAID_MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_one_short_clean_line() {
        assert_eq!(said(" a\u{1b}[2J\u{202e}b\nc "), "ab c");
        assert_eq!(said(&"x".repeat(1000)).chars().count(), SAID_MAX);
    }
}
