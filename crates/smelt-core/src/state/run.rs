//! The state of a run: what its events add up to.

use super::file::STATE_VERSION;
use super::pull::PullRecord;
use crate::event::{Event, GateReport, GateStage, JobEvent, Level, Phase, SessionState, Usage};
use crate::id::RunId;
use crate::manifest::{ClusterPlace, ForgeProvider, OrchestratorKind, RuntimeKind};
use crate::name::{JobName, SessionName};
use crate::outcome::{Failure, Outcome};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Notices that are kept; a run that makes more has said it all in its events.
const MOST_NOTICES: usize = 100;

/// What is known of a run; `state.toml` is this, written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Version of the file's format; [`STATE_VERSION`].
    pub version: u32,
    /// The job.
    pub job: JobName,
    /// The run.
    pub run_id: RunId,
    /// Where it is.
    pub phase: Phase,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The process that carries it out.
    pub pid: u32,
    /// The sandbox: id of its container or pod, or folder of its jail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// What holds the sandbox in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    /// The sandbox's image, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What makes the sandbox.
    pub runtime: RuntimeKind,
    /// What runs the sessions.
    pub orchestrator: OrchestratorKind,
    /// Where its result is to be delivered to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<ForgeProvider>,
    /// Where its pod is made, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<ClusterPlace>,
    /// Path or URL of the repository.
    pub repo: String,
    /// The base as the manifest names it.
    pub base_ref: String,
    /// The commit it stood for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// Its branch, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_branch: Option<String>,
    /// The branch the result is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The branch that holds the result, in the repository or in the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_branch: Option<String>,
    /// The file that holds the result, where the repository is a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bundle: Option<String>,
    /// The result's last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_commit: Option<String>,
    /// Commits of the result since the base.
    #[serde(default)]
    pub commits: u64,
    /// Files the result changes.
    #[serde(default)]
    pub files_changed: u64,
    /// Lines the result adds.
    #[serde(default)]
    pub insertions: u64,
    /// Lines the result removes.
    #[serde(default)]
    pub deletions: u64,
    /// The branch at the forge that the result was pushed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_branch: Option<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// When something last happened.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Files in which sessions' work does not fit together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// Its pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr: Option<PullRecord>,
    /// The sessions, each after those it depends on.
    #[serde(default)]
    pub sessions: Vec<SessionRecord>,
    /// What whoever runs the job should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
}

/// What is known of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its name.
    pub name: SessionName,
    /// What became of it.
    pub state: SessionState,
    /// Sessions it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<SessionName>,
    /// Why, where its state alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its turn came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Its last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The ref that keeps that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The bundle file that holds the ref, where the repository is a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Commits it made.
    #[serde(default)]
    pub commits: u64,
    /// Files that its agent left uncommitted.
    #[serde(default)]
    pub left_uncommitted: u64,
    /// What its gate said of its own tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateReport>,
    /// What its gate said of the merged tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_gate: Option<GateReport>,
    /// What its agent used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Something that whoever runs the job should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// What it is.
    pub message: String,
    /// The session it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionName>,
    /// Whether it is about the delivery.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delivery: bool,
}

impl RunState {
    /// The state after the event that starts a run; `None` for every other event.
    pub fn begin(event: &Event, pid: u32) -> Option<Self> {
        let JobEvent::RunStarted {
            job,
            run_id,
            repo,
            base_ref,
            runtime,
            orchestrator,
            forge,
            kubernetes,
            sessions,
        } = &event.what
        else {
            return None;
        };
        let sessions = sessions.iter().map(|plan| SessionRecord {
            name: plan.name.clone(),
            state: SessionState::Waiting,
            depends_on: plan.depends_on.clone(),
            reason: None,
            started_at: None,
            duration_ms: None,
            commit: None,
            reference: None,
            bundle: None,
            commits: 0,
            left_uncommitted: 0,
            gate: None,
            merged_gate: None,
            usage: None,
        });
        Some(Self {
            version: STATE_VERSION,
            job: job.clone(),
            run_id: run_id.clone(),
            phase: Phase::Preparing,
            outcome: None,
            pid,
            container_id: None,
            isolation: None,
            image: None,
            runtime: *runtime,
            orchestrator: *orchestrator,
            forge: *forge,
            kubernetes: kubernetes.clone(),
            repo: repo.clone(),
            base_ref: base_ref.clone(),
            base_commit: None,
            base_branch: None,
            target: None,
            result_branch: None,
            result_bundle: None,
            result_commit: None,
            commits: 0,
            files_changed: 0,
            insertions: 0,
            deletions: 0,
            pushed_branch: None,
            started_at: event.at,
            updated_at: event.at,
            finished_at: None,
            failure: None,
            conflicts: Vec::new(),
            pr: None,
            sessions: sessions.collect(),
            notices: Vec::new(),
        })
    }

