//! One project from its file to the services that work.

use super::command::Compose;
use super::file::File;
use super::sandbox::ComposeSandbox;
use super::services::{Member, SERVICE, Services};
use crate::docker::container::{self, Blueprint, CACHE};
use crate::docker::engine::{ApiError, Engine, OWNER, RUN};
use crate::docker::image::Image;
use crate::docker::make::{self, How, Known};
use crate::docker::network::{self, Network, Plan};
use crate::docker::provision::{Alone, Make, Provision};
use crate::docker::sandbox::DockerSandbox;
use crate::docker::user::User;
use crate::docker::walls::{self, Builder, Peers, Rising};
use async_trait::async_trait;
use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures::future::{join_all, try_join_all};
use smelt_core::manifest::{AGENT_SERVICE, Network as Wish};
use smelt_core::port::{Isolation, Labels, Sandbox, SandboxError, SandboxPaths};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex as SyncMutex;
use tokio::sync::Mutex;

/// Name of the project's file, in a folder of its own.
const FILE: &str = "compose.json";

/// A sandbox and its services, to be made by Compose.
pub(super) struct Project {
    pub(super) compose: Compose,
    /// The services' images, in the order of the spec's services.
    pub(super) images: Vec<String>,
}

#[async_trait]
impl Make for Project {
    async fn make(
        &self,
        provision: &Provision,
        image: &Image,
    ) -> Result<Box<dyn Sandbox>, SandboxError> {
        if provision.again {
            // For Smelt's own git, to collect the work: it needs no service.
            return Alone.make(provision, image).await;
        }
        let made = Making { project: self, provision, image, how: provision.how() };
        tokio::select! {
            made = made.carry_out() => Ok(Box::new(made?)),
            () = provision.given_up.cancelled() => {
                Err(SandboxError::Gone("nobody waits for it any more".into()))
            }
        }
    }
}

struct Making<'a> {
    project: &'a Project,
    provision: &'a Provision,
    image: &'a Image,
    how: How<'a>,
}

/// What Compose has made, before anything of it runs.
struct Made {
    agent: String,
    services: Vec<Member>,
    user: User,
    network: Option<Network>,
}

