//! The forge's token: only the configured forge ever gets it.

use super::crash::descendants;
use super::place::{AGENT, Place};
use crate::env::{session, walk};
use crate::running::wait_until;
use smelt_testing_forge::{Fault, FaultKind, Kind};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The token as it could stand somewhere: as it is, in base64 of every alignment, in hex, escaped for
/// a URL, and backwards.
fn shapes(token: &str) -> Vec<Vec<u8>> {
    let hex = |upper: bool| {
        token.bytes().fold(String::new(), |mut hex, byte| {
            let _ = if upper { write!(hex, "{byte:02X}") } else { write!(hex, "{byte:02x}") };
            hex
        })
    };
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let url = token.replace('-', "%2D");
    let mut shapes =
        vec![token.to_owned(), hex(false), hex(true), escaped, url, token.chars().rev().collect()];
    // Three places where it can begin within a group of base64, without the characters that depend
    // on what stands around it.
    for skip in 0..3 {
        let text = format!("{}{token}", "x".repeat(skip));
        let coded = base64(text.as_bytes());
        let start = if skip == 0 { 0 } else { 4 };
        shapes.push(coded[start..coded.len() - 4].to_owned());
    }
    shapes.into_iter().map(String::into_bytes).collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut coded = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for shift in [18, 12, 6, 0] {
            coded.push(char::from(ALPHABET[(bits >> shift & 63) as usize]));
        }
    }
    coded
}

/// Whether `bytes` hold the token in any shape.
fn holds(shapes: &[Vec<u8>], bytes: &[u8]) -> bool {
    shapes.iter().any(|shape| bytes.windows(shape.len()).any(|window| window == shape))
}

#[test]
fn a_token_is_found_in_each_shape() {
    let shapes = shapes("smelt-canary-0123");
    for text in [
        "a smelt-canary-0123 b",
        &base64(b"x-access-token:smelt-canary-0123"),
        &base64(b"user:smelt-canary-0123\n"),
        &base64(b"smelt-canary-0123!"),
    ] {
        assert!(holds(&shapes, text.as_bytes()), "{text}");
    }
    assert!(!holds(&shapes, b"smelt-canary-read-0123"));
}

/// Makes sure that nothing below the test's folder holds the token, objects of git's included.
#[track_caller]
fn is_kept_nowhere(place: &Place, shapes: &[Vec<u8>]) {
    for path in walk(place.env.path()).iter().filter(|path| path.is_file()) {
        let bytes = std::fs::read(path).unwrap_or_default();
        assert!(!holds(shapes, &bytes), "in {}", path.display());
    }
    let objects = place.repo().git_command(&["cat-file", "--batch", "--batch-all-objects"]);
    let objects = { objects }.output().unwrap();
    assert!(objects.status.success() && !objects.stdout.is_empty());
    assert!(!holds(shapes, &objects.stdout), "in an object of the repository");
    let there = place.bare(&["log", "--all", "--patch", "--text"]);
    assert!(!holds(shapes, there.as_bytes()), "in what was pushed");
}

/// Makes sure that no process shows the token, and tells how many could be looked at.
#[track_caller]
fn no_process_shows(shapes: &[Vec<u8>], pids: &[u32]) {
    for pid in pids {
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let words = String::from_utf8_lossy(&bytes).replace('\0', " ");
            assert!(!holds(shapes, &bytes), "{file} of {pid}: {words}");
        }
    }
}

/// The token in a file of the user's own, which a test can take away again.
fn hand_over(place: &Place) -> std::path::PathBuf {
    place.env.write("token.env", format!("FORGE_TOKEN={}\n", place.forge.token()))
}

