//! A stand-in for the kubelet: pods start after a while, read their Secrets at that moment, and keep what they read.
//!
//! Annotations of a pod or of its namespace tell how it starts and ends; tests/control-plane/kubelet.go knows the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::commands;
use super::fields::{decoded, text};
use crate::clock::others_now as now;
use crate::cluster::{ChangeKind, resource};
use crate::faults::duration;
use crate::world::World;

const MANAGER: &str = "kubelet";
/// How long a pod takes to start, or `crash`, or `pull`: its image is not there.
const START: &str = "control-plane.deepdesk.com/start";
/// `never`: the pod runs and does not become Ready.
const READY: &str = "control-plane.deepdesk.com/ready";
/// How long the container of a Job's pod runs that has no command: `10m`. Without it, until it is asked to stop.
const RUN: &str = "control-plane.deepdesk.com/run";
/// How long a pod still runs after it was asked to stop.
const TERMINATE: &str = "control-plane.deepdesk.com/terminate";
/// How long a pod that is asked to stop still runs.
const GRACE: Duration = Duration::from_millis(200);
/// Pause before a container whose Secret is missing is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// With fractions of a second: lives are short here.
fn precisely_now() -> Value {
    json!(jiff::Timestamp::now().to_string())
}

/// Runs until it is dropped: one task a pod's start, one a pod's end.
pub async fn run(world: Arc<World>) {
    let mut changes = world.cluster.changes();
    let mut seen = 0;
    let mut tasks = JoinSet::new();
    let mut leaving = BTreeSet::new();
    loop {
        changes.borrow_and_update();
        // Version 0 is before all that the store remembers: what was there first must not be missed.
        for change in world.cluster.changes_from("pods", seen) {
            // Not the store's newest version: what came between would be looked at twice, or never.
            seen = seen.max(change.resource_version);
            let uid = text(&change.object, "/metadata/uid").to_owned();
            let place = (
                text(&change.object, "/metadata/namespace").to_owned(),
                text(&change.object, "/metadata/name").to_owned(),
            );
            if change.kind == ChangeKind::Added {
                tasks.spawn(start(Arc::clone(&world), place.clone(), uid.clone()));
            }
            if change.kind == ChangeKind::Deleted {
                world.controllers.lives.note(&uid, |life| life["ended"] = precisely_now());
                world.history.note(json!({"ended": place.1, "uid": uid, "namespace": place.0}));
                world.controllers.data.ended(&place.0, &uid);
                leaving.remove(&uid);
            } else if change.object.pointer("/metadata/deletionTimestamp").is_some() && leaving.insert(uid.clone()) {
                tasks.spawn(stop(Arc::clone(&world), place, uid));
            }
        }
        while tasks.try_join_next().is_some() {}
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Whether the fault `rollout-stuck` meets new pods of this workload.
pub fn is_stuck(world: &World, workload: &Value) -> bool {
    let name = text(workload, "/metadata/name");
    is_stuck_by_name(world, name)
}

fn is_stuck_by_name(world: &World, name: &str) -> bool {
    // The world starts healthy, whatever goes wrong in it later.
    world.controllers.is_settled()
        && world.faults.active("rollout-stuck")
        && world.faults.value("rollout-stuck").is_none_or(|only| only == name)
}

/// From its creation until it is Ready.
async fn start(world: Arc<World>, (namespace, name): (String, String), uid: String) {
    let Some(pod) = found(&world, &namespace, &name, &uid) else { return };
    let (kind, owner) = owner(&world, &pod);
    world.controllers.lives.note(&uid, |life| {
        life["namespace"] = json!(namespace);
        life["kind"] = json!(kind);
        life["owner"] = json!(owner);
        life["name"] = json!(name);
        life["created"] = precisely_now();
        life["ready"] = Value::Null;
        life["ended"] = Value::Null;
    });
    let asked = told(&world, &namespace, &pod, START);
    let whole = asked.as_deref().and_then(duration).unwrap_or(world.options.pod_start);
    let half = world.controllers.delay(whole) / 2;
    tokio::time::sleep(half).await;
    let is_job = kind == "Job";
    if asked.as_deref() == Some("pull") || (is_job && world.faults.active("job-not-starting")) {
        return fail_pull(&world, &namespace, &name, &uid, &pod).await;
    }
    // The environment is read once, here, and kept whatever happens to the Secrets afterwards.
    let held = loop {
        match environment(&world, &namespace, &pod) {
            Ok(held) => break held,
            Err(missing) => {
                status(&world, &namespace, &name, &uid, &waiting(&pod, "CreateContainerConfigError", &missing));
                tokio::time::sleep(RETRY).await;
                if found(&world, &namespace, &name, &uid).is_none() {
                    return;
                }
            }
        }
    };
    let values: serde_json::Map<String, Value> =
        held.iter().map(|(key, value)| (key.clone(), json!(world.history.number(value)))).collect();
    world.history.note(json!({"pod": name, "uid": uid, "namespace": namespace, "owner": owner, "values": values}));
    world.controllers.lives.note(&uid, |life| {
        life["values"] = Value::Object(values);
        life["started"] = precisely_now();
        life["holds"] = held.iter().map(|(key, value)| (key.clone(), json!(world.named(&namespace, value)))).collect();
    });
    if is_job {
        let run = told(&world, &namespace, &pod, RUN).as_deref().and_then(duration);
        let crashes = asked.as_deref() == Some("crash");
        return work(&world, &namespace, &name, &uid, &pod, (run, crashes), &held).await;
    }
    // Also one that is about to crash: it may have written by then.
    world.controllers.data.started(&namespace, &uid, &name, &owner, &held);
    if found(&world, &namespace, &name, &uid).is_none() {
        // It went before it was noted, and nobody will say so again.
        return world.controllers.data.ended(&namespace, &uid);
    }
    if is_stuck_by_name(&world, &owner) || asked.as_deref() == Some("crash") {
        world.controllers.logs.write(&uid, "the sandbox was told that this pod crashes");
        let words = "back-off 5m0s restarting failed container";
        let mut crashed = waiting(&pod, "CrashLoopBackOff", words);
        let ended = json!({"exitCode": 1, "reason": "Error", "startedAt": now(), "finishedAt": now()});
        crashed["containerStatuses"][0]["lastState"] = json!({ "terminated": ended });
        return status(&world, &namespace, &name, &uid, &crashed);
    }
    tokio::time::sleep(half).await;
    if told(&world, &namespace, &pod, READY).as_deref() == Some("never") {
        return status(&world, &namespace, &name, &uid, &running(&pod, false));
    }
    world.controllers.lives.note(&uid, |life| life["ready"] = precisely_now());
    status(&world, &namespace, &name, &uid, &running(&pod, true));
}

/// No image is there to start from: first an error, then backing off.
async fn fail_pull(world: &World, namespace: &str, name: &str, uid: &str, pod: &Value) {
    let image = text(pod, "/spec/containers/0/image");
    let words = format!("failed to pull and unpack image \"{image}\": not found");
    status(world, namespace, name, uid, &waiting(pod, "ErrImagePull", &words));
    tokio::time::sleep(RETRY).await;
    let words = format!("Back-off pulling image \"{image}\"");
    status(world, namespace, name, uid, &waiting(pod, "ImagePullBackOff", &words));
}

/// A Job's pod: runs its command to the end. It reads and writes no data but by its command.
async fn work(
    world: &World,
    namespace: &str,
    name: &str,
    uid: &str,
    pod: &Value,
    (run, crashes): (Option<Duration>, bool),
    held: &BTreeMap<String, Vec<u8>>,
) {
    let started = now();
    status(world, namespace, name, uid, &running(pod, true));
    let place = commands::Place { world, namespace, uid, held };
    let code = match crashes {
        true => 1,
        false => commands::run(&place, &pod["spec"]["containers"][0], run).await,
    };
    status(world, namespace, name, uid, &over(pod, code, &started));
    world.controllers.logs.tell();
}

/// What an annotation says: the pod's own, or else that of its namespace.
fn told(world: &World, namespace: &str, pod: &Value, annotation: &str) -> Option<String> {
    let of = |object: &Value| object["metadata"]["annotations"][annotation].as_str().map(str::to_owned);
    of(pod).or_else(|| of(&world.cluster.get(resource("namespaces"), None, namespace)?))
}

/// The pod, unless it is gone or another one of the same name is there.
fn found(world: &World, namespace: &str, name: &str, uid: &str) -> Option<Value> {
    world.cluster.get(resource("pods"), Some(namespace), name).filter(|pod| text(pod, "/metadata/uid") == uid)
}

async fn stop(world: Arc<World>, (namespace, name): (String, String), uid: String) {
    let Some(pod) = found(&world, &namespace, &name, &uid) else { return };
    let asked = told(&world, &namespace, &pod, TERMINATE).as_deref().and_then(duration);
    tokio::time::sleep(world.faults.duration("pod-slow-to-stop").or(asked).unwrap_or(GRACE)).await;
    if found(&world, &namespace, &name, &uid).is_some() {
        let _ = world.cluster.remove(resource("pods"), Some(&namespace), &name);
    }
}

/// The workload that it belongs to: a ReplicaSet's pod is its Deployment's.
fn owner(world: &World, pod: &Value) -> (String, String) {
    let of = |object: &Value| {
        let reference = object.pointer("/metadata/ownerReferences/0").cloned().unwrap_or_default();
        (text(&reference, "/kind").to_owned(), text(&reference, "/name").to_owned())
    };
    let (kind, name) = of(pod);
    if kind == "ReplicaSet"
        && let Some(set) = world.cluster.get(resource("replicasets"), Some(text(pod, "/metadata/namespace")), &name)
    {
        return of(&set);
    }
    (kind, name)
}

/// What each key holds that the pod reads from a Secret; the error names what is missing, as the kubelet does.
fn environment(world: &World, namespace: &str, pod: &Value) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut held = BTreeMap::new();
    let list =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let optional = |reference: &Value| reference["optional"].as_bool() == Some(true);
    let secret = |name: &str| world.cluster.get(resource("secrets"), Some(namespace), name);
    let mut whole = |name: &str, may_lack: bool| match secret(name) {
        Some(found) => {
            for (key, value) in found["data"].as_object().into_iter().flatten() {
                held.insert(key.clone(), decoded(value));
            }
            Ok(())
        }
        None if may_lack => Ok(()),
        None => Err(format!("secret \"{name}\" not found")),
    };
    let containers = list(pod, "/spec/initContainers").into_iter().chain(list(pod, "/spec/containers"));
    let containers: Vec<Value> = containers.collect();
    for from in containers.iter().flat_map(|container| list(container, "/envFrom")) {
        if let Some(reference) = from.get("secretRef") {
            whole(text(reference, "/name"), optional(reference))?;
        }
    }
    for volume in list(pod, "/spec/volumes") {
        if let Some(source) = volume.get("secret") {
            whole(text(source, "/secretName"), optional(source))?;
        }
        for source in list(&volume, "/projected/sources").iter().filter_map(|source| source.get("secret")) {
            whole(text(source, "/name"), optional(source))?;
        }
    }
    for variable in containers.iter().flat_map(|container| list(container, "/env")) {
        let Some(reference) = variable.pointer("/valueFrom/secretKeyRef") else { continue };
        let (name, key) = (text(reference, "/name"), text(reference, "/key"));
        let value = secret(name).and_then(|found| found["data"].get(key).map(decoded));
        match value {
            Some(value) => {
                held.insert(text(&variable, "/name").to_owned(), value);
            }
            None if optional(reference) => {}
            None => return Err(format!("couldn't find key {key} in Secret {namespace}/{name}")),
        }
    }
    Ok(held)
}

fn status(world: &World, namespace: &str, name: &str, uid: &str, status: &Value) {
    if found(world, namespace, name, uid).is_some() {
        let _ = world.cluster.update_status(resource("pods"), Some(namespace), name, MANAGER, None, |pod| {
            pod["status"] = status.clone()
        });
    }
}

fn containers(pod: &Value, state: &Value, ready: bool) -> Value {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).cloned().unwrap_or_default();
    let one = |container: &Value| json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": ready, "started": ready, "restartCount": 0, "state": state});
    Value::Array(containers.iter().map(one).collect())
}

fn conditions(ready: bool) -> Value {
    let at = now();
    let one = |kind: &str, holds: bool| json!({"type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": at});
    json!([one("PodScheduled", true), one("Initialized", true), one("ContainersReady", ready), one("Ready", ready)])
}

fn running(pod: &Value, ready: bool) -> Value {
    let state = json!({"running": {"startedAt": now()}});
    json!({"phase": "Running", "startTime": now(), "podIP": "10.0.0.1", "hostIP": "127.0.0.1", "qosClass": "BestEffort",
        "conditions": conditions(ready), "containerStatuses": containers(pod, &state, ready)})
}

fn over(pod: &Value, code: i32, started: &str) -> Value {
    let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    let ended = json!({"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()});
    json!({"phase": phase, "startTime": started, "podIP": "10.0.0.1", "hostIP": "127.0.0.1", "qosClass": "BestEffort",
        "conditions": conditions(false), "containerStatuses": containers(pod, &json!({"terminated": ended}), false)})
}

fn waiting(pod: &Value, reason: &str, message: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    json!({"phase": "Pending", "startTime": now(), "conditions": conditions(false), "containerStatuses": containers(pod, &state, false)})
}
