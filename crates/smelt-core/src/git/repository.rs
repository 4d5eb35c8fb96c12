//! A repository as people have it: opened with their trust, described, and asked for a base.

use super::command::{Git, GitError, Invocation};
use super::oid::{ObjectFormat, Oid};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How deep alternates of alternates are followed; git itself stops at 5.
const ALTERNATES_DEPTH: usize = 5;

/// Branches and tags that are looked at for a similar name.
const NAMES_MAX: usize = 2000;

/// Why a repository can't be worked on. Each says what would help.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is nothing.
    #[error("there is no folder `{}`", path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// There is something else.
    #[error("`{}` is not in a git repository", path.display())]
    NotARepository {
        /// The path.
        path: PathBuf,
    },
    /// Someone else's.
    #[error("`{}` belongs to another user, and git does not trust it", path.display())]
    OtherOwner {
        /// The path.
        path: PathBuf,
    },
    /// No commit yet.
    #[error("`{}` has no commit yet", path.display())]
    Unborn {
        /// The path.
        path: PathBuf,
    },
    /// No such branch, tag or commit.
    #[error("`{}` has no branch, tag or commit called `{name}`", path.display())]
    NoSuchBase {
        /// The repository.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// The most similar name there is.
        similar: Option<String>,
    },
    /// A name that leads to a commit which is not there.
    #[error("`{}` lacks the commit that `{name}` is at", path.display())]
    Damaged {
        /// The repository.
        path: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// A partial clone that lacks what the run needs.
    #[error("`{}` is a partial clone, and objects of its history are missing", path.display())]
    Incomplete {
        /// The repository.
        path: PathBuf,
    },
    /// An object store that can't be read.
    #[error("the object store `{}` can't be read", path.display())]
    Unreadable {
        /// The store.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// git failed otherwise.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl RepositoryError {
    /// What would help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoFolder { .. } => {
                Some("`job.repo` is relative to the manifest's folder; check the path".into())
            }
            Self::NotARepository { .. } => {
                Some("make it one with `git init` and a first commit, or check `job.repo`".into())
            }
            Self::OtherOwner { path } => Some(format!(
                "if you trust it: git config --global --add safe.directory '{}'",
                path.display()
            )),
            Self::Unborn { path } => Some(format!(
                "make a first commit: git -C '{}' commit --allow-empty -m 'First commit'",
                path.display()
            )),
            Self::NoSuchBase { similar, .. } => Some(match similar {
                Some(name) => format!("did you mean `{name}`? `job.base_ref` names the base"),
                None => "fetch it, or name another base in `job.base_ref`".into(),
            }),
            Self::Damaged { path, .. } => Some(format!(
                "objects are missing or can't be read: git -C '{}' fsck",
                path.display()
            )),
            Self::Incomplete { path } => Some(format!(
                "complete it: git -C '{}' fetch --refetch --no-filter; or give its URL as `job.repo`",
                path.display()
            )),
            Self::Unreadable { .. } => {
                Some("make it readable for you, or run Smelt as its owner".into())
            }
            Self::Git(_) => None,
        }
    }
}

/// Where a run starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The commit.
    pub commit: Oid,
    /// The branch it is the tip of; that of the remote for `origin/x`. `None` for tags, commits and
    /// a detached HEAD.
    pub branch: Option<String>,
}

/// A repository of this machine.
#[derive(Clone, Debug)]
pub struct Repository {
    git: Git,
    path: PathBuf,
    common_dir: PathBuf,
    format: ObjectFormat,
    bare: bool,
    shallow: bool,
    objects: Vec<PathBuf>,
}

