//! Agents that Smelt knows how to start, as their documentation says; see docs/orchestrators.md
//! for the sources and for what they leave open.

mod aider;
mod claude;
mod codex;
mod gemini;
mod opencode;
mod records;

use crate::event::Usage;
use crate::manifest::{AgentKind, Credentials};
use crate::session::lines::AgentOutput;

/// How an agent is started, and what it needs.
#[derive(Debug)]
pub struct Preset {
    program: &'static str,
    install: &'static str,
    /// An image of a registry with what [`Self::install`] takes.
    base: &'static str,
    /// What of Debian it takes besides.
    packages: &'static str,
    secrets: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    excluded: &'static [&'static str],
    argv: fn(&Credentials) -> Vec<String>,
    reader: fn() -> Box<dyn AgentReader>,
}

/// Reads what an agent prints: lines for people, what it used, whether it failed.
pub(crate) trait AgentReader: AgentOutput {
    /// What the agent used, as far as it has said so.
    fn usage(&self) -> Option<Usage>;

    /// What the agent said of its own failure: some end with exit code 0 all the same.
    fn failure(&self) -> Option<String>;
}

/// The preset of `kind`.
pub fn preset(kind: AgentKind) -> &'static Preset {
    match kind {
        AgentKind::Claude => &claude::PRESET,
        AgentKind::Codex => &codex::PRESET,
        AgentKind::Gemini => &gemini::PRESET,
        AgentKind::Opencode => &opencode::PRESET,
        AgentKind::Aider => &aider::PRESET,
    }
}

impl Preset {
    /// The program's name on `PATH`.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// The command that installs it.
    pub fn install(&self) -> &'static str {
        self.install
    }

    /// A Dockerfile for an image with it, git and a shell. Its base may be one that has some of them.
    pub fn dockerfile(&self) -> String {
        include_str!("Dockerfile")
            .replace("@BASE@", self.base)
            .replace("@PACKAGES@", self.packages)
            .replace("@PROGRAM@", self.program)
            .replace("@INSTALL@", self.install)
    }

    /// Variables with a key of its model's provider: one of them is enough.
    pub fn secrets(&self) -> &'static [&'static str] {
        self.secrets
    }

    /// Variables that let it run unattended.
    pub(crate) fn env(&self) -> &'static [(&'static str, &'static str)] {
        self.env
    }

    /// The program and its arguments, for a task on standard input.
    pub(crate) fn argv(&self, credentials: &Credentials) -> Vec<String> {
        (self.argv)(credentials)
    }

    /// Files it makes for itself in a worktree, as git's exclude patterns.
    pub(crate) fn excluded(&self) -> &'static [&'static str] {
        self.excluded
    }

    /// A reader for one run of it.
    pub(crate) fn reader(&self) -> Box<dyn AgentReader> {
        (self.reader)()
    }
}

/// `words` as arguments, then `--model` where the job names one.
fn with_model(words: &[&str], credentials: &Credentials) -> Vec<String> {
    let model = credentials.model.as_deref().into_iter().flat_map(|model| ["--model", model]);
    words.iter().copied().chain(model).map(str::to_owned).collect()
}

/// The same for programs whose models are called `provider/model`.
fn with_qualified_model(words: &[&str], credentials: &Credentials) -> Vec<String> {
    let model = match (&credentials.provider, &credentials.model) {
        (Some(provider), Some(model)) if !model.contains('/') => {
            Some(format!("{provider}/{model}"))
        }
        (_, model) => model.clone(),
    };
    with_model(words, &Credentials { model, ..Credentials::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [AgentKind; 5] = [
        AgentKind::Claude,
        AgentKind::Codex,
        AgentKind::Gemini,
        AgentKind::Opencode,
        AgentKind::Aider,
    ];

    #[test]
    fn command_lines_are_as_documented() {
        let lines = ALL.map(|kind| {
            let preset = preset(kind);
            let env = preset.env().iter().map(|(k, v)| format!("{k}={v} ")).collect::<String>();
            let credentials = Credentials {
                provider: Some("PROVIDER".into()),
                model: Some("MODEL".into()),
                ..Credentials::default()
            };
            format!("{env}{}", preset.argv(&credentials).join(" "))
        });
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn every_preset_starts_its_own_program() {
        for kind in ALL {
            let preset = preset(kind);
            let argv = preset.argv(&Credentials::default());
            assert!(argv.iter().any(|word| word.contains(preset.program())), "{argv:?}");
            assert!(!preset.secrets().is_empty() && preset.dockerfile().contains("git"));
        }
    }

    /// What a reader makes of recorded or documented lines.
    pub(super) fn read(
        kind: AgentKind,
        lines: &str,
    ) -> (Vec<String>, Option<Usage>, Option<String>) {
        let mut reader = preset(kind).reader();
        let shown = lines.lines().flat_map(|line| reader.read(line)).collect();
        (shown, reader.usage(), reader.failure())
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_is() {
        for kind in ALL {
            let (shown, usage, failure) = read(kind, "Error: no such model\n{\"half\": ");
            assert_eq!(shown, ["Error: no such model", "{\"half\": "]);
            assert_eq!((usage, failure), (None, None));
        }
    }
}
