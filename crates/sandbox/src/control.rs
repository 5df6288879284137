//! The control endpoint: what the sandbox knows of itself, and faults at run time. On the same listener, so loopback only.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::cluster::resource;
use super::doors::Strike;
use super::faults::{Fault, catalogue};
use super::google::json_answer;
use super::query::parameter;
use super::world::World;
use super::{controllers, data};
use crate::body::Body;

pub async fn handle(world: &World, request: &Request<Bytes>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["sandbox", "v1", "log"]) => {
            // With `?after=N` only what came since: a test asks often.
            found(&json!(world.log.after(after(request))))
        }
        (&Method::GET, ["sandbox", "v1", "history"]) => found(&json!(world.history.after(after(request)))),
        (method, ["sandbox", "v1", "doors", rest @ ..]) => of_doors(world, method, rest, request).await,
        (&Method::GET, ["sandbox", "v1", "pods"]) => found(&world.controllers.lives.describe()),
        (&Method::GET, ["sandbox", "v1", "secrets"]) => found(&json!({
            "secretManager": world.secret_manager.describe(&world.history),
            "kubernetes": controllers::secret_holdings(world),
        })),
        (method, ["sandbox", "v1", "data", account, rest @ ..]) => {
            of_data(world, method, account, rest, request.body())
        }
        (&Method::GET, ["sandbox", "v1", "faults"]) => found(&faults(world)),
        (&Method::POST, ["sandbox", "v1", "faults"]) => add_fault(world, request.body()),
        (&Method::DELETE, ["sandbox", "v1", "faults", name]) => match world.faults.remove(name) {
            true => found(&faults(world)),
            false => refused(StatusCode::NOT_FOUND, &format!("fault `{name}` is not in force")),
        },
        (&Method::POST, ["sandbox", "v1", "sync", namespace, name]) => {
            match controllers::scheduled_sync(world, namespace, name) {
                true => json_answer(StatusCode::ACCEPTED, &json!({})),
                false => refused(StatusCode::NOT_FOUND, &format!("there is no ExternalSecret {namespace}/{name}")),
            }
        }
        _ => refused(StatusCode::NOT_FOUND, "the control endpoint has no such path"),
    }
}

fn after(request: &Request<Bytes>) -> usize {
    let after = parameter(request.uri().query().unwrap_or_default(), "after");
    after.and_then(|after| after.parse().ok()).unwrap_or(0)
}

/// Opens a door, tells when one of its requests waits, and lets it go on.
async fn of_doors(world: &World, method: &Method, rest: &[&str], request: &Request<Bytes>) -> Response<Body> {
    let unknown = || refused(StatusCode::NOT_FOUND, "there is no such door");
    match (method, rest) {
        (&Method::POST, []) => {
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let strikes = body["strikes"].as_array().into_iter().flatten().map(Strike::read);
            let opened = match strikes.collect::<Result<Vec<Strike>, String>>() {
                Ok(strikes) => world.doors.open(strikes),
                Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
            };
            match opened {
                Ok((door, url)) => json_answer(StatusCode::CREATED, &json!({ "door": door, "url": url })),
                Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            }
        }
        (method, [door, rest @ ..]) => {
            let Ok(door) = door.parse::<usize>() else { return unknown() };
            match (method, rest) {
                (&Method::GET, []) => match world.doors.reached(door, after(request)).await {
                    Some(progress) => found(&progress),
                    None => unknown(),
                },
                (&Method::POST, ["go"]) if world.doors.go(door) => found(&json!({})),
                (&Method::DELETE, []) if world.doors.close(door) => found(&json!({})),
                _ => unknown(),
            }
        }
        _ => refused(StatusCode::NOT_FOUND, "the control endpoint has no such path"),
    }
}

/// What the account's pods write and read, and how often; and its application's re-encryption.
fn of_data(world: &World, method: &Method, account: &str, rest: &[&str], body: &Bytes) -> Response<Body> {
    if world.cluster.get(resource("namespaces"), None, account).is_none() {
        return refused(StatusCode::NOT_FOUND, &format!("there is no account `{account}`"));
    }
    match (method, rest) {
        (&Method::GET, []) => {}
        (&Method::POST, []) => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            let asked = body["perSecond"].as_u64().and_then(|asked| u32::try_from(asked).ok());
            let Some(per_second) = asked.filter(|asked| *asked <= data::MOST) else {
                let line = format!("the body is {{\"perSecond\": N}}, with N from 0 to {}", data::MOST);
                return refused(StatusCode::BAD_REQUEST, &line);
            };
            world.controllers.data.write(account, per_second);
        }
        (&Method::POST, ["reencrypt"]) => {
            world.controllers.data.reencrypt(account, |bytes| world.named(account, bytes))
        }
        _ => return refused(StatusCode::NOT_FOUND, "the control endpoint has no such path"),
    }
    found(&world.controllers.data.describe(account))
}

fn add_fault(world: &World, body: &Bytes) -> Response<Body> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return refused(StatusCode::BAD_REQUEST, "the body is no JSON");
    };
    let Some(name) = body.get("name").and_then(Value::as_str) else {
        return refused(StatusCode::BAD_REQUEST, "the body has no `name`");
    };
    // A number is as good as its text.
    let value = body.get("value").filter(|value| !value.is_null());
    let value = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    match Fault::new(name, value.as_deref()) {
        Ok(fault) => {
            world.faults.add(fault);
            json_answer(StatusCode::CREATED, &faults(world))
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Those in force, and those that there are.
fn faults(world: &World) -> Value {
    let active: Vec<Value> =
        world.faults.list().iter().map(|fault| json!({ "name": fault.name, "value": fault.value })).collect();
    let known: Vec<Value> = catalogue()
        .iter()
        .map(|kind| json!({ "name": kind.name, "usage": kind.value.usage(), "summary": kind.summary }))
        .collect();
    json!({ "active": active, "catalogue": known })
}

fn found(body: &Value) -> Response<Body> {
    json_answer(StatusCode::OK, body)
}

fn refused(status: StatusCode, message: &str) -> Response<Body> {
    json_answer(status, &json!({ "error": message }))
}
