use super::{Subject, sh};
use smelt_core::port::Discard;
use std::net::TcpListener;

pub async fn without_a_network_nothing_is_reached(subject: &Subject) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sandbox =
        subject.runtime.provision(&subject.spec("network = \"none\""), &mut Discard).await.unwrap();
    let script = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null; echo $?");
    assert_eq!(sh(&*sandbox, &script).await.1, "1");
    sandbox.destroy().await.unwrap();
}

pub async fn no_capability_is_left(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let (_, out, _) = sh(&*sandbox, "grep ^Cap /proc/self/status").await;
    let sets: Vec<_> = out.lines().filter(|line| !line.starts_with("CapInh")).collect();
    assert!(sets.len() >= 4 && sets.iter().all(|set| set.ends_with("0000000000000000")), "{out}");
    sandbox.destroy().await.unwrap();
}

pub async fn the_host_s_own_files_are_out_of_reach(subject: &Subject) {
    let secret = subject.folder.path().join("secret.txt");
    std::fs::write(&secret, "secret\n").unwrap();
    let sandbox = subject.sandbox().await;
    let script = format!(
        "cat {} 2>/dev/null; for p in /var/run/docker.sock /run/docker.sock /sys/kernel/debug; do \
         test -e $p && cat $p 2>/dev/null && echo SEEN $p; done; touch /usr/bin/x /etc/x /x 2>/dev/null && echo WRITTEN; true",
        secret.display()
    );
    let (_, out, _) = sh(&*sandbox, &script).await;
    assert_eq!(out, "");
    sandbox.destroy().await.unwrap();
}

/// Opened, not written: should it succeed, nothing has changed.
pub async fn the_machine_s_settings_can_not_be_written(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let script = "for f in $(find /proc -maxdepth 4 -path '/proc/[0-9]*' -prune -o -type f -print \
         2>/dev/null | grep -v '^/proc/self\\|^/proc/thread-self'); do [ -f \"$f\" ] && \
         (exec 3>>\"$f\") 2>/dev/null && echo \"$f\"; done; true";
    let (_, out, _) = sh(&*sandbox, script).await;
    let gaps = sandbox.isolation().gaps.join("\n");
    let said = |path: &&str| path.rsplit_once('/').is_some_and(|(folder, _)| gaps.contains(folder));
    let unsaid: Vec<_> = out.lines().filter(|path| !said(path)).collect();
    assert_eq!(unsaid, Vec::<&str>::new());
    sandbox.destroy().await.unwrap();
}

pub async fn processes_of_the_host_are_not_seen(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let script = format!(
        "test -e /proc/{} && tr '\\0' ' ' < /proc/{0}/cmdline; ls -d /proc/[0-9]* | wc -l",
        std::process::id()
    );
    let (_, out, _) = sh(&*sandbox, &script).await;
    assert!(out.lines().last().unwrap().parse::<u32>().unwrap() < 20, "{out}");
    sandbox.destroy().await.unwrap();
}

/// A limit is held, or said to be missing.
pub async fn limits_hold_or_are_said_to_be_missing(subject: &Subject) {
    let spec = subject.spec("resources = { pids = 24, memory = \"200M\", cpu = 1, disk = \"1G\" }");
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    let gaps = sandbox.isolation().gaps.join("\n");
    let script = "n=0; while [ $n -lt 60 ]; do sleep 5 & n=$((n + 1)); done; echo started";
    let (exit, out, err) = sh(&*sandbox, script).await;
    let held = !exit.success() || out.is_empty() || err.to_lowercase().contains("fork");
    assert!(held || gaps.contains("processes"), "{out}{err}{gaps}");
    let (exit, out, _) = sh(&*sandbox, "head -c 400000000 /dev/zero | tail | wc -c").await;
    let held = out != "400000000" || !exit.success();
    assert!(held || gaps.contains("memory"), "{out}{gaps}");
    assert!(gaps.contains("disk"), "{gaps}");
    sandbox.destroy().await.unwrap();
}
