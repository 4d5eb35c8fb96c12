//! The `smelt` command.

mod args;
mod commands;
mod error;
mod exit;
mod report;
mod settings;
mod wiring;

use args::Cli;
use clap::Parser;
use clap::error::ErrorKind;
use exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    // What whoever started us has left open is no business of a sandbox's.
    close_fds::CloseFdsBuilder::new().cloexecfrom(3);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where it can't be printed nobody is there to read it.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Success.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SMELT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // One provider of cryptography for everything that speaks TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::complaint::tell(&error.into());
            return Exit::Failed.into();
        }
    };
    match runtime.block_on(commands::dispatch(cli.command)) {
        Ok(exit) => exit.into(),
        Err(error) if error.is_broken_pipe() => Exit::Success.into(),
        Err(error) => {
            report::complaint::tell(&error);
            error.exit().into()
        }
    }
}
