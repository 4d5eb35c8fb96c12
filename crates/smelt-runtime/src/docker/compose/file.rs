//! The Compose file of a run: its sandbox and its services as one project.
//!
//! It is written as JSON, every text in quotes: nothing that stands in a manifest can be read as
//! anything but text, whichever YAML the Compose there is reads. `$` is doubled, so that no variable of
//! anybody's comes in its place.

use crate::docker::container;
use crate::docker::engine::labels_of;
use crate::docker::user::Wanted;
use bollard::models::{ContainerCreateBody, HostConfig, Mount};
use serde_json::{Map, Value, json};
use smelt_core::manifest::{
    AGENT_SERVICE, ImageSource, Network, Resources, Service, ServiceCommand, Size,
};
use smelt_core::port::{Labels, SandboxSpec};
use std::fmt::Write;
use std::path::Path;

/// Name of the network in the file.
const NETWORK: &str = "job";

/// Capabilities that databases' images need to give their data to a user of their own, and become them.
const OF_SERVICES: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];

/// A run's project.
pub(super) struct File<'a> {
    /// The sandbox's container, as an engine would be asked for it.
    pub(super) agent: &'a ContainerCreateBody,
    pub(super) services: &'a [Service],
    /// The services' images, in their order.
    pub(super) images: &'a [String],
    /// Name of the network, which is there; `None`: there is none.
    pub(super) network: Option<&'a str>,
    pub(super) labels: &'a Labels,
    /// Cores of the engine's machine: a limit beyond them is refused.
    pub(super) cores: i64,
}

impl File<'_> {
    /// The file's text.
    pub(super) fn write(&self) -> String {
        let mut services = Map::new();
        services.insert(AGENT_SERVICE.into(), self.agent());
        for (service, image) in self.services.iter().zip(self.images) {
            services.insert(service.name.to_string(), self.service(service, image));
        }
        let host = self.agent.host_config.as_ref();
        let mounts = host.and_then(|host| host.mounts.as_deref()).unwrap_or_default();
        let volumes: Map<_, _> = mounts.iter().filter_map(kept_volume).collect();
        let networks =
            self.network.map(|name| json!({ NETWORK: { "external": true, "name": name } }));
        let file = json!({ "services": services, "networks": networks, "volumes": volumes });
        let text = serde_json::to_string_pretty(&escaped(without_nothing(file)));
        printable(&text.unwrap_or_default())
    }

    fn agent(&self) -> Value {
        let body = self.agent;
        let none = HostConfig::default();
        let host = body.host_config.as_ref().unwrap_or(&none);
        let mounts = host.mounts.iter().flatten();
        let ulimits: Map<_, _> = host.ulimits.iter().flatten().filter_map(ulimit).collect();
        let mut service = json!({
            "image": body.image,
            "hostname": body.hostname,
            "user": body.user,
            "entrypoint": body.entrypoint,
            "command": body.cmd,
            "stdin_open": body.open_stdin,
            "working_dir": body.working_dir,
            "labels": body.labels,
            "healthcheck": { "disable": true },
            "init": host.init,
            "cap_drop": host.cap_drop,
            "cap_add": host.cap_add,
            "security_opt": host.security_opt,
            "read_only": host.readonly_rootfs,
            "mem_limit": host.memory,
            "memswap_limit": host.memory_swap,
            "cpus": host.nano_cpus.map(cores_of),
            "pids_limit": host.pids_limit,
            "ulimits": ulimits,
            "ipc": host.ipc_mode,
            "volumes": mounts.map(volume).collect::<Vec<_>>(),
            "logging": { "driver": "none" },
        });
        self.confine(&mut service);
        service
    }

    fn service(&self, service: &Service, image: &str) -> Value {
        let defaults = Resources::default();
        let memory = service.mem_limit.as_deref().map_or(defaults.memory, |limit| *limit).bytes();
        let cpu = i64::from(service.cpus.unwrap_or(defaults.cpu).millis()) * 1_000_000;
        let anonymous = |path: &str| json!({ "type": "volume", "target": path });
        let labels: Map<_, _> =
            labels_of(self.labels).map(|(name, value)| (name, Value::from(value))).collect();
        let environment: Map<_, _> = service
            .environment
            .iter()
            .map(|(name, value)| (name.to_string(), Value::from(&*value.0)))
            .collect();
        let mut written = json!({
            "image": image,
            "command": service.command.as_deref().map(words),
            "entrypoint": service.entrypoint.as_deref().map(words),
            "environment": environment,
            "healthcheck": service.healthcheck.as_ref().map(|check| json!({
                "test": words(&check.test),
                "interval": check.interval,
                "timeout": check.timeout,
                "retries": check.retries,
                "start_period": check.start_period,
            })),
            "user": service.user,
            "working_dir": service.working_dir.as_deref(),
            "tmpfs": service.tmpfs.iter().map(|path| path.as_str()).collect::<Vec<_>>(),
            "volumes": service.volumes.iter().map(|path| anonymous(path)).collect::<Vec<_>>(),
            "expose": service.expose.iter().map(|port| &port.0).collect::<Vec<_>>(),
            "shm_size": service.shm_size.map(Size::bytes),
            "init": service.init.unwrap_or(true),
            "read_only": service.read_only,
            "stop_signal": service.stop_signal.as_deref(),
            "labels": labels,
            "cap_drop": ["ALL"],
            "cap_add": OF_SERVICES,
            "security_opt": ["no-new-privileges"],
            "mem_limit": memory,
            "memswap_limit": memory,
            "cpus": cores_of(cpu.min(self.cores.saturating_mul(1_000_000_000))),
            "pids_limit": service.pids_limit.unwrap_or(defaults.pids),
            "ulimits": { "core": { "soft": 0, "hard": 0 } },
            "ipc": "private",
            // What Smelt reads; it writes it down beside the sessions' logs.
            "logging": { "driver": "json-file", "options": { "max-size": "10m", "max-file": "1" } },
        });
        self.confine(&mut written);
        written
    }

    /// What all of them have.
    fn confine(&self, service: &mut Value) {
        match self.network {
            Some(_) => service["networks"] = json!({ NETWORK: null }),
            None => service["network_mode"] = json!("none"),
        }
        service["restart"] = json!("no");
        service["pull_policy"] = json!("never");
    }
}

