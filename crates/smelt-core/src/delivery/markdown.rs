//! Text of others in Markdown that forges render: it stays text.
//!
//! What an agent, a gate or an issue's author wrote must not mention people, close issues, hide
//! something or look like Smelt's own words. It stands in code, where forges obey nothing; and what
//! they would obey elsewhere is broken up all the same, for those that read a body as plain text.

use crate::text::{clean_inline, clean_text, is_printable, shorten};

/// Breaks up a word without being seen (zero width space).
const BREAK: char = '\u{200b}';

/// How words begin that close or reopen an issue when its reference follows, on GitHub, Forgejo, Gitea
/// or Linear.
const CLOSING: [&str; 6] = ["clos", "complet", "fix", "implement", "reopen", "resolv"];

/// `text` without mentions, references and words that close issues; it looks as before.
pub fn defuse(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 8);
    let mut word = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str();
        if c.is_alphanumeric() {
            word.push(c);
            safe.push(c);
            continue;
        }
        let lower = word.to_lowercase();
        let closes = CLOSING.iter().any(|start| lower.starts_with(start));
        if closes && (c.is_whitespace() || c == ':') && refers(after) {
            let at = safe.len() - word.len() + word.chars().next().map_or(0, char::len_utf8);
            safe.insert(at, BREAK);
        }
        word.clear();
        safe.push(c);
        let names = |next: char| next.is_alphanumeric() || next == '_' || next == '-';
        let is_live = match c {
            '@' => after.starts_with(names),
            '#' | '!' => after.starts_with(|next: char| next.is_ascii_digit()),
            // A comment could be one of Smelt's own marks.
            '<' => after.starts_with("!--"),
            _ => false,
        };
        if is_live {
            safe.push(BREAK);
        }
    }
    safe
}

/// Whether what comes next could be an issue: a word with a digit in it.
fn refers(after: &str) -> bool {
    let next = after.trim_start_matches(|c: char| c.is_whitespace() || c == ':');
    next.split_whitespace().next().is_some_and(|word| word.contains(|c: char| c.is_ascii_digit()))
}

/// `text` as code within a line, at most `max` characters of it.
pub fn code(text: &str, max: usize) -> String {
    let text = defuse(&shorten(clean_inline(text).trim(), max));
    if text.is_empty() {
        return "(empty)".into();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The same within a table.
pub fn cell(text: &str, max: usize) -> String {
    code(text, max).replace('|', "\\|")
}

/// `text` as a block of code, at most `max` characters of it.
pub fn block(text: &str, max: usize) -> String {
    let lines = defuse(&clean_text(text));
    let text = shorten(&lines, max);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

/// `text` as running text: nothing in it means anything to Markdown.
pub fn inline(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in defuse(&clean_inline(text)).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // `word://` becomes a link by itself.
            ':' => safe.extend([':', BREAK]),
            c if c.is_ascii_punctuation() && !",;/%'".contains(c) => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    safe
}

/// `text` as a title: one line of at most `max` characters, with nothing to obey.
pub fn title(text: &str, max: usize) -> String {
    let text: String = clean_inline(text).chars().filter(|c| is_printable(*c)).collect();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shorten(&defuse(&words), max).into_owned()
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `text` as it looks.
    fn seen(text: &str) -> String {
        text.replace(BREAK, "")
    }

    #[test]
    fn nothing_to_obey_is_left_and_everything_looks_as_before() {
        for live in [
            "@acme/team please",
            "cc @octocat",
            "#12 and acme/app#34",
            "Fixes #1",
            "closes: ENG-123",
            "RESOLVES https://forge.example/acme/app/issues/5",
            "see !7",
            "Resolving\nENG-12",
            "<!-- smelt:end -->",
        ] {
            let safe = defuse(live);
            assert_ne!(safe, live);
            assert_eq!(seen(&safe), live);
        }
        for harmless in
            ["#include <x.h>", "fixes the parser", "a @ b", "utf-8", "#[test]", "x != y"]
        {
            assert_eq!(defuse(harmless), harmless);
        }
    }

    #[test]
    fn code_can_not_be_left() {
        assert_eq!(code("a", 9), "`a`");
        assert_eq!(code("a`b", 9), "``a`b``");
        assert_eq!(code("`", 9), "`` ` ``");
        assert_eq!(code("\u{1b}[31m\n", 9), "(empty)");
        assert_eq!(cell("a|b", 9), "`a\\|b`");
        assert_eq!(block("```\n</details>", 99), "````text\n```\n</details>\n````");
        assert_eq!(inline("<!-- *x* -->"), "&lt;\u{200b}\\!\\-\\- \\*x\\* \\-\\-&gt;");
        assert_eq!(title("a\n\n  b \u{202e}c @d", 99), "a b c @\u{200b}d");
    }

    proptest! {
        #[test]
        fn no_text_gets_out(text in "[a-z@#!`<>|\\n\\r -]{0,40}|\\PC{0,40}") {
            let safe = block(&text, 1000);
            let fence: String = safe.chars().take_while(|c| *c == '`').collect();
            let lines: Vec<_> = safe.lines().collect();
            prop_assert!(fence.len() >= 3);
            let closed = lines[1..].iter().position(|line| line.trim_start().starts_with(&fence));
            prop_assert_eq!(closed, Some(lines.len() - 2), "{}", safe);
            let code = code(&text, 1000);
            prop_assert!(!code.contains('\n'));
            let inline = inline(&text);
            prop_assert!(!inline.contains('<') && !inline.contains('\n'), "{}", inline);
            let mention = |text: &str| {
                let mut chars = text.chars().peekable();
                std::iter::from_fn(|| chars.next().map(|c| (c, chars.peek().copied())))
                    .any(|(c, next)| c == '@' && next.is_some_and(char::is_alphanumeric))
            };
            prop_assert!(!mention(&safe) && !mention(&code) && !mention(&inline));
        }
    }
}
