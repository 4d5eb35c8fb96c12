//! The gates' verdicts as JUnit XML, for build servers.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use smelt_core::event::{GateReport, SessionState};
use smelt_core::state::{RunState, SessionRecord};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Writes a test case for each session's gate, and for each gate on the merged tree.
pub fn write(state: &RunState, path: &Path) -> io::Result<()> {
    let mut suite = TestSuite::new(state.job.as_str());
    for session in &state.sessions {
        suite.add_test_case(own(session));
        if let Some(gate) = &session.merged_gate {
            suite.add_test_case(case(&format!("{} on the merged tree", session.name), gate));
        }
    }
    let mut report = Report::new("smelt");
    report.add_test_suite(suite);
    std::fs::write(path, report.to_string().map_err(io::Error::other)?)
}

fn own(session: &SessionRecord) -> TestCase {
    if let Some(gate) = &session.gate {
        return case(session.name.as_str(), gate);
    }
    let reason = session.reason.clone().unwrap_or_else(|| session.state.to_string());
    let status = match session.state {
        SessionState::Skipped | SessionState::Waiting => TestCaseStatus::skipped(),
        _ => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let mut case = TestCase::new(session.name.as_str(), status);
    case.status.set_message(reason);
    case
}

fn case(name: &str, gate: &GateReport) -> TestCase {
    let status = match gate.passed {
        true => TestCaseStatus::success(),
        false => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    let mut case = TestCase::new(name, status);
    if !gate.passed {
        let code =
            gate.exit_code.map_or_else(|| "ended".into(), |code| format!("exit code {code}"));
        case.status.set_message(format!("`{}`: {code}", gate.command));
    }
    case.set_time(Duration::from_millis(gate.duration_ms));
    case.set_system_out(gate.tail.join("\n"));
    case
}
