//! Whatever a run does is written down and shown while it does it.

use crate::args::OutputMode;
use crate::error::Result;
use crate::report::print;
use crate::report::run::RunReporter;
use crate::report::summary::{Surroundings, of_run};
use jiff::Timestamp;
use smelt_core::event::{EventSink, EventStream};
use smelt_core::outcome::Conclusion;
use smelt_core::port::Cancellation;
use smelt_core::state::{Follower, Recorded, Recorder, RunFolder, RunState, Wake};
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Where a run is written down, and how it is shown.
pub struct Stage {
    pub folder: RunFolder,
    pub output: Option<OutputMode>,
    pub json: bool,
}

/// A run that was shown to its end.
pub struct Played {
    pub conclusion: Conclusion,
    /// What is known of it; none where it never started.
    pub state: Option<RunState>,
    /// Whether a summary is still to come.
    summarize: bool,
}

impl Stage {
    /// Carries `work` out, which emits into the channel that `recorder` reads. Signals stop it.
    pub async fn play<F>(
        &self,
        recorder: Recorder,
        wake: Wake,
        (events, stream): (EventSink, EventStream),
        work: impl FnOnce(EventSink, Cancellation) -> F,
    ) -> Result<Played>
    where
        F: Future<Output = Conclusion> + Send + 'static,
    {
        // What was written by an earlier process was shown by that.
        let mut follower = Follower::own(&self.folder.events(), wake)?;
        follower.skip()?;
        let recording = tokio::task::spawn_blocking(move || recorder.record(stream));
        let mut reporter = RunReporter::new(self.output, self.json);
        let cancellation = Cancellation::default();
        let signals = tokio::spawn(obey_signals(cancellation.clone()));
        let work = tokio::spawn(work(events, cancellation));
        // What has been written is shown, however fast it came and however slow the terminal is.
        let show = async {
            while let Some(event) = follower.next(|| !recording.is_finished()).await? {
                reporter.show(&event)?;
                if event.is_last() {
                    break;
                }
            }
            io::Result::Ok(())
        };
        let shown = show.await;
        let conclusion = work.await.map_err(io::Error::other)?;
        let recorded = recording.await.map_err(io::Error::other)?;
        signals.abort();
        let summarize = reporter.end();
        if let Err(error) = shown {
            // A run whose reader has gone is carried through all the same.
            tracing::debug!(%error, "the run could not be shown");
        }
        Ok(Played { conclusion, state: self.written_down(recorded), summarize })
    }

    fn written_down(&self, recorded: Recorded) -> Option<RunState> {
        if let Some(problem) = &recorded.problem {
            let folder = self.folder.path().display();
            print::note(&format!(
                "warning: the run could not be written down in {folder}: {problem}"
            ));
        }
        recorded.state
    }

    /// Prints how it ended, unless that was shown already.
    pub fn sum_up(&self, played: &Played) {
        let Some(state) = played.state.as_ref().filter(|_| played.summarize) else { return };
        if let Err(error) = self.print_summary(state) {
            // The exit code tells how the run ended, also where nobody reads on.
            print::note(&format!("warning: the summary could not be printed: {error}"));
        }
    }

    fn print_summary(&self, state: &RunState) -> io::Result<()> {
        let here = std::env::current_dir()?;
        let around = Surroundings {
            here: &here,
            now: Timestamp::now(),
            alive: true,
            folder: self.folder.path(),
        };
        print::result(&of_run(state, &around))
    }
}

/// The first signal stops the run, the second one at once.
async fn obey_signals(cancellation: Cancellation) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let Ok(mut signals) = kinds.into_iter().map(signal).collect::<io::Result<Vec<_>>>() else {
        return;
    };
    let [interrupt, terminate, hangup] = signals.as_mut_slice() else { return };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if cancellation.stop.is_cancelled() {
            cancellation.abort.cancel();
            print::note("stopping at once");
        } else {
            cancellation.stop.cancel();
            print::note("stopping; once more to stop at once");
        }
    }
}
