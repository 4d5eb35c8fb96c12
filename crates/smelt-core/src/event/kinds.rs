use crate::id::RunId;
use crate::manifest::{ClusterPlace, ForgeProvider, OrchestratorKind, RuntimeKind};
use crate::name::{JobName, SessionName};
use crate::outcome::Conclusion;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Smelt event")]
pub struct Event {
    /// Place in the run's stream, counted from 1.
    pub seq: u64,
    /// When it happened, in UTC.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: JobEvent,
}

/// Where a run is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The base is resolved and cloned.
    Preparing,
    /// The sandbox is made.
    Provisioning,
    /// Agents work and gates run.
    Executing,
    /// The commits are brought out of the sandbox.
    Collecting,
    /// They are checked, and put where they belong.
    Delivering,
    /// The sandbox is removed.
    TearingDown,
    /// The run has ended.
    Ended,
}

impl Phase {
    /// The word for it in files, events and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Provisioning => "provisioning",
            Self::Executing => "executing",
            Self::Collecting => "collecting",
            Self::Delivering => "delivering",
            Self::TearingDown => "tearing_down",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Its turn has not come.
    Waiting,
    /// Its agent works, or its gate runs.
    Running,
    /// Its gate passed.
    Passed,
    /// Its gate failed.
    GateFailed,
    /// Its agent failed, or could not be started.
    AgentFailed,
    /// It took too long.
    TimedOut,
    /// The work it depends on does not fit together.
    Conflict,
    /// A session it depends on did not pass.
    Skipped,
    /// The run was stopped.
    Cancelled,
}

impl SessionState {
    /// The word for it in files, events and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Passed => "passed",
            Self::GateFailed => "gate_failed",
            Self::AgentFailed => "agent_failed",
            Self::TimedOut => "timed_out",
            Self::Conflict => "conflict",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will change it any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose output a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputSource {
    /// The pull or the build of the sandbox's image.
    Image,
    /// What is told while the sandbox is made: how far its services or its pod are.
    Sandbox,
    /// A service's beside the sandbox.
    Service,
    /// A setup command's.
    Setup,
    /// The agent's.
    Agent,
    /// A gate's.
    Gate,
}

impl OutputSource {
    /// The word for it in files and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Sandbox => "sandbox",
            Self::Service => "service",
            Self::Setup => "setup",
            Self::Agent => "agent",
            Self::Gate => "gate",
        }
    }
}

/// Which of a process's two streams a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// On which tree a gate runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateStage {
    /// The session's own.
    Session,
    /// The merged one.
    Merged,
}

/// What a gate said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateReport {
    /// Its command.
    pub command: String,
    /// Whether it passed.
    pub passed: bool,
    /// Its exit code; none where it was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// The last lines of its output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tail: Vec<String>,
}

/// What a session's agent used, as it reported it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Cost in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something is not as asked for.
    Warning,
}

/// Whether a pull request is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PullState {
    /// It waits to be merged.
    Open,
    /// It was merged.
    Merged,
    /// It was closed, and not merged.
    Closed,
}

impl PullState {
    /// The word for it in files, events and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged => "merged",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for PullState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A session, as the run intends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionPlan {
    /// Its name.
    pub name: SessionName,
    /// Sessions it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<SessionName>,
}

