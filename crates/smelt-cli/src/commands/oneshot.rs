//! `smelt do`: a manifest made from flags.

use super::run::carry_out;
use crate::args::{AgentName, Do};
use crate::error::Result;
use crate::settings::Settings;
use smelt_core::manifest::{AgentKind, Manifest};
use smelt_core::orchestrator::preset;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

pub async fn run(args: &Do) -> Result {
    let settings = Settings::read(args.options.env_file.as_deref())?;
    let text = manifest(args, &settings);
    let folder = std::env::current_dir()?;
    let (manifest, warnings) =
        Manifest::parse(&text, "the command line", &folder, settings.home.as_deref())?;
    carry_out(&settings, manifest, &warnings, &args.options).await
}

impl From<AgentName> for AgentKind {
    fn from(name: AgentName) -> Self {
        match name {
            AgentName::Claude => Self::Claude,
            AgentName::Codex => Self::Codex,
            AgentName::Gemini => Self::Gemini,
            AgentName::Opencode => Self::Opencode,
            AgentName::Aider => Self::Aider,
        }
    }
}

fn manifest(args: &Do, settings: &Settings) -> String {
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.task));
    let job = table([("name", name.clone().into()), ("repo", args.repo.clone().into())]);
    let mut environment = Table::new();
    let mut credentials = Table::new();
    let mut orchestrator = table([("kind", "direct".into())]);
    match &args.image {
        Some(image) => {
            environment.insert("runtime".into(), "docker".into());
            environment.insert("image".into(), image.clone().into());
        }
        None => {
            environment.insert("runtime".into(), "local".into());
        }
    }
    match &args.command {
        Some(command) => {
            orchestrator.insert("command".into(), command.clone().into());
        }
        None => {
            let kind = AgentKind::from(args.agent);
            orchestrator.insert("agent".into(), kind.as_str().into());
            let keys = preset(kind).secrets().iter().filter(|key| {
                key.parse().is_ok_and(|name| settings.secrets.locate(&name).is_some())
            });
            let env: Table = keys.map(|key| ((*key).to_owned(), Value::from(*key))).collect();
            credentials.insert("env".into(), env.into());
            if args.image.is_none() {
                let tools = tools(settings, preset(kind).program());
                environment.insert("tools".into(), Value::Array(tools));
            }
        }
    }
    if let Some(model) = &args.model {
        credentials.insert("model".into(), model.clone().into());
    }
    let session = table([
        ("name", "task".into()),
        ("spec", args.task.clone().into()),
        ("harness", args.gate.clone().into()),
        ("timeout", Value::Integer(args.timeout.into())),
    ]);
    let document = table([
        ("job", job.into()),
        ("environment", environment.into()),
        ("credentials", credentials.into()),
        ("orchestrator", orchestrator.into()),
        ("session", Value::Array(vec![session.into()])),
    ]);
    document.to_string()
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A job's name from the first words of its task.
fn name_of(task: &str) -> String {
    let letters = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = task.chars().map(letters).collect();
    let words: Vec<_> = words.split_whitespace().take(5).collect();
    let name: String = words.join("-").chars().take(40).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "task".to_owned() } else { name.to_owned() }
}

/// Folders that the jail must see for `program` to run, where it is not below `/usr`: that of the
/// program, and of what it links to.
fn tools(settings: &Settings, program: &str) -> Vec<Value> {
    let found =
        std::env::split_paths(&settings.path).map(|f| f.join(program)).find(|p| p.is_file());
    let Some(found) = found else { return Vec::new() };
    let real = found.canonicalize().ok();
    let mut folders: Vec<PathBuf> = Vec::new();
    for path in [Some(found), real].into_iter().flatten() {
        let folder = installation(&path);
        if !folder.starts_with("/usr") && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders.iter().map(|folder| folder.display().to_string().into()).collect()
}

/// The folder of a program with what belongs to it: an npm package needs the `lib` beside `bin`.
fn installation(program: &Path) -> PathBuf {
    let package = program.ancestors().find(|folder| folder.ends_with("node_modules"));
    let folder = package.or(program.parent()).unwrap_or(program);
    folder.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_a_task_s_first_words() {
        assert_eq!(name_of("Fix the bug in ./src/parser.rs, please!"), "fix-the-bug-in-src");
        assert_eq!(name_of("…"), "task");
        assert_eq!(name_of(&"x".repeat(99)).len(), 40);
    }
}