/// The file of a run that is not made: images by their names, nothing mounted that is not there.
pub(super) struct Preview<'a> {
    pub(super) spec: &'a SandboxSpec,
}

impl Preview<'_> {
    /// The file's text.
    pub(super) fn write(&self) -> String {
        let spec = self.spec;
        let image = match &spec.environment.image {
            Some(ImageSource::Image(name)) => name.clone(),
            Some(ImageSource::Build { context, .. }) => format!("built from {}", context.display()),
            None => String::new(),
        };
        let online = spec.environment.network == Network::Default || !spec.services.is_empty();
        let network = online.then(|| format!("smelt-{}", spec.labels.run));
        let blueprint = container::Blueprint {
            spec,
            image: &image,
            wanted: Wanted::of(&spec.environment),
            network: network.as_deref(),
            mounted: true,
            cores: i64::from(u16::MAX),
            cache_owner: "cache",
            limits_disk: false,
        };
        let images: Vec<_> = spec.services.iter().map(|service| service.image.clone()).collect();
        File {
            agent: &blueprint.request(Path::new("/home/smelt")),
            services: &spec.services,
            images: &images,
            network: network.as_deref(),
            labels: &spec.labels,
            cores: i64::from(u16::MAX),
        }
        .write()
    }
}

fn cores_of(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

fn words(command: &ServiceCommand) -> Value {
    match command {
        ServiceCommand::Line(line) => json!(line),
        ServiceCommand::Words(words) => json!(words),
    }
}

fn ulimit(limit: &bollard::models::ResourcesUlimits) -> Option<(String, Value)> {
    let name = limit.name.clone()?;
    Some((name, json!({ "soft": limit.soft, "hard": limit.hard })))
}

/// A mount as Compose writes it.
fn volume(mount: &Mount) -> Value {
    json!({
        "type": mount.typ,
        "source": mount.source,
        "target": mount.target,
        "read_only": mount.read_only.filter(|read_only| *read_only),
    })
}

/// A volume that outlives the project.
fn kept_volume(mount: &Mount) -> Option<(String, Value)> {
    let is_volume = mount.typ == Some(bollard::models::MountType::VOLUME);
    let name = mount.source.clone().filter(|_| is_volume)?;
    Some((name.clone(), json!({ "external": true, "name": name })))
}

/// Without keys that say nothing, but for those that say so on purpose: an empty list is a command.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, value)| match value {
                Value::Null => key == NETWORK,
                Value::Array(list) => !list.is_empty() || key == "command" || key == "entrypoint",
                Value::Object(map) => !map.is_empty(),
                _ => true,
            });
            kept.map(|(key, value)| (key, without_nothing(value))).collect()
        }
        Value::Array(list) => list.into_iter().map(without_nothing).collect(),
        other => other,
    }
}

