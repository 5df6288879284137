//! The one listener of the sandbox: it tells Kubernetes, Secret Manager and control paths apart, and lets faults interfere.
//!
//! Faults touch the requests of clients only, never the control paths. A request that is held stands for itself: every
//! connection is a task of its own, and all of them end with the server.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::body::{Body, plain};
use super::class::Api;
use super::interference::{After, Before, Interference};
use super::operation::{self, Operation};
use super::world::World;
use super::{cluster, container, control, controllers, doors};

/// The largest request that is read: more than any object or payload that the two services take.
const REQUEST_LIMIT: usize = 4 * 1024 * 1024;

/// Why a request gets no answer: its connection is to be closed.
#[derive(Debug, thiserror::Error)]
#[error("the connection was closed by a fault")]
struct Closed;

/// Serves connections until the task is dropped, and all connections with it.
pub(super) async fn serve(listener: TcpListener, world: Arc<World>) {
    let Some(mut opened) = world.doors.listeners() else { return };
    let mut doors = JoinSet::new();
    doors.spawn(accept(listener, Arc::clone(&world), doors::MAIN));
    loop {
        tokio::select! {
            Some((listener, door)) = opened.recv() => {
                doors.spawn(accept(listener, Arc::clone(&world), door));
            }
            Some(_) = doors.join_next() => {}
        }
    }
}

async fn accept(listener: TcpListener, world: Arc<World>, door: usize) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&world), door));
                }
                // Out of file descriptors, most likely: others have to close first.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, world: Arc<World>, door: usize) {
    // Small answers must not wait for the client's acknowledgement; where this fails they are only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&world), request, door));
    // An error is a client that went away, or a fault: nobody is left to be told.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(world: Arc<World>, request: Request<Incoming>, door: usize) -> Result<Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, REQUEST_LIMIT).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large"));
    };
    let request = Request::from_parts(parts, body.to_bytes());
    let path = request.uri().path();
    if path == "/sandbox" || path.starts_with("/sandbox/") {
        return Ok(control::handle(&world, &request).await);
    }
    let query = request.uri().query().unwrap_or_default();
    let operation = operation::describe(request.method(), path, query);
    let client = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let place = request.uri().path_and_query().map_or(path, |place| place.as_str());
    let n = world.log.arrived(door, client, &operation, request.method().as_str(), place);
    let (stops, acts) = world.doors.arrived(door, &operation.name);
    doors::act(&world.faults, acts, |namespace, name| {
        controllers::scheduled_sync(&world, namespace, name);
    });
    if stops.before {
        world.log.ended(n, "stopped", None);
        world.doors.stop(door).await;
    }
    let mut answer = answer_client(&world, request, &operation, n, door).await;
    if stops.after {
        world.doors.stop(door).await;
    }
    // The clock of Kubernetes may differ from the one that the listener would write.
    if let (Ok(answer), Api::Kubernetes, Ok(date)) =
        (&mut answer, operation.api, header::HeaderValue::from_str(&world.cluster.clock().http_date()))
    {
        answer.headers_mut().insert(header::DATE, date);
    }
    answer
}

/// Notes what a request changed: the state of its secret, or who holds its lock.
fn note_effect(world: &World, door: usize, n: usize, operation: &Operation, path: &str) {
    let event = match (operation.api, &operation.resource) {
        (Api::SecretManager, _) => json!({ "secrets": world.secret_manager.describe(&world.history) }),
        (Api::Kubernetes, Some(asked)) if asked.resource() == "leases" => {
            let (namespace, name) = (asked.namespace(), asked.path.name.as_deref().unwrap_or("deepdesk-rotation"));
            let lease = world.cluster.get(cluster::resource("leases"), namespace, name);
            let holder = lease.as_ref().map(|lease| lease["spec"]["holderIdentity"].clone()).unwrap_or_default();
            json!({ "lease": namespace, "holder": holder })
        }
        (Api::Kubernetes | Api::Container, _) => json!({}),
    };
    let own = json!({ "request": n, "door": door, "operation": operation.name, "path": path });
    let all = [own, event].into_iter().filter_map(|part| part.as_object().cloned()).flatten();
    world.history.note(serde_json::Value::Object(all.collect()));
}

/// Answers a request of a client, or does to it what a fault says.
async fn answer_client(
    world: &Arc<World>,
    request: Request<Bytes>,
    operation: &Operation,
    n: usize,
    door: usize,
) -> Result<Response<Body>, Closed> {
    let Interference { before, after } = Interference::decide(&world.faults, operation);
    match before {
        Before::Nothing => {}
        Before::Never(outcome) => {
            world.log.ended(n, outcome, None);
            std::future::pending::<()>().await;
        }
        Before::Close(outcome) => {
            world.log.ended(n, outcome, None);
            return Err(Closed);
        }
        Before::Answer(outcome, answer) => {
            world.log.ended(n, outcome, Some(answer.status().as_u16()));
            return Ok(*answer);
        }
    }
    let path = request.uri().path().to_owned();
    let answer = match operation.api {
        Api::Container => container::handle(&request),
        Api::SecretManager => world.secret_manager.handle(&request),
        Api::Kubernetes => cluster::handle(&world.api_server(), request).await,
    };
    let status = Some(answer.status().as_u16());
    if operation.is_mutating() && answer.status().is_success() {
        note_effect(world, door, n, operation, &path);
    }
    match after {
        After::Nothing => world.log.ended(n, "answered", status),
        After::Never(outcome) => {
            world.log.ended(n, outcome, status);
            std::future::pending::<()>().await;
        }
        After::Close(outcome) => {
            world.log.ended(n, outcome, status);
            return Err(Closed);
        }
    }
    Ok(answer)
}
