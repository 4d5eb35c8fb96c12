//! The contract of a runtime. A runtime that is added passes all of it, unchanged.

pub mod exec;
pub mod files;
pub mod life;
pub mod walls;

use async_trait::async_trait;
use smelt_core::event::OutputStream;
use smelt_core::id::{OwnerId, RunId};
use smelt_core::manifest::{Environment, Manifest};
use smelt_core::port::{Command, Discard, Exit, Labels, Output, Runtime, Sandbox, SandboxSpec};
use std::ops::ControlFlow;
use std::path::Path;
use tempfile::TempDir;

/// A runtime to be put through its contract, and the folders it works in.
pub struct Subject {
    pub runtime: Box<dyn Runtime>,
    /// Sections of a manifest that make this runtime do its work.
    pub environment: &'static str,
    pub folder: TempDir,
    pub owner: OwnerId,
}

impl Subject {
    pub fn environment(&self, more: &str) -> Environment {
        let text = format!(
            "[job]\nname = \"contract\"\nrepo = \".\"\n[environment]\n{}\n{more}\n\
             [orchestrator]\nkind = \"direct\"\ncommand = \"true\"\n\
             [[session]]\nname = \"a\"\nspec = \"a\"\nharness = \"true\"\ntimeout = 1\n",
            self.environment
        );
        Manifest::parse(&text, "contract", self.folder.path(), None).unwrap().0.environment
    }

    /// A spec for a new run; its root folder holds `workspace/hello.txt`.
    pub fn spec(&self, more: &str) -> SandboxSpec {
        let run = RunId::new(jiff::Timestamp::now());
        let scratch = self.scratch().join(self.owner.as_str()).join(run.as_str());
        let root = scratch.join("root");
        for folder in ["workspace", "sessions", "tasks"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("workspace/hello.txt"), "hello\n").unwrap();
        let labels = Labels { owner: self.owner.clone(), job: "contract".parse().unwrap(), run };
        let environment = self.environment(more);
        SandboxSpec {
            labels,
            environment,
            scratch,
            root,
            borrowed: Vec::new(),
            cache: None,
            services: Vec::new(),
            kubernetes: None,
            lifetime: std::time::Duration::from_secs(600),
        }
    }

    pub fn scratch(&self) -> std::path::PathBuf {
        self.folder.path().join("scratch")
    }

    pub async fn sandbox(&self) -> Box<dyn Sandbox> {
        self.runtime.provision(&self.spec(""), &mut Discard).await.unwrap()
    }
}

/// Keeps what a command prints.
#[derive(Default)]
pub struct Kept {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

#[async_trait]
impl Output for Kept {
    async fn write(&mut self, stream: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        match stream {
            OutputStream::Stdout => self.stdout.extend_from_slice(bytes),
            OutputStream::Stderr => self.stderr.extend_from_slice(bytes),
        }
        ControlFlow::Continue(())
    }
}

/// Runs `script` in the sandbox's root folder.
pub async fn sh(sandbox: &dyn Sandbox, script: &str) -> (Exit, String, String) {
    run(sandbox, Command::shell(script, [], sandbox.paths().root.clone())).await
}

pub async fn run(sandbox: &dyn Sandbox, command: Command) -> (Exit, String, String) {
    let mut kept = Kept::default();
    let exit = sandbox.exec(command, &mut kept).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (exit, text(kept.stdout), text(kept.stderr))
}

/// Reads a file of the sandbox.
pub async fn read(sandbox: &dyn Sandbox, path: &Path) -> String {
    let command = Command::shell("cat -- \"$1\"", [&*path.to_string_lossy()], "/");
    run(sandbox, command).await.1
}

/// Makes a test of each function that the contract consists of.
#[macro_export]
macro_rules! contract {
    ($subject:path: $($part:ident :: { $($name:ident),* $(,)? })*) => {
        $(
            mod $part {
                $(
                    #[tokio::test]
                    async fn $name() {
                        let subject = $subject();
                        $crate::contract::$part::$name(&subject).await;
                    }
                )*
            }
        )*
    };
}

/// All of the contract, of a runtime that a function makes.
#[macro_export]
macro_rules! whole_contract {
    ($subject:path) => {
        $crate::contract! { $subject:
            exec::{
                exit_codes_are_exact,
                both_outputs_are_read_at_once_and_kept_apart,
                input_arrives_whole_and_its_end_is_seen,
                variables_reach_one_command_and_no_other,
                the_usual_surroundings_are_there,
                a_timeout_ends_everything_that_was_started,
                a_stop_asks_first_and_lets_the_command_clean_up,
                a_command_that_is_given_up_is_ended,
                output_that_is_refused_ends_the_command,
                commands_run_side_by_side,
                what_is_left_running_does_not_keep_a_command_from_ending,
            }
            files::{
                what_is_uploaded_is_there,
                a_hostile_archive_gets_nowhere_else,
                what_is_downloaded_is_an_archive_of_bounded_size,
                the_root_folder_is_what_the_engine_made_it,
                a_cache_is_kept_by_its_key,
            }
            life::{
                a_runtime_that_works_says_so,
                destroying_leaves_nothing_and_may_be_done_again,
                orphans_are_listed_and_reaped_by_label,
                what_it_can_not_do_is_refused_and_leaves_nothing,
            }
            walls::{
                without_a_network_nothing_is_reached,
                no_capability_is_left,
                the_host_s_own_files_are_out_of_reach,
                the_machine_s_settings_can_not_be_written,
                processes_of_the_host_are_not_seen,
                limits_hold_or_are_said_to_be_missing,
            }
        }
    };
}
