//! Events as plain lines, for wherever no terminal is.

use super::words::{millis, short};
use smelt_core::event::{GateReport, GateStage, JobEvent, Level, OutputSource, PullState};
use smelt_core::name::SessionName;
use smelt_core::text::{clean_inline, count};

/// The line that tells of `event`, or one for each line of its output; nothing in them steers a
/// terminal.
pub fn of_event(event: &JobEvent) -> String {
    let told = told(event);
    match event {
        JobEvent::Output { .. } => told,
        _ => clean_inline(&told).into_owned(),
    }
}

/// The lines of `text`, each with its start and cleaned by itself.
fn of_output(whose: Option<&str>, source: OutputSource, text: &str) -> String {
    let whose = whose.map(|name| format!("[{name}] ")).unwrap_or_default();
    let start = format!("{whose}{} | ", source.as_str());
    let mut told = String::with_capacity(start.len() + 2 * text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            told.push('\n');
        }
        told.push_str(&start);
        told.push_str(&clean_inline(line));
    }
    told
}

fn about(session: &Option<SessionName>) -> String {
    session.as_ref().map(|name| format!("[{name}] ")).unwrap_or_default()
}

fn told(event: &JobEvent) -> String {
    match event {
        JobEvent::RunStarted { job, run_id, runtime, orchestrator, sessions, .. } => {
            let sessions = count(sessions.len() as u64, "session");
            format!(
                "run {run_id} of {job}: {sessions}, {runtime} runtime, {orchestrator} orchestrator"
            )
        }
        JobEvent::Phase { phase } => format!("== {phase}"),
        JobEvent::BaseResolved { commit, branch, target } => {
            let branch = branch.as_deref().unwrap_or("detached");
            format!("base {branch} at {}; the result goes to {target}", short(commit))
        }
        JobEvent::SandboxReady { isolation, image, .. } => {
            let image = image.as_ref().map(|image| format!(" ({image})")).unwrap_or_default();
            format!("sandbox: {isolation}{image}")
        }
        JobEvent::Notice { level, message, session } => {
            let level = if *level == Level::Warning { "warning: " } else { "" };
            format!("{}{level}{message}", about(session))
        }
        JobEvent::Output { session, service, source, text, .. } => of_output(
            session.as_ref().map(SessionName::as_str).or(service.as_deref()),
            *source,
            text,
        ),
        JobEvent::SessionStarted { session } => format!("[{session}] started"),
        JobEvent::SessionCommitted { session, commit, commits, left_uncommitted } => {
            let commits = count(*commits, "commit");
            let left = match left_uncommitted {
                0 => String::new(),
                left => format!(" ({} left uncommitted by the agent)", count(*left, "file")),
            };
            format!("[{session}] {commits}, now at {}{left}", short(commit))
        }
        JobEvent::GateStarted { session, stage } => format!("[{session}] gate{}", on(*stage)),
        JobEvent::GateFinished { session, stage, gate } => {
            format!("[{session}] gate{} {}", on(*stage), verdict(gate))
        }
        JobEvent::SessionFinished { session, state, reason, duration_ms, .. } => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("[{session}] {state}{reason} ({})", millis(*duration_ms))
        }
        JobEvent::Merged { sessions, commit } => {
            let names: Vec<_> = sessions.iter().map(SessionName::as_str).collect();
            format!("merged {} at {}", names.join(", "), short(commit))
        }
        JobEvent::MergeConflict { files, given_back, .. } => {
            let back = if *given_back { "; given back to the agent" } else { "" };
            format!("conflict in {}{back}", files.join(", "))
        }
        JobEvent::SessionKept { session, commit, reference, .. } => {
            format!("[{session}] kept {} as {reference}", short(commit))
        }
        JobEvent::ResultWritten { branch, bundle, commit, .. } => {
            let place = bundle.as_ref().unwrap_or(branch);
            format!("result {} in {place}", short(commit))
        }
        JobEvent::DeliveryNotice { level, message } => {
            let level = if *level == Level::Warning { "warning: " } else { "" };
            format!("{level}{message}")
        }
        JobEvent::ResultKept { commit, reference } => {
            format!("result {} kept as {reference}", short(commit))
        }
        JobEvent::BranchPushed { url, branch, commit } => {
            format!("pushed {} to {branch} of {url}", short(commit))
        }
        JobEvent::PullRequest { number, url, state, draft, base, is_new, .. } => {
            let draft = if *draft { "draft " } else { "" };
            let done = match (state, is_new) {
                (PullState::Open, true) => "opened",
                (PullState::Open, false) => "updated",
                (state, _) => state.as_str(),
            };
            format!("{draft}pull request {number} to {base} {done}: {url}")
        }
        JobEvent::RunFinished { conclusion, duration_ms } => {
            format!("== {} ({})", conclusion.outcome, millis(*duration_ms))
        }
    }
}

fn on(stage: GateStage) -> &'static str {
    match stage {
        GateStage::Session => "",
        GateStage::Merged => " on the merged tree",
    }
}

fn verdict(gate: &GateReport) -> String {
    let time = millis(gate.duration_ms);
    match (gate.passed, gate.exit_code) {
        (true, _) => format!("passed ({time})"),
        (false, Some(code)) => format!("FAILED with exit code {code} ({time})"),
        (false, None) => format!("FAILED: it was ended ({time})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smelt_core::event::OutputStream;

    #[test]
    fn each_line_of_output_is_told_with_its_start_and_can_not_hide_it() {
        let told = |session: Option<&str>, text: &str| {
            of_event(&JobEvent::Output {
                session: session.map(|name| name.parse().unwrap()),
                service: None,
                source: OutputSource::Agent,
                stream: OutputStream::Stdout,
                text: text.to_owned(),
            })
        };
        assert_eq!(told(None, "one"), "agent | one");
        assert_eq!(told(None, ""), "agent | ");
        assert_eq!(told(Some("a"), "one\n\ntwo"), "[a] agent | one\n[a] agent | \n[a] agent | two");
        assert_eq!(told(Some("a"), "x\r[b] y\n\u{1b}[2Kz"), "[a] agent | x [b] y\n[a] agent | z");
    }
}
