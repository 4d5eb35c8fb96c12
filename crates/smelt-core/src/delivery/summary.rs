//! A run as Markdown for the page of a build: the same as its pull request says, without the files.

use super::changes::Changes;
use super::markdown::{block, code};
use super::order::Task;
use super::report::Report;
use crate::outcome::Outcome;
use crate::state::RunState;

/// The run that `state` tells of, as Markdown. Text of others in it is harmless.
pub fn summary(state: &RunState, tasks: &[Task]) -> String {
    let outcome = state.outcome.unwrap_or(Outcome::Failed);
    let mut text = format!("# Smelt: {outcome}: {}\n\n", code(state.job.as_str(), 100));
    if let Some(failure) = &state.failure {
        text += &format!("{}\n\n", block(&failure.message, 2_000));
        text.extend(failure.hint.iter().map(|hint| format!("Help: {}\n\n", code(hint, 1_000))));
    }
    if let Some(pull) = &state.pr {
        let draft = if pull.draft { "draft pull request" } else { "pull request" };
        // The forge's own address; anything odd in it stays text.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@%+=&".contains(c);
        let is_link = pull.url.starts_with("http") && pull.url.chars().all(plain);
        text += &match is_link {
            true => format!("[{draft} {}]({})\n\n", pull.number, pull.url),
            false => format!("{draft} {}: {}\n\n", pull.number, code(&pull.url, 500)),
        };
    } else if let Some(branch) = &state.result_branch {
        text += &format!("result branch: {}\n\n", code(branch, 300));
    }
    let changes = Changes::default();
    let report = Report {
        state,
        outcome,
        tasks,
        changes: &changes,
        branch: state.result_branch.as_deref().unwrap_or_default(),
        base: state.base_branch.as_deref().unwrap_or_default(),
        instead_of: None,
    };
    text + &report.default_body() + "\n"
}
