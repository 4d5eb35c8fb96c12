//! The commands, one a module.

mod cache;
mod clean;
mod completions;
mod deliver;
mod demo;
mod doctor;
mod execution;
mod init;
mod list;
mod logs;
mod oneshot;
mod past;
mod run;
mod runs;
mod schema;
mod shell;
mod stage;
mod status;
mod stop;
mod watch;

use crate::args::Command;
use crate::error::Result;

/// Carries a command out.
pub async fn dispatch(command: Command) -> Result {
    match command {
        Command::Init(args) => init::init(&args),
        Command::Run(args) => run::run(&args).await,
        Command::Do(args) => oneshot::run(&args).await,
        Command::List(args) => list::list(&args),
        Command::Status(args) => status::status(&args).await,
        Command::Logs(args) => logs::logs(&args).await,
        Command::Stop(args) => stop::stop(&args).await,
        Command::Shell(args) => shell::shell(&args).await,
        Command::Deliver(args) => deliver::deliver(&args).await,
        Command::Watch(args) => watch::watch(&args).await,
        Command::Clean(args) => clean::clean(&args).await,
        Command::Demo(args) => demo::demo(&args).await,
        Command::Doctor(args) => doctor::doctor(&args).await,
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
    }
}
