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

/// How long it takes until what did not work is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// How often a pod may answer that it can't run what looks for processes.
const REFUSALS: u32 = 3;

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
                if sent == Sent::SomeLeft
                    && let Err(error) = delete(&target).await
                {
                    tracing::warn!(%error, "a pod whose command could not be ended");
                }
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
                delete(&self.target).await
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

/// Deletes the pod, and everything that runs in it with it.
async fn delete(Target { cluster, namespace, pod }: &Target) -> Result<(), SandboxError> {
    reap::delete_pod(cluster, namespace, pod, None).await
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

/// What came of one look.
enum Look {
    /// What looked for them ended with this code.
    Ended(i64),
    /// The cluster answered, and could not run it: there may be no room for one more process.
    Refused,
    /// The pod could not be asked.
    NotAsked,
}

/// Looks for the processes from inside, and asks again where the pod can't be asked.
async fn send(target: &Target, signal: Signal, mark: &str, deadline: Duration) -> Sent {
    let until = Instant::now() + deadline;
    let mut refusals = 0;
    loop {
        match look(target, signal, mark).await {
            Look::Ended(0) => return Sent::AllEnded,
            Look::Ended(_) => return Sent::SomeLeft,
            Look::Refused => {
                refusals += 1;
                if refusals >= REFUSALS {
                    return Sent::SomeLeft;
                }
            }
            Look::NotAsked if Instant::now() >= until => return Sent::NotAsked,
            Look::NotAsked => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn look(target: &Target, signal: Signal, mark: &str) -> Look {
    let attached = target.attach(&["sh", "-c", SCRIPT], false);
    let Ok(attached) = timeout(DEADLINE, attached).await else { return Look::NotAsked };
    let (mut reading, mut writing) = match attached {
        Ok(attached) => attached,
        Err(error) => {
            tracing::debug!(%error, "ending a command");
            return match super::error::status(&error) {
                // A pod that is not there runs nothing.
                Some(404) => Look::Ended(0),
                Some(500..) => Look::Refused,
                _ => Look::NotAsked,
            };
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
        let sent = match header.line() {
            Ok(line) => writing.input(line.as_bytes()).await.is_ok(),
            Err(_) => false,
        };
        if !sent {
            return Look::NotAsked;
        }
        loop {
            match reading.next().await {
                Some(Piece::Output(_, said)) => tracing::debug!(?said, "ending a command"),
                Some(Piece::Ended(code)) => return Look::Ended(code),
                Some(Piece::NotRun(why)) => {
                    tracing::debug!(why, "ending a command");
                    return Look::Refused;
                }
                None => return Look::NotAsked,
            }
        }
    };
    timeout(DEADLINE, looked).await.unwrap_or(Look::Ended(1))
}
