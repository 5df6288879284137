//! A small HTTP server for the tests of this module: answers as told, and remembers what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::error::{ApiError, ApiErrorKind, Service};
use super::fence::{Fence, Grant, Moment};

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// `GET /path`, without the query.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target.split('?').next().unwrap_or_default())
    }
}

/// A fence that lets so many attempts pass, and how often it was asked.
pub(crate) fn fence(lets: usize) -> (Fence, Arc<AtomicUsize>) {
    let asked: Arc<AtomicUsize> = Arc::default();
    let count = asked.clone();
    let fence = Fence::new(move || {
        let passes = count.fetch_add(1, Ordering::SeqCst) < lets;
        Box::pin(async move {
            match passes {
                true => Ok(Grant::until(Moment::now(), Duration::from_secs(60))),
                false => {
                    let kind = ApiErrorKind::Fenced { sent: false };
                    Err(ApiError::new(Service::Kubernetes, "the lock", kind, "somebody has it"))
                }
            }
        })
    });
    (fence, asked)
}

/// What to do with a request.
pub(crate) enum Reply {
    /// Answer with this status and these bytes.
    Text(u16, String),
    /// As above, with headers.
    With(u16, &'static [(&'static str, &'static str)], String),
    /// Never answer.
    Hang,
    /// Close the connection without an answer.
    Close,
    /// Send these lines, and then nothing: the answer never ends.
    Open(Vec<String>),
    /// Send these lines and end.
    Lines(Vec<String>),
    /// Send this for ever, as fast as it is taken.
    Endless(&'static str),
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Reply {
        Reply::Text(status, body.to_string())
    }

    pub(crate) fn ok(body: Value) -> Reply {
        Reply::json(200, body)
    }
}

/// Answers on a port of 127.0.0.1 until dropped.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// `answer` is called with the number of the request, from 0, and the request.
    pub(crate) async fn start(answer: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, asked.clone(), Arc::new(answer)));
        Server { address, asked, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was asked, as `GET /path` each.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

type Answer = Arc<dyn Fn(usize, &Asked) -> Reply + Send + Sync>;

async fn accept(listener: TcpListener, asked: Arc<Mutex<Vec<Asked>>>, answer: Answer) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (asked, answer) = (asked.clone(), answer.clone());
        let service = service_fn(move |request| serve(request, asked.clone(), answer.clone()));
        connections.spawn(async move {
            // An error is what `Close` makes of it.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Answer,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, &'static str> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "no body")?.to_bytes().to_vec();
    let target = parts.uri.path_and_query().map(|target| target.to_string()).unwrap_or_default();
    let request = Asked { method: parts.method, target, headers: parts.headers, body };
    let number = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(request.clone());
        asked.len() - 1
    };
    let lines = |lines: Vec<String>| {
        let frames = lines.into_iter().map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n")))));
        futures::stream::iter(frames)
    };
    match answer(number, &request) {
        Reply::Text(status, text) => Ok(response(status, &[], Full::new(Bytes::from(text)).boxed_unsync())),
        Reply::With(status, headers, text) => {
            Ok(response(status, headers, Full::new(Bytes::from(text)).boxed_unsync()))
        }
        Reply::Hang => std::future::pending().await,
        Reply::Close => Err("closed"),
        Reply::Open(first) => {
            let body = StreamBody::new(lines(first).chain(futures::stream::pending()));
            Ok(response(200, &[], body.boxed_unsync()))
        }
        Reply::Endless(piece) => {
            let frames = futures::stream::repeat_with(move || Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
            Ok(response(200, &[], StreamBody::new(frames).boxed_unsync()))
        }
        Reply::Lines(all) => Ok(response(200, &[], StreamBody::new(lines(all)).boxed_unsync())),
    }
}

fn response(
    status: u16,
    headers: &[(&str, &str)],
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body).expect("a response")
}
