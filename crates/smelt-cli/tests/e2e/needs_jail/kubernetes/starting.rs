//! Pods that never run: what stands in the way is told, and nothing is left.

use super::{env, only_its_own_is_left, tells};
use crate::env::{Said, amend, session};
use crate::running::wait_until;
use smelt_testing_kubernetes::{Fault, ScriptedCluster, Start};
use std::process::{Command, Stdio};

/// Runs a job in a cluster that `script` is for; makes sure that it ends with `code` and leaves nothing.
#[track_caller]
fn refused(code: i32, keys: &str, script: impl FnOnce(&ScriptedCluster)) -> Said {
    let env = env();
    let repo = env.repo();
    script(env.cluster());
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    amend(&manifest, "[environment]", keys);
    let said = env.run(&manifest).with_code(code);
    assert_eq!(env.status("job")["outcome"], "failed");
    env.cluster().clear_faults();
    only_its_own_is_left(&env, &repo);
    said
}

#[test]
fn a_pod_that_waits_for_a_node_says_so_while_it_does_and_is_not_left_when_it_is_given_up() {
    let env = env();
    let repo = env.repo();
    let message = "0/3 nodes are available: 3 Insufficient memory.".to_owned();
    env.cluster().next_pod(Start::NeverScheduled { message });
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    let mut command = env.command(&["run", manifest.to_str().unwrap()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let waits = "pod: waiting for a node: 0/3 nodes are available: 3 Insufficient memory.";
    wait_until(waits, || env.smelt(&["logs", "job"]).stdout.contains(waits));
    assert_eq!(env.cluster().pods().len(), 1);
    let pid = env.status("job")["pid"].to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let said = Said::from(child.wait_with_output().unwrap()).with_code(130);
    assert!(said.stderr.contains(waits), "{}", said.stderr);
    assert_eq!(env.status("job")["outcome"], "cancelled");
    only_its_own_is_left(&env, &repo);
}

#[test]
fn an_image_that_can_not_be_had_is_told_in_the_node_s_words() {
    for (reason, message) in [
        ("ErrImagePull", "failed to pull image \"agent:1\": not found"),
        ("InvalidImageName", "couldn't parse image name \"agent:1\""),
    ] {
        let said = refused(69, "", |cluster| {
            let (reason, message) = (reason.to_owned(), message.to_owned());
            cluster.next_pod(Start::ImageError { reason, message });
        });
        tells(&said, message);
        tells(&said, "see `environment.image`, `environment.pull`");
    }
}

#[test]
fn a_container_that_can_not_run_is_told_with_what_it_needs() {
    let needs = "the image is to run as a user who is not root, and to have `sh` and `cat`";
    let message = "container has runAsNonRoot and image will run as root";
    let said = refused(69, "", |cluster| {
        cluster.next_pod(Start::ConfigError { message: message.to_owned() });
    });
    tells(&said, &format!("CreateContainerConfigError: {message}"));
    tells(&said, needs);
    let said = refused(69, "", |cluster| cluster.next_pod(Start::CrashesAtOnce(127)));
    tells(&said, "its pod ended (exit code 127, Error)");
    tells(&said, needs);
    let message = "The node was low on resource: memory.".to_owned();
    let said = refused(69, "", |cluster| cluster.next_pod(Start::Evicted { message }));
    tells(&said, "its pod was evicted: The node was low on resource: memory.");
}

#[test]
fn what_the_cluster_s_rules_refuse_is_told_in_its_words() {
    let said = refused(69, "", |cluster| {
        cluster.fault(Fault::quota("requested: pods=1, used: pods=10, limited: pods=10"));
    });
    tells(&said, "exceeded quota: requested: pods=1, used: pods=10, limited: pods=10");
    tells(&said, "another namespace may allow it");
    let said = refused(69, "", |cluster| {
        cluster.fault(Fault::pod_security("unrestricted capabilities (…)"));
    });
    tells(&said, "violates PodSecurity \"restricted:latest\": unrestricted capabilities");
}

#[test]
fn a_right_that_is_missing_is_named_with_who_knows_what_would_grant_it() {
    for (verb, resource, keys) in [
        ("create", "pods", ""),
        ("watch", "pods", ""),
        ("create", "pods/exec", ""),
        ("create", "networkpolicies", "network = \"none\""),
    ] {
        let said = refused(69, keys, |cluster| cluster.fault(Fault::forbidden(verb, resource)));
        let group = if resource == "networkpolicies" { ".networking.k8s.io" } else { "" };
        tells(&said, &format!("may not `{verb}` `{resource}{group}` in namespace `smelt`"));
        tells(&said, "`smelt doctor --runtime kubernetes` prints a Role that is enough");
    }
}

#[test]
fn a_wall_that_may_not_be_made_is_said_to_be_missing() {
    let env = env();
    let repo = env.repo();
    env.cluster().fault(Fault::forbidden("*", "networkpolicies"));
    let manifest = env.manifest("job", "echo a > a.txt", &session("one", "true", ""));
    let said = env.run(&manifest).with_code(0);
    tells(&said, "what the sandbox can reach is not limited: ");
    env.nothing_is_left(&repo);
}

#[test]
fn a_namespace_and_a_context_that_are_not_there_are_named() {
    let env = env();
    let repo = env.repo();
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"smelt\"", "\"elsewhere\"")).unwrap();
    let said = env.run(&manifest).with_code(69);
    tells(&said, "namespaces \"elsewhere\" not found");
    std::fs::write(&manifest, text.replace("\"smelt\"", "\"smelt\"\ncontext = \"lab\"")).unwrap();
    let said = env.run(&manifest).with_code(69);
    tells(&said, "has no context `lab`");
    tells(&said, "it has these: scripted");
    env.nothing_is_left(&repo);
}
