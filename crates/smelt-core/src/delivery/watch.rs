//! Following a pull request until it is merged or closed.

use crate::event::PullState;
use crate::port::{Forge, ForgeError, PullRequestStatus};
use std::time::Duration;

/// The longest pause after a forge could not be asked, unless it asks for more itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What is seen of a pull request that is followed.
#[derive(Debug)]
pub enum Sight {
    /// It is another than before; the first one always is.
    Changed(PullRequestStatus),
    /// The forge can't be asked; it is asked again after this time.
    Lost(ForgeError, Duration),
    /// The forge can be asked again, and nothing has changed meanwhile.
    Back,
}

/// Looks at pull request `number` every `interval` until it is merged or closed, and tells which.
/// `sight` is told of what changes. A forge that can't be reached, or wants to be left alone, is waited
/// for, however long that takes.
///
/// # Errors
/// Where the forge refuses: waiting would not help.
pub async fn watch(
    forge: &dyn Forge,
    number: u64,
    interval: Duration,
    mut sight: impl AsyncFnMut(Sight),
) -> Result<PullState, ForgeError> {
    let mut seen: Option<PullRequestStatus> = None;
    let mut failures = 0;
    loop {
        let pause = match forge.status(number).await {
            Ok(status) => {
                let is_new = seen.as_ref() != Some(&status);
                if is_new {
                    sight(Sight::Changed(status.clone())).await;
                } else if failures > 0 {
                    sight(Sight::Back).await;
                }
                failures = 0;
                if status.pull.state != PullState::Open {
                    return Ok(status.pull.state);
                }
                seen = Some(status);
                interval
            }
            Err(error) if error.is_transient() => {
                failures += 1;
                let own = interval.saturating_mul(1 << (failures - 1).min(6));
                let own = own.min(LONGEST_PAUSE).max(interval);
                let pause = error.retry_after().map_or(own, |asked| asked.max(interval));
                if failures == 1 {
                    sight(Sight::Lost(error, pause)).await;
                }
                pause
            }
            Err(error) => return Err(error),
        };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ForgeProvider;
    use crate::port::{
        Checks, ForgeRepository, NewPullRequest, PullRequest, PullRequestExtras, PushTarget,
        Reviews,
    };
    use async_trait::async_trait;
    use std::sync::Mutex;
    use tokio::time::Instant;

    /// Answers one after another.
    struct Scripted(Mutex<Vec<Result<PullRequestStatus, ForgeError>>>);

    #[async_trait]
    impl Forge for Scripted {
        fn provider(&self) -> ForgeProvider {
            ForgeProvider::Github
        }
        fn push_target(&self) -> Option<PushTarget> {
            None
        }
        async fn repository(&self) -> Result<ForgeRepository, ForgeError> {
            unreachable!("only the status is asked for")
        }
        async fn has_branch(&self, _: &str) -> Result<bool, ForgeError> {
            unreachable!("only the status is asked for")
        }
        async fn find_pull_requests(&self, _: &str) -> Result<Vec<PullRequest>, ForgeError> {
            unreachable!("only the status is asked for")
        }
        async fn open_pull_request(&self, _: &NewPullRequest) -> Result<PullRequest, ForgeError> {
            unreachable!("only the status is asked for")
        }
        async fn update_pull_request(
            &self,
            _: &PullRequest,
            _: &NewPullRequest,
        ) -> Result<PullRequest, ForgeError> {
            unreachable!("only the status is asked for")
        }
        async fn add_to_pull_request(
            &self,
            _: &PullRequest,
            _: &PullRequestExtras,
        ) -> Result<Vec<String>, ForgeError> {
            unreachable!("only the status is asked for")
        }
        async fn status(&self, _: u64) -> Result<PullRequestStatus, ForgeError> {
            self.0.lock().unwrap().remove(0)
        }
    }

    fn status(state: PullState, comments: u64) -> Result<PullRequestStatus, ForgeError> {
        let pull = PullRequest {
            number: 1,
            url: "u".into(),
            state,
            draft: false,
            title: "t".into(),
            body: String::new(),
            head: "h".into(),
            head_commit: None,
            base: "b".into(),
            is_own: true,
        };
        Ok(PullRequestStatus { pull, ci: Checks::default(), reviews: Reviews::default(), comments })
    }

    fn lost(retry_after: Option<u64>) -> Result<PullRequestStatus, ForgeError> {
        let retry_after = retry_after.map(Duration::from_secs);
        Err(ForgeError::RateLimited { forge: "f".into(), retry_after, message: String::new() })
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_told_once_and_the_network_may_go_away() {
        let open = || status(PullState::Open, 0);
        let script = vec![
            open(),
            open(),
            lost(None),
            lost(Some(3600)),
            open(),
            status(PullState::Open, 2),
            status(PullState::Merged, 2),
        ];
        let (forge, started) = (Scripted(Mutex::new(script)), Instant::now());
        let mut told = Vec::new();
        let end = watch(&forge, 1, Duration::from_secs(30), async |sight| {
            told.push(match sight {
                Sight::Changed(status) => format!("{} {}", status.pull.state, status.comments),
                Sight::Lost(_, pause) => format!("lost for {} s", pause.as_secs()),
                Sight::Back => "back".into(),
            });
        });
        assert_eq!(end.await.unwrap(), PullState::Merged);
        assert_eq!(told, ["open 0", "lost for 30 s", "back", "open 2", "merged 2"]);
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(3600 + 4 * 30), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_it() {
        let error = ForgeError::Unauthorized { forge: "f".into(), message: String::new() };
        let forge = Scripted(Mutex::new(vec![Err(error)]));
        assert!(watch(&forge, 1, Duration::from_secs(1), async |_| {}).await.is_err());
    }
}
