//! What a pull request says of a run: a pure function of what is known.

use super::changes::{Changes, FileChange, FileKind};
use super::markdown::{block, cell, code};
use super::order::Task;
use super::{markdown, template};
use crate::event::{GateReport, Level};
use crate::manifest::{Forge, RuntimeKind};
use crate::name::SessionName;
use crate::outcome::Outcome;
use crate::state::{Notice, RunState, SessionRecord};
use crate::text::count;
use std::fmt::Write;

/// Most characters of a title; GitHub takes 256.
const TITLE_MAX: usize = 120;

/// Most characters of a body; GitHub takes 65,536.
const BODY_MAX: usize = 60_000;

/// Most characters of a task.
const TASK_MAX: usize = 4_000;

/// Commits that are listed.
const MOST_COMMITS: usize = 30;

/// Files of a kind that are listed.
const MOST_FILES: usize = 60;

/// Last lines of a gate that are shown.
const MOST_LINES: usize = 15;

/// A run, as its pull request tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What is known of the run.
    pub state: &'a RunState,
    /// How it ended, or will.
    pub outcome: Outcome,
    /// What was asked of its sessions.
    pub tasks: &'a [Task],
    /// What its result changes.
    pub changes: &'a Changes,
    /// The branch with the work, at the forge.
    pub branch: &'a str,
    /// The branch it is meant for.
    pub base: &'a str,
    /// The branch that the work was meant to be on, where somebody else's commits are on that.
    pub instead_of: Option<&'a str>,
}

