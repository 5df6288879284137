//! The fault `old-value-pod`: External Secrets, having read a version, reads an older one once more, just when pods start.

use serde_json::Value;

use super::queue::Key;
use super::target;
use crate::cluster::{Change, Store, resource, text};
use crate::world::World;

/// On the pod template of a workload: the number of the primary's version that its pods were restarted for.
const PRIMARY_VERSION: &str = "deepdesk.com/primary-version";

/// Kinds with a pod template that a restart changes.
pub const WORKLOADS: [&str; 3] = ["deployments", "statefulsets", "daemonsets"];

/// Whether this change restarts a workload for a newer version than before.
pub fn is_restart(change: &Change) -> bool {
    let version = |object: &Value| {
        text(&object["spec"]["template"]["metadata"]["annotations"][PRIMARY_VERSION]).parse::<u64>().ok()
    };
    change.previous.as_ref().is_some_and(|previous| version(&change.object) > version(previous))
}

/// Lets one Secret that the workload reads fall back to what it held before. Answers with the ExternalSecret that fills it.
pub fn fall_back(world: &World, workload: &Value) -> Option<Key> {
    let namespace = text(&workload["metadata"]["namespace"]);
    let objects = world.cluster.list(resource("externalsecrets"), Some(namespace));
    let template = &workload["spec"]["template"];
    let object = objects.iter().find(|object| names(template, target::name(object))).or_else(|| objects.first())?;
    let name = target::name(object);
    let previous = previous_data(&world.cluster, namespace, name)?;
    let manager = target::manager(object);
    let written = world.cluster.update(resource("secrets"), Some(namespace), name, &manager, None, |secret| {
        secret["data"] = previous;
        // It is a sync like any other, only of an older version: the controller sees nothing wrong.
        target::mark(secret);
    });
    written.ok().map(|_| (namespace.to_owned(), text(&object["metadata"]["name"]).to_owned()))
}

/// Whether a pod template refers to a Secret: by environment or by volume.
fn names(template: &Value, secret: &str) -> bool {
    match template {
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            let is_reference = matches!(key.as_str(), "secretRef" | "secretKeyRef") && value["name"] == secret;
            let is_volume = key == "secret" && value["secretName"] == secret;
            is_reference || is_volume || names(value, secret)
        }),
        Value::Array(items) => items.iter().any(|item| names(item, secret)),
        _ => false,
    }
}

/// The data that a Secret held before its data last changed.
fn previous_data(store: &Store, namespace: &str, name: &str) -> Option<Value> {
    let changes = store.changes_from("secrets", 0);
    changes.iter().rev().find_map(|change| {
        let metadata = &change.object["metadata"];
        let previous = change.previous.as_ref()?;
        let is_it = metadata["namespace"] == namespace && metadata["name"] == name;
        (is_it && previous["data"] != change.object["data"]).then(|| previous["data"].clone())
    })
}
