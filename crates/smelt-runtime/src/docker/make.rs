//! Making a sandbox: network, container, user, walls.

use super::container::{Blueprint, ROOT};
use super::engine::{ApiError, Engine};
use super::events::Events;
use super::image::Image;
use super::network::{self, Network, Plan};
use super::reap::{self, Kind};
use super::sandbox::DockerSandbox;
use super::user::{self, User, Wanted};
use super::walls::{self, Peers};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, StartContainerOptions};
use smelt_core::manifest::Network as Wish;
use smelt_core::port::{Isolation, Labels, SandboxError, SandboxPaths, SandboxSpec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex as SyncMutex;
use tokio::sync::Mutex;

/// How a sandbox is made, besides what its spec says.
#[derive(Clone, Copy, Debug)]
pub(super) struct How<'a> {
    pub(super) wanted: Wanted<'a>,
    pub(super) mounted: bool,
    /// Without a network, whatever the spec says.
    pub(super) offline: bool,
    pub(super) cache_owner: &'a str,
}

/// Makes the sandbox. What is half made when it fails is left for [`reap::remove_all`].
pub(super) async fn sandbox(
    engine: &Engine,
    spec: &SandboxSpec,
    image: &Image,
    how: How<'_>,
) -> Result<DockerSandbox, SandboxError> {
    let How { wanted, mounted, offline, cache_owner } = how;
    let online = spec.environment.network == Wish::Default && !offline;
    let name = online.then(|| network::name(&spec.labels));
    let blueprint = Blueprint {
        spec,
        image: &image.id,
        wanted,
        network: name.as_deref(),
        mounted,
        cache_owner,
        cores: engine.cores(),
        limits_disk: spec.environment.resources.disk.is_some(),
    };
    let (Created { id, user, mut gaps }, network) = create_both(engine, blueprint).await?;
    gaps.extend(engine.gaps());
    let builder = async {
        let Some(network) = &network else { return Ok(None) };
        let (labels, peers) = (&spec.labels, Peers::None);
        walls::prepare(engine, labels, &image.id, &id, network, peers).await.map(Some)
    };
    // Both to their end: the engine makes what it was asked for, also when nobody waits for it.
    let (events, builder) = tokio::join!(start(engine, &id), builder);
    let (events, builder) = (events?, builder?);
    let summary = summary(wanted, online, &user);
    Ok(DockerSandbox {
        engine: engine.clone(),
        labels: spec.labels.clone(),
        container: id,
        network: network.map(|network| network.id),
        events,
        user: user.spec(),
        env: environment(spec, &user),
        isolation: Isolation { summary, gaps, unsandboxed: false },
        builders: builder.iter().map(|builder| builder.id().to_owned()).collect(),
        cut: SyncMutex::default(),
        walls: Mutex::new(builder.map(|builder| tokio::spawn(walls::put_up(builder)))),
        paths: SandboxPaths { root: ROOT.into(), home: user.home },
    })
}

/// Starts the container, watched from before.
pub(super) async fn start(engine: &Engine, id: &str) -> Result<Events, ApiError> {
    let events = Events::watch(engine, id);
    let started = engine.api.start_container(id, None::<StartContainerOptions>).await;
    started.map_err(|error| ApiError::new("starting the container", error))?;
    Ok(events)
}

/// A container of the same run that has been ended. What was written in it is still there.
pub(super) struct Left {
    container: String,
    network: Option<String>,
}

impl Left {
    /// The container.
    pub(super) fn id(&self) -> &str {
        &self.container
    }
}

/// Looks for what an earlier sandbox of the run has left.
pub(super) async fn look_for_left(
    engine: &Engine,
    labels: &Labels,
) -> Result<Option<Left>, ApiError> {
    let found = reap::find(engine, &labels.owner, Some(&labels.run)).await?;
    let of = |kind: Kind| {
        found.iter().find(|found| found.kind == kind && (kind != Kind::Container || found.ended))
    };
    let network = of(Kind::Network).map(|network| network.id.clone());
    Ok(of(Kind::Container).map(|found| Left { container: found.id.clone(), network }))
}

