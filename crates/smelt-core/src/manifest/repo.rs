//! Where a job's repository is: a folder of this machine, or a URL.

use serde::Serialize;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// Where a job's repository is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum RepoLocation {
    /// A folder in (or the root of) a repository of this machine; absolute.
    Path(PathBuf),
    /// A repository that is fetched.
    Url(GitUrl),
}

impl RepoLocation {
    /// Reads `text` as a URL, or as a path relative to `folder`.
    ///
    /// # Errors
    /// Says what is wrong with it; never repeats what may be a password.
    pub fn parse(text: &str, folder: &Path, home: Option<&Path>) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("expected a path or URL of a git repository".into());
        }
        if text.contains(|c: char| c.is_control()) {
            return Err("a repository's path or URL can't hold control characters".into());
        }
        if let Some(url) = GitUrl::parse(text)? {
            return Ok(Self::Url(url));
        }
        Ok(Self::Path(host_path(text, folder, home)))
    }
}

impl fmt::Display for RepoLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

impl From<RepoLocation> for String {
    fn from(location: RepoLocation) -> String {
        location.to_string()
    }
}

/// `text` as a path of the host: `~/` is `home`, the rest is relative to `folder`.
pub(super) fn host_path(text: &str, folder: &Path, home: Option<&Path>) -> PathBuf {
    let path = match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ if text == "~" => home.map_or_else(|| folder.join(text), Path::to_owned),
        _ => folder.join(text),
    };
    // `.` and `..` say nothing and would show up in messages and mounts.
    match path.components().any(|part| part == Component::ParentDir) {
        true => path.canonicalize().unwrap_or(path),
        false => path.components().collect(),
    }
}

/// A URL that git can fetch from, without anything secret in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitUrl(String);

impl GitUrl {
    /// The URL as git takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` where `text` is no URL but a path.
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return parse_scp(text);
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
        match scheme {
            "https" | "ssh" | "git" => {}
            "file" if authority.is_empty() => {}
            "file" => return Err("a `file://` URL needs three slashes: `file:///path`".into()),
            "http" if is_loopback(host) => {}
            "http" => {
                return Err("`http://` is neither private nor safe from changes on the way; use \
                            `https://` (only this machine itself may be reached by `http://`)"
                    .into());
            }
            _ => {
                return Err("this kind of URL is not supported; use https, ssh, git, file, or \
                            user@host:path"
                    .into());
            }
        }
        // Over HTTP a user's name can be a token by itself, and a URL is seen by many: in arguments,
        // in messages, in the run's state.
        let user_is_secret = |user: &str| scheme != "ssh" || user.contains(':');
        if user.is_some_and(user_is_secret) {
            return Err("a URL must not hold a password, a token or a user to log in with: leave \
                        it out, git's credential helper or ssh gives it"
                .into());
        }
        let named = scheme == "file" || (is_host(host) && user.is_none_or(is_user));
        if !named || rest[authority.len()..].trim_matches('/').is_empty() {
            return Err("the URL names no host or no repository".into());
        }
        Ok(Some(Self(text.to_owned())))
    }
}

/// `user@host:path`; a `:` after a `/` or without a user belongs to a path.
fn parse_scp(text: &str) -> Result<Option<GitUrl>, String> {
    let Some((before, path)) = text.split_once(':') else { return Ok(None) };
    let Some((user, host)) = before.split_once('@') else {
        return match before.contains('/') || path.is_empty() {
            true => Ok(None),
            false => {
                Err("expected a path, a URL, or `user@host:path` (a local path with a `:` is \
                          written `./a:b`)"
                    .into())
            }
        };
    };
    if before.contains('/') {
        return Ok(None);
    }
    if !is_user(user) || !is_host(host) || path.is_empty() || path.starts_with('-') {
        return Err("expected `user@host:path`".into());
    }
    Ok(Some(GitUrl(text.to_owned())))
}

fn is_user(user: &str) -> bool {
    user.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && user.chars().all(|c| c.is_ascii_alphanumeric() || "._-+%".contains(c))
}

/// A host, perhaps with a port; never something that ssh would take for an option.
fn is_host(host: &str) -> bool {
    let first = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    first && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
}

/// Whether `host` (perhaps with a port) is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RepoLocation, String> {
        RepoLocation::parse(text, Path::new("/m"), Some(Path::new("/home/a")))
    }

    #[test]
    fn urls_and_paths_are_told_apart() {
        for url in [
            "https://example.com/a/b.git",
            "ssh://git@example.com:2222/a/b",
            "git://127.0.0.1:9418/x",
            "file:///srv/x",
            "http://127.0.0.1:8080/x.git",
            "http://[::1]:8080/x.git",
            "git@example.com:a/b.git",
        ] {
            assert!(matches!(parse(url), Ok(RepoLocation::Url(_))), "{url}");
        }
        for (path, absolute) in [
            (".", "/m"),
            ("../x", "/m/../x"),
            ("~/x", "/home/a/x"),
            ("/srv/x", "/srv/x"),
            ("./a:b", "/m/a:b"),
            ("dir/a@b:c", "/m/dir/a@b:c"),
        ] {
            assert_eq!(parse(path), Ok(RepoLocation::Path(absolute.into())), "{path}");
        }
    }

    #[test]
    fn what_git_would_misunderstand_is_refused() {
        for bad in [
            "",
            " ",
            "http://example.com/x",
            "http://127.0.0.1.example.com/x",
            "https://user:hunter2@example.com/x",
            "https://hunter2@example.com/x",
            "https://@example.com/x",
            "http://hunter2@127.0.0.1/x",
            "ssh://git:hunter2@example.com/x",
            "https://example.com/",
            "ext::sh -c id",
            "ftp://example.com/x",
            "file://srv/x",
            "ssh://-oProxyCommand=x/y",
            "-oProxyCommand=x@h:y",
            "a@-oProxyCommand=x:y",
            "a@b:-x",
            "https://example.com/a\nb",
        ] {
            let error = parse(bad).expect_err(bad);
            assert!(!error.contains("hunter2"));
        }
    }
}
