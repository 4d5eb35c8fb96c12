//! Secrets: found where they may be, given to the right processes, and to nothing else.

use crate::env::{TestEnv, session};

const CANARY: &str = "canary-5f0e7c1a9b";

fn job(env: &TestEnv, agent: &str, gate: &str, credentials: &str) -> std::path::PathBuf {
    env.manifest(
        "job",
        agent,
        &format!("[credentials]\n{credentials}\n{}", session("one", gate, "")),
    )
}

#[test]
fn a_missing_secret_is_told_before_anything_is_made() {
    let env = super::env();
    let repo = env.repo();
    let before = repo.refs();
    let manifest =
        job(&env, "true", "true", "env = { KEY = \"FIRST_KEY\", OTHER = \"SECOND_KEY\" }");
    let said = env.run(&manifest).with_code(65);
    assert!(said.stderr.contains("`FIRST_KEY`, `SECOND_KEY`"), "{}", said.stderr);
    assert!(
        said.stderr.contains("--env-file") && said.stderr.contains("config.toml"),
        "{}",
        said.stderr
    );
    assert_eq!(repo.refs(), before);
    assert!(!env.path().join(".smelt").exists());
    let said = env.smelt(&["run", "job.toml", "--dry-run"]).with_code(0);
    assert!(said.stdout.contains("FIRST_KEY: missing"), "{}", said.stdout);
}

#[test]
fn each_place_is_looked_at_in_its_order() {
    let env = super::env();
    let repo = env.repo();
    env.write("secrets.env", "A=from-env-file\n");
    env.write("home/token", "from-a-file\n");
    env.write("home/.config/smelt/config.toml", "[secrets]\nA = { file = \"/nowhere\" }\nB = { file = \"~/token\" }\nC = { command = [\"printf\", \"from-a-command\"] }\n");
    env.write("systemd/D", "from-systemd");
    let agent = "printf '%s %s %s %s %s' $A $B $C $D $E | rev > all.txt; cat ~/.key | rev > file.txt; stat -c %a ~/.key > mode.txt";
    let manifest = job(
        &env,
        agent,
        "test -n \"$A\"",
        "env = { A = \"A\", B = \"B\", C = \"C\", D = \"D\", E = \"E\" }\nfiles = { \"~/.key\" = \"E\" }",
    );
    let mut command =
        env.command(&["run", manifest.to_str().unwrap(), "--env-file", "secrets.env"]);
    command
        .env("CREDENTIALS_DIRECTORY", env.path().join("systemd"))
        .env("E", "from-env")
        .env("D", "no");
    let said: crate::env::Said = command.output().unwrap().into();
    let said = said.with_code(0);
    let told: String = repo.git(&["show", "smelt/job:all.txt"]).chars().rev().collect();
    assert_eq!(
        told, "from-env-file from-a-file from-a-command from-systemd from-env",
        "{}",
        said.stdout
    );
    let told: String = repo.git(&["show", "smelt/job:file.txt"]).chars().rev().collect();
    assert_eq!(told, "from-env");
    assert_eq!(repo.git(&["show", "smelt/job:mode.txt"]), "600");
}

/// While it is used a secret stands in no command line and no environment of another process, and
/// afterwards in nothing that is kept.
#[test]
fn a_secret_reaches_the_sandbox_and_nothing_else() {
    let env = super::env();
    env.repo();
    // The agent prints it, as a careless one does.
    let agent = "echo the key is $KEY; env; echo new > new.txt; sleep 1";
    let manifest = job(&env, agent, "echo $KEY", "env = { KEY = \"AGENT_KEY\" }");
    env.write("secrets.env", format!("AGENT_KEY={CANARY}\n"));
    let mut run = env
        .command(&["run", manifest.to_str().unwrap(), "--env-file", "secrets.env"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen_inside = false;
    while run.try_wait().unwrap().is_none() {
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let read = |file: &str| std::fs::read(process.path().join(file)).unwrap_or_default();
            let holds = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes());
            assert!(!holds(&read("cmdline")), "in a command line");
            if holds(&read("environ")) {
                // Only what runs inside, in a namespace of processes of its own.
                let inside = std::fs::read_link(process.path().join("ns/pid")).unwrap_or_default();
                let ours = std::fs::read_link("/proc/self/ns/pid").unwrap();
                assert_ne!(
                    inside,
                    ours,
                    "in the environment of {}",
                    String::from_utf8_lossy(&read("cmdline"))
                );
                seen_inside = true;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let said: crate::env::Said = run.wait_with_output().unwrap().into();
    let said = said.with_code(0);
    assert!(seen_inside, "the agent had it");
    assert!(said.stderr.contains("the key is ***"), "{}", said.stderr);
    assert!(!said.stderr.contains(CANARY) && !said.stdout.contains(CANARY));
    std::fs::remove_file(env.path().join("secrets.env")).unwrap();
    let found =
        std::process::Command::new("grep").args(["-rl", CANARY]).arg(env.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "kept somewhere");
}

#[test]
fn protected_names_are_refused() {
    let env = super::env();
    env.repo();
    for (credentials, forge) in [
        (
            "env = { GH = \"FORGE_TOKEN\" }",
            "[forge]\nprovider = \"github\"\nrepo = \"a/b\"\ntoken_env = \"FORGE_TOKEN\"\n",
        ),
        (
            "files = { \"~/.t\" = \"FORGE_TOKEN\" }",
            "[forge]\nprovider = \"github\"\nrepo = \"a/b\"\ntoken_env = \"FORGE_TOKEN\"\n",
        ),
        ("env = { T = \"SMELT_WRITE_TOKEN\" }", ""),
        ("env = { T = \"SMELT_TOKEN\" }", ""),
        (
            "env = { K = \"SSH_KEY\" }",
            "[kubernetes]\nnamespace = \"x\"\nssh_key_env = \"SSH_KEY\"\n",
        ),
    ] {
        let manifest = job(&env, "true", "true", &format!("{credentials}\n{forge}"));
        let said = env.run(&manifest).with_code(65);
        assert!(said.stderr.contains("never enters a sandbox"), "{}", said.stderr);
        assert!(!env.path().join(".smelt").exists());
    }
}
