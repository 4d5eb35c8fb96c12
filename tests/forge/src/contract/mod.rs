//! The real services' contracts: which operations there are, and what goes in and out of them.

mod convert;
mod operation;
mod sample;

pub(crate) use operation::{Operation, decoded};

use crate::Kind;
use convert::{Dialect, Side, convert, referred};
use jsonschema::Validator;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Characters of what the validator says of one problem.
const LONGEST_MESSAGE: usize = 400;

/// One service's document. Schemas are compiled once and kept.
pub(crate) struct Contract {
    dialect: Dialect,
    document: Value,
    definitions: Map<String, Value>,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    /// The one that `kind` is held to; read once in a process.
    pub(crate) fn of(kind: Kind) -> &'static Self {
        static GITHUB: OnceLock<Contract> = OnceLock::new();
        static FORGEJO: OnceLock<Contract> = OnceLock::new();
        match kind {
            Kind::GitHub => GITHUB.get_or_init(|| {
                let text = include_str!("../../contracts/github-openapi.json");
                Self::read(text, Dialect::OpenApi)
            }),
            Kind::Forgejo | Kind::Gitea => FORGEJO.get_or_init(|| {
                let text = include_str!("../../contracts/forgejo-swagger.json");
                Self::read(text, Dialect::Go)
            }),
        }
    }

    fn read(text: &str, dialect: Dialect) -> Self {
        let mut document: Value = serde_json::from_str(text).expect("a contract is JSON");
        let place = match dialect {
            Dialect::OpenApi => "/components/schemas",
            Dialect::Go => "/definitions",
        };
        let definitions = document.pointer_mut(place).map(Value::take);
        let Some(Value::Object(definitions)) = definitions else {
            panic!("the contract has no {place}")
        };
        Self { dialect, document, definitions, compiled: Mutex::default() }
    }

    /// A complete answer: the least that the definition `name` takes, with `fields` over it.
    ///
    /// # Panics
    /// Where the contract has no such definition.
    pub(crate) fn complete(&self, name: &str, fields: Value) -> Value {
        let schema = self.definitions.get(name);
        let schema = schema.unwrap_or_else(|| panic!("the contract defines no {name}"));
        let mut made = sample::sample(schema, &self.definitions, self.dialect, 0);
        sample::overlay(&mut made, fields);
        made
    }

    /// What is wrong with `body` as an answer of `operation`; nothing where it is not documented.
    pub(crate) fn check_response(
        &self,
        operation: &Operation<'_>,
        status: u16,
        body: Option<&Value>,
    ) -> Vec<String> {
        let Some(answer) = operation.value["responses"].get(status.to_string()) else {
            return Vec::new();
        };
        let answer = self.resolved(answer);
        let schema = match self.dialect {
            Dialect::OpenApi => answer.pointer("/content/application~1json/schema"),
            Dialect::Go => answer.get("schema"),
        };
        match (schema, body) {
            (None, _) => Vec::new(),
            (Some(_), None) => vec![format!("the answer {status} has a body in the contract")],
            // A Go handler that has nothing to say writes null for its whole answer.
            (Some(_), Some(Value::Null)) if self.dialect == Dialect::Go => Vec::new(),
            (Some(schema), Some(body)) => {
                let name = format!("{} answers {status}", operation.name());
                let problems = self.problems(&name, schema, Side::Response, body);
                problems.map(|problem| format!("the answer {status}: {problem}")).collect()
            }
        }
    }

    fn problems<'a>(
        &self,
        name: &str,
        schema: &Value,
        side: Side,
        value: &'a Value,
    ) -> impl Iterator<Item = String> + use<'a> {
        let validator = self.validator(name, schema, side);
        let all: Vec<_> = validator
            .iter_errors(value)
            .take(5)
            .map(|error| {
                format!("{} at \"{}\"", shortened(error.to_string()), error.instance_path())
            })
            .collect();
        all.into_iter()
    }

    fn validator(&self, name: &str, schema: &Value, side: Side) -> Arc<Validator> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = compiled.get(name) {
            return Arc::clone(validator);
        }
        let mut whole = convert(schema, self.dialect, side);
        whole["$defs"] = self.reached(schema, side);
        let built = jsonschema::options().should_validate_formats(true).build(&whole);
        let built = built.unwrap_or_else(|error| panic!("{name}: {error}"));
        let validator = Arc::new(built);
        compiled.insert(name.to_owned(), Arc::clone(&validator));
        validator
    }

    /// The definitions that `schema` leads to: compiling all of them takes seconds.
    fn reached(&self, schema: &Value, side: Side) -> Value {
        let mut names = BTreeSet::new();
        let mut ahead = vec![schema];
        while let Some(value) = ahead.pop() {
            if let Some(name) = referred(value)
                && names.insert(name)
            {
                ahead.extend(self.definitions.get(name));
            }
            match value {
                Value::Array(items) => ahead.extend(items),
                Value::Object(members) => ahead.extend(members.values()),
                _ => {}
            }
        }
        let defined = names.into_iter().map(|name| {
            let schema = self.definitions.get(name).unwrap_or(&Value::Null);
            (name.to_owned(), convert(schema, self.dialect, side))
        });
        Value::Object(defined.collect())
    }

    /// What a `$ref` to a parameter or an answer points at.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let target = value.get("$ref").and_then(Value::as_str);
        let target = target.and_then(|reference| reference.strip_prefix('#'));
        target.and_then(|pointer| self.document.pointer(pointer)).unwrap_or(value)
    }
}

/// A message may have the whole body in it: its beginning and its end tell what is wrong.
fn shortened(message: String) -> String {
    let letters: Vec<_> = message.chars().collect();
    if letters.len() <= LONGEST_MESSAGE {
        return message;
    }
    let (start, end) =
        (&letters[..LONGEST_MESSAGE / 2], &letters[letters.len() - LONGEST_MESSAGE / 2..]);
    start.iter().chain(&[' ', '…', ' ']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_instance_of_every_definition_is_valid() {
        for kind in [Kind::GitHub, Kind::Forgejo] {
            let contract = Contract::of(kind);
            for name in contract.definitions.keys() {
                let schema = &contract.definitions[name];
                let made = sample::sample(schema, &contract.definitions, contract.dialect, 0);
                let problems = contract.problems(name, schema, Side::Response, &made);
                assert_eq!(problems.collect::<Vec<_>>(), Vec::<String>::new(), "{name}: {made}");
            }
        }
    }
}
