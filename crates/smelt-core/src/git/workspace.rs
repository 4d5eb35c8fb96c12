//! The private clone that a sandbox gets.
//!
//! It is made of plain files: no checkout, no filter, no template of the user's runs for it. The
//! checkout is the sandbox's own affair.

use super::command::GitError;
use super::layout;
use super::refs;
use super::repository::{Base, Repository};
use crate::id::RunId;
use crate::port::SandboxPaths;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::Path;

/// Who commits in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the committer.
    pub name: String,
    /// Their address.
    pub email: String,
}

impl Identity {
    /// Whom the user's configuration names in `repository`; else Smelt itself.
    pub async fn of(repository: &Repository) -> Self {
        let asked = ["config", "--null", "--get-regexp", r"^user\.(name|email)$"];
        let told = repository.git_as_user().args(asked).text().await.unwrap_or_default();
        // The last one of a kind counts, as for git itself.
        let value = |key: &str| {
            let mut values = told.split('\0').rev().filter_map(|entry| entry.split_once('\n'));
            values.find(|(k, v)| *k == key && !v.is_empty()).map(|(_, v)| v.to_owned())
        };
        match (value("user.name"), value("user.email")) {
            (Some(name), Some(email)) => Self { name, email },
            _ => Self { name: "Smelt".into(), email: "smelt@localhost".into() },
        }
    }
}

/// Where a workspace has its objects from.
#[derive(Clone, Debug)]
pub enum Objects {
    /// Borrowed from so many folders, which the sandbox shows beside the workspace.
    Borrowed(usize),
    /// Its own copy of the base and so many commits of history before it; of all where `None`.
    Copied(Option<NonZeroU32>),
}

/// How a workspace is to be.
#[derive(Clone, Debug)]
pub struct WorkspacePlan<'a> {
    /// The run, whose base is pinned.
    pub run: &'a RunId,
    /// Where it starts.
    pub base: &'a Base,
    /// Its branch, at the base.
    pub branch: &'a str,
    /// Where it has its objects from.
    pub objects: Objects,
    /// Who commits in it.
    pub identity: Identity,
    /// Files that are never committed, as git's exclude patterns.
    pub excluded: &'a [&'a str],
}

/// Makes a workspace of `source` in the empty folder `at`.
///
/// # Errors
/// Where git or the file system refuses.
pub async fn create(
    source: &Repository,
    at: &Path,
    plan: &WorkspacePlan<'_>,
) -> Result<(), GitError> {
    let WorkspacePlan { run, base, branch, objects, identity, excluded } = plan;
    let io = |source| GitError::Io { what: "init".into(), source };
    let git_dir = at.join(".git");
    layout::create(&git_dir, false, source.format(), branch).map_err(io)?;
    configure(&git_dir, identity, excluded).map_err(io)?;
    match objects {
        Objects::Borrowed(folders) => {
            borrow(&git_dir, *folders).map_err(io)?;
            if let Some(shallow) = source.shallow_file() {
                fs::copy(shallow, git_dir.join("shallow")).map_err(io)?;
            }
            write_branch(&git_dir, branch, base).map_err(io)
        }
        Objects::Copied(depth) => {
            let refspec = format!("{}:{}", refs::base(run), refs::branch(branch));
            let depth = depth.map(|depth| format!("--depth={depth}"));
            source
                .git_as_user()
                .within(at)
                .args([
                    "fetch",
                    "--quiet",
                    "--no-tags",
                    "--no-write-fetch-head",
                    "--update-head-ok",
                    // Trusted already, by whichever of its paths the user has told git.
                    "--upload-pack=git -c 'safe.directory=*' upload-pack",
                ])
                .args(depth)
                .args([source.common_dir()])
                .args([&refspec])
                .deadline(std::time::Duration::from_secs(1800))
                .run()
                .await
        }
    }
}

/// Settings of the clone itself: whoever works in it needs a name, and nothing may repack what it
/// borrows.
fn configure(git_dir: &Path, identity: &Identity, excluded: &[&str]) -> io::Result<()> {
    let mut config = fs::File::options().append(true).open(git_dir.join("config"))?;
    let (name, email) = (quoted(&identity.name), quoted(&identity.email));
    write!(
        config,
        "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[user]\n\tname = {name}\n\temail = {email}\n"
    )?;
    fs::write(
        git_dir.join("info/exclude"),
        excluded.iter().map(|p| format!("{p}\n")).collect::<String>(),
    )
}

/// `text` as a value in a git config file.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\0'], " ");
    format!("\"{text}\"")
}

/// The borrowed folders are beside the workspace in every sandbox; relative paths lead there from
/// wherever that is.
fn borrow(git_dir: &Path, folders: usize) -> io::Result<()> {
    let list = (0..folders).map(|n| format!("../../../{}/{n}\n", SandboxPaths::OBJECTS));
    fs::write(git_dir.join("objects/info/alternates"), list.collect::<String>())
}

fn write_branch(git_dir: &Path, branch: &str, base: &Base) -> io::Result<()> {
    let path = git_dir.join(refs::branch(branch));
    fs::create_dir_all(path.parent().unwrap_or(git_dir))?;
    fs::write(path, format!("{}\n", base.commit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_not_break_out_of_the_config_file() {
        assert_eq!(quoted("a \"b\" \\ c\n[core]"), "\"a \\\"b\\\" \\\\ c [core]\"");
    }
}
