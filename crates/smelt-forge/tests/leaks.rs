//! Where a token could leave by a side door: traces, and proxies.

#![allow(clippy::unwrap_used)]

use smelt_core::manifest::{ForgeProvider, ForgeTarget};
use smelt_core::port::{Forge, ForgeConnector, ForgePlace};
use smelt_core::secret::Secret;
use smelt_forge::ForgeClients;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TOKEN: &str = "canary-77ab";

/// Where the children's forge is; nobody is there.
const API: &str = "https://git.example.invalid/api/v1";

async fn client(provider: ForgeProvider, api: String) -> Box<dyn Forge> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clients = ForgeClients { timeout: Duration::from_secs(5), ..ForgeClients::default() };
    let token = Secret::new(TOKEN);
    let target = ForgeTarget::Hosted {
        provider,
        repo: "acme/app".parse().unwrap(),
        token: "FORGE_TOKEN".parse().unwrap(),
        api_url: Some(api),
        git_url: None,
    };
    let pulls = Path::new("/nowhere");
    let place = ForgePlace { target: &target, token: Some(&token), repository: None, pulls };
    clients.connect(&place).unwrap()
}

/// Answers one connection with `answer`; gives what it was sent.
fn server(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 8192];
        let n = stream.read(&mut buffer).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    });
    (port, serving)
}

#[derive(Clone, Default)]
struct Traces(Arc<Mutex<Vec<u8>>>);

impl Write for Traces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_trace_holds_the_token() {
    let traces = Traces::default();
    let writer = traces.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for provider in [ForgeProvider::Github, ForgeProvider::Forgejo] {
        let answer = "HTTP/1.1 500 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        let (port, serving) = server(answer);
        let forge = client(provider, format!("http://127.0.0.1:{port}")).await;
        let error = forge.repository().await.unwrap_err();
        assert!(serving.join().unwrap().contains(TOKEN), "the token was sent");
        assert!(!format!("{error:?}").contains(TOKEN));
    }
    let traces = String::from_utf8(traces.0.lock().unwrap().clone()).unwrap();
    assert!(traces.contains("/repos/acme/app"), "there are traces");
    assert!(!traces.contains(TOKEN), "{traces}");
}

/// Runs the test `name` once more, in a process of its own with these variables: what reads them does
/// so once a process.
fn once_more(name: &str, variables: &[(&str, String)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name]);
    for known in ["NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "https_proxy"] {
        command.env_remove(known);
    }
    let output = command.envs(variables.iter().map(|(k, v)| (k, v))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn a_proxy_learns_the_host_and_not_the_token() {
    if let Ok(name) = std::env::var("SMELT_TEST_PROVIDER") {
        let is_github = name == "github";
        let provider = if is_github { ForgeProvider::Github } else { ForgeProvider::Forgejo };
        let error = client(provider, API.into()).await.repository().await.unwrap_err();
        assert!(error.is_transient() && !error.to_string().contains(TOKEN), "{error}");
        return;
    }
    for provider in ["github", "forgejo"] {
        let (port, serving) = server("HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n");
        let proxy = format!("http://127.0.0.1:{port}");
        once_more(
            "a_proxy_learns_the_host_and_not_the_token",
            &[("HTTPS_PROXY", proxy), ("SMELT_TEST_PROVIDER", provider.to_owned())],
        );
        let seen = serving.join().unwrap();
        assert!(seen.starts_with("CONNECT git.example.invalid:443 "), "{seen}");
        assert!(!seen.contains(TOKEN) && !seen.to_lowercase().contains("authorization"), "{seen}");
    }
}

#[tokio::test]
async fn what_is_not_encrypted_goes_by_no_proxy() {
    if let Ok(port) = std::env::var("SMELT_TEST_PORT") {
        let forge = client(ForgeProvider::Forgejo, format!("http://127.0.0.1:{port}")).await;
        assert!(!forge.repository().await.unwrap_err().is_transient());
        return;
    }
    let (port, serving) = server("HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n[]");
    let nobody = "http://127.0.0.1:1".to_owned();
    once_more(
        "what_is_not_encrypted_goes_by_no_proxy",
        &[
            ("HTTP_PROXY", nobody.clone()),
            ("ALL_PROXY", nobody),
            ("SMELT_TEST_PORT", port.to_string()),
        ],
    );
    assert!(serving.join().unwrap().contains(TOKEN), "it was asked directly");
}
