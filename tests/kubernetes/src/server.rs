//! The server's thread: connections, the record of what was asked, and faults.

use crate::access;
use crate::api::{self, Call};
use crate::fault::{self, Kind, befalls};
use crate::recorded;
use crate::state::Shared;
use crate::status::Reply;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tower_service::Service;

/// How long sessions have to end whose processes are killed.
const LAST: Duration = Duration::from_secs(5);

/// Ends with its owner.
pub(crate) struct Server {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Stands on an answer that is not to be given: the connection ends instead.
#[derive(Clone, Copy)]
struct HangUp;

impl Server {
    /// Serves on a thread of its own, so that tests need no runtime.
    pub(crate) fn start(shared: Arc<Shared>, listener: std::net::TcpListener) -> Self {
        let served = Arc::clone(&shared);
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                let stop = served.stop.clone();
                tokio::select! {
                    () = serve(Arc::clone(&served), listener) => {}
                    () = stop.cancelled() => {}
                }
                // So that what was killed is waited for as well.
                served.sessions.close();
                let _ = tokio::time::timeout(LAST, served.sessions.wait()).await;
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("scripted-cluster".to_owned()).spawn(body);
        Self { shared, thread: Some(thread.expect("a thread")) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.cancel();
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
        let _ = stream.set_nodelay(true);
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
            let _ =
                connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return hung_up() };
    let call = Call {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        upgrade: parts.extensions.remove::<OnUpgrade>(),
        headers: parts.headers,
    };
    let scripted = {
        let mut state = shared.state();
        state.requests.push(recorded::Request {
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            body: call.body.clone(),
        });
        let whole = format!("{}?{}", call.path, call.query);
        fault::take(&mut state.faults, |kind| match kind {
            Kind::Status { method, part, .. } | Kind::HangUp { method, part, .. } => {
                befalls(method, part, &call.method, &whole)
            }
            _ => false,
        })
    };
    let after = matches!(scripted, Some(Kind::HangUp { after: true, .. }));
    match scripted {
        Some(Kind::Status { code, .. }) => return response(&Reply::scripted(code)),
        Some(_) if !after => return hung_up(),
        _ => {}
    }
    let open = matches!(call.path.as_str(), "/version" | "/healthz" | "/livez" | "/readyz");
    if !open && !access::known(&call.headers) {
        return response(&Reply::unauthorized());
    }
    let answer = api::answer(&shared, call);
    if after {
        return hung_up();
    }
    answer.unwrap_or_else(|reply| response(&reply))
}

fn hung_up() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(HangUp);
    response
}

fn response(reply: &Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(reply.code).expect("a status of HTTP");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if reply.code == 429 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