#[test]
fn the_token_stands_nowhere_while_it_is_used_and_afterwards() {
    for (method, part) in
        [("GET", "service=git-receive-pack"), ("POST", "/git-receive-pack"), ("POST", "/pulls")]
    {
        let place = Place::new(Kind::GitHub);
        let shapes = shapes(place.forge.token());
        let file = hand_over(&place);
        let agent = "env > seen.txt; cat /proc/*/environ /proc/*/cmdline >> seen.txt 2>/dev/null; \
                     set >> seen.txt; git config --list >> seen.txt; echo new > new.txt";
        place.job(agent, "");
        place.forge.fault(Fault::on(method, part, FaultKind::StallAfterSuccess));
        let mut command =
            place.env.command(&["run", "job.toml", "--env-file", file.to_str().unwrap()]);
        command.env("SMELT_LOG", "trace").env("GIT_TRACE", "1").env("GIT_CURL_VERBOSE", "1");
        command.env("GIT_TRACE_CURL", place.env.path().join("curl.trace"));
        command.env("GIT_TRACE_REDACT", "0");
        let said = [place.env.path().join("stdout"), place.env.path().join("stderr")];
        let [stdout, stderr] = said.each_ref().map(|path| std::fs::File::create(path).unwrap());
        let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        wait_until("the held request", || {
            let held = |r: &smelt_testing_forge::Recorded| r.status.is_none();
            no_process_shows(&shapes, &[vec![child.id()], descendants(child.id())].concat());
            place.forge.requests().iter().any(held)
        });
        let pids = [vec![child.id()], descendants(child.id())].concat();
        assert!(part == "/pulls" || pids.len() > 1, "git is at work");
        no_process_shows(&shapes, &pids);
        let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let deliver = ["deliver", "job", "--env-file", file.to_str().unwrap()];
        place.env.smelt(&deliver).with_code(0);
        place.env.smelt(&["watch", "job", "--interval-secs", "1"]).with_code(65);
        std::fs::remove_file(file).unwrap();
        is_kept_nowhere(&place, &shapes);
        assert!(place.there("smelt/job:seen.txt").contains("SMELT_SESSION"));
        for request in place.forge.requests() {
            let told = format!("{} {} {}", request.method, request.path, request.body);
            assert!(!holds(&shapes, told.as_bytes()), "{told}");
            for (name, value) in &request.headers {
                assert!(name == "authorization" || !holds(&shapes, value.as_bytes()), "{name}");
            }
        }
        place.is_delivered_once();
    }
}

/// Somebody who listens, and what they got.
struct Decoy {
    address: String,
    got: Arc<Mutex<Vec<u8>>>,
}

impl Decoy {
    /// Answers each request with `answer`.
    fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let got = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                all.lock().unwrap().extend(hear(stream, &answer));
            }
        });
        Self { address, got }
    }

    fn got(&self) -> String {
        String::from_utf8_lossy(&self.got.lock().unwrap()).into_owned()
    }
}

fn hear(mut stream: TcpStream, answer: &impl Fn(&str) -> String) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut all = b"connected\n".to_vec();
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut part) {
        all.extend_from_slice(&part[..length]);
        if all.windows(4).any(|window| window == b"\r\n\r\n") {
            break;
        }
    }
    let _ = stream.write_all(answer(&String::from_utf8_lossy(&all)).as_bytes());
    all
}

const NOTHING: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Settings of git's that send what it says elsewhere, or run something with it.
fn planted(forge: &str, decoy: &str, canary: &Path) -> String {
    let canary = canary.display();
    format!(
        "[url \"http://{decoy}/\"]\n\tinsteadOf = {forge}/\n\tpushInsteadOf = {forge}/\n\
         [http]\n\tproxy = http://{decoy}\n\textraHeader = \"X-Planted: yes\"\n\
         \tcookieFile = {canary}\n\tsaveCookies = true\n\
         [http \"{forge}\"]\n\tproxy = http://{decoy}\n\textraHeader = \"X-Planted: yes\"\n\
         [remote]\n\tpushDefault = elsewhere\n[remote \"elsewhere\"]\n\turl = http://{decoy}/x\n\
         [credential]\n\thelper = \"!f() {{ cat >> {canary}; }}; f\"\n\
         [credential \"{forge}\"]\n\thelper = store --file {canary}\n\
         [core]\n\taskPass = {canary}.sh\n\thooksPath = HOOKS\n\tgitProxy = {canary}.sh\n\
         [protocol]\n\tallow = always\n[push]\n\tgpgSign = if-asked\n[trace2]\n\teventTarget = {canary}.trace\n"
    )
}

/// Hooks and an askpass program that keep what they get.
fn plant_programs(place: &Place, hooks: &Path, canary: &Path) {
    let script = format!("#!/bin/sh\n{{ env; echo \"$@\"; cat; }} >> {}\n", canary.display());
    let mut paths = vec![canary.with_extension("sh")];
    paths.extend(["pre-push", "reference-transaction", "post-update"].map(|n| hooks.join(n)));
    for path in paths {
        place.env.write(path.strip_prefix(place.env.path()).unwrap().to_str().unwrap(), &script);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
    }
}

