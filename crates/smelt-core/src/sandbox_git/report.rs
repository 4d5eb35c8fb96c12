//! What the scripts print: a word and its value a line.

use crate::git::Oid;
use crate::text::{clean_line, shorten};

/// Conflicting files that are named.
const MOST_FILES: usize = 100;

/// What became of a session's worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Its last commit that is built on where it started.
    pub(crate) head: Oid,
    /// Commits since it started.
    pub(crate) commits: u64,
    /// Files that had been left uncommitted.
    pub(crate) left: u64,
    /// Files that had been left with conflicts.
    pub(crate) unmerged: u64,
    /// Repositories inside the worktree, of which git records no content.
    pub(crate) embedded: Vec<String>,
    /// Why something could not be committed.
    pub(crate) unadded: Option<String>,
    /// Branches that the agent has left with work which is not in its last commit.
    pub(crate) beside: Vec<String>,
    /// Where the agent had gone, if not on from where it started.
    pub(crate) strayed: Option<Oid>,
}

/// How a merge ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergeEnd {
    /// In this commit.
    Merged(Oid),
    /// In a conflict over these files.
    Conflict(Vec<String>),
}

pub(super) struct Report<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Report<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.split_once(' ')).collect())
    }

    pub(super) fn get<T: std::str::FromStr>(&self, word: &str) -> Option<T> {
        let mut values = self.0.iter().rev().filter(|(key, _)| *key == word);
        values.next()?.1.trim().parse().ok()
    }

    fn paths(&self, word: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, _)| *key == word).take(MOST_FILES);
        let mut paths: Vec<_> =
            values.map(|(_, path)| shorten(&clean_line(path), 200).into_owned()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    pub(super) fn committed(&self) -> Option<Committed> {
        Some(Committed {
            head: self.get("head")?,
            commits: self.get("commits")?,
            left: self.get("left")?,
            unmerged: self.get("unmerged")?,
            embedded: self.paths("embedded"),
            unadded: self.paths("unadded").pop(),
            beside: self.paths("beside"),
            strayed: self.get("strayed"),
        })
    }

    pub(super) fn merged(&self) -> Option<MergeEnd> {
        self.get("merged").map(MergeEnd::Merged)
    }

    pub(super) fn conflict(&self) -> MergeEnd {
        MergeEnd::Conflict(self.paths("conflict"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn reports_are_read_and_nonsense_is_not_believed() {
        let text = format!("left 2\nunmerged 0\nembedded sub/repo\ncommits 3\nhead {A}\n");
        let committed = Report::parse(&text).committed().unwrap();
        assert_eq!((committed.left, committed.commits), (2, 3));
        assert_eq!(committed.embedded, ["sub/repo"]);
        assert_eq!(committed.strayed, None);
        for bad in ["", "head main\nleft 0\nunmerged 0\ncommits 1", &format!("head {A}")] {
            assert_eq!(Report::parse(bad).committed(), None, "{bad}");
        }
        let conflict = Report::parse("conflict b\nconflict a\u{1b}[2J\nconflict b\n").conflict();
        assert_eq!(conflict, MergeEnd::Conflict(vec!["a".into(), "b".into()]));
    }
}
