//! Making untrusted text fit to be shown.
//!
//! Whatever an agent, a gate or a repository wrote can hold escape sequences that clear the
//! screen, write to the clipboard or reorder what is read. It is cleaned once, where it enters.

use std::borrow::Cow;

/// `line` without control characters, escape sequences and bidirectional overrides.
///
/// Tabs become a space; a carriage return starts the line over, as a terminal would show it.
pub fn clean_line(line: &str) -> Cow<'_, str> {
    if is_plain(line) {
        return Cow::Borrowed(line);
    }
    let line = line.trim_end_matches(['\r', '\n']);
    let shown = line.rsplit('\r').next().unwrap_or(line);
    if shown.chars().all(is_printable) {
        return Cow::Borrowed(shown);
    }
    let mut clean = String::with_capacity(shown.len());
    let mut chars = shown.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            '\t' => clean.push(' '),
            c if is_printable(c) => clean.push(c),
            _ => {}
        }
    }
    Cow::Owned(clean)
}

/// Several lines, each cleaned by [`clean_line`].
pub fn clean_text(text: &str) -> String {
    text.lines().map(clean_line).collect::<Vec<_>>().join("\n")
}

/// All of `text` as one line, every line of it cleaned by [`clean_line`].
pub fn clean_inline(text: &str) -> Cow<'_, str> {
    let breaks = ['\r', '\n'];
    let text = text.trim_end_matches(breaks);
    match text.contains(breaks) {
        false => clean_line(text),
        true => Cow::Owned(text.split(breaks).map(clean_line).collect::<Vec<_>>().join(" ")),
    }
}

/// At most `max` characters of `line`, the cut marked by `…`.
pub fn shorten(line: &str, max: usize) -> Cow<'_, str> {
    match line.char_indices().nth(max) {
        None => Cow::Borrowed(line),
        Some(_) => {
            let cut: String = line.chars().take(max.saturating_sub(1)).collect();
            Cow::Owned(cut + "…")
        }
    }
}

/// `1 commit`, `2 commits`: a count with its noun, the plural made by an `s`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Whether all of `text` is printable ASCII, as most output is; tells much faster than
/// [`is_printable`] on each character.
pub fn is_plain(text: &str) -> bool {
    // Without an early end it is done for many bytes at once.
    text.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte))
}

/// Whether `c` neither steers a terminal nor reorders or hides text beside it.
pub fn is_printable(c: char) -> bool {
    let bidi = matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separator = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    let tag = matches!(c, '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !bidi && !separator && !tag
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows ESC: a control sequence, a control string, or two to three characters (ECMA-48).
fn skip_escape(chars: &mut Rest<'_>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(chars),
        Some(' '..='/') => {
            chars.next();
        }
        _ => {}
    }
}

/// Parameters and intermediates up to the final byte `@`…`~`.
fn skip_csi(chars: &mut Rest<'_>) {
    while let Some(&c) = chars.peek() {
        if !(' '..='~').contains(&c) {
            return;
        }
        chars.next();
        if ('@'..='~').contains(&c) {
            return;
        }
    }
}

/// A control string, up to BEL, ST or `ESC \`.
fn skip_string(chars: &mut Rest<'_>) {
    while let Some(c) = chars.next() {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                if chars.peek() == Some(&'\\') {
                    chars.next();
                }
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_dropped_whole_and_text_is_kept() {
        for (raw, clean) in [
            ("plain ünïcode ✓", "plain ünïcode ✓"),
            (" !plain ascii~", " !plain ascii~"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{1b}]52;c;ZXZpbA==\u{7}b", "ab"),
            ("a\u{1b}]0;title\u{1b}\\b", "ab"),
            ("a\u{9b}2Jb\u{9d}52;x\u{9c}c", "abc"),
            ("50%\r100%\r\n", "100%"),
            ("user\u{202e}txt.exe", "usertxt.exe"),
            ("a\tb\u{0}\u{8}\u{7f}", "a b"),
            ("\u{1b}(Bx", "x"),
        ] {
            assert_eq!(clean_line(raw), clean, "{raw:?}");
        }
    }

    #[test]
    fn one_line_hides_nothing_of_the_others() {
        assert_eq!(clean_inline("a\r\nb\u{1b}]\rc\u{1b}[2K\u{202e}\n"), "a  b c");
        assert!(matches!(clean_inline("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn shortening_marks_the_cut() {
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("äöü", 3), "äöü");
    }

    proptest! {
        #[test]
        fn nothing_unprintable_survives(raw in "\\PC*|[\\x00-\\x7f\\u{80}-\\u{a0}\\u{200b}-\\u{2069}]*") {
            let clean = clean_line(&raw).into_owned();
            prop_assert!(clean.chars().all(is_printable), "{clean:?}");
            prop_assert!(!is_plain(&raw) || clean == raw, "{raw:?}");
            prop_assert_eq!(clean_line(&clean), clean.as_str());
        }
    }
}
