//! Deployments, StatefulSets and DaemonSets: from what is wanted to pods, one template after another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fields::text;
use super::rolling::{Counts, Set, resolved, step};
use crate::clock::others_now as now;
use crate::cluster::{Resource, exceeded, resource};
use crate::world::World;

const MANAGER: &str = "kube-controller-manager";
/// `progressDeadlineSeconds` of a Deployment that the fault `rollout-stuck` meets: nobody rehearses for ten minutes.
const SHORT_DEADLINE: Duration = Duration::from_secs(3);
const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// When each Deployment last came forward, and how far it was.
type Marks = BTreeMap<(String, String), (Instant, [i64; 4])>;

pub async fn run(world: Arc<World>) {
    let mut changes = world.cluster.changes();
    let mut seen = 0;
    let mut marks = Marks::new();
    loop {
        changes.borrow_and_update();
        for namespace in touched(&world, &mut seen) {
            reconcile(&world, &namespace, &mut marks);
        }
        // Deadlines pass without anybody changing anything.
        let pause = if marks.is_empty() { Duration::from_secs(60) } else { Duration::from_millis(500) };
        if tokio::time::timeout(pause, changes.changed()).await.is_err() {
            let waiting: BTreeSet<String> = marks.keys().map(|(namespace, _)| namespace.clone()).collect();
            waiting.iter().for_each(|namespace| reconcile(&world, namespace, &mut marks));
        }
    }
}

/// The namespaces in which a workload or a pod changed.
fn touched(world: &World, seen: &mut u64) -> BTreeSet<String> {
    let since = *seen;
    *seen = world.cluster.resource_version();
    let kinds = ["deployments", "replicasets", "statefulsets", "daemonsets", "pods"];
    let place = |object: &Value| text(object, "/metadata/namespace").to_owned();
    let mut namespaces = BTreeSet::new();
    for kind in kinds.map(resource) {
        match world.cluster.changes_since(kind, since) {
            Ok(changes) => namespaces.extend(changes.iter().map(|change| place(&change.object))),
            // So far behind, also what has not changed may be unknown.
            Err(_) => namespaces.extend(world.cluster.list(kind, None).iter().map(place)),
        }
    }
    namespaces
}

fn reconcile(world: &World, namespace: &str, marks: &mut Marks) {
    for deployment in world.cluster.list(resource("deployments"), Some(namespace)) {
        self::deployment(world, namespace, &deployment, marks);
    }
    for set in world.cluster.list(resource("replicasets"), Some(namespace)) {
        replica_set(world, namespace, &set);
    }
    for kind in ["statefulsets", "daemonsets"] {
        for set in world.cluster.list(resource(kind), Some(namespace)) {
            ordered_set(world, namespace, resource(kind), &set);
        }
    }
}

pub(super) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

pub(super) fn owned_by(object: &Value, owner: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.is_some_and(|owners| owners.iter().any(|reference| reference["uid"] == owner["metadata"]["uid"]))
}

