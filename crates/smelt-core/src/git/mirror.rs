//! Bare mirrors of repositories that are URLs, in the user's cache.

use super::command::{Git, GitError};
use super::oid::Oid;
use super::repository::{Base, Repository, RepositoryError};
use crate::manifest::GitUrl;
use sha2::{Digest, Sha256};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a mirror's lock is tried while another run fetches.
const LOCK_TRIES: Duration = Duration::from_millis(50);

/// Longest time for bringing a mirror up to date; the job's own deadline may be shorter.
const FETCH_DEADLINE: Duration = Duration::from_secs(3600);

/// Why a URL's repository can't be had.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The folder for mirrors can't be used.
    #[error("the mirror `{}` can't be used", path.display())]
    Io {
        /// The mirror's folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The remote did not give it.
    #[error("`{url}` can't be fetched")]
    Fetch {
        /// The URL.
        url: GitUrl,
        /// Why.
        source: GitError,
    },
    /// What was fetched can't be worked on.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl MirrorError {
    /// What would help.
    pub fn hint(&self) -> Option<String> {
        let Self::Fetch { source, .. } = self else {
            return match self {
                Self::Repository(error) => error.hint(),
                _ => None,
            };
        };
        let said = source.stderr();
        let hint = match said {
            s if s.contains("could not read Username") || s.contains("Authentication failed") => {
                "log in with a git credential helper; Smelt never asks for a password"
            }
            s if s.contains("Permission denied (publickey") => {
                "load a key that the host knows into your ssh agent"
            }
            s if s.contains("Host key verification failed") => {
                "check the host's key and accept it once with `ssh`"
            }
            s if s.contains("not found") || s.contains("does not appear to be") => {
                "check the URL, and that you may read the repository"
            }
            s if s.contains("resolve host")
                || s.contains("unable to connect")
                || s.contains("Failed to connect") =>
            {
                "check the host's name and your network"
            }
            _ => "try `git ls-remote` with the same URL",
        };
        Some(hint.into())
    }
}

/// Brings the mirror of `url` below `cache` up to date, and opens it.
///
/// One run at a time does so; the others wait. `base_ref` is fetched by itself where no branch or
/// tag leads to it.
///
/// # Errors
/// Where the remote can't be reached, or the mirror can't be written.
pub async fn mirror(
    git: &Git,
    cache: &Path,
    url: &GitUrl,
    base_ref: &str,
) -> Result<Repository, MirrorError> {
    let path = mirror_path(cache, url);
    let io = |source| MirrorError::Io { path: path.clone(), source };
    let fetch = |source| MirrorError::Fetch { url: url.clone(), source };
    tokio::fs::create_dir_all(&path).await.map_err(io)?;
    let _lock = lock(&path.join("smelt.lock")).await.map_err(io)?;
    if !path.join("HEAD").exists() {
        let format = remote_format(git, url).await.map_err(fetch)?;
        let init =
            ["init", "--quiet", "--bare", "--template=", &format!("--object-format={format}")];
        git.isolated().within(&path).args(init).run().await.map_err(RepositoryError::from)?;
    }
    let call = || git.as_user().in_foreground().within(&path).deadline(FETCH_DEADLINE);
    let refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
    call()
        .args([
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--force",
            "--no-write-fetch-head",
            "--",
        ])
        .args([url.as_str()])
        .args(refspecs)
        .run()
        .await
        .map_err(fetch)?;
    point_head(git, &path, url).await.map_err(fetch)?;
    let repository = Repository::open(git, &path).await?;
    if repository.resolve_base(base_ref).await.is_err() && is_commit(base_ref) {
        let single = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            url.as_str(),
            base_ref,
        ];
        call().args(single).run().await.map_err(fetch)?;
    }
    Ok(repository)
}

/// Where a run of a URL would start, as far as its remote tells that without being fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteBase {
    /// At a branch or tag.
    Told(Base),
    /// At what looks like a commit's id, whole or short: only a fetch tells whether it is there.
    NotTold,
}

