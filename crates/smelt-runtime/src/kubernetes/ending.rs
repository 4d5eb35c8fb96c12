//! Ending a command with everything it has started, wherever that went: a cluster ends nothing when
//! nobody listens any more.

use super::attach::{Piece, Target};
use super::header::{Header, SCRIPT};
use super::reap;
use crate::ending::{self, Ends, MARK, Signal};
use async_trait::async_trait;
use smelt_core::port::SandboxError;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long processes may be looked for before the whole pod is ended instead.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a cluster that can't be reached is asked again to end what nobody waits for.
const PERSISTENCE: Duration = Duration::from_secs(600);

/// How long it takes until a connection that could not be made is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// The way to end one command. Whoever loses interest in it ends it.
pub(super) struct Ending {
    target: Target,
    mark: String,
    armed: bool,
}

impl Ending {
    pub(super) fn of(target: &Target, mark: &str) -> Self {
        Self { target: target.clone(), mark: format!("{MARK}={mark}"), armed: true }
    }

    /// The command has come to its end.
    pub(super) fn forget(&mut self) {
        self.armed = false;
    }

    fn try_further(&self) {
        let (target, mark) = (self.target.clone(), self.mark.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let sent = send(&target, Signal::Kill, &mark, PERSISTENCE).await;
                tracing::debug!(?sent, "a command that was given up");
            });
        }
    }
}

#[async_trait]
impl Ends for Ending {
    /// Sends the signal. Where killing fails, because there is no room for one more process, the pod is
    /// deleted. Where the cluster can't be reached that is tried further, in the background.
    async fn signal(&mut self, signal: Signal) -> Result<(), SandboxError> {
        match send(&self.target, signal, &self.mark, DEADLINE).await {
            Sent::AllEnded => Ok(()),
            _ if signal == Signal::Term => Ok(()),
            Sent::SomeLeft => {
                tracing::debug!("a command could not be ended by itself");
                let Target { cluster, namespace, pod } = &self.target;
                reap::delete_pod(cluster, namespace, pod, None).await
            }
            Sent::NotAsked => {
                self.try_further();
                let why = "the cluster can't be reached: it may still run";
                Err(SandboxError::failed("ending a command", why))
            }
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.armed {
            self.try_further();
        }
    }
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// No process is left that it was for.
    AllEnded,
    SomeLeft,
    /// The pod could not be asked.
    NotAsked,
}

/// Looks for the processes from inside, and asks again where the pod can't be asked.
async fn send(target: &Target, signal: Signal, mark: &str, deadline: Duration) -> Sent {
    let until = Instant::now() + deadline;
    loop {
        match look(target, signal, mark).await {
            Some(0) => return Sent::AllEnded,
            Some(_) => return Sent::SomeLeft,
            None if Instant::now() >= until => return Sent::NotAsked,
            None => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// `None` where the pod could not be asked.
async fn look(target: &Target, signal: Signal, mark: &str) -> Option<i64> {
    let attached = target.attach(&["sh", "-c", SCRIPT], false);
    let (mut reading, mut writing) = match timeout(DEADLINE, attached).await.ok()? {
        Ok(attached) => attached,
        // A pod that is not there runs nothing.
        Err(error) if super::error::status(&error) == Some(404) => return Some(0),
        Err(error) => {
            tracing::debug!(%error, "ending a command");
            return None;
        }
    };
    let header = Header {
        argv: vec!["sh", "-c", ending::SCRIPT, "smelt", signal.name(), mark],
        folder: Path::new("/"),
        env: BTreeMap::new(),
        input: None,
        end: "",
    };
    let looked = async {
        writing.input(header.line().as_bytes()).await.ok()?;
        loop {
            match reading.next().await? {
                Piece::Output(_, said) => tracing::debug!(?said, "ending a command"),
                Piece::Ended(code) => return Some(code),
                Piece::NotRun(why) => {
                    tracing::debug!(why, "ending a command");
                    return None;
                }
            }
        }
    };
    timeout(DEADLINE, looked).await.unwrap_or(Some(1))
}
