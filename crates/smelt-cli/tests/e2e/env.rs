//! A folder with a home, a repository, and the program.

use smelt_testing::{Home, TestRepo};
use smelt_testing_kubernetes::ScriptedCluster;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One test's surroundings.
pub struct TestEnv {
    home: Home,
    program: PathBuf,
    /// Keys of `[environment]` that make the sandbox of jobs.
    sandbox: &'static str,
    /// Where its pods are, with the file that leads there.
    cluster: Option<(ScriptedCluster, PathBuf)>,
}

/// Adds keys to a section of a manifest.
pub fn amend(manifest: &Path, section: &str, keys: &str) {
    let text = std::fs::read_to_string(manifest).unwrap();
    std::fs::write(manifest, text.replace(section, &format!("{section}\n{keys}"))).unwrap();
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// The same, after making sure of the exit code.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program: its copy in the test's own folder, where an ordinary user is to run it.
fn program(home: &Home) -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_smelt"));
    if home.account().is_none() {
        return built;
    }
    let path = home.path().join("smelt");
    if std::fs::hard_link(&built, &path).is_err() {
        std::fs::copy(&built, &path).unwrap();
    }
    path
}

impl TestEnv {
    /// One whose jobs run in jails.
    pub fn new() -> Self {
        let home = Home::new();
        let program = program(&home);
        Self { home, program, sandbox: "runtime = \"local\"", cluster: None }
    }

    /// One whose jobs run in containers of the test image.
    pub fn docker() -> Self {
        let sandbox = "runtime = \"docker\"\nimage = \"smelt-test/base\"\npull = \"never\"";
        Self { sandbox, ..Self::new() }
    }

    /// One whose jobs run in containers that Compose makes, with services beside them.
    pub fn compose() -> Self {
        let sandbox = "runtime = \"compose\"\nimage = \"smelt-test/postgres\"\npull = \"never\"";
        Self { sandbox, ..Self::new() }
    }

    /// One whose jobs run in pods of this cluster.
    pub fn kubernetes(cluster: ScriptedCluster) -> Self {
        let env = Self::new();
        // Its own file is for whoever runs the tests.
        let kubeconfig = std::fs::read(cluster.kubeconfig()).unwrap();
        let kubeconfig = env.write("home/.kube/scripted", kubeconfig);
        let sandbox = "runtime = \"kubernetes\"\nimage = \"agent:1\"\n\n\
                       [kubernetes]\nnamespace = \"smelt\"";
        Self { sandbox, cluster: Some((cluster, kubeconfig)), ..env }
    }

    /// The cluster that its pods are in.
    pub fn cluster(&self) -> &ScriptedCluster {
        &self.cluster.as_ref().expect("a cluster").0
    }

    /// Keys of `[environment]` that make the sandbox of jobs.
    pub fn sandbox(&self) -> &str {
        self.sandbox
    }

    /// Whether jobs run in containers.
    pub fn is_docker(&self) -> bool {
        self.sandbox.contains("image") && self.cluster.is_none()
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// A repository called `repo`, with one commit on `main`.
    pub fn repo(&self) -> TestRepo<'_> {
        TestRepo::new(&self.home, "repo")
    }

