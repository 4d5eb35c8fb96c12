//! What people and machines do to a pull request on the service's own pages.

use crate::Kind;
use crate::forge::ScriptedForge;
use crate::protection::protect;
use crate::pull::{CheckState, Comment, Pull, PullState, Review, Verdict, now, undrafted};
use crate::state::Mark;

impl ScriptedForge {
    /// Gives more people access to the repository.
    pub fn give_access(&self, logins: &[&str]) {
        let mut state = self.shared.state();
        state.people.extend(logins.iter().map(|login| (*login).to_owned()));
    }

    /// Makes a label in the repository; the answer is its id.
    pub fn add_label(&self, name: &str) -> u64 {
        self.shared.state().label(name).id
    }

    /// Merges a pull request with a merge commit, which is the answer.
    pub fn merge(&self, number: u64) -> String {
        let mut state = self.shared.state();
        let pull = state.pull(number).expect("the pull request is there").clone();
        assert_eq!(pull.state, PullState::Open, "only what is open can be merged");
        let message = format!("Merge pull request #{number} from acme/{}", pull.head);
        let commit = state.git.merge(&pull.base, &pull.head_sha, &message);
        state.pull_mut(number).expect("it is still there").merged(&commit);
        commit
    }

    /// Closes a pull request without merging it.
    pub fn close(&self, number: u64) {
        self.change(number, Pull::close);
    }

    /// Opens a closed one again.
    pub fn reopen(&self, number: u64) {
        self.change(number, Pull::reopen);
    }

    /// Takes the mark of a draft from a pull request, or gives it one; on Forgejo and Gitea that is
    /// the beginning of its title.
    pub fn set_draft(&self, number: u64, draft: bool) {
        let in_title = self.kind() != Kind::GitHub;
        self.change(number, |pull| {
            if in_title && draft != pull.draft {
                let bare = undrafted(&pull.title).to_owned();
                pull.title = if draft { format!("WIP: {bare}") } else { bare };
            }
            pull.draft = draft;
        });
    }

    /// Comments on a pull request.
    pub fn comment(&self, number: u64, login: &str, body: &str) {
        let id = self.shared.state().id();
        let comment = Comment { id, author: login.to_owned(), body: body.to_owned(), at: now() };
        self.change(number, |pull| pull.comments.push(comment));
    }

    /// Reviews a pull request at its present head. A dismissal takes this person's last review.
    pub fn review(&self, number: u64, login: &str, verdict: Verdict) {
        let id = self.shared.state().id();
        self.change(number, |pull| {
            let last = pull.reviews.iter_mut().rev().find(|review| review.author == login);
            if let (Verdict::Dismissed, Some(last)) = (verdict, last) {
                last.dismissed = true;
                return;
            }
            pull.reviewers.retain(|reviewer| reviewer != login);
            let dismissed = verdict == Verdict::Dismissed;
            let commit = pull.head_sha.clone();
            let author = login.to_owned();
            pull.reviews.push(Review { author, verdict, dismissed, id, commit, at: now() });
        });
    }

    /// Writes another description, as a person.
    pub fn edit_body(&self, number: u64, body: &str) {
        self.change(number, |pull| body.clone_into(&mut pull.body));
    }

    /// Writes another title, as a person.
    pub fn edit_title(&self, number: u64, title: &str) {
        self.change(number, |pull| title.clone_into(&mut pull.title));
    }

    /// A check of a commit or of a branch's head: a check run on GitHub, else a commit status.
    pub fn check(&self, commit: &str, name: &str, state: CheckState) {
        let is_check = self.kind() == Kind::GitHub;
        self.mark(commit, name, state, is_check);
    }

    /// A commit status.
    pub fn commit_status(&self, commit: &str, context: &str, state: CheckState) {
        self.mark(commit, context, state, false);
    }

    /// Refuses pushes to the branches that fit a pattern as a shell has them: `release/*`.
    pub fn protect_branch(&self, pattern: &str) {
        let mut state = self.shared.state();
        state.protected.push(pattern.to_owned());
        protect(&state.git, state.kind, &state.protected);
    }

    /// Deletes the repository: it is 404 from now on.
    pub fn delete_repository(&self) {
        self.shared.state().deleted = true;
    }

    /// Calls the repository `acme/<name>` from now on; its old name leads to the new one.
    pub fn rename_repository(&self, name: &str) {
        let mut state = self.shared.state();
        let former = state.full_name();
        state.former_names.push(former);
        name.clone_into(&mut state.name);
        let full_name = state.full_name();
        state.former_names.retain(|former| *former != full_name);
    }

    fn mark(&self, commit: &str, name: &str, check: CheckState, is_check: bool) {
        let mut state = self.shared.state();
        let sha = state.git.commit(commit);
        let sha = sha.unwrap_or_else(|| panic!("{commit} is no commit of the repository"));
        let (id, name) = (state.id(), name.to_owned());
        state.marks.push(Mark { id, sha, name, state: check, is_check, at: now() });
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Pull)) {
        let mut state = self.shared.state();
        let pull = state.pull_mut(number);
        let pull = pull.unwrap_or_else(|| panic!("there is no pull request {number}"));
        change(pull);
        if self.kind() != Kind::GitHub {
            pull.draft = undrafted(&pull.title) != pull.title;
        }
        pull.touch();
    }
}
