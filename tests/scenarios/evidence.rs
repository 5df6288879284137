//! Each kind of evidence that a pod has the key, as one row of a table: found by `verify`, moved or evicted or left or told by `rotate`,
//! and refused by `finalize` while it runs under a value that nobody shows to be the newest.
//!
//! All rows live in one account and are played through one rotation: none of them may hide another.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::account::{Account, After};
use crate::world::{Kind, annotation, kubelet, until};

/// What stands behind a row in the real world. In the sandbox nothing but its own controllers does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plane {
    /// The real controller.
    Controller,
    /// Objects alone, that nobody makes again: the cluster lacks the controller, or the whole API.
    Objects,
    /// The real garbage collector takes it away at once, so that there is nothing to find.
    Collected,
}

use Plane::{Collected, Controller, Objects};

/// One kind of evidence.
struct Row {
    /// The kind, in words.
    kind: &'static str,
    plane: Plane,
    make: fn(&Account),
    /// `Kind/name` as `readers[]` has it, with `*` for what a controller adds to a name.
    reader: &'static str,
    /// Its standing and what moves it, in `readers[]` before the rotation.
    found: &'static str,
    /// What a rotation without a word about it says; nothing where it goes on.
    refused: &'static str,
    /// The flag that says what becomes of it.
    word: &'static str,
    /// Standing, way and `left` in the rotation's `readers[]`; `-` where nothing of it reads any more.
    after: &'static str,
    /// Its name in the refusal of `finalize`; nothing where it is no reason to refuse.
    finalize: &'static str,
}

/// An owner that nobody here knows.
const ANY_UID: &str = "11111111-2222-3333-4444-555555555555";

