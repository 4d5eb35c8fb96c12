//! What runs have left in the engine: found and removed by its labels.

use super::container::{CACHE, USER};
use super::engine::{ApiError, Engine, OWNER, RUN, status};
use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions, WaitContainerOptionsBuilder,
};
use futures::StreamExt;
use futures::future::join_all;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::port::{Labels, Orphan};
use std::collections::{BTreeMap, HashMap};

/// One thing of a run's.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) id: String,
    run: RunId,
    /// A sandbox's container that does not run.
    pub(super) ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Container,
    Volume,
    Network,
}

/// What has been found, run by run.
pub(super) fn by_run(found: Vec<Found>) -> Vec<Orphan> {
    let mut runs: BTreeMap<RunId, Vec<String>> = BTreeMap::new();
    for Found { kind, id, run, .. } in found {
        let kind = match kind {
            Kind::Container => "container",
            Kind::Volume => "volume",
            Kind::Network => "network",
        };
        let id = &id[..id.len().min(12)];
        runs.entry(run).or_default().push(format!("{kind} {id}"));
    }
    runs.into_iter().map(|(run, what)| Orphan { run, what: what.join(", ") }).collect()
}

/// What there is of `owner`'s, in the order in which it can be removed; of one run, where it is named.
pub(super) async fn find(
    engine: &Engine,
    owner: &OwnerId,
    run: Option<&RunId>,
) -> Result<Vec<Found>, ApiError> {
    let failed = |error| ApiError::new("looking for what runs have left", error);
    let mut labels = vec![format!("{OWNER}={owner}")];
    labels.extend(run.map(|run| format!("{RUN}={run}")));
    let filters = HashMap::from([("label", labels)]);
    let containers = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let volumes = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let networks = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let (containers, volumes, networks) = tokio::try_join!(
        engine.api.list_containers(Some(containers)),
        engine.api.list_volumes(Some(volumes)),
        engine.api.list_networks(Some(networks)),
    )
    .map_err(failed)?;
    let containers = containers.into_iter().map(|container| {
        let labels = container.labels.unwrap_or_default();
        // Services, and who puts up walls, are not what commands were run in.
        let ended = container.state.is_some_and(|state| state.to_string() != "running")
            && labels.contains_key(USER);
        (Kind::Container, container.id, labels, ended)
    });
    let volumes = volumes.volumes.into_iter().flatten();
    let volumes = volumes.map(|volume| (Kind::Volume, Some(volume.name), volume.labels, false));
    let networks = networks
        .into_iter()
        .map(|network| (Kind::Network, network.id, network.labels.unwrap_or_default(), false));
    let all = containers.chain(volumes).chain(networks);
    let found = all.filter_map(|(kind, id, labels, ended)| {
        Some(Found { kind, id: id?, run: labels.get(RUN)?.parse().ok()?, ended })
    });
    Ok(found.collect())
}

/// The container in which commands of a run are run, and whom they are run as.
pub(super) async fn find_running(
    engine: &Engine,
    owner: &OwnerId,
    run: &RunId,
) -> Result<Option<(String, String)>, ApiError> {
    let labels = vec![format!("{OWNER}={owner}"), format!("{RUN}={run}"), USER.to_owned()];
    let filters = HashMap::from([("label", labels)]);
    let options = ListContainersOptionsBuilder::default().filters(&filters).build();
    let listed = engine.api.list_containers(Some(options)).await;
    let listed = listed.map_err(|error| ApiError::new("looking for the run's container", error))?;
    let mut found = listed
        .into_iter()
        .filter_map(|container| Some((container.id?, container.labels?.remove(USER)?)));
    Ok(found.next())
}

/// Removes everything of one run's.
pub(super) async fn remove_all(
    engine: &Engine,
    owner: &OwnerId,
    run: &RunId,
) -> Result<(), ApiError> {
    for found in find(engine, owner, Some(run)).await? {
        match found.kind {
            Kind::Container => {
                remove_container(engine, &found.id).await?;
            }
            Kind::Volume => remove_volume(engine, &found.id).await?,
            Kind::Network => remove_network(engine, &found.id).await?,
        }
    }
    Ok(())
}

/// Removes the containers of one run but for `kept`.
pub(super) async fn remove_others(
    engine: &Engine,
    labels: &Labels,
    kept: &str,
) -> Result<(), ApiError> {
    let found = find(engine, &labels.owner, Some(&labels.run)).await?;
    let others = found.iter().filter(|found| found.kind == Kind::Container && found.id != kept);
    let removed = join_all(others.map(|found| remove_container(engine, &found.id))).await;
    removed.into_iter().collect::<Result<Vec<_>, _>>().map(|_| ())
}

/// Kills the container and removes it with its own volumes; returns whether it was there.
pub(super) async fn remove_container(engine: &Engine, id: &str) -> Result<bool, ApiError> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    let removed = engine.api.remove_container(id, Some(options)).await;
    match removed {
        Ok(()) => Ok(true),
        Err(error) if status(&error) == Some(404) => Ok(false),
        // Somebody else is removing it: it is gone when they are done.
        Err(error) if status(&error) == Some(409) => {
            let options = WaitContainerOptionsBuilder::default().condition("removed").build();
            let _ = engine.api.wait_container(id, Some(options)).next().await;
            Ok(false)
        }
        Err(error) => Err(ApiError::new("removing the container", error)),
    }
}

async fn remove_volume(engine: &Engine, name: &str) -> Result<(), ApiError> {
    let removed = engine.api.remove_volume(name, None::<RemoveVolumeOptions>).await;
    or_gone(removed, "removing a volume")
}

pub(super) async fn remove_network(engine: &Engine, id: &str) -> Result<(), ApiError> {
    or_gone(engine.api.remove_network(id).await, "removing the network")
}

/// What is not there is as good as removed.
fn or_gone(removed: Result<(), Error>, what: &'static str) -> Result<(), ApiError> {
    match removed {
        Err(error) if status(&error) != Some(404) => Err(ApiError::new(what, error)),
        _ => Ok(()),
    }
}

/// Removes the volumes that are kept between runs of `owner`.
pub(super) async fn clear_caches(engine: &Engine, owner: &str) -> Result<(), ApiError> {
    let filters = HashMap::from([("label", vec![format!("{CACHE}={owner}")])]);
    let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let listed = engine.api.list_volumes(Some(options)).await;
    let listed = listed.map_err(|error| ApiError::new("looking for cached paths", error))?;
    for volume in listed.volumes.into_iter().flatten() {
        remove_volume(engine, &volume.name).await?;
    }
    Ok(())
}
