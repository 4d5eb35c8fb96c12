//! What is the jail's own: what it shows, what it holds in, and where there can be none.

use crate::env::{TestEnv, amend, session};

#[test]
fn the_jail_shows_nothing_of_the_host_that_it_does_not_need() {
    let env = TestEnv::new();
    let repo = env.repo();
    env.write("home/.ssh/id_ed25519", "private");
    env.write("home/.netrc", "private");
    let agent = r#"
        exec > report.txt 2>&1
        id -u; grep Cap /proc/self/status
        for path in REPO HOMEDIR/.ssh HOMEDIR/.netrc /etc/shadow /etc/ssl/private /root/.bashrc /var/run/docker.sock \
            /run/docker.sock /var/lib /srv /sys /boot /etc/smelt; do
            if [ -e "$path" ]; then echo "SEEN $path"; fi
        done
        for path in / /usr /etc /smelt/objects/0 /usr/bin; do
            if touch "$path/written" 2>/dev/null; then echo "WRITTEN $path"; fi
        done
        mount -o remount,rw,bind /usr 2>/dev/null && echo "REMOUNTED"
        unshare -U true 2>/dev/null && echo "NAMESPACE"
        ls /proc | grep -c '^[0-9]'
        hostname
        echo "PARENT $(tr '\0' ' ' < /proc/1/cmdline | cut -c 1-5)"
    "#.replace("REPO", repo.path().to_str().unwrap()).replace("HOMEDIR", env.home().home().to_str().unwrap());
    let manifest = env.manifest("job", &agent, &session("one", "true", ""));
    env.run(&manifest).with_code(0);
    let report = repo.git(&["show", "smelt/job:report.txt"]);
    for bad in ["SEEN", "WRITTEN", "REMOUNTED", "NAMESPACE"] {
        assert!(!report.contains(bad), "{report}");
    }
    let capabilities = report.lines().filter(|line| line.starts_with("Cap"));
    assert!(capabilities.clone().count() >= 4);
    assert!(capabilities.into_iter().all(|line| line.ends_with("0000000000000000")), "{report}");
    assert!(report.contains("smelt"), "its own host name: {report}");
}

#[test]
fn without_a_network_there_is_none() {
    let env = TestEnv::new();
    let repo = env.repo();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let agent = format!(
        "(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached > r.txt || echo alone > r.txt"
    );
    let manifest = env.manifest("job", &format!("bash -c '{agent}'"), &session("one", "true", ""));
    let said = env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:r.txt"]), "reached");
    assert!(said.stdout.contains("shares this machine's network"), "{}", said.stdout);
    amend(&manifest, "[environment]", "network = \"none\"");
    let said = env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:r.txt"]), "alone");
    assert!(said.stdout.contains("no network"), "{}", said.stdout);
}

