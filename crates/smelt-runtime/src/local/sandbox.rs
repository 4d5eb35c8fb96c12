//! A jail (or, where that was accepted, none) as the engine sees it.

use super::LocalConfig;
use super::cgroup::Cgroup;
use super::exec::{self, Ending, Kind};
use super::host::{Host, JailState, current_user, system_view};
use super::jail::{Jail, Mount, ROOT, User, home_inside};
use super::limits::Limits;
use super::mounts::Mounts;
use super::processes::{self, EXEC_MARK, RUN_MARK};
use super::spawner::Spawner;
use async_trait::async_trait;
use command_fds::CommandFdExt;
use command_fds::FdMapping;
use smelt_core::event::OutputStream;
use smelt_core::manifest::Network;
use smelt_core::port::{
    Command, Exit, ExitStatus, Input, Isolation, Output, Sandbox, SandboxError, SandboxPaths,
    SandboxSpec,
};
use smelt_core::tree::remove_tree;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Seek, Write};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// Descriptor by which bubblewrap tells of itself.
const STATUS_FD: i32 = 3;

/// Descriptor by which bubblewrap is told the variables inside.
const ENV_FD: i32 = 4;

/// A jail that a run's commands are put into.
pub(super) struct LocalSandbox {
    id: String,
    spawner: Spawner,
    isolation: Isolation,
    paths: SandboxPaths,
    limits: Limits,
    env: BTreeMap<String, String>,
    walls: Walls,
    /// Folders of the host that are this sandbox's own.
    own: Vec<PathBuf>,
}

enum Walls {
    Jail(Jail),
    None { setpriv: Option<PathBuf> },
}

