//! `smelt logs`.

use super::runs::{self, existing};
use crate::args::Logs;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::line::of_event;
use crate::report::print;
use smelt_core::event::{Event, JobEvent};
use smelt_core::name::SessionName;
use smelt_core::state::Follower;

pub async fn logs(args: &Logs) -> Result {
    let state = existing(&args.dir.dir)?;
    let job = runs::job(&state, &args.job)?;
    let run = runs::run(&job, args.run.as_deref())?;
    let session = args.session.as_deref().map(|name| {
        name.parse::<SessionName>().map_err(|error| CliError::told(Exit::Usage, error))
    });
    let session = session.transpose()?;
    if let (Some(session), Ok(state)) = (&session, run.state())
        && !state.sessions.iter().any(|record| record.name == *session)
    {
        let names: Vec<_> = state.sessions.iter().map(|s| format!("`{}`", s.name)).collect();
        return Err(CliError::told(
            Exit::Failed,
            format!("`{}` has no session `{session}`", args.job),
        )
        .hint(format!("its sessions: {}", names.join(", "))));
    }
    let mut follower = Follower::foreign(&run.events()).map_err(|error| {
        let message = format!("`{}` can't be read: {error}", run.events().display());
        CliError::told(Exit::Failed, message)
    })?;
    // Of a run that was over before its events were read, they are all there.
    let over = !job.is_running(run.id());
    let mut ended = false;
    let alive = || args.follow && job.is_running(run.id());
    while let Some(event) = follower.next(alive).await? {
        if session.as_ref().is_none_or(|session| is_about(&event.what, session)) {
            show(&event, args.json)?;
        }
        // There is more where its result was delivered later.
        ended |= event.is_last();
    }
    if !ended && (over || args.follow) {
        print::note(&format!("run {} was interrupted: its process is gone", run.id()));
    }
    Ok(Exit::Success)
}

fn show(event: &Event, json: bool) -> Result<()> {
    match json {
        true => print::json_line(event)?,
        false => print::plain_result(of_event(&event.what))?,
    }
    Ok(())
}

fn is_about(event: &JobEvent, name: &SessionName) -> bool {
    match event {
        JobEvent::Output { session, .. } | JobEvent::Notice { session, .. } => {
            session.as_ref() == Some(name)
        }
        JobEvent::SessionStarted { session }
        | JobEvent::SessionCommitted { session, .. }
        | JobEvent::GateStarted { session, .. }
        | JobEvent::GateFinished { session, .. }
        | JobEvent::SessionFinished { session, .. }
        | JobEvent::SessionKept { session, .. } => session == name,
        JobEvent::MergeConflict { sessions, .. } => sessions.contains(name),
        _ => false,
    }
}
