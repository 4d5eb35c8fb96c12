//! A repository on a server: what GitHub, Forgejo and Gitea have in common.

use crate::address::Address;
use crate::api::{Api, Page, Pages, encode};
use crate::extras::{add, requested, warning};
use crate::said::said;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;
use smelt_core::manifest::RepoSlug;
use smelt_core::port::{ForgeError, ForgeRepository, NewPullRequest, PullRequest, PushTarget};
use smelt_core::secret::Secret;
use std::sync::OnceLock;

/// How many pages of checks, statuses or reviews are read.
const PAGES: u32 = 10;

/// A repository on a server, and who asks for it.
pub(crate) struct Remote {
    pub(crate) api: Api,
    git_url: String,
    token: Secret,
    repo: RepoSlug,
    /// Whose the token is; `None` where it may not ask.
    user: OnceLock<Option<String>>,
}

#[derive(Deserialize)]
struct Described {
    full_name: String,
    default_branch: String,
    #[serde(default)]
    archived: bool,
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    push: Option<bool>,
}

/// Somebody with an account.
#[derive(Deserialize)]
pub(crate) struct User {
    pub(crate) login: String,
    /// GitHub: `User`, `Bot`, …
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}

impl Remote {
    pub(crate) fn new(api: Api, address: &Address, repo: &RepoSlug, token: &Secret) -> Self {
        let (git_url, token, repo) = (address.git.clone(), token.clone(), repo.clone());
        Self { api, git_url, token, repo, user: OnceLock::new() }
    }

    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    pub(crate) fn push_target(&self) -> PushTarget {
        PushTarget { url: self.git_url.clone(), token: self.token.clone() }
    }

    /// A path below the repository.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repo)
    }

    /// What the repository is called in errors.
    pub(crate) fn named(&self) -> String {
        format!("repository `{}`", self.repo)
    }

    /// What a pull request is called in errors.
    pub(crate) fn pull_named(&self, number: u64) -> String {
        format!("pull request #{number} of `{}`", self.repo)
    }

    pub(crate) async fn describe(&self) -> Result<ForgeRepository, ForgeError> {
        let what = self.named();
        let for_ = (&*format!("show {what}"), &*what);
        let there: Described = self.api.get(&self.path(""), for_).await?;
        Ok(ForgeRepository {
            full_name: said(&there.full_name),
            default_branch: Some(said(&there.default_branch)),
            may_push: there.permissions.and_then(|permissions| permissions.push),
            archived: there.archived,
        })
    }

    pub(crate) async fn has_branch(&self, branch: &str) -> Result<bool, ForgeError> {
        let path = self.path(&format!("/branches/{}", encode(branch)));
        let what = format!("branch `{branch}`");
        match self.api.get::<IgnoredAny>(&path, (&format!("show {what}"), &what)).await {
            Ok(_) => Ok(true),
            // On GitHub a branch that was renamed leads on to its new name.
            Err(ForgeError::NotFound { .. } | ForgeError::Moved { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whose the token is; `None` where it may not ask.
    pub(crate) async fn user(&self) -> Result<Option<&str>, ForgeError> {
        if let Some(user) = self.user.get() {
            return Ok(user.as_deref());
        }
        let user = match self.api.get::<User>("/user", ("show the token's user", "user")).await {
            Ok(user) => Some(user.login),
            Err(ForgeError::Forbidden { .. } | ForgeError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(self.user.get_or_init(|| user).as_deref())
    }

    /// Gives a pull request another title, body and base.
    pub(crate) async fn change<P: DeserializeOwned>(
        &self,
        pull: &PullRequest,
        request: &NewPullRequest,
        title: &str,
    ) -> Result<P, ForgeError> {
        let mut sent = json!({ "title": title, "body": request.body });
        if pull.base != request.base {
            sent["base"] = json!(request.base);
        }
        let what = self.pull_named(pull.number);
        let path = self.path(&format!("/pulls/{}", pull.number));
        self.api.patch(&path, sent, (&format!("change {what}"), &what)).await
    }

    /// Asks for reviews; returns a line of those who could not be asked.
    pub(crate) async fn ask_reviewers(
        &self,
        pull: &PullRequest,
        wanted: &[String],
    ) -> Result<Option<String>, ForgeError> {
        let path = self.path(&format!("/pulls/{}/requested_reviewers", pull.number));
        let what = self.pull_named(pull.number);
        let failed = add(wanted, |names| {
            let (path, for_) = (&path, ("ask reviewers", &*what));
            async move { self.api.post::<IgnoredAny>(path, requested(&names), for_).await.map(drop) }
        });
        Ok(failed.await?.map(|(names, why)| {
            let fix = format!("ask people with access to the repository at {}", pull.url);
            warning("reviewer", &names, &why.to_string(), &fix)
        }))
    }

    /// What is listed at `path`, whose full pages have `size` entries; asked for again only where it has
    /// changed.
    pub(crate) async fn list<P: Page>(
        &self,
        (path, size): (&str, Option<usize>),
        for_: (&str, &str),
    ) -> Result<Vec<P::Entry>, ForgeError> {
        self.api.pages::<P>(Pages { path, conditional: true, size, most: PAGES }, for_).await
    }
}
