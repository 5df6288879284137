//! What the server does to an object before it keeps it: metadata of its own, defaults, checks, the generation.

use serde_json::{Value, json};

use super::error::{Cause, StoreError};
use super::resource::Resource;
use super::{defaults, meta, validation};

pub(super) use validation::readable as check_readable;

pub(super) fn before_create(
    resource: &'static Resource,
    namespace: Option<&str>,
    object: &mut Value,
    now: &str,
) -> Result<(), StoreError> {
    check_readable(resource, object)?;
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind);
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let metadata = &mut object["metadata"];
    if meta::text(&metadata["name"]).is_empty() {
        let prefix = metadata.get("generateName").map_or("", meta::text).to_owned();
        if prefix.is_empty() {
            return Err(invalid(
                resource,
                "",
                "FieldValueRequired",
                "metadata.name",
                "Required value: name or generateName is required",
            ));
        }
        metadata["name"] = json!(format!("{prefix}{}", meta::name_suffix()));
    }
    if let (true, Some(namespace)) = (resource.namespaced, namespace) {
        metadata["namespace"] = json!(namespace);
    }
    metadata["uid"] = json!(meta::new_uid());
    metadata["creationTimestamp"] = json!(now);
    let fields = metadata.as_object_mut().expect("made an object above");
    for own in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
        fields.shift_remove(own);
    }
    if resource.has_generation {
        metadata["generation"] = json!(1);
    }
    defaults::apply(resource, object);
    Ok(())
}

/// Adds what the server itself sets, which nobody owns, and checks the whole.
pub(super) fn complete(resource: &'static Resource, object: &mut Value) -> Result<(), StoreError> {
    defaults::by_server(resource, object);
    validation::check(resource, None, object)
}

/// Prepares the new state of an object: keeps what its writer cannot change, counts the generation.
pub(super) fn before_update(
    resource: &'static Resource,
    before: &Value,
    after: &mut Value,
    subresource: &str,
) -> Result<(), StoreError> {
    if !after["metadata"].is_object() {
        after["metadata"] = json!({});
    }
    for own in ["apiVersion", "kind"] {
        after[own] = before[own].clone();
    }
    if subresource == "status" {
        keep_all_but_status(resource, before, after);
        return Ok(());
    }
    const SERVERS: &[&str] = &[
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for own in SERVERS {
        restore(&mut after["metadata"], own, &before["metadata"]);
    }
    if resource.has_status {
        restore(after, "status", before);
    }
    defaults::apply(resource, after);
    if resource.plural == "daemonsets" && before["spec"]["template"] != after["spec"]["template"] {
        defaults::count_template(after);
    }
    validation::check(resource, Some(before), after)?;
    if resource.has_generation && wants_other(resource, before, after) {
        let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
        after["metadata"]["generation"] = json!(generation + 1);
    }
    Ok(())
}

fn invalid(resource: &'static Resource, name: &str, reason: &'static str, field: &str, message: &str) -> StoreError {
    let cause = Cause { reason, field: field.to_owned(), message: message.to_owned() };
    StoreError::Invalid { resource, name: name.to_owned(), causes: vec![cause] }
}

/// Puts the value of `key` back as it is in `original`, also when it is missing there.
fn restore(object: &mut Value, key: &str, original: &Value) {
    let Some(object) = object.as_object_mut() else { return };
    match original.get(key) {
        Some(value) => {
            object.insert(key.to_owned(), value.clone());
        }
        // Not `remove`: the order of the other keys is the reader's.
        None => {
            object.shift_remove(key);
        }
    }
}

fn keep_all_but_status(resource: &Resource, before: &Value, after: &mut Value) {
    let status = after.get("status").cloned();
    let metadata = after["metadata"].take();
    *after = before.clone();
    match status {
        Some(status) if !status.is_null() => after["status"] = status,
        _ => {
            after.as_object_mut().expect("the store keeps objects only").shift_remove("status");
        }
    }
    let kept: &[&str] = match resource.plural {
        // So its controller can note the revision without asking for another rollout.
        "deployments" => &["annotations"],
        "pods" => &["annotations", "labels"],
        _ => &[],
    };
    for key in kept {
        restore(&mut after["metadata"], key, &metadata);
    }
}

/// Whether a write changed what is wanted. The real Deployment counts its annotations, which its ReplicaSets copy.
fn wants_other(resource: &Resource, before: &Value, after: &Value) -> bool {
    if resource.custom {
        let wanted = |object: &Value| {
            let mut object = object.clone();
            if let Some(object) = object.as_object_mut() {
                object.shift_remove("metadata");
                object.shift_remove("status");
            }
            object
        };
        return wanted(before) != wanted(after);
    }
    let annotations = resource.plural == "deployments"
        && before["metadata"].get("annotations") != after["metadata"].get("annotations");
    annotations || before.get("spec") != after.get("spec")
}
