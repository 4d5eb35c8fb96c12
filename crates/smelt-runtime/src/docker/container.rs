//! What a sandbox's container is to be, as the engine is told.

use super::engine::labels_of;
use super::user::Wanted;
use crate::names::volume_name;
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    Mount, MountType, MountVolumeOptions, ResourcesUlimits,
};
use smelt_core::port::{SandboxPaths, SandboxSpec};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Folder of everything that is Smelt's.
pub(super) const ROOT: &str = "/smelt";

/// Label of the volumes that are kept between runs, with whose they are.
pub(super) const CACHE: &str = "smelt.cache";

/// Label of the container with whom its commands are run as.
pub(super) const USER: &str = "smelt.user";

/// Users of whom one keeps the container going.
const KEEPER: [u32; 2] = [65533, 65532];

/// What of the machine's settings may be looked at and nothing more: Docker's own list (its
/// `oci/defaults.go`), and what root could write besides.
const READ_ONLY: [&str; 6] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/proc/pressure"];

/// Capabilities that installing packages takes, for root by the manifest's own wish.
const OF_ROOT: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];

/// What is known of a sandbox before it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blueprint<'a> {
    pub(super) spec: &'a SandboxSpec,
    /// Image by id.
    pub(super) image: &'a str,
    pub(super) wanted: Wanted<'a>,
    /// Network by name; `None`: none.
    pub(super) network: Option<&'a str>,
    /// The host's folders are mounted.
    pub(super) mounted: bool,
    /// Cores of the engine's machine: a limit beyond them is refused.
    pub(super) cores: i64,
    /// Whose caches are used: those of others in the same engine are not.
    pub(super) cache_owner: &'a str,
    /// The engine can limit a container's disk.
    pub(super) limits_disk: bool,
}

impl Blueprint<'_> {
    /// The image's own files can't be written, not even by root.
    pub(super) fn is_read_only(&self) -> bool {
        self.wanted.is_own_root()
    }

    /// Paths kept between runs, each with its volume's name.
    pub(super) fn caches(&self, home: &Path) -> Vec<(PathBuf, String)> {
        let caches = self.spec.cache.iter();
        let paths = caches.flat_map(|cache| cache.paths.iter().map(move |path| (cache, path)));
        let named = paths.map(|(cache, path)| {
            let name =
                format!("smelt-{}-{}-{}", self.cache_owner, cache.key, volume_name(path.as_str()));
            (path.below(home), name)
        });
        named.collect()
    }

    /// The request that makes it, for a user at `home`.
    pub(super) fn request(&self, home: &Path) -> ContainerCreateBody {
        let spec = self.spec;
        let keeper = self.keeper();
        ContainerCreateBody {
            image: Some(self.image.to_owned()),
            hostname: Some("smelt".into()),
            user: Some(format!("{keeper}:{keeper}")),
            // Waits for ever for input that never comes, in every image that has a shell.
            entrypoint: Some(vec!["cat".into()]),
            cmd: Some(Vec::new()),
            open_stdin: Some(true),
            // Nothing of the image's own runs by itself.
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".into()]),
                ..HealthConfig::default()
            }),
            working_dir: Some("/".into()),
            labels: Some(
                labels_of(&spec.labels).chain([(USER.into(), self.wanted.spec())]).collect(),
            ),
            host_config: Some(HostConfig { mounts: Some(self.mounts(home)), ..self.limits() }),
            ..ContainerCreateBody::default()
        }
    }

    /// Who keeps the container going: nobody that the agent could be, or could end. Root by wish is
    /// the exception: a command has no capability that this one has not.
    fn keeper(&self) -> u32 {
        let uid = match self.wanted {
            Wanted::Own { uid, .. } => uid.to_string(),
            Wanted::Named(_) if self.wanted.is_root_by_wish() => return 0,
            Wanted::Named(name) => name.split(':').next().unwrap_or_default().to_owned(),
        };
        KEEPER.into_iter().find(|keeper| keeper.to_string() != uid).unwrap_or(KEEPER[0])
    }

    fn limits(&self) -> HostConfig {
        let resources = &self.spec.environment.resources;
        let memory = i64::try_from(resources.memory.bytes()).unwrap_or(i64::MAX);
        let added = self.wanted.is_root_by_wish().then(|| OF_ROOT.map(String::from).to_vec());
        let storage = resources
            .disk
            .filter(|_| self.limits_disk)
            .map(|disk| HashMap::from([("size".to_owned(), disk.bytes().to_string())]));
        HostConfig {
            network_mode: Some(self.network.unwrap_or("none").to_owned()),
            // Reaps what agents leave, and passes no signal on to anybody.
            init: Some(true),
            cap_drop: Some(vec!["ALL".into()]),
            cap_add: added,
            security_opt: Some(vec!["no-new-privileges".into()]),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            readonly_rootfs: Some(self.is_read_only()),
            memory: Some(memory),
            // No swap beyond that.
            memory_swap: Some(memory),
            nano_cpus: Some(
                (i64::from(resources.cpu.millis()) * 1_000_000).min(self.cores * 1_000_000_000),
            ),
            pids_limit: Some(resources.pids.get().into()),
            storage_opt: storage,
            ulimits: Some(vec![ResourcesUlimits {
                name: Some("core".into()),
                soft: Some(0),
                hard: Some(0),
            }]),
            readonly_paths: Some(READ_ONLY.map(String::from).into()),
            ipc_mode: Some("private".into()),
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            ..HostConfig::default()
        }
    }

    /// Mounts and never binds: a source that is not there is an error, not an empty folder.
    fn mounts(&self, home: &Path) -> Vec<Mount> {
        let root = Path::new(ROOT);
        let mut mounts = Vec::new();
        if self.mounted {
            for folder in SandboxPaths::FOLDERS {
                mounts.push(bind(&self.spec.root.join(folder), root.join(folder), false));
            }
            let objects = root.join(SandboxPaths::OBJECTS);
            for (n, folder) in self.spec.borrowed.iter().enumerate() {
                mounts.push(bind(folder, objects.join(n.to_string()), true));
            }
        } else if self.is_read_only() {
            mounts.push(self.own_volume(root));
        }
        if self.is_read_only() {
            // With what the image has there.
            mounts.extend([home, Path::new("/tmp")].map(|path| self.own_volume(path)));
        }
        for (path, name) in self.caches(home) {
            let label = (CACHE.to_owned(), self.cache_owner.to_owned());
            mounts.push(volume(Some(name), &path, HashMap::from([label])));
        }
        mounts
    }

    /// A volume that goes with the container.
    fn own_volume(&self, at: &Path) -> Mount {
        volume(None, at, labels_of(&self.spec.labels).collect())
    }
}

