//! Commands by way of a cluster: much output, cut connections, what servers write into their logs.

use crate::cluster::{Told, name, scripted};
use crate::contract::{run, sh};
use async_trait::async_trait;
use smelt_core::event::OutputStream;
use smelt_core::port::{Command, Discard, Exit, ExitStatus, Input, Output, SandboxError, Value};
use smelt_core::secret::Secret;
use smelt_testing_kubernetes::Fault;
use std::ops::ControlFlow;
use std::time::Duration;

/// Counts, and takes its time now and then.
#[derive(Default)]
struct Count(u64);

#[async_trait]
impl Output for Count {
    async fn write(&mut self, _: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        self.0 += bytes.len() as u64;
        ControlFlow::Continue(())
    }
}

#[tokio::test]
async fn a_hundred_megabytes_flow_by() {
    let (_cluster, subject) = scripted();
    let sandbox = subject.sandbox().await;
    let mut count = Count::default();
    let command = Command::shell("head -c 100000000 /dev/zero", [], "/");
    assert!(sandbox.exec(command, &mut count).await.unwrap().success());
    assert_eq!(count.0, 100_000_000);
}

/// What is read and written at the same time, and more than all buffers on the way hold.
#[tokio::test]
async fn what_comes_in_may_go_out_at_once() {
    let (_cluster, subject) = scripted();
    let sandbox = subject.sandbox().await;
    let mut count = Count::default();
    let mut command = Command::new(["cat"], "/");
    command.input = Input::Bytes(vec![b'x'; 30_000_000].into());
    command.timeout = Some(Duration::from_secs(60));
    assert!(sandbox.exec(command, &mut count).await.unwrap().success());
    assert_eq!(count.0, 30_000_000);
}

#[tokio::test]
async fn nothing_of_a_command_stands_in_an_address() {
    let (cluster, subject) = scripted();
    let sandbox = subject.sandbox().await;
    let mut command = Command::new(["printenv", "TOKEN", "word-of-it"], "/smelt/workspace");
    command.env.insert("TOKEN".into(), Value::Secret(Secret::new("s3cr3t")));
    let (exit, out, _) = run(&*sandbox, command).await;
    assert_eq!((exit.code(), out.as_str()), (Some(1), "s3cr3t"));
    let execs = cluster.requests().into_iter().filter(|request| request.path.ends_with("/exec"));
    let queries: Vec<_> = execs.map(|request| request.query).collect();
    assert!(queries.len() >= 2 && queries.iter().all(|query| query == &queries[0]), "{queries:?}");
    assert!(!queries[0].contains("word-of-it"));
}

#[tokio::test]
async fn a_connection_that_is_cut_ends_the_command_and_is_said() {
    let (cluster, subject) = scripted();
    let spec = subject.spec("");
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    cluster.fault(Fault::cut_exec(100_000));
    let script = "head -c 200000 /dev/zero; sleep 3611";
    let cut = sandbox.exec(Command::shell(script, [], "/"), &mut Discard).await.unwrap_err();
    let SandboxError::Failed { source, .. } = &cut else { panic!("{cut}") };
    assert!(source.to_string().contains("connection to the cluster was lost"), "{source}");
    assert!(cluster.processes(&name(&spec)).is_empty(), "it was ended");
    // The pod is as good as before.
    let (exit, out, _) = sh(&*sandbox, "echo here").await;
    let good = Exit { status: ExitStatus::Code(0), out_of_memory: false };
    assert_eq!((exit, out.as_str()), (good, "here"));
    sandbox.destroy().await.unwrap();
}

#[tokio::test]
async fn a_missing_right_to_run_commands_is_named() {
    let (cluster, subject) = scripted();
    cluster.fault(Fault::forbidden("*", "pods/exec"));
    let (told, _) = crate::cluster::refused(&cluster, &subject, &subject.spec("")).await;
    assert!(told.contains("may not `create` `pods/exec` in namespace `smelt`"), "{told}");
}

/// Its end is printed in front of its exit code, and stands in the memory of the shell that will print it.
#[tokio::test]
async fn a_command_that_prints_its_own_end_is_ended() {
    let (cluster, subject) = scripted();
    let spec = subject.spec("");
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    let mut command = Command::new(["perl", "-e", FORGER], "/");
    command.timeout = Some(Duration::from_secs(20));
    let mut told = Told::default();
    let exit = sandbox.exec(command, &mut told).await.unwrap();
    assert_eq!(exit.status, ExitStatus::Code(0), "{}", told.0);
    // A kernel that lets no process read another one's memory has ended the matter already.
    assert!(told.0.contains("forged") || told.0.contains("denied"), "{}", told.0);
    assert!(cluster.processes(&name(&spec)).is_empty(), "it was ended");
    // The pod is as good as before.
    assert_eq!(sh(&*sandbox, "echo here").await.1, "here");
    sandbox.destroy().await.unwrap();
}

const FORGER: &str = r#"
    my $shell = getppid;
    open my $maps, "<", "/proc/$shell/maps" or print("denied\n"), exit 0;
    while (<$maps>) {
        my ($start, $end) = /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
        open my $memory, "<:raw", "/proc/$shell/mem" or print("denied\n"), exit 0;
        sysseek $memory, hex $start, 0;
        sysread($memory, my $bytes, hex($end) - hex($start)) or next;
        $bytes =~ /(smelt-end-[0-9a-f-]{36}:)/ or next;
        syswrite STDOUT, "forged\n";
        syswrite $_, "${1}0\n" for \*STDOUT, \*STDERR;
        sleep 3631;
    }
    exit 3;
"#;
