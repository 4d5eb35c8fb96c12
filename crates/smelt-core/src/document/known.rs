//! Unknown keys, unknown words and missing keys, found by walking a document along its schema.

use super::{Problem, SecretSections};
use serde_json::Value as Schema;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reports what the schema does not know in `table`, and takes it out.
pub(super) fn retain_known(
    table: &mut DeTable<'_>,
    schema: &Schema,
    at: &Place<'_>,
    problems: &mut Vec<Problem>,
    left_out: &mut BTreeSet<String>,
) {
    let known = schema.get("properties").and_then(Schema::as_object);
    // A map's keys are checked by their own type, when serde reads them.
    let others = match schema.get("patternProperties").and_then(Schema::as_object) {
        Some(patterns) => patterns.values().next(),
        None => schema.get("additionalProperties"),
    };
    let (mut unknown, mut misspelt) = (Vec::new(), Vec::new());
    for (key, value) in table.iter_mut() {
        let name = key.get_ref().as_ref();
        let part = known.and_then(|known| known.get(name)).or(others.filter(|o| o.is_object()));
        match part {
            Some(part) => {
                let below = at.below(name, value.span());
                if !retain_known_in(value, part, &below, problems, left_out) {
                    unknown.push(key.clone());
                }
            }
            None if others == Some(&Schema::Bool(false)) => {
                let names: Vec<_> =
                    known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                problems.push(unknown_key(name, key.span(), at, &names));
                // Whoever misspells a key has not forgotten it.
                misspelt.extend(nearest(name, &names));
                unknown.push(key.clone());
            }
            None => {}
        }
    }
    let required = schema.get("required").and_then(Schema::as_array).into_iter().flatten();
    for key in required.filter_map(Schema::as_str) {
        if !table.contains_key(key) && !misspelt.contains(&key) {
            problems.push(missing_key(key, known.and_then(|known| known.get(key)), at));
        }
    }
    left_out.extend(misspelt.into_iter().map(|key| at.path_of(key)));
    for key in unknown {
        table.remove(&key);
    }
}

/// Whether `value` can stay; what is unknown below it is reported and taken out.
fn retain_known_in(
    value: &mut Spanned<DeValue<'_>>,
    schema: &Schema,
    at: &Place<'_>,
    problems: &mut Vec<Problem>,
    left_out: &mut BTreeSet<String>,
) -> bool {
    let span = value.span();
    match value.get_mut() {
        DeValue::Table(table) => {
            let keys: Vec<_> = table.keys().map(|key| key.get_ref().as_ref()).collect();
            if let Some(schema) = table_option_of(schema, &keys) {
                retain_known(table, schema, at, problems, left_out);
            }
        }
        DeValue::Array(_) if describes_only_tables(schema) => {
            let shown = at.shown();
            let message = format!("`[[{shown}]]` is a list, and there is only one");
            problems.push(Problem::error(span, message).help(format!("write `[{shown}]`")));
            left_out.insert(at.path());
            return false;
        }
        DeValue::Array(array) => {
            if let Some(items) = option_of(schema, "array").and_then(|s| s.get("items")) {
                for item in array.iter_mut() {
                    let below = Place { span: item.span(), ..*at };
                    retain_known_in(item, items, &below, problems, left_out);
                }
            }
        }
        DeValue::String(text) if text.contains('\0') => {
            let message = format!("`{}` holds a NUL character", at.shown());
            problems.push(Problem::error(span, message).help("no program can be given one"));
            left_out.insert(at.path());
            return false;
        }
        DeValue::String(text) => {
            if let Some(words) = words_of(schema)
                && !words.contains(&text.as_ref())
            {
                problems.push(unknown_word(text, &words, span, at));
                left_out.insert(at.path());
                return false;
            }
        }
        _ => {}
    }
    true
}

fn describes_only_tables(schema: &Schema) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

