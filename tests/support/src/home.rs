use crate::Account;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A folder for one test, with a home of its own in it.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    account: Option<Account>,
}

impl Home {
    /// A new one, belonging to whoever commands are run as.
    ///
    /// # Panics
    /// Where it can't be made.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("smelt-test-").tempdir().expect("a folder");
        let account = Account::wanted();
        std::fs::create_dir(folder.path().join("home")).expect("a home");
        if let Some(account) = &account {
            account.own(folder.path());
        }
        Self { folder, account }
    }

    /// The test's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The home in it.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Who commands are run as; `None`: whoever runs the tests.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Where programs are found.
    pub fn search_path() -> OsString {
        std::env::var_os("SMELT_TEST_PATH")
            .filter(|path| !path.is_empty())
            .or_else(|| std::env::var_os("PATH"))
            .unwrap_or_else(|| "/usr/bin:/bin".into())
    }

    /// The variables that a command of this test has; nothing of the machine's own.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let home = self.home();
        [
            ("PATH", Self::search_path()),
            ("HOME", home.clone().into_os_string()),
            ("XDG_CACHE_HOME", home.join(".cache").into_os_string()),
            ("XDG_CONFIG_HOME", home.join(".config").into_os_string()),
            ("TMPDIR", home.join("tmp").into_os_string()),
            ("LC_ALL", "C.UTF-8".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ]
        .map(|(name, value)| (OsString::from(name), value))
        .into()
    }

    /// `program` in this test's environment, run as whoever it is to be run as.
    ///
    /// # Panics
    /// Where the temporary folder can't be made.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let tmp = self.home().join("tmp");
        if !tmp.exists() {
            std::fs::create_dir(&tmp).expect("a temporary folder");
            self.give(&tmp);
        }
        let prefix = self.account.as_ref().map(Account::prefix).unwrap_or_default();
        let mut words: Vec<OsString> = prefix.into_iter().map(OsString::from).collect();
        words.push(program.as_ref().to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().envs(self.environment()).current_dir(self.path());
        command
    }

    /// Gives `path` to whoever commands are run as.
    pub fn give(&self, path: &Path) {
        if let Some(account) = &self.account {
            account.own(path);
        }
    }

    /// Writes a file below the test's folder, as whoever commands are run as.
    ///
    /// # Panics
    /// Where it can't be written.
    pub fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        let folder = path.parent().expect("below the test's folder");
        let missing =
            folder.ancestors().take_while(|folder| !folder.exists()).last().map(Path::to_owned);
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        self.give(missing.as_deref().unwrap_or(&path));
        path
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}
