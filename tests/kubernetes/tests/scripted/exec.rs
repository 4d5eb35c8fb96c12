//! Commands run in pods.

mod needs_jail {
    use crate::client::{made, pods, said, sh, with};
    use kube::api::{AttachParams, DeleteParams};
    use smelt_testing_kubernetes::{Fault, PodEnd, Protocol, ScriptedCluster};
    use std::time::{Duration, Instant};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn until(what: &str, holds: impl Fn() -> bool) {
        let since = Instant::now();
        while !holds() {
            assert!(since.elapsed() < Duration::from_secs(10), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn codes_and_output_over_both_protocols() {
        for protocol in [Protocol::V4, Protocol::V5] {
            let cluster = ScriptedCluster::speaking(protocol);
            with(&cluster, async |client| {
                made(&client, "one", "Running").await;
                let (out, err, code) = sh(&client, "one", "echo out; echo err >&2").await;
                assert_eq!(
                    (out.as_slice(), err.as_slice(), code),
                    (&b"out\n"[..], &b"err\n"[..], Ok(0))
                );
                assert_eq!(sh(&client, "one", "exit 1").await.2, Ok(1));
                assert_eq!(sh(&client, "one", "kill -9 $$").await.2, Ok(137));
                let missing = pods(&client).exec("one", ["nope"], &AttachParams::default()).await;
                let why = said(missing.unwrap()).await.2.unwrap_err();
                assert!(
                    why.contains("exec: \"nope\": executable file not found in $PATH"),
                    "{why}"
                );
            });
        }
    }

    #[test]
    fn execs_of_a_pod_share_its_volumes_and_not_the_hosts_environment() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            made(&client, "one", "Running").await;
            made(&client, "two", "Running").await;
            assert_eq!(sh(&client, "one", "echo hi > /data/a; ! echo > /usr/a").await.2, Ok(0));
            assert_eq!(sh(&client, "one", "cat /data/a").await.0, b"hi\n");
            assert_eq!(sh(&client, "two", "test ! -e /data/a").await.2, Ok(0));
            let (env, ..) = sh(&client, "one", "env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=").await;
            let env = String::from_utf8(env).unwrap();
            let mut names: Vec<_> = env.lines().filter_map(|line| line.split('=').next()).collect();
            names.sort_unstable();
            assert_eq!(names, ["HOSTNAME", "PATH"]);
        });
    }

