//! A run in a few lines: how it ended, what each session did, where the work is, what to do next.

use super::print::{BAD, BOLD, CAREFUL, DIM, GOOD, styled};
use super::pull;
use super::words::{duration, git_in, millis, quoted, short};
use jiff::Timestamp;
use smelt_core::event::{GateReport, PullState, SessionState, Usage};
use smelt_core::git;
use smelt_core::outcome::Outcome;
use smelt_core::state::{RunState, SessionRecord};
use smelt_core::text::{clean_inline, clean_text, count};
use std::path::Path;

/// Last lines of a failed gate that are shown.
const TAIL: usize = 10;

/// What a summary has to know besides the run.
pub struct Surroundings<'a> {
    /// The folder it is printed in.
    pub here: &'a Path,
    /// Now.
    pub now: Timestamp,
    /// Whether the process that carries the run out is alive.
    pub alive: bool,
    /// The run's folder, where its logs are.
    pub folder: &'a Path,
}

/// The run as text.
pub fn of_run(state: &RunState, around: &Surroundings<'_>) -> String {
    let mut text = vec![title(state, around)];
    if let Some(failure) = &state.failure {
        text.push(format!("  {}: {}", styled(BAD, "error"), clean_text(&failure.message)));
        if let Some(hint) = &failure.hint {
            text.push(format!("  {}: {}", styled(CAREFUL, "help"), clean_text(hint)));
        }
    }
    text.push(String::new());
    text.push(sessions(state));
    if !state.conflicts.is_empty() {
        text.push(format!("\n  conflict in {}", clean_inline(&state.conflicts.join(", "))));
    }
    for session in &state.sessions {
        text.extend(failed_gate(session));
    }
    let facts = facts(state, around);
    if !facts.is_empty() {
        text.push(String::new());
        text.extend(facts.into_iter().map(|(name, fact)| {
            let fact = clean_inline(&fact);
            match name {
                "result" => format!("  {name:<9} {}", styled(BOLD, fact)),
                _ => format!("  {name:<9} {fact}"),
            }
        }));
    }
    let next = next(state, around);
    if !next.is_empty() {
        text.push(String::new());
        text.extend(next.into_iter().map(|(what, line)| {
            format!("  {} {}", styled(DIM, format!("{what:<9}")), clean_inline(&line))
        }));
    }
    text.join("\n")
}

fn title(state: &RunState, around: &Surroundings<'_>) -> String {
    let (style, word) = match state.outcome {
        Some(Outcome::Complete) => (GOOD, "complete"),
        Some(Outcome::NoChanges) => (GOOD, "no_changes"),
        Some(Outcome::Cancelled) => (CAREFUL, "cancelled"),
        Some(outcome) => (BAD, outcome.as_str()),
        None if around.alive => (CAREFUL, state.phase.as_str()),
        None => (BAD, "interrupted"),
    };
    let time = duration(state.elapsed(around.now));
    let word = styled(style.bold(), word);
    let job = styled(BOLD, &state.job);
    format!("{word}: {job} in {time} {}", styled(DIM, format!("(run {})", state.run_id)))
}

fn sessions(state: &RunState) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["  session", "state", "gate", "commits", "time"]);
    for session in &state.sessions {
        let gate = match (&session.gate, &session.merged_gate) {
            (_, Some(gate)) if !gate.passed => {
                format!("failed on the merged tree ({})", code(gate))
            }
            (Some(gate), _) if gate.passed => format!("passed in {}", millis(gate.duration_ms)),
            (Some(gate), _) => format!("failed ({})", code(gate)),
            (None, _) => "-".to_owned(),
        };
        let commits = match session.commit {
            Some(_) => session.commits.to_string(),
            None => "-".to_owned(),
        };
        let time = session.duration_ms.map_or_else(|| "-".into(), millis);
        let name = format!("  {}", session.name);
        table.add_row([name, session.state.to_string(), gate, commits, time]);
    }
    let mut lines: Vec<_> = table.trim_fmt().lines().map(str::to_owned).collect();
    for session in &state.sessions {
        let reason = session.reason.iter().map(|reason| clean_inline(reason));
        lines.extend(reason.map(|reason| format!("  {}: {reason}", session.name)));
        lines.extend(
            session.usage.as_ref().map(|used| format!("  {}: {}", session.name, usage(used))),
        );
    }
    lines.join("\n")
}

