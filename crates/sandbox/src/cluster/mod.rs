//! The Kubernetes API of the sandbox: objects, watches, patches, tables.
//!
//! [`Store`] keeps the objects; [`handle`] is the REST API before it. Where the real kube-apiserver behaves in a way that a
//! client can notice, this one does the same, down to the words of its errors.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `resource` | which kinds are served |
//! | `objects`, `store`, `deletion` | the objects, their versions and the history of changes; how they go |
//! | `rules`, `defaults`, `validation` | what happens to an object before it is kept |
//! | `fields`, `fieldset`, `schema` | who owns which field |
//! | `protobuf`, `messages` | the form in which newer versions of kubectl create things |
//! | `request`, `answer`, `view`, `table`, `columns`, `podstatus` | reading requests, showing objects |
//! | `read`, `logs`, `watching`, `write`, `patch`, `scale` | the verbs |
//! | `discovery`, `served`, `openapi2`, `review`, `selector` | what is served, who may do what, which objects are meant |

mod answer;
mod api_server;
mod columns;
mod defaults;
mod deletion;
mod discovery;
mod error;
mod fields;
mod fieldset;
mod limits;
mod logs;
mod messages;
mod meta;
mod objects;
mod openapi2;
mod patch;
mod podstatus;
mod protobuf;
mod read;
mod request;
mod resource;
mod review;
mod rules;
mod scale;
mod schema;
mod selector;
mod served;
mod store;
mod table;
mod validation;
mod view;
mod watching;
mod write;

use http::{Request, Response, StatusCode};

use crate::body::{Body, whole};
use crate::path::verb;
use answer::Refusal;
pub use answer::refusal;
pub use api_server::ApiServer;
pub use error::{MODIFIED, StoreError};
pub use limits::exceeded;
pub use meta::text;
pub use objects::{Change, ChangeKind};
use request::{Ask, Place, Target};
pub use resource::{Resource, resource};
pub use selector::selects;
use served::Served;
pub use store::Store;

pub async fn handle(server: &ApiServer, request: Request<bytes::Bytes>) -> Response<Body> {
    let served = Served::now(&server.faults);
    let Some((request, what)) = served.request(request) else { return nowhere() };
    let (place, ask) = Ask::new(request, server.store.clock().clone());
    let answer = answer(server, &ask, &place).unwrap_or_else(|refusal| refusal.response());
    served.answer(answer, what).await
}

fn answer(server: &ApiServer, ask: &Ask, place: &Place) -> Result<Response<Body>, Refusal> {
    let found = |object: Option<serde_json::Value>| match object {
        Some(object) => answer::object(StatusCode::OK, &object),
        None => nowhere(),
    };
    match place {
        Place::Root(path) => root(ask, path),
        Place::Group(group) => Ok(found(discovery::group(group))),
        Place::Review { group, plural } => {
            let (code, review) = review::create(&server.faults, ask, group, plural)?;
            Ok(answer::object(code, &review))
        }
        Place::Objects(target) => objects(server, ask, target),
        Place::Nowhere { is_known_group: true } => Err(Refusal::no_such_path()),
        Place::Nowhere { is_known_group: false } => Ok(nowhere()),
    }
}

fn nowhere() -> Response<Body> {
    answer::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn root(ask: &Ask, path: &[String]) -> Result<Response<Body>, Refusal> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let object = |object| answer::object(StatusCode::OK, &object);
    Ok(match path.as_slice() {
        ["version"] => object(discovery::version()),
        ["api" | "apis"] => return groups(ask, path == ["api"]),
        ["readyz" | "healthz" | "livez", ..] => answer::text(StatusCode::OK, "ok"),
        ["openapi", "v2"] => answer::with_headers(StatusCode::OK, openapi2::MEDIA_TYPE, whole(openapi2::document())),
        ["openapi", "v3"] => object(discovery::openapi_index()),
        ["openapi", "v3", "api", version] => object(discovery::openapi("", version)),
        ["openapi", "v3", "apis", group, version] => object(discovery::openapi(group, version)),
        _ => nowhere(),
    })
}

/// `/api` and `/apis`, for those who ask for all of it at once: kubectl since 1.26.
fn groups(ask: &Ask, core: bool) -> Result<Response<Body>, Refusal> {
    let form = ask.accepts().into_iter().find(|accepted| accepted.contains("as=APIGroupDiscoveryList"));
    let accepted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let form = form.ok_or_else(|| Refusal::not_acceptable(accepted))?;
    let form = if form.contains("v=v2beta1") { "v2beta1" } else { "v2" };
    let content_type = format!("application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList");
    Ok(answer::typed(StatusCode::OK, &content_type, &discovery::aggregated(core, form)))
}

fn objects(server: &ApiServer, ask: &Ask, target: &Target) -> Result<Response<Body>, Refusal> {
    let verb = verb(&ask.method, &ask.query, target.name.is_some()).ok_or_else(Refusal::method_not_allowed)?;
    let store = &*server.store;
    match (verb, target.name.as_deref()) {
        ("watch", _) => watching::watch(server, ask, target),
        ("get", Some(name)) if target.subresource == "log" => logs::get(server, ask, target, name),
        ("get", Some(name)) => read::get(store, ask, target, name),
        ("list", _) => read::list(store, ask, target),
        ("create", _) => write::create(store, ask, target),
        ("update", Some(name)) => write::update(store, ask, target, name),
        ("patch", Some(name)) => write::patch(store, ask, target, name),
        ("delete", Some(name)) => write::delete(store, ask, target, name),
        _ => Err(Refusal::method_not_allowed()),
    }
}

#[cfg(test)]
mod tests;
