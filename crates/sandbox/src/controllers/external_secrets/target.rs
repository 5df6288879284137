//! The Kubernetes Secret that an ExternalSecret fills: what is put into it, and what is left alone.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

pub use super::resolve::{Data, data};
use super::template_from::{self, Source};
use super::{hash, template};
use crate::cluster::text;

/// The label of every Secret that the controller looks after.
pub const MANAGED: &str = "reconcile.external-secrets.io/managed";
/// The label that says which ExternalSecret made it.
pub const CREATED_BY: &str = "reconcile.external-secrets.io/created-by";
/// The annotation with the hash of the data, by which a change by hand is noticed.
pub const DATA_HASH: &str = "reconcile.external-secrets.io/data-hash";

/// Why a Secret cannot be filled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refused {
    Owned(String),
    Controlled(String),
    /// The template does not work.
    Template(String),
}

/// The name of the Secret that an ExternalSecret fills.
pub fn name(object: &Value) -> &str {
    match text(&object["spec"]["target"]["name"]) {
        "" => text(&object["metadata"]["name"]),
        name => name,
    }
}

/// As whom the controller writes the Secret.
pub fn manager(object: &Value) -> String {
    let name = text(&object["metadata"]["name"]);
    let manager = format!("externalsecrets.external-secrets.io/{name}");
    // Longer ones are not allowed as a field manager.
    if manager.len() <= 63 {
        manager
    } else {
        format!("externalsecrets.external-secrets.io/sha3/{}", hash::fingerprint(name))
    }
}

/// Puts the values into a Secret, or into a new one when it has no uid, and marks it as looked after.
pub fn fill(secret: &mut Value, object: &Value, values: &Data, from: &[Source]) -> Result<(), Refused> {
    let spec = &object["spec"]["target"];
    let creation = text(&spec["creationPolicy"]);
    let owns = matches!(creation, "" | "Owner");
    own(secret, object, owns)?;
    let is_new = secret["metadata"]["uid"].is_null();
    let is_immutable = spec["immutable"] == true;
    if is_immutable {
        secret["immutable"] = json!(true);
    }
    // An immutable one keeps its old data, and nobody is told: the real one does the same.
    if is_new || !is_immutable {
        forget(secret, &manager(object));
        copy_metadata(secret, object);
        let mut filled = if creation == "Merge" { data(secret) } else { Data::new() };
        apply_template(secret, object, values, from, &mut filled).map_err(Refused::Template)?;
        secret["data"] = filled.iter().map(|(key, value)| (key.clone(), json!(STANDARD.encode(value)))).collect();
    }
    let labels = map(&mut secret["metadata"]["labels"]);
    if owns {
        let names = format!("{}/{}", text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        labels.insert(CREATED_BY.to_owned(), json!(hash::fingerprint(&names)));
    } else {
        labels.shift_remove(CREATED_BY);
    }
    labels.insert(MANAGED.to_owned(), json!("true"));
    mark(secret);
    Ok(())
}

/// Notes the hash of the data as it is now.
pub fn mark(secret: &mut Value) {
    let hash = hash::of_data(&data(secret));
    map(&mut secret["metadata"]["annotations"]).insert(DATA_HASH.to_owned(), json!(hash));
}

/// The object in a value, made if it is not there.
fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("made an object above")
}

fn own(secret: &mut Value, object: &Value, owns: bool) -> Result<(), Refused> {
    let owners = secret["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    let name = &object["metadata"]["name"];
    let is_mine = |owner: &Value| owner["kind"] == "ExternalSecret" && owner["name"] == *name;
    let controller = owners.iter().find(|owner| owner["controller"] == true);
    if let Some(other) = controller.filter(|owner| !is_mine(owner)) {
        let other_name = text(&other["name"]).to_owned();
        if other["kind"] == "ExternalSecret" {
            return Err(Refused::Owned(other_name));
        }
        if owns {
            return Err(Refused::Controlled(format!(
                "Object is already owned by another {} controller {other_name}",
                text(&other["kind"])
            )));
        }
    }
    let mut kept: Vec<Value> = owners.into_iter().filter(|owner| !is_mine(owner)).collect();
    if owns {
        kept.push(json!({
            "apiVersion": "external-secrets.io/v1",
            "kind": "ExternalSecret",
            "name": name,
            "uid": object["metadata"]["uid"],
            "controller": true,
            "blockOwnerDeletion": true,
        }));
    }
    if kept.is_empty() {
        map(&mut secret["metadata"]).shift_remove("ownerReferences");
    } else {
        secret["metadata"]["ownerReferences"] = json!(kept);
    }
    Ok(())
}

/// Takes away what the manager put there the last time, so that nothing of it is left behind.
fn forget(secret: &mut Value, manager: &str) {
    let entries = secret["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    for entry in entries.iter().filter(|entry| entry["manager"] == manager) {
        let fields = &entry["fieldsV1"];
        for (owned, place) in [
            (&fields["f:data"], &["data"] as &[&str]),
            (&fields["f:metadata"]["f:labels"], &["metadata", "labels"]),
            (&fields["f:metadata"]["f:annotations"], &["metadata", "annotations"]),
        ] {
            let there = place.iter().try_fold(&mut *secret, |value, key| value.get_mut(*key));
            let Some(there) = there.and_then(Value::as_object_mut) else { continue };
            for key in owned.as_object().into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:")) {
                there.shift_remove(key);
            }
        }
    }
}

/// Labels and annotations: the template's, or without a template those of the ExternalSecret.
fn copy_metadata(secret: &mut Value, object: &Value) {
    let template = &object["spec"]["target"]["template"];
    let source = if template.is_object() { &template["metadata"] } else { &object["metadata"] };
    for kind in ["labels", "annotations"] {
        let copied = source[kind].as_object().cloned().unwrap_or_default();
        map(&mut secret["metadata"][kind]).extend(copied);
    }
}

fn apply_template(
    secret: &mut Value,
    object: &Value,
    values: &Data,
    from: &[Source],
    filled: &mut Data,
) -> Result<(), String> {
    let template = &object["spec"]["target"]["template"];
    if !template.is_object() {
        filled.extend(values.clone());
        return Ok(());
    }
    if let Some(kind) = template["type"].as_str().filter(|kind| !kind.is_empty()) {
        secret["type"] = json!(kind);
    }
    let texts = template["data"].as_object().filter(|texts| !texts.is_empty());
    if template["mergePolicy"] == "Merge" || (texts.is_none() && from.is_empty()) {
        filled.extend(values.clone());
    }
    let told = |why: String| format!("could not execute template: {why}");
    for source in from {
        filled.extend(template_from::render(source, values).map_err(told)?);
    }
    for (key, source) in texts.into_iter().flatten() {
        filled.insert(key.clone(), template::render(key, text(source), values).map_err(told)?);
    }
    for kind in ["labels", "annotations"] {
        let sources: BTreeMap<&String, &str> = template["metadata"][kind]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key, text(value)))
            .collect();
        for (key, source) in sources {
            let rendered = template::render(key, source, values).map_err(told)?;
            map(&mut secret["metadata"][kind]).insert(key.clone(), json!(String::from_utf8_lossy(&rendered)));
        }
    }
    Ok(())
}