impl Report<'_> {
    pub(super) fn task(&self, session: &SessionName) -> Option<&str> {
        self.tasks.iter().find(|task| task.session == *session).map(|task| task.text.as_str())
    }

    /// The title: by the manifest's template, else the task's first line.
    ///
    /// # Errors
    /// Where the template can't be used.
    pub fn title(&self, forge: &Forge) -> Result<String, template::TemplateError> {
        let title = match &forge.title {
            Some(template) => template::title(template, self)?,
            None => self.default_title(),
        };
        let title = markdown::title(&title, TITLE_MAX);
        Ok(if title.is_empty() { self.state.job.to_string() } else { title })
    }

    /// The body: by the manifest's template, else everything that a reviewer needs.
    ///
    /// # Errors
    /// Where the template can't be used.
    pub fn body(&self, forge: &Forge) -> Result<String, template::TemplateError> {
        let default = self.default_body();
        let body = match &forge.body {
            // What changes CI is named first, whatever the template says.
            Some(template) => {
                let own = template::body(template, self, &default)?;
                match template.contains("default_body") {
                    true => own,
                    false => join([self.warnings(), own]),
                }
            }
            None => default,
        };
        Ok(within(&body, BODY_MAX))
    }

    /// Everything that a reviewer needs.
    pub fn default_body(&self) -> String {
        join([self.warnings(), self.asked(), self.gates(), self.changed(), self.facts()])
    }

    pub(super) fn default_title(&self) -> String {
        let lines = |task: &Task| {
            let line = task.text.lines().map(|line| line.trim_start_matches('#').trim());
            line.map(str::to_owned).find(|line| !line.is_empty())
        };
        match self.tasks {
            [only] => lines(only).unwrap_or_else(|| self.state.job.to_string()),
            tasks => {
                let names: Vec<_> = tasks.iter().map(|task| task.session.as_str()).collect();
                format!("{}: {}", self.state.job, names.join(", "))
            }
        }
    }

    /// What a reviewer must not overlook.
    fn warnings(&self) -> String {
        let mut text = String::new();
        let ci: Vec<_> = self.changes.of_kind(FileKind::Ci).collect();
        if !ci.is_empty() {
            let files = count(ci.len() as u64, "file");
            let _ = writeln!(text, "> [!WARNING]\n> **This changes what CI runs** ({files}):");
            list(&mut text, "> ", &ci);
            text.push('\n');
        }
        if self.outcome == Outcome::GatesFailed {
            text += "> [!CAUTION]\n> **Not every gate passed.** This holds the work of the sessions \
                     that did.\n\n";
        }
        if let Some(meant) = self.instead_of {
            let _ = writeln!(
                text,
                "> [!NOTE]\n> `{meant}` holds commits that Smelt did not put there. They were left \
                 alone, and this work is on `{}`.\n",
                self.branch
            );
        }
        text
    }

    fn asked(&self) -> String {
        let heading = if self.tasks.len() == 1 { "## Task" } else { "## Tasks" };
        let mut text = format!("{heading}\n\n");
        for task in self.tasks {
            if self.tasks.len() > 1 {
                let _ = writeln!(text, "### {}\n", task.session);
            }
            let _ = writeln!(text, "{}\n", block(task.text.trim(), TASK_MAX));
        }
        text
    }

    fn gates(&self) -> String {
        let mut text =
            String::from("## Gates\n\n| session | gate | verdict | time |\n|---|---|---|---|\n");
        for session in &self.state.sessions {
            match &session.gate {
                Some(gate) => row(&mut text, session.name.as_str(), gate),
                None => {
                    let reason = session.reason.as_deref().map(|reason| cell(reason, 200));
                    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                    let _ =
                        writeln!(text, "| {} | – | {}{reason} | – |", session.name, session.state);
                }
            }
            if let Some(gate) = &session.merged_gate {
                row(&mut text, &format!("{}, on the merged tree", session.name), gate);
            }
        }
        let _ = writeln!(text, "\n{}\n", self.provenance());
        for session in &self.state.sessions {
            for (gate, tree) in gates(session) {
                let tail = &gate.tail[gate.tail.len().saturating_sub(MOST_LINES)..];
                if tail.is_empty() {
                    continue;
                }
                let open = if gate.passed { "" } else { " open" };
                let _ = writeln!(
                    text,
                    "<details{open}><summary>Last lines of {}'s gate{tree}</summary>\n\n{}\n\n</details>\n",
                    session.name,
                    block(&tail.join("\n"), 3_000)
                );
            }
        }
        text
    }

    /// Where the verdicts come from: whoever wrote the code could have reached the gate.
    fn provenance(&self) -> String {
        let place = match self.state.runtime {
            RuntimeKind::Local => "in the jail",
            RuntimeKind::Docker | RuntimeKind::Compose => "in the container",
            RuntimeKind::Kubernetes => "in the pod",
        };
        let isolation = self.state.isolation.as_deref();
        let isolation = isolation.map(|text| format!(" ({})", code(text, 300))).unwrap_or_default();
        format!(
            "Each verdict is the exit code of the gate's command, which Smelt ran after the agent, \
             {place} in which the agent had worked{isolation}. An agent that means to can deceive a \
             gate there: what your own CI says of this branch counts for more."
        )
    }

    fn changed(&self) -> String {
        let state = self.state;
        let (commits, files) = (count(state.commits, "commit"), count(state.files_changed, "file"));
        let mut text = format!(
            "## Changes\n\n{commits}, {files} changed (+{} −{})\n\n",
            state.insertions, state.deletions
        );
        let listed = &self.changes.commits[..self.changes.commits.len().min(MOST_COMMITS)];
        for commit in listed {
            let _ = writeln!(text, "- {} {}", commit.id, code(&commit.subject, 120));
        }
        more(&mut text, "", state.commits, listed.len());
        text.push('\n');
        for kind in FileKind::ALL {
            let files: Vec<_> = self.changes.of_kind(kind).collect();
            if !files.is_empty() {
                let _ = writeln!(text, "**{}**\n", kind.as_str());
                list(&mut text, "", &files);
                text.push('\n');
            }
        }
        let listed = self.changes.files.len();
        if self.changes.files_total > listed as u64 {
            more(&mut text, "", self.changes.files_total, listed);
        }
        text
    }

    fn facts(&self) -> String {
        let state = self.state;
        let mut text = String::from("## Run\n\n");
        let base = state.base_branch.as_deref().unwrap_or(&state.base_ref);
        let mut facts = vec![("job", code(state.job.as_str(), 100))];
        facts.push(("run", code(state.run_id.as_str(), 100)));
        if let Some(commit) = &state.base_commit {
            facts.push(("base", format!("{} at {commit}", code(base, 200))));
        }
        facts.push(("runtime", code(state.runtime.as_str(), 100)));
        facts.push(("orchestrator", code(state.orchestrator.as_str(), 100)));
        facts.extend(state.image.as_ref().map(|image| ("image", code(image, 200))));
        // That it could not be delivered before is nothing to review.
        let is_about_work = |n: &&Notice| n.level == Level::Warning && !n.delivery;
        let warnings = state.notices.iter().filter(is_about_work);
        facts.extend(warnings.take(20).map(|notice| ("warning", code(&notice.message, 500))));
        for (name, fact) in facts {
            let _ = writeln!(text, "- {name}: {fact}");
        }
        text
    }
}

