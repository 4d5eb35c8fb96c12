//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Runs AI coding agents in an isolated sandbox with a private clone of a repository, checks their
/// work with gates, and brings it back as a branch.
#[derive(Debug, Parser)]
#[command(name = "smelt", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented job manifest to start from
    Init(Init),
    /// Run a job from its manifest
    Run(Run),
    /// Run a single task, given on the command line
    Do(Do),
    /// List the runs of this folder
    List(List),
    /// Show a run: its sessions, gates and result
    Status(Status),
    /// Show what a run printed
    Logs(Logs),
    /// Stop a running job
    Stop(Stop),
    /// Open a shell in the sandbox of a running job
    Shell(Shell),
    /// Deliver the result of a run: push it, and open its pull request
    Deliver(Deliver),
    /// Follow the pull request of a run until it is merged or closed
    Watch(Watch),
    /// Remove what runs have left, and old runs
    Clean(Clean),
    /// See a whole run: local jail, scripted agents, no key and no network
    Demo(Demo),
    /// Look for everything that Smelt needs, and say how to get what is missing
    Doctor(Doctor),
    /// Print the JSON Schema of a file
    Schema(Schema),
    /// Print completions for a shell
    Completions(Completions),
    /// Write the manual pages
    Man(Man),
}

/// The folder that runs belong to.
#[derive(Debug, Args)]
pub struct Dir {
    /// Folder to look for `.smelt` in, and upwards from
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Write it for this agent, with a Dockerfile
    #[arg(long, value_name = "NAME")]
    pub agent: Option<AgentName>,
    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

/// An agent that Smelt knows how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AgentName {
    /// Claude Code
    Claude,
    /// Codex CLI
    Codex,
    /// Gemini CLI
    Gemini,
    /// opencode
    Opencode,
    /// aider
    Aider,
}

/// How a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputMode {
    /// Phases and sessions as they go, with the last lines of each (default on a terminal)
    Live,
    /// Every line, with its session (default elsewhere)
    Full,
    /// Only the summary
    Final,
}

/// How a job is run, wherever it comes from.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: show what the runtime would be asked for, too (a pod, a Compose file)
    #[arg(short, long, requires = "dry_run")]
    pub verbose: bool,
    /// Deliver nothing: the result stays on its branch
    #[arg(long)]
    pub no_pr: bool,
    #[command(flatten)]
    pub dir: Dir,
    /// Leave the sandbox and its files to look at
    #[arg(long)]
    pub keep: bool,
    /// Print events as JSON lines, the outcome last; with --dry-run the plan
    #[arg(long)]
    pub json: bool,
    /// How the run is shown
    #[arg(long, value_enum, value_name = "MODE")]
    pub output: Option<OutputMode>,
    /// File with secrets, a `NAME=value` a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Write the gates' verdicts as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Accept to run without a jail where none can be made (`local` runtime)
    #[arg(long)]
    pub unsandboxed: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The job's manifest
    #[arg(value_name = "MANIFEST")]
    pub manifest: PathBuf,
    #[command(flatten)]
    pub options: RunOptions,
}

