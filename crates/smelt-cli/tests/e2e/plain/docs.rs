//! The pages of docs/ that say what the program says: they are held against it, and written anew
//! with `SMELT_UPDATE_DOCS=1` (`just docs`).

use crate::env::TestEnv;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

const COMMANDS: [&str; 13] = [
    "run",
    "do",
    "init",
    "list",
    "status",
    "logs",
    "stop",
    "clean",
    "demo",
    "doctor",
    "schema",
    "completions",
    "man",
];

/// The manifest's sections, in the order they are read in.
const SECTIONS: [&str; 11] = [
    "job",
    "environment",
    "credentials",
    "session",
    "orchestrator",
    "merge",
    "forge",
    "kubernetes",
    "services",
    "state_backend",
    "notify",
];

#[test]
fn the_reference_of_commands() {
    let env = TestEnv::new();
    let mut text = String::new();
    let overview = env.smelt(&["--help"]).with_code(0).stdout;
    let _ = write!(text, "```text\n{overview}```\n");
    for command in COMMANDS {
        let help = env.smelt(&[command, "--help"]).with_code(0).stdout;
        let _ = write!(text, "\n## smelt {command}\n\n```text\n{help}```\n");
    }
    held_against("commands.md", &text);
}

#[test]
fn the_role_of_kubernetes() {
    let page = include_str!("../../../../../docs/kubernetes-role.yaml");
    assert_eq!(page, smelt_runtime::kubernetes::ROLE);
}

#[test]
fn the_reference_of_manifests() {
    let env = TestEnv::new();
    let said = env.smelt(&["schema", "manifest"]).with_code(0).stdout;
    let schema: Value = serde_json::from_str(&said).unwrap();
    let sections = schema["properties"].as_object().unwrap();
    assert_eq!(sections.len(), SECTIONS.len(), "a section is missing here");
    let mut text = String::new();
    for name in SECTIONS {
        let section = &sections[name];
        let is_list = section["type"] == "array";
        let title = if is_list { format!("[[{name}]]") } else { format!("[{name}]") };
        let _ = write!(text, "\n### `{title}`\n\n{}\n", meaning(section));
        let table = if is_list { &section["items"] } else { section };
        if table["properties"].is_object() {
            text += "\n| key | value | meaning |\n|---|---|---|\n";
            rows(&mut text, "", table);
        }
    }
    held_against("manifest.md", &text);
}

/// A row for each key of a table, and for those of the tables in it.
fn rows(text: &mut String, prefix: &str, table: &Value) {
    let required = table["required"].as_array().cloned().unwrap_or_default();
    let (mut first, rest): (Vec<_>, Vec<_>) = table["properties"]
        .as_object()
        .unwrap()
        .iter()
        .partition(|(key, _)| required.contains(&Value::from(key.as_str())));
    first.extend(rest);
    for (key, value) in first {
        let name = format!("{prefix}{key}");
        let must = if required.contains(&Value::from(key.as_str())) { "Required. " } else { "" };
        let _ = writeln!(text, "| `{name}` | {} | {must}{} |", kind(value), meaning(value));
        if value["properties"].is_object() {
            rows(text, &format!("{name}."), value);
        }
    }
}

fn meaning(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// What may stand for a key, in words.
fn kind(value: &Value) -> String {
    if let Some(choices) = value["oneOf"].as_array() {
        let choice = |c: &Value| format!("`\"{}\"`", c["const"].as_str().unwrap_or_default());
        return choices.iter().map(choice).collect::<Vec<_>>().join(", ");
    }
    if let Some(choices) = value["anyOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let word = |kind: &str| match kind {
        "integer" | "number" => "number".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        "array" => format!("list of {}", plural(&kind_of_items(value))),
        "object" if value["properties"].is_object() => "table".to_owned(),
        "object" => "map".to_owned(),
        other => other.to_owned(),
    };
    match &value["type"] {
        Value::String(kind) => word(kind),
        Value::Array(kinds) => {
            let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).map(word).collect();
            kinds.join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn kind_of_items(value: &Value) -> String {
    kind(&value["items"])
}

fn plural(kind: &str) -> String {
    match kind {
        "string" => "strings".to_owned(),
        other => other.to_owned(),
    }
}

/// The part of a page between its two marks is `text`.
#[track_caller]
fn held_against(page: &str, text: &str) {
    const BEGIN: &str = "<!-- made by `just docs`: -->\n";
    const END: &str = "<!-- : made by `just docs` -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let old = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = old.split_once(BEGIN).expect("the page has the first mark");
    let (_, tail) = rest.split_once(END).expect("the page has the second mark");
    let new = format!("{head}{BEGIN}{text}{END}{tail}");
    if std::env::var_os("SMELT_UPDATE_DOCS").is_some() {
        std::fs::write(&path, new).unwrap();
    } else {
        assert!(old == new, "docs/{page} does not say what the program says: run `just docs`");
    }
}
