//! One delivery, from the forge's description of its repository to a pull request.

use super::branch::{Branch, Push};
use super::changes::Changes;
use super::marker::Marker;
use super::order::{DeliveryOrder, Task};
use super::patience::{Passing, patiently};
use super::pull;
use super::report::Report;
use super::{DeliveryError, TemplateError};
use crate::event::{EventSink, JobEvent, Level, PullState};
use crate::git::{self, Oid, Quarantine, Repository};
use crate::outcome::{Outcome, chain};
use crate::port::{
    Forge, ForgeRepository, NewPullRequest, PullRequest, PullRequestExtras, PushTarget,
};
use crate::secret::Redactor;
use crate::state::RunState;
use crate::text::count;
use std::collections::HashSet;
use std::time::Duration;

/// A pause that is worth telling of.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// A result that is to be delivered.
pub struct Delivery<'a> {
    /// Where to, and how.
    pub order: &'a DeliveryOrder,
    /// What is known of the run.
    pub state: &'a RunState,
    /// How the run ended, or will once this is done.
    pub outcome: Outcome,
    /// The commit that the run started from.
    pub base: &'a Oid,
    /// The result.
    pub commit: &'a Oid,
    /// The branch that it is meant for.
    pub target: &'a str,
    /// The repository that the work came from: it knows what runs have written.
    pub repository: &'a Repository,
    /// Where git can push the result from; nobody's configuration reaches it.
    pub quarantine: &'a Quarantine,
    /// Where it goes.
    pub forge: &'a dyn Forge,
    /// Takes secrets out of what becomes public.
    pub redactor: &'a Redactor,
    /// What happens.
    pub events: &'a EventSink,
}

/// What a delivery has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// There is a pull request.
    Pull(PullRequest),
    /// The result's files are those of the base: there is nothing to be reviewed.
    Nothing,
}

/// The branch at the forge.
struct Pushed<'a> {
    branch: String,
    /// The one that it was meant for, where it is another.
    instead_of: Option<&'a str>,
}

impl<'a> Pushed<'a> {
    fn meant(branch: &'a str) -> Self {
        Self { branch: branch.to_owned(), instead_of: None }
    }
}

/// Whether the token may push there.
///
/// # Errors
/// Why it may not.
pub(crate) fn check_writable(there: &ForgeRepository) -> Result<(), DeliveryError> {
    let repo = || there.full_name.clone();
    match there {
        ForgeRepository { archived: true, .. } => Err(DeliveryError::Archived { repo: repo() }),
        ForgeRepository { may_push: Some(false), .. } => {
            Err(DeliveryError::ReadOnly { repo: repo() })
        }
        _ => Ok(()),
    }
}

