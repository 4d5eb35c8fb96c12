//! What a sandbox is made of: the walls, what is seen between them, and the variables.

use super::LocalConfig;
use super::host::{Host, JailState, current_user, system_view};
use super::jail::{Jail, Mount, ROOT, User, home_inside};
use super::mounts::Mounts;
use super::processes::RUN_MARK;
use crate::names::volume_name;
use smelt_core::manifest::Network;
use smelt_core::port::{Isolation, SandboxError, SandboxPaths, SandboxSpec};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is between a command and the machine.
pub(super) enum Walls {
    Jail(Jail),
    None { setpriv: Option<PathBuf> },
}

/// Names of the folders that a sandbox makes in the run's scratch folder.
pub(super) const OWN: [&str; 3] = ["home", "tmp", "etc"];

/// How a sandbox is to be.
pub(super) struct Plan {
    pub(super) walls: Walls,
    pub(super) paths: SandboxPaths,
    pub(super) isolation: Isolation,
    pub(super) env: BTreeMap<String, String>,
}

impl Plan {
    /// A jail where one can be made; none where that was accepted.
    pub(super) fn make(
        config: &LocalConfig,
        host: &Host,
        spec: &SandboxSpec,
    ) -> Result<Self, SandboxError> {
        let accepted = spec.environment.unsandboxed || config.accept_unsandboxed;
        match &host.jail {
            JailState::Works { program, covered, forbids_namespaces } => {
                let jail = Jail {
                    program: program.clone(),
                    covered: covered.clone(),
                    forbids_namespaces: *forbids_namespaces,
                    user: user(spec)?,
                    network: spec.environment.network == Network::Default,
                    links: Vec::new(),
                    mounts: Vec::new(),
                };
                jail_plan(config, spec, jail)
            }
            JailState::Fails { why, .. } if accepted => bare_plan(config, host, spec, why),
            JailState::Fails { why, fix } => Err(SandboxError::Unavailable {
                message: format!("no jail can be made on this machine: {why}"),
                hint: Some(format!(
                    "{fix}; or accept to run the agent without a jail, with your rights: \
                         `unsandboxed = true` in `[environment]`, or --unsandboxed"
                )),
            }),
        }
    }
}

