//! The files that Assay reads: its configuration, the specs, the run manifest; and the gates.

use super::place::{DOT_ASSAY, PROJECT, Place};
use crate::git::Oid;
use crate::manifest::{Session, StateBackend};
use crate::port::SandboxPaths;
use std::io;
use tar::EntryType;

/// Where run manifests are.
const MANIFESTS: &str = ".assay/smelt";

/// The script that Assay runs as every session's criterion.
const GATE: &str = include_str!("scripts/gate.sh");

/// A file below Assay's folder, and what it holds; a folder where its name ends with `/`.
pub(super) type File = (String, String);

/// What all sessions share.
pub(super) fn shared() -> Vec<File> {
    let config = format!("project_name = {}\n", basic(PROJECT));
    let folder = |path: String| (path, String::new());
    vec![
        // Sessions that start at the same time find them made.
        folder(format!("repo/{DOT_ASSAY}/specs/")),
        folder(format!("repo/{MANIFESTS}/")),
        folder("gates/".into()),
        (format!("repo/{DOT_ASSAY}/config.toml"), config),
        ("gate.sh".into(), GATE.into()),
        ("commit.sh".into(), crate::sandbox_git::committing_script()),
    ]
}

/// What there is for one session that starts from `start`: its spec and its gate.
pub(super) fn of_session(session: &Session, start: &Oid, paths: &SandboxPaths) -> Vec<File> {
    let name = &session.name;
    vec![
        (format!("repo/{DOT_ASSAY}/specs/{name}.toml"), spec(session, start, paths)),
        (format!("gates/{name}.harness"), session.harness.clone()),
    ]
}

/// Where the run manifest called `name` is.
pub(super) fn manifest_path(name: impl std::fmt::Display) -> String {
    format!("repo/{}", manifest_in_place(name))
}

/// The same, seen from where Assay is started.
pub(super) fn manifest_in_place(name: impl std::fmt::Display) -> String {
    format!("{MANIFESTS}/{name}.toml")
}

/// A spec: the task, and one criterion, the gate.
fn spec(session: &Session, start: &Oid, paths: &SandboxPaths) -> String {
    let gate = Place::of(paths).root.join("gate.sh");
    let task = paths.task(session.name.as_str());
    let words =
        [&*gate.to_string_lossy(), session.name.as_str(), start.as_str(), &task.to_string_lossy()];
    let command = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let mut lines = session.harness.lines();
    let first = lines.next().unwrap_or_default();
    let more = if lines.next().is_some() { " …" } else { "" };
    format!(
        "name = {}\ndescription = {}\n\n[[criteria]]\nname = \"gate\"\ndescription = {}\ncmd = {}\n",
        basic(session.name.as_str()),
        basic(&session.spec),
        basic(&format!("{first}{more}")),
        basic(&format!("sh {command}")),
    )
}

/// Assay's run manifest for `sessions`. Dependencies are told where all of them are in it: one that
/// runs by itself starts from their work already.
pub(super) fn manifest(sessions: &[&Session], backend: Option<&StateBackend>) -> String {
    let mut text = String::new();
    if let Some(backend) = backend {
        let table = toml::Table::from_iter([("state_backend".to_owned(), backend.config.clone())]);
        text = toml::to_string(&table).expect("what was read as TOML can be written as TOML");
    }
    // A table would take in what follows it: it goes behind the sessions.
    let is_table = backend.is_some_and(|backend| backend.config.is_table());
    let mut sections: Vec<String> =
        sessions.iter().map(|session| section(session, sessions)).collect();
    sections.insert(if is_table { sections.len() } else { 0 }, text);
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn section(session: &Session, sessions: &[&Session]) -> String {
    let name = basic(session.name.as_str());
    let mut text = format!("[[sessions]]\nspec = {name}\nname = {name}\n");
    if sessions.len() > 1 && !session.depends_on.is_empty() {
        let names: Vec<_> = session.depends_on.iter().map(|name| basic(name.as_str())).collect();
        text += &format!("depends_on = [{}]\n", names.join(", "));
    }
    text
}

/// `text` as a TOML string on one line.
fn basic(text: &str) -> String {
    // What JSON escapes TOML escapes alike; JSON lets one control character through.
    let text = serde_json::Value::from(text).to_string();
    text.replace('\u{7f}', "\\u007f")
}

/// `word` for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// `files` as a tar archive.
pub(super) fn archive(files: &[File]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        let is_folder = path.ends_with('/');
        header.set_entry_type(if is_folder { EntryType::Directory } else { EntryType::Regular });
        header.set_mode(if is_folder { 0o755 } else { 0o644 });
        header.set_size(content.len() as u64);
        header.set_mtime(jiff::Timestamp::now().as_second().unsigned_abs());
        archive.append_data(&mut header, path, content.as_bytes())?;
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn session(name: &str, depends_on: &[&str]) -> Session {
        Session {
            name: name.parse().unwrap(),
            spec: "Say \"hello\" in C:\\.\n```sh\necho\thello > a.txt\n```\n".into(),
            harness: "test -f a.txt\necho done".into(),
            timeout: Duration::from_secs(60),
            depends_on: depends_on.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    fn paths() -> SandboxPaths {
        SandboxPaths { root: "/smelt".into(), home: "/home/u".into() }
    }

    fn shown(files: &[File]) -> String {
        let shown = files.iter().filter(|(path, _)| !path.ends_with(".sh") && !path.ends_with('/'));
        shown.map(|(path, text)| format!("--- {path}\n{text}\n")).collect()
    }

    #[test]
    fn files_are_as_assay_reads_them() {
        let start: Oid = "a".repeat(40).parse().unwrap();
        let files = [shared(), of_session(&session("one", &[]), &start, &paths())].concat();
        insta::assert_snapshot!(shown(&files));
    }

    #[test]
    fn run_manifests_hold_one_session_or_all_and_the_backend() {
        let sessions = [session("a", &[]), session("b", &[]), session("c", &["a", "b"])];
        let all: Vec<_> = sessions.iter().collect();
        let config = |text: &str| text.parse::<toml::Table>().unwrap().remove("b").unwrap();
        let backend = |text: &str| Some(StateBackend { config: config(text), key: None });
        let told = [
            manifest(&all[2..], None),
            manifest(&all, None),
            manifest(&all[..1], backend("b = \"local_fs\"").as_ref()),
            manifest(&all[..2], backend("b = { linear = { team_id = \"T\" } }").as_ref()),
        ];
        for text in &told {
            let read: toml::Table = text.parse().unwrap();
            assert!(read.keys().all(|key| ["sessions", "state_backend"].contains(&key.as_str())));
        }
        insta::assert_snapshot!(told.join("\n---\n"));
    }

    proptest! {
        #[test]
        fn every_text_is_a_string_on_one_line(text in any::<String>()) {
            let written = format!("a = {}", basic(&text));
            prop_assert!(!written.contains('\n'));
            let read: toml::Table = written.parse().unwrap();
            prop_assert_eq!(read["a"].as_str(), Some(&*text));
        }
    }
}
