//! Agents that print a JSON object a line.

use super::AgentReader;
use crate::event::Usage;
use crate::session::lines::AgentOutput;
use serde_json::Value;

/// What is known of an agent's run so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) usage: Option<Usage>,
    pub(super) failure: Option<String>,
}

impl Told {
    /// Counts `usage` on top of what was told before.
    pub(super) fn add(&mut self, usage: Usage) {
        let so_far = self.usage.get_or_insert_default();
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        so_far.input_tokens = sum(so_far.input_tokens, usage.input_tokens);
        so_far.output_tokens = sum(so_far.output_tokens, usage.output_tokens);
        so_far.cost_usd = match (so_far.cost_usd, usage.cost_usd) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        };
    }
}

/// A reader of JSON lines: `take` makes lines for people of one record, and notes what it tells.
pub(super) struct Records {
    told: Told,
    take: fn(&Value, &mut Told) -> Vec<String>,
}

impl Records {
    pub(super) fn boxed(take: fn(&Value, &mut Told) -> Vec<String>) -> Box<dyn AgentReader> {
        Box::new(Self { told: Told::default(), take })
    }
}

impl AgentOutput for Records {
    fn read(&mut self, line: &str) -> Vec<String> {
        match serde_json::from_str::<Value>(line) {
            Ok(record @ Value::Object(_)) => (self.take)(&record, &mut self.told),
            _ => vec![line.to_owned()],
        }
    }
}

impl AgentReader for Records {
    fn usage(&self) -> Option<Usage> {
        self.told.usage
    }

    fn failure(&self) -> Option<String> {
        self.told.failure.clone()
    }
}

/// The text at `path` of `record`, or nothing.
pub(super) fn text<'r>(record: &'r Value, path: &str) -> &'r str {
    record.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// A use of a tool: its name and the argument that says most about it.
pub(super) fn tool_line(name: &str, arguments: &Value) -> String {
    const TELLING: &[&str] =
        &["command", "file_path", "filePath", "path", "pattern", "query", "url", "description"];
    let told = TELLING.iter().find_map(|key| arguments.get(key)?.as_str());
    match told.and_then(|told| told.lines().next()) {
        Some(told) => format!("[{name}] {}", crate::text::shorten(told, 160)),
        None => format!("[{name}]"),
    }
}

/// `text`, if there is any, as lines to show.
pub(super) fn shown(text: &str) -> Vec<String> {
    if text.trim().is_empty() { Vec::new() } else { vec![text.trim_matches('\n').to_owned()] }
}