/// Where a run of `url` would start, as the remote tells it; nothing is fetched.
///
/// # Errors
/// Where the remote can't be reached, or has no such branch or tag.
pub async fn remote_base(
    git: &Git,
    url: &GitUrl,
    base_ref: &str,
) -> Result<RemoteBase, MirrorError> {
    let fetch = |source| MirrorError::Fetch { url: url.clone(), source };
    let (head, tag) = (format!("refs/heads/{base_ref}"), format!("refs/tags/{base_ref}"));
    let peeled = format!("{tag}^{{}}");
    let asked =
        ["ls-remote", "--quiet", "--symref", "--", url.as_str(), "HEAD", &head, &tag, &peeled];
    let told = git
        .as_user()
        .in_foreground()
        .args(asked)
        .deadline(FETCH_DEADLINE)
        .text()
        .await
        .map_err(fetch)?;
    let listed = || told.lines().filter_map(|line| line.split_once('\t'));
    let commit = |name: &str| {
        listed().filter(|(_, listed)| *listed == name).find_map(|(oid, _)| oid.parse::<Oid>().ok())
    };
    let default =
        told.lines().find_map(|line| line.strip_prefix("ref: refs/heads/")?.split('\t').next());
    let found = match base_ref {
        "HEAD" => commit("HEAD").map(|commit| (commit, default.map(str::to_owned))),
        _ => commit(&peeled)
            .or_else(|| commit(&tag))
            .map(|commit| (commit, None))
            .or_else(|| commit(&head).map(|commit| (commit, Some(base_ref.to_owned())))),
    };
    let path = PathBuf::from(url.as_str());
    match found {
        Some((commit, branch)) => Ok(RemoteBase::Told(Base { commit, branch })),
        None if may_be_commit(base_ref) => Ok(RemoteBase::NotTold),
        None if base_ref == "HEAD" => Err(RepositoryError::Unborn { path }.into()),
        None => {
            let name = base_ref.to_owned();
            Err(RepositoryError::NoSuchBase { path, name, similar: None }.into())
        }
    }
}

/// A full id: only that can be asked of a remote by itself.
fn is_commit(base_ref: &str) -> bool {
    base_ref.parse::<Oid>().is_ok()
}

/// An id, whole or as short as git takes it.
fn may_be_commit(base_ref: &str) -> bool {
    (4..=64).contains(&base_ref.len()) && base_ref.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How the remote names its objects, by the length of the names it shows.
async fn remote_format(git: &Git, url: &GitUrl) -> Result<&'static str, GitError> {
    let refs = git.as_user().in_foreground().args(["ls-remote", "--quiet", "--", url.as_str()]);
    let refs = refs.deadline(FETCH_DEADLINE).output_max(1 << 30).text().await?;
    let longest = refs.lines().filter_map(|line| line.split('\t').next()).map(str::len).max();
    Ok(if longest == Some(64) { "sha256" } else { "sha1" })
}

/// Lets the mirror's HEAD name the branch that the remote's names.
async fn point_head(git: &Git, path: &Path, url: &GitUrl) -> Result<(), GitError> {
    let asked = ["ls-remote", "--quiet", "--symref", "--", url.as_str(), "HEAD"];
    let told = git.as_user().in_foreground().args(asked).deadline(FETCH_DEADLINE).text().await?;
    let head = told.lines().find_map(|line| line.strip_prefix("ref: ")?.split('\t').next());
    let Some(head) = head.filter(|head| head.starts_with("refs/heads/")) else { return Ok(()) };
    git.isolated().within(path).args(["symbolic-ref", "HEAD", head]).run().await
}

/// Where the mirror of `url` is, if there is one.
pub fn mirror_path(cache: &Path, url: &GitUrl) -> PathBuf {
    cache.join("mirrors").join(folder_name(url))
}

/// Readable at its start, unique by its end.
fn folder_name(url: &GitUrl) -> String {
    let name = url.as_str().trim_end_matches('/').trim_end_matches(".git");
    let name = name.rsplit(['/', ':']).next().unwrap_or_default();
    let name: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let digest = Sha256::digest(url.as_str().as_bytes());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{digest}.git", &name[..name.len().min(40)])
}

/// Waits for the lock without blocking the thread.
async fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_TRIES).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
