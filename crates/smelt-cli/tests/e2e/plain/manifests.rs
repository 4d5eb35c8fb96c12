//! Manifests as people get them wrong: each message says where, why, and how to mend it.

use crate::env::TestEnv;

const GOOD: &str = r#"[job]
name = "job"
repo = "."

[environment]
runtime = "local"

[orchestrator]
kind = "direct"
command = "true"

[[session]]
name = "one"
spec = "Do it."
harness = "true"
timeout = 60
"#;

/// A manifest with one thing changed.
fn with(from: &str, to: &str) -> Vec<u8> {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1).into_bytes()
}

#[test]
fn twenty_broken_manifests() {
    let second = |more: &str| {
        format!("{GOOD}\n[[session]]\nname = \"two\"\nspec = \"x\"\nharness = \"true\"\ntimeout = 5\n{more}\n").into_bytes()
    };
    let cases: &[(&str, Vec<u8>)] = &[
        ("a wrong type", with("timeout = 60", "timeout = \"an hour\"")),
        ("a typo in a key", with("harness =", "harnes =")),
        ("a typo in a section", with("[environment]", "[enviroment]")),
        ("a typo in a word", with("\"local\"", "\"lcoal\"")),
        ("a missing image", with("runtime = \"local\"", "runtime = \"docker\"")),
        ("an unknown dependency", with("timeout = 60", "timeout = 60\ndepends_on = [\"zero\"]")),
        (
            "a cycle",
            [
                &with("timeout = 60", "timeout = 60\ndepends_on = [\"two\"]")[..],
                &second("depends_on = [\"one\"]")[GOOD.len()..],
            ]
            .concat(),
        ),
        (
            "two of one name",
            String::from_utf8(second(""))
                .unwrap()
                .replace("name = \"two\"", "name = \"one\"")
                .into_bytes(),
        ),
        ("broken TOML", with("name = \"job\"", "name = \"job")),
        ("a key twice", with("repo = \".\"", "repo = \".\"\nrepo = \"..\"")),
        ("an empty file", Vec::new()),
        ("only comments", b"# nothing\n".to_vec()),
        ("no session", GOOD.split("[[session]]").next().unwrap().as_bytes().to_vec()),
        ("[session] for [[session]]", with("[[session]]", "[session]")),
        ("a name with a space", with("name = \"job\"", "name = \"my job\"")),
        ("a negative timeout", with("timeout = 60", "timeout = -1")),
        ("spec and spec_file", with("spec = \"Do it.\"", "spec = \"Do it.\"\nspec_file = \"x\"")),
        (
            "a spec_file that is not there",
            with("spec = \"Do it.\"", "spec_file = \"tasks/none.md\""),
        ),
        ("an empty gate", with("harness = \"true\"", "harness = \" \"")),
        (
            "a secret in place of its name",
            with(
                "[orchestrator]",
                "[credentials.env]\nKEY = \"sk-proj-abc/def\"\n\n[orchestrator]",
            ),
        ),
        (
            "a password in the URL",
            with("repo = \".\"", "repo = \"https://me:hunter2@example.com/a.git\""),
        ),
        ("plain http", with("repo = \".\"", "repo = \"http://example.com/a.git\"")),
        ("no agent", with("command = \"true\"", "")),
        ("agent and command", with("command = \"true\"", "command = \"true\"\nagent = \"claude\"")),
        ("an order that leaves one out", second("[merge]\norder = [\"one\"]")),
        ("a forge without a token", second("[forge]\nprovider = \"github\"\nrepo = \"a/b\"")),
        (
            "a privileged service",
            with(
                "runtime = \"local\"",
                "runtime = \"compose\"\nimage = \"x\"\n\n[[services]]\nname = \"db\"\nimage = \"y\"\nprivileged = true",
            ),
        ),
        ("a template for a tracker", with("name = \"job\"", "name = \"{{ issue.key }}\"")),
        ("not UTF-8", [b"[job]\nname = \"".to_vec(), vec![0xff, 0xfe], b"\"\n".to_vec()].concat()),
        ("ten megabytes", vec![b'#'; 10 << 20]),
    ];
    let mut text = String::new();
    for (what, manifest) in cases {
        let env = TestEnv::new();
        env.write("job.toml", manifest);
        let said = env.smelt(&["run", "job.toml", "--dry-run"]);
        assert_eq!(said.code, Some(65), "{what}: {}", said.stderr);
        assert!(
            !said.stderr.contains("hunter2") && !said.stderr.contains("sk-proj"),
            "{}",
            said.stderr
        );
        assert_eq!(said.stdout, "");
        text += &format!("--- {what}\n{}\n", said.stderr);
    }
    let env = TestEnv::new();
    std::fs::create_dir(env.path().join("folder")).unwrap();
    for path in ["folder", "nowhere.toml", "/dev/zero"] {
        let said = env.smelt(&["run", path]).with_code(65);
        text += &format!("--- {path}\n{}\n", said.stderr);
    }
    insta::with_settings!({filters => vec![(r"/tmp/smelt-test-\w+", "[folder]")]}, {
        insta::assert_snapshot!(text);
    });
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    for (n, section) in [
        "[credentials]\nANTHROPIC_API_KEY = \"sk-hunter2\"",
        "[credentials]\nenv = \"sk-hunter2\"",
        "[credentials]\nenv = { K = sk-hunter2 }",
        "[credentials]\nenv = { \"sk-hunter2\" = \"KEY\" }",
        "[credentials]\nenv = { K = [\"sk-hunter2\"], SMELT_X = \"Y\" }",
        "[credentials.env]\nK = \"sk-hunter2",
        "[credentials] # keys\nK = sk-hunter2",
        "[ credentials . env ]\nK = sk-hunter2",
        "[credential]\nK = sk-hunter2",
        "[forge]\ntoken = \"ghp_hunter2\"",
        "[forge]\nprovider = \"ghp_hunter2\"",
        "[forge]\nprovider = \"github\"\nrepo = 1 # ghp_hunter2",
        "forge = { token = \"ghp_hunter2\" }",
        "[kubernetes]\nnamespace = \"x\"\nssh_key_env = \"-----BEGIN hunter2\"",
        "[kubernetes]\nssh_key = \"-----BEGIN hunter2\"",
    ]
    .into_iter()
    .enumerate()
    {
        // Top-level keys stand before the first section.
        let text = match section.starts_with('[') {
            true => format!("{GOOD}\n{section}\n"),
            false => format!("{section}\n{GOOD}"),
        };
        let env = TestEnv::new();
        env.write("job.toml", text);
        let said = env.smelt(&["run", "job.toml", "--dry-run"]).with_code(65);
        assert!(said.stderr.contains("job.toml:"), "{n}: {}", said.stderr);
        assert!(!said.stderr.contains("hunter2"), "{n}: {}", said.stderr);
    }
}

#[test]
fn warnings_do_not_keep_a_job_from_running() {
    let env = TestEnv::new();
    let repo = env.repo();
    repo.write(
        "job.toml",
        GOOD.replace("runtime = \"local\"", "runtime = \"local\"\nimage = \"unused\""),
    );
    let said = env.smelt(&["run", "repo/job.toml", "--dry-run"]).with_code(0);
    assert!(
        said.stderr.contains("warning") && said.stderr.contains("uses no image"),
        "{}",
        said.stderr
    );
}
