//! The only place where concrete backends are named.

use crate::settings::Settings;
use smelt_core::engine::Engine;
use smelt_core::git::{Git, Limits};
use smelt_core::manifest::{ClusterPlace, ForgeProvider, RuntimeKind};
use smelt_core::port::{ForgeConnector, Runtime};
use smelt_forge::ForgeClients;
use smelt_runtime::compose::ComposeRuntime;
use smelt_runtime::docker::{DockerRuntime, EngineConfig};
use smelt_runtime::kubernetes::{KubernetesConfig, KubernetesRuntime};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Git on this machine, run as the user.
pub fn git(settings: &Settings) -> Git {
    Git::new("git", settings.environment.iter().cloned())
}

/// Folder of the runs' own folders.
pub fn scratch(settings: &Settings) -> PathBuf {
    settings.cache.join("scratch")
}

/// The runtimes there are; `places` are where runs that others have started have pods.
pub fn runtimes(
    settings: &Settings,
    accept_unsandboxed: bool,
    places: impl IntoIterator<Item = ClusterPlace>,
) -> HashMap<RuntimeKind, Arc<dyn Runtime>> {
    let mut runtimes: HashMap<RuntimeKind, Arc<dyn Runtime>> = HashMap::new();
    let docker = DockerRuntime::new(container_engine(settings), settings.cache.clone());
    runtimes.insert(RuntimeKind::Docker, Arc::new(docker));
    let compose = ComposeRuntime::new(container_engine(settings), settings.cache.clone());
    runtimes.insert(RuntimeKind::Compose, Arc::new(compose));
    let kubernetes = KubernetesRuntime::new(KubernetesConfig {
        kubeconfig: kubeconfig(settings),
        places: places.into_iter().map(|place| (place.context, place.namespace)).collect(),
        ..KubernetesConfig::default()
    });
    runtimes.insert(RuntimeKind::Kubernetes, Arc::new(kubernetes));
    #[cfg(target_os = "linux")]
    {
        use smelt_runtime::local::{LocalConfig, LocalRuntime};
        let local = LocalRuntime::new(LocalConfig {
            scratch: scratch(settings),
            cache: settings.cache.clone(),
            path: settings.path.clone(),
            home: settings.home.clone().unwrap_or_else(|| "/".into()),
            accept_unsandboxed,
        });
        runtimes.insert(RuntimeKind::Local, Arc::new(local));
    }
    runtimes
}

/// The forges there are.
fn forges() -> HashMap<ForgeProvider, Arc<dyn ForgeConnector>> {
    let clients: Arc<dyn ForgeConnector> = Arc::new(ForgeClients::default());
    ForgeProvider::ALL.into_iter().map(|provider| (provider, clients.clone())).collect()
}

/// What the environment says of the container engine, as Docker's own client reads it.
fn container_engine(settings: &Settings) -> EngineConfig {
    let variable = |name| settings.variable(name);
    let path = |name| variable(name).map(PathBuf::from);
    let home = settings.home.as_deref().unwrap_or(Path::new("/"));
    EngineConfig {
        docker_host: variable("DOCKER_HOST"),
        docker_context: variable("DOCKER_CONTEXT"),
        config_dir: path("DOCKER_CONFIG").unwrap_or_else(|| home.join(".docker")),
        tls_verify: variable("DOCKER_TLS_VERIFY").is_some(),
        cert_path: path("DOCKER_CERT_PATH"),
        runtime_dir: path("XDG_RUNTIME_DIR"),
        path: settings.path.clone(),
    }
}

/// The files that make up the kubeconfig, as Kubernetes' own client finds them.
fn kubeconfig(settings: &Settings) -> Vec<PathBuf> {
    match settings.variable("KUBECONFIG") {
        Some(list) => {
            std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect()
        }
        None => settings.home.iter().map(|home| home.join(".kube/config")).collect(),
    }
}

/// The engine with everything there is.
pub fn engine(settings: &Settings, accept_unsandboxed: bool) -> Engine {
    Engine {
        git: git(settings),
        runtimes: runtimes(settings, accept_unsandboxed, []),
        forges: forges(),
        scratch: scratch(settings),
        cache: settings.cache.clone(),
        limits: Limits::default(),
    }
}
