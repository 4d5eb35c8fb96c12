use super::{Kept, Subject, run, sh};
use async_trait::async_trait;
use smelt_core::event::OutputStream;
use smelt_core::port::{Command, Discard, Exit, ExitStatus, Input, Output, Sandbox, Value};
use smelt_core::secret::Secret;
use std::ops::ControlFlow;
use std::time::Duration;

pub async fn exit_codes_are_exact(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    for (script, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("no-such-command-anywhere", 127),
    ] {
        let (exit, ..) = sh(&*sandbox, script).await;
        assert_eq!(exit, Exit { status: ExitStatus::Code(code), out_of_memory: false }, "{script}");
    }
    // The same without a shell in between.
    let (exit, ..) = run(&*sandbox, Command::new(["no-such-program"], "/")).await;
    assert_eq!(exit.status, ExitStatus::Code(127));
    sandbox.destroy().await.unwrap();
}

pub async fn both_outputs_are_read_at_once_and_kept_apart(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let (exit, out, err) = sh(&*sandbox, "echo out; echo err >&2").await;
    assert!(exit.success());
    assert_eq!((out.as_str(), err.as_str()), ("out", "err"));
    // More than a pipe holds, on both: whoever reads one after the other waits for ever.
    let script = "head -c 3000000 /dev/zero & head -c 3000000 /dev/zero >&2; wait";
    let mut kept = Kept::default();
    let command = Command::shell(script, [], "/");
    assert!(sandbox.exec(command, &mut kept).await.unwrap().success());
    assert_eq!((kept.stdout.len(), kept.stderr.len()), (3_000_000, 3_000_000));
    sandbox.destroy().await.unwrap();
}

pub async fn input_arrives_whole_and_its_end_is_seen(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let mut command = Command::shell("wc -c", [], "/");
    command.input = Input::Bytes(vec![b'x'; 2_000_000].into());
    assert_eq!(run(&*sandbox, command).await.1, "2000000");
    let (_, out, _) = sh(&*sandbox, "cat; echo end").await;
    assert_eq!(out, "end", "a closed input has its end at once");
    // Whoever does not read ends all the same.
    let mut command = Command::shell("exit 3", [], "/");
    command.input = Input::Bytes(vec![b'x'; 2_000_000].into());
    assert_eq!(run(&*sandbox, command).await.0.status, ExitStatus::Code(3));
    sandbox.destroy().await.unwrap();
}

pub async fn variables_reach_one_command_and_no_other(subject: &Subject) {
    let sandbox = subject
        .runtime
        .provision(&subject.spec("env = { PLAIN = \"a b\" }"), &mut Discard)
        .await
        .unwrap();
    let mut command =
        Command::shell("echo \"$PLAIN/$GIVEN/$HIDDEN\"; cat /proc/self/cmdline", [], "/");
    command.env.insert("GIVEN".into(), Value::from("one \"two\" $three\nfour"));
    command.env.insert("HIDDEN".into(), Value::Secret(Secret::new("s3cr3t")));
    let (_, out, _) = run(&*sandbox, command.clone()).await;
    assert!(out.starts_with("a b/one \"two\" $three\nfour/s3cr3t"), "{out}");
    assert!(!format!("{command:?}").contains("s3cr3t"));
    let (_, out, _) = sh(&*sandbox, "echo \"$PLAIN/$GIVEN/$HIDDEN\"").await;
    assert_eq!(out, "a b//");
    sandbox.destroy().await.unwrap();
}

pub async fn the_usual_surroundings_are_there(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let home = sandbox.paths().home.display().to_string();
    let script = "echo $HOME; cd ~ && echo x > written && cat written; echo y > $TMPDIR/y && cat $TMPDIR/y; \
                  command -v git sh tar >/dev/null && echo tools; test -n \"$PATH$USER$LANG\" && echo set";
    let (exit, out, err) = sh(&*sandbox, script).await;
    assert_eq!((exit.success(), out), (true, format!("{home}\nx\ny\ntools\nset")), "{err}");
    // Home is kept from one command to the next.
    assert_eq!(sh(&*sandbox, "cat ~/written").await.1, "x");
    let (_, out, _) = run(&*sandbox, Command::new(["pwd"], sandbox.paths().workspace())).await;
    assert_eq!(out, sandbox.paths().workspace().display().to_string());
    sandbox.destroy().await.unwrap();
}

