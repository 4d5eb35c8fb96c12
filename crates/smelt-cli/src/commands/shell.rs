//! `smelt shell`.

use super::runs::{self, existing};
use crate::args::Shell as Args;
use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::settings::Settings;
use crate::wiring;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use smelt_core::name::SessionName;
use smelt_core::port::{SandboxError, Shell, Terminal, TerminalSize};
use std::io::{IsTerminal, stdin, stdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

pub async fn shell(args: &Args) -> Result {
    let settings = Settings::without_config()?;
    let state = existing(&args.dir.dir)?;
    let job = runs::job(&state, &args.job)?;
    let not_running = || {
        CliError::told(Exit::Failed, format!("`{}` is not running", job.name()))
            .hint("a shell opens in a run that goes on; `smelt list` shows which do")
    };
    let run = job.holder().and_then(|holder| holder.run_id).ok_or_else(not_running)?;
    let known = job.run(&run).state().map_err(|error| CliError::new(Exit::Failed, error))?;
    let session = args.session.as_deref().map(|name| {
        let session: SessionName =
            name.parse().map_err(|error| CliError::told(Exit::Usage, error))?;
        let names: Vec<_> = known.sessions.iter().map(|session| session.name.clone()).collect();
        if names.contains(&session) {
            return Ok(session);
        }
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        Err(CliError::told(Exit::Usage, format!("`{}` has no session `{session}`", job.name()))
            .hint(format!("its sessions: {}", names.join(", "))))
    });
    let session = session.transpose()?;
    let runtimes = wiring::runtimes(&settings, false, known.kubernetes.clone());
    let Some(runtime) = runtimes.get(&known.runtime) else { return Err(not_running()) };
    let at_terminal = stdin().is_terminal() && stdout().is_terminal();
    let (raw, terminal) = match at_terminal {
        true => (Some(Raw::enter()?), Some(terminal(&settings)?)),
        false => (None, None),
    };
    let (mut input, mut output) = (tokio::io::stdin(), tokio::io::stdout());
    let mut errors = tokio::io::stderr();
    let shell =
        Shell { session, input: &mut input, output: &mut output, errors: &mut errors, terminal };
    let ended = runtime.shell(&state.owner()?, &run, shell).await;
    drop(raw);
    match ended {
        Ok(0) => leave(Exit::Success),
        // At a terminal it is the last command's code that a shell ends with.
        Ok(_) if at_terminal => leave(Exit::Success),
        Ok(_) => leave(Exit::Failed),
        Err(error) => Err(failed(error)),
    }
}

/// What is being typed is waited for by a thread that nothing else ends.
fn leave(exit: Exit) -> ! {
    std::process::exit(exit as i32)
}

fn failed(error: SandboxError) -> CliError {
    let exit = match error {
        SandboxError::Unavailable { .. } | SandboxError::Unsupported { .. } => Exit::Unavailable,
        SandboxError::Gone(_) | SandboxError::Failed { .. } => Exit::Failed,
    };
    CliError::new(exit, anyhow::Error::new(error))
}

/// The terminal hands on every key as it is pressed, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self> {
        let failed = |error| CliError::from(std::io::Error::from(error));
        let before = tcgetattr(stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing put back.
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.0);
    }
}

/// The terminal's kind and its size, now and whenever it changes.
fn terminal(settings: &Settings) -> Result<Terminal> {
    let (told, size) = watch::channel(measure());
    let mut changes = signal(SignalKind::window_change())?;
    tokio::spawn(
        async move { while changes.recv().await.is_some() && told.send(measure()).is_ok() {} },
    );
    let kind = settings.variable("TERM").unwrap_or_else(|| "xterm".into());
    Ok(Terminal { size, kind })
}

fn measure() -> TerminalSize {
    match tcgetwinsize(stdout()) {
        Ok(size) => TerminalSize { columns: size.ws_col, rows: size.ws_row },
        Err(_) => TerminalSize { columns: 80, rows: 24 },
    }
}
