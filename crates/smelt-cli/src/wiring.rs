//! The only place where concrete backends are named.

use crate::settings::Settings;
use smelt_core::engine::Engine;
use smelt_core::git::{Git, Limits};
use smelt_core::manifest::RuntimeKind;
use smelt_core::port::Runtime;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Git on this machine, run as the user.
pub fn git(settings: &Settings) -> Git {
    Git::new("git", settings.environment.iter().cloned())
}

/// Folder of the runs' own folders.
pub fn scratch(settings: &Settings) -> PathBuf {
    settings.cache.join("scratch")
}

/// The runtimes there are.
pub fn runtimes(
    settings: &Settings,
    accept_unsandboxed: bool,
) -> HashMap<RuntimeKind, Arc<dyn Runtime>> {
    let mut runtimes: HashMap<RuntimeKind, Arc<dyn Runtime>> = HashMap::new();
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

/// The engine with everything there is.
pub fn engine(settings: &Settings, accept_unsandboxed: bool) -> Engine {
    Engine {
        git: git(settings),
        runtimes: runtimes(settings, accept_unsandboxed),
        scratch: scratch(settings),
        cache: settings.cache.clone(),
        limits: Limits::default(),
    }
}
