//! What is done by git for Assay, and looked at when it has ended.

use super::report::{Committed, Report};
use super::{COMMIT, HERE, SandboxGit, SandboxGitError, environment};
use crate::git::Oid;
use std::path::Path;

const PLACE: &str = include_str!("scripts/assay_place.sh");
const WORKTREE: &str = concat!(
    "#!/bin/sh\n",
    include_str!("scripts/set_up.sh"),
    include_str!("scripts/assay_worktree.sh")
);
const ENDED: &str = include_str!("scripts/assay_ended.sh");

/// What Assay has left of a session, as the sandbox tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AssayEnded {
    /// Its worktree is there.
    pub(crate) worktree: bool,
    /// Its branch is there.
    pub(crate) branch: bool,
    /// What was committed when the agent had ended, before the gate ran.
    pub(crate) committed: Option<Committed>,
    /// The gate's exit code, and how many seconds it took.
    pub(crate) gate: Option<(i32, u64)>,
}

impl SandboxGit<'_> {
    /// Makes the worktree `place` fit for running Assay in it.
    pub(crate) async fn ready_for_assay(&self, place: &Path) -> Result<(), SandboxGitError> {
        self.run("preparing for Assay", PLACE, &[WORKTREE], place).await.map(drop)
    }

    /// Puts a branch that nobody works on to `commit`.
    pub(crate) async fn set_branch(
        &self,
        branch: &str,
        commit: &Oid,
    ) -> Result<(), SandboxGitError> {
        let script = r#"exec git update-ref --no-deref "refs/heads/$1" "$2""#;
        let workspace = self.sandbox.paths().workspace();
        self.run("making a branch", script, &[branch, commit.as_str()], &workspace).await.map(drop)
    }

    /// Looks at what Assay has left of a session in `worktree` and on `branch`, and at what its
    /// gate's script has left at `record`.
    pub(crate) async fn assay_ended(
        &self,
        worktree: &Path,
        branch: &str,
        record: &Path,
    ) -> Result<AssayEnded, SandboxGitError> {
        let what = "looking at what Assay has left";
        let arguments = [&*worktree.to_string_lossy(), branch, &*record.to_string_lossy()];
        let workspace = self.sandbox.paths().workspace();
        let text = self.run(what, ENDED, &arguments, &workspace).await?;
        Ok(AssayEnded::parse(&text))
    }
}

impl AssayEnded {
    fn parse(text: &str) -> Self {
        let report = Report::parse(text);
        let gate = report.get::<String>("gate");
        let gate = gate.as_deref().and_then(|gate| gate.split_once(' '));
        Self {
            worktree: report.get::<String>("worktree").is_some(),
            branch: report.get::<String>("branch").is_some(),
            committed: report.committed(),
            gate: gate.and_then(|(code, secs)| Some((code.parse().ok()?, secs.parse().ok()?))),
        }
    }
}

/// The script that commits what was left in the folder it runs in, to be run without Smelt: it takes
/// the message, the commit that work started from, and the branch.
pub(crate) fn committing_script() -> String {
    let env = environment();
    let export = |(name, value): (&String, &crate::port::Value)| {
        format!("export {name}='{}'\n", value.expose())
    };
    env.iter().map(export).chain([HERE.to_owned(), COMMIT.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_session_is_read_and_nonsense_is_not_believed() {
        assert_eq!(AssayEnded::parse(""), AssayEnded::default());
        let head = "a".repeat(40);
        let ended = AssayEnded::parse(&format!(
            "worktree there\nbranch there\nleft 1\nunmerged 0\ncommits 2\nhead {head}\ngate 9 3\n"
        ));
        assert!(ended.worktree && ended.branch);
        assert_eq!(ended.committed.unwrap().commits, 2);
        assert_eq!(ended.gate, Some((9, 3)));
        let ended = AssayEnded::parse("branch there\nhead main\ngate 0\ngate x 1\n");
        assert_eq!(ended, AssayEnded { branch: true, ..AssayEnded::default() });
    }

    #[test]
    fn the_committing_script_is_a_script() {
        let script = committing_script();
        let mut check = std::process::Command::new("sh");
        let parsed = check.arg("-n").arg("-c").arg(&script).status().unwrap();
        assert!(parsed.success(), "{script}");
    }
}
