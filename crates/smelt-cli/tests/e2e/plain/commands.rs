use crate::env::TestEnv;

#[test]
fn init_writes_a_manifest_that_passes_a_dry_run_and_overwrites_nothing() {
    for agent in
        [None, Some("claude"), Some("codex"), Some("gemini"), Some("opencode"), Some("aider")]
    {
        let env = TestEnv::new();
        let repo = env.repo();
        let args: Vec<_> = ["init", "--dir", "repo"]
            .into_iter()
            .chain(agent.iter().flat_map(|a| ["--agent", a]))
            .collect();
        env.smelt(&args).with_code(0);
        assert_eq!(repo.path().join("Dockerfile").exists(), agent.is_some());
        let said = env.smelt(&["run", "repo/job-manifest.toml", "--dry-run"]).with_code(0);
        assert!(
            said.stdout.contains("my-job") && said.stdout.contains("docker"),
            "{}",
            said.stdout
        );
        assert!(said.stdout.contains(agent.unwrap_or("claude")), "{}", said.stdout);
        let said = env.smelt(&args).with_code(1);
        assert!(said.stderr.contains("is there already"), "{}", said.stderr);
    }
}

#[test]
fn init_for_an_agent_writes_all_that_an_image_needs() {
    let env = TestEnv::new();
    let repo = env.repo();
    env.smelt(&["init", "--dir", "repo", "--agent", "claude"]).with_code(0);
    let mut shown = String::new();
    for name in ["job-manifest.toml", "Dockerfile", "Dockerfile.dockerignore"] {
        let text = std::fs::read_to_string(repo.path().join(name)).unwrap();
        shown += &format!("--- {name}\n{text}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn schemas_describe_every_key() {
    let env = TestEnv::new();
    for (of, key) in [
        ("manifest", "/properties/session/items/properties/harness"),
        ("server", "/properties/queue_dir"),
        ("events", "/properties/seq"),
    ] {
        let said = env.smelt(&["schema", of]).with_code(0);
        let schema: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert!(schema.pointer(&format!("{key}/description")).is_some(), "{of}");
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(env.smelt(&["completions", shell]).with_code(0).stdout.contains("smelt"));
    }
    env.smelt(&["man", "pages"]).with_code(0);
    let pages = std::fs::read_dir(env.path().join("pages")).unwrap().count();
    assert!(pages > 10, "{pages}");
}

#[test]
fn doctor_tells_what_is_missing_and_how_to_get_it() {
    let env = TestEnv::new();
    let mut doctor = env.command(&["doctor"]);
    doctor.env("PATH", "/nowhere").env("DOCKER_HOST", "unix:///no.sock");
    let said: crate::env::Said = doctor.output().unwrap().into();
    let said = said.with_code(69);
    for (what, fix) in [("git", "apt install git"), ("bubblewrap", "apt install bubblewrap")] {
        assert!(said.stdout.contains(what) && said.stdout.contains(fix), "{}", said.stdout);
    }
    env.write("server.toml", "queue_dri = \"q\"\n");
    let said = env.smelt(&["doctor", "--config", "server.toml"]).with_code(69);
    assert!(said.stderr.contains("did you mean `queue_dir`?"), "{}", said.stderr);
    let mut docker = env.command(&["doctor", "--runtime", "docker", "--json"]);
    let said: crate::env::Said =
        docker.env("DOCKER_HOST", "unix:///no.sock").output().unwrap().into();
    let told: serde_json::Value = serde_json::from_str(&said.with_code(69).stdout).unwrap();
    assert_eq!(told["ok"], false);
}

#[test]
fn doctor_reports_a_broken_configuration_beside_everything_else() {
    let env = TestEnv::new();
    let path = env.home().home().join(".config/smelt/config.toml");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "[secrts]\n").unwrap();
    let said = env.smelt(&["doctor"]).with_code(69);
    assert!(said.stderr.contains("did you mean `secrets`?"), "{}", said.stderr);
    assert!(said.stdout.contains("✗ your configuration: "), "{}", said.stdout);
    assert!(said.stdout.contains("fix: mend it"), "{}", said.stdout);
    for other in ["git: ", "the local runtime", "bubblewrap"] {
        assert!(said.stdout.contains(other), "{}", said.stdout);
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let said = env.smelt(&["doctor"]).with_code(69);
    assert!(said.stdout.contains("can't be read: it is a folder"), "{}", said.stdout);
}

#[test]
fn where_nothing_has_run_commands_say_so() {
    let env = TestEnv::new();
    assert!(env.smelt(&["list"]).with_code(0).stderr.contains("smelt demo"));
    for args in [&["status"][..], &["logs", "x"], &["stop", "x"], &["clean"]] {
        let said = env.smelt(args).with_code(1);
        assert!(said.stderr.contains("nothing has been run in"), "{}", said.stderr);
    }
}

#[test]
fn a_run_of_another_container_is_not_stopped_from_here() {
    let env = TestEnv::new();
    let run = "20261123t141502-k3f9qz";
    env.write(&format!(".smelt/runs/job/{run}/events.jsonl"), "");
    // Here that process is one that has nothing to do with Smelt.
    let mut bystander = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let holder = format!("pid = {}\nrun_id = \"{run}\"\nplace = \"elsewhere\"\n", bystander.id());
    let lock = std::fs::File::open(env.write(".smelt/runs/job/lock", holder)).unwrap();
    lock.lock().unwrap();
    let said = env.smelt(&["stop", "job"]).with_code(1);
    assert!(said.stderr.contains("of another container or machine"), "{}", said.stderr);
    assert!(bystander.try_wait().unwrap().is_none(), "it was signalled");
    // Also before the run has written anything down.
    std::fs::remove_dir_all(env.path().join(format!(".smelt/runs/job/{run}"))).unwrap();
    let said = env.smelt(&["stop", "job"]).with_code(1);
    assert!(said.stderr.contains("of another container or machine"), "{}", said.stderr);
    for command in ["status", "logs"] {
        let said = env.smelt(&[command, "job"]).with_code(1);
        assert!(said.stderr.contains("`job` is starting"), "{}", said.stderr);
    }
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn what_can_not_be_removed_is_told_with_its_cause() {
    let env = TestEnv::new();
    env.write(".smelt/owner", "0123456789abcdef");
    // A file where a jail should be a folder.
    let scratch = env.home().home().join(".cache/smelt/scratch/0123456789abcdef");
    std::fs::create_dir_all(&scratch).unwrap();
    std::fs::write(scratch.join("20261123t141502-k3f9qz"), "").unwrap();
    let said = env.smelt(&["clean"]).with_code(1);
    assert!(!said.stdout.contains("removed jail"), "{}", said.stdout);
    assert!(said.stderr.contains("not a directory"), "{}", said.stderr);
}

/// Such a link can come with a repository.
#[test]
fn clean_removes_nothing_that_is_not_smelt_s() {
    let env = TestEnv::new();
    env.write("victim/Documents/letter.txt", "");
    std::fs::create_dir(env.path().join("victim/Empty")).unwrap();
    env.write(".smelt/runs/notes/mine.txt", "");
    let said = env.smelt(&["clean"]).with_code(0);
    assert_eq!(said.stdout, "nothing to remove\n");
    assert!(env.path().join(".smelt/runs/notes/mine.txt").exists());
    std::fs::rename(env.path().join(".smelt/runs"), env.path().join("runs")).unwrap();
    std::os::unix::fs::symlink("../victim", env.path().join(".smelt/runs")).unwrap();
    env.smelt(&["clean"]).with_code(0);
    for kept in ["Documents/letter.txt", "Empty"] {
        assert!(env.path().join("victim").join(kept).exists(), "{kept}");
    }
}

mod needs_root {
    use super::*;

    #[test]
    fn the_state_folder_of_another_user_is_not_used() {
        let env = TestEnv::new();
        env.write(".smelt/owner", "0123456789abcdef");
        let smelt = env.path().join(".smelt");
        std::os::unix::fs::chown(&smelt, Some(65534), None).unwrap();
        for command in ["list", "status", "clean"] {
            let said = env.smelt(&[command]).with_code(1);
            assert!(said.stderr.contains("belongs to another user"), "{}", said.stderr);
            assert!(said.stderr.contains("--dir"), "{}", said.stderr);
        }
    }
}

#[test]
fn code_64_a_wrong_command_line() {
    let env = TestEnv::new();
    for args in [
        &["run"][..],
        &["frobnicate"],
        &["run", "x", "--no-such-flag"],
        &["clean", "--older-than", "soon"],
    ] {
        let said = env.smelt(args).with_code(64);
        assert!(said.stderr.contains("error:"), "{}", said.stderr);
    }
    env.smelt(&["--help"]).with_code(0);
    env.smelt(&["run", "-V"]).with_code(0);
}

mod needs_docker {
    use super::*;
    use std::process::Command;

    /// Says that it has done its work, as Claude Code does.
    const AGENT: &str = r#"printf '%s\n' '#!/bin/sh' 'cat >made' 'test -n "$ANTHROPIC_API_KEY" || exit 1' \
    'echo "{\"type\":\"result\",\"subtype\":\"success\",\"result\":\"ok\"}"' >/usr/local/bin/claude; \
    chmod 0755 /usr/local/bin/claude"#;

    #[test]
    fn what_init_wrote_needs_only_a_key_and_takes_a_base_of_this_machine() {
        let env = TestEnv::new();
        let repo = env.repo();
        env.smelt(&["init", "--dir", "repo", "--agent", "claude"]).with_code(0);
        // Where a registry is, these two lines stay as they are.
        let edit = |name: &str, from: &str, to: &str| {
            let text = std::fs::read_to_string(repo.path().join(name)).unwrap();
            assert!(text.contains(from), "{text}");
            repo.write(name, text.replace(from, to));
        };
        let base = format!("ARG BASE=local\nFROM smelt-test/base AS local\nRUN {AGENT}\n");
        edit("Dockerfile", "ARG BASE=node:22-slim\n", &base);
        edit("job-manifest.toml", "\"make test\"", "\"grep -q colleague made\"");
        let mut run = env.command(&["run", "repo/job-manifest.toml"]);
        let said: crate::env::Said = run.env("ANTHROPIC_API_KEY", "a key").output().unwrap().into();
        let built = said.stderr.split_whitespace().find(|word| word.starts_with("smelt-build:"));
        let image = built.unwrap_or_else(|| panic!("{}", said.stderr)).to_owned();
        let removed = Command::new("docker").args(["image", "rm", &image]).output().unwrap();
        let said = said.with_code(0);
        assert!(removed.status.success(), "{removed:?}");
        assert!(said.stdout.contains("smelt/my-job"), "{}", said.stdout);
    }
}
