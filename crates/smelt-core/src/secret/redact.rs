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
}