/// Starts what is left once more, for what is in it to be collected: without a network.
pub(super) async fn revive(
    engine: &Engine,
    spec: &SandboxSpec,
    how: How<'_>,
    left: Left,
) -> Result<DockerSandbox, SandboxError> {
    let Left { container, network } = left;
    if let Some(network) = &network
        && let Err(error) = network::unplug(engine, network, &container).await
    {
        // It may be on its way out.
        tracing::debug!(%error, "the network of what is left");
    }
    let user = find_user(engine, &container, how.wanted).await?.0;
    let events = start(engine, &container).await?;
    let summary = summary(how.wanted, false, &user);
    Ok(DockerSandbox {
        engine: engine.clone(),
        labels: spec.labels.clone(),
        container,
        network,
        events,
        user: user.spec(),
        env: environment(spec, &user),
        isolation: Isolation { summary, gaps: Vec::new(), unsandboxed: false },
        builders: Vec::new(),
        cut: SyncMutex::default(),
        walls: Mutex::default(),
        paths: SandboxPaths { root: ROOT.into(), home: user.home },
    })
}

struct Created {
    id: String,
    user: User,
    gaps: Vec<String>,
}

/// Creates container and network at the same time: a container may name one that is not there yet.
async fn create_both(
    engine: &Engine,
    blueprint: Blueprint<'_>,
) -> Result<(Created, Option<Network>), SandboxError> {
    let network = async {
        let Some(name) = blueprint.network else { return Ok(None) };
        let plan = Plan { name, containers: 1, internal: false };
        Ok(Some(network::create(engine, plan, &blueprint.spec.labels).await?))
    };
    let (created, network) = tokio::join!(create(engine, blueprint), network);
    let network = network.map_err(|error: ApiError| SandboxError::from(error))?;
    match created {
        // An engine that looks for it at once finds it now.
        Err(SandboxError::Failed { source, .. })
            if network.is_some() && is_about_network(&*source) =>
        {
            Ok((create(engine, blueprint).await?, network))
        }
        created => Ok((created?, network)),
    }
}

fn is_about_network(error: &dyn std::error::Error) -> bool {
    let told = error.to_string();
    told.contains("network") && told.contains("not found")
}

async fn create(engine: &Engine, blueprint: Blueprint<'_>) -> Result<Created, SandboxError> {
    let known = Known::before(engine, blueprint).await?;
    let (id, gaps) = create_limited(engine, blueprint, known.home()).await?;
    let user = known.settle(engine, blueprint, &id).await?;
    Ok(Created { id, user, gaps })
}

/// What is known of a sandbox's user before there is a container: the user, and the image's passwd(5).
pub(super) struct Known(Option<(User, String)>);

impl Known {
    /// Where caches go depends on the home, and that on the image: else nobody looks into it so early.
    pub(super) async fn before(
        engine: &Engine,
        blueprint: Blueprint<'_>,
    ) -> Result<Self, SandboxError> {
        Ok(Self(if blueprint.wanted.is_own_root() {
            Some((User::root(), String::new()))
        } else if blueprint.spec.cache.is_some() {
            Some(look_for_user(engine, blueprint).await?)
        } else {
            None
        }))
    }

    /// The user's home, for the request that makes the container.
    pub(super) fn home(&self) -> &Path {
        self.0.as_ref().map_or(Path::new("/"), |(user, _)| &user.home)
    }

    /// Gives the user what is theirs in the container `id`, which need not run yet.
    pub(super) async fn settle(
        self,
        engine: &Engine,
        blueprint: Blueprint<'_>,
        id: &str,
    ) -> Result<User, SandboxError> {
        let Blueprint { wanted, mounted, .. } = blueprint;
        let (user, passwd) = match self.0 {
            Some(known) => known,
            None => find_user(engine, id, wanted).await?,
        };
        let mut own: Vec<PathBuf> = Vec::new();
        if !wanted.is_own_root() {
            own.push(user.home.clone());
            own.extend(blueprint.caches(&user.home).into_iter().map(|(path, _)| path));
        }
        if !mounted {
            own.extend(folders());
        }
        if !own.is_empty() {
            let below = if wanted.is_own_root() { ROOT } else { "/" };
            user::settle(engine, id, &user, &passwd, below, &own).await?;
        }
        Ok(user)
    }
}

