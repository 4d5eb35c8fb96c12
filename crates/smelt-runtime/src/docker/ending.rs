//! Ending a command with everything it has started, wherever that went: the engine itself ends
//! nothing when nobody listens any more.

use super::engine::{ApiError, Engine, status};
use super::exec::Place;
use crate::ending::{Ends, MARK, SCRIPT, Signal};
use async_trait::async_trait;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::KillContainerOptionsBuilder;
use futures::StreamExt;
use smelt_core::port::SandboxError;
use std::time::Duration;

/// How long processes may be looked for before the whole container is ended instead.
const DEADLINE: Duration = Duration::from_secs(10);

/// The way to end one command. Whoever loses interest in it ends it.
pub(super) struct Ending<'a> {
    place: Place<'a>,
    mark: String,
    armed: bool,
}

impl<'a> Ending<'a> {
    pub(super) fn of(place: Place<'a>, mark: &str) -> Self {
        Self { place, mark: format!("{MARK}={mark}"), armed: true }
    }

    /// The command has come to its end.
    pub(super) fn forget(&mut self) {
        self.armed = false;
    }
}

#[async_trait]
impl Ends for Ending<'_> {
    /// Sends the signal. Where killing fails, because there is no room for one more process, the
    /// container is killed: what is in mounted folders is still there afterwards.
    async fn signal(&mut self, signal: Signal) -> Result<(), SandboxError> {
        let Place { engine, container, user, .. } = self.place;
        let sent = send(engine, container, user, signal, &self.mark).await;
        match sent {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) if signal == Signal::Term => Ok(()),
            Ok(false) => give_up(engine, container).await,
            Err(error) => {
                tracing::debug!(%error, "a command could not be ended by itself");
                give_up(engine, container).await
            }
        }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let Place { engine, container, user, .. } = self.place;
        let (engine, container) = (engine.clone(), container.to_owned());
        let (user, mark) = (user.to_owned(), self.mark.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let ended = send(&engine, &container, &user, Signal::Kill, &mark).await;
                tracing::debug!(?ended, "a command that was given up");
            });
        }
    }
}

/// Looks for the processes from inside, as their own user; returns whether none is left.
async fn send(
    engine: &Engine,
    container: &str,
    user: &str,
    signal: Signal,
    mark: &str,
) -> Result<bool, ApiError> {
    let failed = |error| ApiError::new("ending a command", error);
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(vec!["sh", "-c", SCRIPT, "smelt", signal.name(), mark]),
        user: Some(user),
        ..CreateExecOptions::default()
    };
    let looked = async {
        let exec = engine.api.create_exec(container, options).await?.id;
        if let StartExecResults::Attached { mut output, .. } =
            engine.api.start_exec(&exec, None).await?
        {
            while let Some(said) = output.next().await {
                tracing::debug!(?said, "ending a command");
            }
        }
        let state = engine.api.inspect_exec(&exec).await?;
        Ok(state.exit_code == Some(0) || state.running == Some(true))
    };
    match tokio::time::timeout(DEADLINE, looked).await {
        Ok(looked) => looked.map_err(failed),
        Err(_) => Ok(false),
    }
}

async fn give_up(engine: &Engine, container: &str) -> Result<(), SandboxError> {
    let options = KillContainerOptionsBuilder::default().signal("KILL").build();
    let killed = engine.api.kill_container(container, Some(options)).await;
    match killed {
        Err(error) if status(&error).is_none() => {
            Err(ApiError::new("ending the sandbox's processes", error).into())
        }
        // One that does not run any more is what was wanted.
        _ => Ok(()),
    }
}
