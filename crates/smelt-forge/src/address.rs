//! Where a forge's API and its repositories are.

use crate::said::said;
use http::Uri;
use smelt_core::manifest::{ForgeProvider, RepoSlug};
use smelt_core::port::ForgeError;
use std::net::IpAddr;

/// GitHub's public API.
const GITHUB_API: &str = "https://api.github.com";

/// A forge's addresses for one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The API, without a slash at its end.
    pub api: String,
    /// The host as people know it, with its port where that is not the usual one.
    pub host: String,
    /// Where branches are pushed to.
    pub git: String,
    /// Whether it is this machine, reached without encryption.
    pub is_plain: bool,
}

impl Address {
    /// Where `repo` is by what a manifest says.
    ///
    /// # Errors
    /// Where a URL is none that a token may be sent to.
    pub(crate) fn of(
        provider: ForgeProvider,
        repo: &RepoSlug,
        api_url: Option<&str>,
        git_url: Option<&str>,
    ) -> Result<Self, ForgeError> {
        let api = match (api_url, provider) {
            (Some(url), _) => url,
            (None, ForgeProvider::Github) => GITHUB_API,
            (None, other) => return Err(cannot(other.as_str(), "be reached without an `api_url`")),
        };
        let api = api.trim_end_matches('/');
        let Place { scheme, authority, path } = Place::parse(api)?;
        let host = of_repositories(&authority).to_owned();
        let git = match git_url {
            Some(url) => Place::parse(url).map(|_| url.to_owned())?,
            None => format!("{scheme}://{host}{}/{repo}.git", above_api(&path)),
        };
        Ok(Self { api: api.to_owned(), host, git, is_plain: scheme == "http" })
    }
}

/// The parts of a URL.
struct Place {
    scheme: &'static str,
    authority: String,
    path: String,
}

impl Place {
    fn parse(url: &str) -> Result<Self, ForgeError> {
        let wrong = || cannot(&said(url), "be used: it is no plain `https://HOST/…`");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
            return Err(wrong());
        };
        if authority.as_str().contains('@') {
            return Err(cannot(host, "be reached by a URL that holds a user or password"));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong());
        }
        let scheme = match uri.scheme_str() {
            Some("https") => "https",
            Some("http") if is_loopback(host) => "http",
            Some("http") => {
                return Err(cannot(host, "be sent a token: `http://` would not encrypt it"));
            }
            _ => return Err(wrong()),
        };
        Ok(Self { scheme, authority: authority.to_string(), path: uri.path().to_owned() })
    }
}

fn cannot(forge: &str, action: &str) -> ForgeError {
    ForgeError::Unsupported { forge: forge.to_owned(), action: action.to_owned() }
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// GitHub's cloud has a host of its own for the API; servers do not.
fn of_repositories(api: &str) -> &str {
    match api.strip_prefix("api.") {
        Some(host) if host == "github.com" || host.ends_with(".ghe.com") => host,
        _ => api,
    }
}

/// The path that the whole forge is below: what is before `/api/v1` or `/api/v3`.
fn above_api(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    match path.rsplit_once("/api/v") {
        Some((above, version)) if version.bytes().all(|b| b.is_ascii_digit()) => above,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(
        provider: ForgeProvider,
        api: Option<&str>,
        git: Option<&str>,
    ) -> Result<Address, ForgeError> {
        Address::of(provider, &"acme/app".parse().unwrap(), api, git)
    }

    #[test]
    fn repositories_are_pushed_to_the_host_of_the_api() {
        use ForgeProvider::{Forgejo, Github};
        for (provider, api, base, host, git) in [
            (Github, None, GITHUB_API, "github.com", "https://github.com/acme/app.git"),
            (
                Github,
                Some("https://api.github.com/"),
                GITHUB_API,
                "github.com",
                "https://github.com/acme/app.git",
            ),
            (
                Github,
                Some("https://api.acme.ghe.com"),
                "https://api.acme.ghe.com",
                "acme.ghe.com",
                "https://acme.ghe.com/acme/app.git",
            ),
            (
                Github,
                Some("https://git.example.com/api/v3"),
                "https://git.example.com/api/v3",
                "git.example.com",
                "https://git.example.com/acme/app.git",
            ),
            (
                Forgejo,
                Some("https://api.example.com:8443/api/v1/"),
                "https://api.example.com:8443/api/v1",
                "api.example.com:8443",
                "https://api.example.com:8443/acme/app.git",
            ),
            (
                Forgejo,
                Some("https://example.com/git/api/v1"),
                "https://example.com/git/api/v1",
                "example.com",
                "https://example.com/git/acme/app.git",
            ),
            (
                Forgejo,
                Some("http://127.0.0.1:3000/api/v1"),
                "http://127.0.0.1:3000/api/v1",
                "127.0.0.1:3000",
                "http://127.0.0.1:3000/acme/app.git",
            ),
            (
                Github,
                Some("http://[::1]:3000"),
                "http://[::1]:3000",
                "[::1]:3000",
                "http://[::1]:3000/acme/app.git",
            ),
        ] {
            let address = address(provider, api, None).unwrap();
            assert_eq!((address.api.as_str(), address.host.as_str()), (base, host));
            assert_eq!(address.git, git);
            assert_eq!(address.is_plain, git.starts_with("http:"));
        }
    }

    #[test]
    fn another_url_to_push_to_is_taken_as_it_is() {
        let git = "https://push.example.com:444/x.git";
        let api = Some("https://git.example.com/api/v1");
        assert_eq!(address(ForgeProvider::Gitea, api, Some(git)).unwrap().git, git);
    }

    #[test]
    fn a_token_is_sent_nowhere_unencrypted_and_no_url_holds_one() {
        for url in [
            "http://example.com/api/v1",
            "https://user:pass@example.com/api/v1",
            "ftp://example.com",
            "example.com",
            "https://example.com/api/v1?token=x",
            "https://example.com/api/v1#x",
            "",
        ] {
            let error = address(ForgeProvider::Forgejo, Some(url), None).unwrap_err();
            assert!(!error.to_string().contains("pass@"), "{error}");
            assert!(!error.is_transient());
        }
        assert!(address(ForgeProvider::Gitea, None, None).is_err());
        let api = Some("https://example.com/api/v1");
        assert!(address(ForgeProvider::Gitea, api, Some("http://example.com/x.git")).is_err());
    }
}