/// What happens in a run. New kinds may be added; readers skip those they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent {
    /// The run starts.
    RunStarted {
        /// The job.
        job: JobName,
        /// The run.
        run_id: RunId,
        /// Path or URL of the repository.
        repo: String,
        /// The base as the manifest names it.
        base_ref: String,
        /// What makes the sandbox.
        runtime: RuntimeKind,
        /// What runs the sessions.
        orchestrator: OrchestratorKind,
        /// Where its result is to be delivered to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forge: Option<ForgeProvider>,
        /// Where its pod is made, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kubernetes: Option<ClusterPlace>,
        /// The sessions, each after those it depends on.
        sessions: Vec<SessionPlan>,
    },
    /// The run enters a phase.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// The base is known and pinned.
    BaseResolved {
        /// Its commit.
        commit: String,
        /// Its branch, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        /// The branch the result will be written to.
        target: String,
    },
    /// The sandbox is there.
    SandboxReady {
        /// Its id: of a container or pod, or the folder of a jail.
        id: String,
        /// What holds it in, in a few words.
        isolation: String,
        /// Its image, by digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
    },
    /// Something that whoever runs the job should know.
    Notice {
        /// How much it matters.
        level: Level,
        /// What it is.
        message: String,
        /// The session it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionName>,
    },
    /// Lines of output that came together, free of control characters and known secrets.
    Output {
        /// The session it belongs to; none for the image, setup and services.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionName>,
        /// The service it comes from, where it is one's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// Whose it is.
        source: OutputSource,
        /// Which stream it came from.
        stream: OutputStream,
        /// The lines: one or more, a newline between each two and none behind the last.
        text: String,
    },
    /// A session's turn has come.
    SessionStarted {
        /// Which.
        session: SessionName,
    },
    /// A session's work is in a commit.
    SessionCommitted {
        /// Which.
        session: SessionName,
        /// Its last commit.
        commit: String,
        /// Commits it made.
        commits: u64,
        /// Files that the agent left uncommitted, now committed by Smelt.
        left_uncommitted: u64,
    },
    /// A gate starts.
    GateStarted {
        /// Whose.
        session: SessionName,
        /// On which tree.
        stage: GateStage,
    },
    /// A gate has ended.
    GateFinished {
        /// Whose.
        session: SessionName,
        /// On which tree.
        stage: GateStage,
        /// What it said.
        gate: GateReport,
    },
    /// A session has ended.
    SessionFinished {
        /// Which.
        session: SessionName,
        /// How.
        state: SessionState,
        /// Why, where its state alone does not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// What its agent used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// Sessions' work was merged.
    Merged {
        /// Whose.
        sessions: Vec<SessionName>,
        /// The commit that holds it.
        commit: String,
    },
    /// Sessions' work does not fit together.
    MergeConflict {
        /// Whose.
        sessions: Vec<SessionName>,
        /// The files.
        files: Vec<String>,
        /// Whether it is given back to the agent.
        given_back: bool,
    },
    /// A session's last commit is kept under a ref.
    SessionKept {
        /// Which.
        session: SessionName,
        /// The commit.
        commit: String,
        /// The ref, in the repository or in the bundle.
        reference: String,
        /// The bundle file, where the repository is a URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bundle: Option<String>,
    },
    /// The result is where the user finds it.
    ResultWritten {
        /// The branch, in the repository or in the bundle.
        branch: String,
        /// The bundle file, where the repository is a URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bundle: Option<String>,
        /// Its last commit.
        commit: String,
        /// Commits since the base.
        commits: u64,
        /// Files changed since the base.
        files_changed: u64,
        /// Lines added since the base.
        insertions: u64,
        /// Lines removed since the base.
        deletions: u64,
    },
    /// The result is kept under a ref, whatever becomes of its branch.
    ResultKept {
        /// The commit.
        commit: String,
        /// The ref, in the repository.
        reference: String,
    },
    /// Something that whoever runs the job should know of its delivery.
    DeliveryNotice {
        /// How much it matters.
        level: Level,
        /// What it is.
        message: String,
    },
    /// The result is on a branch of the forge.
    BranchPushed {
        /// Where.
        url: String,
        /// The branch.
        branch: String,
        /// Its last commit.
        commit: String,
    },
    /// There is a pull request.
    PullRequest {
        /// Its number in the repository.
        number: u64,
        /// Where people read it: a URL, or the path of a file.
        url: String,
        /// Whether it is open.
        state: PullState,
        /// Whether it is not to be merged yet.
        draft: bool,
        /// The branch with the work.
        head: String,
        /// The branch it is meant for.
        base: String,
        /// Whether it was opened just now; else it was brought up to date.
        is_new: bool,
    },
    /// The run has ended. The last event, unless its result is delivered later.
    RunFinished {
        /// How.
        #[serde(flatten)]
        conclusion: Conclusion,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    },
}
