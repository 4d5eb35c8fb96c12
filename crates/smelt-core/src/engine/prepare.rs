//! Preparing: the repository is opened, the base resolved and pinned, the workspace made.

use super::phase::{Phase, Prepared, Preparing, Provisioning};
use super::provision::of_sandbox;
use super::{Context, Engine};
use crate::event::{JobEvent, Level, OutputSource};
use crate::git::{
    self, Base, Identity, MirrorError, Objects, Repository, RepositoryError, TargetRefusal,
    WorkspacePlan,
};
use crate::manifest::{Agent, Manifest, Orchestrator, RepoLocation};
use crate::name::BranchName;
use crate::orchestrator::{assay, preset};
use crate::outcome::{Failure, FailureKind};
use crate::port::{CacheSpec, Labels, SandboxPaths, SandboxSpec, Workspace};
use crate::session::lines::Lines;
use crate::session::outlet::Speaker;
use crate::text::clean_inline;
use sha2::{Digest, Sha256};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Commits of history that a streamed workspace has when the manifest does not say.
const STREAMED_DEPTH: NonZeroU32 = NonZeroU32::new(50).expect("50 is not zero");

/// How much later than a program in the foreground Smelt may hear of a signal.
const HEARD_LATER: Duration = Duration::from_millis(50);

/// How long a sandbox may be needed beyond its job's time, for the work in it to be collected.
const SALVAGE: Duration = Duration::from_secs(600);

/// The clone's branch where the base is none that it could have.
const DETACHED_BRANCH: &str = "smelt-base";

impl Preparing {
    pub(super) async fn step(self, context: &Context<'_>) -> Phase {
        match context.clock.unless_interrupted(prepare_all(context)).await {
            Ok(Ok(prepared)) => Phase::Provisioning(Provisioning { prepared }),
            // A git in the terminal's foreground hears of Ctrl-C before Smelt does.
            Ok(Err(failure)) => match context.clock.interrupt_within(HEARD_LATER).await {
                Some(interrupt) => Phase::end(interrupt.outcome()),
                None => Phase::end(failure),
            },
            Err(interrupt) => Phase::end(interrupt.outcome()),
        }
    }
}

/// Prepares the repository, and what the sandbox is made of meanwhile. A repository that can't be used
/// ends both, and is told first.
async fn prepare_all(context: &Context<'_>) -> Result<Prepared, Failure> {
    let manifest = &context.request.manifest;
    if let Some(failure) = not_there_yet(context.engine, manifest, context.request.deliver) {
        return Err(failure);
    }
    let given_up = CancellationToken::new();
    let repository = async { prepare(context).await.inspect_err(|_| given_up.cancel()) };
    let image = given_up.run_until_cancelled(prepare_image(context));
    let (prepared, image) = tokio::join!(repository, image);
    let prepared = prepared?;
    Ok(Prepared { image: image.transpose()?.flatten(), ..prepared })
}

async fn prepare_image(context: &Context<'_>) -> Result<Option<String>, Failure> {
    let Some(runtime) = context.runtime() else { return Ok(None) };
    let speaker = Speaker::new(None, OutputSource::Image);
    let mut lines = Lines::new(context.events, &context.redactor, speaker, 0);
    let Manifest { environment, services, .. } = &context.request.manifest;
    let image = runtime.prepare(environment, services, &mut lines).await;
    lines.finish().await;
    image.map_err(|error| of_sandbox(&error))
}