#[rustfmt::skip]
const TABLE: [Row; 24] = [
    Row { kind: "no owner: a bare pod", plane: Objects, make: |to| pod(to, "bare", reading(), Value::Null),
        reader: "Pod/bare", found: "new -", refused: "pod bare reads", word: "--leave pod/bare", after: "unproven - left", finalize: "pod bare" },
    Row { kind: "one owner: a ReplicaSet alone", plane: Controller, make: |to| replica_set(to, "alone", reading(), Value::Null),
        reader: "ReplicaSet/alone", found: "new -", refused: "of ReplicaSet/alone reads", word: "--evict replicaset/alone", after: "new eviction", finalize: "" },
    Row { kind: "two owners: a Deployment", plane: Controller, make: |to| deployment(to, "plain", reading(), Value::Null),
        reader: "Deployment/plain", found: "new restart", refused: "", word: "", after: "new restart", finalize: "" },
    Row { kind: "two owners: a ReplicaSet of a custom resource", plane: Controller,
        make: |to| replica_set(to, "checkout-5df7", reading(), owner("argoproj.io/v1alpha1", "Rollout", "checkout", ANY_UID)),
        reader: "Rollout/checkout", found: "new -", refused: "of Rollout/checkout (ReplicaSet checkout-5df7) reads", word: "--evict rollout/checkout", after: "new eviction", finalize: "" },
    Row { kind: "three owners: a Deployment of a custom resource", plane: Controller,
        make: |to| deployment(to, "managed", reading(), owner("apps.example.com/v1", "WebApp", "managed", ANY_UID)),
        reader: "Deployment/managed", found: "new restart", refused: "", word: "", after: "new restart", finalize: "" },
    Row { kind: "owned by a custom resource of an API that the server does not serve", plane: Objects,
        make: |to| pod(to, "db-1", reading(), owner("db.example.com/v1", "Cluster", "db", ANY_UID)),
        reader: "Cluster/db", found: "new -", refused: "pod db-1 of Cluster/db reads", word: "--evict cluster/db", after: "-", finalize: "" },
    Row { kind: "owned by way of an API version that the server does not serve", plane: Objects,
        make: |to| pod(to, "legacy-1", reading(), owner("extensions/v1beta1", "ReplicaSet", "legacy", ANY_UID)),
        reader: "ReplicaSet/legacy", found: "new -", refused: "pod legacy-1 of ReplicaSet/legacy reads", word: "--leave rs/legacy", after: "unproven - left", finalize: "pod legacy-1 of ReplicaSet/legacy" },
    Row { kind: "owner gone: the ReplicaSet of a Deployment that was deleted", plane: Controller, make: orphaned_replica_set,
        reader: "ReplicaSet/widow-*", found: "new -", refused: "of ReplicaSet/widow-", word: "--evict replicaset/widow-*", after: "new eviction", finalize: "" },
    Row { kind: "owner gone: the pod of a ReplicaSet that was deleted", plane: Objects, make: orphaned_pod,
        reader: "Pod/orphan-*", found: "new -", refused: "pod orphan-", word: "--leave pod/orphan-*", after: "unproven - left", finalize: "pod orphan-" },
    Row { kind: "owner gone: a reference to nothing", plane: Collected,
        make: |to| pod(to, "dangling", reading(), owner("apps/v1", "ReplicaSet", "nowhere", ANY_UID)),
        reader: "ReplicaSet/nowhere", found: "new -", refused: "pod dangling of ReplicaSet/nowhere (gone) reads", word: "--leave pod/dangling", after: "unproven - left", finalize: "pod dangling of ReplicaSet/nowhere (gone)" },
    Row { kind: "the owner's template does not name the Secret: injected into the pod", plane: Controller, make: injected,
        reader: "Deployment/injected", found: "new restart", refused: "", word: "", after: "-", finalize: "" },
    Row { kind: "a pod of an older template", plane: Controller, make: older_template,
        reader: "ReplicaSet/edited", found: "new -", refused: "of ReplicaSet/edited reads", word: "--evict replicaset/edited", after: "-", finalize: "" },
    Row { kind: "ephemeral container", plane: Objects, make: debugged,
        reader: "Pod/debugged", found: "new -", refused: "pod debugged reads", word: "--leave pod/debugged", after: "unproven - left", finalize: "pod debugged" },
    Row { kind: "sidecar", plane: Controller, make: |to| deployment(to, "meshed", with_sidecar(), Value::Null),
        reader: "Deployment/meshed", found: "new restart", refused: "", word: "", after: "new restart", finalize: "" },
    Row { kind: "projected volume", plane: Controller, make: |to| deployment(to, "projected", with_projected(), Value::Null),
        reader: "Deployment/projected", found: "new restart", refused: "", word: "", after: "new restart", finalize: "" },
    // The driver reads Secret Manager itself: told, and not moved. Google's clock and the cluster's may differ by minutes.
    Row { kind: "CSI volume", plane: Controller, make: mounted_class,
        reader: "Deployment/mounting", found: "unproven -", refused: "", word: "", after: "unproven -", finalize: "of Deployment/mounting" },
    Row { kind: "Terminating", plane: Objects, make: leaving,
        reader: "Pod/leaving", found: "new end", refused: "", word: "", after: "unproven end", finalize: "pod leaving" },
    Row { kind: "Pending on a node", plane: Objects, make: pending,
        reader: "Pod/pending", found: "new -", refused: "pod pending reads", word: "--leave pod/pending", after: "unproven - left", finalize: "pod pending" },
    Row { kind: "StatefulSet with OnDelete", plane: Controller, make: |to| on_delete(to, "StatefulSet", "ledger"),
        reader: "StatefulSet/ledger", found: "new restart", refused: "statefulset/ledger", word: "--evict sts/ledger", after: "new eviction", finalize: "" },
    Row { kind: "DaemonSet with OnDelete", plane: Controller, make: |to| on_delete(to, "DaemonSet", "agent"),
        reader: "DaemonSet/agent", found: "new restart", refused: "daemonset/agent", word: "--evict ds/agent", after: "new eviction", finalize: "" },
    Row { kind: "Job of a CronJob that was edited since", plane: Controller, make: |to| { job_of_a_cron_job(to, "nightly"); edited_cron_job(to, "nightly"); },
        reader: "CronJob/nightly", found: "new end", refused: "", word: "", after: "unproven end", finalize: "job nightly-1 of CronJob/nightly" },
    Row { kind: "Job of a CronJob", plane: Controller, make: |to| job_of_a_cron_job(to, "hourly"),
        reader: "CronJob/hourly", found: "new end", refused: "", word: "", after: "unproven end", finalize: "cronjob hourly" },
    Row { kind: "ReplicationController", plane: Objects, make: |to| pod(to, "veteran-1", reading(), replication_controller(to, "veteran")),
        reader: "ReplicationController/veteran", found: "new -", refused: "pod veteran-1 of ReplicationController/veteran reads", word: "--evict rc/veteran", after: "-", finalize: "" },
    Row { kind: "step of a Workflow", plane: Objects, make: workflow_step,
        reader: "Workflow/export", found: "new end", refused: "", word: "", after: "unproven end", finalize: "pod export-1 of Workflow/export" },
];

