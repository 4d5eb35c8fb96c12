//! Where a sandbox's commits are looked at before they get anywhere.
//!
//! A fresh bare repository with nobody's configuration. What comes in is indexed strictly under
//! limits of the system's own, must descend from the base, and may not refer to anything that is
//! neither in it nor in the history of the base: not to other branches, whose objects the
//! quarantine borrows only so that git can find the base.

use super::bundle::{BundleError, BundleHeader};
use super::command::{Git, GitError, Invocation};
use super::layout;
use super::oid::Oid;
use super::repository::{Repository, unexpected};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much a result may be. Above any of these it is refused whole.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the bundle.
    pub bundle: u64,
    /// Bytes of all new objects together, unpacked.
    pub unpacked: u64,
    /// Bytes of one object, unpacked.
    pub object: u64,
    /// New objects.
    pub objects: usize,
    /// Files in a result's tree.
    pub paths: u64,
    /// Bytes of memory for indexing.
    pub memory: u64,
    /// Time for each step.
    pub deadline: Duration,
}

impl Default for Limits {
    /// Far above what people commit, far below what breaks a machine.
    fn default() -> Self {
        Self {
            bundle: 2 << 30,
            unpacked: 8 << 30,
            object: 512 << 20,
            objects: 2_000_000,
            paths: 2_000_000,
            memory: 2 << 30,
            deadline: Duration::from_secs(120),
        }
    }
}

/// Why a sandbox's commits are refused. Nothing of them has entered the user's repository.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// It is no bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// git's own checks refuse it.
    #[error("git refuses what came out of the sandbox{}", fsck_name(.0))]
    Refused(#[source] GitError),
    /// It is too much.
    #[error("what came out of the sandbox is too large: {what}, at most {limit}")]
    TooLarge {
        /// What there is too much of.
        what: String,
        /// How much there may be.
        limit: u64,
    },
    /// It is not built on the base.
    #[error("{reference} does not descend from the base of the run")]
    Unrelated {
        /// The ref in the bundle.
        reference: String,
    },
    /// It refers to something that it has no business with.
    #[error(
        "what came out of the sandbox refers to {object}, which is neither new nor in the history of the base"
    )]
    Foreign {
        /// The object.
        object: Oid,
    },
    /// A ref that was asked for is not there.
    #[error("the sandbox left out {reference}")]
    Missing {
        /// The ref.
        reference: String,
    },
    /// The quarantine itself failed.
    #[error("the quarantine can't be used")]
    Git(#[from] GitError),
    /// The quarantine's files failed.
    #[error("the quarantine can't be used")]
    Io(#[from] io::Error),
}

/// The names fsck gives to what it refuses, such as `hasDotgit`, with what it says of them.
fn fsck_name(error: &GitError) -> String {
    let named = error.stderr().lines().find_map(|line| line.strip_prefix("error: object "));
    match named.and_then(|line| line.split_once(": ")) {
        Some((_, complaint)) => format!(": {complaint}"),
        None => String::new(),
    }
}

/// How much a result changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Commits since the base.
    pub commits: u64,
    /// Files changed since the base.
    pub files_changed: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
}

/// A quarantine. Its folder belongs to whoever made it; remove it when done, or refused.
#[derive(Debug)]
pub struct Quarantine {
    git: Git,
    path: PathBuf,
    base: Oid,
    limits: Limits,
}