#[test]
fn a_branch_that_becomes_somebody_s_during_the_run_is_left_to_them() {
    let env = TestEnv::new();
    let repo = env.repo();
    let agent = "echo x > x.txt; echo ready; until [ -e ~/go ]; do sleep 0.05; done";
    let manifest = env.manifest("job", agent, &session("one", "sleep 1", ""));
    let mut run = env
        .command(&["run", manifest.to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !env.smelt(&["logs", "job"]).stdout.contains("agent | ready") {
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(run.try_wait().unwrap().is_none());
    }
    repo.git(&["branch", "smelt/job"]);
    let theirs = repo.git(&["rev-parse", "smelt/job"]);
    // The jail's home is the run's own; its host folder is where the agent looks.
    let scratch = env.home().home().join(".cache/smelt/scratch");
    let owner = std::fs::read_dir(scratch).unwrap().next().unwrap().unwrap().path();
    let home = std::fs::read_dir(owner).unwrap().next().unwrap().unwrap().path().join("home");
    std::fs::write(home.join("go"), "").unwrap();
    let said: crate::env::Said = run.wait_with_output().unwrap().into();
    let said = said.with_code(69);
    assert!(said.stdout.contains("undelivered: job"), "{}", said.stdout);
    assert!(said.stdout.contains("the work is kept under the run's own refs"), "{}", said.stdout);
    assert_eq!(repo.git(&["rev-parse", "smelt/job"]), theirs);
    let reference = env.status("job")["sessions"][0]["reference"].clone();
    assert!(
        reference.is_string()
            && repo.git(&["show", &format!("{}:x.txt", reference.as_str().unwrap())]) == "x",
        "{}",
        said.stdout
    );
}

#[test]
fn limits_hold() {
    let env = TestEnv::new();
    let repo = env.repo();
    // A hundred processes at once, where twenty are allowed.
    let agent = "n=0; while [ $n -lt 100 ]; do sleep 5 & n=$((n + 1)); done 2> err.txt; jobs | wc -l > count.txt; true";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    amend(&manifest, "[environment]", "resources = { pids = 20, memory = \"300M\", cpu = 1 }");
    let _ = env.run(&manifest);
    let status = env.status("job");
    let reference = status["sessions"][0]["reference"].as_str().expect("work was kept");
    let errors = repo.git(&["show", &format!("{reference}:err.txt")]);
    assert!(errors.to_lowercase().contains("fork") || errors.contains("Resource"), "{errors}");
    // Half a gigabyte of memory, where less is allowed.
    let hog =
        "python3 -c 'x = bytearray(600_000_000); print(len(x))' > got.txt; echo $? > code.txt";
    let manifest = env.manifest("hog", hog, &session("one", "true", ""));
    amend(&manifest, "[environment]", "resources = { memory = \"300M\" }");
    env.run(&manifest);
    let status = env.status("hog");
    let reference = status["sessions"][0]["reference"].as_str().expect("work was kept");
    assert_ne!(repo.git(&["show", &format!("{reference}:code.txt")]), "0");
    assert_eq!(repo.git(&["show", &format!("{reference}:got.txt")]), "");
    env.nothing_is_left(&repo);
}

#[test]
fn code_69_a_machine_without_a_jail() {
    let env = TestEnv::new();
    let repo = env.repo();
    // A PATH with everything but bubblewrap.
    let bin = env.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for folder in std::env::split_paths(&smelt_testing::Home::search_path()) {
        for program in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let link = bin.join(program.file_name());
            if program.file_name() != "bwrap" && !link.is_symlink() {
                std::os::unix::fs::symlink(program.path(), link).unwrap();
            }
        }
    }
    let path = bin.display().to_string();
    let manifest = env.manifest("job", "echo new > new.txt", &session("one", "true", ""));
    let run = |more: &[&str]| {
        let args = [&["run", manifest.to_str().unwrap()][..], more].concat();
        let said: crate::env::Said = env.command(&args).env("PATH", &path).output().unwrap().into();
        said
    };
    let said = run(&[]).with_code(69);
    assert!(said.stdout.contains("bubblewrap (`bwrap`) is not installed"), "{}", said.stdout);
    assert!(said.stdout.contains("apt install bubblewrap"), "{}", said.stdout);
    assert!(said.stdout.contains("--unsandboxed"), "{}", said.stdout);
    let said = run(&["--unsandboxed"]).with_code(0);
    assert!(said.stdout.contains("NO SANDBOX"), "{}", said.stdout);
    assert_eq!(repo.git(&["show", "smelt/job:new.txt"]), "new");
    env.nothing_is_left(&repo);
}

#[test]
fn code_69_what_is_not_there() {
    let env = TestEnv::new();
    let repo = env.repo();
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    let notify = "[[notify]]\ntarget_job = \"x\"\n[orchestrator]";
    std::fs::write(&manifest, text.replace("[orchestrator]", notify)).unwrap();
    let said = env.run(&manifest).with_code(69);
    assert!(said.stdout.contains("`[[notify]]` is not in this version"), "{}", said.stdout);
    env.nothing_is_left(&repo);
}