/// With every `$` doubled, as Compose reads one.
fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(list) => list.into_iter().map(escaped).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, escaped(value))).collect(),
        other => other,
    }
}

/// JSON that is YAML too: that takes no character that can't be printed as it is (YAML 1.1, 5.1).
fn printable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use smelt_core::id::{OwnerId, RunId};
    use smelt_core::manifest::Manifest;

    fn preview(environment: &str, services: &str) -> String {
        let text = format!(
            "[job]\nname = \"job\"\nrepo = \".\"\n[environment]\nruntime = \"compose\"\nimage = \"agent\"\n\
             user = \"1000\"\n{environment}\n{services}\n\
             [orchestrator]\nkind = \"direct\"\ncommand = \"true\"\n\
             [[session]]\nname = \"a\"\nspec = \"a\"\nharness = \"true\"\ntimeout = 1\n"
        );
        let manifest = Manifest::parse(&text, "test", Path::new("/"), None).unwrap().0;
        let run: RunId = "20261123t141502-k3f9qz".parse().unwrap();
        let owner: OwnerId = "d4nenhzc8c1h91b8".parse().unwrap();
        let spec = SandboxSpec {
            labels: Labels { owner, job: manifest.job.name, run },
            environment: manifest.environment,
            scratch: "/scratch".into(),
            root: "/scratch/root".into(),
            borrowed: vec!["/repo/.git/objects".into()],
            cache: None,
            services: manifest.services,
            kubernetes: None,
            lifetime: std::time::Duration::from_secs(600),
        };
        Preview { spec: &spec }.write()
    }

    #[test]
    fn a_sandbox_alone_is_a_project_too() {
        insta::assert_snapshot!(preview("network = \"none\"", ""));
    }

    #[test]
    fn a_service_may_have_so_much() {
        let services = r#"
            [[services]]
            name = "db"
            image = "postgres:17"
            command = ["postgres", "-c", "log_line_prefix=$t ${HOME}"]
            entrypoint = "/entry.sh --for $USER"
            environment = { POSTGRES_PASSWORD = "it's $ecret: yes", PORT = 5432, DEBUG = true }
            healthcheck = { test = ["CMD-SHELL", "pg_isready || exit $?"], interval = "2s", timeout = "1m30s", retries = 5, start_period = "500ms" }
            user = "999:999"
            working_dir = "/srv"
            tmpfs = ["/run:size=64m"]
            volumes = ["/var/lib/postgresql/data"]
            expose = [5432]
            shm_size = "256M"
            init = false
            read_only = true
            stop_signal = "SIGINT"
            cpus = 1.5
            mem_limit = "1G"
            pids_limit = 100

            [[services]]
            name = "app"
            image = "app"
            depends_on = { db = { condition = "service_healthy" } }"#;
        insta::assert_snapshot!(preview("", services));
    }

    #[test]
    fn no_character_is_one_that_yaml_does_not_take() {
        let odd = "a\u{7f}\u{85}\u{2028}\u{feff}\u{1f600}ä\n\t\u{1}";
        let written = printable(&serde_json::to_string(odd).unwrap());
        assert!(
            !written.contains(['\u{7f}', '\u{85}', '\u{2028}', '\u{feff}', '\u{1}']),
            "{written}"
        );
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), odd);
    }

    proptest::proptest! {
        #[test]
        fn a_text_is_text_whatever_stands_in_it(text in "\\PC*|[${}A-Z ]*") {
            let written = escaped(json!({ "key": text }));
            let read = printable(&written.to_string());
            let read: Value = serde_json::from_str(&read).unwrap();
            // As Compose reads it: two are one, and one alone would be a variable.
            let value = read["key"].as_str().unwrap();
            proptest::prop_assert!(!value.replace("$$", "").contains('$'));
            proptest::prop_assert_eq!(value.replace("$$", "$"), text);
        }
    }
}