async fn prepare(context: &Context<'_>) -> Result<Prepared, Failure> {
    let manifest = &context.request.manifest;
    let opened = open(&context.engine.git, &context.engine.cache, manifest).await?;
    let Opened { repository, base, target } = opened;
    let (head, commit) = (git::refs::base(&context.request.run), base.commit.as_str());
    let pin = repository.git().args(["update-ref", "--no-deref", &head, commit, ""]).run();
    pin.await.map_err(|error| {
        Failure::from_error(FailureKind::Fault, &error)
            .hint("a run keeps its work in the repository's refs: you must be able to write there")
    })?;
    context.events.emit(JobEvent::BaseResolved {
        commit: base.commit.to_string(),
        // git lets others name branches as they like.
        branch: base.branch.as_deref().map(|name| clean_inline(name).into_owned()),
        target: target.to_string(),
    });
    let scratch = context.scratch();
    let root = scratch.join("root");
    make_root(&root, manifest).map_err(|error| {
        Failure::new(FailureKind::Fault, format!("`{}` can't be made: {error}", root.display()))
    })?;
    let workspace = match context.runtime() {
        Some(runtime) => runtime.workspace(&manifest.environment).await,
        None => Workspace::Mounted,
    };
    let borrowed = match (workspace, manifest.job.depth) {
        // A history that is to be short is copied: what is borrowed is all there is.
        (Workspace::Mounted, None) if repository.objects_can_be_lent() => {
            repository.objects().to_vec()
        }
        _ => Vec::new(),
    };
    let objects = match (borrowed.len(), workspace) {
        (0, Workspace::Streamed) => {
            Objects::Copied(Some(manifest.job.depth.unwrap_or(STREAMED_DEPTH)))
        }
        (0, Workspace::Mounted) => Objects::Copied(manifest.job.depth),
        (folders, _) => Objects::Borrowed(folders),
    };
    let plan = WorkspacePlan {
        run: &context.request.run,
        base: &base,
        branch: clone_branch(&base, manifest),
        objects,
        identity: Identity::of(&repository).await,
        excluded: excluded(manifest),
    };
    git::create_workspace(&repository, &root.join(SandboxPaths::WORKSPACE), &plan)
        .await
        .map_err(|error| Failure::from_error(FailureKind::Fault, &error))?;
    let labels = Labels {
        owner: context.request.owner.clone(),
        job: manifest.job.name.clone(),
        run: context.request.run.clone(),
    };
    let cache = Some(&manifest.environment.cache)
        .filter(|paths| !paths.is_empty())
        .map(|paths| CacheSpec { key: cache_key(&repository, manifest), paths: paths.clone() });
    let spec = sandbox_spec(manifest, labels, scratch);
    let spec = SandboxSpec { borrowed, cache, ..spec };
    Ok(Prepared { repository, base, target, workspace, spec, image: None })
}

/// The sandbox that `manifest` asks for, before anything of its repository is known.
pub(crate) fn sandbox_spec(manifest: &Manifest, labels: Labels, scratch: PathBuf) -> SandboxSpec {
    SandboxSpec {
        labels,
        environment: manifest.environment.clone(),
        root: scratch.join("root"),
        scratch,
        borrowed: Vec::new(),
        cache: None,
        services: manifest.services.clone(),
        kubernetes: manifest.kubernetes.clone(),
        lifetime: manifest.job.timeout + SALVAGE,
    }
}

/// A repository with the place in it where a job starts, and the one where its result goes.
pub(crate) struct Opened {
    pub(crate) repository: Repository,
    pub(crate) base: Base,
    pub(crate) target: BranchName,
}

/// Opens the job's repository (a URL by its mirror), resolves the base, and makes sure that the
/// result branch may be written.
pub(crate) async fn open(
    git: &git::Git,
    cache: &Path,
    manifest: &Manifest,
) -> Result<Opened, Failure> {
    let job = &manifest.job;
    let repository = match &job.repo {
        RepoLocation::Path(path) => Repository::open(git, path).await.map_err(of_repository)?,
        RepoLocation::Url(url) => {
            git::mirror(git, cache, url, &job.base_ref).await.map_err(of_mirror)?
        }
    };
    let base = repository.resolve_base(&job.base_ref).await;
    let base = base.map_err(|error| of_base(&job.repo, error))?;
    repository.check_complete(&base.commit).await.map_err(of_repository)?;
    let target = git::choose_target(&manifest.merge.target, base.branch.as_deref(), &job.name);
    if let RepoLocation::Path(_) = job.repo {
        let checked = git::check_target(&repository, &target, base.branch.as_deref()).await;
        let checked = checked.map_err(|error| Failure::from_error(FailureKind::Fault, &error))?;
        checked.map_err(|refusal| of_target(&refusal))?;
    }
    Ok(Opened { repository, base, target })
}

/// Whoever names a URL need not know of its mirror.
fn of_base(repo: &RepoLocation, error: RepositoryError) -> Failure {
    match (repo, error) {
        (RepoLocation::Url(url), RepositoryError::Unborn { .. }) => {
            let message = format!("`{url}` has no commit yet");
            Failure::new(FailureKind::Invalid, message).hint("push a first commit to it")
        }
        (RepoLocation::Url(url), RepositoryError::NoSuchBase { name, similar, .. }) => {
            let path = url.as_str().into();
            of_repository(RepositoryError::NoSuchBase { path, name, similar })
        }
        (_, error) => of_repository(error),
    }
}

