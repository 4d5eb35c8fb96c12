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

/// A manifest with a forge, `orchestrator` as the keys of that section, and a state backend.
fn with_state(orchestrator: &str, key: &str) -> String {
    format!(
        "[job]\nname = \"job\"\nrepo = \"/r\"\n[environment]\nimage = \"i\"\n\
         [orchestrator]\n{orchestrator}\n[forge]\nprovider = \"github\"\nrepo = \"a/b\"\n\
         token_env = \"FORGE_TOKEN\"\n[state_backend]\ntype = \"linear\"\nteam_id = \"T\"\n\
         api_key_env = \"{key}\"\n\
         [[session]]\nname = \"a\"\nspec = \"x\"\nharness = \"true\"\ntimeout = 1\n"
    )
}

#[test]
fn the_state_backend_s_key_is_a_secret_of_assay_s_alone() {
    let names = |text: &str| {
        let read = Manifest::parse(text, "job.toml", Path::new("/m"), None);
        let (manifest, problems) = read.unwrap();
        let names = manifest.needed_secrets(false);
        (names.iter().map(ToString::to_string).collect::<Vec<_>>(), problems.to_string())
    };
    let (needed, told) = names(&with_state("sessions = \"together\"", "LINEAR_KEY"));
    assert_eq!((needed, told), (vec!["LINEAR_KEY".to_owned()], String::new()));
    let (needed, told) = names(&with_state("", "LINEAR_KEY"));
    assert_eq!(needed, ["LINEAR_KEY"]);
    assert!(told.contains("for several sessions only"), "{told}");
    let (needed, told) = names(&with_state("kind = \"direct\"\nagent = \"claude\"", "LINEAR_KEY"));
    assert_eq!(needed, Vec::<String>::new());
    assert!(told.contains("`[state_backend]` is only used by `assay`"), "{told}");
    for protected in ["FORGE_TOKEN", "SMELT_WRITE_TOKEN"] {
        let told = problems(&with_state("", protected));
        assert!(told.contains("never enters a sandbox"), "{told}");
    }
}
