//! GitHub's cloud and Enterprise Server.

mod extras;
mod model;
mod status;

use crate::api::{Pages, encode};
use crate::remote::Remote;
use async_trait::async_trait;
use model::Pull;
use serde_json::json;
use smelt_core::event::PullState;
use smelt_core::manifest::ForgeProvider;
use smelt_core::port::{
    Forge, ForgeError, ForgeRepository, NewPullRequest, PullRequest, PullRequestExtras,
    PullRequestStatus, PushTarget,
};
use std::sync::OnceLock;

/// What GitHub is asked to answer with.
pub(crate) const ACCEPT: &str = "application/vnd.github+json";

/// What the token of an app's installation begins with.
const INSTALLATION: &str = "ghs_";

/// How many pages of a branch's pull requests are read, 100 on each.
const PULLS_PAGES: u32 = 5;

/// A repository on GitHub.
pub(crate) struct GitHub {
    remote: Remote,
    /// `owner/name` as GitHub spells it.
    full_name: OnceLock<String>,
}

impl GitHub {
    pub(crate) fn new(remote: Remote) -> Self {
        Self { remote, full_name: OnceLock::new() }
    }

    async fn full_name(&self) -> Result<String, ForgeError> {
        match self.full_name.get() {
            Some(name) => Ok(name.clone()),
            None => Ok(self.repository().await?.full_name),
        }
    }
}

/// Whether the token's own user opened `pull`. An app's token may not ask who that is (`None`): its pull
/// requests are a bot's.
fn is_own(pull: &Pull, user: Option<&str>) -> bool {
    pull.user.as_ref().is_some_and(|author| match user {
        Some(user) => author.login.eq_ignore_ascii_case(user),
        None => author.kind.as_deref() == Some("Bot"),
    })
}

#[async_trait]
impl Forge for GitHub {
    fn provider(&self) -> ForgeProvider {
        ForgeProvider::Github
    }

    fn push_target(&self) -> Option<PushTarget> {
        Some(self.remote.push_target())
    }

    async fn repository(&self) -> Result<ForgeRepository, ForgeError> {
        let mut there = self.remote.describe().await?;
        self.full_name.get_or_init(|| there.full_name.clone());
        // Of an installation of an app it is told that it may not, whatever it may.
        let is_installation = self.remote.token().expose().starts_with(INSTALLATION);
        if is_installation && there.may_push == Some(false) {
            there.may_push = None;
        }
        Ok(there)
    }

    async fn has_branch(&self, branch: &str) -> Result<bool, ForgeError> {
        self.remote.has_branch(branch).await
    }

    async fn find_pull_requests(&self, head: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let full_name = self.full_name().await?;
        let owner = full_name.split('/').next().unwrap_or_default();
        let query = format!(
            "/pulls?head={}&state=all&sort=updated&direction=desc&per_page=100",
            encode(&format!("{owner}:{head}"))
        );
        let path = self.remote.path(&query);
        let pages = Pages { path: &path, conditional: false, size: Some(100), most: PULLS_PAGES };
        let for_ = ("list pull requests", &*self.remote.named());
        let pulls = self.remote.api.pages::<Vec<Pull>>(pages, for_).await?;
        let is_ours = |pull: &Pull| {
            let repo = pull.head.repo.as_ref();
            pull.head.branch == head
                && repo.is_some_and(|repo| repo.full_name.eq_ignore_ascii_case(&full_name))
        };
        let pulls: Vec<_> = pulls.into_iter().filter(is_ours).collect();
        if pulls.is_empty() {
            return Ok(Vec::new());
        }
        let user = self.remote.user().await?;
        let known = |pull: Pull| PullRequest { is_own: is_own(&pull, user), ..pull.into() };
        let mut pulls: Vec<_> = pulls.into_iter().map(known).collect();
        pulls.sort_by_key(|pull| (pull.state != PullState::Open, std::cmp::Reverse(pull.number)));
        Ok(pulls)
    }

    async fn open_pull_request(&self, request: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        let NewPullRequest { head, base, title, body, draft, .. } = request;
        let sent = json!({
            "title": title, "body": body, "head": head, "base": base, "draft": draft,
        });
        let for_ = ("open a pull request", &*self.remote.named());
        let pull = self.remote.api.post::<Pull>(&self.remote.path("/pulls"), sent, for_).await?;
        Ok(PullRequest { is_own: true, ..pull.into() })
    }

    async fn update_pull_request(
        &self,
        pull: &PullRequest,
        request: &NewPullRequest,
    ) -> Result<PullRequest, ForgeError> {
        Ok(self.remote.change::<Pull>(pull, request, &request.title).await?.into())
    }

    async fn add_to_pull_request(
        &self,
        pull: &PullRequest,
        extras: &PullRequestExtras,
    ) -> Result<Vec<String>, ForgeError> {
        self.add(pull, extras).await
    }

    async fn status(&self, number: u64) -> Result<PullRequestStatus, ForgeError> {
        self.read_status(number).await
    }
}

#[cfg(test)]
mod tests;
