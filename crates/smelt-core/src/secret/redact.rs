use super::Secret;
use aho_corasick::{AhoCorasick, MatchKind};
use std::borrow::Cow;

/// What stands where a secret stood.
const MASK: &str = "***";

/// Shorter values are words that a log may well hold.
const SHORTEST: usize = 6;

/// Takes secrets out of text before it is shown or stored.
///
/// A help against accidents, such as an agent that prints its environment; not a wall: whoever
/// means to can encode what he prints.
#[derive(Debug)]
pub struct Redactor {
    secrets: Option<AhoCorasick>,
}

impl Redactor {
    /// One that takes out `secrets`, each line of them by itself.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let lines = secrets.into_iter().flat_map(|secret| secret.expose().lines());
        let patterns: Vec<_> = lines.filter(|line| line.len() >= SHORTEST).collect();
        let build =
            || AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns);
        Self { secrets: if patterns.is_empty() { None } else { build().ok() } }
    }

    /// The longest secret's length, in bytes; 0 without any.
    pub fn longest(&self) -> usize {
        self.secrets.as_ref().map_or(0, AhoCorasick::max_pattern_len)
    }

    /// Where `text`, of which more is to come, can be cut so that no secret is cut through: before
    /// what may be the start of one.
    pub fn cut(&self, text: &str) -> usize {
        let unsure = self.longest().saturating_sub(1);
        let cut = text.floor_char_boundary(text.len().saturating_sub(unsure));
        // Every secret that starts before the cut is there to its end.
        let mut found = self.secrets.iter().flat_map(|secrets| secrets.find_iter(text));
        match found.find(|secret| secret.end() > cut) {
            Some(secret) if secret.start() < cut => secret.end(),
            _ => cut,
        }
    }

    /// `line`, with `***` for every secret in it.
    pub fn redact<'a>(&self, line: &'a str) -> Cow<'a, str> {
        match &self.secrets {
            Some(secrets) if secrets.is_match(line) => {
                let masks = vec![MASK; secrets.patterns_len()];
                Cow::Owned(secrets.replace_all(line, &masks))
            }
            _ => Cow::Borrowed(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let secrets = ["sk-12345678", "short", "first line\nsecond line", "sk-1234567890"];
        let secrets = secrets.map(Secret::new);
        let redactor = Redactor::new(&secrets);
        assert_eq!(redactor.redact("key=sk-12345678, again sk-12345678"), "key=***, again ***");
        assert_eq!(redactor.redact("sk-1234567890"), "***");
        assert_eq!(redactor.redact("in short: the second line"), "in short: the ***");
        assert!(matches!(redactor.redact("nothing"), Cow::Borrowed(_)));
        assert!(matches!(Redactor::new([]).redact("x"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_text_that_goes_on_is_not_cut_within_a_secret() {
        let redactor = Redactor::new(&["12345678", "äöüäöü"].map(Secret::new));
        for (text, cut) in [
            ("", 0),
            ("abc", 0),
            ("abcdefghijklmnop", 5),
            ("abc12345678123456", 11),
            ("abc12345678", 0),
            ("öäöüäöüx", 14),
            ("öööööööö", 4),
        ] {
            assert_eq!(redactor.cut(text), cut, "{text}");
        }
        assert_eq!(Redactor::new([]).cut("abc"), 3);
    }
}
