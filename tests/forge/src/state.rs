//! What the service knows: the repository, its pull requests and what is said of them.

use crate::Kind;
use crate::access::Tokens;
use crate::contract::Contract;
use crate::fault::Fault;
use crate::git::Bare;
use crate::pull::{CheckState, Pull, PullState};
use crate::recorded::{Recorded, Violation};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who owns the repository.
pub(crate) const OWNER: &str = "acme";

/// Who the tokens belong to, and so the author of every pull request made with one.
pub(crate) const BOT: &str = "smelt-bot";

/// What the server's thread and the test's share.
pub(crate) struct Shared {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) tokens: Tokens,
    pub(crate) contract: &'static Contract,
    state: Mutex<State>,
    log: Mutex<Log>,
}

/// The service's own data.
pub(crate) struct State {
    pub(crate) kind: Kind,
    pub(crate) git: Bare,
    /// The repository's name without its owner.
    pub(crate) name: String,
    /// `owner/name` of before it was renamed.
    pub(crate) former_names: Vec<String>,
    pub(crate) deleted: bool,
    pub(crate) pulls: Vec<Pull>,
    pub(crate) labels: Vec<Label>,
    /// Who may be assigned and asked for a review.
    pub(crate) people: Vec<String>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) protected: Vec<String>,
    last_id: u64,
}

/// What was asked, what was wrong with it, and what is to go wrong.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) recorded: Vec<Recorded>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) faults: Vec<Fault>,
}

/// A label of the repository.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) color: String,
}

/// A check run or a commit status.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) name: String,
    pub(crate) state: CheckState,
    pub(crate) is_check: bool,
    pub(crate) at: String,
}

impl Shared {
    pub(crate) fn new(kind: Kind, port: u16, git: Bare) -> Self {
        let state = State {
            kind,
            git,
            name: "app".to_owned(),
            former_names: Vec::new(),
            deleted: false,
            pulls: Vec::new(),
            labels: Vec::new(),
            people: ["alice", "bob"].map(str::to_owned).into(),
            marks: Vec::new(),
            protected: Vec::new(),
            last_id: 1000,
        };
        Self {
            kind,
            port,
            tokens: Tokens::new(),
            contract: Contract::of(kind),
            state: Mutex::new(state),
            log: Mutex::default(),
        }
    }

    /// The service's data, in step with the repository.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.follow();
        state
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Keeps what is wrong with a request or its answer.
    pub(crate) fn violated(&self, method: &str, path: &str, problems: Vec<String>) {
        let found = problems.into_iter().map(|reason| Violation {
            method: method.to_owned(),
            path: path.to_owned(),
            reason,
        });
        self.log().violations.extend(found);
    }
}

impl State {
    /// `owner/name`
    pub(crate) fn full_name(&self) -> String {
        format!("{OWNER}/{}", self.name)
    }

    /// A number that nothing else has.
    pub(crate) fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// An open or closed pull request by its number.
    pub(crate) fn pull(&self, number: u64) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.number == number)
    }

    /// The same, to change it.
    pub(crate) fn pull_mut(&mut self, number: u64) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|pull| pull.number == number)
    }

    /// The open pull request of a head into a base.
    pub(crate) fn open(&self, head: &str, base: &str) -> Option<&Pull> {
        let mut open = self.pulls.iter().filter(|pull| pull.state == PullState::Open);
        open.find(|pull| pull.head == head && pull.base == base)
    }

    /// A label by its name, made where there is none.
    pub(crate) fn label(&mut self, name: &str) -> Label {
        // Both families compare labels without regard to case.
        let known = self.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name));
        if let Some(known) = known {
            return known.clone();
        }
        let label = Label { id: self.id(), name: name.to_owned(), color: "ededed".to_owned() };
        self.labels.push(label.clone());
        label
    }

    /// Check runs or statuses of a commit, the newest of each name.
    pub(crate) fn marks(&self, sha: &str, checks: bool) -> Vec<&Mark> {
        let of_it = self.marks.iter().filter(|mark| mark.sha == sha && mark.is_check == checks);
        let mut newest: Vec<&Mark> = Vec::new();
        for mark in of_it {
            newest.retain(|other| other.name != mark.name);
            newest.push(mark);
        }
        newest
    }

    /// Whether a pattern keeps this branch from pushes.
    pub(crate) fn is_protected(&self, branch: &str) -> bool {
        self.protected.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => branch.starts_with(start),
            None => pattern == branch,
        })
    }

    /// Open pull requests follow what was pushed: their head moves; one whose branch has gone is
    /// closed, and one whose head arrived in the base is merged.
    fn follow(&mut self) {
        if self.deleted || self.pulls.iter().all(|pull| pull.state != PullState::Open) {
            return;
        }
        let branches = self.git.branches();
        for pull in self.pulls.iter_mut().filter(|pull| pull.state == PullState::Open) {
            let Some(head) = branches.get(&pull.head) else {
                pull.close();
                continue;
            };
            let moved = pull.head_sha != *head;
            if moved {
                pull.head_sha.clone_from(head);
                pull.touch();
            }
            let Some(base) = branches.get(&pull.base) else { continue };
            let arrived = *base != pull.base_sha && self.git.holds(base, head);
            pull.base_sha.clone_from(base);
            if arrived {
                let commit = pull.head_sha.clone();
                pull.merged(&commit);
            }
        }
    }
}
