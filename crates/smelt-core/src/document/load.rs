use super::known::{Place, retain_known};
use super::{Problem, SecretSections, schema_of};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Schema;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Nobody reads more at once, and each costs another look at the whole document.
const MOST_PROBLEMS: usize = 100;

/// What a text yielded: the document as far as it could be read, and what was wrong.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The document without the parts that are wrong; `None` where nothing could be made of it.
    pub document: Option<T>,
    /// Everything that was wrong with its shape.
    pub problems: Vec<Problem>,
    /// Keys whose values could not be read and were left out, as `section.key`.
    pub left_out: BTreeSet<String>,
    /// Lines of the text that must not be quoted, as ranges of bytes; for
    /// [`Problems::without_quoting`](super::Problems::without_quoting).
    pub secret_lines: Vec<Range<usize>>,
}

/// Reads a TOML document whose keys are all optional to serde and marked `required` for the schema.
///
/// No problem repeats a value that stands in one of the `secret` sections.
pub fn load<T: DeserializeOwned + JsonSchema>(text: &str, secret: SecretSections<'_>) -> Loaded<T> {
    let (root, syntax) = DeTable::parse_recoverable(text);
    let schema = schema_of::<T>();
    let sections = schema.get("properties").and_then(Schema::as_object).into_iter().flatten();
    let sections: Vec<_> = sections.map(|(section, _)| section.as_str()).collect();
    let mut loaded = Loaded {
        document: None,
        problems: Vec::new(),
        left_out: BTreeSet::new(),
        secret_lines: secret.lines(text, &sections),
    };
    if !syntax.is_empty() {
        loaded.problems =
            syntax.iter().take(MOST_PROBLEMS).map(|e| syntax_problem(e, text)).collect();
        return loaded;
    }
    let mut table = root.into_inner();
    let place = Place::root(0..text.len().min(1), secret);
    retain_known(&mut table, schema.as_value(), &place, &mut loaded.problems, &mut loaded.left_out);
    while loaded.problems.len() < MOST_PROBLEMS {
        let whole = Spanned::new(0..text.len(), table.clone());
        let error = match T::deserialize(toml::Deserializer::from(whole)) {
            Ok(document) => {
                loaded.document = Some(document);
                break;
            }
            Err(error) => error,
        };
        let key = error.span().and_then(|span| take_out(&mut table, &span));
        // Missing keys were found along the schema, all of them at once.
        if !error.message().starts_with("missing field") {
            let problem = value_problem(&error, key.as_deref(), schema.as_value(), secret);
            loaded.problems.push(problem);
        }
        let Some(key) = key else { break };
        loaded.left_out.insert(key);
    }
    loaded
}

fn syntax_problem(error: &toml::de::Error, text: &str) -> Problem {
    let span = error.span().unwrap_or(text.len()..text.len());
    Problem::error(span, format!("this is not valid TOML: {}", error.message()))
}

fn value_problem(
    error: &toml::de::Error,
    key: Option<&str>,
    schema: &Schema,
    secret: SecretSections<'_>,
) -> Problem {
    let said = in_plain_words(error.message());
    let said = secret.shown_complaint(key, &said);
    let message = match key {
        Some(key) => format!("`{}`: {said}", secret.shown_path(key)),
        None => said.to_owned(),
    };
    let problem = match error.span() {
        Some(span) => Problem::error(span, message),
        None => Problem::whole(message),
    };
    match key {
        Some(key) if said_of_list(error) => {
            let key = secret.shown_path(key);
            problem.help(format!("write `[[{key}]]`, with two brackets, for each"))
        }
        Some(key) => match description(schema, key) {
            Some(help) => problem.help(help),
            None => problem,
        },
        None => problem,
    }
}

/// Whether one table stands where there may be several.
fn said_of_list(error: &toml::de::Error) -> bool {
    error.message().starts_with("invalid type: map, expected a sequence")
}

/// serde names Rust's types; whoever writes a manifest thinks in TOML's.
fn in_plain_words(message: &str) -> String {
    [
        ("a nonzero u32", "a whole number above zero"),
        ("a nonzero u16", "a whole number from 1 to 65535"),
        ("i64", "a whole number"),
        ("a sequence", "a list"),
        (": map,", ": table,"),
        (": sequence,", ": list,"),
    ]
    .iter()
    .fold(message.to_owned(), |text, (rust, plain)| text.replace(rust, plain))
}

/// What the schema says of the key at `path`.
fn description(schema: &Schema, path: &str) -> Option<String> {
    let part = path.split('.').try_fold(schema, |schema, key| {
        let table = schema.get("items").unwrap_or(schema);
        table.get("properties")?.get(key)
    })?;
    let text = part.get("description")?.as_str()?;
    Some(format!("`{}` is: {}", path.rsplit('.').next()?, text.replace('\n', " ")))
}

/// Takes the innermost value that `span` lies in out of the document; returns its key.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let (key, value) =
        table.iter_mut().find(|(key, value)| key.span() == *span || holds(value, span))?;
    let name = key.get_ref().to_string();
    let below = if key.span() == *span { None } else { take_out_below(value, span) };
    match below {
        Some(inner) if inner.is_empty() => Some(name),
        Some(inner) => Some(format!("{name}.{inner}")),
        None => {
            let key = key.clone();
            table.remove(&key);
            Some(name)
        }
    }
}

fn take_out_below(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<String> {
    match value.get_mut() {
        DeValue::Table(table) => take_out(table, span),
        DeValue::Array(array) => {
            let index = array.iter().position(|item| holds(item, span))?;
            let inner = array.get_mut(index).and_then(|item| take_out_below(item, span));
            if inner.is_none() {
                let others = array.iter().enumerate().filter(|(i, _)| *i != index);
                *array = others.map(|(_, item)| item.clone()).collect();
            }
            Some(inner.unwrap_or_default())
        }
        _ => None,
    }
}

/// Whether `span` lies in `value`. A table's own span may be just its header.
fn holds(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let own = value.span();
    let inside = own.start <= span.start && span.end <= own.end;
    inside
        || match value.get_ref() {
            DeValue::Table(table) => table.iter().any(|(_, value)| holds(value, span)),
            DeValue::Array(array) => array.iter().any(|item| holds(item, span)),
            _ => false,
        }
}
