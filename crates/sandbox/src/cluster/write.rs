//! POST, PUT, PATCH and DELETE.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::deletion::{Deletion, Propagation};
use super::error::StoreError;
use super::fields::Write;
use super::meta::{self, text};
use super::patch::{self, Form};
use super::request::{self, Ask, Target};
use super::resource::Resource;
use super::store::Store;
use super::view::View;
use super::{limits, rules, scale};
use crate::body::Body;

pub(super) fn create(store: &Store, ask: &Ask, target: &Target) -> Result<Response<Body>, Refusal> {
    if let Some(name) = &target.name {
        return evict(store, ask, target, name);
    }
    let view = View::of(ask, target)?;
    let mut object = readable(target, ask.object()?)?;
    // Only an update of the status sets it.
    if let (true, Some(fields)) = (target.resource.has_status, object.as_object_mut()) {
        fields.shift_remove("status");
    }
    let namespace = namespace_of(target, &object)?;
    let exceeded = namespace.as_deref().filter(|_| target.resource.plural == "pods");
    if let Some(why) = exceeded.and_then(|namespace| limits::exceeded(store, namespace)) {
        return Err(Refusal::forbidden(target.resource, meta::name(&object), &why));
    }
    let manager = ask.manager();
    let write = Write { dry_run: ask.dry_run()?, ..Write::by(&manager) };
    let made = store.insert(target.resource, namespace.as_deref(), object, &write)?;
    Ok(answer::object(StatusCode::CREATED, &view.one(&made)))
}

/// The object of a request, if it is of the kind that the path names.
fn readable(target: &Target, object: Value) -> Result<Value, Refusal> {
    let resource = target.resource;
    let (kind, version) = (text(&object["kind"]), text(&object["apiVersion"]));
    // The server's own kinds are known by their path; a custom object has to say what it is.
    if resource.custom && (kind.is_empty() || version.is_empty()) {
        let missing = if kind.is_empty() { "Kind" } else { "apiVersion" };
        return Err(Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object '{missing}' is missing",
            resource.kind
        )));
    }
    if (!kind.is_empty() && kind != resource.kind) || (!version.is_empty() && version != resource.api_version()) {
        return Err(Refusal::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: converting ({version}.{kind}) to ({}.{}): unknown conversion",
            resource.kind,
            if resource.group.is_empty() { "core" } else { resource.group },
            resource.kind
        )));
    }
    rules::check_readable(resource, &object)?;
    Ok(object)
}

fn namespace_of(target: &Target, object: &Value) -> Result<Option<String>, Refusal> {
    if !target.resource.namespaced {
        return Ok(None);
    }
    let own = meta::namespace(object);
    match target.namespace.as_deref() {
        Some(path) if !own.is_empty() && own != path => Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        Some(path) => Ok(Some(path.to_owned())),
        None => Err(Refusal::bad_request("an empty namespace may not be set during creation")),
    }
}

/// `pods/NAME/eviction`: a deletion, where no PodDisruptionBudget stands against it.
fn evict(store: &Store, ask: &Ask, target: &Target, name: &str) -> Result<Response<Body>, Refusal> {
    if target.resource.plural != "pods" || target.subresource != "eviction" {
        return Err(Refusal::method_not_allowed());
    }
    let eviction = ask.object()?;
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let pod = store.get(target.resource, Some(namespace), name);
    if let Some((budget, needed, healthy)) = pod.and_then(|pod| limits::protected(store, namespace, &pod)) {
        return Err(Refusal::protected(&budget, needed, healthy));
    }
    let deletion = deletion(ask, target, &eviction["deleteOptions"])?;
    store.delete_with(target.resource, target.namespace.as_deref(), name, &deletion)?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(answer::object(StatusCode::CREATED, &done))
}

/// Replaces an object, its status or its scale.
pub(super) fn update(store: &Store, ask: &Ask, target: &Target, name: &str) -> Result<Response<Body>, Refusal> {
    let part = Part::of(target)?;
    let new = match part {
        Part::Scale => ask.object()?,
        _ => readable(target, ask.object()?)?,
    };
    let version = meta::resource_version(&new).to_owned();
    // Leases and custom objects are replaced only by those who saw what they replace.
    let must_have_seen = target.resource.custom || target.resource.plural == "leases";
    if version.is_empty() && must_have_seen && part != Part::Scale {
        return Err(Refusal::must_be_specified(target.resource, name));
    }
    change(store, ask, target, name, part, |before, after| {
        match part {
            Part::Scale => {
                patch::check_identity(target.resource, before, &new)?;
                scale::take_over(after, &new);
            }
            _ => {
                *after = new;
                patch::check_identity(target.resource, before, after)?;
            }
        }
        Ok(())
    })
}

