//! A jail (or, where that was accepted, none) as the engine sees it.

use super::LocalConfig;
use super::cgroup::Cgroup;
use super::exec::{self, Ending, Kind};
use super::host::Host;
use super::limits::Limits;
use super::plan::{OWN, Plan, Walls};
use super::processes::{self, EXEC_MARK, RUN_MARK};
use super::spawner::Spawner;
use crate::archive::{self, Feed, Feeds};
use async_trait::async_trait;
use command_fds::CommandFdExt;
use command_fds::FdMapping;
use smelt_core::port::{
    Command, Exit, Isolation, Output, Sandbox, SandboxError, SandboxPaths, SandboxSpec,
};
use smelt_core::tree::remove_tree;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncWrite};

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

impl LocalSandbox {
    pub(super) fn make(
        config: &LocalConfig,
        host: &Host,
        spec: &SandboxSpec,
    ) -> Result<Self, SandboxError> {
        let plan = Plan::make(config, host, spec)?;
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

#[async_trait]
impl Feeds for LocalSandbox {
    async fn run(
        &self,
        command: &Command,
        input: Feed<'_>,
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
        archive::exec(self, &command, output).await
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
        archive::upload(self, archive, at).await
    }

    async fn download(
        &self,
        path: &Path,
        into: &mut (dyn AsyncWrite + Send + Unpin),
        most: u64,
    ) -> Result<u64, SandboxError> {
        archive::download(self, path, into, most).await
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
