//! Pods that end before their time: whoever runs a command in one is told why.

use crate::cluster::{name, scripted};
use smelt_core::port::{Command, Discard, ExitStatus, SandboxError};
use smelt_testing_kubernetes::{Fault, PodEnd};
use std::time::Duration;

/// What becomes of a command while its pod ends in this way, and of the next one.
async fn ended(how: PodEnd) -> (Result<ExitStatus, String>, String) {
    let (cluster, subject) = scripted();
    let spec = subject.spec("");
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    let end = {
        let name = name(&spec);
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            tokio::task::spawn_blocking(move || cluster.end_pod(&name, how)).await.unwrap();
        }
    };
    let command = || Command::shell("sleep 3621", [], "/");
    let mut output = Discard;
    let ((), first) = tokio::join!(end, sandbox.exec(command(), &mut output));
    let first = match first {
        Ok(exit) => {
            assert!(exit.out_of_memory, "{exit}");
            Ok(exit.status)
        }
        Err(SandboxError::Gone(why)) => Err(why),
        Err(other) => panic!("{other}"),
    };
    let next = match sandbox.exec(command(), &mut Discard).await {
        Err(SandboxError::Gone(why)) => why,
        other => panic!("{other:?}"),
    };
    sandbox.destroy().await.unwrap();
    sandbox.destroy().await.unwrap();
    (first, next)
}

#[tokio::test]
async fn memory_that_is_used_up_is_the_command_s_own_affair_and_the_pod_s_end() {
    let (first, next) = ended(PodEnd::OomKilled).await;
    let why = "its pod ran out of memory (`environment.resources.memory`)";
    match first {
        Ok(status) => assert_eq!(status, ExitStatus::Code(137)),
        Err(gone) => assert_eq!(gone, why),
    }
    assert_eq!(next, why);
}

#[tokio::test]
async fn an_eviction_is_told_in_the_node_s_words() {
    let message = "The node was low on resource: ephemeral-storage.".to_owned();
    let (first, next) = ended(PodEnd::Evicted { message }).await;
    let why = "its pod was evicted: The node was low on resource: ephemeral-storage.";
    assert_eq!((first, next.as_str()), (Err(why.to_owned()), why));
}

#[tokio::test]
async fn a_node_that_is_lost_takes_its_pod_along() {
    let (first, next) = ended(PodEnd::NodeLost).await;
    assert_eq!((first, next.as_str()), (Err("its node was lost".into()), "its node was lost"));
}

#[tokio::test]
async fn who_deletes_a_pod_from_outside_is_not_to_be_known() {
    let (first, next) = ended(PodEnd::Deleted).await;
    let why = "its pod was deleted from outside";
    assert_eq!((first, next.as_str()), (Err(why.into()), why));
}

#[tokio::test]
async fn a_pod_whose_time_is_up_says_so() {
    let (first, next) = ended(PodEnd::DeadlineExceeded).await;
    let why = "its pod's time was up";
    assert_eq!((first, next.as_str()), (Err(why.into()), why));
}

/// Where there is no room for one more process, nothing can look for those of a command.
#[tokio::test]
async fn a_command_that_can_not_be_ended_takes_its_pod_along() {
    for given_up in [false, true] {
        let (cluster, subject) = scripted();
        let spec = subject.spec("");
        let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
        let mut command = Command::shell("sleep 3641", [], "/");
        command.timeout = Some(Duration::from_secs(if given_up { 600 } else { 1 }));
        let full = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            cluster.fault(Fault::status("*", "/exec", 500).times(u32::MAX));
        };
        let mut output = Discard;
        if given_up {
            let command = sandbox.exec(command, &mut output);
            let command = tokio::time::timeout(Duration::from_secs(1), command);
            assert!(tokio::join!(full, command).1.is_err());
        } else {
            let ((), exit) = tokio::join!(full, sandbox.exec(command, &mut output));
            assert_eq!(exit.unwrap().status, ExitStatus::TimedOut);
        }
        let since = std::time::Instant::now();
        while !cluster.pods().is_empty() {
            assert!(since.elapsed() < Duration::from_secs(8), "the pod is deleted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        sandbox.destroy().await.unwrap();
    }
}