/// What is told of the CSI volume's class.
const CLASS: &str = "SecretProviderClass keys mounts evidence_account_secret into pod mounting-";

fn env() -> Value {
    json!([{"name": "SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": "backend-secrets", "key": "SECRET_KEY"}}}])
}

fn reading() -> Value {
    json!({"containers": [{"name": "main", "image": "main:1", "env": env()}]})
}

fn idle() -> Value {
    json!({"containers": [{"name": "main", "image": "main:1"}]})
}

fn with_sidecar() -> Value {
    let mut spec = idle();
    spec["initContainers"] = json!([{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always", "env": env()}]);
    spec
}

fn with_projected() -> Value {
    let mut spec = idle();
    let sources = json!([{"secret": {"name": "backend-secrets", "items": [{"key": "SECRET_KEY", "path": "key"}]}}]);
    spec["volumes"] = json!([{"name": "keys", "projected": {"sources": sources}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "keys", "mountPath": "/keys"}]);
    spec
}

fn with_class() -> Value {
    let mut spec = idle();
    let attributes = json!({"secretProviderClass": "keys"});
    let csi = json!({"driver": "secrets-store.csi.k8s.io", "readOnly": true, "volumeAttributes": attributes});
    spec["volumes"] = json!([{"name": "keys", "csi": csi}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "keys", "mountPath": "/keys"}]);
    spec
}

fn owner(api_version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!([{"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true}])
}

fn with_owner(mut object: Value, owner: Value) -> Value {
    if !owner.is_null() {
        object["metadata"]["ownerReferences"] = owner;
    }
    object
}

fn pod(to: &Account, name: &str, spec: Value, owner: Value) {
    to.create(with_owner(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}), owner));
}

fn of_apps(to: &Account, kind: &str, name: &str, spec: Value, more: Value, owner: Value) {
    let labels = json!({"app": name});
    let mut object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}});
    more.as_object().into_iter().flatten().for_each(|(field, value)| object["spec"][field] = value.clone());
    to.create(with_owner(object, owner));
}

fn deployment(to: &Account, name: &str, spec: Value, owner: Value) {
    of_apps(to, "Deployment", name, spec, json!({"replicas": 1}), owner);
}

fn replica_set(to: &Account, name: &str, spec: Value, owner: Value) {
    of_apps(to, "ReplicaSet", name, spec, json!({"replicas": 1}), owner);
}

fn on_delete(to: &Account, kind: &str, name: &str) {
    let mut more = json!({"updateStrategy": {"type": "OnDelete"}});
    if kind == "StatefulSet" {
        (more["serviceName"], more["replicas"]) = (name.into(), 1.into());
    }
    of_apps(to, kind, name, reading(), more, Value::Null);
}

