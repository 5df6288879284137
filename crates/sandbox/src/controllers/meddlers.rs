//! Others who change workloads by themselves: Stakater Reloader, a GitOps controller, and whoever evicts pods.
//! Each is there only while its fault is in force.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fields::text;
use crate::cluster::{ChangeKind, resource};
use crate::world::World;

/// How long the GitOps controller takes to notice.
const GITOPS: Duration = Duration::from_secs(1);

pub async fn run(world: Arc<World>) {
    let mut changes = world.cluster.changes();
    let mut seen = world.cluster.resource_version();
    let mut reverts: Vec<(Instant, String, String)> = Vec::new();
    let mut churn = Instant::now();
    loop {
        changes.borrow_and_update();
        let since = seen;
        seen = world.cluster.resource_version();
        if world.faults.active("reloader") {
            reload(&world, since);
        }
        if world.faults.active("gitops") {
            reverts.extend(annotated(&world, since));
        }
        let (due, later): (Vec<_>, Vec<_>) = reverts.drain(..).partition(|(at, ..)| *at <= Instant::now());
        reverts = later;
        due.iter().for_each(|(_, namespace, name)| revert(&world, namespace, name));
        let every = world.faults.duration("pod-churn");
        if let Some(every) = every.filter(|every| churn.elapsed() >= *every) {
            churn = Instant::now();
            evict(&world, every);
        }
        let next = reverts.iter().map(|(at, ..)| at.saturating_duration_since(Instant::now())).min();
        let pause = [next, every].into_iter().flatten().min().unwrap_or(Duration::from_secs(1));
        let _ = tokio::time::timeout(pause, changes.changed()).await;
    }
}

/// Reloader compares the data of a Secret, and restarts each workload that asks for it and reads that Secret
/// (its default strategy, `env-vars`).
fn reload(world: &World, since: u64) {
    let changes = world.cluster.changes_from("secrets", since);
    let changed = changes.iter().filter(|change| change.kind == ChangeKind::Modified);
    let changed = changed.filter(|change| {
        change.previous.as_ref().is_some_and(|before| before.get("data") != change.object.get("data"))
    });
    for change in changed {
        let (namespace, secret) = (text(&change.object, "/metadata/namespace"), text(&change.object, "/metadata/name"));
        let variable = format!("STAKATER_{}_SECRET", secret.to_uppercase().replace(['-', '.'], "_"));
        let hash = world.controllers.private_hash(&change.object.get("data").map(Value::to_string));
        for deployment in world.cluster.list(resource("deployments"), Some(namespace)) {
            let asks = text(&deployment, "/metadata/annotations/reloader.stakater.com~1auto") == "true";
            let reads = deployment
                .pointer("/spec/template/spec")
                .is_some_and(|spec| spec.to_string().contains(&format!("\"{secret}\"")));
            if !asks || !reads {
                continue;
            }
            let name = text(&deployment, "/metadata/name");
            let _ = world.cluster.update(resource("deployments"), Some(namespace), name, "Reloader", None, |object| {
                let Some(container) = object.pointer_mut("/spec/template/spec/containers/0") else { return };
                let mut env = container["env"].as_array().cloned().unwrap_or_default();
                env.retain(|entry| entry["name"] != json!(variable));
                env.push(json!({"name": variable, "value": hash}));
                container["env"] = Value::Array(env);
            });
        }
    }
}

/// Deployments whose template got annotations that git does not know, with the moment at which that is put right.
fn annotated(world: &World, since: u64) -> Vec<(Instant, String, String)> {
    let changes = world.cluster.changes_from("deployments", since);
    let foreign = changes.iter().filter(|change| foreign_annotations(&change.object).next().is_some());
    foreign
        .map(|change| {
            let place = |pointer: &str| text(&change.object, pointer).to_owned();
            (Instant::now() + GITOPS, place("/metadata/namespace"), place("/metadata/name"))
        })
        .collect()
}

fn foreign_annotations(deployment: &Value) -> impl Iterator<Item = &String> {
    let annotations = deployment.pointer("/spec/template/metadata/annotations").and_then(Value::as_object);
    let foreign = |name: &&String| name.starts_with("deepdesk.com/") || *name == "kubectl.kubernetes.io/restartedAt";
    annotations.into_iter().flat_map(serde_json::Map::keys).filter(foreign)
}

fn revert(world: &World, namespace: &str, name: &str) {
    let _ = world.cluster.update(resource("deployments"), Some(namespace), name, "argocd-controller", None, |object| {
        let foreign: Vec<String> = foreign_annotations(object).cloned().collect();
        if let Some(annotations) =
            object.pointer_mut("/spec/template/metadata/annotations").and_then(Value::as_object_mut)
        {
            annotations.retain(|name, _| !foreign.contains(name));
        }
    });
}

/// Deletes one running pod that belongs to somebody, another one each time.
fn evict(world: &World, every: Duration) {
    let pods = world.cluster.list(resource("pods"), None);
    let running: Vec<&Value> = pods
        .iter()
        .filter(|pod| text(pod, "/status/phase") == "Running" && pod.pointer("/metadata/deletionTimestamp").is_none())
        .filter(|pod| pod.pointer("/metadata/ownerReferences/0").is_some())
        .collect();
    // Any spread will do: time picks one.
    let ticks = world.cluster.resource_version() + u64::try_from(every.as_millis()).unwrap_or(1);
    let Some(pod) = usize::try_from(ticks).ok().and_then(|ticks| running.get(ticks % running.len().max(1))) else {
        return;
    };
    let _ = world.cluster.delete(resource("pods"), Some(text(pod, "/metadata/namespace")), text(pod, "/metadata/name"));
}