    /// Writes a file below the test's folder.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        self.home.write(path, text)
    }

    /// `smelt`, to be run in the test's folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(&self.program);
        command.args(args);
        command.envs(self.cluster.iter().map(|(_, kubeconfig)| ("KUBECONFIG", kubeconfig)));
        command
    }

    /// Writes the manifest of a job on the repository `repo`, whose agent is the shell
    /// command `agent`; `rest` are further sections, the sessions among them.
    pub fn manifest(&self, name: &str, agent: &str, rest: &str) -> PathBuf {
        let agent = agent.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let text = format!(
            "[job]\nname = \"{name}\"\nrepo = \"repo\"\n\n[environment]\n{}\n\n\
             [orchestrator]\nkind = \"direct\"\ncommand = \"{agent}\"\n\n{rest}",
            self.sandbox
        );
        self.write(&format!("{name}.toml"), text)
    }

    /// Runs a manifest to its end.
    pub fn run(&self, manifest: &Path) -> Said {
        self.smelt(&["run", manifest.to_str().unwrap()])
    }

    /// What `smelt status --json` tells of a job.
    pub fn status(&self, job: &str) -> serde_json::Value {
        let said = self.smelt(&["status", job, "--json"]).with_code(0);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// Makes sure that a run has left no process, no folder, no worktree and no control group.
    #[track_caller]
    pub fn nothing_is_left(&self, repo: &TestRepo<'_>) {
        let left = walk(&self.home.home().join(".cache/smelt/scratch"));
        assert!(left.is_empty(), "left in the scratch folder: {left:?}");
        let worktrees = repo.git(&["worktree", "list"]);
        assert!(!worktrees.contains(".cache"), "{worktrees}");
        let runs = self.run_ids();
        let marks: Vec<_> = runs.iter().map(|run| format!("SMELT_RUN_ID={run}")).collect();
        let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let marked = |variable: &[u8]| marks.iter().any(|mark| mark.as_bytes() == variable);
            environment.split(|byte| *byte == 0).any(marked)
        });
        let processes: Vec<_> = processes.map(|entry| entry.path()).collect();
        assert!(processes.is_empty(), "still running: {processes:?}");
        for controller in ["memory", "pids", "cpu"] {
            for run in &runs {
                let group = PathBuf::from(format!("/sys/fs/cgroup/{controller}/smelt-{run}"));
                assert!(!group.exists(), "control group left: {}", group.display());
            }
        }
        for run in runs.iter().filter(|_| self.is_docker()) {
            let left = docker_things(&format!("smelt.run={run}"));
            assert!(left.is_empty(), "left in the engine: {left:?}");
        }
        if let Some((cluster, _)) = &self.cluster {
            let left = (cluster.pods(), cluster.network_policies());
            assert_eq!(left, (vec![], vec![]), "left in the cluster");
        }
    }

    /// The ids of all runs that have been made here.
    pub fn run_ids(&self) -> Vec<String> {
        let folders = |path: &Path| {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
        };
        let jobs = folders(&self.path().join(".smelt/runs"));
        let runs = jobs.iter().flat_map(|job| folders(job));
        runs.filter_map(|run| Some(run.file_name()?.to_str()?.to_owned())).collect()
    }

    /// Runs `smelt`.
    pub fn smelt(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }
}

/// All that is in a folder, however deep.
pub fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|entry| std::iter::once(entry.path()).chain(walk(&entry.path()))).collect()
}

/// A session of a manifest: its name, its gate, and further keys.
pub fn session(name: &str, gate: &str, more: &str) -> String {
    format!(
        "[[session]]\nname = \"{name}\"\nspec = \"Do {name}.\"\nharness = '''{gate}'''\n\
         timeout = 60\n{more}\n"
    )
}

/// Puts the folder `examples` into a repository, as it is.
pub fn copy_examples(repo: &TestRepo<'_>) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for path in walk(&examples).iter().filter(|path| path.is_file()) {
        let below = path.strip_prefix(&examples).unwrap();
        repo.write(&format!("examples/{}", below.display()), std::fs::read(path).unwrap());
    }
    repo.commit("Examples");
}

/// What the engine has with a label: containers, networks, volumes.
pub fn docker_things(label: &str) -> Vec<String> {
    let filter = format!("label={label}");
    let list = |words: &[&str]| {
        let output = Command::new("docker").args(words).args(["-q", "--filter", &filter]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|id| format!("{} {id}", words[0])).collect::<Vec<_>>()
    };
    [&["ps", "-a"][..], &["network", "ls"], &["volume", "ls"]].into_iter().flat_map(list).collect()
}
