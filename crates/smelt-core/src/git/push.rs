//! From the quarantine to a forge: a push over HTTPS that proves itself by a token and moves nothing
//! of anybody else's.
//!
//! Only git itself gets at the token, by a pipe. It answers for the one host that it
//! is meant for: no other configuration, redirect, `.netrc` or dialog has a say.

use super::command::{GitError, Invocation};
use super::oid::Oid;
use super::quarantine::Quarantine;
use super::refs;
use crate::port::PushTarget;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Longest time for one push.
const PUSH_DEADLINE: Duration = Duration::from_secs(600);

/// Longest time for asking where a branch is.
const LOOK_DEADLINE: Duration = Duration::from_secs(60);

/// Where git's helper finds the token.
const TOKEN_FD: i32 = 3;

/// How often git may ask for the token in one call: once to find out what is there, once to push.
const HELPERS: usize = 4;

/// Who pushes, by name: forges look at the token only.
const USER: &str = "x-access-token";

/// Why a branch of a forge was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Somebody else wrote it in the same instant; it is as they left it.
    #[error("`{branch}` was changed there by somebody else at the same time")]
    Raced {
        /// The branch.
        branch: String,
    },
    /// The forge does not let it be written.
    #[error("{url} refuses to take `{branch}`: {reason}")]
    Refused {
        /// Where to.
        url: String,
        /// The branch.
        branch: String,
        /// What the forge said.
        reason: String,
    },
    /// The forge does not know the token.
    #[error("{url} refuses the token")]
    Unauthorized {
        /// Where to.
        url: String,
    },
    /// The token may not push there.
    #[error("{url} does not let the token push")]
    Forbidden {
        /// Where to.
        url: String,
    },
    /// There is no such repository, or the token can't see it.
    #[error("there is no repository at {url}, or the token can't see it")]
    NotFound {
        /// Where to.
        url: String,
    },
    /// The forge can't be reached, or fails. Whether it took the branch is not known.
    #[error("{url} can't be reached")]
    Unreachable {
        /// Where to.
        url: String,
        /// Why.
        source: GitError,
    },
    /// The token can't be handed over.
    #[error("the token can't be handed to git")]
    Token(#[source] std::io::Error),
    /// git failed otherwise.
    #[error("the branch can't be pushed")]
    Git(#[from] GitError),
}

impl PushError {
    /// Whether the same might work later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Raced { .. }
                | Self::Unreachable { .. }
                | Self::Git(GitError::TimedOut { .. } | GitError::Io { .. })
        )
    }

    /// What would help.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Raced { .. } => "see who else writes there, and name another `[merge] target`",
            Self::Unreachable { .. } => "check the network, and that the forge is up",
            Self::Refused { reason, .. } if reason.contains("cannot create") => {
                "a branch there has the name of a folder of this one: name another `[merge] target`"
            }
            Self::Refused { reason, .. } if reason.contains("workflow") => {
                "the result changes workflows: give the token that right (GitHub: the scope \
                 `workflow`, or `Workflows`: write), or keep agents from changing them"
            }
            Self::Refused { .. } => {
                "let Smelt's branches be written by the forge's branch protection, or name another \
                 branch in `[merge] target`"
            }
            Self::Unauthorized { .. } => {
                "the token is wrong, expired or revoked: make a new one and put it where \
                 `token_env` finds it"
            }
            Self::Forbidden { .. } => {
                "give the token write access to the repository's contents (GitHub: `contents` and \
                 `pull requests`, or the scope `repo`; Forgejo, Gitea: `write:repository`)"
            }
            Self::NotFound { .. } => {
                "check `repo` and `api_url` (or `git_url`) in `[forge]`, and that the token may see \
                 the repository"
            }
            Self::Token(_) | Self::Git(_) => "`SMELT_LOG=debug` tells more",
        }
    }

    fn of(target: &PushTarget, branch: &str, error: GitError) -> Self {
        let url = || target.url.clone();
        let (said, branch) = (error.stderr(), || branch.to_owned());
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let raced = [
            "(stale info)",
            "(fetch first)",
            "(non-fast-forward)",
            "reference already exists",
            "but expected",
            "incorrect old value",
        ];
        if has(&raced) {
            return Self::Raced { branch: branch() };
        }
        if let Some(reason) = refusal(said) {
            return Self::Refused { url: url(), branch: branch(), reason };
        }
        if has(&["Authentication failed", "could not read Username", "could not read Password"]) {
            return Self::Unauthorized { url: url() };
        }
        if has(&["returned error: 401"]) {
            return Self::Unauthorized { url: url() };
        }
        if has(&["returned error: 403", "Permission to", "not granted"]) {
            return Self::Forbidden { url: url() };
        }
        if has(&[
            "returned error: 404",
            "returned error: 30",
            "not found",
            "unable to update url base from redirection",
        ]) {
            return Self::NotFound { url: url() };
        }
        let unreachable = [
            "Failed to connect",
            "Could not connect",
            "Couldn't connect",
            "Could not resolve",
            "Empty reply",
            "Recv failure",
            "timed out",
            "RPC failed",
            "hung up",
            "unexpected disconnect",
            "early EOF",
            "returned error: 408",
            "returned error: 429",
            "returned error: 5",
        ];
        match has(&unreachable) {
            true => Self::Unreachable { url: url(), source: error },
            false => Self::Git(error),
        }
    }
}

