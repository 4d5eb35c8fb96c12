//! A shell for a person, in a pod that somebody else has made.

use crate::cluster::{config, runtime, scripted, speaking};
use crate::contract::Subject;
use smelt_core::port::{
    Discard, Runtime, SandboxError, SandboxSpec, Shell, Terminal, TerminalSize,
};
use smelt_testing_kubernetes::Protocol;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

/// What a shell shows, its complaints and its code, when `typed` is typed.
async fn type_in(
    runtime: &dyn Runtime,
    subject: &Subject,
    spec: &SandboxSpec,
    (typed, terminal): (&str, Option<Terminal>),
) -> (String, String, i64) {
    let (mut keys, mut input) = tokio::io::duplex(1 << 16);
    keys.write_all(typed.as_bytes()).await.unwrap();
    drop(keys);
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let shell = Shell {
        session: None,
        input: &mut input,
        output: &mut output,
        errors: &mut errors,
        terminal,
    };
    let code = runtime.shell(&subject.owner, &spec.labels.run, shell).await.unwrap();
    (String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap(), code)
}

#[tokio::test]
async fn it_starts_in_the_workspace_and_ends_with_its_input() {
    for protocol in [Protocol::V5, Protocol::V4] {
        let subject = speaking(protocol);
        let spec = subject.spec("");
        let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
        let typed = "pwd; echo $HOME; echo bad >&2\n(exit 7)\n";
        let shown = type_in(&*subject.runtime, &subject, &spec, (typed, None)).await;
        assert_eq!(shown, ("/smelt/workspace\n/home/smelt\n".into(), "bad\n".into(), 7));
        sandbox.destroy().await.unwrap();
    }
}

#[tokio::test]
async fn another_process_finds_it_and_its_terminal_is_as_large_as_ours() {
    let (cluster, subject) = scripted();
    let spec = subject.spec("");
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    let (_sizes, size) = watch::channel(TerminalSize { columns: 97, rows: 31 });
    let terminal = Some(Terminal { size, kind: "xterm".into() });
    let another = runtime(config(&cluster));
    let (shown, _, code) =
        type_in(&another, &subject, &spec, ("stty size; echo $TERM; exit 3\n", terminal)).await;
    assert!(shown.contains("31 97") && shown.contains("xterm"), "{shown}");
    assert_eq!(code, 3);
    sandbox.destroy().await.unwrap();
    let (mut input, mut output, mut errors) = (tokio::io::empty(), Vec::new(), Vec::new());
    let shell = Shell {
        session: None,
        input: &mut input,
        output: &mut output,
        errors: &mut errors,
        terminal: None,
    };
    let gone = another.shell(&subject.owner, &spec.labels.run, shell).await.unwrap_err();
    assert!(matches!(gone, SandboxError::Gone(_)), "{gone}");
}
