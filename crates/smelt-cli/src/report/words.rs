//! Small things that are said in many places.

use smelt_core::text::clean_line;
use std::path::Path;
use std::time::Duration;

/// `0.4 s`, `12.3 s`, `2m 05s`, `1h 02m`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The same, of milliseconds.
pub fn millis(millis: u64) -> String {
    duration(Duration::from_millis(millis))
}

/// `text` as one word for a shell.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,^~".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", clean_line(text).replace('\'', r"'\''")),
    }
}

/// `git`, told where the repository is unless that is here.
pub fn git_in(repo: &Path, here: &Path) -> String {
    match repo == here {
        true => "git".to_owned(),
        false => format!("git -C {}", quoted(&repo.to_string_lossy())),
    }
}

/// A commit's first ten digits.
pub fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (ms, text) in [
            (0, "0.0 s"),
            (412, "0.4 s"),
            (59_940, "59.9 s"),
            (125_000, "2m 05s"),
            (3_720_000, "1h 02m"),
        ] {
            assert_eq!(millis(ms), text);
        }
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("smelt/fix-1"), "smelt/fix-1");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
