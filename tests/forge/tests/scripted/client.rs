//! A forge with a clone of its repository, and a client that is no more than HTTP.

use serde_json::Value;
use smelt_testing_forge::{Kind, ScriptedForge};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

pub struct World {
    pub forge: ScriptedForge,
    folder: TempDir,
}

pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Value,
}

impl World {
    /// `main` has one commit, `topic` one more.
    pub fn new(kind: Kind) -> Self {
        let folder = TempDir::new().expect("a folder");
        let forge = ScriptedForge::start(kind, folder.path());
        let world = Self { forge, folder };
        let clone = world.clone_folder();
        std::fs::create_dir(&clone).expect("a folder");
        for command in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.name", "Someone"],
            &["config", "user.email", "someone@example.org"],
        ] {
            world.must(command);
        }
        world.commit("README.md", "hello\n");
        let bare = world.forge.bare_repo();
        world.must(&["push", "-q", &bare.to_string_lossy(), "main"]);
        world.must(&["switch", "-q", "-c", "topic"]);
        world.commit("work.txt", "work\n");
        world
    }

    fn clone_folder(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    pub fn commit(&self, file: &str, text: &str) -> String {
        std::fs::write(self.clone_folder().join(file), text).expect("the file is written");
        self.must(&["add", "."]);
        self.must(&["commit", "-q", "-m", file]);
        self.must(&["rev-parse", "HEAD"])
    }

    pub fn git(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.clone_folder()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_TERMINAL_PROMPT", "0").output().expect("git is there")
    }

    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.git(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What git pushes to with this token.
    pub fn remote(&self, token: &str) -> String {
        self.forge.git_url().replace("http://", &format!("http://x-access-token:{token}@"))
    }

    pub fn push(&self, branch: &str) {
        self.must(&["push", "-q", &self.remote(self.forge.token()), branch]);
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body))
    }

    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, Some(body))
    }

    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(self.forge.token(), method, path, body, &[]).expect("an answer")
    }

    pub fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(5)))
            .user_agent("smelt-test")
            .build()
            .into();
        let place = match path.strip_prefix("http") {
            Some(_) => path.to_owned(),
            None => format!("{}{path}", self.forge.api_url()),
        };
        let mut request = ureq::http::Request::builder().method(method).uri(place);
        request = request.header("authorization", format!("token {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                agent.run(request.body(body.to_string()).expect("a request"))?
            }
            None => agent.run(request.body(()).expect("a request"))?,
        };
        let text = response.body_mut().read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }
}
