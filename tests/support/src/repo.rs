use crate::Home;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A real repository below a test's folder.
#[derive(Debug)]
pub struct TestRepo<'a> {
    home: &'a Home,
    path: PathBuf,
}

impl<'a> TestRepo<'a> {
    /// A new repository called `name`, with one commit on `main` by an identity of its own.
    pub fn new(home: &'a Home, name: &str) -> Self {
        let repo = Self::empty(home, name, &[]);
        repo.write("README.md", "# A repository\n");
        repo.commit("First commit");
        repo
    }

    /// A new repository without a commit, made with further options of `git init`.
    ///
    /// # Panics
    /// Where it can't be made.
    pub fn empty(home: &'a Home, name: &str, options: &[&str]) -> Self {
        let path = home.path().join(name);
        std::fs::create_dir(&path).expect("a folder for the repository");
        home.give(&path);
        let repo = Self { home, path };
        repo.git(&[&["init", "--quiet", "--initial-branch=main"], options].concat());
        repo.git(&["config", "user.name", "Test User"]);
        repo.git(&["config", "user.email", "test@localhost"]);
        repo
    }

    /// The repository that is at `path` already.
    pub fn at(home: &'a Home, path: impl Into<PathBuf>) -> Self {
        Self { home, path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `git` in it, to be run.
    pub fn git_command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command("git");
        command.arg("-C").arg(&self.path).args(args);
        command
    }

    /// Runs git in it; returns what it printed.
    ///
    /// # Panics
    /// Where git fails.
    pub fn git(&self, args: &[&str]) -> String {
        let output = self.try_git(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?} in {}: {said}", self.path.display());
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs git in it, however it ends.
    ///
    /// # Panics
    /// Where git can't be started.
    pub fn try_git(&self, args: &[&str]) -> Output {
        self.git_command(args).output().expect("git is there")
    }

    /// Writes a file in it.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        self.home.write(self.path.join(path), text);
    }

    /// Commits everything; returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// The commit that is checked out.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// All refs and what they point to.
    pub fn refs(&self) -> String {
        self.git(&["for-each-ref", "--format=%(refname) %(objectname) %(symref)"])
    }
}
