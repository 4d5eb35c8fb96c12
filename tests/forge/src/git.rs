//! The bare repository behind the service, and what its history says of a pull request.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The default branch.
pub(crate) const MAIN: &str = "main";

/// A bare repository.
#[derive(Clone, Debug)]
pub(crate) struct Bare {
    folder: PathBuf,
}

/// What lies between a base and a head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Difference {
    pub(crate) commits: u64,
    pub(crate) files: u64,
    pub(crate) additions: u64,
    pub(crate) deletions: u64,
}

/// `git` with nothing of the machine's own settings.
pub(crate) fn git_environment() -> Vec<(&'static str, std::ffi::OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    vec![
        ("PATH", path),
        ("LC_ALL", "C".into()),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        // The tests may run as another user than the one whose folder this is.
        ("GIT_CONFIG_COUNT", "1".into()),
        ("GIT_CONFIG_KEY_0", "safe.directory".into()),
        ("GIT_CONFIG_VALUE_0", "*".into()),
    ]
}

impl Bare {
    /// A new empty one that takes pushes.
    pub(crate) fn create(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("the repository has a folder");
        let bare = Self { folder };
        bare.must(&["init", "--quiet", "--bare", "--initial-branch", MAIN]);
        bare.must(&["config", "http.receivepack", "true"]);
        bare.must(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        bare
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every branch and the commit it is at.
    pub(crate) fn branches(&self) -> BTreeMap<String, String> {
        let listed = self.must(&[
            "for-each-ref",
            "--format=%(objectname) %(refname:lstrip=2)",
            "refs/heads",
        ]);
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(sha, name)| (name.to_owned(), sha.to_owned())).collect()
    }

    /// The commit that a branch, a tag or an id names.
    pub(crate) fn commit(&self, name: &str) -> Option<String> {
        let heads = [format!("refs/heads/{name}^{{commit}}"), format!("{name}^{{commit}}")];
        heads.iter().find_map(|name| self.ask(&["rev-parse", "--verify", "--quiet", name]))
    }

    /// Whether `older` is in the history of `newer`.
    pub(crate) fn holds(&self, newer: &str, older: &str) -> bool {
        self.run(&["merge-base", "--is-ancestor", older, newer]).status.success()
    }

    /// Where two histories part; nothing where they have nothing in common.
    pub(crate) fn merge_base(&self, base: &str, head: &str) -> Option<String> {
        self.ask(&["merge-base", base, head])
    }

    /// Whether git can merge `head` into `base`.
    pub(crate) fn mergeable(&self, base: &str, head: &str) -> bool {
        self.merged_tree(base, head).is_some()
    }

    /// What `head` has over `base`.
    pub(crate) fn difference(&self, base: &str, head: &str) -> Difference {
        let count = self.ask(&["rev-list", "--count", &format!("{base}..{head}")]);
        let numbers = self.ask(&["diff", "--numstat", &format!("{base}...{head}")]);
        let commits = count.and_then(|count| count.parse().ok()).unwrap_or(0);
        let mut difference = Difference { commits, ..Difference::default() };
        for line in numbers.iter().flat_map(|all| all.lines()) {
            let mut columns = line.split('\t').map(|column| column.parse::<u64>().unwrap_or(0));
            difference.files += 1;
            difference.additions += columns.next().unwrap_or(0);
            difference.deletions += columns.next().unwrap_or(0);
        }
        difference
    }

    /// Makes a merge commit on the branch `base`, as the service's button does.
    pub(crate) fn merge(&self, base: &str, head: &str, message: &str) -> String {
        let tip = self.commit(base).expect("the base branch exists");
        let tree = self.merged_tree(&tip, head).expect("the branches merge without conflicts");
        let commit = ["commit-tree", &tree, "-p", &tip, "-p", head, "-m", message];
        let commit = self.must(&commit);
        self.must(&["update-ref", &format!("refs/heads/{base}"), &commit, &tip]);
        commit
    }

    /// Writes one of the repository's own hooks.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        let path = self.folder.join("hooks").join(name);
        std::fs::create_dir_all(self.folder.join("hooks")).expect("the hooks have a folder");
        std::fs::write(&path, script).expect("the hook is written");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("the hook can be run");
    }

    /// Sets one of the repository's settings.
    pub(crate) fn configure(&self, key: &str, value: &str) {
        self.must(&["config", key, value]);
    }

    fn merged_tree(&self, base: &str, head: &str) -> Option<String> {
        let tree = self.ask(&["merge-tree", "--write-tree", base, head])?;
        tree.lines().next().map(str::to_owned)
    }

    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let someone = [
            ("GIT_AUTHOR_NAME", "A Human"),
            ("GIT_AUTHOR_EMAIL", "human@example.org"),
            ("GIT_COMMITTER_NAME", "The Forge"),
            ("GIT_COMMITTER_EMAIL", "forge@example.org"),
        ];
        let mut command = Command::new("git");
        command.env_clear().envs(git_environment()).envs(someone);
        command.current_dir(&self.folder).args(arguments).output().expect("git is there")
    }
}
