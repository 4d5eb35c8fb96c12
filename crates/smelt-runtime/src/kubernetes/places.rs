//! Where runs may have left something: in the current context, and wherever else they had pods.

use super::config::{Cluster, KubernetesConfig};
use super::error::status;
use super::reap::{self, Found};
use smelt_core::id::{OwnerId, RunId};
use smelt_core::port::SandboxError;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A context (`None`: the current one) and a namespace.
type Place = (Option<String>, String);

/// The places that are known.
#[derive(Debug)]
pub(super) struct Places(Mutex<BTreeSet<Place>>);

/// What there is in one cluster.
pub(super) struct Search {
    pub(super) cluster: Cluster,
    pub(super) found: Vec<Found>,
}

impl Places {
    pub(super) fn new(known: &[Place]) -> Self {
        Self(Mutex::new(known.iter().cloned().collect()))
    }

    /// Runs have pods there.
    pub(super) fn remember(&self, context: Option<&str>, namespace: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((context.map(str::to_owned), namespace.to_owned()));
    }

    /// Looks for what belongs to `owner`, or to one run of its, wherever it may be. A process that starts
    /// anew knows of no place, so all namespaces of the current context are looked at where that is
    /// allowed, and else the context's own.
    pub(super) async fn search(
        &self,
        config: &KubernetesConfig,
        owner: &OwnerId,
        run: Option<&RunId>,
    ) -> Result<Vec<Search>, SandboxError> {
        let mut all = Vec::new();
        if !config.leads_anywhere() {
            return Ok(all);
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut everywhere = None;
        match config.connect(None).await {
            Ok(cluster) => {
                let looked = current(&cluster, !known.is_empty(), owner, run).await?;
                everywhere = looked.is_all.then(|| cluster.context.clone());
                all.push(Search { cluster, found: looked.found });
            }
            // Those that are known have names.
            Err(_) if known.iter().any(|(context, _)| context.is_some()) => {}
            Err(error) => return Err(error),
        }
        for (context, namespace) in known {
            let cluster = match config.connect(context.as_deref()).await {
                Ok(cluster) => cluster,
                Err(error) => {
                    // A context that was taken away leads to nothing that could be removed.
                    tracing::warn!(%error, "a place where runs had pods");
                    continue;
                }
            };
            if everywhere.as_ref() == Some(&cluster.context) {
                continue;
            }
            let found = reap::find(&cluster, Some(&namespace), owner, run).await;
            let found = found.map_err(|error| reap::not_listed(Some(&namespace), error))?;
            all.push(Search { cluster, found });
        }
        drop_doubles(&mut all);
        Ok(all)
    }
}

/// What there is in the current context.
struct Looked {
    found: Vec<Found>,
    /// In all of its namespaces.
    is_all: bool,
}

/// Looks in the current context, as far as that is allowed. Where no more is than in places that are known
/// (`elsewhere`), as a Role there has it, nothing could be made here either.
async fn current(
    cluster: &Cluster,
    elsewhere: bool,
    owner: &OwnerId,
    run: Option<&RunId>,
) -> Result<Looked, SandboxError> {
    match reap::find(cluster, None, owner, run).await {
        Ok(found) => return Ok(Looked { found, is_all: true }),
        Err(error) if status(&error) == Some(403) => {}
        Err(error) => return Err(reap::not_listed(None, error)),
    }
    let namespace = Some(cluster.namespace.as_str());
    match reap::find(cluster, namespace, owner, run).await {
        Ok(found) => Ok(Looked { found, is_all: false }),
        Err(error) if elsewhere && status(&error) == Some(403) => {
            tracing::debug!(%error, "looking in the context's own namespace");
            Ok(Looked { found: Vec::new(), is_all: false })
        }
        Err(error) => Err(reap::not_listed(namespace, error)),
    }
}

/// Two contexts may lead to the same.
fn drop_doubles(all: &mut [Search]) {
    let mut seen = BTreeSet::new();
    for Search { found, cluster } in all {
        found.retain(|found| {
            let policy = found.kind == reap::Kind::Policy;
            seen.insert((cluster.url.clone(), policy, found.namespace.clone(), found.name.clone()))
        });
    }
}
