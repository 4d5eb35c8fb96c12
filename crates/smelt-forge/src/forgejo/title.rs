//! Drafts by the title: Forgejo and Gitea know no other way to make one.

/// What opens the title of a pull request that is not to be merged yet.
const DRAFT: &str = "WIP: ";

/// What marks a draft, in whatever case.
const MARKS: [&str; 2] = ["WIP:", "[WIP]"];

/// `title` as it is sent. A mark in a task's own words makes no draft.
pub(super) fn marked(title: &str, draft: bool) -> String {
    let (title, _) = unmarked(title);
    if draft { format!("{DRAFT}{title}") } else { title.to_owned() }
}

/// `title` without what marks a draft, and whether that was there.
pub(super) fn unmarked(title: &str) -> (&str, bool) {
    let title = title.trim();
    let rest = MARKS.iter().find_map(|mark| {
        let start = title.get(..mark.len())?;
        start.eq_ignore_ascii_case(mark).then(|| title[mark.len()..].trim_start())
    });
    rest.map_or((title, false), |rest| (rest, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_in_any_case_and_written_in_one() {
        for (title, rest, draft) in [
            ("WIP: Add x", "Add x", true),
            ("wip:Add x", "Add x", true),
            (" [Wip]  Add x", "Add x", true),
            ("WIPE: the disk", "WIPE: the disk", false),
            ("Add WIP: x", "Add WIP: x", false),
            ("ä", "ä", false),
            ("äöüß", "äöüß", false),
            ("WIP:", "", true),
        ] {
            assert_eq!(unmarked(title), (rest, draft), "{title}");
        }
        assert_eq!(unmarked(&marked("Add x", true)), ("Add x", true));
        assert_eq!(marked("Add x", false), "Add x");
        assert_eq!(marked("WIP: Add x", false), "Add x");
        assert_eq!(marked("WIP: Add x", true), "WIP: Add x");
    }
}
