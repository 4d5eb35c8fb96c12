//! Codex CLI. Records: items as they start and complete, `turn.completed` with the usage
//! (developers.openai.com/codex, non-interactive mode).

use super::records::{Records, Told, shown, text, tool_line};
use super::{Preset, with_model};
use crate::event::Usage;
use serde_json::Value;

pub(super) const PRESET: Preset = Preset {
    program: "codex",
    install: "npm install -g @openai/codex",
    base: "node:22-slim",
    packages: "git ca-certificates ripgrep",
    // `codex exec` reads no OPENAI_API_KEY: give that secret as CODEX_API_KEY.
    secrets: &["CODEX_API_KEY"],
    env: &[],
    excluded: &[],
    argv: |credentials| {
        let mut words = with_model(
            &[
                "codex",
                "exec",
                "--json",
                "--skip-git-repo-check",
                "--dangerously-bypass-approvals-and-sandbox",
            ],
            credentials,
        );
        words.push("-".into());
        words
    },
    reader: || Records::boxed(take),
};

fn take(record: &Value, told: &mut Told) -> Vec<String> {
    let item = &record["item"];
    match (text(record, "/type"), text(item, "/type")) {
        ("item.started", "command_execution") => vec![tool_line("shell", item)],
        ("item.completed", "agent_message") => shown(text(item, "/text")),
        ("item.completed", "file_change") => {
            let changes = item["changes"].as_array().into_iter().flatten();
            changes
                .map(|change| format!("[{}] {}", text(change, "/kind"), text(change, "/path")))
                .collect()
        }
        ("item.completed", "mcp_tool_call") => {
            vec![tool_line(text(item, "/tool"), &item["arguments"])]
        }
        ("turn.completed", _) => {
            let tokens = |key: &str| record["usage"][key].as_u64();
            told.add(Usage {
                input_tokens: tokens("input_tokens"),
                output_tokens: tokens("output_tokens"),
                cost_usd: None,
            });
            told.failure = None;
            Vec::new()
        }
        ("turn.failed", _) => {
            let said = text(record, "/error/message").to_owned();
            told.failure = Some(said.clone());
            vec![format!("failed: {said}")]
        }
        // It may be about a connection that comes back.
        ("error", _) => shown(text(record, "/message")),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;
    use crate::manifest::AgentKind;

    #[test]
    fn items_are_shown_and_turns_tell_usage() {
        let (shown, used, failure) = read(
            AgentKind::Codex,
            r#"{"type":"thread.started","thread_id":"0199a213"}
{"type":"turn.started"}
{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"bash -lc ls","status":"in_progress"}}
{"type":"item.completed","item":{"id":"item_4","type":"file_change","changes":[{"path":"docs/foo.md","kind":"add"}],"status":"completed"}}
{"type":"item.completed","item":{"id":"item_3","type":"agent_message","text":"Repo contains docs."}}
{"type":"turn.completed","usage":{"input_tokens":24763,"cached_input_tokens":24448,"output_tokens":122}}"#,
        );
        assert_eq!(shown, ["[shell] bash -lc ls", "[add] docs/foo.md", "Repo contains docs."]);
        let expected =
            Usage { input_tokens: Some(24763), output_tokens: Some(122), cost_usd: None };
        assert_eq!((used, failure), (Some(expected), None));
    }

    #[test]
    fn a_failed_turn_is_a_failure() {
        let failed = r#"{"type":"turn.failed","error":{"message":"rate limit exceeded"}}"#;
        let (_, usage, failure) = read(AgentKind::Codex, failed);
        assert_eq!((usage, failure.as_deref()), (None, Some("rate limit exceeded")));
    }
}
