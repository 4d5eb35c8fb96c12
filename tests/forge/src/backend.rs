//! git over HTTP: who may, and `git http-backend` for those who may.

use crate::access::Access;
use crate::call::Reply;
use crate::git::git_environment;
use crate::state::Shared;
use axum::http::HeaderMap;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;

/// A request for the repository, as git sends it.
pub(crate) struct GitCall<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Answers it.
pub(crate) async fn answer(shared: &Shared, call: GitCall<'_>) -> Reply {
    match allowed(shared, &call) {
        Ok(place) => run(&place, call).await,
        Err(refusal) => refusal,
    }
}

/// The path of the call within the folder of repositories, or what is answered instead.
fn allowed(shared: &Shared, call: &GitCall<'_>) -> Result<Place, Reply> {
    let access = Access::of_git(shared, call.headers);
    let state = shared.state();
    let kind = shared.kind;
    let wanted = call.path.trim_start_matches('/');
    let Some((repository, rest)) = parted(wanted) else {
        return Err(Reply::text(404, "Not Found"));
    };
    let named = repository.strip_suffix(".git").unwrap_or(repository);
    let writes = call.path.ends_with("git-receive-pack") || call.query.contains("git-receive-pack");
    if matches!(access, Access::Anonymous | Access::Unknown) {
        let realm = format!("Basic realm=\"{}\"", kind.title());
        let text = match access {
            Access::Unknown => kind.wrong_password(),
            _ => "Unauthorized",
        };
        return Err(Reply::text(401, text).header("www-authenticate", &realm));
    }
    let current = state.full_name();
    let moved = state.former_names.iter().any(|former| former == named);
    if state.deleted || access == Access::Outsider || (named != current && !moved) {
        return Err(Reply::text(404, "Repository not found."));
    }
    if moved && rest == "/info/refs" {
        let place = format!("{}/{current}.git{rest}?{}", shared.origin(), call.query);
        return Err(Reply::text(301, "").header("location", &place));
    }
    if writes && access == Access::ReadOnly {
        return Err(Reply::text(403, kind.no_push()));
    }
    Ok(Place { folder: state.git.folder().to_owned(), rest: rest.to_owned() })
}

/// A repository's folder, and what is asked of it.
struct Place {
    folder: std::path::PathBuf,
    rest: String,
}

/// `acme/app.git/info/refs` as the repository and what is asked of it.
fn parted(path: &str) -> Option<(&str, &str)> {
    ["/info/refs", "/git-upload-pack", "/git-receive-pack", "/HEAD", "/objects/"]
        .iter()
        .find_map(|rest| path.find(rest).map(|at| path.split_at(at)))
}

async fn run(place: &Place, call: GitCall<'_>) -> Reply {
    let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok());
    let mut command = tokio::process::Command::new("git");
    command
        .arg("http-backend")
        .env_clear()
        .envs(git_environment())
        .env("GIT_PROJECT_ROOT", &place.folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &place.rest)
        .env("QUERY_STRING", call.query)
        .env("REQUEST_METHOD", call.method)
        .env("REMOTE_USER", "smelt-bot")
        .env("REMOTE_ADDR", "127.0.0.1")
        // Whatever was chunked has been put together by now.
        .env("CONTENT_LENGTH", call.body.len().to_string())
        .envs(header("content-type").map(|value| ("CONTENT_TYPE", value)))
        .envs(header("content-encoding").map(|value| ("HTTP_CONTENT_ENCODING", value)))
        .envs(header("git-protocol").map(|value| ("GIT_PROTOCOL", value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("git is there");
    let mut input = child.stdin.take().expect("the input is a pipe");
    let fed = async {
        // It may end before it has read everything: its answer says why.
        let _ = input.write_all(&call.body).await;
        drop(input);
    };
    let ((), output) = tokio::join!(fed, child.wait_with_output());
    let output = output.expect("git http-backend ends");
    reply(&output.stdout).unwrap_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        Reply::text(500, &format!("git http-backend: {said}"))
    })
}

/// A CGI answer: headers, among them perhaps the status, and the body.
fn reply(output: &[u8]) -> Option<Reply> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&output[..end]).ok()?;
    let mut reply = Reply::bytes(200, output[end + 4..].to_vec());
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        match name {
            "Status" => reply.status = value.split(' ').next()?.parse().ok()?,
            name => reply = reply.header(name, value),
        }
    }
    Some(reply)
}
