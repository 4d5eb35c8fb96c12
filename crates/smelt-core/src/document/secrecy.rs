//! What of a document is never repeated, because a secret may stand there.
//!
//! Documents name secrets. Whoever writes the secret itself in its name's place, beside it, or
//! without its quotes must not find it in a log.

use std::borrow::Cow;
use std::ops::Range;

/// The sections of a document in which secrets are named, by their top-level keys.
#[derive(Clone, Copy, Debug)]
pub struct SecretSections<'a>(pub &'a [&'a str]);

impl SecretSections<'_> {
    /// Whether the key at `path` stands in one of them.
    pub(super) fn hold(&self, path: &str) -> bool {
        path.split('.').next().is_some_and(|section| self.0.contains(&section))
    }

    /// `path` as it may be shown: a secret can also stand where a key belongs.
    pub(super) fn shown_path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if !self.hold(path) {
            return crate::text::clean_line(path);
        }
        let plain = |part: &&str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match path.split('.').position(|part| !plain(&part)) {
            None => Cow::Borrowed(path),
            Some(odd) => {
                let shown = path.split('.').take(odd).chain(["…"]);
                Cow::Owned(shown.collect::<Vec<_>>().join("."))
            }
        }
    }

    /// What serde `said` of the value at `path`, without the value; `None` is an unknown place.
    pub(super) fn shown_complaint<'s>(&self, path: Option<&str>, said: &'s str) -> &'s str {
        match said.rfind("expected ") {
            _ if path.is_some_and(|path| !self.hold(path)) => said,
            // The value comes before it.
            Some(start) => &said[start..],
            None => "this does not fit here",
        }
    }

    /// The lines of `text` that must not be quoted, as ranges of bytes.
    ///
    /// They are found without parsing, as a text with an error in it can't be. Where the text does
    /// not say clearly that a line stands in one of the `known` sections that is not secret, the
    /// line is taken for secret.
    pub(super) fn lines(&self, text: &str, known: &[&str]) -> Vec<Range<usize>> {
        let harmless = |section: &str| known.contains(&section) && !self.0.contains(&section);
        let (mut in_section, mut quotable, mut start) = (false, false, 0);
        let mut secret = Vec::new();
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            let header = header(line);
            if line.trim_start().starts_with('[') {
                (in_section, quotable) = (true, header.is_some_and(harmless));
            } else if !in_section && !line.trim().is_empty() {
                // What is indented may be part of the value above.
                let goes_on = line.starts_with([' ', '\t']);
                quotable = first_key(line).is_some_and(harmless) && (quotable || !goes_on);
            }
            let only_a_header = header.is_some() && !line.contains('#');
            if holds_user_of_url(line) || !(quotable || only_a_header) {
                secret.push(start..end);
            }
            start = end;
        }
        // What is wrong at the end of a text is shown with its last line.
        if let Some(last) = secret.last_mut().filter(|last| last.end == text.len()) {
            last.end += 1;
        }
        secret
    }
}

/// The section that `line` opens: `[section]`, `[section.part]`, `[[section]]`; bare words only, as
/// the line of a list can look like a header with quotes.
fn header(line: &str) -> Option<&str> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let name = match line.strip_prefix("[[") {
        Some(name) => name.strip_suffix("]]")?,
        None => line.strip_prefix('[')?.strip_suffix(']')?,
    };
    let bare = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    let section = name.split('.').next().unwrap_or_default();
    (!section.is_empty() && name.chars().all(bare)).then_some(section)
}

/// The key that `line` starts with, before any section: `key = …`, `key.part = …`.
fn first_key(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    line[end..].trim_start().starts_with(['=', '.']).then_some(&line[..end])
}

/// Whether a URL in `line` names a user: what stands there may be a token.
fn holds_user_of_url(line: &str) -> bool {
    line.match_indices("://").any(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        rest.split(['/', ' ', '"', '\'']).next().is_some_and(|authority| authority.contains('@'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTIONS: SecretSections<'_> = SecretSections(&["credentials", "forge"]);

    #[test]
    fn only_lines_that_are_clearly_harmless_may_be_quoted() {
        let text = "\
# secret
job.name = 1
credentials = {
  job = \"secret\",
}
job.depth = 1
\"credentials\".env.KEY = \"secret\"
[job] # comment
name = \"x\"
[job]
repo = \"https://secret@host/a\"
name = 1

[forge]
labels = [
[\"job\"],
secret
]
[job]
depth = 1
[credentials.env]
KEY = secret
[[job]]
depth = 1
[ credentials . env ]
KEY = secret
[job] # comment
depth = 1
[forge] # secret
token = secret
[job]
depth = 1
[typo]
KEY = secret";
        let secret: Vec<_> =
            SECTIONS.lines(text, &["job", "forge", "credentials"]).into_iter().collect();
        let quotable = |at: usize| !secret.iter().any(|range| range.contains(&at));
        for (at, _) in text.match_indices("secret") {
            assert!(!quotable(at), "{}", &text[..at]);
        }
        assert!(!quotable(text.len()));
        for harmless in
            ["job.name", "name = 1", "depth", "[forge]\n", "[credentials.env]", "[typo]"]
        {
            for (at, _) in text.match_indices(harmless) {
                assert!(quotable(at), "{harmless}");
            }
        }
    }

    #[test]
    fn values_and_odd_keys_of_secret_sections_are_left_out() {
        for (path, shown) in [
            ("forge.token_env", "forge.token_env"),
            ("credentials.env.sk-1", "credentials.env.…"),
            ("credentials.files.~/.netrc", "credentials.files.…"),
            ("environment.env.sk-1", "environment.env.sk-1"),
        ] {
            assert_eq!(SECTIONS.shown_path(path), shown);
        }
        let said = "invalid type: string \"sk expected \", expected a map";
        assert_eq!(SECTIONS.shown_complaint(Some("forge.x"), said), "expected a map");
        assert_eq!(SECTIONS.shown_complaint(Some("job.x"), said), said);
        assert_eq!(
            SECTIONS.shown_complaint(Some("forge"), "`sk` is bad"),
            "this does not fit here"
        );
    }
}
