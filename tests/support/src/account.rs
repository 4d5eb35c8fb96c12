use std::path::Path;
use std::process::Command;

/// The ordinary user that commands are run as, where the tests themselves run as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
}

impl Account {
    /// The one that `SMELT_TEST_USER` names.
    ///
    /// # Panics
    /// Where there is no such user.
    pub fn wanted() -> Option<Self> {
        let name = std::env::var("SMELT_TEST_USER").ok().filter(|name| !name.is_empty())?;
        let accounts = std::fs::read_to_string("/etc/passwd").expect("the system has accounts");
        let line = accounts.lines().find(|line| line.split(':').next() == Some(&name));
        let fields: Vec<_> = line.expect("SMELT_TEST_USER is an account").split(':').collect();
        let number = |n: usize| fields[n].parse().expect("accounts have numbers");
        Some(Self { name, uid: number(2), gid: number(3) })
    }

    /// Gives `path` and everything below to this user.
    ///
    /// # Panics
    /// Where that is not possible.
    pub fn own(&self, path: &Path) {
        let owner = format!("{}:{}", self.uid, self.gid);
        let status = Command::new("chown").arg("-R").arg(owner).arg(path).status();
        assert!(status.expect("chown is there").success(), "{} can be given away", path.display());
    }

    /// `setpriv` and its arguments, to stand before a program. The user's groups come along: they
    /// are what lets it talk to a container engine.
    pub fn prefix(&self) -> Vec<String> {
        let (uid, gid) = (self.uid, self.gid);
        [
            "/usr/bin/setpriv",
            &format!("--reuid={uid}"),
            &format!("--regid={gid}"),
            "--init-groups",
            "--",
        ]
        .map(str::to_owned)
        .into()
    }
}
