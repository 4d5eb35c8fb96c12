//! A workspace without a sandbox around it: git runs in it as a sandbox's would.

use smelt_core::git::{
    self, Base, Git, Identity, Limits, Objects, Oid, Quarantine, QuarantineError, Repository,
    RepositoryError, WorkspacePlan,
};
use smelt_core::id::RunId;
use smelt_testing::{Home, TestRepo};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Job<'a> {
    pub home: &'a Home,
    pub run: RunId,
    pub repository: Repository,
    pub base: Base,
    pub scratch: PathBuf,
}

pub fn git_of(home: &Home) -> Git {
    Git::new("git", home.environment())
}

pub fn run_id() -> RunId {
    RunId::new(jiff::Timestamp::now())
}

impl<'a> Job<'a> {
    pub async fn open(home: &'a Home, path: &Path, base: &str) -> Result<Self, RepositoryError> {
        let repository = Repository::open(&git_of(home), path).await?;
        let base = repository.resolve_base(base).await?;
        repository.check_complete(&base.commit).await?;
        let run = run_id();
        let scratch = home.path().join(format!("scratch-{run}"));
        std::fs::create_dir_all(scratch.join("root/workspace")).unwrap();
        let pin = git::refs::base(&run);
        let commit = base.commit.as_str();
        repository.git().args(["update-ref", "--no-deref", &pin, commit, ""]).run().await.unwrap();
        Ok(Self { home, run, repository, base, scratch })
    }

    /// Makes the workspace and checks it out, as a sandbox does.
    pub async fn workspace(&self, objects: Objects) -> TestRepo<'a> {
        let plan = WorkspacePlan {
            run: &self.run,
            base: &self.base,
            branch: self.base.branch.as_deref().unwrap_or("smelt-base"),
            objects: objects.clone(),
            identity: Identity::of(&self.repository).await,
            excluded: &[],
        };
        let root = self.scratch.join("root");
        git::create_workspace(&self.repository, &root.join("workspace"), &plan).await.unwrap();
        if let Objects::Borrowed(_) = objects {
            std::fs::create_dir_all(root.join("objects")).unwrap();
            for (n, folder) in self.repository.objects().iter().enumerate() {
                std::os::unix::fs::symlink(folder, root.join(format!("objects/{n}"))).unwrap();
            }
        }
        let workspace = TestRepo::at(self.home, root.join("workspace"));
        workspace.git(&["checkout", "--quiet", "--force"]);
        workspace
    }

    pub fn borrowed(&self) -> Objects {
        Objects::Borrowed(self.repository.objects().len())
    }

    pub async fn quarantine(&self, limits: Limits) -> Quarantine {
        let path = self.scratch.join("quarantine.git");
        let git = git_of(self.home);
        Quarantine::create(&git, &self.repository, &self.base.commit, &path, limits).await.unwrap()
    }

    /// Bundles refs of the workspace as the sandbox does, and takes them in.
    pub async fn take_out(
        &self,
        workspace: &TestRepo<'_>,
        refs: &[&str],
    ) -> Result<(Quarantine, Vec<Oid>), QuarantineError> {
        let bundle = self.scratch.join("out.bundle");
        let path = bundle.to_str().unwrap();
        let exclude = format!("^{}", self.base.commit);
        workspace.git(&[&["bundle", "create", "--quiet", path, &exclude], refs].concat());
        self.take_in(&bundle, refs).await
    }

    pub async fn take_in(
        &self,
        bundle: &Path,
        refs: &[&str],
    ) -> Result<(Quarantine, Vec<Oid>), QuarantineError> {
        let quarantine = self.quarantine(Limits::default()).await;
        let refs: Vec<_> = refs.iter().map(|name| (*name).to_owned()).collect();
        let commits = quarantine.take_in(bundle, &refs).await?;
        Ok((quarantine, commits))
    }
}

/// Every file of a folder but `skip`, with what stands for its content: what must not change.
pub fn snapshot(folder: &Path, skip: &[&str]) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    let mut next = vec![folder.to_owned()];
    while let Some(folder_now) = next.pop() {
        for entry in std::fs::read_dir(folder_now).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(folder).unwrap();
            if skip.iter().any(|skip| below.starts_with(skip)) {
                continue;
            }
            let kind = std::fs::symlink_metadata(&path).unwrap();
            if kind.is_dir() {
                next.push(path);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                files.insert(below.to_owned(), digest(target.to_string_lossy().as_bytes()));
            } else {
                files.insert(below.to_owned(), digest(&std::fs::read(&path).unwrap()));
            }
        }
    }
    files
}

fn digest(content: &[u8]) -> u64 {
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// A command that must succeed; returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
