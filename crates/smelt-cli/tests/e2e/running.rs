//! A run that goes on while a test does something to it.

use crate::env::{Said, TestEnv};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run that has been started.
pub struct Running<'a> {
    env: &'a TestEnv,
    child: Option<Child>,
    job: String,
}

impl<'a> Running<'a> {
    /// Starts the manifest of the job `job`, and waits until its agent has said `ready`.
    pub fn start(env: &'a TestEnv, manifest: &Path) -> Self {
        Self::start_with(env, manifest, |command| command)
    }

    /// The same, of a command that the test has its own wishes for.
    pub fn start_with(
        env: &'a TestEnv,
        manifest: &Path,
        wishes: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = env.command(&["run", manifest.to_str().unwrap()]);
        let command = wishes(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let job = manifest.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut running = Self { env, child: Some(child), job };
        running.wait_until_logged("ready");
        running
    }

    /// Waits for a line of the agent's, by the logs as a user would see them.
    #[track_caller]
    pub fn wait_until_logged(&mut self, line: &str) {
        let line = format!("agent | {line}");
        wait_until(&line, || {
            let logged = self.env.smelt(&["logs", &self.job]).stdout.contains(&line);
            let goes_on = self.child.as_mut().unwrap().try_wait().unwrap().is_none();
            assert!(logged || goes_on, "the run has ended");
            logged
        });
    }

    /// The process that runs the job, whoever started it.
    pub fn pid(&self) -> String {
        self.env.status(&self.job)["pid"].to_string()
    }

    /// Its container.
    pub fn container(&self) -> String {
        self.env.status(&self.job)["container_id"].as_str().unwrap().to_owned()
    }

    /// Sends a signal to the process that runs the job.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> Said {
        self.child.take().unwrap().wait_with_output().unwrap().into()
    }
}

/// What a test has not seen the end of is not left to others.
impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < patience, "never came: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