impl LocalSandbox {
    pub(super) fn make(
        config: &LocalConfig,
        host: &Host,
        spec: &SandboxSpec,
    ) -> Result<Self, SandboxError> {
        let accepted = spec.environment.unsandboxed || config.accept_unsandboxed;
        let plan = match &host.jail {
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
                jail_plan(config, spec, jail)?
            }
            JailState::Fails { why, .. } if accepted => bare_plan(config, host, spec, why)?,
            JailState::Fails { why, fix } => {
                return Err(SandboxError::Unavailable {
                    message: format!("no jail can be made on this machine: {why}"),
                    hint: Some(format!(
                        "{fix}; or accept to run the agent without a jail, with your rights: \
                         `unsandboxed = true` in `[environment]`, or --unsandboxed"
                    )),
                });
            }
        };
        let limits = Limits::set(host, &spec.labels.run, &spec.environment.resources)?;
        let doors = limits.cgroup.as_ref().map(Cgroup::doors_for_threads).unwrap_or_default();
        let spawner = Spawner::start(doors)
            .map_err(|error| SandboxError::failed("entering the control groups", error))?;
        let mut sandbox = Self {
            id: spec.scratch.display().to_string(),
            spawner,
            isolation: plan.isolation,
            paths: plan.paths,
            limits,
            env: plan.env,
            walls: plan.walls,
            own: OWN.iter().map(|name| spec.scratch.join(name)).collect(),
        };
        sandbox.isolation.gaps.append(&mut sandbox.limits.gaps);
        Ok(sandbox)
    }

    async fn run(
        &self,
        command: &Command,
        input: Option<&mut (dyn AsyncRead + Send + Unpin)>,
        output: &mut dyn Output,
    ) -> Result<Exit, SandboxError> {
        let failed = |source: io::Error| SandboxError::failed("starting a command", source);
        let kills = self.out_of_memory_kills();
        let (argv, kind, descriptors) = match &self.walls {
            Walls::Jail(jail) => {
                let mut argv = vec![jail.program.clone().into_os_string()];
                argv.extend(jail.arguments(&command.folder, STATUS_FD, ENV_FD));
                let (reader, writer) = io::pipe().map_err(failed)?;
                let env = self.env_arguments(command).map_err(failed)?;
                let descriptors = vec![
                    FdMapping { parent_fd: writer.into(), child_fd: STATUS_FD },
                    FdMapping { parent_fd: env, child_fd: ENV_FD },
                ];
                (argv, Kind::Jailed(reader.into()), descriptors)
            }
            Walls::None { setpriv } => {
                // Should Smelt be killed, at least the command itself is too.
                let with_parent = setpriv.iter().flat_map(|program| {
                    [
                        program.as_os_str(),
                        OsStr::new("--pdeathsig"),
                        OsStr::new("KILL"),
                        OsStr::new("--"),
                    ]
                });
                let argv = with_parent.map(OsStr::to_owned).collect();
                (argv, Kind::Bare { mark: uuid::Uuid::new_v4().to_string() }, Vec::new())
            }
        };
        let inside =
            self.limits.prefix.iter().cloned().chain(command.argv.iter().map(OsString::from));
        let argv: Vec<_> = self.through_door(argv).into_iter().chain(inside).collect();
        let Some((program, arguments)) = argv.split_first() else {
            return Err(failed(io::Error::other("there is no command")));
        };
        let mut process = tokio::process::Command::new(program);
        process.args(arguments).env_clear();
        // By these the processes of a run, and of one command, are found again.
        process.env(RUN_MARK, self.env.get(RUN_MARK).map_or("", String::as_str));
        if let Kind::Bare { mark } = &kind {
            process.current_dir(&command.folder).envs(&self.env).env(EXEC_MARK, mark);
            process.envs(command.env.iter().map(|(name, value)| (name, value.expose())));
        }
        process.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        process.stdout(Stdio::piped()).stderr(Stdio::piped());
        // The terminal's Ctrl-C is for Smelt, which then asks the command itself.
        process.process_group(0);
        process.fd_mappings(descriptors).map_err(|clash| failed(io::Error::other(clash)))?;
        let child = self.spawner.spawn(process).await.map_err(failed)?;
        let ending =
            Ending { timeout: command.timeout, stop: command.stop.clone(), grace: command.grace };
        let status = exec::carry(child, kind, ending, input, output).await?;
        Ok(Exit { status, out_of_memory: self.out_of_memory_kills() > kills })
    }

    /// The variables inside, as further arguments that bubblewrap reads from a descriptor: they are
    /// in no command line, and not in the environment of anything on the host's side of the wall,
    /// where some of them would change what is loaded.
    fn env_arguments(&self, command: &Command) -> io::Result<OwnedFd> {
        let memory = rustix::fs::memfd_create("smelt-env", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut file = fs::File::from(memory);
        let own = self.env.iter().map(|(name, value)| (name, value.as_str()));
        let given = command.env.iter().map(|(name, value)| (name, value.expose()));
        for (name, value) in own.chain(given) {
            write!(file, "--setenv\0{name}\0{value}\0")?;
        }
        file.rewind()?;
        Ok(file.into())
    }

    /// `argv`, started by a shell that first enters the control group, where a process has to do so
    /// by itself: then nothing of it was ever outside.
    fn through_door(&self, argv: Vec<OsString>) -> Vec<OsString> {
        let Some(door) = self.limits.cgroup.as_ref().and_then(Cgroup::door_for_processes) else {
            return argv;
        };
        let script = r#"echo $$ > "$0" && exec "$@""#;
        let shell = ["/bin/sh", "-c", script].map(OsString::from).into_iter();
        shell.chain([door.into_os_string()]).chain(argv).collect()
    }

    fn out_of_memory_kills(&self) -> u64 {
        self.limits.cgroup.as_ref().map_or(0, Cgroup::out_of_memory_kills)
    }
}

/// Names of the folders that a sandbox makes in the run's scratch folder.
const OWN: [&str; 3] = ["home", "tmp", "etc"];

struct Plan {
    walls: Walls,
    paths: SandboxPaths,
    isolation: Isolation,
    env: BTreeMap<String, String>,
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

/// A file name for a path; no other path has the same.
fn volume_name(path: &str) -> String {
    let mut name = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => name.push(char::from(byte)),
            other => name.push_str(&format!("_{other:02x}")),
        }
    }
    name
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

#[async_trait]
impl Sandbox for LocalSandbox {
    fn id(&self) -> &str {
        &self.id
    }

    fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    fn paths(&self) -> &SandboxPaths {
        &self.paths
    }

    async fn exec(&self, command: Command, output: &mut dyn Output) -> Result<Exit, SandboxError> {
        match &command.input {
            Input::Closed => self.run(&command, None, output).await,
            Input::Bytes(bytes) => {
                let mut bytes: &[u8] = bytes;
                self.run(&command, Some(&mut bytes), output).await
            }
        }
    }

