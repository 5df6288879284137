//! The controllers of the sandbox: what acts on the cluster by itself.
//!
//! Each wakes up at changes and at its own deadlines, never in a busy loop. They write through the store as the real
//! ones write through the API server: with field managers of their own, and with preconditions where the real ones have them.

mod cluster_external_secrets;
mod commands;
mod external_secrets;
mod fields;
mod jobs;
mod meddlers;
mod pods;
mod rolling;
mod workloads;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cluster::{Store, resource};
use crate::world::World;
pub use external_secrets::sync_now as scheduled_sync;
use fields::{decoded, text};

/// Starts every controller; they end when the set is dropped.
pub fn spawn(world: Arc<World>) -> JoinSet<()> {
    let mut all = JoinSet::new();
    all.spawn(external_secrets::start(Arc::clone(&world)));
    all.spawn(cluster_external_secrets::run(Arc::clone(&world)));
    all.spawn(workloads::run(Arc::clone(&world)));
    all.spawn(jobs::run(Arc::clone(&world)));
    all.spawn(pods::run(Arc::clone(&world)));
    all.spawn(application(Arc::clone(&world)));
    all.spawn(meddlers::run(world));
    all
}

/// What the pods' application does with its values.
async fn application(world: Arc<World>) {
    world.controllers.data.run(|account, bytes| world.named(account, bytes)).await;
}

/// Waits until every ExternalSecret has been synced once and every workload is rolled out, or the time is over.
pub async fn settle(world: &World, most: Duration) {
    let deadline = Instant::now() + most;
    let mut changes = world.cluster.changes();
    while Instant::now() < deadline && !is_settled(&world.cluster) {
        let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
    }
    world.controllers.settle();
}

fn is_settled(cluster: &Store) -> bool {
    let synced = |external: &Value| external.pointer("/status/conditions/0").is_some();
    let number = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let rolled_out = |deployment: &Value| {
        number(deployment, "/status/availableReplicas") >= number(deployment, "/spec/replicas")
            && number(deployment, "/status/observedGeneration") >= number(deployment, "/metadata/generation")
    };
    cluster.list(resource("externalsecrets"), None).iter().all(synced)
        && cluster.list(resource("deployments"), None).iter().all(rolled_out)
}

/// Which version each key of each Kubernetes Secret holds, by name, and which value, by its number in the history.
pub fn secret_holdings(world: &World) -> Value {
    let secrets = world.cluster.list(resource("secrets"), None);
    let described = secrets.iter().map(|secret| {
        let namespace = text(secret, "/metadata/namespace");
        let data = secret.get("data").and_then(Value::as_object);
        let keys: serde_json::Map<String, Value> = data
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), json!(world.named(namespace, &decoded(value)))))
            .collect();
        let number = |value: &Value| json!(world.history.number(&decoded(value)));
        let values: serde_json::Map<String, Value> =
            data.into_iter().flatten().map(|(key, value)| (key.clone(), number(value))).collect();
        json!({"namespace": namespace, "name": text(secret, "/metadata/name"), "keys": keys, "values": values})
    });
    Value::Array(described.collect())
}
