use crate::env::TestEnv;
use smelt_testing::TestRepo;

#[test]
fn the_demo_ends_in_a_result_branch_and_says_how_to_look_at_it() {
    let env = TestEnv::new();
    let said = env.smelt(&["demo", "--dir", "demo"]).with_code(0);
    assert!(said.stdout.contains("complete: demo"), "{}", said.stdout);
    assert!(said.stdout.contains("a bubblewrap jail"), "{}", said.stdout);
    let repo = TestRepo::at(env.home(), env.path().join("demo/hello"));
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let files = repo.git(&["ls-tree", "--name-only", "smelt/demo"]);
    assert_eq!(files, "CHANGELOG.md\nMANUAL.md\nREADME.md\ngreet.sh\ntest.sh");
    // Its pull request is a file, open until the branch is merged.
    let pull = std::fs::read_to_string(env.path().join("demo/.smelt/pulls/1.md")).unwrap();
    assert!(pull.contains("## Gates") && pull.contains("Greet strangers too"), "{pull}");
    let watch = || env.command(&["watch", "demo", "--dir", "demo", "--interval-secs", "1"]);
    let (now, dir) = (["status", "demo", "--dir", "demo", "--json"], repo.path());
    let state = |said: crate::env::Said| {
        let state: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        state["pr"]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(env.smelt(&now)), "open", "{}", dir.display());
    // What the summary tells to do can be done.
    let look = said.stdout.lines().find_map(|line| line.trim().strip_prefix("look")).unwrap();
    let words: Vec<_> = look.split_whitespace().skip(1).collect();
    assert!(env.home().command("git").args(words).status().unwrap().success(), "{look}");
    repo.git(&["merge", "--quiet", "smelt/demo"]);
    crate::env::Said::from(watch().output().unwrap()).with_code(0);
    assert_eq!(state(env.smelt(&now)), "merged");
}

#[test]
fn the_demo_touches_no_other_repository_and_runs_nothing_of_the_user_s() {
    let env = TestEnv::new();
    let victim = env.repo();
    let (refs, index) = (victim.refs(), std::fs::read(victim.path().join(".git/index")).unwrap());
    let hook = "#!/bin/sh\necho ran > \"$0.ran\"\nexit 1\n";
    for folder in ["hooks", "template/hooks"] {
        let hook = env.write(&format!("{folder}/pre-commit"), hook);
        let chmod = std::process::Command::new("chmod").arg("a+rx").arg(hook).status();
        assert!(chmod.unwrap().success());
    }
    let (hooks, template) = (env.path().join("hooks"), env.path().join("template"));
    env.write("ignore", "*.md\n");
    let config = format!(
        "[core]\nhooksPath = {}\nexcludesFile = {}\n[init]\ntemplateDir = {}\n",
        hooks.display(),
        env.path().join("ignore").display(),
        template.display()
    );
    let config = env.write("gitconfig", config);
    let output = env
        .command(&["demo", "--dir", "demo"])
        .env("GIT_DIR", victim.path().join(".git"))
        .env("GIT_WORK_TREE", victim.path())
        .env("GIT_INDEX_FILE", victim.path().join(".git/index"))
        .env("GIT_CONFIG_GLOBAL", config)
        .env("GIT_TEMPLATE_DIR", template)
        .output();
    crate::env::Said::from(output.unwrap()).with_code(0);
    assert_eq!(victim.refs(), refs);
    assert_eq!(std::fs::read(victim.path().join(".git/index")).unwrap(), index);
    assert!(!env.path().join("demo/hello/.git/hooks").exists());
    assert!(!hooks.join("pre-commit.ran").exists());
    let repo = TestRepo::at(env.home(), env.path().join("demo/hello"));
    assert_eq!(repo.git(&["ls-tree", "--name-only", "main"]), "README.md\ngreet.sh\ntest.sh");
}