/// Processes that a command started, and that hold on to nothing but their names.
async fn still_running(sandbox: &dyn Sandbox, name: &str) -> String {
    let script = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; echo; done | grep -c \"^sleep $1\"; true";
    run(sandbox, Command::shell(script, [name], "/")).await.1
}

pub async fn a_timeout_ends_everything_that_was_started(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let script = "trap '' TERM INT HUP; sleep 3601 & setsid sleep 3601 & (sleep 3601 &) ; echo ready; sleep 3601";
    let mut command = Command::shell(script, [], "/");
    command.timeout = Some(Duration::from_millis(500));
    command.grace = Duration::from_millis(200);
    let (exit, out, _) = run(&*sandbox, command).await;
    assert_eq!((exit.status, out.as_str()), (ExitStatus::TimedOut, "ready"));
    assert_eq!(still_running(&*sandbox, "3601").await, "0");
    sandbox.destroy().await.unwrap();
}

pub async fn a_stop_asks_first_and_lets_the_command_clean_up(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let script = "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = Command::shell(script, [], "/");
    command.grace = Duration::from_secs(20);
    let stop = command.stop.clone();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        stop.cancel();
    };
    let ((exit, out, _), ()) = tokio::join!(run(&*sandbox, command), stopping);
    assert_eq!((exit.status, out.as_str()), (ExitStatus::Stopped, "ready\ncleaned"));
    sandbox.destroy().await.unwrap();
}

pub async fn a_command_that_is_given_up_is_ended(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let mut kept = Kept::default();
    let command = Command::shell("setsid sleep 3602 & sleep 3602", [], "/");
    let given_up =
        tokio::time::timeout(Duration::from_millis(500), sandbox.exec(command, &mut kept));
    assert!(given_up.await.is_err());
    // Ending takes its own little time.
    for _ in 0..100 {
        if still_running(&*sandbox, "3602").await == "0" {
            return sandbox.destroy().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it still runs");
}

/// Takes some bytes, and then no more.
struct Fed(usize);

#[async_trait]
impl Output for Fed {
    async fn write(&mut self, _: OutputStream, bytes: &[u8]) -> ControlFlow<()> {
        self.0 = self.0.saturating_sub(bytes.len());
        if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

pub async fn output_that_is_refused_ends_the_command(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let exit = sandbox.exec(Command::shell("yes", [], "/"), &mut Fed(1 << 20)).await.unwrap();
    assert_eq!(exit.status, ExitStatus::Refused);
    sandbox.destroy().await.unwrap();
}

pub async fn commands_run_side_by_side(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    // Each waits for the other's file: one after the other they would wait for ever.
    let meet = |own: &'static str, other: &'static str| {
        let script =
            "touch \"$TMPDIR/$1\"; until [ -e \"$TMPDIR/$2\" ]; do sleep 0.05; done; echo $1";
        let mut command = Command::shell(script, [own, other], "/");
        command.timeout = Some(Duration::from_secs(30));
        command
    };
    let (a, b) = tokio::join!(run(&*sandbox, meet("a", "b")), run(&*sandbox, meet("b", "a")));
    assert_eq!((a.1.as_str(), b.1.as_str()), ("a", "b"));
    sandbox.destroy().await.unwrap();
}

pub async fn what_is_left_running_does_not_keep_a_command_from_ending(subject: &Subject) {
    let sandbox = subject.sandbox().await;
    let (exit, out, _) = sh(&*sandbox, "sleep 3603 & echo done").await;
    assert_eq!((exit.success(), out.as_str()), (true, "done"));
    sandbox.destroy().await.unwrap();
}
