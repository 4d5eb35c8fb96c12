//! opencode. Records: texts, uses of tools, and a `step_finish` with cost and tokens for each step;
//! there is none for the whole (anomalyco/opencode, docs/cli and cli/cmd/run.ts).

use super::records::{Records, Told, shown, text, tool_line};
use super::{Preset, with_qualified_model};
use crate::event::Usage;
use serde_json::Value;

pub(super) const PRESET: Preset = Preset {
    program: "opencode",
    install: "npm install -g opencode-ai",
    base: "node:22-slim",
    packages: "git ca-certificates ripgrep",
    secrets: &[
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "GEMINI_API_KEY",
        "OPENROUTER_API_KEY",
        "OPENCODE_API_KEY",
    ],
    env: &[("OPENCODE_PERMISSION", r#"{"*":"allow"}"#), ("OPENCODE_DISABLE_AUTOUPDATE", "true")],
    excluded: &[],
    argv: |credentials| with_qualified_model(&["opencode", "run", "--format", "json"], credentials),
    reader: || Records::boxed(take),
};

fn take(record: &Value, told: &mut Told) -> Vec<String> {
    let part = &record["part"];
    match text(record, "/type") {
        "text" => shown(text(part, "/text")),
        "tool_use" => vec![tool_line(text(part, "/tool"), &part["state"]["input"])],
        "step_finish" => {
            let tokens = |path: &str| part.pointer(path).and_then(Value::as_u64);
            let input = ["/tokens/input", "/tokens/cache/read", "/tokens/cache/write"];
            told.add(Usage {
                input_tokens: Some(input.iter().filter_map(|path| tokens(path)).sum()),
                output_tokens: tokens("/tokens/output"),
                cost_usd: part["cost"].as_f64(),
            });
            // What went wrong before was got over.
            told.failure = None;
            Vec::new()
        }
        "error" => {
            let said =
                [text(record, "/error/data/message"), text(record, "/error/name"), "it failed"];
            let said = said.into_iter().find(|said| !said.is_empty()).unwrap_or_default();
            told.failure = Some(said.to_owned());
            vec![format!("failed: {said}")]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;
    use crate::manifest::AgentKind;

    #[test]
    fn steps_add_up_and_an_error_that_is_got_over_is_none() {
        let lines = r#"{"type":"step_start","timestamp":1,"sessionID":"s","part":{"type":"step-start"}}
{"type":"error","timestamp":1,"sessionID":"s","error":{"name":"ProviderError","data":{"message":"transient"}}}
{"type":"tool_use","timestamp":1,"sessionID":"s","part":{"type":"tool","tool":"read","state":{"status":"completed","input":{"filePath":"/w/README.md"}}}}
{"type":"step_finish","timestamp":1,"sessionID":"s","part":{"reason":"tool-calls","tokens":{"input":100,"output":20,"reasoning":0,"cache":{"write":0,"read":40}},"cost":0.5}}
{"type":"text","timestamp":1,"sessionID":"s","part":{"type":"text","text":"\n\nHello"}}
{"type":"step_finish","timestamp":1,"sessionID":"s","part":{"reason":"stop","tokens":{"input":10,"output":1,"reasoning":0,"cache":{"write":0,"read":0}},"cost":0.25}}"#;
        let (shown, used, failure) = read(AgentKind::Opencode, lines);
        assert_eq!(shown, ["failed: transient", "[read] /w/README.md", "Hello"]);
        let expected =
            Usage { input_tokens: Some(150), output_tokens: Some(21), cost_usd: Some(0.75) };
        assert_eq!((used, failure), (Some(expected), None));
        let (_, _, failure) = read(AgentKind::Opencode, lines.lines().nth(1).unwrap());
        assert_eq!(failure.as_deref(), Some("transient"));
    }
}