fn usage(usage: &Usage) -> String {
    let tokens = |n: Option<u64>, what: &str| n.map(|n| format!("{n} tokens {what}"));
    let parts = [
        tokens(usage.input_tokens, "read"),
        tokens(usage.output_tokens, "written"),
        usage.cost_usd.map(|cost| format!("{cost:.2} USD")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn code(gate: &GateReport) -> String {
    gate.exit_code.map_or_else(|| "ended".into(), |code| format!("exit code {code}"))
}

fn failed_gate(session: &SessionRecord) -> Vec<String> {
    let gates = [session.gate.as_ref(), session.merged_gate.as_ref()];
    let Some(gate) = gates.into_iter().flatten().find(|gate| !gate.passed) else {
        return Vec::new();
    };
    let mut text = vec![format!(
        "\n  {}'s gate: {}",
        session.name,
        styled(BOLD, clean_inline(gate.command.lines().next().unwrap_or_default()))
    )];
    let tail = &gate.tail[gate.tail.len().saturating_sub(TAIL)..];
    text.extend(tail.iter().map(|line| format!("  {} {}", styled(DIM, "|"), clean_inline(line))));
    text
}

/// Where things are.
fn facts(state: &RunState, around: &Surroundings<'_>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(commit) = &state.result_commit {
        let place = state.result_bundle.as_ref().or(state.result_branch.as_ref());
        let kept = git::refs::result(&state.run_id);
        let place = place.unwrap_or(&kept);
        facts.push(("result", format!("{place} at {}", short(commit))));
        let changes = format!(
            "{}, {} changed (+{} -{})",
            count(state.commits, "commit"),
            count(state.files_changed, "file"),
            state.insertions,
            state.deletions
        );
        facts.push(("changes", changes));
    }
    if let Some(pull) = &state.pr {
        facts.push(("pull", format!("{} ({})", pull.url, pull::state(pull))));
        facts.push(("ci", pull::ci(pull.ci, &pull.checks)));
        facts.push(("reviews", pull::reviews(pull.reviews, &pull.reviewers)));
        if pull.comments > 0 {
            facts.push(("comments", pull.comments.to_string()));
        }
    }
    if let Some(base) = &state.base_commit {
        let name = state.base_branch.as_deref().unwrap_or(&state.base_ref);
        facts.push(("base", format!("{name} at {}", short(base))));
    }
    if let Some(isolation) = &state.isolation {
        facts.push(("sandbox", isolation.clone()));
    }
    facts.push(("logs", around.folder.join("logs").display().to_string()));
    for notice in &state.notices {
        let about = notice.session.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        facts.push(("note", format!("{about}{}", notice.message)));
    }
    facts
}

/// `--dir`, where the run's state folder is not found from here.
fn dir_option(around: &Surroundings<'_>) -> String {
    // <dir>/.smelt/runs/<job>/<run>
    match around.folder.ancestors().nth(4) {
        Some(dir) if !around.here.starts_with(dir) => {
            format!(" --dir {}", quoted(&dir.to_string_lossy()))
        }
        _ => String::new(),
    }
}

/// What to do next, as commands.
fn next(state: &RunState, around: &Surroundings<'_>) -> Vec<(&'static str, String)> {
    let Some(base) = &state.base_commit else { return Vec::new() };
    let git = git_in(Path::new(&state.repo), around.here);
    let job = format!("{}{}", state.job, dir_option(around));
    let open = state.pr.as_ref().filter(|pull| pull.state == PullState::Open);
    let watch = open.map(|_| ("watch", format!("smelt watch {job}")));
    // One that is a file is merged here.
    if open.is_some_and(|pull| pull.url.starts_with("http")) {
        return watch.into_iter().collect();
    }
    let is_undelivered = state.outcome == Some(Outcome::Undelivered) && state.forge.is_some();
    if is_undelivered && state.result_commit.is_some() {
        return vec![("deliver", format!("smelt deliver {job} --run {}", state.run_id))];
    }
    if let (Some(bundle), Some(branch)) = (&state.result_bundle, &state.result_branch) {
        return vec![("fetch", format!("git fetch {} {branch}:{branch}", quoted(bundle)))];
    }
    if let Some(branch) = &state.result_branch {
        let branch = quoted(branch);
        let mut next = vec![
            ("look", format!("{git} log --stat {}..{branch}", short(base))),
            ("compare", format!("{git} diff {}...{branch}", short(base))),
            ("take", format!("{git} merge {branch}")),
        ];
        next.extend(watch);
        return next;
    }
    let mut next = Vec::new();
    for session in &state.sessions {
        if let (Some(reference), Some(bundle)) = (&session.reference, &session.bundle) {
            let reference = quoted(reference);
            next.push(("fetch", format!("git fetch {} {reference}:{reference}", quoted(bundle))));
        } else if let Some(reference) = &session.reference {
            next.push(("look", format!("{git} log -p {}..{}", short(base), quoted(reference))));
            if session.state == SessionState::Passed {
                next.push(("take", format!("{git} merge {}", quoted(reference))));
            }
        }
    }
    next
}
