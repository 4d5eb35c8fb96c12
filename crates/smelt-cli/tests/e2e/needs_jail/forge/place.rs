//! A repository here, the same at a forge, and a job that delivers from one to the other.

use crate::env::{Said, TestEnv, session};
use smelt_testing::TestRepo;
use smelt_testing_forge::{Kind, ScriptedForge};
use std::path::PathBuf;
use std::process::Command;

/// An agent that makes the file that the gate wants.
pub const AGENT: &str = "echo new > new.txt";

/// What differs between two runs of the same test, for snapshots.
pub const FILTERS: [(&str, &str); 6] = [
    (r"/tmp/smelt-test-\w+", "[folder]"),
    (r"127\.0\.0\.1:\d+", "[forge]"),
    (r"\d{8}t\d{6}-\w{6}", "[run]"),
    (r"\b[0-9a-f]{40}\b", "[commit]"),
    (r"\b[0-9a-f]{10}\b", "[commit]"),
    (r"\b\d+(\.\d+)? m?s\b", "[time]"),
];

pub struct Place {
    pub env: TestEnv,
    pub forge: ScriptedForge,
}

impl Place {
    /// A forge that has the commit of the repository `repo` on `main`.
    pub fn new(kind: Kind) -> Self {
        let env = TestEnv::new();
        let forge = ScriptedForge::start(kind, &env.path().join("forge"));
        env.repo();
        let place = Self { env, forge };
        place.push("main:main");
        place
    }

    /// The repository here.
    pub fn repo(&self) -> TestRepo<'_> {
        TestRepo::at(self.env.home(), self.env.path().join("repo"))
    }

    /// Pushes to the forge as a person does.
    pub fn push(&self, refspec: &str) {
        self.repo().git(&["push", "--quiet", "--force", &self.url(), refspec]);
    }

    /// Where a person gets at the repository there.
    pub fn url(&self) -> String {
        self.forge.git_url().replace("http://", &format!("http://me:{}@", self.forge.token()))
    }

    /// The keys of `[forge]` that every job needs.
    pub fn keys(&self) -> String {
        let provider = match self.forge.kind() {
            Kind::GitHub => "github",
            Kind::Forgejo => "forgejo",
            Kind::Gitea => "gitea",
        };
        format!(
            "[forge]\nprovider = \"{provider}\"\nrepo = \"acme/app\"\ntoken_env = \"FORGE_TOKEN\"\n\
             api_url = \"{}\"\n",
            self.forge.api_url()
        )
    }

    /// Writes the job `job`, whose agent is the shell command `agent`; `forge` are further keys of
    /// `[forge]`.
    pub fn job(&self, agent: &str, forge: &str) -> PathBuf {
        let rest = format!("{}{forge}\n{}", self.keys(), session("one", "test -f new.txt", ""));
        self.env.manifest("job", agent, &rest)
    }

    /// `smelt` with the good token.
    pub fn smelt(&self, args: &[&str]) -> Said {
        self.smelt_with(self.forge.token(), args)
    }

    /// `smelt` with this token.
    pub fn smelt_with(&self, token: &str, args: &[&str]) -> Said {
        self.env.command(args).env("FORGE_TOKEN", token).output().unwrap().into()
    }

    /// One whose job has been run, and whose result is not delivered yet.
    pub fn undelivered(kind: Kind) -> Self {
        let place = Self::new(kind);
        place.job(AGENT, "");
        place.smelt(&["run", "job.toml", "--no-pr"]).with_code(0);
        assert!(place.forge.pulls().is_empty());
        place
    }

    /// What the state file says of the job's newest run.
    pub fn state(&self) -> serde_json::Value {
        let said = self.smelt(&["status", "job", "--json", "--offline"]).with_code(0);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// Makes sure that the result is delivered once, and that nothing else is there.
    #[track_caller]
    pub fn is_delivered_once(&self) {
        assert_eq!(self.there("smelt/job:new.txt"), "new");
        let pulls = self.forge.pulls();
        assert_eq!(pulls.len(), 1, "{pulls:?}");
        assert_eq!((pulls[0].head.as_str(), pulls[0].base.as_str()), ("smelt/job", "main"));
        assert_eq!(self.branches(), ["main", "smelt/job"]);
        let state = self.state();
        assert_eq!(state["outcome"], "complete");
        assert_eq!(state["pr"]["number"], pulls[0].number);
        self.env.nothing_is_left(&self.repo());
        self.forge.assert_contract();
    }

    /// The branches at the forge.
    pub fn branches(&self) -> Vec<String> {
        let refs = self.bare(&["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"]);
        refs.lines().map(str::to_owned).collect()
    }

    /// git in the forge's repository.
    pub fn bare(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.forge.bare_repo()).args(args);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// What is at the forge on `branch`: `git show branch:file`.
    pub fn there(&self, object: &str) -> String {
        self.bare(&["show", object])
    }
}
