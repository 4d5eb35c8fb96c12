//! `[state_backend]`: as users write it, to what Assay's run manifest holds.

use super::Surroundings;
use crate::document::{Located, Problem};
use crate::manifest::model::{AssaySessions, Orchestrator, StateBackend, StateKey};
use crate::name::{SecretName, VariableName};
use toml::{Table, Value};

/// The backends that Assay knows: one tagged value of these.
const VARIANTS: [&str; 6] = ["local_fs", "linear", "github", "ssh", "smelt", "custom"];

/// The one that takes no keys, and is a string.
const LOCAL: &str = "local_fs";

/// The key that names a secret; Assay does not know it.
const API_KEY: &str = "api_key_env";

/// The variable that Assay's Linear backend reads.
const LINEAR_API_KEY: &str = "LINEAR_API_KEY";

pub(super) fn resolve(
    section: Option<Located<Value>>,
    orchestrator: Option<&Orchestrator>,
    around: &Surroundings<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Located<StateBackend>> {
    let section = section.filter(|_| !around.was_left_out(&["state_backend"]))?;
    let span = section.span();
    match orchestrator {
        Some(Orchestrator::Direct(_)) => {
            problems.push(Problem::warning(span, "`[state_backend]` is only used by `assay`"));
            return None;
        }
        Some(Orchestrator::Assay(AssaySessions::Separate)) => problems.push(
            Problem::warning(
                span.clone(),
                "Assay uses `[state_backend]` for several sessions only",
            )
            .help("set `sessions = \"together\"` in `[orchestrator]`"),
        ),
        Some(Orchestrator::Assay(AssaySessions::Together)) | None => {}
    }
    match normalized(section.into_inner()) {
        Ok(backend) => Some(Located::new(backend, span)),
        Err(message) => {
            problems.push(Problem::error(span, message).help(
                "write `type = \"linear\"` with its keys beside it, or `[state_backend.linear]`",
            ));
            None
        }
    }
}

/// Brings both ways to write a backend into Assay's own: the string `local_fs`, or a table of one
/// variant. What is not known is handed on untouched.
fn normalized(value: Value) -> Result<StateBackend, String> {
    match value {
        Value::String(name) => {
            Ok(StateBackend { config: Value::String(known_as(name)), key: None })
        }
        Value::Table(table) if table.contains_key("type") => flat(table),
        Value::Table(table) => tagged(table),
        _ => Err("`[state_backend]` is a table, or the string \"local_fs\"".into()),
    }
}

/// `type = "linear"`, its keys beside it.
fn flat(mut table: Table) -> Result<StateBackend, String> {
    let Some(name) = table["type"].as_str().map(|name| known_as(name.to_owned())) else {
        return Err("`type` of `[state_backend]` must be a string".into());
    };
    if !VARIANTS.contains(&&*name) {
        return untouched(table);
    }
    table.remove("type");
    of_variant(name, table)
}

/// `[state_backend.linear]`, as Assay has it.
fn tagged(mut table: Table) -> Result<StateBackend, String> {
    let name = table.keys().next().cloned().unwrap_or_default();
    let is_variant = table.len() == 1 && VARIANTS.contains(&&*name);
    match table.remove(&name) {
        Some(Value::Table(keys)) if is_variant => of_variant(name, keys),
        Some(other) => {
            table.insert(name, other);
            untouched(table)
        }
        None => Err("`[state_backend]` is empty".into()),
    }
}

fn of_variant(name: String, mut keys: Table) -> Result<StateBackend, String> {
    let secret = secret(keys.remove(API_KEY))?;
    if name == LOCAL {
        return match keys.keys().next() {
            Some(key) => Err(format!("`{}`: the backend `{LOCAL}` takes no keys", shown(key))),
            None => Ok(StateBackend { config: Value::String(name), key: None }),
        };
    }
    let key = secret.map(|secret| StateKey { variable: variable(&name, &secret), secret });
    Ok(StateBackend { config: Value::Table(Table::from_iter([(name, Value::Table(keys))])), key })
}

fn untouched(table: Table) -> Result<StateBackend, String> {
    let secret = secret(table.get(API_KEY).cloned())?;
    let key = secret.map(|secret| StateKey { variable: variable("", &secret), secret });
    Ok(StateBackend { config: Value::Table(table), key })
}

fn secret(value: Option<Value>) -> Result<Option<SecretName>, String> {
    match value {
        None => Ok(None),
        Some(Value::String(name)) => {
            name.parse().map(Some).map_err(|why| format!("`{API_KEY}`: {why}"))
        }
        Some(_) => Err(format!("`{API_KEY}` must be the name of a secret")),
    }
}

/// The variable that a backend reads its key from; where that is not known, one of the secret's name.
fn variable(backend: &str, secret: &SecretName) -> VariableName {
    let name = if backend == "linear" { LINEAR_API_KEY } else { secret.as_str() };
    name.parse().expect("secrets are named in the alphabet of variables")
}

/// `file` is what the local backend was called once.
fn known_as(name: String) -> String {
    if name == "file" { LOCAL.to_owned() } else { name }
}

fn shown(key: &str) -> std::borrow::Cow<'_, str> {
    crate::text::clean_line(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(section: &str) -> String {
        let mut table: Table = section.parse().unwrap();
        match normalized(table.remove("state_backend").unwrap()) {
            Err(message) => format!("error: {message}\n"),
            Ok(StateBackend { config, key }) => {
                let mut text =
                    toml::to_string(&Table::from_iter([("state_backend".into(), config)])).unwrap();
                if let Some(StateKey { variable, secret }) = key {
                    text += &format!("# {variable} is the secret {secret}\n");
                }
                text
            }
        }
    }

    #[test]
    fn both_ways_to_write_a_backend_become_assays_own() {
        let sections = [
            "state_backend = \"local_fs\"",
            "state_backend = \"file\"",
            "[state_backend]\ntype = \"file\"",
            "[state_backend.local_fs]",
            "[state_backend]\ntype = \"linear\"\nteam_id = \"T\"\nproject_id = \"P\"\napi_key_env = \"LINEAR_KEY\"",
            "[state_backend.linear]\nteam_id = \"T\"\napi_key_env = \"LINEAR_KEY\"",
            "[state_backend]\ntype = \"github\"\nrepo = \"acme/app\"\nlabel = \"x\"\napi_key_env = \"GH_TOKEN\"",
            "[state_backend.ssh]\nhost = \"h\"\nremote_assay_dir = \"/a\"\nport = 22",
            "[state_backend]\ntype = \"smelt\"\nurl = \"http://h\"\njob_id = \"7\"",
            "[state_backend]\ntype = \"custom\"\nname = \"n\"\nconfig = { a = [1, { b = true }] }",
            "[state_backend]\ntype = \"redis\"\nurl = \"r\"\napi_key_env = \"REDIS_KEY\"",
            "[state_backend.redis]\nurl = \"r\"",
            "[state_backend]\nlinear = \"odd\"",
            "[state_backend]\nlinear = { team_id = \"T\" }\nssh = { host = \"h\" }",
            "state_backend = 3",
            "[state_backend]",
            "[state_backend]\ntype = 3",
            "[state_backend]\ntype = \"file\"\npath = \"x\"",
            "[state_backend.linear]\nteam_id = \"T\"\napi_key_env = \"lin key\"",
            "[state_backend.linear]\nteam_id = \"T\"\napi_key_env = 3",
        ];
        let told = sections.map(|section| format!("--- {section}\n=== \n{}", written(section)));
        insta::assert_snapshot!(told.join("\n"));
    }
}
