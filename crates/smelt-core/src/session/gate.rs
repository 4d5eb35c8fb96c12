//! The gate: whether a session's work counts.

use super::floor::Floor;
use crate::event::{GateReport, GateStage, JobEvent, OutputSource, SessionState};
use crate::manifest::Session;
use crate::port::{Command, Exit, ExitStatus, SandboxError};
use std::path::Path;
use tokio::time::Instant;

/// Runs the gate of `session` in `folder`, its standard input closed.
pub(crate) async fn check(
    floor: &Floor<'_>,
    session: &Session,
    folder: &Path,
    stage: GateStage,
    deadline: Instant,
) -> Result<SessionState, SandboxError> {
    let name = session.name.clone();
    floor.events.emit(JobEvent::GateStarted { session: name.clone(), stage });
    let started = Instant::now();
    let mut command = Command::new(["sh", "-c", &session.harness], folder);
    command.env = floor.environment(Some(session));
    let (exit, tail) =
        floor.run(command, deadline, Some(&session.name), OutputSource::Gate, None).await?;
    let gate = GateReport {
        command: crate::text::clean_text(&session.harness),
        passed: exit.success(),
        exit_code: exit.code(),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        tail,
    };
    floor.events.emit(JobEvent::GateFinished { session: name, stage, gate });
    Ok(state_after(exit))
}

fn state_after(exit: Exit) -> SessionState {
    match exit.status {
        ExitStatus::Code(0) => SessionState::Passed,
        ExitStatus::Code(_) | ExitStatus::Refused => SessionState::GateFailed,
        ExitStatus::TimedOut => SessionState::TimedOut,
        ExitStatus::Stopped => SessionState::Cancelled,
    }
}
