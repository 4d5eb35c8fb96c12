//! What a result changes, as a reviewer wants to see it: its commits, and its files by kind.

use crate::git::{GitError, Invocation, Oid};
use crate::secret::Redactor;
use serde::Serialize;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Commits that are listed; a result with more tells how many there are.
const MOST_COMMITS: usize = 100;

/// Files that are listed, besides those of CI.
const MOST_FILES: usize = 2000;

/// What a result changes since its base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Its commits, the newest first; not all where there are very many.
    pub commits: Vec<Commit>,
    /// The files that differ, by path; not all where there are very many.
    pub files: Vec<FileChange>,
    /// How many files differ.
    pub files_total: u64,
}

/// A commit of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// Its id, in full.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

/// A file that a result changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path, from the top of the repository.
    pub path: String,
    /// What it is for.
    pub kind: FileKind,
    /// What became of it.
    pub change: Change,
    /// Lines added; none where it is binary.
    pub insertions: Option<u64>,
    /// Lines removed; none where it is binary.
    pub deletions: Option<u64>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is another than before.
    Modified,
    /// It is gone.
    Deleted,
    /// It is a link, or became one.
    Link,
    /// It is a submodule, or became one.
    Submodule,
}

impl Change {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::Link => "symbolic link",
            Self::Submodule => "submodule",
        }
    }

    /// From a record of `git diff --raw`: modes of git's trees, and a status letter.
    fn of(new_mode: &str, status: &str) -> Self {
        match (new_mode, status) {
            (_, "D") => Self::Deleted,
            ("120000", _) => Self::Link,
            ("160000", _) => Self::Submodule,
            (_, "A") => Self::Added,
            _ => Self::Modified,
        }
    }
}

/// What a file is for, told by its path. In the order in which a reviewer should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// It decides what build servers run.
    Ci,
    /// It decides which code of others is used.
    Dependencies,
    /// The program itself, and whatever is of no other kind.
    Source,
    /// Tests.
    Tests,
    /// Documentation.
    Docs,
}

impl FileKind {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::Ci, Self::Dependencies, Self::Source, Self::Tests, Self::Docs];

    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ci => "CI",
            Self::Dependencies => "dependencies",
            Self::Source => "source",
            Self::Tests => "tests",
            Self::Docs => "documentation",
        }
    }

    /// The kind of the file at `path`.
    pub fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let in_folder = |names: &[&str]| folder.split('/').any(|part| names.contains(&part));
        if is_ci(&path, folder, name) {
            return Self::Ci;
        }
        if DEPENDENCIES.contains(&name)
            || (name.starts_with("requirements") && name.ends_with(".txt"))
        {
            return Self::Dependencies;
        }
        let stem = name.split('.').next().unwrap_or(name);
        let by_name = ["test_", "test-"].iter().any(|start| name.starts_with(start))
            || ["_test", "-test", "_spec"].iter().any(|end| stem.ends_with(end))
            || [".test.", ".spec."].iter().any(|part| name.contains(part));
        if by_name || in_folder(&["test", "tests", "__tests__", "spec", "testdata", "fixtures"]) {
            return Self::Tests;
        }
        let texts = [".md", ".rst", ".adoc", ".txt"];
        if in_folder(&["doc", "docs"]) || texts.iter().any(|end| name.ends_with(end)) {
            return Self::Docs;
        }
        Self::Source
    }
}

/// Files that say which packages are used.
const DEPENDENCIES: [&str; 22] = [
    "build.gradle",
    "build.gradle.kts",
    "bun.lockb",
    "cargo.lock",
    "cargo.toml",
    "composer.json",
    "composer.lock",
    "flake.lock",
    "gemfile",
    "gemfile.lock",
    "go.mod",
    "go.sum",
    "package-lock.json",
    "package.json",
    "pipfile",
    "pipfile.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pom.xml",
    "pyproject.toml",
    "uv.lock",
    "yarn.lock",
];

/// Folders and files from which build servers take what they run.
fn is_ci(path: &str, folder: &str, name: &str) -> bool {
    let folders = [".github/", ".forgejo/", ".gitea/", ".circleci/", ".buildkite/", ".woodpecker/"];
    // Issue templates and the like run nothing.
    let runs = |rest: &str| rest.starts_with("workflows/") || rest.starts_with("actions/");
    let in_folder = folders.iter().any(|folder| match path.strip_prefix(folder) {
        Some(rest) if matches!(*folder, ".github/" | ".forgejo/" | ".gitea/") => runs(rest),
        Some(_) => true,
        None => false,
    });
    let files = [
        ".appveyor.yml",
        ".cirrus.yml",
        ".drone.yml",
        ".gitlab-ci.yml",
        ".travis.yml",
        ".woodpecker.yaml",
        ".woodpecker.yml",
        "appveyor.yml",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        "jenkinsfile",
    ];
    in_folder
        || (folder.is_empty() && files.contains(&name))
        // What workflows use from within the repository.
        || matches!(name, "action.yml" | "action.yaml")
}