    #[test]
    fn much_output_comes_whole() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            made(&client, "one", "Running").await;
            let (out, _, code) = sh(&client, "one", "head -c 20000000 /dev/zero").await;
            assert_eq!((out.len(), code), (20_000_000, Ok(0)));
        });
    }

    #[test]
    fn stdin_has_an_end_in_v5() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            made(&client, "one", "Running").await;
            let params = AttachParams::default().stdin(true).stderr(false);
            let mut process = pods(&client).exec("one", ["wc", "-c"], &params).await.unwrap();
            let mut stdin = process.stdin().unwrap();
            let feed = async move {
                for _ in 0..100 {
                    stdin.write_all(&[b'x'; 50_000]).await.unwrap();
                }
                stdin.shutdown().await.unwrap();
            };
            let (_, (out, _, code)) = tokio::join!(feed, said(process));
            assert_eq!((out.as_slice(), code), (&b"5000000\n"[..], Ok(0)));
        });
    }

    #[test]
    fn a_command_that_reads_nothing_still_ends() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            made(&client, "one", "Running").await;
            let params = AttachParams::default().stdin(true);
            let command = ["sh", "-c", "sleep 0.3; exit 4"];
            let mut process = pods(&client).exec("one", command, &params).await.unwrap();
            let mut stdin = process.stdin().unwrap();
            let feed = async move { while stdin.write_all(&[b'x'; 50_000]).await.is_ok() {} };
            let code = tokio::select! {
                () = feed => panic!("the command takes no input"),
                (_, _, code) = said(process) => code,
            };
            assert_eq!(code, Ok(4));
        });
    }

    #[test]
    fn a_cut_connection_ends_without_a_word_and_the_command_goes_on() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            made(&client, "one", "Running").await;
            cluster.fault(Fault::cut_exec(3));
            let (out, _, code) =
                sh(&client, "one", "echo hello; sleep 2; echo more; touch /data/done").await;
            assert!(out.len() <= 3 && code.is_err(), "{out:?} {code:?}");
            assert!(!cluster.processes("one").is_empty());
            until("the command goes on", || cluster.processes("one").is_empty());
            assert_eq!(sh(&client, "one", "test -e /data/done").await.2, Ok(0));
        });
    }

    #[test]
    fn a_client_that_goes_leaves_the_command() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            made(&client, "one", "Running").await;
            let params = AttachParams::default();
            let script = "while :; do echo 0123456789; done";
            let mut process =
                pods(&client).exec("one", ["sh", "-c", script], &params).await.unwrap();
            process.stdout().unwrap().read_exact(&mut [0; 100]).await.unwrap();
            process.abort();
            drop(process);
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(!cluster.processes("one").is_empty());
            let now = DeleteParams::default().grace_period(0);
            pods(&client).delete("one", &now).await.unwrap();
        });
        until("a deleted pod's processes end", || cluster.pods().is_empty());
    }

    #[test]
    fn the_end_of_a_pod_is_the_end_of_all_it_runs() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            for (name, end) in [("oom", Some(PodEnd::OomKilled)), ("gone", None)] {
                made(&client, name, "Running").await;
                // One that is nobody's child any more, in a session of its own.
                let script = "setsid sleep 600 >/dev/null 2>&1 & exec sleep 600";
                let run = sh(&client, name, script);
                let kill = async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    assert!(cluster.processes(name).len() >= 2);
                    match end {
                        Some(end) => cluster.end_pod(name, end),
                        None => drop(
                            pods(&client).delete(name, &DeleteParams::default()).await.unwrap(),
                        ),
                    }
                };
                let ((_, _, code), ()) = tokio::join!(run, kill);
                assert_eq!(code, Ok(137));
            }
            assert!(cluster.processes("oom").is_empty());
            let refused = pods(&client).exec("oom", ["true"], &AttachParams::default()).await;
            assert!(refused.is_err());
        });
    }

    #[test]
    fn the_clusters_end_leaves_nothing() {
        let cluster = ScriptedCluster::start();
        let folder = cluster.kubeconfig().parent().unwrap().to_owned();
        let ids = with(&cluster, async |client| {
            made(&client, "one", "Running").await;
            let script =
                "setsid sleep 600 & mkdir /data/d; touch /data/d/f; chmod 500 /data/d; cat";
            let params = AttachParams::default().stdin(true);
            let _process = pods(&client).exec("one", ["sh", "-c", script], &params).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            cluster.processes("one")
        });
        assert!(ids.len() >= 2, "{ids:?}");
        drop(cluster);
        assert!(!folder.exists());
        for id in ids {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        }
    }

    #[test]
    fn a_lost_node_cuts_what_it_runs() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            made(&client, "one", "Running").await;
            let lose = async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                cluster.end_pod("one", PodEnd::NodeLost);
            };
            let ((_, _, code), ()) = tokio::join!(sh(&client, "one", "sleep 600"), lose);
            assert_eq!(code, Err("no status".to_owned()));
        });
    }

    #[test]
    fn a_terminal_is_one_and_has_a_size() {
        let cluster = ScriptedCluster::start();
        with(&cluster, async |client| {
            use futures::SinkExt;
            made(&client, "one", "Running").await;
            let params = AttachParams::interactive_tty();
            let script = "read go; tty; stty size; exit 3";
            let mut process =
                pods(&client).exec("one", ["sh", "-c", script], &params).await.unwrap();
            let size = kube::api::TerminalSize { height: 33, width: 99 };
            process.terminal_size().unwrap().send(size).await.unwrap();
            let mut stdin = process.stdin().unwrap();
            stdin.write_all(b"go\n").await.unwrap();
            let (out, _, code) = said(process).await;
            let out = String::from_utf8(out).unwrap();
            assert!(out.contains("33 99"), "{out}");
            assert_eq!(code, Ok(3), "{out}");
        });
    }
}