impl Repository {
    /// Opens the repository that `path` is in, with the user's own trust.
    ///
    /// # Errors
    /// Where there is none, or one that git does not trust.
    pub async fn open(git: &Git, path: &Path) -> Result<Self, RepositoryError> {
        if !path.is_dir() {
            return Err(RepositoryError::NoFolder { path: path.to_owned() });
        }
        let asked = git.as_user().within(path).args([
            "rev-parse",
            "--path-format=absolute",
            "--git-common-dir",
            "--git-path",
            "objects",
            "--is-bare-repository",
            "--is-shallow-repository",
            "--show-object-format",
        ]);
        let told = asked.text().await.map_err(|error| {
            let path = path.to_owned();
            match error.stderr() {
                said if said.contains("dubious ownership") => RepositoryError::OtherOwner { path },
                said if said.contains("not a git repository") => {
                    RepositoryError::NotARepository { path }
                }
                _ => RepositoryError::Git(error),
            }
        })?;
        let lines: Vec<_> = told.lines().collect();
        let [common_dir, objects, bare, shallow, format] = lines.as_slice() else {
            return Err(unexpected("rev-parse", &told).into());
        };
        let format = format.parse().map_err(|_| unexpected("rev-parse", &told))?;
        Ok(Self {
            git: git.clone(),
            path: path.to_owned(),
            common_dir: PathBuf::from(common_dir),
            format,
            bare: *bare == "true",
            shallow: *shallow == "true",
            objects: with_alternates(Path::new(objects))?,
        })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its git folder, the one that linked worktrees share.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// How it names its objects.
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Whether it has no checkout of its own.
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// Its list of commits whose parents it does not have.
    pub fn shallow_file(&self) -> Option<PathBuf> {
        self.shallow.then(|| self.common_dir.join("shallow"))
    }

    /// Folders that hold its objects: its own, and those it borrows from.
    pub fn objects(&self) -> &[PathBuf] {
        &self.objects
    }

    /// Whether a sandbox could read these folders. It has the user's id, and none of what root may do
    /// with the files of others.
    pub fn objects_can_be_lent(&self) -> bool {
        let user = rustix::process::geteuid().as_raw();
        self.objects.iter().all(|folder| {
            folder.metadata().is_ok_and(|meta| meta.uid() == user || meta.mode() & 0o005 == 0o005)
        })
    }

    /// A call in this repository that only the repository's own configuration reaches.
    pub fn git(&self) -> Invocation {
        self.git.isolated().within(&self.path)
    }

    /// A call in this repository with the user's configuration.
    pub fn git_as_user(&self) -> Invocation {
        self.git.as_user().within(&self.path)
    }

    /// Resolves the branch, tag or commit `name`.
    ///
    /// # Errors
    /// Where there is none of that name, or no commit at all.
    pub async fn resolve_base(&self, name: &str) -> Result<Base, RepositoryError> {
        let peeled = format!("{name}^{{commit}}");
        let commit = self.git().args(["rev-parse", "--verify", "--quiet", &peeled]);
        let full_name = self.git().args(["rev-parse", "--symbolic-full-name", name]);
        let (commit, full_name) = tokio::join!(commit.text(), full_name.text());
        let commit = match commit {
            Ok(commit) => commit.parse().map_err(|_| unexpected("rev-parse", &commit))?,
            Err(GitError::Failed { .. }) => return Err(self.no_such_base(name).await?),
            Err(error) => return Err(error.into()),
        };
        Ok(Base { commit, branch: full_name.ok().and_then(|name| branch_of(&name)) })
    }

    async fn no_such_base(&self, name: &str) -> Result<RepositoryError, RepositoryError> {
        let (path, name) = (self.path.clone(), name.to_owned());
        let format = [
            "for-each-ref",
            "--format=%(refname:short)",
            "refs/heads",
            "refs/tags",
            "refs/remotes",
        ];
        let names = self.git().args(format).text().await?;
        let leads_on = self.git().args(["rev-parse", "--verify", "--quiet", &name]);
        if leads_on.text_if_any().await?.is_some() {
            return Ok(RepositoryError::Damaged { path, name });
        }
        if name == "HEAD" {
            return Ok(RepositoryError::Unborn { path });
        }
        let likeness =
            |other: &&str| (strsim::normalized_damerau_levenshtein(&name, other) * 1000.0) as u64;
        let similar = names.lines().take(NAMES_MAX).max_by_key(likeness);
        let similar = similar.filter(|other| likeness(other) >= 500).map(str::to_owned);
        Ok(RepositoryError::NoSuchBase { path, name, similar })
    }

    /// Makes sure that nothing of `base`'s history is missing, as it is in a partial clone.
    ///
    /// # Errors
    /// [`RepositoryError::Incomplete`] where something is.
    pub async fn check_complete(&self, base: &Oid) -> Result<(), RepositoryError> {
        let promised =
            ["config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"];
        if self.git().args(promised).text_if_any().await?.is_none() {
            return Ok(());
        }
        let walk = ["rev-list", "--objects", "--no-object-names", "--missing=print", base.as_str()];
        let walk =
            self.git().args(walk).output_max(1 << 30).deadline(std::time::Duration::from_secs(300));
        match walk.text().await {
            Ok(objects) if objects.lines().any(|line| line.starts_with('?')) => {
                Err(RepositoryError::Incomplete { path: self.path.clone() })
            }
            Ok(_) => Ok(()),
            Err(GitError::Failed { .. }) => {
                Err(RepositoryError::Incomplete { path: self.path.clone() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// How many files of the user's checkout differ from what is committed; 0 without a checkout.
    pub async fn uncommitted_changes(&self) -> u64 {
        if self.bare {
            return 0;
        }
        let status = ["status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=dirty"];
        // Where it can't be told, nothing is said: it is a service to the user, not a condition.
        self.git_as_user().args(status).count(0, u64::MAX).await.unwrap_or(0)
    }

    /// What the tree of `commit` asks for that a plain clone does not give.
    ///
    /// # Errors
    /// Where git fails.
    pub async fn special_content(&self, commit: &Oid) -> Result<SpecialContent, GitError> {
        let wanted = format!("{commit}:.gitattributes\n{commit}:.gitmodules\n");
        let told = self.git().args(["cat-file", "--batch"]).input(wanted).text().await?;
        // The last line is about .gitmodules: its own head, its text, or that it is missing.
        let attributes = told.split("\n[submodule").next().unwrap_or_default();
        Ok(SpecialContent {
            lfs: attributes.contains("filter=lfs"),
            submodules: !told.ends_with(":.gitmodules missing"),
        })
    }
}

/// What a tree asks for that a plain clone does not give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialContent {
    /// Files that Git LFS keeps elsewhere, by the attributes at the top of the tree.
    pub lfs: bool,
    /// Submodules.
    pub submodules: bool,
}

/// The branch that a full ref name stands for, also as a remote-tracking one.
fn branch_of(full_name: &str) -> Option<String> {
    if let Some(branch) = full_name.strip_prefix("refs/heads/") {
        return Some(branch.to_owned());
    }
    let (_, branch) = full_name.strip_prefix("refs/remotes/")?.split_once('/')?;
    (branch != "HEAD").then(|| branch.to_owned())
}

pub(super) fn unexpected(what: &str, output: &str) -> GitError {
    let output = crate::text::clean_line(output.lines().next().unwrap_or_default());
    GitError::Unexpected {
        what: what.into(),
        output: crate::text::shorten(&output, 80).into_owned(),
    }
}

/// `objects` and everything it borrows from, each once.
fn with_alternates(objects: &Path) -> Result<Vec<PathBuf>, RepositoryError> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut next = vec![objects.to_owned()];
    for _ in 0..=ALTERNATES_DEPTH {
        for folder in std::mem::take(&mut next) {
            let unreadable = |source| RepositoryError::Unreadable { path: folder.clone(), source };
            let real = folder.canonicalize().map_err(unreadable)?;
            if found.contains(&real) {
                continue;
            }
            // Git passes over what it can't read, and misses objects later.
            std::fs::read_dir(&real).map_err(unreadable)?;
            let list = std::fs::read_to_string(real.join("info/alternates")).unwrap_or_default();
            let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            next.extend(lines.map(|line| real.join(line)).filter(|path| path.is_dir()));
            found.push(real);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_tracking_names_stand_for_the_remote_branch() {
        for (full, branch) in [
            ("refs/heads/a/b", Some("a/b")),
            ("refs/remotes/origin/a/b", Some("a/b")),
            ("refs/remotes/origin/HEAD", None),
            ("refs/tags/v1", None),
            ("HEAD", None),
            ("", None),
        ] {
            assert_eq!(branch_of(full).as_deref(), branch, "{full}");
        }
    }
}
