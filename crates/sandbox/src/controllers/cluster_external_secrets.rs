//! ClusterExternalSecrets: one ExternalSecret in each namespace that is chosen, kept as it is written there. Labels, annotations and
//! spec of others are taken away again; of the owner's annotations, `force-sync` alone is handed on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::fields::text;
use crate::cluster::{resource, selects};
use crate::world::World;

const FORCE_SYNC: &str = "external-secrets.io/force-sync";
const MANAGER: &str = "external-secrets";

pub async fn run(world: Arc<World>) {
    let mut changes = world.cluster.changes();
    loop {
        changes.borrow_and_update();
        for owner in world.cluster.list(resource("clusterexternalsecrets"), None) {
            keep(&world, &owner);
        }
        let _ = tokio::time::timeout(Duration::from_secs(60), changes.changed()).await;
    }
}

fn keep(world: &World, owner: &Value) {
    let name = match text(owner, "/spec/externalSecretName") {
        "" => text(owner, "/metadata/name"),
        name => name,
    };
    for namespace in world.cluster.list(resource("namespaces"), None).iter().filter(|one| is_chosen(owner, one)) {
        let (namespace, kind) = (text(namespace, "/metadata/name"), resource("externalsecrets"));
        let wanted = wanted(owner);
        let updated = world.cluster.update(kind, Some(namespace), name, MANAGER, None, |object| {
            for field in ["labels", "annotations", "ownerReferences"] {
                match wanted["metadata"].get(field) {
                    Some(value) => object["metadata"][field] = value.clone(),
                    None => drop(object["metadata"].as_object_mut().map(|all| all.shift_remove(field))),
                }
            }
            object["spec"] = wanted["spec"].clone();
        });
        if updated.is_err() {
            let mut object = wanted;
            object["metadata"]["name"] = json!(name);
            object["metadata"]["namespace"] = json!(namespace);
            // A refusal is told by the next round's.
            let _ = world.cluster.create(kind, Some(namespace), object, MANAGER);
        }
    }
}

/// The ExternalSecret as it is to be, without its place.
fn wanted(owner: &Value) -> Value {
    let mut metadata = json!({"ownerReferences": [{
        "apiVersion": "external-secrets.io/v1", "kind": "ClusterExternalSecret", "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }]});
    for field in ["labels", "annotations"] {
        if let Some(given) = owner.pointer("/spec/externalSecretMetadata").and_then(|given| given.get(field)) {
            metadata[field] = given.clone();
        }
    }
    if let Some(forced) = owner["metadata"]["annotations"].get(FORCE_SYNC) {
        metadata["annotations"][FORCE_SYNC] = forced.clone();
    }
    json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": metadata,
        "spec": owner["spec"]["externalSecretSpec"]})
}

/// By its name, or by one of the selectors.
fn is_chosen(owner: &Value, namespace: &Value) -> bool {
    let spec = &owner["spec"];
    let named = spec["namespaces"].as_array().is_some_and(|all| all.contains(&namespace["metadata"]["name"]));
    let mut selectors =
        spec["namespaceSelectors"].as_array().into_iter().flatten().chain(spec.get("namespaceSelector"));
    let labels = &namespace["metadata"]["labels"];
    named || selectors.any(|selector| selector["matchLabels"].is_object() && selects(selector, labels))
}