    /// Takes `event` into account; false where it changes nothing that is kept.
    pub fn apply(&mut self, event: &Event) -> bool {
        match &event.what {
            JobEvent::RunStarted { .. } | JobEvent::Output { .. } | JobEvent::Merged { .. } => {
                return false;
            }
            JobEvent::Phase { phase } => self.phase = *phase,
            JobEvent::BaseResolved { commit, branch, target } => {
                self.base_commit = Some(commit.clone());
                self.base_branch.clone_from(branch);
                self.target = Some(target.clone());
            }
            JobEvent::SandboxReady { id, isolation, image } => {
                self.image.clone_from(image);
                self.container_id = Some(id.clone());
                self.isolation = Some(isolation.clone());
            }
            JobEvent::Notice { level, message, session } => {
                self.note(Notice {
                    level: *level,
                    message: message.clone(),
                    session: session.clone(),
                    delivery: false,
                });
            }
            JobEvent::DeliveryNotice { level, message } => {
                let (level, message) = (*level, message.clone());
                self.note(Notice { level, message, session: None, delivery: true });
            }
            JobEvent::ResultKept { commit, .. } => self.result_commit = Some(commit.clone()),
            JobEvent::MergeConflict { files, given_back, .. } => {
                if !given_back {
                    self.conflicts.clone_from(files);
                }
            }
            JobEvent::ResultWritten {
                branch,
                bundle,
                commit,
                commits,
                files_changed,
                insertions,
                deletions,
            } => {
                self.result_branch = Some(branch.clone());
                self.result_bundle.clone_from(bundle);
                self.result_commit = Some(commit.clone());
                (self.commits, self.files_changed) = (*commits, *files_changed);
                (self.insertions, self.deletions) = (*insertions, *deletions);
            }
            JobEvent::BranchPushed { branch, .. } => self.pushed_branch = Some(branch.clone()),
            JobEvent::PullRequest { .. } => self.pr = PullRecord::of_event(event),
            JobEvent::RunFinished { conclusion, .. } => {
                self.phase = Phase::Ended;
                self.outcome = Some(conclusion.outcome);
                self.failure.clone_from(&conclusion.failure);
                // A delivery later on is no part of its time.
                self.finished_at.get_or_insert(event.at);
            }
            JobEvent::SessionStarted { session }
            | JobEvent::SessionCommitted { session, .. }
            | JobEvent::SessionKept { session, .. }
            | JobEvent::GateStarted { session, .. }
            | JobEvent::GateFinished { session, .. }
            | JobEvent::SessionFinished { session, .. } => {
                if let Some(record) = self.sessions.iter_mut().find(|s| s.name == *session) {
                    record.apply(event);
                }
            }
        }
        self.updated_at = event.at;
        true
    }

    fn note(&mut self, notice: Notice) {
        if self.notices.len() < MOST_NOTICES {
            self.notices.push(notice);
        }
    }

    /// How long it took, or takes as of `now`.
    pub fn elapsed(&self, now: Timestamp) -> std::time::Duration {
        let span = self.finished_at.unwrap_or(now).duration_since(self.started_at);
        span.try_into().unwrap_or_default()
    }

