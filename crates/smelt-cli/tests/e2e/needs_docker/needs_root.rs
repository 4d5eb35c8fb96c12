//! What only root can set up: an engine of the test's own, and a disk that is soon full.

use crate::env::{Said, TestEnv, session};
use crate::running::{Running, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An engine beside the machine's own, which a test may stop.
struct Engine {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Engine {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("smelt-engine-").tempdir().unwrap();
        // Ordinary users reach the socket in it.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everybody).unwrap();
        let mut engine = Self { folder, child: None };
        engine.resume();
        let save = "docker save smelt-test/base | docker -H \"$1\" load";
        let status = Command::new("sh")
            .args(["-c", save, "sh", &engine.host()])
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        engine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["-H", &self.host()]).args(args).stderr(Stdio::null());
        command
    }

    /// Starts it, also once more.
    fn resume(&mut self) {
        // Without a bridge of its own it removes the machine's: it is given a network of its own.
        let mut command = Command::new("unshare");
        command.args(["--net", "dockerd"]);
        // What the machine's own is configured with is not this one's.
        std::fs::write(self.path("config.json"), "{}").unwrap();
        for (option, name) in [
            ("--config-file", "config.json"),
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(self.path(name));
        }
        let driver = super::docker(&["info", "--format", "{{.Driver}}"]);
        command.args(["-H", &self.host(), "-G", "docker", "--storage-driver", &driver]);
        command.args(["--bridge=none", "--iptables=false", "--ip-masq=false"]);
        let log = std::fs::File::create(self.path("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        wait_until("an engine that answers", || {
            self.docker(&["version"]).stdout(Stdio::null()).status().unwrap().success()
        });
    }

    /// Asks it to end, and waits until it has.
    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            child.wait().unwrap();
        }
    }

    fn things(&self) -> String {
        let list = |words: &[&str]| {
            let output = self.docker(words).args(["-q", "--filter", "label=smelt.run"]).output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        list(&["ps", "-a"]) + &list(&["network", "ls"]) + &list(&["volume", "ls"])
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
        // What it may have left mounted, the deepest first.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = |line: &&str| line.contains(&self.folder.path().display().to_string());
        for line in mounts.lines().filter(own).rev() {
            let target = line.split(' ').nth(1).unwrap_or_default();
            let _ = Command::new("umount").args(["-l", target]).status();
        }
    }
}

fn smelt(env: &TestEnv, host: &str, args: &[&str]) -> Said {
    env.command(args).env("DOCKER_HOST", host).output().unwrap().into()
}

#[test]
fn an_engine_that_is_stopped_costs_no_work_and_clean_tidies_up_when_it_is_back() {
    let mut engine = Engine::start();
    let env = super::env();
    let repo = env.repo();
    let agent = "echo work > work.txt; sync; echo ready; sleep 600";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    let host = engine.host();
    let running = Running::start_with(&env, &manifest, |c| c.env("DOCKER_HOST", &host));
    assert!(!engine.things().is_empty());
    engine.stop();
    let said = running.end().with_code(69);
    assert!(said.stdout.contains("the Docker engine failed"), "{}", said.stdout);
    assert!(said.stdout.contains("is it still running?"), "{}", said.stdout);
    // What the agent had written is where the summary says.
    let still = said.stdout.lines().find_map(|line| line.split("is still in ").nth(1));
    let (scratch, _) = still.expect(&said.stdout).split_once(": look there").unwrap();
    let work = Path::new(scratch).join("root/workspace/work.txt");
    assert_eq!(std::fs::read_to_string(work).unwrap(), "work\n");
    repo.git(&["fsck", "--strict"]);

    // While it is away, what it has can't be removed, and that is said.
    let cleaned = smelt(&env, &host, &["clean"]).with_code(1);
    assert!(cleaned.stderr.contains("docker"), "{}", cleaned.stderr);
    engine.resume();
    smelt(&env, &host, &["clean"]).with_code(0);
    assert_eq!(engine.things(), "");
    env.nothing_is_left(&repo);
}

/// A small disk, mounted for as long as it is used.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0777"), "smelt-test"]).arg(at);
        assert!(mount.status().unwrap().success());
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn an_agent_that_fills_the_disk_is_told_so_and_the_repository_is_whole() {
    let env = super::env();
    let repo = env.repo();
    let disk = SmallDisk::mount(&env.path().join("small"), "24M");
    env.home().give(&disk.0);
    let agent =
        "echo work > work.txt; head -c 100000000 /dev/urandom > big.bin; echo ended with $?; true";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    let mut command = env.command(&["run", manifest.to_str().unwrap()]);
    let said: Said = command.env("XDG_CACHE_HOME", &disk.0).output().unwrap().into();
    let said = said.with_code(1);
    assert!(said.stdout.contains("No space left on device"), "{}", said.stdout);
    repo.git(&["fsck", "--strict"]);
    assert!(!repo.refs().contains("refs/heads/smelt"));
    assert_eq!(crate::env::walk(&disk.0.join("smelt/scratch")), Vec::<PathBuf>::new());
    env.nothing_is_left(&repo);
}
