//! Forgejo and Gitea. They differ in little that is used here: Gitea knows no filter of pull
//! requests by their head, so that they are looked through.

mod extras;
mod model;
mod status;
mod title;

use crate::api::Pages;
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
use title::marked;

/// What they are asked to answer with.
pub(crate) const ACCEPT: &str = "application/json";

/// How many pages of open, and of closed pull requests are looked through, 50 on each.
const OPEN_PAGES: u32 = 20;
const CLOSED_PAGES: u32 = 3;

/// A repository on a Forgejo or Gitea server.
pub(crate) struct Forgejo {
    remote: Remote,
    provider: ForgeProvider,
}

impl Forgejo {
    pub(crate) fn new(remote: Remote, provider: ForgeProvider) -> Self {
        Self { remote, provider }
    }

    async fn pulls_from(
        &self,
        head: &str,
        state: &str,
        most: u32,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let path = self.remote.path(&format!("/pulls?state={state}&sort=recentupdate&limit=50"));
        let pages = Pages { path: &path, conditional: false, size: None, most };
        let for_ = ("list pull requests", &*self.remote.named());
        let pulls = self.remote.api.pages::<Vec<Pull>>(pages, for_).await?;
        let ours: Vec<_> = pulls.into_iter().filter(|pull| pull.is_from(head)).collect();
        if ours.is_empty() {
            return Ok(Vec::new());
        }
        let user = self.remote.user().await?;
        let known = |pull: Pull| {
            let is_own = user.is_some_and(|user| pull.is_by(user));
            PullRequest { is_own, ..pull.into() }
        };
        let mut ours: Vec<_> = ours.into_iter().map(known).collect();
        ours.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        // What is updated meanwhile can be on two pages.
        ours.dedup_by_key(|pull| pull.number);
        Ok(ours)
    }
}

#[async_trait]
impl Forge for Forgejo {
    fn provider(&self) -> ForgeProvider {
        self.provider
    }

    fn push_target(&self) -> Option<PushTarget> {
        Some(self.remote.push_target())
    }

    async fn repository(&self) -> Result<ForgeRepository, ForgeError> {
        self.remote.describe().await
    }

    async fn has_branch(&self, branch: &str) -> Result<bool, ForgeError> {
        self.remote.has_branch(branch).await
    }

    async fn find_pull_requests(&self, head: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let mut pulls = self.pulls_from(head, "open", OPEN_PAGES).await?;
        let closed = self.pulls_from(head, "closed", CLOSED_PAGES).await?;
        // One that was closed between the two lists is in both.
        pulls.retain(|open| closed.iter().all(|closed| closed.number != open.number));
        pulls.extend(closed);
        pulls.sort_by_key(|pull| (pull.state != PullState::Open, std::cmp::Reverse(pull.number)));
        Ok(pulls)
    }

    async fn open_pull_request(&self, request: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        let NewPullRequest { head, base, title, body, draft, .. } = request;
        let title = marked(title, *draft);
        let sent = json!({ "title": title, "body": body, "head": head, "base": base });
        let for_ = ("open a pull request", &*self.remote.named());
        let pull = self.remote.api.post::<Pull>(&self.remote.path("/pulls"), sent, for_).await?;
        Ok(PullRequest { is_own: true, ..pull.into() })
    }

    /// Whether it is a draft stays as it is: people unmark one to have it reviewed.
    async fn update_pull_request(
        &self,
        pull: &PullRequest,
        request: &NewPullRequest,
    ) -> Result<PullRequest, ForgeError> {
        let title = marked(&request.title, pull.draft);
        Ok(self.remote.change::<Pull>(pull, request, &title).await?.into())
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
