//! A folder to measure in, and how a command's time is taken.

use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder with a home and a state folder of its own.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("smelt-bench-").tempdir()?;
        let who =
            "[user]\n\tname = Bench\n\temail = bench@localhost\n[init]\n\tdefaultBranch = main\n";
        std::fs::write(folder.path().join(".gitconfig"), who)?;
        Ok(Self { folder })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `program`, in this folder, with this folder as its home.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub fn git(&self, folder: &Path, args: &[&str]) -> Result<()> {
        run(self.command("git").current_dir(folder).args(args))
    }

    /// `smelt run` on a manifest.
    pub fn smelt_run(&self, manifest: &Path) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_smelt"));
        command.arg("run").arg(manifest);
        command
    }

    /// A repository with a few files.
    pub fn small_repo(&self, name: &str) -> Result<PathBuf> {
        let repo = self.path().join(name);
        std::fs::create_dir(&repo)?;
        for n in 0..3 {
            std::fs::write(repo.join(format!("file{n}")), "text\n")?;
        }
        self.git(&repo, &["init", "--quiet"])?;
        self.git(&repo, &["add", "--all"])?;
        self.git(&repo, &["commit", "--quiet", "--message=base"])?;
        Ok(repo)
    }

    /// A manifest of one session on `repo`, whose agent is the shell command `agent`, in a jail.
    pub fn manifest(&self, name: &str, repo: &Path, agent: &str) -> Result<PathBuf> {
        self.manifest_in("runtime = \"local\"", name, repo, agent)
    }

    /// The same in another sandbox.
    pub fn manifest_in(
        &self,
        environment: &str,
        name: &str,
        repo: &Path,
        agent: &str,
    ) -> Result<PathBuf> {
        let path = self.path().join(format!("{name}.toml"));
        let text = format!(
            "[job]\nname = \"{name}\"\nrepo = \"{}\"\n\n[environment]\n{environment}\n\n\
             [orchestrator]\nkind = \"direct\"\ncommand = '''{agent}'''\n\n[[session]]\n\
             name = \"only\"\nspec = \"Work.\"\nharness = \"true\"\ntimeout = 600\n",
            repo.display()
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// Wall time of what `once` does: the median of `times` turns, after one that warms up.
pub fn median(times: usize, mut once: impl FnMut() -> Result<()>) -> Result<Duration> {
    once()?;
    let mut walls = Vec::with_capacity(times);
    for _ in 0..times {
        let started = Instant::now();
        once()?;
        walls.push(started.elapsed());
    }
    walls.sort();
    Ok(walls[times / 2])
}