impl Delivery<'_> {
    /// Carries it out. Doing so twice changes nothing: what is there already is found.
    ///
    /// # Errors
    /// Why the result is not delivered. The branch may be pushed then.
    pub async fn carry_out(&self) -> Result<Delivered, DeliveryError> {
        let changes = Changes::between(|| self.quarantine.git(), self.base, self.commit).await?;
        if changes.files_total == 0 {
            self.tell(Level::Info, "the result changes no file: there is nothing to be reviewed");
            return Ok(Delivered::Nothing);
        }
        let forge = self.forge;
        let there = patiently(|| forge.repository(), |e, wait| self.tell_pause(e, wait)).await?;
        let base = self.base_branch(&there).await?;
        let find = || forge.find_pull_requests(self.target);
        let pulls = patiently(find, |e, wait| self.tell_pause(e, wait)).await?;
        if let Some(merged) = pull::merged_one(&pulls, self.target, self.commit.as_str()) {
            self.tell(Level::Info, "the result was merged already");
            self.tell_of_pull(merged, false);
            return Ok(Delivered::Pull(merged.clone()));
        }
        if let Some(to) = forge.push_target()
            && self.is_in_base(&to, &base).await?
        {
            self.tell(Level::Info, format!("`{base}` there has the result already"));
            return Ok(Delivered::Nothing);
        }
        let pushed = match forge.push_target() {
            // Whatever people have put on top of it since stays.
            Some(_) if self.is_open(&pulls) => Pushed::meant(self.target),
            Some(to) => self.push(&to, &pulls).await?,
            None => Pushed::meant(self.target),
        };
        let wanted = self.request(&changes, &base, &pushed)?;
        let put = pull::put(forge, &wanted, |e, wait| self.tell_pause(e, wait)).await?;
        self.add_extras(&put.pull).await;
        self.tell_of_draft(&put.pull, wanted.draft);
        self.tell_of_pull(&put.pull, put.is_new);
        Ok(Delivered::Pull(put.pull))
    }

    /// Whether there is an open pull request of this very result.
    fn is_open(&self, pulls: &[PullRequest]) -> bool {
        let mut open = pulls.iter().filter(|pull| pull.state == PullState::Open);
        open.any(|pull| pull::marked(pull, self.target).as_ref() == Some(self.commit))
    }

    /// An update leaves a draft one, and makes none. Whoever has marked one as ready wanted it so, unless
    /// gates have failed since.
    fn tell_of_draft(&self, pull: &PullRequest, wanted: bool) {
        let message = match (pull.draft, wanted) {
            (true, false) => "is still a draft: mark it as ready for review",
            (false, true) if self.outcome == Outcome::GatesFailed => {
                "is no draft, and not every gate passed: make it one, or close it"
            }
            _ => return,
        };
        self.tell(Level::Warning, format!("the pull request {message}"));
    }

    fn tell_of_pull(&self, pull: &PullRequest, is_new: bool) {
        self.events.emit(JobEvent::PullRequest {
            number: pull.number,
            url: pull.url.clone(),
            state: pull.state,
            draft: pull.draft,
            head: pull.head.clone(),
            base: pull.base.clone(),
            is_new,
        });
    }

    /// The branch that the pull request goes to; nothing is pushed before that is known to be there.
    async fn base_branch(&self, there: &ForgeRepository) -> Result<String, DeliveryError> {
        check_writable(there)?;
        let repo = || there.full_name.clone();
        let base = self.order.base(self.target, self.state.base_branch.as_deref());
        let default = there.default_branch.as_deref();
        let base = base.or_else(|| default.map(str::to_owned));
        let base = base.ok_or_else(|| DeliveryError::NoDefault { repo: repo() })?;
        let protected = [(Some(&*base), "the base"), (default, "the default branch")];
        if let Some((_, what)) = protected.into_iter().find(|(name, _)| *name == Some(self.target))
        {
            let (branch, repo) = (self.target.to_owned(), repo());
            return Err(DeliveryError::Protected { branch, what, repo });
        }
        let has = patiently(|| self.forge.has_branch(&base), |e, wait| self.tell_pause(e, wait));
        match has.await? {
            true => Ok(base),
            false => Err(DeliveryError::NoBase { repo: repo(), base }),
        }
    }

    async fn push(
        &self,
        to: &PushTarget,
        pulls: &[PullRequest],
    ) -> Result<Pushed<'_>, DeliveryError> {
        let push = Push {
            repository: self.repository,
            quarantine: self.quarantine,
            target: to,
            commit: self.commit,
        };
        let ours = pulls.iter().filter_map(|pull| pull::marked(pull, self.target)).collect();
        let meant = Branch { name: self.target, ours };
        let mut pushed = Pushed::meant(self.target);
        if !push.put_on(&meant, |e, wait| self.tell_pause(e, wait)).await? {
            let name = format!("{}-{}", self.target, self.state.run_id);
            let instead = Branch { name: &name, ours: HashSet::new() };
            if !push.put_on(&instead, |e, wait| self.tell_pause(e, wait)).await? {
                let branch = self.target.to_owned();
                return Err(DeliveryError::Taken { branch, instead: name });
            }
            let message = format!(
                "`{}` holds commits there that Smelt did not put on it; they were left alone, and \
                 the result went to `{name}`",
                self.target
            );
            self.tell(Level::Warning, message);
            pushed = Pushed { branch: name, instead_of: Some(self.target) };
        }
        self.events.emit(JobEvent::BranchPushed {
            url: to.url.clone(),
            branch: pushed.branch.clone(),
            commit: self.commit.to_string(),
        });
        Ok(pushed)
    }

    /// Whether the base there holds the result already. Where it lacks commits that the run began on, that
    /// is told: they become part of the pull request.
    async fn is_in_base(&self, to: &PushTarget, base: &str) -> Result<bool, DeliveryError> {
        let ask = || git::pushed_tip(self.quarantine, to, base);
        let tip = patiently(ask, |e, wait| self.tell_pause(e, wait)).await?;
        let Some(tip) = tip else { return Ok(false) };
        // Where the tip is not known here git fails, and nothing can be told.
        let lacks = async |commit: &Oid| {
            let range = format!("{tip}..{commit}");
            let count = self.quarantine.git().args(["rev-list", "--count", &range]).text().await;
            count.ok().and_then(|count| count.parse::<u64>().ok())
        };
        if let Some(ahead @ 1..) = lacks(self.base).await {
            let ahead = count(ahead, "commit");
            self.tell(
                Level::Warning,
                format!(
                    "the run started {ahead} ahead of `{base}` there: the pull request has them too"
                ),
            );
        }
        Ok(lacks(self.commit).await == Some(0))
    }

    fn request(
        &self,
        changes: &Changes,
        base: &str,
        pushed: &Pushed<'_>,
    ) -> Result<NewPullRequest, DeliveryError> {
        // Before anything is escaped: a secret in pieces would not be known.
        let changes = &changes.redacted(self.redactor);
        let tasks = self.order.tasks.iter().map(|task| Task {
            session: task.session.clone(),
            text: self.redactor.redact(&task.text).into_owned(),
        });
        let report = Report {
            state: self.state,
            outcome: self.outcome,
            tasks: &tasks.collect::<Vec<_>>(),
            changes,
            branch: &pushed.branch,
            base,
            instead_of: pushed.instead_of,
        };
        let forge = &self.order.forge;
        let failed = |what| move |source: TemplateError| DeliveryError::Template { what, source };
        let title = report.title(forge).map_err(failed("title"))?;
        let body = report.body(forge).map_err(failed("body"))?;
        let marker = Marker {
            run: &self.state.run_id,
            branch: &pushed.branch,
            commit: self.commit.as_str(),
        };
        Ok(NewPullRequest {
            head: pushed.branch.clone(),
            head_commit: self.commit.to_string(),
            base: base.to_owned(),
            base_commit: self.base.to_string(),
            title,
            body: marker.around(&body),
            draft: forge.draft || self.outcome == Outcome::GatesFailed,
        })
    }

    /// Labels and people: a pull request without them is one all the same.
    async fn add_extras(&self, pull: &PullRequest) {
        let forge = &self.order.forge;
        let extras = PullRequestExtras {
            labels: forge.labels.clone(),
            reviewers: forge.reviewers.clone(),
            assignees: forge.assignees.clone(),
        };
        if extras == PullRequestExtras::default() {
            return;
        }
        let add = || self.forge.add_to_pull_request(pull, &extras);
        match patiently(add, |e, wait| self.tell_pause(e, wait)).await {
            Ok(warnings) => warnings.iter().for_each(|line| self.tell(Level::Warning, line)),
            Err(error) => {
                let error = chain(&error);
                self.tell(Level::Warning, format!("labels and people are not complete: {error}"));
            }
        }
    }

    fn tell_pause<E: Passing + std::error::Error + 'static>(&self, error: &E, wait: Duration) {
        tracing::debug!(%error, ?wait, "trying again");
        if wait >= LONG_PAUSE {
            let message = format!("{}; trying again in {} s", chain(error), wait.as_secs());
            self.tell(Level::Info, message);
        }
    }

    fn tell(&self, level: Level, message: impl AsRef<str>) {
        let message = crate::text::clean_inline(message.as_ref()).into_owned();
        self.events.emit(JobEvent::DeliveryNotice { level, message });
    }
}
