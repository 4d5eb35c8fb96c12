//! `.dockerignore`, as Docker reads it (moby/patternmatcher): rules like those of a shell, the last
//! of which that is true for a path, or for a folder it is in, decides.

use regex::Regex;

/// What is left out of every context unless an exception lets it in: a run itself writes there, and
/// each would build an image of its own.
const OWN: [&str; 2] = [".git", ".smelt"];

/// What of a context is left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

/// A line of the file.
#[derive(Clone, Debug)]
struct Rule {
    pattern: Regex,
    /// It lets in what earlier ones have left out.
    exception: bool,
    /// The folders at its beginning that are no pattern, without the last part.
    stem: String,
}

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// From 1.
    pub(super) line: usize,
    /// As it stands there.
    pub(super) text: String,
}

impl Ignore {
    /// Reads the text of the file.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (n, whole) in text.lines().enumerate() {
            let line = whole.trim();
            // Only what begins with it is a comment: ` #` is a file's name.
            if whole.starts_with('#') || line.is_empty() {
                continue;
            }
            let (exception, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let rule = Rule::new(pattern, exception);
            rules.push(rule.ok_or_else(|| Malformed { line: n + 1, text: line.to_owned() })?);
        }
        Ok(Self { rules })
    }

    /// The same behind the rules that every context has.
    pub(super) fn behind_own(mut self) -> Self {
        let own = OWN.iter().filter_map(|pattern| Rule::new(pattern, false));
        self.rules.splice(0..0, own.collect::<Vec<_>>());
        self
    }

    /// Whether `path`, relative to the context, is left out.
    pub(super) fn excludes(&self, path: &str) -> bool {
        let matching = |rule: &&Rule| lineage(path).any(|part| rule.pattern.is_match(part));
        self.rules.iter().rev().find(matching).is_some_and(|rule| !rule.exception)
    }

    /// Whether something below `folder`, which itself is left out, could be let in again.
    pub(super) fn may_include_below(&self, folder: &str) -> bool {
        let inside = |path: &str, folder: &str| {
            folder.is_empty()
                || path == folder
                || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        let exceptions = self.rules.iter().filter(|rule| rule.exception);
        exceptions.into_iter().any(|rule| inside(&rule.stem, folder) || inside(folder, &rule.stem))
    }
}

/// `a`, `a/b` and `a/b/c` for the last of them.
fn lineage(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain([path])
}

impl Rule {
    /// `None` where it is none.
    fn new(pattern: &str, exception: bool) -> Option<Self> {
        if pattern.is_empty() {
            return None;
        }
        let cleaned = clean(pattern);
        let pattern = match cleaned.strip_prefix('/') {
            Some(rest) if !rest.is_empty() => rest,
            _ => &cleaned,
        };
        let plain = pattern.find(['*', '?', '[', '\\']).map_or(pattern, |at| &pattern[..at]);
        let stem = plain.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Some(Self { pattern: Regex::new(&regex_of(pattern)?).ok()?, exception, stem })
    }
}

/// A path without what leads nowhere, as Go's `filepath.Clean` has it.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let rooted = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".into(),
        (false, rest) => rest,
    }
}

/// The pattern as a regular expression; `None` where brackets are not closed or a backslash ends it.
fn regex_of(pattern: &str) -> Option<String> {
    let mut regex = String::from("(?s)^");
    let mut rest = pattern.chars().peekable();
    // Stars at the beginning and nowhere else: the ending of a path, even of a name.
    let is_plain = |text: &str| !text.is_empty() && !text.contains(['*', '?', '[', '\\']);
    if let Some(ending) = pattern.strip_prefix("**")
        && is_plain(ending)
        && !ending.starts_with('/')
    {
        return Some(format!("(?s)^.*{}$", regex::escape(ending)));
    }
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                regex.push_str(if rest.peek().is_some() { "(.*/)?" } else { ".*" });
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => regex.push_str(&class(&mut rest)?),
            '\\' => regex.push_str(&regex::escape(rest.next()?.encode_utf8(&mut [0; 4]))),
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    Some(regex)
}

/// A class of characters, after its opening bracket.
fn class(rest: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut class = String::from("[");
    let mut first = true;
    loop {
        match rest.next()? {
            ']' if first => return None,
            ']' => break,
            '^' if class == "[" => {
                class.push('^');
                continue;
            }
            '-' => class.push('-'),
            '\\' => class.push_str(&escaped(rest.next()?)),
            c => class.push_str(&escaped(c)),
        }
        first = false;
    }
    class.push(']');
    Some(class)
}

/// A character that means itself in a class.
fn escaped(c: char) -> String {
    if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignore(text: &str) -> Ignore {
        Ignore::parse(text).unwrap()
    }

    /// Docker's reference of `.dockerignore`, and the tests of moby/patternmatcher.
    #[test]
    fn rules_as_docker_reads_them() {
        for (rules, path, excluded) in [
            ("*/temp*", "somedir/temporary.txt", true),
            ("*/temp*", "somedir/temp/deeper", true),
            ("*/temp*", "temp", false),
            ("*/*/temp*", "somedir/subdir/temporary.txt", true),
            ("*/*/temp*", "somedir/temporary.txt", false),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("temp?", "dir/tempa", false),
            ("**/*.go", "main.go", true),
            ("**/*.go", "a/b/main.go", true),
            ("*.md\n!README.md", "README.md", false),
            ("*.md\n!README.md", "CHANGES.md", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
            ("/foo/bar", "foo/bar", true),
            ("foo/bar/", "foo/bar/baz", true),
            ("./foo//../bar", "bar", true),
            ("# comment\n  \n#foo", "#foo", false),
            (" # no comment", "# no comment", true),
            ("foo", "a/foo", false),
            ("**/foo", "foo", true),
            ("**/foo", "a/b/foo/c", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**", "anything/at/all", true),
            ("**suffix", "a/b.suffix", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("a[b.&&c]", "a&", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("a.c", "abc", false),
            ("{a,b}", "a", false),
            ("docs\n!docs/README.md", "docs/README.md", false),
            ("docs\n!docs/README.md", "docs/other.md", true),
            ("*\n!src\nsrc/gen", "src/gen/x", true),
            ("*\n!src\nsrc/gen", "src/main.rs", false),
            ("! spaced\nspaced", "spaced", true),
            ("spaced\n! spaced", "spaced", false),
            ("..", "x", false),
            ("\u{feff}first", "first", true),
        ] {
            assert_eq!(ignore(rules).excludes(path), excluded, "{rules:?} of {path:?}");
        }
    }

    #[test]
    fn lines_that_are_no_rules_are_named() {
        for text in ["!", "[", "a[b", "[]", r"a\"] {
            let error = Ignore::parse(&format!("fine\n{text}\n")).unwrap_err();
            assert_eq!((error.line, error.text.as_str()), (2, text));
        }
    }

    #[test]
    fn folders_are_looked_into_where_an_exception_may_lead_there() {
        for (rules, folder, looked_into) in [
            ("*", "target", false),
            ("*\n!src/main.rs", "src", true),
            ("*\n!src/main.rs", "target", false),
            ("*\n!src", "src", true),
            ("*\n!src/a/b", "src/a", true),
            ("*\n!src/a/b", "src/x", false),
            ("*\n!src/*/b", "src/a/c", true),
            ("*\n!**/README.md", "any/where", true),
        ] {
            assert_eq!(
                ignore(rules).may_include_below(folder),
                looked_into,
                "{rules:?} of {folder:?}"
            );
        }
    }
}
