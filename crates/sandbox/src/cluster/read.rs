//! GET of one object and of lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::error::StoreError;
use super::meta;
use super::request::{Ask, Target};
use super::scale;
use super::selector::Selector;
use super::store::Store;
use super::view::View;
use crate::body::Body;
use crate::query::Query;

/// One object, its status or its scale.
pub(super) fn get(store: &Store, ask: &Ask, target: &Target, name: &str) -> Result<Response<Body>, Refusal> {
    let part = target.subresource.as_str();
    let is_served = match part {
        "" => true,
        "status" => target.resource.has_status,
        "scale" => target.resource.has_scale,
        _ => false,
    };
    if !is_served {
        return Err(Refusal::no_such_path());
    }
    let namespace = target.namespace.as_deref();
    let not_found = || StoreError::NotFound { resource: target.resource, name: name.to_owned() };
    let object = store.get(target.resource, namespace, name).ok_or_else(not_found)?;
    let shown = match part {
        "scale" => scale::of(target.resource, &object),
        _ => View::of(ask, target)?.one(&object),
    };
    Ok(answer::object(StatusCode::OK, &shown))
}

/// A list, whole or one page of it.
pub(super) fn list(store: &Store, ask: &Ask, target: &Target) -> Result<Response<Body>, Refusal> {
    let view = View::of(ask, target)?;
    let selector = Selector::of(target.resource, &ask.query)?;
    let (version, objects) = store.snapshot(target.resource, target.namespace.as_deref());
    let matching: Vec<_> = objects.iter().filter(|object| selector.matches(object)).collect();
    let page = Page::of(&ask.query, version)?;
    let after = |object: &Value| page.start.as_ref().is_none_or(|start| key(object) > *start);
    let rest: Vec<Value> = matching.iter().filter(|object| after(object)).map(|object| Value::clone(object)).collect();
    let shown = &rest[..page.limit.unwrap_or(rest.len()).min(rest.len())];
    let mut metadata = json!({"resourceVersion": page.version.to_string()});
    if let (true, Some(last)) = (shown.len() < rest.len(), shown.last()) {
        metadata["continue"] = json!(Page::token(page.version, &key(last)));
        if selector.is_empty() {
            metadata["remainingItemCount"] = json!(rest.len() - shown.len());
        }
    }
    Ok(answer::object(StatusCode::OK, &view.list(shown, metadata)))
}

fn key(object: &Value) -> String {
    format!("{}/{}", meta::namespace(object), meta::name(object))
}

struct Page {
    limit: Option<usize>,
    start: Option<String>,
    /// The version that the first page had.
    version: u64,
}

impl Page {
    fn of(query: &Query, current: u64) -> Result<Self, Refusal> {
        let limit = query.number("limit").filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
        let token = query.text("continue");
        if token.is_empty() {
            return Ok(Self { limit, start: None, version: current });
        }
        let invalid = || Refusal::bad_request("continue key is not valid: the token is not one of this server");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let version = token["rv"].as_u64().ok_or_else(invalid)?;
        let start = token["start"].as_str().ok_or_else(invalid)?.to_owned();
        Ok(Self { limit, start: Some(start), version })
    }

    fn token(version: u64, start: &str) -> String {
        let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": start});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }
}
