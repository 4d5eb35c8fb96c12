//! Events as plain lines, for wherever no terminal is.

use super::words::{millis, short};
use smelt_core::event::{GateReport, GateStage, JobEvent, Level};
use smelt_core::text::{clean_inline, count};

/// The line that tells of `event`; nothing in it steers a terminal.
pub fn of_event(event: &JobEvent) -> String {
    clean_inline(&told(event)).into_owned()
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
            let about = session.as_ref().map(|name| format!("[{name}] ")).unwrap_or_default();
            let level = if *level == Level::Warning { "warning: " } else { "" };
            format!("{about}{level}{message}")
        }
        JobEvent::Output { session, source, text, .. } => {
            let about = session.as_ref().map(|name| format!("[{name}] ")).unwrap_or_default();
            format!("{about}{} | {text}", source.as_str())
        }
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
            let names: Vec<_> =
                sessions.iter().map(smelt_core::name::SessionName::as_str).collect();
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
