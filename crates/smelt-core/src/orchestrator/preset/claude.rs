//! Claude Code. Records: `assistant` and `user` messages, last a `result`
//! (code.claude.com/docs, headless mode; types of the Agent SDK).

use super::records::{Records, Told, shown, text, tool_line};
use super::{Preset, with_model};
use crate::event::Usage;
use serde_json::Value;

pub(super) const PRESET: Preset = Preset {
    program: "claude",
    install: "npm install -g @anthropic-ai/claude-code",
    base: "node:22-slim",
    packages: "git ca-certificates ripgrep",
    secrets: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"],
    // As root it refuses to run unattended, unless it is told that it is in a sandbox.
    env: &[("IS_SANDBOX", "1"), ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")],
    excluded: &[],
    argv: |credentials| {
        let words = [
            "claude",
            "-p",
            "--dangerously-skip-permissions",
            "--output-format",
            "stream-json",
            "--verbose",
        ];
        with_model(&words, credentials)
    },
    reader: || Records::boxed(take),
};

fn take(record: &Value, told: &mut Told) -> Vec<String> {
    match text(record, "/type") {
        "assistant" => {
            let parts = record.pointer("/message/content").and_then(Value::as_array);
            parts.into_iter().flatten().flat_map(part).collect()
        }
        "result" => {
            told.usage = Some(usage(record));
            let failed = record["is_error"].as_bool().unwrap_or(false);
            if failed || text(record, "/subtype").starts_with("error") {
                let said =
                    [text(record, "/result"), text(record, "/errors/0"), text(record, "/subtype")];
                told.failure =
                    said.iter().find(|said| !said.is_empty()).map(|said| (*said).to_owned());
                return told.failure.iter().map(|said| format!("failed: {said}")).collect();
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn part(part: &Value) -> Vec<String> {
    match text(part, "/type") {
        "text" => shown(text(part, "/text")),
        "tool_use" => vec![tool_line(text(part, "/name"), &part["input"])],
        _ => Vec::new(),
    }
}

/// `input_tokens` leaves out what was read from or written to the cache.
fn usage(record: &Value) -> Usage {
    let tokens = |key: &str| record["usage"][key].as_u64();
    let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
    let cached: u64 = cached.iter().filter_map(|key| tokens(key)).sum();
    Usage {
        input_tokens: tokens("input_tokens").map(|fresh| fresh + cached),
        output_tokens: tokens("output_tokens"),
        cost_usd: record["total_cost_usd"].as_f64(),
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
            AgentKind::Claude,
            r#"{"type":"system","subtype":"init","cwd":"/w","tools":["Read"],"model":"m"}
{"type":"assistant","message":{"content":[{"type":"text","text":"Reading the file first."}],"usage":{"input_tokens":4}}}
{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"Read","input":{"file_path":"/w/main.rs"}}]}}
{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"fn main() {}"}]}}
{"type":"result","subtype":"success","is_error":false,"result":"Done.","total_cost_usd":0.25,"usage":{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":7}}"#,
        );
        assert_eq!(shown, ["Reading the file first.", "[Read] /w/main.rs"]);
        let expected =
            Usage { input_tokens: Some(1110), output_tokens: Some(7), cost_usd: Some(0.25) };
        assert_eq!((used, failure), (Some(expected), None));
    }

    #[test]
    fn an_error_told_as_a_success_is_an_error() {
        let (shown, _, failure) = read(
            AgentKind::Claude,
            r#"{"type":"result","subtype":"success","is_error":true,"result":"Invalid API key"}"#,
        );
        assert_eq!(failure.as_deref(), Some("Invalid API key"));
        assert_eq!(shown, ["failed: Invalid API key"]);
    }
}