fn bind(from: &Path, to: PathBuf, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(from.display().to_string()),
        target: Some(to.display().to_string()),
        read_only: Some(read_only),
        ..Mount::default()
    }
}

fn volume(name: Option<String>, at: &Path, labels: HashMap<String, String>) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: name,
        target: Some(at.display().to_string()),
        volume_options: Some(MountVolumeOptions {
            labels: Some(labels),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smelt_core::id::{OwnerId, RunId};
    use smelt_core::manifest::Manifest;
    use smelt_core::port::{CacheSpec, Labels};

    fn spec(keys: &str) -> SandboxSpec {
        let text = format!(
            "[job]\nname = \"job\"\nrepo = \".\"\n[environment]\nimage = \"agent\"\n{keys}\n\
             [orchestrator]\nkind = \"direct\"\ncommand = \"true\"\n\
             [[session]]\nname = \"a\"\nspec = \"a\"\nharness = \"true\"\ntimeout = 1\n"
        );
        let manifest = Manifest::parse(&text, "test", Path::new("/"), None).unwrap().0;
        let run: RunId = "20261123t141502-k3f9qz".parse().unwrap();
        let owner: OwnerId = "d4nenhzc8c1h91b8".parse().unwrap();
        let caches = manifest.environment.cache.clone();
        SandboxSpec {
            labels: Labels { owner, job: manifest.job.name, run },
            environment: manifest.environment,
            scratch: "/scratch".into(),
            root: "/scratch/root".into(),
            borrowed: vec!["/repo/.git/objects".into()],
            cache: Some(CacheSpec { key: "0a1b".into(), paths: caches }),
            services: Vec::new(),
            kubernetes: None,
            lifetime: std::time::Duration::from_secs(600),
        }
    }

    fn request(keys: &str, wanted: Wanted<'_>, mounted: bool) -> String {
        let spec = spec(keys);
        let blueprint = Blueprint {
            spec: &spec,
            image: "sha256:cafe",
            wanted,
            network: Some("smelt-net"),
            mounted,
            cores: 8,
            cache_owner: "beef",
            limits_disk: true,
        };
        // As a value, its keys are in order.
        let request = serde_json::to_value(blueprint.request(Path::new("/home/smelt"))).unwrap();
        serde_json::to_string_pretty(&request).unwrap()
    }

    #[test]
    fn a_user_s_container_has_the_workspace_mounted_and_no_right() {
        let keys = "cache = [\"~/.store\"]\nresources = { disk = \"10G\" }";
        insta::assert_snapshot!(request(keys, Wanted::Own { uid: 1000, gid: 100 }, true));
    }

    #[test]
    fn an_image_can_not_be_written_by_root_who_did_not_ask_for_it() {
        insta::assert_snapshot!(request("", Wanted::Own { uid: 0, gid: 0 }, false));
    }

    #[test]
    fn root_by_wish_may_install_packages() {
        insta::assert_snapshot!(request("network = \"none\"", Wanted::Named("root"), false));
    }
}