/// The names of the pods with this label, that are ready.
fn ready(of: &Account, app: &str) -> Vec<String> {
    let pods = of.world.get(&["pods", "-n", &of.name, "-l", &format!("app={app}")]);
    let is_ready = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array();
        let leaves = pod["metadata"]["deletionTimestamp"].is_string();
        !leaves && conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
    };
    let pods = pods["items"].as_array().expect("a list").iter().filter(is_ready);
    pods.map(|pod| pod["metadata"]["name"].as_str().expect("text").to_owned()).collect()
}

fn delete(of: &Account, more: &[&str]) {
    of.world.kubectl(&[&["delete", "-n", &of.name], more].concat());
}

fn orphaned_replica_set(to: &Account) {
    deployment(to, "widow", reading(), Value::Null);
    until("its pod runs", || ready(to, "widow").len() == 1);
    delete(to, &["deployment", "widow", "--cascade=orphan"]);
}

fn orphaned_pod(to: &Account) {
    replica_set(to, "orphan", reading(), Value::Null);
    until("its pod runs", || ready(to, "orphan").len() == 1);
    delete(to, &["replicaset", "orphan", "--cascade=orphan"]);
    until("it belongs to nobody", || {
        let is_owned = |pod: &String| !to.get("pod", pod)["metadata"]["ownerReferences"].is_null();
        let pods = ready(to, "orphan");
        // The controller may have made another one in the moment of the deletion.
        let owned: Vec<&String> = pods.iter().filter(|pod| is_owned(pod)).collect();
        owned.iter().for_each(|pod| delete(to, &["pod", pod]));
        owned.is_empty() && pods.len() == 1
    });
}

/// A pod that has what its Deployment's template does not name, as a webhook makes it. There is none here, so it is made by hand, and then
/// handed to the ReplicaSet, which ends its own: that one is younger.
fn injected(to: &Account) {
    let labels = json!({"app": "injected"});
    let by_hand = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "injected-by-hand", "labels": {"made": "by-hand"}}, "spec": reading()});
    to.create(by_hand);
    until("it runs", || to.get("pod", "injected-by-hand")["status"]["phase"] == "Running");
    // Who is younger is judged by whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    deployment(to, "injected", idle(), Value::Null);
    until("its own pod runs", || ready(to, "injected").len() == 1);
    let sets = to.world.get(&["replicasets", "-n", &to.name, "-l", "app=injected"]);
    let set = &sets["items"][0]["metadata"];
    let text = |field: &str| set[field].as_str().expect("text");
    let mut labels = labels;
    labels["pod-template-hash"] = set["labels"]["pod-template-hash"].clone();
    let owners = owner("apps/v1", "ReplicaSet", text("name"), text("uid"));
    to.patch("pod", "injected-by-hand", &json!({"metadata": {"labels": labels, "ownerReferences": owners}}));
    until("it is the ReplicaSet's only one", || ready(to, "injected") == ["injected-by-hand"]);
}

/// A ReplicaSet does not replace its pods when its template changes.
fn older_template(to: &Account) {
    replica_set(to, "edited", reading(), Value::Null);
    until("its pod runs", || ready(to, "edited").len() == 1);
    let containers = idle()["containers"].clone();
    to.patch("replicaset", "edited", &json!({"spec": {"template": {"spec": {"containers": containers}}}}));
}

/// `kubectl debug` adds a container to a pod that runs. The sandbox does not serve that, and takes such a pod whole.
fn debugged(to: &Account) {
    let containers = json!([{"name": "shell", "image": "shell:1", "env": env()}]);
    let mut spec = idle();
    if to.world.kind == Kind::Sandbox {
        spec["ephemeralContainers"] = containers;
        return pod(to, "debugged", spec, Value::Null);
    }
    pod(to, "debugged", spec, Value::Null);
    until("it runs", || to.get("pod", "debugged")["status"]["phase"] == "Running");
    let path = format!("/api/v1/namespaces/{}/pods/debugged/ephemeralcontainers", to.name);
    // Its status is written at any time.
    until("the container is added", || {
        let mut object = to.get("pod", "debugged");
        object["spec"]["ephemeralContainers"] = containers.clone();
        to.world.try_kubectl(&["replace", "--raw", &path, "-f", "-"], Some(&object.to_string())).is_ok()
    });
}