/// Arguments of `do`.
#[derive(Debug, Args)]
pub struct Do {
    /// The task, in words
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Command that decides whether the work counts
    #[arg(long, value_name = "CMD")]
    pub gate: String,
    /// Agent that does it
    #[arg(long, value_name = "NAME", default_value = "claude")]
    pub agent: AgentName,
    /// Own command that does it, in place of a known agent
    #[arg(long, value_name = "CMD", conflicts_with = "agent")]
    pub command: Option<String>,
    /// Run in a container of this image; without it, in a local jail
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Repository to work on
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub repo: String,
    /// Name of the job; made from the task where it is missing
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Seconds for the agent and its gate
    #[arg(long, value_name = "SECS", default_value_t = 1800)]
    pub timeout: u32,
    /// The model
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    #[command(flatten)]
    pub options: RunOptions,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    pub dir: Dir,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The job; the newest run of all where it is missing
    #[arg(value_name = "JOB_NAME")]
    pub job: Option<String>,
    /// The run, or the start or end of its id; the newest where it is missing
    #[arg(long, value_name = "ID", requires = "job")]
    pub run: Option<String>,
    /// Show what is known already of its pull request, and do not ask the forge
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub dir: Dir,
    /// File with secrets, a `NAME=value` a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The job
    #[arg(value_name = "JOB_NAME")]
    pub job: String,
    /// Go on as the run goes on
    #[arg(long, short)]
    pub follow: bool,
    /// Only this session
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// The run, or the start or end of its id; the newest where it is missing
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    #[command(flatten)]
    pub dir: Dir,
    /// Print the events as JSON lines
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// The job
    #[arg(value_name = "JOB_NAME")]
    pub job: String,
    #[command(flatten)]
    pub dir: Dir,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// The job
    #[arg(value_name = "JOB_NAME")]
    pub job: String,
    /// Start where this session works; else in the workspace
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
    #[command(flatten)]
    pub dir: Dir,
}

/// Arguments of `deliver`.
#[derive(Debug, Args)]
pub struct Deliver {
    /// The job
    #[arg(value_name = "JOB_NAME")]
    pub job: String,
    /// The run, or the start or end of its id; the newest where it is missing
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    #[command(flatten)]
    pub dir: Dir,
    /// File with secrets, a `NAME=value` a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Print events as JSON lines, the outcome last
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// The job
    #[arg(value_name = "JOB_NAME")]
    pub job: String,
    /// The run, or the start or end of its id; the newest where it is missing
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Seconds between two looks
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub interval_secs: u64,
    #[command(flatten)]
    pub dir: Dir,
    /// File with secrets, a `NAME=value` a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Print a line of JSON for each change
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// Only this job
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Remove ended runs that are older, such as 14d, 12h or 0s
    #[arg(long, value_name = "AGE", default_value = "14d", value_parser = age)]
    pub older_than: std::time::Duration,
    /// Keep the newest runs of each job, however old
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep: usize,
    /// Also remove what is kept between runs: mirrors of URLs and cached paths; not while any run
    /// uses them
    #[arg(long)]
    pub cache: bool,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub dir: Dir,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder to make the demo's repository in; a new one in the temporary folder where it is missing
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// How the run is shown
    #[arg(long, value_enum, value_name = "MODE")]
    pub output: Option<OutputMode>,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Only what this job needs: its runtime, its image, and its forge
    #[arg(value_name = "MANIFEST", conflicts_with = "runtime")]
    pub manifest: Option<PathBuf>,
    /// Only what this runtime needs
    #[arg(long, value_name = "RUNTIME")]
    pub runtime: Option<RuntimeName>,
    /// Also look at this server's configuration
    #[arg(long, value_name = "SERVER_TOML")]
    pub config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// A runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeName {
    /// Containers
    Docker,
    /// A container beside services
    Compose,
    /// Pods
    Kubernetes,
    /// A process jail on this machine
    Local,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Which
    #[arg(value_enum)]
    pub of: SchemaOf,
}

/// A file that has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Job manifests
    Manifest,
    /// The server's configuration
    Server,
    /// Lines of events.jsonl
    Events,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Folder to write the pages to
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

/// `14d`, `12h`, `30m`, `10s`.
fn age(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "expected a number and a unit, such as 14d, 12h, 30m or 0s".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number = &text[..text.len() - unit.len_utf8()];
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    Ok(std::time::Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ages_have_units() {
        assert_eq!(age("14d").unwrap().as_secs(), 14 * 86_400);
        assert_eq!(age("0s").unwrap().as_secs(), 0);
        for bad in ["", "d", "14", "-1d", "1w", "ä"] {
            assert!(age(bad).is_err(), "{bad}");
        }
    }
}