impl Making<'_> {
    async fn carry_out(&self) -> Result<ComposeSandbox, SandboxError> {
        let Provision { engine, spec, .. } = self.provision;
        let network = self.network().await?;
        let folder = self.folder()?;
        let made = self.create(&folder, network).await?;
        let services = Services::watch(engine, &spec.labels, made.services.clone(), &spec.services);
        let (events, builders) =
            tokio::join!(make::start(engine, &made.agent), self.builders(&made));
        let (events, builders) = (events?, builders?);
        let ids = builders.iter().map(|builder| builder.id().to_owned()).collect();
        let (own, theirs): (Vec<_>, Vec<_>) =
            builders.into_iter().partition(|builder| builder.is_for(&made.agent));
        let own = own.into_iter().map(|builder| tokio::spawn(walls::put_up(builder)));
        let mut rising: Vec<_> = own.collect();
        let ready = services.ready(&self.provision.progress);
        match tokio::try_join!(services.start(&spec.services, theirs), ready) {
            Ok((theirs, ())) => rising.extend(theirs),
            Err(error) => {
                // What they have printed is gone with them.
                services.tell_all(&self.provision.progress).await;
                return Err(error);
            }
        }
        let walls = tokio::spawn(all_up(rising));
        let online = made.network.is_some();
        let inner = DockerSandbox {
            engine: engine.clone(),
            labels: spec.labels.clone(),
            container: made.agent,
            network: made.network.map(|network| network.id),
            events,
            user: made.user.spec(),
            env: make::environment(spec, &made.user),
            isolation: self.isolation(online, &made.user),
            builders: ids,
            cut: SyncMutex::default(),
            walls: Mutex::new(Some(walls)),
            paths: SandboxPaths { root: container::ROOT.into(), home: made.user.home },
        };
        Ok(ComposeSandbox { inner, services })
    }

    /// A network for all of them; without services there need not be one.
    async fn network(&self) -> Result<Option<Network>, ApiError> {
        let Provision { engine, spec, .. } = self.provision;
        let internal = spec.environment.network == Wish::None;
        if internal && spec.services.is_empty() {
            return Ok(None);
        }
        let name = network::name(&spec.labels);
        let containers = spec.services.len() + 1;
        let plan = Plan { name: &name, containers, internal };
        network::create(engine, plan, &spec.labels).await.map(Some)
    }

    /// A folder of the project's own: Compose reads a file `.env` where there is one.
    fn folder(&self) -> Result<PathBuf, SandboxError> {
        let folder = self.provision.spec.scratch.join("compose");
        let made = std::fs::create_dir_all(&folder);
        made.map_err(|error| SandboxError::failed("making the Compose project's folder", error))?;
        Ok(folder)
    }

    /// Lets Compose create all containers, and finds out who the agent is in its own.
    async fn create(&self, folder: &Path, network: Option<Network>) -> Result<Made, SandboxError> {
        let Self { project, provision, .. } = self;
        let Provision { engine, spec, .. } = provision;
        let blueprint = self.blueprint(network.as_ref());
        let known = Known::before(engine, blueprint).await?;
        let home = known.home();
        self.make_caches(&blueprint.caches(home)).await?;
        let file = File {
            agent: &blueprint.request(home),
            services: &spec.services,
            images: &project.images,
            network: network.as_ref().map(|network| &*network.id),
            labels: &spec.labels,
            cores: blueprint.cores,
        };
        write_privately(&folder.join(FILE), &file.write())?;
        let name = format!("smelt-{}", spec.labels.run);
        let created = project.compose.create(folder, &name, FILE).await;
        created.map_err(|error| {
            SandboxError::failed("Compose could not make the containers", error)
        })?;
        let mut found = find(engine, &spec.labels).await?;
        let agent = found.remove(AGENT_SERVICE).ok_or_else(|| {
            SandboxError::failed(
                "Compose has made the containers",
                "the sandbox's is not among them",
            )
        })?;
        let user = known.settle(engine, blueprint, &agent).await?;
        let services = spec.services.iter().filter_map(|service| {
            let container = found.remove(service.name.as_str())?;
            Some(Member { name: service.name.to_string(), container })
        });
        Ok(Made { agent, services: services.collect(), user, network })
    }

    /// Who puts up the walls of each container; the containers need not run yet.
    async fn builders(&self, made: &Made) -> Result<Vec<Builder>, ApiError> {
        let Provision { engine, spec, .. } = self.provision;
        let Some(network) = &made.network else { return Ok(Vec::new()) };
        let all = made.services.iter().map(|member| &member.container).chain([&made.agent]);
        try_join_all(all.map(|id| {
            walls::prepare(engine, &spec.labels, &self.image.id, id, network, Peers::Reached)
        }))
        .await
    }

    fn blueprint<'b>(&'b self, network: Option<&'b Network>) -> Blueprint<'b> {
        let Provision { engine, spec, .. } = self.provision;
        Blueprint {
            spec,
            image: &self.image.id,
            wanted: self.how.wanted,
            network: network.map(|network| &*network.id),
            mounted: self.how.mounted,
            cores: engine.cores(),
            cache_owner: self.how.cache_owner,
            limits_disk: false,
        }
    }

    /// Volumes that outlive the project are none of Compose's.
    async fn make_caches(&self, caches: &[(PathBuf, String)]) -> Result<(), ApiError> {
        for (_, name) in caches {
            let label = (CACHE.to_owned(), self.how.cache_owner.to_owned());
            let request = VolumeCreateRequest {
                name: Some(name.clone()),
                labels: Some(HashMap::from([label])),
                ..VolumeCreateRequest::default()
            };
            let made = self.provision.engine.api.create_volume(request).await;
            made.map_err(|error| ApiError::new("making a volume", error))?;
        }
        Ok(())
    }

    fn isolation(&self, online: bool, user: &User) -> Isolation {
        let Provision { engine, spec, .. } = self.provision;
        let mut gaps = engine.gaps();
        gaps.push("/proc/pressure can be written to: Compose can't make it read-only".into());
        if let Some(disk) = spec.environment.resources.disk {
            gaps.push(format!("disk space is not limited to {disk}: Compose can't"));
        }
        let summary = make::summary(self.how.wanted, online, user);
        let summary = match spec.services.len() {
            0 => summary,
            1 => format!("{summary}, and a service beside it"),
            services => format!("{summary}, and {services} services beside it"),
        };
        Isolation { summary, gaps, unsandboxed: false }
    }
}

/// Waits for all walls; what can't be given to one can't be given to any, and is told once.
async fn all_up(rising: Vec<Rising>) -> Result<Vec<String>, ApiError> {
    let mut gaps = Vec::new();
    for up in join_all(rising).await {
        let told = up.unwrap_or_else(|_| Ok(vec!["walls of the network may not be up".into()]))?;
        for gap in told {
            if !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
    }
    Ok(gaps)
}

/// The run's containers, by their services.
async fn find(engine: &Engine, labels: &Labels) -> Result<HashMap<String, String>, ApiError> {
    let own = vec![format!("{OWNER}={}", labels.owner), format!("{RUN}={}", labels.run)];
    let filters = HashMap::from([("label", own)]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let listed = engine.api.list_containers(Some(options)).await;
    let listed = listed.map_err(|error| ApiError::new("looking for the containers", error))?;
    let named = listed
        .into_iter()
        .filter_map(|container| Some((container.labels?.remove(SERVICE)?, container.id?)));
    Ok(named.collect())
}

/// Services' variables are nobody else's business.
fn write_privately(path: &Path, text: &str) -> Result<(), SandboxError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file =
        std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| SandboxError::failed("writing the Compose file", error))
}