    /// Whether every session, and the merged tree, has passed.
    pub fn all_passed(&self) -> bool {
        self.sessions.iter().all(|session| {
            let merged = session.merged_gate.as_ref().is_none_or(|gate| gate.passed);
            session.state == SessionState::Passed && merged
        })
    }

    /// Sessions that count: passed, out of how many.
    pub fn passed(&self) -> (usize, usize) {
        let passed = self.sessions.iter().filter(|s| s.state == SessionState::Passed).count();
        (passed, self.sessions.len())
    }
}

impl SessionRecord {
    fn apply(&mut self, event: &Event) {
        match &event.what {
            JobEvent::SessionStarted { .. } => {
                self.state = SessionState::Running;
                self.started_at = Some(event.at);
            }
            JobEvent::SessionCommitted { commit, commits, left_uncommitted, .. } => {
                self.commit = Some(commit.clone());
                (self.commits, self.left_uncommitted) = (*commits, *left_uncommitted);
            }
            JobEvent::SessionKept { reference, bundle, .. } => {
                self.reference = Some(reference.clone());
                self.bundle.clone_from(bundle);
            }
            JobEvent::GateFinished { stage: GateStage::Session, gate, .. } => {
                self.gate = Some(gate.clone());
            }
            JobEvent::GateFinished { stage: GateStage::Merged, gate, .. } => {
                self.merged_gate = Some(gate.clone());
            }
            JobEvent::SessionFinished { state, reason, duration_ms, usage, .. } => {
                self.state = *state;
                self.reason.clone_from(reason);
                self.duration_ms = Some(*duration_ms);
                self.usage = *usage;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
impl RunState {
    /// A run that has come some way.
    pub(crate) fn sample() -> Self {
        let at = |second: i64| Timestamp::from_second(1_795_000_000 + second).unwrap();
        let event =
            |seq: u64, what: JobEvent| Event { seq, at: at(i64::try_from(seq).unwrap()), what };
        let name: SessionName = "a".parse().unwrap();
        let start = JobEvent::RunStarted {
            job: "demo".parse().unwrap(),
            run_id: "20261123t141502-k3f9qz".parse().unwrap(),
            repo: "/srv/répo".into(),
            base_ref: "HEAD".into(),
            runtime: RuntimeKind::Local,
            orchestrator: OrchestratorKind::Direct,
            forge: None,
            kubernetes: None,
            sessions: vec![crate::event::SessionPlan { name: name.clone(), depends_on: vec![] }],
        };
        let mut state = Self::begin(&event(1, start), 4711).unwrap();
        let gate = GateReport {
            command: "cargo test".into(),
            passed: false,
            exit_code: Some(101),
            duration_ms: 1234,
            tail: vec!["\"quoted\" # not a comment".into()],
        };
        let failure = Failure::new(crate::outcome::FailureKind::Fault, "broke").hint("mend it");
        for (seq, what) in (2..).zip([
            JobEvent::SessionStarted { session: name.clone() },
            JobEvent::GateFinished { session: name.clone(), stage: GateStage::Session, gate },
            JobEvent::Notice { level: Level::Warning, message: "careful".into(), session: None },
            JobEvent::SessionFinished {
                session: name,
                state: SessionState::GateFailed,
                reason: None,
                duration_ms: 2000,
                usage: Some(Usage {
                    input_tokens: Some(5),
                    output_tokens: None,
                    cost_usd: Some(0.25),
                }),
            },
            JobEvent::RunFinished { conclusion: failure.into(), duration_ms: 9 },
        ]) {
            assert!(state.apply(&event(seq, what)));
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_what_its_events_add_up_to() {
        let state = RunState::sample();
        assert_eq!(state.phase, Phase::Ended);
        assert_eq!(state.outcome, Some(Outcome::Failed));
        assert_eq!(state.sessions[0].state, SessionState::GateFailed);
        assert_eq!(state.sessions[0].gate.as_ref().unwrap().exit_code, Some(101));
        assert_eq!(state.passed(), (0, 1));
        insta::assert_snapshot!(super::super::file::encode(&state).unwrap());
    }
}