#[test]
fn planted_settings_hooks_and_proxies_get_nothing() {
    for kind in [Kind::GitHub, Kind::Forgejo] {
        let place = Place::new(kind);
        let token_shapes = shapes(place.forge.token());
        let file = hand_over(&place);
        let decoy = Decoy::start(|_| NOTHING.into());
        let canary = place.env.path().join("canary");
        let hooks = place.repo().path().join(".git/hooks");
        plant_programs(&place, &hooks, &canary);
        let settings = planted(&place.forge.url(), &decoy.address, &canary);
        let settings = settings.replace("HOOKS", hooks.to_str().unwrap());
        place.env.write("home/.gitconfig", &settings);
        place.env.write("home/.config/git/config", &settings);
        let config = place.repo().path().join(".git/config");
        let own = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("{own}{settings}")).unwrap();
        place.env.write("home/.netrc", "machine 127.0.0.1 login other password other\n");
        place.env.write(
            "home/.curlrc",
            format!("proxy = http://{}\nheader = \"X-Planted: yes\"\n", decoy.address),
        );
        // The agent does the same where it can.
        let agent = format!(
            "c=$(git rev-parse --git-common-dir); cat >> \"$c/config\" <<'END'\n{settings}\nEND\n\
             mkdir -p \"$c/hooks\"; printf '#!/bin/sh\\ntouch {}' > \"$c/hooks/pre-push\"; \
             chmod +x \"$c/hooks/pre-push\"; cp \"$c/config\" .gitconfig; cp .gitconfig .lfsconfig; \
             echo new > new.txt; exit 0",
            canary.display()
        );
        let rest = format!("{}\n{}", place.keys(), session("one", "test -f new.txt", ""));
        place.env.manifest("job", &agent, &rest);
        let mut command =
            place.env.command(&["run", "job.toml", "--env-file", file.to_str().unwrap()]);
        let proxy = format!("http://{}", decoy.address);
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env(name, &proxy);
        }
        command
            .env("all_proxy", &proxy)
            .env("GIT_ASKPASS", canary.with_extension("sh"))
            .env("SSH_ASKPASS", canary.with_extension("sh"))
            .env("GIT_CONFIG_GLOBAL", place.env.path().join("home/.gitconfig"))
            .env("GIT_CONFIG_PARAMETERS", format!("'http.proxy'='{proxy}'"))
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("url.{proxy}/.insteadOf"))
            .env("GIT_CONFIG_VALUE_0", format!("{}/", place.forge.url()))
            .env("GIT_TRACE_CURL", canary.with_extension("trace"))
            .env("GIT_TRACE", canary.with_extension("trace"))
            .env("GIT_PROXY_COMMAND", canary.with_extension("sh"))
            .stdin(Stdio::null());
        let said: crate::env::Said = command.output().unwrap().into();
        assert_eq!(decoy.got(), "", "the decoy was spoken to");
        let told = std::fs::read_to_string(&canary).unwrap_or_default();
        assert!(!holds(&token_shapes, told.as_bytes()), "{told}");
        assert!(!canary.exists(), "{told}");
        let said = said.with_code(0);
        assert!(!holds(&token_shapes, format!("{}{}", said.stdout, said.stderr).as_bytes()));
        let planted = |r: &smelt_testing_forge::Recorded| r.header("x-planted").is_some();
        assert!(!place.forge.requests().iter().any(planted));
        std::fs::remove_file(file).unwrap();
        is_kept_nowhere(&place, &token_shapes);
        assert_eq!(place.there("smelt/job:new.txt"), "new");
        assert_eq!(place.forge.pulls().len(), 1);
        place.forge.assert_contract();
    }
}

/// A forge that leads elsewhere is not followed, by its API and by git.
#[test]
fn a_redirect_leads_the_token_nowhere() {
    for status in
        ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        for by_git in [false, true] {
            let place = Place::new(Kind::GitHub);
            let decoy = Decoy::start(|_| NOTHING.into());
            let to = decoy.address.clone();
            let leads = Decoy::start(move |request| {
                let line = request.lines().nth(1).unwrap_or_default();
                let path = line.split(' ').nth(1).unwrap_or("/");
                // As a server that knows nobody does, before it leads elsewhere.
                if !request.to_lowercase().contains("authorization:") {
                    return "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"\r\n\
                            content-length: 0\r\nconnection: close\r\n\r\n"
                        .into();
                }
                format!(
                    "HTTP/1.1 {status}\r\nlocation: http://{to}{path}\r\ncontent-length: 0\r\n\
                     connection: close\r\n\r\n"
                )
            });
            let manifest = place.job(AGENT, "");
            let text = std::fs::read_to_string(&manifest).unwrap();
            let there = format!("http://{}", leads.address);
            let text = match by_git {
                true => text.replace(
                    "[forge]\n",
                    &format!("[forge]\ngit_url = \"{there}/acme/app.git\"\n"),
                ),
                false => text.replace(&place.forge.url(), &there),
            };
            std::fs::write(&manifest, text).unwrap();
            let said = place.smelt(&["run", "job.toml"]).with_code(69);
            assert!(leads.got().contains("uthorization: "), "{}", leads.got());
            assert_eq!(decoy.got(), "", "{status}, git: {by_git}");
            assert_eq!(place.state()["outcome"], "undelivered");
            let hint = place.state()["failure"]["hint"].to_string();
            assert!(hint.contains("`[forge]"), "{status}: {hint} {}", said.stdout);
            assert!(place.forge.pulls().is_empty());
            place.forge.assert_contract();
        }
    }
}
