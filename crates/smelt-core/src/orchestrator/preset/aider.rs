//! aider. It prints for people; what it used stands in lines such as
//! `Tokens: 1.2k sent, 300 received. Cost: $0.01 message, $0.02 session.` (aider-chat 0.86).

use super::{AgentReader, Preset};
use crate::event::Usage;
use crate::session::lines::AgentOutput;

/// It reads a task from a file only, and would ask a person if that file could not be read.
const START: &str =
    r#"task=$(mktemp) && cat > "$task" && exec aider --message-file "$task" "$@" < /dev/null"#;

pub(super) const PRESET: Preset = Preset {
    program: "aider",
    install: "pip install aider-chat",
    base: "python:3.12-slim",
    packages: "git ca-certificates",
    secrets: &[
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "GEMINI_API_KEY",
        "DEEPSEEK_API_KEY",
        "OPENROUTER_API_KEY",
    ],
    env: &[("AIDER_ANALYTICS", "false"), ("AIDER_CHECK_UPDATE", "false")],
    excluded: &[".aider*"],
    argv: |credentials| {
        let options = [
            "--yes-always",
            "--no-gitignore",
            "--no-pretty",
            "--no-stream",
            "--no-fancy-input",
            "--no-show-release-notes",
            "--no-show-model-warnings",
            "--no-detect-urls",
            "--no-suggest-shell-commands",
            "--chat-history-file=/dev/null",
            "--input-history-file=/dev/null",
        ];
        let words: Vec<_> = ["sh", "-c", START, "aider"].into_iter().chain(options).collect();
        super::with_qualified_model(&words, credentials)
    },
    reader: || Box::new(Reader::default()),
};

#[derive(Default)]
struct Reader {
    usage: Option<Usage>,
}

impl AgentOutput for Reader {
    fn read(&mut self, line: &str) -> Vec<String> {
        if let Some(told) = line.trim().strip_prefix("Tokens: ") {
            self.count(told);
        }
        vec![line.to_owned()]
    }
}

impl Reader {
    fn count(&mut self, told: &str) {
        let before = |word: &str| {
            let part = told.split([',', '.']).find(|part| part.trim().ends_with(word));
            // `1.2k sent` is cut at its own point: the number is looked for from the word back.
            let end = part.and_then(|part| told.find(part).map(|at| at + part.len()))?;
            let words: Vec<_> = told[..end].split([' ', ',']).filter(|w| !w.is_empty()).collect();
            rounded(words.get(words.len().checked_sub(2)?)?)
        };
        let usage = self.usage.get_or_insert_default();
        let add = |sum: &mut Option<u64>, n: Option<u64>| {
            if let Some(n) = n {
                *sum = Some(sum.unwrap_or(0).saturating_add(n));
            }
        };
        add(&mut usage.input_tokens, before("sent"));
        add(&mut usage.output_tokens, before("received"));
        let cost = told.split("message, $").nth(1).and_then(|rest| rest.strip_suffix(" session."));
        usage.cost_usd = cost.and_then(|cost| cost.parse().ok()).or(usage.cost_usd);
    }
}

/// `300`, `1.2k` or `12k`.
fn rounded(number: &str) -> Option<u64> {
    let (digits, factor) = match number.strip_suffix('k') {
        Some(digits) => (digits, 1000.0),
        None => (number, 1.0),
    };
    let value = digits.parse::<f64>().ok()? * factor;
    (0.0..1e15).contains(&value).then_some(value.round() as u64)
}

impl AgentReader for Reader {
    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn failure(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;
    use crate::manifest::AgentKind;

    #[test]
    fn rounded_counts_are_added_up() {
        let (shown, used, _) = read(
            AgentKind::Aider,
            "Applied edit to a.py\n\
             Tokens: 1.2k sent, 300 received. Cost: $0.01 message, $0.01 session.\n\
             Tokens: 12k sent, 8.5k cache hit, 1.1k received. Cost: $0.02 message, $0.03 session.",
        );
        assert_eq!(shown.len(), 3);
        let expected =
            Usage { input_tokens: Some(13_200), output_tokens: Some(1_400), cost_usd: Some(0.03) };
        assert_eq!(used, Some(expected));
    }
}
