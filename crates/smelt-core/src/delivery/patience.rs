//! Trying again: with growing pauses, for a bounded number of times, and not before a forge wants it.

use crate::git::PushError;
use crate::port::ForgeError;
use backon::{ExponentialBuilder, Retryable};
use std::time::Duration;

/// The first pause; each is twice the one before, and jittered.
const FIRST: Duration = Duration::from_millis(500);

/// The longest pause of our own.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest pause that a forge can ask for; when it asks for more, it is left alone.
const LONGEST_ASKED: Duration = Duration::from_secs(180);

/// The pause where a forge wants to be left alone and does not say for how long: GitHub's documentation
/// asks for at least a minute.
const UNTOLD: Duration = Duration::from_secs(60);

/// How often something is tried again.
const TIMES: usize = 5;

/// Something that may pass.
pub(crate) trait Passing {
    /// Whether the same might work later.
    fn passes(&self) -> bool;

    /// How long to wait at least.
    fn wait(&self) -> Option<Duration> {
        None
    }
}

impl Passing for ForgeError {
    fn passes(&self) -> bool {
        self.is_transient()
    }

    fn wait(&self) -> Option<Duration> {
        let is_limited = matches!(self, ForgeError::RateLimited { .. });
        self.retry_after().or(is_limited.then_some(UNTOLD))
    }
}

impl Passing for PushError {
    fn passes(&self) -> bool {
        self.is_transient()
    }
}

/// What `attempt` comes to, tried again for as long as its error may pass. `pause` is told of each
/// wait.
pub(crate) async fn patiently<T, E: Passing, F: Future<Output = Result<T, E>>>(
    attempt: impl FnMut() -> F,
    mut pause: impl FnMut(&E, Duration),
) -> Result<T, E> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_max_times(TIMES)
        .with_jitter();
    attempt
        .retry(pauses)
        .when(E::passes)
        .adjust(|error, pause| match (error.wait(), pause) {
            (Some(asked), Some(_)) if asked > LONGEST_ASKED => None,
            (Some(asked), Some(own)) => Some(own.max(asked)),
            (_, own) => own,
        })
        .notify(|error, wait| pause(error, wait))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::time::Instant;

    fn limited(seconds: u64) -> ForgeError {
        let retry_after = Some(Duration::from_secs(seconds));
        ForgeError::RateLimited { forge: "f".into(), retry_after, message: String::new() }
    }

    async fn tries(errors: impl Fn(u32) -> Option<ForgeError>) -> (u32, bool, Duration) {
        let (tries, started) = (Cell::new(0), Instant::now());
        let attempt = async || {
            tries.set(tries.get() + 1);
            errors(tries.get()).map_or(Ok(()), Err)
        };
        let done = patiently(attempt, |_, _| {}).await.is_ok();
        (tries.get(), done, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
        let unauthorized =
            || ForgeError::Unauthorized { forge: "f".into(), message: String::new() };
        assert_eq!(tries(|_| Some(unauthorized())).await.0, 1);
        let (tried, done, _) = tries(|n| (n <= 3).then(|| limited(0))).await;
        assert_eq!((tried, done), (4, true));
        let (tried, done, took) = tries(|_| Some(limited(0))).await;
        assert_eq!((tried, done), (6, false));
        assert!(took < Duration::from_secs(60), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_forge_is_not_asked_before_it_wants_to_be() {
        let (tried, done, took) = tries(|n| (n == 1).then(|| limited(90))).await;
        assert_eq!((tried, done), (2, true));
        assert!(took >= Duration::from_secs(90));
        let (tried, done, took) = tries(|_| Some(limited(3600))).await;
        assert_eq!((tried, done), (1, false));
        assert!(took < Duration::from_secs(1));
    }
}
