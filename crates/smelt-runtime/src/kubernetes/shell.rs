//! A shell for a person, in a pod that another process of Smelt uses.

use super::attach::{KEEP_ALIVE, Piece, Target, Writing};
use super::error::{Ask, explain};
use super::pod::ROOT;
use smelt_core::event::OutputStream;
use smelt_core::port::{SandboxError, Shell, TerminalSize};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Error;

/// Runs the shell in a pod until it ends; returns its exit code.
pub(super) async fn open(target: &Target, shell: Shell<'_>) -> Result<i64, SandboxError> {
    let tty = shell.terminal.is_some();
    let folders: Vec<_> =
        shell.folders(Path::new(ROOT)).iter().map(|path| path.display().to_string()).collect();
    let kind = shell.terminal.as_ref().map_or("dumb", |terminal| &terminal.kind);
    let surroundings =
        [format!("TERM={kind}"), "LANG=C.UTF-8".into(), format!("HOME={}", super::pod::HOME)];
    // Nothing of it is secret, and what is typed comes on the same way as a header would.
    let mut words = vec!["env"];
    words.extend(surroundings.iter().map(String::as_str));
    words.extend(["sh", "-c", Shell::SCRIPT, "smelt"]);
    words.extend(folders.iter().map(String::as_str));
    let attached = target.attach(&words, tty).await;
    let (mut reading, mut writing) = attached.map_err(|error| {
        explain("opening a shell", Ask::of("create", "pods/exec", &target.namespace), error)
    })?;
    let Shell { input, output, errors, terminal, .. } = shell;
    let typed = async {
        let mut sizes = terminal.map(|terminal| terminal.size);
        // What is typed finds the terminal as large as it is.
        if let Some(sizes) = &mut sizes {
            let size = *sizes.borrow_and_update();
            resize(&mut writing, size).await;
        }
        let mut buffer = vec![0; 1 << 13];
        let mut open = true;
        loop {
            let resized = async {
                if let Some(sizes) = &mut sizes
                    && sizes.changed().await.is_ok()
                {
                    return *sizes.borrow_and_update();
                }
                std::future::pending().await
            };
            let sent = tokio::select! {
                read = input.read(&mut buffer), if open => match read {
                    Ok(read) if read > 0 => writing.input(&buffer[..read]).await,
                    _ => {
                        open = false;
                        end_input(&mut writing, tty).await
                    }
                },
                size = resized => {
                    resize(&mut writing, size).await;
                    Ok(())
                }
                () = tokio::time::sleep(KEEP_ALIVE) => writing.keep_alive().await,
            };
            if sent.is_err() {
                // What is shown ends too.
                return std::future::pending::<()>().await;
            }
        }
    };
    let shown = async {
        loop {
            let (into, bytes) = match reading.next().await {
                Some(Piece::Output(OutputStream::Stdout, bytes)) => (&mut *output, bytes),
                Some(Piece::Output(OutputStream::Stderr, bytes)) => (&mut *errors, bytes),
                Some(Piece::Ended(code)) => return Ok(code),
                Some(Piece::NotRun(why)) => {
                    return Err(SandboxError::failed("opening a shell", why));
                }
                None => return Err(SandboxError::Gone("the connection to it was lost".into())),
            };
            if into.write_all(&bytes).await.is_err() || into.flush().await.is_err() {
                return Ok(0);
            }
        }
    };
    tokio::select! {
        ended = shown => ended,
        () = typed => Ok(0),
    }
}

/// Tells the shell that nothing more is typed: as a terminal does, or else as the protocol does, whose
/// version 4 has no word for it.
async fn end_input(writing: &mut Writing, tty: bool) -> Result<(), Error> {
    match (tty, writing.can_end_input) {
        (true, _) => writing.input(b"\x04").await,
        (false, true) => writing.end_input().await,
        (false, false) => writing.input(b"\nexit\n").await,
    }
}

async fn resize(writing: &mut Writing, size: TerminalSize) {
    if let Err(error) = writing.resize(size).await {
        tracing::debug!(%error, "the terminal's size");
    }
}
