//! Sessions in the order of their dependencies, those that can at the same time.

use super::floor::{Floor, SessionEnd};
use crate::engine::Interrupt;
use crate::event::{JobEvent, SessionState};
use crate::git::Oid;
use crate::manifest::Session;
use crate::name::SessionName;
use crate::orchestrator::Orchestrator;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How each session ended.
pub(crate) type Ends = BTreeMap<SessionName, SessionEnd>;

/// Runs every session to its end: each after those it depends on, none after one that did not pass.
pub(crate) async fn run<O: Orchestrator + ?Sized>(floor: &Floor<'_>, orchestrator: &O) -> Ends {
    let mut ends = Ends::new();
    let mut waiting: Vec<&Session> = floor.manifest().sessions.iter().collect();
    let mut running = FuturesUnordered::new();
    loop {
        let interrupt = floor.clock.interrupt();
        // A session that ends without running may be what others wait for.
        while let Some(place) = waiting.iter().position(|session| {
            interrupt.is_some() || session.depends_on.iter().all(|name| ends.contains_key(name))
        }) {
            let session = waiting.remove(place);
            match why_not(session, &ends, interrupt) {
                Some(end) => {
                    tell_end(floor, session, &end, Duration::ZERO);
                    ends.insert(session.name.clone(), end);
                }
                None => running.push(run_one(floor, orchestrator, session, heads(session, &ends))),
            }
        }
        match running.next().await {
            Some((name, end)) => ends.insert(name, end),
            None => return ends,
        };
    }
}

/// Why a session whose turn has come does not run.
fn why_not(session: &Session, ends: &Ends, interrupt: Option<Interrupt>) -> Option<SessionEnd> {
    match interrupt {
        Some(Interrupt::Stopped) => return Some(SessionEnd::new(SessionState::Cancelled, None)),
        Some(Interrupt::TimedOut) => {
            let reason = Some("the job's time was up".to_owned());
            return Some(SessionEnd::new(SessionState::Skipped, reason));
        }
        None => {}
    }
    let failed = not_passed(session, ends)?;
    Some(SessionEnd::new(SessionState::Skipped, Some(format!("`{failed}` did not pass"))))
}

/// The first session that `session` depends on and that did not pass.
pub(crate) fn not_passed<'a>(session: &'a Session, ends: &Ends) -> Option<&'a SessionName> {
    let passed =
        |name: &&SessionName| ends.get(*name).is_some_and(|end| end.state == SessionState::Passed);
    session.depends_on.iter().find(|name| !passed(name))
}

/// Ends all sessions alike, before any could start.
pub(crate) fn end_all(floor: &Floor<'_>, end: &SessionEnd) -> Ends {
    let sessions = floor.manifest().sessions.iter();
    let ended = sessions.map(|session| {
        tell_end(floor, session, end, Duration::ZERO);
        (session.name.clone(), end.clone())
    });
    ended.collect()
}

/// The commits that a session builds on.
pub(crate) fn heads(session: &Session, ends: &Ends) -> Vec<Oid> {
    session.depends_on.iter().filter_map(|name| ends.get(name)?.commit.clone()).collect()
}

async fn run_one<O: Orchestrator + ?Sized>(
    floor: &Floor<'_>,
    orchestrator: &O,
    session: &Session,
    heads: Vec<Oid>,
) -> (SessionName, SessionEnd) {
    floor.events.emit(JobEvent::SessionStarted { session: session.name.clone() });
    let started = Instant::now();
    let deadline = started + session.timeout;
    let heads = floor.git_until(deadline).independent(&heads).await;
    let mut end = match heads {
        Ok(heads) => orchestrator.run_session(floor, session, &heads, deadline).await,
        Err(error) => SessionEnd::of_git(&error),
    };
    // When somebody stops a run, what its sessions then say of themselves does not matter.
    if end.state != SessionState::Passed && floor.clock.interrupt() == Some(Interrupt::Stopped) {
        end.state = SessionState::Cancelled;
        end.reason = None;
    }
    tell_end(floor, session, &end, started.elapsed());
    (session.name.clone(), end)
}

/// Tells how a session has ended.
pub(crate) fn tell_end(floor: &Floor<'_>, session: &Session, end: &SessionEnd, duration: Duration) {
    floor.events.emit(JobEvent::SessionFinished {
        session: session.name.clone(),
        state: end.state,
        reason: end.reason.as_deref().map(crate::text::clean_text),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        usage: end.usage,
    });
}
