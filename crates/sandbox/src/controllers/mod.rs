//! The controllers of the sandbox: what acts on the cluster by itself.
//!
//! Each wakes up at changes and at its own deadlines, never in a busy loop. They write through the store as the real
//! ones write through the API server: with field managers of their own, and with preconditions where the real ones have them.

mod cluster_external_secrets;
mod commands;
pub mod external_secrets;
mod jobs;
pub mod logs;
mod meddlers;
pub mod pods;
mod rolling;
mod workloads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::World;
use super::cluster::{Store, resource};
use super::data::{self, Data};

/// What the controllers share beside the world's objects.
#[derive(Debug, Default)]
pub struct Shared {
    /// Until the world has settled nothing takes time: it starts as one that has been up for long.
    settled: AtomicBool,
    /// The lives of all pods.
    pub lives: pods::Lives,
    /// What the commands of Jobs wrote.
    pub logs: logs::Logs,
    /// What the pods write and read.
    pub data: Data,
    /// Tells the External Secrets controller to read one object now.
    pub sync_requests: std::sync::OnceLock<external_secrets::Requests>,
}

impl Shared {
    fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    fn delay(&self, delay: Duration) -> Duration {
        if self.is_settled() { delay } else { Duration::ZERO }
    }
}

/// Starts every controller; they end when the set is dropped.
pub fn spawn(world: Arc<World>) -> JoinSet<()> {
    let mut all = JoinSet::new();
    all.spawn(external_secrets::start(Arc::clone(&world)));
    all.spawn(cluster_external_secrets::run(Arc::clone(&world)));
    all.spawn(workloads::run(Arc::clone(&world)));
    all.spawn(jobs::run(Arc::clone(&world)));
    all.spawn(pods::run(Arc::clone(&world)));
    all.spawn(data::run(Arc::clone(&world)));
    all.spawn(meddlers::run(world));
    all
}

/// Waits until every ExternalSecret has been synced once and every workload is rolled out, or the time is over.
pub async fn settle(world: &World, most: Duration) {
    let deadline = Instant::now() + most;
    let mut changes = world.cluster.changes();
    while Instant::now() < deadline && !is_settled(&world.cluster) {
        let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
    }
    world.controllers.settled.store(true, Ordering::Relaxed);
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

/// Every pod that ever ran, which version each key that it read from a Secret held, by name, and which value.
pub fn pod_lives(world: &World) -> Value {
    world.controllers.lives.describe()
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
            .map(|(key, value)| (key.clone(), json!(named(world, namespace, &decoded(value)))))
            .collect();
        let number = |value: &Value| json!(world.history.number(&decoded(value)));
        let values: serde_json::Map<String, Value> =
            data.into_iter().flatten().map(|(key, value)| (key.clone(), number(value))).collect();
        json!({"namespace": namespace, "name": text(secret, "/metadata/name"), "keys": keys, "values": values})
    });
    Value::Array(described.collect())
}

/// Starts a scheduled sync of one ExternalSecret; false when there is none of that name.
pub fn scheduled_sync(world: &World, namespace: &str, name: &str) -> bool {
    external_secrets::sync_now(world, namespace, name)
}

/// The version whose value these bytes are: the account's primary's, else its back-compat's, else another secret's.
pub(super) fn named(world: &World, namespace: &str, bytes: &[u8]) -> String {
    let primary = format!("{namespace}_account_secret");
    let back_compat = format!("{primary}_back_compat");
    let mut holders = world.secret_manager.holders(bytes);
    let rank = |secret: &str| match secret {
        _ if secret == primary => 0,
        _ if secret == back_compat => 1,
        _ => 2,
    };
    holders.sort_by_key(|holder| (rank(&holder.secret), std::cmp::Reverse(holder.version)));
    match holders.first() {
        Some(holder) if rank(&holder.secret) == 0 => format!("primary v{}", holder.version),
        Some(holder) if rank(&holder.secret) == 1 => format!("back-compat v{}", holder.version),
        Some(holder) => format!("{} v{}", holder.secret, holder.version),
        None => "unknown".to_owned(),
    }
}

/// Text at a pointer; empty when there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn decoded(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let text = value.as_str().unwrap_or_default();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}

/// A hash that only this process can compute: what stands in an annotation must not help anybody to guess a value.
fn private_hash(of: &impl std::hash::Hash) -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::OnceLock;
    static KEY: OnceLock<RandomState> = OnceLock::new();
    format!("{:016x}", KEY.get_or_init(RandomState::new).hash_one(of))
}

/// Now, as the API writes times: whole seconds, UTC.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
