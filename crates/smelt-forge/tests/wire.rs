//! The clients on a real socket: what is sent, and what becomes of what comes back.

#![allow(clippy::unwrap_used)]

use smelt_core::git::{Git, Repository};
use smelt_core::manifest::{ForgeProvider, ForgeTarget};
use smelt_core::port::{Forge, ForgeConnector, ForgeError, ForgePlace, NewPullRequest};
use smelt_core::secret::Secret;
use smelt_forge::ForgeClients;
use smelt_testing::{Home, TestRepo};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = "canary-5f0c";

/// A server that gives each request the next of its answers, and keeps what it was sent.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, kept) = (answers.iter().map(|&a| a.to_owned()).collect(), seen.clone());
        let answers: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new(answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone(), kept.clone()));
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request, one answer: an empty one keeps the client waiting.
async fn serve(
    mut stream: TcpStream,
    answers: Arc<Mutex<Vec<String>>>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(n @ 1..) = stream.read(&mut buffer).await else { return };
        request.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        seen.lock().unwrap().push(text);
        break;
    }
    let answer = {
        let mut answers = answers.lock().unwrap();
        if answers.is_empty() { http(500, "", "") } else { answers.remove(0) }
    };
    if answer.is_empty() {
        std::future::pending::<()>().await;
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn http(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn target(provider: ForgeProvider, port: u16) -> ForgeTarget {
    let path = if provider == ForgeProvider::Github { "/api/v3" } else { "/api/v1" };
    ForgeTarget::Hosted {
        provider,
        repo: "acme/app".parse().unwrap(),
        token: "FORGE_TOKEN".parse().unwrap(),
        api_url: Some(format!("http://127.0.0.1:{port}{path}")),
        git_url: None,
    }
}

async fn client(provider: ForgeProvider, port: u16) -> Box<dyn Forge> {
    // The first of the tests does it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let home = Home::new();
    let repo = TestRepo::new(&home, "repo");
    let git = Git::new("git", home.environment());
    let repository = Repository::open(&git, repo.path()).await.unwrap();
    let clients = ForgeClients { timeout: Duration::from_millis(800), ..ForgeClients::default() };
    let token = Secret::new(TOKEN);
    let target = target(provider, port);
    let pulls = home.path().join("pulls");
    let place = ForgePlace {
        target: &target,
        token: Some(&token),
        repository: Some(&repository),
        pulls: &pulls,
    };
    clients.connect(&place).unwrap()
}

fn new_pull() -> NewPullRequest {
    NewPullRequest {
        head: "feat/x".into(),
        head_commit: "a".repeat(40),
        base: "main".into(),
        base_commit: "b".repeat(40),
        title: "A title".into(),
        body: "A body".into(),
        draft: true,
    }
}

const REPOSITORY: &str = r#"{"full_name":"Acme/App","default_branch":"main","archived":false,
    "permissions":{"push":true,"admin":false}}"#;

const HOSTED: [ForgeProvider; 3] =
    [ForgeProvider::Github, ForgeProvider::Forgejo, ForgeProvider::Gitea];

#[tokio::test]
async fn the_token_is_in_the_authorization_header_and_nowhere_else() {
    for provider in HOSTED {
        let server = Server::start(&[&http(200, "", REPOSITORY)]).await;
        let forge = client(provider, server.port).await;
        let repository = forge.repository().await.unwrap();
        assert_eq!((repository.full_name.as_str(), repository.may_push), ("Acme/App", Some(true)));
        let seen = server.seen().remove(0);
        let with_token: Vec<_> = seen.lines().filter(|line| line.contains(TOKEN)).collect();
        let scheme = if provider == ForgeProvider::Github { "Bearer" } else { "token" };
        assert_eq!(with_token, [format!("authorization: {scheme} {TOKEN}")], "{seen}");
        let path = if provider == ForgeProvider::Github { "/api/v3" } else { "/api/v1" };
        assert!(seen.starts_with(&format!("GET {path}/repos/acme/app HTTP/1.1")), "{seen}");
        let agents = seen.lines().filter(|line| line.starts_with("user-agent: "));
        assert_eq!(
            agents.collect::<Vec<_>>(),
            [format!("user-agent: {}", ForgeClients::default().user_agent)]
        );

        let push = forge.push_target().unwrap();
        assert_eq!(push.url, format!("http://127.0.0.1:{}/acme/app.git", server.port));
        assert!(!format!("{push:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn github_is_asked_for_a_version_of_its_api() {
    let server = Server::start(&[&http(200, "", REPOSITORY)]).await;
    client(ForgeProvider::Github, server.port).await.repository().await.unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.contains("x-github-api-version: 20"), "{seen}");
    assert!(seen.contains("accept: application/vnd.github+json"), "{seen}");
}

#[tokio::test]
async fn a_pull_request_is_posted_once_whatever_the_server_says() {
    for provider in HOSTED {
        for status in [500, 502, 503, 429] {
            let server = Server::start(&[&http(status, "retry-after: 3\r\n", "")]).await;
            let forge = client(provider, server.port).await;
            let error = forge.open_pull_request(&new_pull()).await.unwrap_err();
            assert_eq!(error.retry_after(), Some(Duration::from_secs(3)), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            let seen = server.seen();
            assert_eq!(seen.len(), 1, "{provider:?} {status}");
            let (_, body) = seen[0].split_once("\r\n\r\n").unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let is_github = provider == ForgeProvider::Github;
            assert_eq!(body["title"], if is_github { "A title" } else { "WIP: A title" });
            assert_eq!(body.get("draft").is_some(), is_github);
        }
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for provider in HOSTED {
        let other = Server::start(&[]).await;
        for status in [301, 302, 307, 308] {
            let location = format!("location: http://127.0.0.1:{}/x\r\n", other.port);
            let server = Server::start(&[&http(status, &location, "{}")]).await;
            let forge = client(provider, server.port).await;
            let error = forge.repository().await.unwrap_err();
            assert!(matches!(error, ForgeError::Moved { .. }), "{error}");
        }
        assert!(other.seen().is_empty());
    }
}

#[tokio::test]
async fn no_answer_a_cut_one_and_none_at_all_are_unavailable() {
    for provider in HOSTED {
        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 900\r\nconnection: close\r\n\r\n{\"full";
        let server = Server::start(&["", cut]).await;
        let forge = client(provider, server.port).await;
        let error = forge.repository().await.unwrap_err();
        assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("no answer within 800 ms"), "{error}");
        let error = forge.repository().await.unwrap_err();
        assert!(matches!(error, ForgeError::Unavailable { .. }), "{error}");

        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let error = client(provider, closed).await.repository().await.unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with(&format!("127.0.0.1:{closed} could not ")), "{said}");
        assert!(said.to_lowercase().contains("connection refused"), "{said}");
        assert!(!format!("{error:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn garbage_is_unexpected_and_a_huge_answer_is_not_read() {
    for provider in HOSTED {
        let huge = format!("[{}]", " ".repeat(11 << 20));
        let answers = [http(200, "", "<html>"), http(201, "", "[]"), http(200, "", &huge)];
        let server = Server::start(&answers.each_ref().map(String::as_str)).await;
        let clients = client(provider, server.port).await;
        let answers = [
            clients.repository().await.map(drop),
            clients.open_pull_request(&new_pull()).await.map(drop),
            clients.repository().await.map(drop),
        ];
        for answer in answers {
            let error = answer.unwrap_err();
            assert!(matches!(error, ForgeError::Unexpected { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let pull = r#"{"number":5,"html_url":"https://x/5","state":"open","draft":false,"title":"T",
        "body":"B","merged_at":null,"head":{"ref":"f","sha":"abc","repo":null},
        "base":{"ref":"main","sha":"def","repo":null},"comments":2,"review_comments":1}"#;
    let (runs, statuses) =
        (r#"{"total_count":0,"check_runs":[]}"#, r#"{"state":"pending","statuses":[]}"#);
    let answers = [
        ("/pulls/5/reviews", r#"[{"user":{"login":"ann"},"state":"APPROVED"}]"#),
        ("/pulls/5", pull),
        ("/check-runs", runs),
        ("/status", statuses),
    ];
    let server = ByPath::start(&answers).await;
    let forge = client(ForgeProvider::Github, server.port).await;
    let first = forge.status(5).await.unwrap();
    assert_eq!((first.comments, first.ci.pending), (3, 0));
    assert_eq!(first.reviews.approved, ["ann"]);
    assert_eq!(forge.status(5).await.unwrap(), first);
    let seen = server.seen();
    assert_eq!(seen.len(), 8, "{seen:#?}");
    let conditional = |text: &&String| text.contains("if-none-match: \"tag\"");
    assert_eq!(seen.iter().filter(conditional).count(), 4);
}

/// A server that answers by path, and 304 to whoever knows its tag.
struct ByPath;

impl ByPath {
    async fn start(answers: &[(&'static str, &'static str)]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, kept) = (answers.to_vec(), seen.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 8192];
                let n = stream.read(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                let line = text.lines().next().unwrap_or_default();
                let found = answers.iter().find(|(path, _)| line.contains(path));
                let answer = match (text.contains("if-none-match"), found) {
                    (true, _) => http(304, "etag: \"tag\"\r\n", ""),
                    (false, Some((_, body))) => http(200, "etag: \"tag\"\r\n", body),
                    (false, None) => http(404, "", "{}"),
                };
                kept.lock().unwrap().push(text);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Server { port, seen }
    }
}