/// What the forge said against a branch: its own lines, else git's word for it.
fn refusal(said: &str) -> Option<String> {
    let line = said
        .lines()
        .find(|line| line.contains("[remote rejected]") || line.contains("[rejected]"))?;
    let told = said.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim);
    let told: Vec<_> = told.filter(|line| !line.is_empty()).collect();
    let word = line.rsplit_once('(').map(|(_, word)| word.trim_end().trim_end_matches(')'));
    let reason = match (told.as_slice(), word) {
        ([], word) => word.unwrap_or(line.trim()).to_owned(),
        (told, Some(word)) => format!("{} ({word})", told.join(" ")),
        (told, None) => told.join(" "),
    };
    Some(crate::text::shorten(&reason, 500).into_owned())
}

/// What the branch `branch` of the forge is at; `None` where there is none.
///
/// # Errors
/// Where the forge can't be asked.
pub async fn pushed_tip(
    quarantine: &Quarantine,
    target: &PushTarget,
    branch: &str,
) -> Result<Option<Oid>, PushError> {
    let reference = refs::branch(branch);
    let call = call(quarantine, target)?
        .args(["ls-remote", "--refs", "--quiet", &target.url, &reference])
        .deadline(LOOK_DEADLINE);
    let listed = call.text().await.map_err(|error| PushError::of(target, branch, error))?;
    let tip = listed.lines().find_map(|line| {
        let (tip, name) = line.split_once('\t')?;
        (name == reference).then(|| tip.parse().ok())?
    });
    Ok(tip)
}

/// Puts `commit` on the branch `branch` of the forge, if that is at `expected`: `None` where it must
/// not be there.
///
/// # Errors
/// Where it is not, or the forge refuses.
pub async fn push(
    quarantine: &Quarantine,
    target: &PushTarget,
    commit: &Oid,
    branch: &str,
    expected: Option<&Oid>,
) -> Result<(), PushError> {
    let reference = refs::branch(branch);
    let lease =
        format!("--force-with-lease={reference}:{}", expected.map_or("", |oid| oid.as_str()));
    call(quarantine, target)?
        .args(["push", "--quiet", "--no-verify", "--no-follow-tags", "--no-signed"])
        .args(["--recurse-submodules=no", &lease, &target.url, &format!("{commit}:{reference}")])
        .deadline(PUSH_DEADLINE)
        .run()
        .await
        .map_err(|error| PushError::of(target, branch, error))
}

