//! The server's thread: connections, faults and the record of what was asked.

use crate::api::{self, ApiCall};
use crate::backend::{self, GitCall};
use crate::call::Reply;
use crate::fault::{self, FaultKind};
use crate::recorded::Recorded;
use crate::state::Shared;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use tower_service::Service;

/// Ends with its owner.
pub(crate) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Stands on an answer that is not to be given: the connection ends instead.
#[derive(Clone, Copy)]
struct HangUp;

impl Server {
    /// Serves on a thread of its own, so that tests need no runtime.
    pub(crate) fn start(shared: Arc<Shared>, listener: std::net::TcpListener) -> Self {
        let (stop, stopped) = oneshot::channel();
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(shared, listener) => {}
                    _ = stopped => {}
                }
            });
            // A call that runs git may still be under way: nobody waits for its answer.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("scripted-forge".to_owned()).spawn(body);
        Self { stop: Some(stop), thread: Some(thread.expect("a thread")) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(shared: Arc<Shared>, listener: std::net::TcpListener) {
    listener.set_nonblocking(true).expect("the listener can wait");
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is known");
    let router = Router::new().fallback(answer).with_state(shared);
    while let Ok((stream, _)) = listener.accept().await {
        let router = router.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
                let mut router = router.clone();
                async move {
                    let Ok(response) = router.call(request.map(Body::new)).await;
                    // An error of the service is how a connection ends without an answer.
                    match response.extensions().get::<HangUp>() {
                        Some(_) => Err(std::io::Error::other("hung up by the test's script")),
                        None => Ok(response),
                    }
                }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str().to_owned();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let fault = fault::next(&mut shared.log().faults, &method, &path);
    let Ok(body) = to_bytes(body, usize::MAX).await else { return hung_up() };
    let is_api = path.starts_with("/api/");
    let record = Recorded {
        method: method.clone(),
        path: path.clone(),
        status: None,
        headers: Recorded::headers_of(&parts.headers),
        body: if is_api { String::from_utf8_lossy(&body).into_owned() } else { String::new() },
        git: !is_api,
    };
    let scripted = fault.filter(|fault| !fault.after_success());
    let reply = if is_api {
        let (headers, body, faulted) = (parts.headers, body.to_vec(), scripted.is_some());
        api(&shared, ApiCall { method, path, headers, body, faulted }).await
    } else if scripted.is_none() {
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let headers = &parts.headers;
        let call = GitCall { method: &method, path, query, headers, body: body.to_vec() };
        backend::answer(&shared, call).await
    } else {
        Reply::text(503, "")
    };
    let reply = match scripted {
        Some(fault) => fault.reply(shared.kind, &shared.origin()),
        None => Some(reply),
    };
    let reply = reply.filter(|_| !fault.is_some_and(FaultKind::after_success));
    let status = reply.as_ref().map(|reply| reply.status);
    shared.log().recorded.push(Recorded { status, ..record });
    match reply {
        Some(reply) => response(reply),
        None if fault == Some(FaultKind::StallAfterSuccess) => std::future::pending().await,
        None => hung_up(),
    }
}

/// The API's work runs git and waits for it.
async fn api(shared: &Arc<Shared>, call: ApiCall) -> Reply {
    let worker = Arc::clone(shared);
    let (method, path) = (call.method.clone(), call.path.clone());
    let done = tokio::task::spawn_blocking(move || api::answer(&worker, &call)).await;
    done.unwrap_or_else(|error| {
        // A test must not take this for the service's own 500.
        let broke = format!("the scripted forge broke: {error}");
        shared.violated(&method, &path, vec![broke.clone()]);
        Reply::text(500, &broke)
    })
}

fn hung_up() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(HangUp);
    response
}

fn response(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status of HTTP");
    for (name, value) in reply.headers {
        let name = HeaderName::try_from(name).expect("a header's name");
        let value = HeaderValue::try_from(value).expect("a header's value");
        response.headers_mut().append(name, value);
    }
    response
}