/// On a node at once, with these annotations.
fn annotated(to: &Account, name: &str, annotations: (&str, &str), change: impl Fn(&mut Value), owner: Value) {
    let mut object = annotation(annotations.0, annotations.1);
    (object["apiVersion"], object["kind"], object["metadata"]["name"]) = ("v1".into(), "Pod".into(), name.into());
    object["spec"] = reading();
    change(&mut object["spec"]);
    to.create(with_owner(object, owner));
}

/// It was asked to go, and takes its time.
fn leaving(to: &Account) {
    let slow = |spec: &mut Value| {
        spec["terminationGracePeriodSeconds"] = 600.into();
        // The sandbox has no scheduler, and a pod on no node goes at once.
        if to.world.kind == Kind::Sandbox {
            spec["nodeName"] = "sandbox-node".into();
        }
    };
    annotated(to, "leaving", (kubelet::TERMINATE, "10m"), slow, Value::Null);
    until("it runs", || to.get("pod", "leaving")["status"]["phase"] == "Running");
    delete(to, &["pod", "leaving", "--wait=false"]);
}

fn pending(to: &Account) {
    annotated(to, "pending", (kubelet::START, "10m"), |_| {}, Value::Null);
}

fn workflow_step(to: &Account) {
    let never = |spec: &mut Value| spec["restartPolicy"] = "Never".into();
    let by = owner("argoproj.io/v1alpha1", "Workflow", "export", ANY_UID);
    annotated(to, "export-1", (kubelet::RUN, "10m"), never, by);
}

fn job_of_a_cron_job(to: &Account, name: &str) {
    let mut spec = reading();
    spec["restartPolicy"] = "Never".into();
    let mut template = annotation(kubelet::RUN, "10m");
    template["spec"] = spec;
    to.create(json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
        "spec": {"schedule": "0 0 29 2 *", "jobTemplate": {"spec": {"template": template}}}}));
    let job = format!("{name}-1");
    to.world.kubectl(&["create", "job", &job, &format!("--from=cronjob/{name}"), "-n", &to.name]);
    until("its pod runs", || to.get("job", &job)["status"]["active"] == 1);
}

fn edited_cron_job(to: &Account, name: &str) {
    let containers = idle()["containers"].clone();
    let template = json!({"template": {"spec": {"containers": containers}}});
    to.patch("cronjob", name, &json!({"spec": {"jobTemplate": {"spec": template}}}));
}

/// The reference to one. The sandbox does not serve them; in the real world it is there, and no controller is.
fn replication_controller(to: &Account, name: &str) -> Value {
    if to.world.kind == Kind::Sandbox {
        return owner("v1", "ReplicationController", name, ANY_UID);
    }
    let labels = json!({"app": name});
    to.create(json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": labels, "template": {"metadata": {"labels": labels}, "spec": reading()}}}));
    let made = to.get("replicationcontroller", name);
    owner("v1", "ReplicationController", name, made["metadata"]["uid"].as_str().expect("text"))
}

/// A SecretProviderClass with the primary, and a pod that mounts it.
fn mounted_class(to: &Account) {
    if to.world.kind == Kind::ControlPlane {
        to.world.create(&json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "secretproviderclasses.secrets-store.csi.x-k8s.io"},
            "spec": {"group": "secrets-store.csi.x-k8s.io", "scope": "Namespaced",
                "names": {"kind": "SecretProviderClass", "plural": "secretproviderclasses"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}));
        until("it is served", || to.world.try_kubectl(&["get", "secretproviderclasses", "-n", &to.name], None).is_ok());
    }
    let secrets = format!(
        "- resourceName: projects/{}/secrets/{}/versions/latest\n  path: key\n",
        crate::world::PROJECT,
        to.primary()
    );
    to.create(json!({"apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass", "metadata": {"name": "keys"},
        "spec": {"provider": "gcp", "parameters": {"secrets": secrets}}}));
    deployment(to, "mounting", with_class(), Value::Null);
}