/// The gates of a session, with the tree they ran on.
fn gates(session: &SessionRecord) -> impl Iterator<Item = (&GateReport, &'static str)> {
    let own = session.gate.iter().map(|gate| (gate, ""));
    own.chain(session.merged_gate.iter().map(|gate| (gate, " on the merged tree")))
}

fn row(text: &mut String, name: &str, gate: &GateReport) {
    let verdict = match (gate.passed, gate.exit_code) {
        (true, _) => "passed".to_owned(),
        (false, Some(code)) => format!("**failed** (exit code {code})"),
        (false, None) => "**failed** (ended)".to_owned(),
    };
    let command = cell(gate.command.lines().next().unwrap_or_default(), 200);
    let seconds = std::time::Duration::from_millis(gate.duration_ms).as_secs_f64();
    let _ = writeln!(text, "| {name} | {command} | {verdict} | {seconds:.1} s |");
}

fn list(text: &mut String, start: &str, files: &[&FileChange]) {
    for file in files.iter().take(MOST_FILES) {
        let lines = match (file.insertions, file.deletions) {
            (Some(insertions), Some(deletions)) => format!("+{insertions} −{deletions}"),
            _ => "binary".to_owned(),
        };
        let _ =
            writeln!(text, "{start}- {} {} ({lines})", code(&file.path, 300), file.change.as_str());
    }
    more(text, start, files.len() as u64, MOST_FILES.min(files.len()));
}

fn more(text: &mut String, start: &str, all: u64, listed: usize) {
    let left = all.saturating_sub(listed as u64);
    if left > 0 {
        let _ = writeln!(text, "{start}- … and {left} more");
    }
}

/// Sections, an empty line between each two.
fn join<const N: usize>(sections: [String; N]) -> String {
    let sections = sections.iter().map(|section| section.trim_end());
    sections.filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// `text`, cut between lines where it is too long, with what was open closed.
fn within(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut = String::new();
    let (mut fence, mut details, mut length) = (None::<&str>, 0usize, 0);
    for line in text.lines() {
        length += line.chars().count() + 1;
        if length > max - 200 {
            break;
        }
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(open) if line == open => fence = None,
            None if ticks >= 3 => fence = Some(&line[..ticks]),
            _ => {}
        }
        if fence.is_none() {
            details += usize::from(line.starts_with("<details"));
            details -= usize::from(line.starts_with("</details>")).min(details);
        }
        cut += line;
        cut.push('\n');
    }
    let fence = fence.map(|fence| format!("{fence}\n")).unwrap_or_default();
    format!(
        "{cut}{fence}{}\n*This was cut: a pull request can't hold all of it. `smelt status` and `smelt \
         logs` can.*",
        "</details>\n".repeat(details)
    )
}