impl Quarantine {
    /// Makes one in the empty folder `path`, borrowing `source`'s objects to find `base`.
    ///
    /// # Errors
    /// Where it can't be made.
    pub async fn create(
        git: &Git,
        source: &Repository,
        base: &Oid,
        path: &Path,
        limits: Limits,
    ) -> Result<Self, QuarantineError> {
        layout::create(path, true, source.format(), "none")?;
        let mut alternates = Vec::new();
        for folder in source.objects() {
            use std::os::unix::ffi::OsStrExt;
            alternates.extend_from_slice(folder.as_os_str().as_bytes());
            alternates.push(b'\n');
        }
        tokio::fs::write(path.join("objects/info/alternates"), alternates).await?;
        if let Some(shallow) = source.shallow_file() {
            tokio::fs::copy(shallow, path.join("shallow")).await?;
        }
        Ok(Self { git: git.clone(), path: path.to_owned(), base: base.clone(), limits })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A call in the quarantine.
    pub fn git(&self) -> Invocation {
        self.git
            .isolated()
            .setting("core.attributesFile=/dev/null")
            .setting("core.bigFileThreshold=32m")
            .setting("pack.threads=1")
            .within(&self.path)
            .deadline(self.limits.deadline)
    }

    /// Takes in the bundle at `path` and checks that each of `wanted` is in it, whole, built on the
    /// base and referring to nothing foreign. Returns their commits, in the same order.
    ///
    /// # Errors
    /// Why it is refused. What was taken in by then stays in the folder: remove it.
    pub async fn take_in(
        &self,
        path: &Path,
        wanted: &[String],
    ) -> Result<Vec<Oid>, QuarantineError> {
        let size = tokio::fs::metadata(path).await?.len();
        self.within_limit("bundle bytes", size, self.limits.bundle)?;
        let mut file = BufReader::new(File::open(path)?);
        let header = BundleHeader::read(&mut file)?;
        let mut commits = Vec::with_capacity(wanted.len());
        for reference in wanted {
            let commit = header.get(reference);
            commits.push(
                commit
                    .cloned()
                    .ok_or_else(|| QuarantineError::Missing { reference: reference.clone() })?,
            );
        }
        let mut file = file.into_inner();
        file.seek(io::SeekFrom::Start(header.length))?;
        self.index(file).await?;
        let own = self.own_objects(size.saturating_sub(header.length)).await?;
        let distinct: BTreeMap<_, _> = commits.iter().zip(wanted).collect();
        let each =
            futures::future::try_join_all(distinct.iter().map(async |(commit, reference)| {
                self.check_descends(reference, commit).await?;
                self.check_paths(commit).await
            }));
        tokio::try_join!(each, self.check_sizes(&own), self.check_nothing_foreign(&commits, &own))?;
        Ok(commits)
    }

    fn within_limit(&self, what: &str, found: u64, limit: u64) -> Result<(), QuarantineError> {
        match found > limit {
            true => Err(QuarantineError::TooLarge { what: format!("{found} {what}"), limit }),
            false => Ok(()),
        }
    }

    /// `git bundle unbundle` would check nothing, and `transfer.fsckObjects` little.
    async fn index(&self, pack: File) -> Result<(), QuarantineError> {
        let most = format!("--max-input-size={}", self.limits.bundle);
        let index = self.git().args([
            "index-pack",
            "--stdin",
            "--fix-thin",
            "--strict",
            "--fsck-objects",
            &most,
        ]);
        // The pack is written once, and again where thin deltas are completed.
        let file = self.limits.bundle.saturating_mul(2);
        index
            .limited(self.limits.memory, file, self.limits.deadline)
            .input_file(pack)
            .run()
            .await
            .map_err(QuarantineError::Refused)
    }

    /// The objects that came in `incoming` bytes of pack.
    ///
    /// Objects behind those bytes were added from the borrowed ones to complete thin deltas: a
    /// sandbox could name any object as such a base, and must not make it its own that way.
    async fn own_objects(&self, incoming: u64) -> Result<HashSet<Oid>, QuarantineError> {
        let pack_dir = self.path.join("objects/pack");
        let index = std::fs::read_dir(&pack_dir)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|end| end == "idx"));
        // A pack without objects is not kept.
        let Some(index) = index else { return Ok(HashSet::new()) };
        let mut format = "--object-format=sha1";
        if self.base.as_str().len() == 64 {
            format = "--object-format=sha256";
        }
        let list = self.git().args(["show-index", format]).input_file(File::open(index)?);
        let list = list.output_max(self.limits.objects.saturating_mul(160));
        let list = match list.text().await {
            Err(GitError::TooMuchOutput { .. }) => {
                let (what, limit) = ("objects".into(), self.limits.objects as u64);
                return Err(QuarantineError::TooLarge { what, limit });
            }
            list => list?,
        };
        let end = incoming.saturating_sub(self.base.as_str().len() as u64 / 2);
        let mut own = HashSet::new();
        for line in list.lines() {
            let mut fields = line.split(' ');
            let offset = fields.next().and_then(|offset| offset.parse::<u64>().ok());
            let oid = fields.next().and_then(|oid| oid.parse::<Oid>().ok());
            let (Some(offset), Some(oid)) = (offset, oid) else {
                return Err(unexpected("show-index", line).into());
            };
            if offset < end {
                own.insert(oid);
            }
        }
        self.within_limit("objects", own.len() as u64, self.limits.objects as u64)?;
        Ok(own)
    }

    async fn check_sizes(&self, own: &HashSet<Oid>) -> Result<(), QuarantineError> {
        let input = own.iter().fold(String::new(), |list, oid| list + oid.as_str() + "\n");
        let sizes = self.git().args(["cat-file", "--batch-check=%(objectsize)"]).input(input);
        let sizes = sizes.output_max(own.len().saturating_mul(24) + 1024).text().await?;
        let mut total = 0u64;
        for line in sizes.lines() {
            let size = line.parse().map_err(|_| unexpected("cat-file", line))?;
            self.within_limit("bytes in one object", size, self.limits.object)?;
            total = total.saturating_add(size);
        }
        self.within_limit("bytes of objects", total, self.limits.unpacked)
    }

    async fn check_descends(&self, reference: &str, commit: &Oid) -> Result<(), QuarantineError> {
        let ancestor = ["merge-base", "--is-ancestor", self.base.as_str(), commit.as_str()];
        match self.git().args(ancestor).text_if_any().await? {
            Some(_) => Ok(()),
            None => Err(QuarantineError::Unrelated { reference: reference.to_owned() }),
        }
    }

    /// A commit that is neither new nor older than the base is foreign too: it is not in the history
    /// either.
    async fn check_nothing_foreign(
        &self,
        commits: &[Oid],
        own: &HashSet<Oid>,
    ) -> Result<(), QuarantineError> {
        let tips = format!("^{}\n", self.base);
        let tips = commits.iter().fold(tips, |list, commit| list + commit.as_str() + "\n");
        // Each with its place: what git names first tells most.
        let mut others = HashMap::new();
        let most = self.limits.objects;
        self.each_reachable(&tips, |object| {
            if !own.contains(&object) {
                let place = others.len();
                others.entry(object).or_insert(place);
            }
            if others.len() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
        self.within_limit("older objects", others.len() as u64, most as u64)?;
        if others.is_empty() {
            return Ok(());
        }
        // Content that an older commit of the base had: it is not sent again.
        self.each_reachable(&format!("{}\n", self.base), |object| {
            others.remove(&object);
            if others.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
        match others.into_iter().min_by_key(|(_, place)| *place) {
            Some((object, _)) => Err(QuarantineError::Foreign { object }),
            None => Ok(()),
        }
    }

    /// Every object that can be reached from `tips`, one after another: there may be millions.
    async fn each_reachable(
        &self,
        tips: &str,
        mut each: impl FnMut(Oid) -> ControlFlow<()> + Send,
    ) -> Result<(), QuarantineError> {
        let mut odd = None;
        let list = ["rev-list", "--objects", "--no-object-names", "--stdin"];
        let list = self.limited(self.git().args(list).input(tips)).records(b'\n', |line| {
            match str::from_utf8(line).ok().and_then(|line| line.parse().ok()) {
                Some(object) => each(object),
                None => {
                    odd = Some(String::from_utf8_lossy(line).into_owned());
                    ControlFlow::Break(())
                }
            }
        });
        list.await?;
        match odd {
            Some(line) => Err(unexpected("rev-list", &line).into()),
            None => Ok(()),
        }
    }

    /// `call` under limits of memory and time: what it walks through was made to be hostile.
    fn limited(&self, call: Invocation) -> Invocation {
        call.limited(self.limits.memory, 0, self.limits.deadline)
    }

    /// A tree of a few objects can stand for billions of files, once somebody checks it out.
    async fn check_paths(&self, commit: &Oid) -> Result<(), QuarantineError> {
        let list = self.git().args(["ls-tree", "-r", "-z", "--name-only", commit.as_str()]);
        let paths = self.limited(list).count(0, self.limits.paths).await?;
        self.within_limit("files or more", paths, self.limits.paths)
    }

    /// How much `result` changes against the base.
    ///
    /// # Errors
    /// Where git fails or takes too long.
    pub async fn stat(&self, result: &Oid) -> Result<Stat, GitError> {
        let range = format!("{}..{result}", self.base);
        let commits = self.git().args(["rev-list", "--count", &range]);
        let diff =
            ["diff-tree", "-r", "--shortstat", "--no-ext-diff", "--no-textconv", "--no-renames"];
        let diff = self.git().args(diff).args([self.base.as_str(), result.as_str()]);
        let (commits, diff) = tokio::try_join!(commits.text(), diff.text())?;
        let number = |word: &str| {
            let part = diff.split(',').find(|part| part.contains(word))?;
            part.split_whitespace().next()?.parse::<u64>().ok()
        };
        Ok(Stat {
            commits: commits.parse().unwrap_or(0),
            files_changed: number("file").unwrap_or(0),
            insertions: number("insertion").unwrap_or(0),
            deletions: number("deletion").unwrap_or(0),
        })
    }
}