/// Patches an object, its status or its scale.
pub(super) fn patch(store: &Store, ask: &Ask, target: &Target, name: &str) -> Result<Response<Body>, Refusal> {
    let part = Part::of(target)?;
    let form = Form::of(target.resource, ask.content_type())?;
    let body: Value = serde_json::from_slice(&ask.body)
        .map_err(|_| Refusal::bad_request("error decoding patch: the body is not JSON"))?;
    let mut unfit = None;
    let changed = change(store, ask, target, name, part, |before, after| {
        let mut shown = match part {
            Part::Scale => scale::of(target.resource, after),
            _ => after.clone(),
        };
        if let Err(why) = patch::apply(form, target.resource, &mut shown, &body) {
            unfit = Some(match why {
                patch::Unfit::Undecodable(why) => Refusal::bad_request(format!("error decoding patch: {why}")),
                patch::Unfit::Inapplicable => Refusal::unprocessable(),
            });
            // The text is never shown: `unfit` is.
            return Err(StoreError::BadRequest(String::new()));
        }
        patch::check_patched_identity(target.resource, before, &shown)?;
        if let Err(StoreError::BadRequest(why)) = rules::check_readable(target.resource, &shown) {
            let why = why.split_once(": ").map_or(why.as_str(), |(_, why)| why);
            unfit = Some(Refusal::unreadable_patch(why));
            return Err(StoreError::BadRequest(String::new()));
        }
        match part {
            Part::Scale => scale::take_over(after, &shown),
            _ => *after = shown,
        }
        Ok(())
    });
    match unfit {
        Some(refusal) => Err(refusal),
        None => changed,
    }
}

/// Which part of an object a write is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Whole,
    Status,
    Scale,
}

impl Part {
    fn of(target: &Target) -> Result<Self, Refusal> {
        match target.subresource.as_str() {
            "" => Ok(Self::Whole),
            "status" if target.resource.has_status => Ok(Self::Status),
            "scale" if target.resource.has_scale => Ok(Self::Scale),
            _ => Err(Refusal::no_such_path()),
        }
    }
}

fn change(
    store: &Store,
    ask: &Ask,
    target: &Target,
    name: &str,
    part: Part,
    change: impl FnOnce(&Value, &mut Value) -> Result<(), StoreError>,
) -> Result<Response<Body>, Refusal> {
    let view = View::of(ask, target)?;
    let manager = ask.manager();
    let write = Write { dry_run: ask.dry_run()?, subresource: &target.subresource, ..Write::by(&manager) };
    let resource = target.resource;
    let done = store.modify(resource, target.namespace.as_deref(), name, &write, |after| {
        let before = after.clone();
        change(&before, after)
    })?;
    let shown = match part {
        Part::Scale => scale::of(resource, &done),
        _ => view.one(&done),
    };
    Ok(answer::object(StatusCode::OK, &shown))
}

pub(super) fn delete(store: &Store, ask: &Ask, target: &Target, name: &str) -> Result<Response<Body>, Refusal> {
    if !target.subresource.is_empty() {
        return Err(Refusal::method_not_allowed());
    }
    let view = View::of(ask, target)?;
    let options = if ask.body.is_empty() { Value::Null } else { request::parse(&ask.body)? };
    let deletion = deletion(ask, target, &options)?;
    let (object, stays) = store.delete_with(target.resource, target.namespace.as_deref(), name, &deletion)?;
    let shows_object = stays || returns_deleted(target.resource);
    let shown = if shows_object { view.one(&object) } else { answer::deleted(target.resource, &object) };
    Ok(answer::object(StatusCode::OK, &shown))
}

/// The kinds whose deletion is answered with the object.
fn returns_deleted(resource: &Resource) -> bool {
    matches!(resource.plural, "namespaces" | "pods" | "serviceaccounts" | "services")
}

/// `DeleteOptions` of the body, or the parameters that do the same.
fn deletion(ask: &Ask, target: &Target, options: &Value) -> Result<Deletion, Refusal> {
    let grace = options["gracePeriodSeconds"].as_i64();
    let policy = match text(&options["propagationPolicy"]) {
        "" => ask.query.text("propagationPolicy"),
        policy => policy,
    };
    // A Job's pods stay unless the caller says otherwise, as in the real server: an old habit of it.
    let keeps_pods = policy.is_empty() && target.resource.plural == "jobs" && options["orphanDependents"].is_null();
    let orphans = policy == "Orphan" || options["orphanDependents"] == true || keeps_pods;
    let precondition = |key: &str| options["preconditions"][key].as_str().map(str::to_owned);
    Ok(Deletion {
        grace_period_seconds: grace.or_else(|| ask.query.text("gracePeriodSeconds").parse().ok()),
        propagation: if orphans { Propagation::Orphan } else { Propagation::Background },
        dry_run: ask.dry_run()? || options["dryRun"][0] == "All",
        expected_uid: precondition("uid"),
        expected_resource_version: precondition("resourceVersion"),
    })
}