/// A name of the table, with what stands for its `*`.
fn is_it(name: &str, found: &str) -> bool {
    match name.strip_suffix('*') {
        Some(prefix) => found.starts_with(prefix),
        None => found == name,
    }
}

/// `standing movedBy left` of the readers of this name, each once.
fn readers(result: &Value, name: &str) -> BTreeSet<String> {
    let all = result["readers"].as_array().expect("a list").iter();
    let own = all.filter(|reader| {
        is_it(name, &format!("{}/{}", reader["kind"].as_str().unwrap_or("?"), reader["name"].as_str().unwrap_or("?")))
    });
    let told = own.map(|reader| {
        let left = if reader["left"] == true { " left" } else { "" };
        format!("{} {}{left}", reader["standing"].as_str().unwrap_or("?"), reader["movedBy"].as_str().unwrap_or("-"))
    });
    told.collect()
}

/// The words of the flag, with the name that a controller gave.
fn words(result: &Value, row: &Row) -> Vec<String> {
    let Some((flag, name)) = row.word.split_once(' ') else { return Vec::new() };
    let Some((kind, prefix)) = name.strip_suffix('*').and_then(|name| name.split_once('/')) else {
        return vec![flag.to_owned(), name.to_owned()];
    };
    let names = result["readers"].as_array().expect("a list").iter().filter_map(|reader| reader["name"].as_str());
    let name = names.into_iter().find(|name| name.starts_with(prefix)).unwrap_or_else(|| panic!("{}", row.kind));
    vec![flag.to_owned(), format!("{kind}/{name}")]
}

/// What these checks of a result say.
fn said(result: &Value, id: &str) -> Vec<String> {
    let checks = result["checks"].as_array().expect("checks").iter();
    let own = checks.filter(|check| check["id"] == id && check["result"] != "pass");
    own.filter_map(|check| check["message"].as_str()).map(str::to_owned).collect()
}

/// Gives it a while, and leaves the judgement to the caller.
fn until_or_not(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !holds() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// Makes the objects of every row, a few rows at a time: most of it is waiting.
fn make_all(account: &Account) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(row) = TABLE.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    (row.make)(account);
                }
            });
        }
    });
}

/// Notes what is not as the table says, so that one play tells of every row.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, holds: bool, row: &Row, what: String) {
        if !holds {
            self.0.push(format!("{}: {what}", row.kind));
        }
    }
}

/// Says of each row whether some message is about it, and of each message whether it is of a row.
fn compare(wrong: &mut Wrong, rows: &[&Row], messages: &[String], of: fn(&Row) -> &'static str, what: &str) {
    for row in rows {
        let own = |message: &&String| !of(row).is_empty() && message.contains(of(row));
        wrong.unless(
            of(row).is_empty() || messages.iter().any(|message| own(&message)),
            row,
            format!("{what} does not say {:?}", of(row)),
        );
    }
    let known = |message: &&String| rows.iter().any(|row| !of(row).is_empty() && message.contains(of(row)));
    wrong.0.extend(
        messages.iter().filter(|message| !known(message)).map(|message| format!("{what} says too much: {message}")),
    );
}