/// The alternative of `schema` that describes values of the JSON type `kind`.
fn option_of<'s>(schema: &'s Schema, kind: &str) -> Option<&'s Schema> {
    let is_kind = |s: &&Schema| s.get("type").is_some_and(|t| t == kind);
    Some(schema).filter(is_kind).or_else(|| {
        let options = schema.get("anyOf").or_else(|| schema.get("oneOf"))?;
        options.as_array()?.iter().find(is_kind)
    })
}

/// The alternative of `schema` that describes a table with `keys`: the one that knows any of them.
fn table_option_of<'s>(schema: &'s Schema, keys: &[&str]) -> Option<&'s Schema> {
    let options = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Schema::as_array);
    let knows = |option: &&Schema| {
        let known = option.get("properties").and_then(Schema::as_object);
        known.is_some_and(|known| keys.iter().any(|key| known.contains_key(*key)))
    };
    options.into_iter().flatten().find(knows).or_else(|| option_of(schema, "object"))
}

/// The words a string may be, where the schema lists them.
fn words_of(schema: &Schema) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Schema::as_array) {
        return words.iter().map(Schema::as_str).collect();
    }
    let options = schema.get("oneOf")?.as_array()?;
    options.iter().map(|option| option.get("const").and_then(Schema::as_str)).collect()
}

/// Where in the document something stands: the keys that lead there.
pub(super) struct Place<'a> {
    above: Option<&'a Place<'a>>,
    key: &'a str,
    span: Range<usize>,
    secret: SecretSections<'a>,
}

impl<'a> Place<'a> {
    pub(super) fn root(span: Range<usize>, secret: SecretSections<'a>) -> Self {
        Self { above: None, key: "", span, secret }
    }

    fn below(&'a self, key: &'a str, span: Range<usize>) -> Self {
        Self { above: Some(self), key, span, secret: self.secret }
    }

    fn path(&self) -> String {
        match self.above.map(Place::path) {
            None => String::new(),
            Some(above) if above.is_empty() => self.key.to_owned(),
            Some(above) => format!("{above}.{}", self.key),
        }
    }

    fn path_of(&self, key: &str) -> String {
        match self.path() {
            path if path.is_empty() => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// The path as it may be shown.
    fn shown(&self) -> String {
        self.secret.shown_path(&self.path()).into_owned()
    }

    /// The key below it, and where that is, as it may be shown.
    fn of_key(&self, key: &str) -> String {
        let path = self.path_of(key);
        let shown = self.secret.shown_path(&path);
        match self.shown() {
            above if above.is_empty() => format!("`{shown}`"),
            above => {
                let key = shown.strip_prefix(&format!("{above}.")).unwrap_or("…");
                format!("`{key}` in `[{above}]`")
            }
        }
    }
}

fn unknown_key(key: &str, span: Range<usize>, at: &Place<'_>, known: &[&str]) -> Problem {
    Problem::error(span, format!("unknown key {}", at.of_key(key))).help(suggest(key, known))
}

fn unknown_word(word: &str, known: &[&str], span: Range<usize>, at: &Place<'_>) -> Problem {
    let shown = match nearest(word, known) {
        None if at.secret.hold(&at.path()) => "…".into(),
        _ => crate::text::clean_line(word),
    };
    Problem::error(span, format!("unknown value `{shown}` for `{}`", at.shown()))
        .help(suggest(word, known))
}

fn missing_key(key: &str, schema: Option<&Schema>, at: &Place<'_>) -> Problem {
    let what = schema.and_then(|s| s.get("description")).and_then(Schema::as_str);
    let problem =
        Problem::error(at.span.clone(), format!("the required key {} is missing", at.of_key(key)));
    match what {
        Some(what) => problem.help(format!("add `{key}`: {}", what.replace('\n', " "))),
        None => problem,
    }
}

fn suggest(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => {
            let known: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
            format!("known here: {}", known.join(", "))
        }
    }
}

/// The known word that `word` was most likely meant to be.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let likeness = |known: &&str| strsim::normalized_damerau_levenshtein(word, known);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(nearest) >= 0.5).then_some(nearest)
}
