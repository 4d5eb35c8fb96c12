//! Names of jobs, sessions, branches, variables and secrets.

use crate::newtype::checked_text;
use schemars::json_schema;

/// Longest job or session name, in characters.
const NAME_MAX: usize = 63;

checked_text! {
    /// Name of a job: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}` and fit to be part of a branch name.
    JobName, check = check_name,
    schema = json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" })
}

checked_text! {
    /// Name of a session: the alphabet of [`JobName`], and not [`SessionName::RESERVED`].
    SessionName, check = check_session_name,
    schema = json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" })
}

checked_text! {
    /// A branch that Smelt may write, without `refs/heads/`.
    ///
    /// Stricter than `git check-ref-format`, which accepts `+main`, `refs/heads/x` and `@`.
    BranchName, check = check_branch,
    schema = json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._/-]*$" })
}

checked_text! {
    /// Name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`.
    VariableName, check = check_variable,
    schema = json_schema!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
}

checked_text! {
    /// Name under which a secret is looked up. Never its value.
    SecretName, check = check_secret_name,
    schema = json_schema!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
}

impl SessionName {
    /// Kept for the pin of a run's base, `refs/smelt/runs/<run>/base`.
    pub const RESERVED: &str = "base";
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name can't be empty".into());
    }
    let first_ok = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest_ok = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if !first_ok || !rest_ok {
        return Err(format!(
            "`{}` is not a valid name: use letters, digits, `.`, `_` and `-`, starting with a \
             letter or digit",
            crate::text::clean_line(name)
        ));
    }
    if name.len() > NAME_MAX {
        return Err(format!("the name is {} characters long, at most {NAME_MAX} fit", name.len()));
    }
    check_ref_component(name)
}

fn check_session_name(name: &str) -> Result<(), String> {
    check_name(name)?;
    if name == SessionName::RESERVED {
        return Err("`base` is reserved: Smelt keeps the run's base commit under that name".into());
    }
    Ok(())
}

/// What `git check-ref-format` refuses within the alphabet that is left here.
fn check_ref_component(part: &str) -> Result<(), String> {
    if part.contains("..") || part.ends_with('.') || part.ends_with(".lock") {
        return Err(format!(
            "`{part}` can't be part of a branch name: git refuses `..`, a trailing `.` and a \
             trailing `.lock`"
        ));
    }
    Ok(())
}

fn check_branch(branch: &str) -> Result<(), String> {
    let shown = crate::text::clean_line(branch);
    if branch.is_empty() || branch.len() > 200 {
        return Err("a branch name has 1 to 200 characters".into());
    }
    if branch == "HEAD" {
        return Err("`HEAD` is not a branch: name the one that the result is to go to".into());
    }
    if branch.starts_with("refs/") {
        return Err(format!("`{shown}` is not a branch: name it without `refs/heads/`"));
    }
    for part in branch.split('/') {
        let first_ok = part.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !first_ok || !part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
            return Err(format!(
                "`{shown}` is not a branch name that Smelt writes: use letters, digits, `.`, `_`, \
                 `-` and `/`, each part starting with a letter or digit"
            ));
        }
        check_ref_component(part)?;
    }
    Ok(())
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Does not repeat what was given: it may be the secret itself.
fn check_secret_name(name: &str) -> Result<(), String> {
    if is_variable(name) {
        return Ok(());
    }
    Err("expected the name of a secret (letters, digits and `_`), not its value".into())
}

fn check_variable(name: &str) -> Result<(), String> {
    if is_variable(name) {
        return Ok(());
    }
    Err(format!(
        "`{}` is not a variable name: use letters, digits and `_`, not starting with a digit",
        crate::text::clean_line(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_git_or_a_shell_would_trip_over_are_refused() {
        for bad in ["", "-x", ".x", "a b", "a/b", "a..b", "a.", "a.lock", "ä", "a\u{1b}[2J"] {
            assert!(bad.parse::<JobName>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(63).parse::<JobName>().is_ok());
        assert!("a".repeat(64).parse::<JobName>().is_err());
        assert!("base".parse::<SessionName>().is_err());
    }

    #[test]
    fn branches_that_check_ref_format_accepts_but_nobody_means_are_refused() {
        for bad in ["+main", "refs/heads/x", "@", "-D", "HEAD", "a//b", "a/", "/a", "a/.b", "a~1"] {
            assert!(bad.parse::<BranchName>().is_err(), "{bad:?}");
        }
        assert!("smelt/fix-1.2".parse::<BranchName>().is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_passes_git_check_ref_format(name in "[A-Za-z0-9._/-]{1,24}") {
            if name.parse::<BranchName>().is_ok() {
                let status = std::process::Command::new("git")
                    .args(["check-ref-format", "--branch", &name])
                    .stdout(std::process::Stdio::null())
                    .status()
                    .unwrap();
                prop_assert!(status.success(), "{name}");
            }
        }
    }
}
