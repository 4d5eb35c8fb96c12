//! What a run would do: a manifest held against its repository and the secrets that are there.

use crate::delivery::DeliveryOrder;
use crate::engine::{Engine, not_there_yet, notices, of_mirror, open, sandbox_spec};
use crate::event::Level;
use crate::git::{self, Base, RemoteBase};
use crate::manifest::{
    Agent, AgentCommand, AssaySessions, ForgeProvider, ForgeTarget, ImageSource, Manifest,
    MergeStrategy, Network, Orchestrator, OrchestratorKind, PullPolicy, RepoLocation, Resources,
    RuntimeKind,
};
use crate::name::{JobName, SecretName, SessionName};
use crate::orchestrator::{assay, preset};
use crate::outcome::Failure;
use crate::port::{Blueprint, Labels};
use crate::secret::{Origin, SecretSources};
use serde::Serialize;

/// Stand in a plan for the ids that a run has.
const NO_OWNER: &str = "0000000000000000";
const NO_RUN: &str = "00000000t000000-000000";

/// What a run would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The job.
    pub job: JobName,
    /// Path or URL of the repository.
    pub repo: String,
    /// Where it would start.
    pub base: PlannedBase,
    /// The branch the result would go to.
    pub target: String,
    /// Seconds for the whole job.
    pub timeout_secs: u64,
    /// The sandbox.
    pub environment: PlannedEnvironment,
    /// What would run the sessions.
    pub orchestrator: OrchestratorKind,
    /// `assay`: how it would be given the sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assay_sessions: Option<AssaySessions>,
    /// The agent: a preset's name or the job's own command.
    pub agent: String,
    /// The secrets that the manifest names.
    pub secrets: Vec<PlannedSecret>,
    /// The sessions, in stages: those of one stage can run at the same time.
    pub stages: Vec<Vec<PlannedSession>>,
    /// How their work would be merged.
    pub merge: PlannedMerge,
    /// Where it would be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forge: Option<PlannedForge>,
    /// Services beside the sandbox.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<PlannedService>,
    /// What the runtime would be asked for, where that tells more than the manifest does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blueprint: Option<Blueprint>,
    /// What is worth knowing before.
    pub notices: Vec<String>,
}

/// Where a run would start.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedBase {
    /// As the manifest names it.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The commit; as the manifest names it where it was not checked.
    pub commit: String,
    /// The branch, where it is one.
    pub branch: Option<String>,
    /// Whether it is there; not where only a fetch could tell.
    pub checked: bool,
}

impl PlannedBase {
    fn new(reference: &str, base: Base) -> Self {
        let (reference, commit) = (reference.to_owned(), base.commit.to_string());
        Self { reference, commit, branch: base.branch, checked: true }
    }

    /// Nothing is known of it but what the manifest says.
    fn unchecked(reference: &str) -> Self {
        let (reference, commit) = (reference.to_owned(), reference.to_owned());
        Self { reference, commit, branch: None, checked: false }
    }
}

/// The sandbox of a run.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedEnvironment {
    /// What makes it.
    pub runtime: RuntimeKind,
    /// Its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSource>,
    /// When the image is pulled.
    pub pull: PullPolicy,
    /// Its limits.
    pub resources: Resources,
    /// Its network.
    pub network: Network,
    /// Names of its plain variables.
    pub env: Vec<String>,
    /// Files put into it.
    pub files: Vec<String>,
    /// Setup commands.
    pub setup: Vec<String>,
}

/// A secret that a manifest names.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedSecret {
    /// Its name.
    pub name: SecretName,
    /// Where it was found; `None`: it is missing.
    pub found: Option<Origin>,
}

/// A session of a run.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedSession {
    /// Its name.
    pub name: SessionName,
    /// Sessions it waits for.
    pub depends_on: Vec<SessionName>,
    /// Its gate.
    pub gate: String,
    /// Seconds for its agent and gate.
    pub timeout_secs: u64,
}

/// How work would be merged.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedMerge {
    /// One after another, or all at once.
    pub strategy: MergeStrategy,
    /// In this order.
    pub order: Vec<SessionName>,
    /// Whether gates run again on the merged tree.
    pub verify: bool,
    /// Whether a conflict is given back to the agent once.
    pub ai_resolution: bool,
}

/// Where a result would be delivered.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedForge {
    /// Which kind of forge.
    pub provider: ForgeProvider,
    /// The repository there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The branch the pull request would go to; `None`: the forge's default.
    pub base: Option<String>,
    /// Whether it would be a draft.
    pub draft: bool,
}

/// A service of a run.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedService {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
}