fn of_repository(error: RepositoryError) -> Failure {
    let kind = match error {
        RepositoryError::Git(_) | RepositoryError::Unreadable { .. } => FailureKind::Fault,
        _ => FailureKind::Invalid,
    };
    with_hint(Failure::from_error(kind, &error), error.hint())
}

pub(crate) fn of_mirror(error: MirrorError) -> Failure {
    let hint = error.hint();
    match error {
        MirrorError::Repository(error) => of_repository(error),
        error => with_hint(Failure::from_error(FailureKind::Fault, &error), hint),
    }
}

pub(super) fn of_target(refusal: &TargetRefusal) -> Failure {
    Failure::from_error(FailureKind::Invalid, refusal).hint(refusal.hint())
}

fn with_hint(failure: Failure, hint: Option<String>) -> Failure {
    Failure { hint, ..failure }
}

/// What of `repository` the sandbox will not have.
pub(crate) async fn notices(repository: &Repository, base: &Base) -> Vec<(Level, String)> {
    let special = repository.special_content(&base.commit);
    let (changes, special) = tokio::join!(repository.uncommitted_changes(), special);
    // A service to the user, not a condition.
    let special = special.unwrap_or_default();
    let mut notices = Vec::new();
    if changes > 0 {
        let changes = crate::text::count(changes, "uncommitted change");
        notices.push((Level::Info, format!("{changes} of your checkout: not part of the run")));
    }
    if special.lfs {
        let message =
            "the repository uses Git LFS: the sandbox has its pointer files, not their contents";
        notices.push((Level::Warning, message.into()));
    }
    if special.submodules {
        let message = "the repository has submodules: their folders are empty in the sandbox";
        notices.push((Level::Warning, message.into()));
    }
    notices
}

fn make_root(root: &Path, manifest: &Manifest) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if let Some(scratch) = root.parent() {
        // Nobody else's business, whatever the folders above say.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(scratch)?;
    }
    for folder in SandboxPaths::FOLDERS {
        std::fs::create_dir_all(root.join(folder))?;
    }
    for session in &manifest.sessions {
        let file = root.join(SandboxPaths::TASKS).join(format!("{}.md", session.name));
        std::fs::write(file, &session.spec)?;
    }
    Ok(())
}

fn excluded(manifest: &Manifest) -> &'static [&'static str] {
    match &manifest.orchestrator {
        Orchestrator::Direct(Agent::Preset(kind)) => preset(*kind).excluded(),
        Orchestrator::Direct(Agent::Command(_)) => &[],
        Orchestrator::Assay(_) => assay::EXCLUDED,
    }
}

/// The clone's branch: it has the base's name, unless the branches of the sessions would have no room
/// beside it.
fn clone_branch<'a>(base: &'a Base, manifest: &Manifest) -> &'a str {
    let by_assay = matches!(manifest.orchestrator, Orchestrator::Assay(_));
    let branch = base.branch.as_deref().filter(|name| !(by_assay && assay::is_in_the_way(name)));
    branch.unwrap_or(DETACHED_BRANCH)
}

fn cache_key(repository: &Repository, manifest: &Manifest) -> String {
    let name = match &manifest.job.repo {
        RepoLocation::Path(_) => repository.common_dir().to_string_lossy().into_owned(),
        RepoLocation::Url(url) => url.to_string(),
    };
    Sha256::digest(name.as_bytes()).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

/// What the manifest asks for that this version, or this machine, does not have, and what to do
/// instead.
pub(crate) fn not_there_yet(
    engine: &Engine,
    manifest: &Manifest,
    delivers: bool,
) -> Option<Failure> {
    let runtime = manifest.environment.runtime;
    let (what, hint) = if !engine.runtimes.contains_key(&runtime) {
        (format!("the `{runtime}` runtime"), "set `runtime = \"local\"` in `[environment]`")
    } else if let Some(forge) = manifest.forge.as_ref().filter(|_| delivers)
        && !engine.forges.contains_key(&forge.target.provider())
    {
        let provider = forge.target.provider();
        (format!("the forge `{provider}`"), "run with --no-pr: the result stays on its branch")
    } else if !manifest.notify.is_empty() {
        ("`[[notify]]`".into(), "take the section out")
    } else {
        return None;
    };
    let message = format!("{what} is not in this version of Smelt yet");
    Some(Failure::new(FailureKind::Unavailable, message).hint(hint))
}
