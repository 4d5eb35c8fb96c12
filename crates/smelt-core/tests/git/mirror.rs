//! Repositories that are URLs: by `file://`, by a real `git daemon`, and by git's own HTTP server.

use crate::workspace::git_of;
use smelt_core::git::{Base, MirrorError, RemoteBase, mirror, remote_base};
use smelt_core::manifest::{GitUrl, RepoLocation};
use smelt_testing::{Home, TestRepo};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

fn url(text: &str) -> GitUrl {
    match RepoLocation::parse(text, Path::new("/"), None) {
        Ok(RepoLocation::Url(url)) => url,
        other => panic!("{other:?}"),
    }
}

fn origin(home: &Home) -> TestRepo<'_> {
    let repo = TestRepo::new(home, "origin");
    repo.git(&["tag", "v1"]);
    repo.git(&["checkout", "--quiet", "-b", "trunk"]);
    repo.write("a.txt", "a\n");
    repo.commit("On the trunk");
    repo
}

/// What holds of every transport.
async fn mirrors(home: &Home, origin: &TestRepo<'_>, url: &GitUrl) {
    let git = git_of(home);
    let cache = home.path().join("cache");
    let head = origin.head();
    let branch = Some("trunk".to_owned());
    let trunk = RemoteBase::Told(Base { commit: head.parse().unwrap(), branch });
    assert_eq!(remote_base(&git, url, "HEAD").await.unwrap(), trunk);
    assert_eq!(remote_base(&git, url, "trunk").await.unwrap(), trunk);
    let tag = remote_base(&git, url, "v1").await.unwrap();
    assert!(matches!(tag, RemoteBase::Told(Base { branch: None, .. })), "{tag:?}");
    for id in [&head, &head[..7], &head[..4]] {
        assert_eq!(remote_base(&git, url, id).await.unwrap(), RemoteBase::NotTold);
    }
    for name in ["nothing", "abc", "trunk~1"] {
        assert!(remote_base(&git, url, name).await.is_err(), "{name}");
    }
    assert!(!cache.exists(), "a plan fetches nothing");

    let repository = mirror(&git, &cache, url, "HEAD").await.unwrap();
    let base = repository.resolve_base("HEAD").await.unwrap();
    assert_eq!((base.commit.as_str(), base.branch.as_deref()), (head.as_str(), Some("trunk")));
    // It follows the remote, also where that was rewritten.
    origin.git(&["commit", "--quiet", "--amend", "--message", "Rewritten"]);
    let repository = mirror(&git, &cache, url, "trunk").await.unwrap();
    assert_eq!(repository.resolve_base("trunk").await.unwrap().commit.as_str(), origin.head());
    assert_eq!(std::fs::read_dir(cache.join("mirrors")).unwrap().count(), 1);
}

#[tokio::test]
async fn by_file() {
    let home = Home::new();
    let origin = origin(&home);
    let url = url(&format!("file://{}", origin.path().display()));
    mirrors(&home, &origin, &url).await;
}

/// Ends the process group it was started for, and only that: `git daemon` is two processes.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("nothing listens on port {port}");
}

#[tokio::test]
async fn by_git_daemon() {
    let home = Home::new();
    let origin = origin(&home);
    let port = free_port();
    let daemon = home
        .command("git")
        .args([
            "daemon",
            "--listen=127.0.0.1",
            &format!("--port={port}"),
            "--export-all",
            "--base-path=.",
        ])
        .stderr(Stdio::null())
        .process_group_of_its_own()
        .spawn()
        .unwrap();
    let _daemon = Server(daemon);
    wait_for(port);
    mirrors(&home, &origin, &url(&format!("git://127.0.0.1:{port}/origin"))).await;
}

trait OwnGroup {
    fn process_group_of_its_own(&mut self) -> &mut Self;
}

impl OwnGroup for std::process::Command {
    fn process_group_of_its_own(&mut self) -> &mut Self {
        std::os::unix::process::CommandExt::process_group(self, 0)
    }
}

/// git's own HTTP server program behind a few lines of HTTP/1.0.
fn serve_http(home: &Home, listener: TcpListener) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            continue;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let (path, query) = words[1].split_once('?').unwrap_or((words[1], ""));
        let mut backend = home.command("git");
        backend
            .arg("http-backend")
            .env("REQUEST_METHOD", words[0])
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("GIT_PROJECT_ROOT", home.path())
            .env("GIT_HTTP_EXPORT_ALL", "1");
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "content-type" => drop(backend.env("CONTENT_TYPE", value)),
                "content-encoding" => drop(backend.env("HTTP_CONTENT_ENCODING", value)),
                "git-protocol" => drop(backend.env("HTTP_GIT_PROTOCOL", value)),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        backend.env("CONTENT_LENGTH", length.to_string());
        let mut child = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&body).unwrap();
        let answer = child.wait_with_output().unwrap().stdout;
        let mut stream = stream;
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n").and_then(|()| stream.write_all(&answer));
    }
}

#[test]
fn by_http() {
    let home = Home::new();
    let origin = origin(&home);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::scope(|scope| {
        let closer = listener.try_clone().unwrap();
        scope.spawn(|| serve_http(&home, listener));
        let url = url(&format!("http://127.0.0.1:{port}/origin/.git"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::scope(|inner| {
            let test = inner.spawn(|| runtime.block_on(mirrors(&home, &origin, &url)));
            let done = test.join();
            // A last connection lets the server see that it is over.
            closer.set_nonblocking(true).unwrap();
            let _ = TcpStream::connect(("127.0.0.1", port));
            done.unwrap();
        });
    });
}

#[tokio::test]
async fn a_remote_that_is_not_there_is_told_with_what_to_do() {
    let home = Home::new();
    let git = git_of(&home);
    let cache = home.path().join("cache");
    for (text, hint) in
        [("file:///nowhere/at/all", "check the URL"), ("http://127.0.0.1:1/x.git", "network")]
    {
        let error = mirror(&git, &cache, &url(text), "HEAD").await.unwrap_err();
        assert!(matches!(error, MirrorError::Fetch { .. }), "{error}");
        let told = error.hint().unwrap();
        assert!(told.contains(hint), "{text}: {told}, {}", smelt_core::outcome::chain(&error));
    }
}
