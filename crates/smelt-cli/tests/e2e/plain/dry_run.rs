use crate::env::{TestEnv, session};

#[test]
fn the_plan_shows_what_would_happen_and_changes_nothing() {
    let env = TestEnv::new();
    let repo = env.repo();
    repo.write("dirty.txt", "dirty\n");
    let before = repo.refs();
    let manifest = env.manifest(
        "plan",
        "my-agent --fast",
        &format!(
            "[credentials]\nenv = {{ KEY = \"PRESENT\", OTHER = \"ABSENT\" }}\n\n[merge]\ntarget = \"main\"\nstrategy = \"octopus\"\n\n{}{}{}",
            session("a", "make test", ""),
            session("b", "make lint", ""),
            session("c", "make all", "depends_on = [\"a\", \"b\"]")
        ),
    );
    let path = manifest.to_str().unwrap();
    let said: crate::env::Said =
        env.command(&["run", path, "--dry-run"]).env("PRESENT", "x").output().unwrap().into();
    let said = said.with_code(0);
    insta::with_settings!({filters => vec![
        (r"/tmp/smelt-test-\w+", "[folder]"),
        (r"at [0-9a-f]{10}", "at [commit]"),
    ]}, {
        insta::assert_snapshot!(said.stdout);
    });
    assert_eq!(repo.refs(), before);
    assert!(!env.path().join(".smelt").exists());
    let said = env.smelt(&["run", path, "--dry-run", "--json"]).with_code(0);
    let plan: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(plan["stages"][1][0]["name"], "c");
    assert_eq!(plan["target"], "smelt/plan");
}

#[test]
fn no_name_and_no_command_steers_the_terminal() {
    let env = TestEnv::new();
    let repo = env.repo();
    repo.git(&["checkout", "-q", "-b", "x\u{9b}31m\u{202e}y"]);
    let manifest = env.manifest("plan", "true", &session("a", "true\u{202e}", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    let setup = "[environment]\nsetup = [\"echo \\u001b]0;pwn\\u0007\\nhi\"]";
    std::fs::write(&manifest, text.replace("[environment]", setup)).unwrap();
    let odd = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    let said = env.smelt(&["run", "plan.toml", "--dry-run"]).with_code(0);
    assert!(!said.stdout.contains(odd), "{:?}", said.stdout);
    for part in ["base         xy at ", "setup: echo", "gate: true;"] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    let said = env.smelt(&["run", "plan.toml", "--dry-run", "--json"]).with_code(0);
    assert!(!said.stdout.contains(odd), "{:?}", said.stdout);
    let plan: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(plan["base"]["branch"], "x\u{9b}31m\u{202e}y");
}

#[test]
fn a_url_is_asked_and_not_fetched() {
    let env = TestEnv::new();
    let repo = env.repo();
    let manifest = env.manifest("plan", "true", &session("a", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    let url = format!("file://{}", repo.path().display());
    std::fs::write(&manifest, text.replace("repo = \"repo\"", &format!("repo = \"{url}\"")))
        .unwrap();
    let said = env.smelt(&["run", "plan.toml", "--dry-run"]).with_code(0);
    assert!(said.stdout.contains(&format!("main at {}", &repo.head()[..10])), "{}", said.stdout);
    assert!(!env.home().home().join(".cache/smelt/mirrors").exists());
}

/// A local job on a URL, from `base_ref`.
fn of_url(env: &TestEnv, url: &str, base_ref: &str) -> String {
    let manifest = env.manifest("plan", "echo new > new.txt", &session("a", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    let keys = format!("repo = \"{url}\"\nbase_ref = \"{base_ref}\"");
    std::fs::write(&manifest, text.replace("repo = \"repo\"", &keys)).unwrap();
    "plan.toml".into()
}

#[test]
fn what_only_a_fetch_could_tell_is_said_to_be_unchecked() {
    let env = TestEnv::new();
    let repo = env.repo();
    let url = format!("file://{}", repo.path().display());
    let head = repo.head();
    for id in [&head, &head[..7]] {
        let manifest = of_url(&env, &url, id);
        let said = env.smelt(&["run", &manifest, "--dry-run"]).with_code(0);
        assert!(said.stdout.contains("not checked: whether there is a commit"), "{}", said.stdout);
        let said = env.smelt(&["run", &manifest, "--dry-run", "--json"]).with_code(0);
        let plan: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(
            (&plan["base"]["ref"], &plan["base"]["checked"]),
            (&(*id).into(), &false.into())
        );
    }
    let manifest = of_url(&env, &url, "no-such-branch");
    env.smelt(&["run", &manifest, "--dry-run"]).with_code(65);
}

#[test]
fn a_url_that_can_not_be_reached_ends_a_dry_run_as_it_ends_a_run() {
    let env = TestEnv::new();
    let manifest = of_url(&env, "https://127.0.0.1:1/x.git", "HEAD");
    let dry = env.smelt(&["run", &manifest, "--dry-run"]).with_code(1);
    assert!(
        dry.stderr.contains("can't be fetched") && dry.stderr.contains("help"),
        "{}",
        dry.stderr
    );
    let run = env.smelt(&["run", &manifest]).with_code(1);
    assert!(run.stdout.contains("can't be fetched"), "{}", run.stdout);
}

#[test]
fn do_makes_its_manifest_from_flags() {
    let env = TestEnv::new();
    env.repo();
    let args = ["do", "Fix the bug", "--gate", "make test", "--repo", "repo", "--dry-run"];
    let said = env.smelt(&args).with_code(0);
    for part in ["fix-the-bug", "agent: claude", "gate: make test", "local", "smelt/fix-the-bug"] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    let said: crate::env::Said = env
        .command(&[&args[..], &["--image", "img:1", "--agent", "codex"]].concat())
        .env("CODEX_API_KEY", "x")
        .output()
        .unwrap()
        .into();
    let said = said.with_code(0);
    assert!(
        said.stdout.contains("image img:1")
            && said.stdout.contains("CODEX_API_KEY: found in the environment"),
        "{}",
        said.stdout
    );
    let said = env.smelt(&["do", "x", "--gate", "", "--repo", "repo", "--dry-run"]).with_code(65);
    assert!(said.stderr.contains("the gate is empty"), "{}", said.stderr);
}
