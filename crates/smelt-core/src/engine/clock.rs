//! What can end a run early: somebody, or its deadline.

use crate::outcome::Outcome;
use crate::port::Cancellation;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Why a run ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Somebody stopped it.
    Stopped,
    /// The job took too long.
    TimedOut,
}

impl Interrupt {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Stopped => Outcome::Cancelled,
            Self::TimedOut => Outcome::TimedOut,
        }
    }
}

/// A job's deadline, and the hands that can stop it.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    deadline: Instant,
    cancellation: Cancellation,
}

impl Clock {
    pub(crate) fn new(timeout: Duration, cancellation: Cancellation) -> Self {
        Self { deadline: Instant::now() + timeout, cancellation }
    }

    pub(crate) fn cancellation(&self) -> &Cancellation {
        &self.cancellation
    }

    /// Whether the run is to end now.
    pub(crate) fn interrupt(&self) -> Option<Interrupt> {
        let Cancellation { stop, abort } = &self.cancellation;
        if stop.is_cancelled() || abort.is_cancelled() {
            return Some(Interrupt::Stopped);
        }
        (Instant::now() >= self.deadline).then_some(Interrupt::TimedOut)
    }

    /// Whether the run is to end now, or within `time` from now.
    pub(crate) async fn interrupt_within(&self, time: Duration) -> Option<Interrupt> {
        self.unless_interrupted(tokio::time::sleep(time)).await.err()
    }

    /// When the job's time is up.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is left of the job's time, and of `most`.
    pub(crate) fn left(&self, most: Duration) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).min(most)
    }

    /// `work`, unless the run is interrupted before it is done.
    pub(crate) async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, Interrupt> {
        let Cancellation { stop, abort } = &self.cancellation;
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Interrupt::Stopped),
            () = abort.cancelled() => Err(Interrupt::Stopped),
            () = tokio::time::sleep_until(self.deadline) => Err(Interrupt::TimedOut),
            done = work => Ok(done),
        }
    }

    /// `work` that saves what there is: it goes on when the run is interrupted, but not for longer
    /// than `limit`, and not when everything is to end at once.
    pub(crate) async fn salvage<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Interrupt> {
        tokio::select! {
            biased;
            () = self.cancellation.abort.cancelled() => Err(Interrupt::Stopped),
            () = tokio::time::sleep(limit) => Err(Interrupt::TimedOut),
            done = work => Ok(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_work_and_not_its_salvage() {
        let clock = Clock::new(Duration::from_secs(10), Cancellation::default());
        assert_eq!(clock.left(Duration::from_secs(60)), Duration::from_secs(10));
        let work = clock.unless_interrupted(pending::<()>()).await;
        assert_eq!(work, Err(Interrupt::TimedOut));
        assert_eq!(clock.interrupt(), Some(Interrupt::TimedOut));
        let saved = clock.salvage(Duration::from_secs(5), async {
            tokio::time::sleep(Duration::from_secs(4)).await;
        });
        assert_eq!(saved.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lets_salvage_go_on_and_an_abort_does_not() {
        let cancellation = Cancellation::default();
        let clock = Clock::new(Duration::from_secs(10), cancellation.clone());
        cancellation.stop.cancel();
        assert_eq!(clock.unless_interrupted(pending::<()>()).await, Err(Interrupt::Stopped));
        assert_eq!(clock.salvage(Duration::from_secs(1), async {}).await, Ok(()));
        cancellation.abort.cancel();
        let salvage = clock.salvage(Duration::from_secs(1), pending::<()>());
        assert_eq!(salvage.await, Err(Interrupt::Stopped));
    }
}