/// The folders that a streamed workspace goes into.
fn folders() -> [PathBuf; 3] {
    SandboxPaths::FOLDERS.map(|folder| Path::new(ROOT).join(folder))
}

/// Looks into the image by a container that never runs.
async fn look_for_user(
    engine: &Engine,
    blueprint: Blueprint<'_>,
) -> Result<(User, String), SandboxError> {
    let body = ContainerCreateBody {
        image: Some(blueprint.image.to_owned()),
        entrypoint: Some(vec!["cat".into()]),
        labels: Some(super::engine::labels_of(&blueprint.spec.labels).collect()),
        ..ContainerCreateBody::default()
    };
    let made = engine.api.create_container(None::<CreateContainerOptions>, body).await;
    let id = made.map_err(|error| ApiError::new("looking into the image", error))?.id;
    let found = find_user(engine, &id, blueprint.wanted).await;
    reap::remove_container(engine, &id).await?;
    found
}

async fn find_user(
    engine: &Engine,
    id: &str,
    wanted: Wanted<'_>,
) -> Result<(User, String), SandboxError> {
    match wanted.is_own_root() {
        true => Ok((User::root(), String::new())),
        false => user::find(engine, id, wanted).await,
    }
}

/// Creates the container; without a limit for its disk where the storage driver has none.
async fn create_limited(
    engine: &Engine,
    blueprint: Blueprint<'_>,
    home: &Path,
) -> Result<(String, Vec<String>), ApiError> {
    let create = async |blueprint: Blueprint<'_>| {
        engine.api.create_container(None::<CreateContainerOptions>, blueprint.request(home)).await
    };
    let disk = blueprint.spec.environment.resources.disk;
    let mut gaps = Vec::new();
    let made = match create(blueprint).await {
        Err(error) if blueprint.limits_disk && is_about_disk(&error) => {
            let driver = engine.info.driver.as_deref().unwrap_or("engine's");
            let disk = disk.map(|disk| disk.to_string()).unwrap_or_default();
            gaps.push(format!(
                "disk space is not limited to {disk}: the {driver} storage driver can't here"
            ));
            create(Blueprint { limits_disk: false, ..blueprint }).await
        }
        Ok(made) => {
            if let Some(disk) = disk.filter(|_| blueprint.mounted) {
                gaps.push(format!("the limit of {disk} of disk space is not for the workspace, which is a folder of this machine"));
            }
            Ok(made)
        }
        other => other,
    };
    let made = made.map_err(|error| ApiError::new("making the container", error))?;
    gaps.extend(made.warnings.into_iter().filter_map(|warning| said(&warning)));
    Ok((made.id, gaps))
}

fn is_about_disk(error: &bollard::errors::Error) -> bool {
    let told = error.to_string();
    ["storage-opt", "pquota", "quota", "storage option"].iter().any(|word| told.contains(word))
}

/// The engine's own warnings, but for one that changes nothing: without swap to account for there is
/// none to be limited.
fn said(warning: &str) -> Option<String> {
    (!warning.contains("swap")).then(|| smelt_core::text::clean_inline(warning).into_owned())
}

pub(super) fn summary(wanted: Wanted<'_>, online: bool, user: &User) -> String {
    let rights = match wanted.is_root_by_wish() {
        true => "the capabilities that installing packages takes",
        false => "no capabilities",
    };
    let network = if online { "a network of its own" } else { "no network" };
    let files = if wanted.is_own_root() { "the image read-only, " } else { "" };
    format!("a container: {rights}, {files}{network}, user {}", user.spec())
}

/// Variables of every command. Nothing of them is the container's own: `docker inspect` shows none.
pub(super) fn environment(spec: &SandboxSpec, user: &User) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("HOME", user.home.display().to_string()),
        ("TMPDIR", "/tmp".to_owned()),
        ("USER", user.name.clone()),
        ("LOGNAME", user.name.clone()),
        ("SHELL", "/bin/sh".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TERM", "dumb".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    env.extend(spec.environment.env.iter().map(|(name, value)| (name.to_string(), value.clone())));
    env
}