impl Changes {
    /// What `commit` changes since `base`. `git` makes calls in a repository that holds both.
    ///
    /// # Errors
    /// Where git fails.
    pub async fn between(
        git: impl Fn() -> Invocation,
        base: &Oid,
        commit: &Oid,
    ) -> Result<Self, GitError> {
        let (commits, files) =
            tokio::try_join!(commits(git(), base, commit), files(git(), base, commit))?;
        let (files, files_total) = files;
        Ok(Self { commits, files, files_total })
    }

    /// The same without secrets.
    #[must_use]
    pub fn redacted(&self, redactor: &Redactor) -> Self {
        let mut changes = self.clone();
        for commit in &mut changes.commits {
            commit.subject = redactor.redact(&commit.subject).into_owned();
        }
        for file in &mut changes.files {
            file.path = redactor.redact(&file.path).into_owned();
        }
        changes
    }

    /// The files of `kind`.
    pub fn of_kind(&self, kind: FileKind) -> impl Iterator<Item = &FileChange> {
        self.files.iter().filter(move |file| file.kind == kind)
    }
}

async fn commits(git: Invocation, base: &Oid, commit: &Oid) -> Result<Vec<Commit>, GitError> {
    let most = format!("--max-count={MOST_COMMITS}");
    let log = git.args(["log", "-z", "--no-show-signature", "--format=%H %s", &most]);
    let mut commits = Vec::new();
    let each = |record: &[u8]| {
        let line = String::from_utf8_lossy(record);
        if let Some((id, subject)) = line.split_once(' ') {
            commits.push(Commit { id: id.to_owned(), subject: subject.to_owned() });
        }
        ControlFlow::Continue(())
    };
    log.args([format!("{base}..{commit}").as_str(), "--"]).records(0, each).await?;
    Ok(commits)
}

/// The files that differ, and how many there are.
async fn files(
    git: Invocation,
    base: &Oid,
    commit: &Oid,
) -> Result<(Vec<FileChange>, u64), GitError> {
    let diff = git
        .args(["diff-tree", "-r", "-z", "--raw", "--numstat", "--no-ext-diff", "--no-textconv"])
        .args(["--no-renames", base.as_str(), commit.as_str()]);
    let (mut files, mut total) = (Vec::<FileChange>::new(), 0);
    let mut raw: Option<Change> = None;
    let (mut others, mut places) = (0, HashMap::new());
    let each = |record: &[u8]| {
        let text = String::from_utf8_lossy(record);
        if let Some(change) = raw.take() {
            total += 1;
            let (path, kind) = (text.clone().into_owned(), FileKind::of(&text));
            // However many others there are, what runs in CI is seen.
            if kind == FileKind::Ci || others < MOST_FILES {
                others += usize::from(kind != FileKind::Ci);
                places.insert(path.clone(), files.len());
                files.push(FileChange { path, kind, change, insertions: None, deletions: None });
            }
        } else if let Some(record) = text.strip_prefix(':') {
            let fields: Vec<_> = record.split(' ').collect();
            if let [_, new_mode, _, _, status] = fields.as_slice() {
                raw = Some(Change::of(new_mode, status));
            }
        } else if let [insertions, deletions, path] =
            text.splitn(3, '\t').collect::<Vec<_>>().as_slice()
            && let Some(place) = places.get(*path)
        {
            let file = &mut files[*place];
            (file.insertions, file.deletions) = (insertions.parse().ok(), deletions.parse().ok());
        }
        ControlFlow::Continue(())
    };
    diff.records(0, each).await?;
    Ok((files, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_a_file_is_for() {
        for (path, kind) in [
            (".github/workflows/ci.yml", FileKind::Ci),
            (".GitHub/Workflows/ci.yml", FileKind::Ci),
            (".forgejo/workflows/check.yml", FileKind::Ci),
            (".github/actions/setup/index.js", FileKind::Ci),
            ("tools/action.yml", FileKind::Ci),
            (".gitlab-ci.yml", FileKind::Ci),
            ("Jenkinsfile", FileKind::Ci),
            (".github/ISSUE_TEMPLATE/bug.md", FileKind::Docs),
            ("crates/a/Cargo.toml", FileKind::Dependencies),
            ("requirements-dev.txt", FileKind::Dependencies),
            ("src/lib.rs", FileKind::Source),
            ("src/latest.rs", FileKind::Source),
            ("tests/a.rs", FileKind::Tests),
            ("web/login.test.ts", FileKind::Tests),
            ("pkg/login_test.go", FileKind::Tests),
            ("docs/index.html", FileKind::Docs),
            ("README.md", FileKind::Docs),
        ] {
            assert_eq!(FileKind::of(path), kind, "{path}");
        }
    }
}