impl Plan {
    /// Holds `manifest` against its repository and `secrets`. Reads, and changes nothing.
    ///
    /// # Errors
    /// Where the repository can't be worked on, or the result branch may not be written.
    pub async fn make(
        engine: &Engine,
        manifest: &Manifest,
        secrets: &SecretSources,
        delivers: bool,
    ) -> Result<Self, Failure> {
        let (git, base_ref) = (&engine.git, &manifest.job.base_ref);
        let mut notes = Vec::new();
        let (base, target) = match &manifest.job.repo {
            RepoLocation::Path(_) => {
                let opened = open(git, &engine.cache, manifest).await?;
                for (level, message) in notices(&opened.repository, &opened.base).await {
                    let mark = if level == Level::Warning { "warning: " } else { "" };
                    notes.push(format!("{mark}{message}"));
                }
                (PlannedBase::new(base_ref, opened.base), opened.target)
            }
            RepoLocation::Url(url) => {
                let base = match git::remote_base(git, url, base_ref).await.map_err(of_mirror)? {
                    RemoteBase::Told(base) => PlannedBase::new(base_ref, base),
                    RemoteBase::NotTold => {
                        notes.push(format!(
                            "not checked: whether there is a commit `{base_ref}`; the run fetches \
                             the repository and looks"
                        ));
                        PlannedBase::unchecked(base_ref)
                    }
                };
                let branch = base.branch.as_deref();
                let target = git::choose_target(&manifest.merge.target, branch, &manifest.job.name);
                (base, target)
            }
        };
        if target != manifest.merge.target {
            notes.push(format!(
                "`{}` is the base, which is never moved: the result goes to `{target}`",
                manifest.merge.target
            ));
        }
        if let Some(message) = missing_key(manifest) {
            notes.push(format!("warning: {message}"));
        }
        if let Some(Failure { message, hint, .. }) = not_there_yet(engine, manifest, delivers) {
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            notes.push(format!("warning: {message}{hint}"));
        }
        let names = manifest.needed_secrets(delivers).into_iter();
        let secrets =
            names.map(|name| PlannedSecret { name: name.clone(), found: secrets.locate(name) });
        Ok(Self {
            job: manifest.job.name.clone(),
            repo: manifest.job.repo.to_string(),
            target: target.to_string(),
            timeout_secs: manifest.job.timeout.as_secs(),
            environment: environment(manifest),
            orchestrator: manifest.orchestrator.kind(),
            assay_sessions: match &manifest.orchestrator {
                Orchestrator::Assay(sessions) => Some(*sessions),
                Orchestrator::Direct(_) => None,
            },
            agent: agent(&manifest.orchestrator),
            secrets: secrets.collect(),
            stages: stages(manifest),
            merge: PlannedMerge {
                strategy: manifest.merge.strategy,
                order: manifest.merge.order.clone(),
                verify: manifest.merge.verify,
                ai_resolution: manifest.merge.ai_resolution,
            },
            forge: forge(manifest, base.branch.as_deref(), target.as_str()),
            services: manifest
                .services
                .iter()
                .map(|s| PlannedService { name: s.name.to_string(), image: s.image.clone() })
                .collect(),
            base,
            blueprint: blueprint(engine, manifest),
            notices: notes,
        })
    }
}

/// What the runtime would be asked for, of a run that is none.
fn blueprint(engine: &Engine, manifest: &Manifest) -> Option<Blueprint> {
    let runtime = engine.runtimes.get(&manifest.environment.runtime)?;
    let labels = Labels {
        owner: NO_OWNER.parse().ok()?,
        job: manifest.job.name.clone(),
        run: NO_RUN.parse().ok()?,
    };
    let scratch = engine.scratch.join(NO_OWNER).join(NO_RUN);
    runtime.blueprint(&sandbox_spec(manifest, labels, scratch))
}

/// A preset whose agent is given none of the keys it could work with.
pub fn missing_key(manifest: &Manifest) -> Option<String> {
    let kind = match &manifest.orchestrator {
        Orchestrator::Assay(_) => assay::AGENT,
        Orchestrator::Direct(Agent::Preset(kind)) => *kind,
        Orchestrator::Direct(Agent::Command(_)) => return None,
    };
    let preset = preset(kind);
    let credentials = &manifest.credentials;
    let given = preset.secrets().iter().any(|key| credentials.env.contains_key(*key));
    if given || !credentials.files.is_empty() {
        return None;
    }
    let keys = preset.secrets().join(" or ");
    Some(format!("{kind} is given no key: set {keys} in `[credentials] env`"))
}

fn environment(manifest: &Manifest) -> PlannedEnvironment {
    let environment = &manifest.environment;
    let files = environment.files.keys().chain(manifest.credentials.files.keys());
    PlannedEnvironment {
        runtime: environment.runtime,
        image: environment.image.clone(),
        pull: environment.pull,
        resources: environment.resources,
        network: environment.network,
        env: environment.env.keys().map(ToString::to_string).collect(),
        files: files.map(ToString::to_string).collect(),
        setup: environment.setup.clone(),
    }
}

fn agent(orchestrator: &Orchestrator) -> String {
    match orchestrator {
        Orchestrator::Assay(_) => assay::AGENT.to_string(),
        Orchestrator::Direct(Agent::Preset(kind)) => kind.to_string(),
        Orchestrator::Direct(Agent::Command(AgentCommand::Shell(line))) => line.clone(),
        Orchestrator::Direct(Agent::Command(AgentCommand::Program(words))) => words.join(" "),
    }
}

/// Each session in the first stage in which everything it waits for is done.
fn stages(manifest: &Manifest) -> Vec<Vec<PlannedSession>> {
    let mut stages: Vec<Vec<PlannedSession>> = Vec::new();
    for session in &manifest.sessions {
        let waits = |stage: &Vec<PlannedSession>| {
            stage.iter().any(|other| session.depends_on.contains(&other.name))
        };
        let stage = stages.iter().rposition(waits).map_or(0, |last| last + 1);
        if stage == stages.len() {
            stages.push(Vec::new());
        }
        stages[stage].push(PlannedSession {
            name: session.name.clone(),
            depends_on: session.depends_on.clone(),
            gate: session.harness.clone(),
            timeout_secs: session.timeout.as_secs(),
        });
    }
    stages
}

fn forge(manifest: &Manifest, base: Option<&str>, target: &str) -> Option<PlannedForge> {
    let forge = manifest.forge.as_ref()?;
    let order = DeliveryOrder::of(manifest)?;
    Some(PlannedForge {
        provider: forge.target.provider(),
        repo: match &forge.target {
            ForgeTarget::Hosted { repo, .. } => Some(repo.to_string()),
            ForgeTarget::Local => None,
        },
        base: order.base(target, base),
        draft: forge.draft,
    })
}
