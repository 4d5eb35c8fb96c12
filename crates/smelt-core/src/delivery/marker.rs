//! What Smelt knows its own part of a pull request's body by, and the commits it has pushed.

use crate::git::Oid;
use crate::id::RunId;

const BEGIN: &str = "<!-- smelt:begin ";
const END: &str = "<!-- smelt:end -->";

/// Which push a body belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The branch at the forge.
    pub branch: &'a str,
    /// The commit that Smelt put there.
    pub commit: &'a str,
}

impl Marker<'_> {
    /// `text` between marks that readers do not see. Nothing of others' in it may hold HTML.
    pub fn around(&self, text: &str) -> String {
        let Self { run, branch, commit } = self;
        format!("{BEGIN}run={run} branch={branch} commit={commit} -->\n{text}\n\n{END}")
    }
}

/// `body` with Smelt's part replaced by `own`; what people have written around it stays. Where there
/// is no such part, `own` follows.
pub fn replace(body: &str, own: &str) -> String {
    if let Some(start) = body.find(BEGIN)
        && let Some(end) = body[start..].find(END).map(|at| start + at + END.len())
    {
        return format!("{}{own}{}", &body[..start], &body[end..]);
    }
    match body.trim() {
        "" => own.to_owned(),
        body => format!("{body}\n\n{own}"),
    }
}

/// The commit that Smelt has put on `branch`, as `body` tells it.
pub fn commit(body: &str, branch: &str) -> Option<Oid> {
    let (_, rest) = body.split_once(BEGIN)?;
    let (mark, _) = rest.split_once("-->")?;
    let value = |key: &str| mark.split_whitespace().find_map(|pair| pair.strip_prefix(key));
    value("branch=").filter(|name| *name == branch)?;
    value("commit=")?.parse().ok()
}

/// Whether there is a part of Smelt's in `body`.
pub fn is_in(body: &str) -> bool {
    body.contains(BEGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn own(text: &str) -> String {
        let run = "20261123t141502-k3f9qz".parse().unwrap();
        Marker { run: &run, branch: "smelt/x", commit: COMMIT }.around(text)
    }

    #[test]
    fn a_body_tells_what_was_pushed_where() {
        let body = format!("Hello\n\n{}\nBye", own("text"));
        assert_eq!(commit(&body, "smelt/x"), Some(COMMIT.parse().unwrap()));
        assert_eq!(commit(&body, "smelt/y"), None);
        assert_eq!(commit("<!-- smelt:begin commit=no branch=smelt/x -->", "smelt/x"), None);
        assert!(is_in(&body) && !is_in("smelt:begin"));
    }

    #[test]
    fn what_people_wrote_around_it_stays() {
        let first = replace("", &own("one"));
        let edited = format!("Please look.\n\n{first}\n\nThanks");
        let second = replace(&edited, &own("two"));
        assert!(second.starts_with("Please look.\n\n<!--") && second.ends_with("-->\n\nThanks"));
        assert!(second.contains("two") && !second.contains("one"));
        assert_eq!(replace(&second, &own("two")), second);
        assert_eq!(
            replace("A hand-made one.", &own("x")),
            format!("A hand-made one.\n\n{}", own("x"))
        );
    }
}