/// Fills `jail` with what is seen inside.
fn jail_plan(config: &LocalConfig, spec: &SandboxSpec, jail: Jail) -> Result<Plan, SandboxError> {
    let failed = |error: io::Error| SandboxError::failed("making the jail's folders", error);
    let home = home_inside(&config.home);
    let [home_host, tmp, etc] = OWN.map(|name| spec.scratch.join(name));
    for folder in [&home_host, &tmp, &etc] {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let (links, system) = system_view();
    let mut mounts = Mounts::new(system, &spec.scratch);
    let mut wanted = super::etc::make(&etc, jail.user, &home).map_err(failed)?;
    wanted.push(Mount::writable(&tmp, "/tmp"));
    wanted.push(Mount::writable(&tmp, "/var/tmp"));
    wanted.push(Mount::writable(home_host, &home));
    for tool in &spec.environment.tools {
        wanted.push(tool_mount(tool, config)?);
    }
    for folder in SandboxPaths::FOLDERS {
        wanted.push(Mount::writable(spec.root.join(folder), Path::new(ROOT).join(folder)));
    }
    let objects = Path::new(ROOT).join(SandboxPaths::OBJECTS);
    for (n, folder) in spec.borrowed.iter().enumerate() {
        wanted.push(Mount::read_only(folder, objects.join(n.to_string())));
    }
    let paths = SandboxPaths { root: ROOT.into(), home: home.clone() };
    wanted.extend(cache_mounts(config, spec, &paths).map_err(failed)?);
    for mount in wanted {
        mounts.push(mount).map_err(failed)?;
    }
    let mounts = mounts.into_vec();
    let mut gaps = Vec::new();
    if jail.network {
        gaps.push("the jail shares this machine's network, its local ports included (`network = \"none\"` shuts it off)".to_owned());
    }
    let summary = format!(
        "a bubblewrap jail: own namespaces, no capabilities, {}",
        if jail.network { "the machine's network" } else { "no network" }
    );
    let path = visible_path(config, &mounts);
    let env = environment(spec, &home, Path::new("/tmp"), path);
    let jail = Jail { links, mounts, ..jail };
    let isolation = Isolation { summary, gaps, unsandboxed: false };
    Ok(Plan { walls: Walls::Jail(jail), paths, isolation, env })
}

/// No walls: the same folders, and the user's own rights.
fn bare_plan(
    config: &LocalConfig,
    host: &Host,
    spec: &SandboxSpec,
    why: &str,
) -> Result<Plan, SandboxError> {
    let failed = |error: io::Error| SandboxError::failed("making the sandbox's folders", error);
    let home = spec.scratch.join("home");
    let tmp = spec.scratch.join("tmp");
    for folder in [&home, &tmp] {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let objects = spec.root.join(SandboxPaths::OBJECTS);
    fs::create_dir_all(&objects).map_err(failed)?;
    for (n, folder) in spec.borrowed.iter().enumerate() {
        std::os::unix::fs::symlink(folder, objects.join(n.to_string())).map_err(failed)?;
    }
    if !spec.environment.cache.is_empty() || spec.environment.user.is_some() {
        let what = "`cache` or `user` without a jail";
        return Err(SandboxError::Unsupported { runtime: "local", what: what.into() });
    }
    let mut gaps =
        vec![format!("NO SANDBOX: the agent runs with your rights and sees your files ({why})")];
    if spec.environment.network == Network::None {
        gaps.push("the network is not shut off".into());
    }
    let path = config.path.to_string_lossy().into_owned();
    let env = environment(spec, &home, &tmp, path);
    let paths = SandboxPaths { root: spec.root.clone(), home };
    let summary = "none: processes with your own rights".to_owned();
    let isolation = Isolation { summary, gaps, unsandboxed: true };
    Ok(Plan { walls: Walls::None { setpriv: host.setpriv.clone() }, paths, isolation, env })
}

fn user(spec: &SandboxSpec) -> Result<User, SandboxError> {
    let Some(wanted) = &spec.environment.user else { return Ok(current_user()) };
    let (uid, gid) = wanted.split_once(':').unwrap_or((wanted, wanted));
    match (uid.parse(), gid.parse()) {
        (Ok(uid), Ok(gid)) => Ok(User { uid, gid }),
        _ => Err(SandboxError::Unsupported {
            runtime: "local",
            what: format!(
                "`user = \"{wanted}\"`: a jail knows numbers only, such as \"1000\" or \"1000:1000\""
            ),
        }),
    }
}

fn tool_mount(tool: &Path, config: &LocalConfig) -> Result<Mount, SandboxError> {
    let unsupported = |what: String| SandboxError::Unsupported { runtime: "local", what };
    let host = tool.canonicalize().map_err(|error| {
        unsupported(format!("`tools` names `{}`, which can't be read: {error}", tool.display()))
    })?;
    let shows_home = config.home.canonicalize().is_ok_and(|home| home.starts_with(&host));
    if host == Path::new("/") || shows_home {
        return Err(unsupported(format!(
            "`tools` names `{}`: all of your home would be seen; name the folders that are needed",
            tool.display()
        )));
    }
    let taken = [ROOT, "/tmp", "/proc", "/dev"].iter().any(|folder| tool.starts_with(folder));
    if taken {
        return Err(unsupported(format!(
            "`tools` names `{}`: the jail has its own there",
            tool.display()
        )));
    }
    Ok(Mount::read_only(host, tool))
}

fn cache_mounts(
    config: &LocalConfig,
    spec: &SandboxSpec,
    paths: &SandboxPaths,
) -> io::Result<Vec<Mount>> {
    let Some(cache) = &spec.cache else { return Ok(Vec::new()) };
    let mut mounts = Vec::new();
    for path in &cache.paths {
        let inside = path.below(&paths.home);
        let host = config.cache.join("volumes").join(&cache.key).join(volume_name(path.as_str()));
        fs::create_dir_all(&host)?;
        mounts.push(Mount::writable(host, inside));
    }
    Ok(mounts)
}

/// The user's `PATH` as far as it is seen inside, the usual folders behind it.
fn visible_path(config: &LocalConfig, mounts: &[Mount]) -> String {
    let seen = |folder: &Path| {
        folder.starts_with("/bin")
            || folder.starts_with("/sbin")
            || mounts.iter().any(|m| !m.writable && folder.starts_with(&m.inside))
    };
    let users = std::env::split_paths(&config.path).filter(|folder| seen(folder));
    let tools = mounts
        .iter()
        .filter(|m| !m.writable && m.inside.ends_with("bin"))
        .map(|m| m.inside.clone());
    let usual = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in users.chain(tools).chain(usual.map(PathBuf::from)) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    std::env::join_paths(folders)
        .map(|path| path.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn environment(
    spec: &SandboxSpec,
    home: &Path,
    tmp: &Path,
    path: String,
) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("PATH", path),
        ("HOME", home.display().to_string()),
        ("TMPDIR", tmp.display().to_string()),
        ("USER", "smelt".to_owned()),
        ("LOGNAME", "smelt".to_owned()),
        ("SHELL", "/bin/sh".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TERM", "dumb".to_owned()),
        (RUN_MARK, spec.labels.run.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    env.extend(spec.environment.env.iter().map(|(name, value)| (name.to_string(), value.clone())));
    env
}
