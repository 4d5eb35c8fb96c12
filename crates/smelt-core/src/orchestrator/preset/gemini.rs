//! Gemini CLI. Records: messages in pieces, uses of tools, last a `result`
//! (google-gemini/gemini-cli, docs/cli/headless.md and packages/core/src/output/types.ts).

use super::records::{Records, Told, shown, text, tool_line};
use super::{Preset, with_model};
use crate::event::Usage;
use serde_json::Value;

pub(super) const PRESET: Preset = Preset {
    program: "gemini",
    install: "npm install -g @google/gemini-cli",
    base: "node:22-slim",
    packages: "git ca-certificates ripgrep",
    secrets: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    env: &[
        // An untrusted folder would turn its approval mode off.
        ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
        ("GEMINI_SANDBOX", "false"),
        ("GEMINI_TELEMETRY_ENABLED", "false"),
    ],
    excluded: &[],
    argv: |credentials| {
        let words = ["gemini", "--approval-mode=yolo", "--output-format", "stream-json"];
        with_model(&words, credentials)
    },
    reader: || Records::boxed(take),
};

fn take(record: &Value, told: &mut Told) -> Vec<String> {
    match text(record, "/type") {
        "message" if text(record, "/role") == "assistant" => shown(text(record, "/content")),
        "tool_use" => vec![tool_line(text(record, "/tool_name"), &record["parameters"])],
        "error" => shown(text(record, "/message")),
        "result" => {
            let tokens = |key: &str| record["stats"][key].as_u64();
            told.usage = record.get("stats").map(|_| Usage {
                input_tokens: tokens("input_tokens"),
                output_tokens: tokens("output_tokens"),
                cost_usd: None,
            });
            if text(record, "/status") == "error" {
                told.failure = Some(text(record, "/error/message").to_owned());
            }
            Vec::new()
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
    fn messages_are_shown_and_the_result_tells_usage() {
        let (shown, used, failure) = read(
            AgentKind::Gemini,
            r#"{"type":"init","timestamp":"t","session_id":"s","model":"gemini-2.5-pro"}
{"type":"message","timestamp":"t","role":"user","content":"the task"}
{"type":"message","timestamp":"t","role":"assistant","content":"Looking.","delta":true}
{"type":"tool_use","timestamp":"t","tool_name":"run_shell_command","tool_id":"i","parameters":{"command":"ls"}}
{"type":"result","timestamp":"t","status":"success","stats":{"total_tokens":12,"input_tokens":10,"output_tokens":2,"cached":0,"input":10,"duration_ms":5,"tool_calls":1}}"#,
        );
        assert_eq!(shown, ["Looking.", "[run_shell_command] ls"]);
        let expected = Usage { input_tokens: Some(10), output_tokens: Some(2), cost_usd: None };
        assert_eq!((used, failure), (Some(expected), None));
    }
}
