//! `smelt watch`.

use super::past::{Past, connect, keep};
use crate::args::Watch;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::{complaint, print, pull};
use crate::settings::Settings;
use jiff::Timestamp;
use smelt_core::delivery::{DeliveryError, Sight, watch as follow};
use smelt_core::event::PullState;
use smelt_core::outcome::chain;
use smelt_core::state::PullRecord;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

pub async fn watch(args: &Watch) -> Result {
    let settings = Settings::read(args.env_file.as_deref())?;
    let past = Past::find(&args.dir.dir, &args.job, args.run.as_deref())?;
    let Some(number) = past.state.pr.as_ref().map(|pull| pull.number) else {
        let message = format!("run {} has no pull request", past.run.id());
        return Err(CliError::told(Exit::Unavailable, message)
            .hint(format!("`smelt deliver {}` opens it, if there is a result", past.job.name())));
    };
    let (job, run) = (past.job.clone(), past.run.clone());
    let past = past.with_secrets(&settings).await?;
    let forge = connect(&past, &settings).await?;
    let interval = Duration::from_secs(args.interval_secs);
    let watching = follow(&*forge, number, interval, async |sight| match sight {
        Sight::Changed(status) => {
            let record = PullRecord::new(&status, Timestamp::now());
            show(&record, args.json);
            if let Err(error) = keep(&job, &run, &record).await {
                // It goes on: how it ends is what somebody waits for.
                let error = complaint::in_a_line(&error);
                print::note(&format!("warning: it could not be kept: {error}"));
            }
        }
        Sight::Lost(error, pause) => {
            let error = chain(&error);
            print::note(&format!("{error}; looking again in {} s", pause.as_secs()));
        }
        Sight::Back => print::note("the forge answers again"),
    });
    let (mut interrupt, mut terminate, mut hangup) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    );
    let end = tokio::select! {
        end = watching => end,
        _ = interrupt.recv() => return Ok(Exit::Cancelled),
        _ = terminate.recv() => return Ok(Exit::Cancelled),
        _ = hangup.recv() => return Ok(Exit::Cancelled),
    };
    match end.map_err(DeliveryError::from) {
        Ok(PullState::Merged) => Ok(Exit::Success),
        Ok(_) => Ok(Exit::Failed),
        Err(error) => {
            let hint = error.hint();
            Err(CliError::new(Exit::Unavailable, error).hint(hint))
        }
    }
}

fn show(record: &PullRecord, json: bool) {
    let shown = match json {
        true => print::json_line(record),
        false => print::result(&pull::of_record(record)),
    };
    if let Err(error) = shown {
        // It goes on where nobody reads: the exit code tells how it ends.
        tracing::debug!(%error, "a change could not be shown");
    }
}