#[needs(kubectl)]
#[test]
fn each_kind_of_evidence_is_found_moved_or_left_and_no_finalization_passes_it() {
    let account = Account::new(After::Globex, "evidence");
    let on_the_plane = account.world.kind == Kind::ControlPlane;
    make_all(&account);
    let rows: Vec<&Row> = TABLE.iter().filter(|row| !(on_the_plane && row.plane == Collected)).collect();
    let mut wrong = Wrong::default();
    // What the garbage collector takes is no row there, and nothing but that is.
    until("what is collected is gone", || {
        !on_the_plane || account.world.try_kubectl(&["get", "pod", "dangling", "-n", &account.name], None).is_err()
    });
    let mut found = Value::Null;
    let as_told = |found: &Value, row: &Row| readers(found, row.reader) == BTreeSet::from([row.found.to_owned()]);
    until_or_not(|| {
        found = account.run("verify", &["-o", "json"]).json();
        rows.iter().all(|row| as_told(&found, row))
    });
    for row in &rows {
        wrong.unless(
            as_told(&found, row),
            row,
            format!("found as {:?}, not {}", readers(&found, row.reader), row.found),
        );
    }
    let refused = account.run("rotate", &["--yes", "-o", "json"]).code(4).json();
    let messages = [said(&refused, "DD-UNMOVED-READERS"), said(&refused, "DD-HELD-BACK")].concat();
    compare(&mut wrong, &rows, &messages, |row| row.refused, "the refusal");
    account.untouched();

    let words: Vec<String> = rows.iter().flat_map(|row| self::words(&found, row)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if on_the_plane {
        account
            .run("rotate", &[&["--yes"], words.as_slice()].concat())
            .code(1)
            .says("not allowed to create pods/eviction");
        crate::rights::grant_evictions(&account);
    }
    let rotated =
        account.run("rotate", &[&["--yes", "-o", "json"], words.as_slice()].concat()).code(0).says(CLASS).json();
    for row in &rows {
        let expected: BTreeSet<String> = Some(row.after.to_owned()).filter(|after| after != "-").into_iter().collect();
        let after = readers(&rotated, row.reader);
        wrong.unless(after == expected, row, format!("after the rotation it is {after:?}, not {expected:?}"));
    }
    account.rotated(4);

    let back_compat = account.versions(&account.back_compat());
    let refused = account.run("finalize", &["--yes", "--reencrypted", "-o", "json"]).code(4).json();
    let messages = said(&refused, "DD-OLD-READERS");
    compare(&mut wrong, &rows, &messages, |row| row.finalize, "finalize");
    let why = |message: &&String| message.contains("nothing shows that");
    assert!(messages.iter().all(|message| why(&message)), "{messages:?}");
    assert_eq!(account.versions(&account.back_compat()), back_compat);
    assert!(wrong.0.is_empty(), "{}", wrong.0.join("\n"));

    // Once they are gone nothing is in the way. What was evicted is evicted once more: it is to read the back-compat's new value.
    delete(&account, &["cronjob", "nightly", "hourly"]);
    let left: Vec<&str> = words.chunks(2).filter(|word| word[0] == "--leave").map(|word| word[1]).collect();
    let left = left.into_iter().filter_map(|name| name.strip_prefix("pod/"));
    let ended: Vec<&str> = left.chain(["leaving", "legacy-1", "export-1"]).collect();
    delete(&account, &[&["pod", "--grace-period=0", "--force"], ended.as_slice()].concat());
    until("they are gone", || {
        let pods = account.pods();
        !pods.iter().any(|pod| {
            ended.contains(&pod.name.as_str()) || ["nightly", "hourly"].iter().any(|job| pod.name.starts_with(job))
        })
    });
    let evict: Vec<&str> = words.chunks(2).filter(|word| word[0] == "--evict").flatten().copied().collect();
    let agreed = ["--yes", "--reencrypted", "-o", "json", "--leave", "deployment/mounting"];
    let finalized = account.run("finalize", &[&agreed, evict.as_slice()].concat()).code(0).says(CLASS).json();
    let of = |name: &str| readers(&finalized, name);
    assert_eq!(of("Rollout/checkout"), BTreeSet::from(["new eviction".to_owned()]));
    assert_eq!(of("Deployment/plain"), BTreeSet::from(["new restart".to_owned()]));
}
