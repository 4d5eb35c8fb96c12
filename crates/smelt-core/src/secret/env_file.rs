use super::Secret;
use crate::name::SecretName;
use std::collections::BTreeMap;

/// A line of an env file that can't be read. Never quotes the line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct EnvFileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: &'static str,
}

/// Reads an env file: a `NAME=value` a line, `#` comments, an optional `export`.
///
/// Values are taken literally: nothing is expanded. In single quotes everything stands for itself;
/// in double quotes `\n`, `\"`, `\\` and `\$` are escapes.
///
/// # Errors
/// The first line that is neither empty, a comment nor an assignment.
pub fn parse_env_file(text: &str) -> Result<BTreeMap<SecretName, Secret>, EnvFileError> {
    let mut secrets = BTreeMap::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let fail = |message| EnvFileError { line: number + 1, message };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or_else(|| fail("expected `NAME=value`"))?;
        let name = name.trim().parse().map_err(|_| {
            fail("the name before `=` may hold letters, digits and `_`, not starting with a digit")
        })?;
        let value = unquote(value.trim()).map_err(fail)?;
        secrets.insert(name, Secret::new(value));
    }
    Ok(secrets)
}

fn unquote(value: &str) -> Result<String, &'static str> {
    if let Some(rest) = value.strip_prefix('\'') {
        return match rest.split_once('\'') {
            Some((inner, after)) if is_comment(after) => Ok(inner.to_owned()),
            _ => Err("a single quote is not closed, or something follows it"),
        };
    }
    let Some(rest) = value.strip_prefix('"') else {
        // A `#` starts a comment only after white space: passwords hold them.
        let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
        return Ok(value[..end].trim_end().to_owned());
    };
    let mut inner = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_comment(chars.as_str()) => return Ok(inner),
            '"' => return Err("something follows the closing quote"),
            '\\' => match chars.next() {
                Some('n') => inner.push('\n'),
                Some(c @ ('"' | '\\' | '$')) => inner.push(c),
                Some(c) => inner.extend(['\\', c]),
                None => break,
            },
            c => inner.push(c),
        }
    }
    Err("a double quote is not closed")
}

fn is_comment(rest: &str) -> bool {
    rest.trim().is_empty() || rest.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_forms_are_read_literally() {
        let text = "\u{feff}# comment\nA=1\nexport B = two words # note\nC='$x \"y\"'\nD=\"a\\n\\\"b\\\"\" # c\nE=p#w$d\n\nF=\n";
        let read = parse_env_file(text).unwrap();
        let values: Vec<_> = read.iter().map(|(k, v)| (k.as_str(), v.expose())).collect();
        assert_eq!(
            values,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", "$x \"y\""),
                ("D", "a\n\"b\""),
                ("E", "p#w$d"),
                ("F", "")
            ]
        );
    }

    #[test]
    fn errors_name_the_line_and_not_what_stands_there() {
        let error = parse_env_file("A=1\nhunter2\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: expected `NAME=value`");
        assert!(parse_env_file("A='open").is_err());
        assert!(parse_env_file("A=\"open").is_err());
        assert!(parse_env_file("1A=x").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = parse_env_file(&text);
        }

        #[test]
        fn single_quoted_values_come_back_as_they_are(value in "[^'\\r\\n]{0,40}") {
            let read = parse_env_file(&format!("K='{value}'")).unwrap();
            prop_assert_eq!(read.values().next().unwrap().expose(), value);
        }
    }
}
