//! A shell for a person, in a container that another process of Smelt uses.

use super::container::ROOT;
use super::engine::{ApiError, Engine};
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures::StreamExt;
use smelt_core::port::{SandboxError, Shell, Terminal, TerminalSize};
use std::path::Path;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

/// Runs the shell in `container` as `user`, until it ends; returns its exit code.
pub(super) async fn open(
    engine: &Engine,
    container: &str,
    user: &str,
    shell: Shell<'_>,
) -> Result<i64, SandboxError> {
    let failed = |error| ApiError::new("opening a shell", error);
    let folders = shell.folders(Path::new(ROOT));
    let words = ["sh", "-c", Shell::SCRIPT, "smelt"].map(String::from).into_iter();
    let kind = shell.terminal.as_ref().map(|terminal| format!("TERM={}", terminal.kind));
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(shell.terminal.is_some()),
        env: Some(kind.into_iter().chain(["LANG=C.UTF-8".into()]).collect()),
        cmd: Some(words.chain(folders.iter().map(|path| path.display().to_string())).collect()),
        user: Some(user.to_owned()),
        ..CreateExecOptions::default()
    };
    let exec = engine.api.create_exec(container, options).await.map_err(failed)?.id;
    let start = StartExecOptions { tty: shell.terminal.is_some(), ..StartExecOptions::default() };
    let started = engine.api.start_exec(&exec, Some(start)).await.map_err(failed)?;
    let StartExecResults::Attached { mut output, mut input } = started else {
        return Err(SandboxError::failed("opening a shell", "the engine has detached it"));
    };
    let sized = Notify::new();
    let typed = async {
        // What is typed finds the terminal as large as it is.
        sized.notified().await;
        let _ = tokio::io::copy(shell.input, &mut input).await;
        let _ = input.shutdown().await;
        std::future::pending::<()>().await;
    };
    let shown = async {
        while let Some(Ok(said)) = output.next().await {
            let into = match &said {
                LogOutput::StdErr { .. } => &mut *shell.errors,
                _ => &mut *shell.output,
            };
            let written = into.write_all(said.as_ref()).await;
            if written.is_err() || into.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = shown => {}
        () = typed => {}
        () = follow_size(engine, &exec, shell.terminal, &sized) => {}
    }
    let ended = engine.api.inspect_exec(&exec).await.map_err(failed)?;
    Ok(ended.exit_code.unwrap_or(0))
}

/// Tells the engine of each size that the terminal takes; `sized` hears of the first one.
async fn follow_size(engine: &Engine, exec: &str, terminal: Option<Terminal>, sized: &Notify) {
    if let Some(Terminal { mut size, .. }) = terminal {
        loop {
            let TerminalSize { columns, rows } = *size.borrow_and_update();
            let options = ResizeExecOptions { height: rows, width: columns };
            if let Err(error) = engine.api.resize_exec(exec, options).await {
                tracing::debug!(%error, "the terminal's size");
            }
            sized.notify_one();
            if size.changed().await.is_err() {
                break;
            }
        }
    }
    sized.notify_one();
    std::future::pending::<()>().await;
}