/// A call of git that can prove itself to `target` and to nobody else.
fn call(quarantine: &Quarantine, target: &PushTarget) -> Result<Invocation, PushError> {
    let helper = format!(
        "credential.{}.helper=!f() {{ test \"$1\" = get || exit 0; IFS= read -r token <&{TOKEN_FD} && \
         printf 'username={USER}\\npassword=%s\\n' \"$token\"; }}; f",
        origin(&target.url),
    );
    let settings = [
        "credential.helper=",
        &helper,
        "http.followRedirects=false",
        "protocol.allow=never",
        "protocol.https.allow=always",
        // Only this machine itself is ever spoken to in the clear: the manifest sees to it.
        "protocol.http.allow=always",
        "transfer.credentialsInUrl=die",
        // A base that has moved on there is no reason to send all of the history.
        "push.negotiate=true",
        // A server that hangs is left after a minute, also when nobody is left to end git.
        "http.lowSpeedLimit=1",
        "http.lowSpeedTime=60",
    ];
    let call = settings.iter().fold(quarantine.git(), |call, setting| call.setting(setting));
    // Nobody is between this machine and itself.
    let call = match target.url.starts_with("http:") {
        true => call.setting("http.proxy="),
        false => call,
    };
    Ok(call
        // No `.netrc`, no dialog.
        .env("HOME", quarantine.path())
        .env("GIT_ASKPASS", "")
        .env("SSH_ASKPASS", "")
        .descriptor(TOKEN_FD, token_pipe(target).map_err(PushError::Token)?))
}

/// `scheme://host:port` of `url`.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}

/// A pipe that holds the token, once for each helper that git may start.
fn token_pipe(target: &PushTarget) -> std::io::Result<OwnedFd> {
    let token = target.token.expose();
    // More would not fit the pipe, and a second line would be another answer to git.
    if token.len() > 4096 || token.chars().any(char::is_control) {
        let message = "it is longer than 4096 bytes, or holds control characters";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
    }
    let (read, write) = std::io::pipe()?;
    let mut write = File::from(OwnedFd::from(write));
    for _ in 0..HELPERS {
        writeln!(write, "{token}")?;
    }
    Ok(read.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use std::os::unix::process::ExitStatusExt;

    fn error(stderr: &str) -> PushError {
        let target =
            PushTarget { url: "https://forge.example/a/b.git".into(), token: Secret::new("t") };
        let status = std::process::ExitStatus::from_raw(256);
        let error = GitError::Failed { what: "push".into(), status, stderr: stderr.into() };
        PushError::of(&target, "smelt/x", error)
    }

    #[test]
    fn what_git_says_is_understood() {
        type Is = fn(&PushError) -> bool;
        let cases: [(&str, Is); 11] = [
            ("fatal: unable to access 'x': The requested URL returned error: 302", |e| {
                matches!(e, PushError::NotFound { .. })
            }),
            (
                "remote: error: cannot lock ref 'refs/heads/x': is at a but expected b\n ! [remote \
                 rejected] c -> x (failed to update ref)",
                |e| matches!(e, PushError::Raced { .. }),
            ),
            (" ! [rejected]  abc -> smelt/x (stale info)", |e| {
                matches!(e, PushError::Raced { .. })
            }),
            (
                "remote: error: GH006: Protected branch update failed.\n ! [remote rejected] abc -> \
                 smelt/x (protected branch hook declined)",
                |e| matches!(e, PushError::Refused { reason, .. } if reason.contains("GH006") && reason.ends_with("(protected branch hook declined)")),
            ),
            ("fatal: Authentication failed for 'https://forge.example/a/b.git/'", |e| {
                matches!(e, PushError::Unauthorized { .. })
            }),
            (
                "fatal: could not read Username for 'https://forge.example': terminal prompts disabled",
                |e| matches!(e, PushError::Unauthorized { .. }),
            ),
            ("fatal: unable to access 'x': The requested URL returned error: 403", |e| {
                matches!(e, PushError::Forbidden { .. })
            }),
            ("fatal: repository 'https://forge.example/a/b.git/' not found", |e| {
                matches!(e, PushError::NotFound { .. })
            }),
            ("fatal: unable to access 'x': Failed to connect to localhost port 1", |e| {
                matches!(e, PushError::Unreachable { .. })
            }),
            ("fatal: unable to access 'x': The requested URL returned error: 502", |e| {
                matches!(e, PushError::Unreachable { .. })
            }),
            ("fatal: something new", |e| matches!(e, PushError::Git(_))),
        ];
        for (stderr, is) in cases {
            let error = error(stderr);
            assert!(is(&error), "{stderr}: {error:?}");
        }
    }

    #[test]
    fn the_helper_answers_for_one_origin() {
        assert_eq!(origin("https://forge.example:8443/a/b.git"), "https://forge.example:8443");
        assert_eq!(origin("http://127.0.0.1:1"), "http://127.0.0.1:1");
    }
}