    async fn upload(
        &self,
        archive: &mut (dyn AsyncRead + Send + Unpin),
        at: &Path,
    ) -> Result<(), SandboxError> {
        if self.isolation.unsandboxed
            && !at.starts_with(&self.paths.root)
            && !at.starts_with(&self.paths.home)
        {
            let what = format!("putting files into `{}` without a jail", at.display());
            return Err(SandboxError::Unsupported { runtime: "local", what });
        }
        // Unpacked inside: whatever links are there, they lead nowhere else.
        let script = r#"mkdir -p -- "$1" && exec tar --extract --no-same-owner --no-overwrite-dir --file - --directory "$1""#;
        let at = at.to_string_lossy();
        let command = Command::shell(script, [&*at], "/");
        let mut said = Said::default();
        let exit = self.run(&command, Some(archive), &mut said).await?;
        said.must_succeed(exit, "unpacking files in the sandbox")
    }

    async fn download(
        &self,
        path: &Path,
        into: &mut (dyn AsyncWrite + Send + Unpin),
        most: u64,
    ) -> Result<u64, SandboxError> {
        let script =
            r#"cd -- "$(dirname -- "$1")" && exec tar --create --file - -- "$(basename -- "$1")""#;
        let path = path.to_string_lossy();
        let command = Command::shell(script, [&*path], "/");
        let mut copy = Copy { into, written: 0, most, problem: None, said: Said::default() };
        let exit = self.run(&command, None, &mut copy).await?;
        let what = "archiving files of the sandbox";
        if let Some(problem) = copy.problem {
            return Err(SandboxError::failed(what, problem));
        }
        if exit.status == ExitStatus::Refused {
            return Err(SandboxError::failed(what, format!("they are more than {most} bytes")));
        }
        copy.said.must_succeed(exit, what)?;
        Ok(copy.written)
    }

    async fn destroy(&self) -> Result<(), SandboxError> {
        let failed = |error: io::Error| SandboxError::failed("removing the jail", error);
        if !processes::kill_marked(RUN_MARK, self.env.get(RUN_MARK).map_or("", String::as_str)) {
            return Err(failed(io::Error::other("some of its processes go on")));
        }
        self.spawner.end();
        if let Some(cgroup) = &self.limits.cgroup {
            cgroup.remove().await.map_err(failed)?;
        }
        let own = self.own.clone();
        let removed =
            tokio::task::spawn_blocking(move || own.iter().try_for_each(|f| remove_tree(f)));
        removed.await.map_err(io::Error::other).flatten().map_err(failed)
    }
}

/// Keeps the last of what a command says on standard error.
#[derive(Default)]
struct Said(Vec<u8>);

impl Said {
    fn must_succeed(&self, exit: Exit, what: &str) -> Result<(), SandboxError> {
        if exit.success() {
            return Ok(());
        }
        let said = smelt_core::text::clean_text(&String::from_utf8_lossy(&self.0));
        // The first complaint is the cause of the others.
        let first = said.lines().next().unwrap_or_default();
        Err(SandboxError::failed(what, format!("{exit}: {first}")))
    }
}

#[async_trait]
impl Output for Said {
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        if stream == OutputStream::Stderr {
            self.0.extend_from_slice(bytes);
            let surplus = self.0.len().saturating_sub(4096);
            self.0.drain(..surplus);
        }
        ControlFlow::Continue(())
    }
}

/// Copies standard output on, up to a limit.
struct Copy<'a> {
    into: &'a mut (dyn AsyncWrite + Send + Unpin),
    written: u64,
    most: u64,
    problem: Option<io::Error>,
    said: Said,
}

#[async_trait]
impl Output for Copy<'_> {
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        if stream == OutputStream::Stderr {
            return self.said.write(stream, bytes).await;
        }
        if self.written + bytes.len() as u64 > self.most {
            return ControlFlow::Break(());
        }
        self.written += bytes.len() as u64;
        match self.into.write_all(bytes).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(problem) => {
                self.problem = Some(problem);
                ControlFlow::Break(())
            }
        }
    }
}