pub(super) fn owner_reference(owner: &Value, api_version: &str, kind: &str) -> Value {
    json!([{"apiVersion": api_version, "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true}])
}

pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|all| {
        all.iter().any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True")
    })
}

pub(super) fn is_leaving(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_some()
}

/// The template without the label that its ReplicaSet adds.
fn bare_template(object: &Value) -> Value {
    let mut template = object.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    template
}

fn deployment(world: &World, namespace: &str, deployment: &Value, marks: &mut Marks) {
    let all = world.cluster.list(resource("replicasets"), Some(namespace));
    let sets: Vec<Value> = all.into_iter().filter(|set| owned_by(set, deployment)).collect();
    let wanted = bare_template(deployment);
    let newest = sets.iter().find(|set| bare_template(set) == wanted);
    let paused = deployment.pointer("/spec/paused").and_then(Value::as_bool) == Some(true);
    let desired = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let revision = sets.iter().map(revision_of).max().unwrap_or(0);
    match newest {
        None if paused => {}
        // The change makes the next wake-up, which scales it.
        None => create_set(world, namespace, deployment, revision + 1),
        Some(newest) if revision_of(newest) < revision && !paused => {
            // A template of before is wanted again: its ReplicaSet becomes the newest revision.
            mark_revision(world, namespace, "replicasets", newest, revision + 1);
            mark_revision(world, namespace, "deployments", deployment, revision + 1);
        }
        Some(newest) => {
            let old: Vec<&Value> =
                sets.iter().filter(|set| text(set, "/metadata/uid") != text(newest, "/metadata/uid")).collect();
            if !paused {
                roll(world, namespace, deployment, desired, newest, &old);
            }
        }
    }
    let complete = status(world, namespace, deployment, desired, newest, &sets, marks);
    if let Some(newest) = newest.filter(|_| complete) {
        let others = sets.iter().filter(|set| text(set, "/metadata/uid") != text(newest, "/metadata/uid"));
        forget_old(world, namespace, deployment, others.collect());
    }
}

/// Deletes the oldest ReplicaSets beyond `revisionHistoryLimit`, once nothing is asked of them: pods that still end do not hold
/// theirs back.
fn forget_old(world: &World, namespace: &str, deployment: &Value, mut old: Vec<&Value>) {
    let limit = deployment.pointer("/spec/revisionHistoryLimit").and_then(Value::as_u64).unwrap_or(10);
    let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    old.sort_by_key(|set| revision_of(set));
    let is_empty = |set: &&Value| number(set, "/spec/replicas") == 0 && number(set, "/status/replicas") == 0;
    for set in old.into_iter().take(surplus).filter(is_empty) {
        let _ = world.cluster.delete(resource("replicasets"), Some(namespace), text(set, "/metadata/name"));
    }
}

fn revision_of(set: &Value) -> i64 {
    let annotations = set.pointer("/metadata/annotations");
    annotations
        .and_then(|all| all.get(REVISION))
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn mark_revision(world: &World, namespace: &str, plural: &str, object: &Value, revision: i64) {
    let name = text(object, "/metadata/name");
    let _ = world.cluster.update(resource(plural), Some(namespace), name, MANAGER, None, |object| {
        object["metadata"]["annotations"][REVISION] = json!(revision.to_string());
    });
}

fn create_set(world: &World, namespace: &str, deployment: &Value, revision: i64) {
    let name = text(deployment, "/metadata/name");
    let mut template = bare_template(deployment);
    // Kubernetes' own hashes look like this: ten characters, none of them a vowel.
    let hash: String = world
        .controllers
        .private_hash(&template.to_string())
        .chars()
        .map(|c| if c == 'a' || c == 'e' { 'x' } else { c })
        .take(10)
        .collect();
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut labels = template["metadata"]["labels"].clone();
    labels[HASH] = json!(hash);
    let mut selector = deployment.pointer("/spec/selector").cloned().unwrap_or_default();
    selector["matchLabels"][HASH] = json!(hash);
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("{name}-{hash}"), "namespace": namespace, "labels": labels,
            "annotations": {REVISION: revision.to_string()}, "ownerReferences": owner_reference(deployment, "apps/v1", "Deployment")},
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    if world.cluster.create(resource("replicasets"), Some(namespace), set, MANAGER).is_ok() {
        mark_revision(world, namespace, "deployments", deployment, revision);
    }
}

/// Scales the newest ReplicaSet up and the others down by one step.
fn roll(world: &World, namespace: &str, deployment: &Value, desired: i64, newest: &Value, old: &[&Value]) {
    let asked = |set: &Value| number(set, "/spec/replicas");
    if text(deployment, "/spec/strategy/type") == "Recreate" {
        old.iter().for_each(|set| scale(world, namespace, set, 0));
        let gone = old.iter().all(|set| number(set, "/status/replicas") == 0 && !has_pods(world, namespace, set));
        return scale(world, namespace, newest, if gone { desired } else { asked(newest) });
    }
    let rolling = |name: &str| deployment.pointer(&format!("/spec/strategy/rollingUpdate/{name}"));
    let surge = resolved(rolling("maxSurge"), desired, true);
    let unavailable = resolved(rolling("maxUnavailable"), desired, false);
    let set = |set: &Value| Set { asked: asked(set), available: number(set, "/status/availableReplicas") };
    let mut old: Vec<&Value> = old.to_vec();
    old.sort_by_key(|set| revision_of(set));
    let next = step(&Counts {
        desired,
        surge,
        unavailable: if surge == 0 && unavailable == 0 { 1 } else { unavailable },
        new: set(newest),
        old: old.iter().map(|old| set(old)).collect(),
    });
    scale(world, namespace, newest, next.new);
    for (set, asked) in old.into_iter().zip(next.old) {
        scale(world, namespace, set, asked);
    }
}

fn has_pods(world: &World, namespace: &str, set: &Value) -> bool {
    world.cluster.list(resource("pods"), Some(namespace)).iter().any(|pod| owned_by(pod, set))
}

fn scale(world: &World, namespace: &str, set: &Value, replicas: i64) {
    if number(set, "/spec/replicas") != replicas {
        let name = text(set, "/metadata/name");
        let _ = world.cluster.update(resource("replicasets"), Some(namespace), name, MANAGER, None, |set| {
            set["spec"]["replicas"] = json!(replicas);
        });
    }
}

/// Writes the status; says whether the rollout is complete.
fn status(
    world: &World,
    namespace: &str,
    deployment: &Value,
    desired: i64,
    newest: Option<&Value>,
    sets: &[Value],
    marks: &mut Marks,
) -> bool {
    let sum = |pointer: &str| sets.iter().map(|set| number(set, pointer)).sum::<i64>();
    let updated = newest.map_or(0, |set| number(set, "/status/replicas"));
    let updated_available = newest.map_or(0, |set| number(set, "/status/availableReplicas"));
    let (total, ready, available) =
        (sum("/status/replicas"), sum("/status/readyReplicas"), sum("/status/availableReplicas"));
    let complete = newest.is_some()
        && updated == desired
        && total == desired
        && available == desired
        && updated_available == desired;
    let name = text(deployment, "/metadata/name").to_owned();
    let late = is_late(
        world,
        deployment,
        complete,
        [updated, updated_available, total, number(deployment, "/metadata/generation")],
        marks,
    );
    let set_name = newest.map(|set| text(set, "/metadata/name").to_owned()).unwrap_or_default();
    let (progress, reason, message) = match (complete, late) {
        (true, _) => {
            ("True", "NewReplicaSetAvailable", format!("ReplicaSet \"{set_name}\" has successfully progressed."))
        }
        (false, true) => {
            ("False", "ProgressDeadlineExceeded", format!("ReplicaSet \"{set_name}\" has timed out progressing."))
        }
        (false, false) => ("True", "ReplicaSetUpdated", format!("ReplicaSet \"{set_name}\" is progressing.")),
    };
    let unavailable = resolved(deployment.pointer("/spec/strategy/rollingUpdate/maxUnavailable"), desired, false);
    let serves = available >= desired - unavailable;
    let serving = match serves {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let before = conditions_of(deployment);
    let mut conditions = vec![
        condition(&before, "Available", serving.0, serving.1, serving.2),
        condition(&before, "Progressing", progress, reason, &message),
    ];
    // The newest ReplicaSet's is the Deployment's.
    let failure = newest.map(conditions_of).unwrap_or_default().into_iter();
    conditions.extend(failure.filter(|condition| text(condition, "/type") == "ReplicaFailure"));
    let conditions = Value::Array(conditions);
    let observed = deployment.pointer("/metadata/generation").cloned().unwrap_or_default();
    let _ = world.cluster.update_status(resource("deployments"), Some(namespace), &name, MANAGER, None, |object| {
        let mut status = serde_json::Map::new();
        status.insert("observedGeneration".to_owned(), observed);
        // Zeros are left out, as Go's omitempty leaves them out.
        let counts = [
            ("replicas", total),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", available),
            ("unavailableReplicas", (desired - available).max(0)),
        ];
        status.extend(
            counts.into_iter().filter(|(_, count)| *count != 0).map(|(name, count)| (name.to_owned(), json!(count))),
        );
        status.insert("conditions".to_owned(), conditions);
        object["status"] = Value::Object(status);
    });
    complete
}

fn conditions_of(object: &Value) -> Vec<Value> {
    object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn condition(before: &[Value], kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let same = before.iter().find(|condition| text(condition, "/type") == kind && text(condition, "/status") == status);
    let moved = same.map_or_else(|| json!(now()), |same| same["lastTransitionTime"].clone());
    let unchanged = same.filter(|same| text(same, "/reason") == reason && text(same, "/message") == message);
    let updated = unchanged.map_or_else(|| json!(now()), |same| same["lastUpdateTime"].clone());
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": moved, "lastUpdateTime": updated})
}

/// Whether nothing came forward for as long as the deadline allows.
fn is_late(world: &World, deployment: &Value, complete: bool, progress: [i64; 4], marks: &mut Marks) -> bool {
    let key = (text(deployment, "/metadata/namespace").to_owned(), text(deployment, "/metadata/name").to_owned());
    if complete {
        marks.remove(&key);
        return false;
    }
    let mark = marks.entry(key).or_insert_with(|| (Instant::now(), progress));
    if mark.1 != progress {
        *mark = (Instant::now(), progress);
    }
    let seconds = deployment.pointer("/spec/progressDeadlineSeconds").and_then(Value::as_u64).unwrap_or(600);
    let deadline = match super::pods::is_stuck(world, deployment) {
        true => SHORT_DEADLINE,
        false => Duration::from_secs(seconds),
    };
    mark.0.elapsed() > deadline
}

/// Keeps as many pods as asked for; a surplus goes from the newest and the not ready ones.
fn replica_set(world: &World, namespace: &str, set: &Value) {
    let all = world.cluster.list(resource("pods"), Some(namespace));
    let pods: Vec<&Value> = all.iter().filter(|pod| owned_by(pod, set)).collect();
    let mut staying: Vec<&&Value> = pods.iter().filter(|pod| !is_leaving(pod)).collect();
    let wanted = usize::try_from(number(set, "/spec/replicas")).unwrap_or(0);
    let mut refused = None;
    for _ in staying.len()..wanted {
        let mut pod = pod_of(set, namespace, "ReplicaSet");
        pod["metadata"]["generateName"] = json!(format!("{}-", text(set, "/metadata/name")));
        refused = exceeded(&world.cluster, namespace);
        if let Some(why) = &refused {
            refused = Some(format!("pods \"{}-\" is forbidden: {why}", text(set, "/metadata/name")));
            break;
        }
        let _ = world.cluster.create(resource("pods"), Some(namespace), pod, MANAGER);
    }
    staying.sort_by_key(|pod| (is_ready(pod), std::cmp::Reverse(text(pod, "/metadata/creationTimestamp").to_owned())));
    for pod in staying.iter().take(staying.len().saturating_sub(wanted)) {
        let _ = world.cluster.delete(resource("pods"), Some(namespace), text(pod, "/metadata/name"));
    }
    let count = |holds: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| !is_leaving(pod) && holds(pod)).count();
    let (total, ready) = (count(&|_| true), count(&is_ready));
    let observed = set.pointer("/metadata/generation").cloned().unwrap_or_default();
    let _ = world.cluster.update_status(
        resource("replicasets"),
        Some(namespace),
        text(set, "/metadata/name"),
        MANAGER,
        None,
        |object| {
            let mut status = json!({"replicas": total, "observedGeneration": observed});
            if total > 0 {
                status["fullyLabeledReplicas"] = json!(total);
            }
            if ready > 0 {
                status["readyReplicas"] = json!(ready);
                status["availableReplicas"] = json!(ready);
            }
            if let Some(why) = &refused {
                let before = conditions_of(object);
                status["conditions"] = json!([condition(&before, "ReplicaFailure", "True", "FailedCreate", why)]);
            }
            object["status"] = status;
        },
    );
}

pub(super) fn pod_of(owner: &Value, namespace: &str, kind: &str) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod"});
    let template = owner.pointer("/spec/template").cloned().unwrap_or_default();
    pod["metadata"] = template.get("metadata").cloned().unwrap_or_else(|| json!({}));
    pod["metadata"]["namespace"] = json!(namespace);
    pod["metadata"]["ownerReferences"] = owner_reference(owner, "apps/v1", kind);
    pod["spec"] = template.get("spec").cloned().unwrap_or_default();
    // On a node at once: a pod without one would be deleted without any grace.
    pod["spec"]["nodeName"] = json!("sandbox-node");
    pod["status"] = json!({"phase": "Pending"});
    pod
}

/// A StatefulSet, or a DaemonSet on the sandbox's one node: pods by ordinal, replaced one after the other from the end.
fn ordered_set(world: &World, namespace: &str, kind: &'static Resource, set: &Value) {
    let name = text(set, "/metadata/name");
    let daemon = kind.plural == "daemonsets";
    let desired = if daemon { 1 } else { set.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1) };
    let revision = format!("{name}-{}", &world.controllers.private_hash(&bare_template(set).to_string())[..10]);
    let all = world.cluster.list(resource("pods"), Some(namespace));
    let pods: Vec<&Value> = all.iter().filter(|pod| owned_by(pod, set)).collect();
    let is_new = |pod: &&&Value| text(pod, "/metadata/labels/controller-revision-hash") == revision;
    let on_delete = text(set, "/spec/updateStrategy/type") == "OnDelete";
    let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition");
    let all_there =
        i64::try_from(pods.len()).unwrap_or(0) == desired && pods.iter().all(|pod| is_ready(pod) && !is_leaving(pod));
    for ordinal in 0..desired {
        let pod_name = if daemon { format!("{name}-node1") } else { format!("{name}-{ordinal}") };
        if pods.iter().any(|pod| text(pod, "/metadata/name") == pod_name) {
            continue;
        }
        let mut pod = pod_of(set, namespace, kind.kind);
        pod["metadata"]["name"] = json!(pod_name);
        pod["metadata"]["labels"]["controller-revision-hash"] = json!(revision);
        let _ = world.cluster.create(resource("pods"), Some(namespace), pod, MANAGER);
    }
    if all_there && !on_delete {
        let last_old = (partition..desired).rev().find_map(|ordinal| {
            let pod_name = if daemon { format!("{name}-node1") } else { format!("{name}-{ordinal}") };
            pods.iter().find(|pod| text(pod, "/metadata/name") == pod_name && !is_new(pod))
        });
        if let Some(pod) = last_old {
            let _ = world.cluster.delete(resource("pods"), Some(namespace), text(pod, "/metadata/name"));
        }
    }
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let updated = pods.iter().filter(is_new).count();
    let observed = set.pointer("/metadata/generation").cloned().unwrap_or_default();
    let current = match updated == pods.len() {
        true => revision.clone(),
        false => text(set, "/status/currentRevision").to_owned(),
    };
    let status = match daemon {
        true => {
            json!({"observedGeneration": observed, "desiredNumberScheduled": desired, "currentNumberScheduled": pods.len(),
            "numberMisscheduled": 0, "numberReady": ready, "numberAvailable": ready, "updatedNumberScheduled": updated})
        }
        false => {
            json!({"observedGeneration": observed, "replicas": pods.len(), "readyReplicas": ready, "availableReplicas": ready,
            "updatedReplicas": updated, "currentRevision": current, "updateRevision": revision})
        }
    };
    let _ = world.cluster.update_status(kind, Some(namespace), name, MANAGER, None, |object| object["status"] = status);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    /// The Deployment's revisions that have a ReplicaSet, and whether pods of an older template still end.
    async fn after_changes(limit: u64, changes: usize) -> (Vec<i64>, bool) {
        let world = Arc::new(World::new(Options {
            accounts: 0,
            sync_delay: Duration::ZERO,
            pod_start: Duration::ZERO,
            faults: vec!["pod-slow-to-stop=1h".parse().unwrap()],
            seed: None,
            directory: "unused".into(),
        }));
        let create = |plural: &str, namespace, object| {
            world.cluster.create(resource(plural), namespace, object, "test").unwrap();
        };
        create("namespaces", None, json!({"metadata": {"name": "acme"}}));
        let template =
            json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let selector = json!({"matchLabels": {"app": "web"}});
        let spec = json!({"replicas": 2, "revisionHistoryLimit": limit, "selector": selector, "template": template});
        create("deployments", Some("acme"), json!({"metadata": {"name": "web"}, "spec": spec}));
        let _controllers = crate::controllers::spawn(Arc::clone(&world));
        let list = |plural: &str| world.cluster.list(resource(plural), Some("acme"));
        for change in 0..=changes {
            let kind = resource("deployments");
            let newer = |object: &mut Value| {
                object["spec"]["template"]["metadata"]["annotations"] = json!({"a": change.to_string()});
            };
            world.cluster.update(kind, Some("acme"), "web", "test", None, newer).unwrap();
            let is_complete = || {
                let web = world.cluster.get(kind, Some("acme"), "web").unwrap();
                let done = text(&web, "/status/conditions/1/reason") == "NewReplicaSetAvailable";
                done && number(&web, "/status/observedGeneration") == number(&web, "/metadata/generation")
            };
            let rolled_out = async {
                while !is_complete() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), rolled_out).await.expect("rolled out");
        }
        let revisions = || {
            let mut all: Vec<i64> = list("replicasets").iter().map(revision_of).collect();
            all.sort_unstable();
            all
        };
        let wanted = usize::try_from(limit).unwrap() + 1;
        let until = std::time::Instant::now() + Duration::from_secs(5);
        while revisions().len() > wanted && std::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (revisions(), list("pods").iter().any(is_leaving))
    }

    #[tokio::test]
    async fn replica_sets_beyond_the_limit_go_the_oldest_first_while_their_pods_still_end() {
        for (limit, left) in [(0, 1), (1, 2), (10, 4)] {
            let (revisions, pods_still_end) = after_changes(limit, 3).await;
            // The newest ones are left, one after the other.
            let newest = revisions.last().copied().unwrap_or(0);
            let expected: Vec<i64> = (newest - left + 1..=newest).collect();
            if limit < 10 {
                assert_eq!(revisions, expected, "limit {limit}");
            } else {
                assert!(revisions.len() >= 4, "limit {limit}: {revisions:?}");
            }
            assert!(pods_still_end, "limit {limit}");
        }
    }
}
