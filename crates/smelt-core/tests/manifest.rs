//! Manifests as users write them, good and broken.

use smelt_core::manifest::Manifest;
use std::path::Path;

fn problems(text: &str) -> String {
    match Manifest::parse(text, "job.toml", Path::new("/m"), Some(Path::new("/home/a"))) {
        Ok((_, problems)) => format!("accepted\n{problems}"),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn every_mistake_of_a_file_is_reported_at_once_in_its_place() {
    let text = r#"
[job]
name = "fix it"
repo = "https://me:hunter2@example.com/a.git"
timout = 30
depth = 0
priority = 1000

[environment]
runtime = "dokcer"
imagee = "debian:12"
resources = { cpu = "two", memory = 0, pids = "many", disk = true }
env = { "1X" = "a", SMELT_JOB = "b", OK = 3 }
files = { "relative" = "x", "~/ok" = "missing.txt" }
network = "host"

[credentials.env]
ANTHROPIC_API_KEY = "sk-ant-secret"
GH = "FORGE_TOKEN"

[[session]]
name = "a"
spec = "do it"
harness = "true"
timeout = "10m"
depends_on = ["b", "nobody", 3]

[[session]]
name = "b"
spec = "x"
spec_file = "y"
depends_on = ["a"]
timeout = 0

[merge]
target = "refs/heads/main"
order = "a"

[forge]
provider = "github"
token_env = "FORGE_TOKEN"
api_url = "http://example.com/api/v3"

[[services]]
name = "db"
image = "postgres"
privileged = true
volumes = ["/etc:/etc"]

[surprise]
"#;
    insta::assert_snapshot!(problems(text));
}
