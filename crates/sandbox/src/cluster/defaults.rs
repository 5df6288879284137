//! What the server fills in where the writer left it out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::meta::{self, text};
use super::resource::Resource;

/// Fills in the defaults of the object's kind, and puts it into the one form in which it is kept.
pub(super) fn apply(resource: &Resource, object: &mut Value) {
    tidy(resource, object);
    match resource.plural {
        "secrets" => secret(object),
        "namespaces" => namespace(object),
        "pods" => pod(object),
        "deployments" => deployment(&mut object["spec"]),
        "replicasets" => {
            fill(&mut object["spec"], json!({"replicas": 1}));
            template(&mut object["spec"]["template"]);
        }
        "statefulsets" => stateful_set(&mut object["spec"]),
        "daemonsets" => daemon_set(&mut object["spec"]),
        "jobs" => job_spec(&mut object["spec"]),
        "cronjobs" => cron_job(&mut object["spec"]),
        "externalsecrets" => external_secret(&mut object["spec"]),
        "clusterexternalsecrets" => external_secret(&mut object["spec"]["externalSecretSpec"]),
        _ => {}
    }
}

/// Sets what is the server's own in a new object: nobody owns these fields.
pub(super) fn by_server(resource: &Resource, object: &mut Value) {
    match resource.plural {
        "namespaces" => {
            fill(&mut object["spec"], json!({"finalizers": ["kubernetes"]}));
            fill(&mut object["status"], json!({"phase": "Active"}));
        }
        "pods" => admitted_pod(object),
        "services" => {
            fill(&mut object["spec"], json!({"type": "ClusterIP", "clusterIP": "10.96.0.1"}));
            fill(&mut object["status"], json!({"loadBalancer": {}}));
        }
        "daemonsets" => {
            count_template(object);
            let none = json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0});
            fill(&mut object["status"], none);
        }
        "replicasets" => fill(&mut object["status"], json!({"replicas": 0})),
        "statefulsets" => {
            fill(&mut object["spec"], json!({"serviceName": ""}));
            fill(&mut object["status"], json!({"replicas": 0, "availableReplicas": 0}));
        }
        "jobs" => chosen_selector(object),
        _ => {}
    }
    if resource.has_status && !resource.custom {
        fill(&mut object["status"], json!({}));
    }
}

/// What admission adds to a pod.
fn admitted_pod(pod: &mut Value) {
    let account = json!({"serviceAccountName": "default", "serviceAccount": "default", "priority": 0});
    fill(&mut pod["spec"], account);
    fill(&mut pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
}

/// A DaemonSet counts the changes of its template in an annotation.
pub(super) fn count_template(daemon_set: &mut Value) {
    let counter = &mut daemon_set["metadata"]["annotations"]["deprecated.daemonset.template.generation"];
    let count: u64 = counter.as_str().and_then(|count| count.parse().ok()).unwrap_or(0);
    *counter = json!((count + 1).to_string());
}

/// The server chooses a job's selector, so that no two jobs share pods.
fn chosen_selector(job: &mut Value) {
    if job["spec"]["manualSelector"] == true || !job["spec"].get("selector").is_none_or(Value::is_null) {
        return;
    }
    let (name, uid) = (meta::name(job), meta::uid(job));
    let labels = json!({"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name,
        "controller-uid": uid, "job-name": name});
    job["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    fill(&mut job["spec"]["template"]["metadata"]["labels"], labels);
    // A job without labels of its own takes those of its pods.
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    if job["metadata"].get("labels").is_none() {
        job["metadata"]["labels"] = labels;
    }
}

/// Sets the fields that are missing; those that are there stay.
fn fill(object: &mut Value, defaults: Value) {
    if object.is_null() {
        *object = json!({});
    }
    if let (Some(fields), Value::Object(defaults)) = (object.as_object_mut(), defaults) {
        for (key, value) in defaults {
            fields.entry(key).or_insert(value);
        }
    }
}

/// Takes out what the real server's types do not write: nulls, empty lists, and empty maps where those mean nothing.
fn tidy(resource: &Resource, object: &mut Value) {
    match object.as_object_mut() {
        Some(fields) if resource.custom => {
            if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                tidy_fields(metadata);
            }
        }
        Some(fields) => tidy_fields(fields),
        None => {}
    }
}

fn tidy_fields(fields: &mut Map<String, Value>) {
    const MEANS_NOTHING: &[&str] = &[
        "annotations",
        "labels",
        "matchLabels",
        "data",
        "binaryData",
        "stringData",
        "nodeSelector",
        "limits",
        "requests",
    ];
    fields.retain(|key, value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(inner) => !(inner.is_empty() && MEANS_NOTHING.contains(&key.as_str())),
        _ => true,
    });
    for (key, value) in fields.iter_mut() {
        // A writer's own map may hold anything; the fields of managers are empty maps by nature.
        if matches!(key.as_str(), "managedFields" | "annotations" | "labels" | "data") {
            continue;
        }
        match value {
            Value::Object(inner) => tidy_fields(inner),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(tidy_fields),
            _ => {}
        }
    }
}

fn secret(secret: &mut Value) {
    if let Some(Value::Object(plain)) = secret.as_object_mut().and_then(|fields| fields.shift_remove("stringData")) {
        for (key, value) in plain {
            secret["data"][key] = json!(STANDARD.encode(text(&value)));
        }
    }
    fill(secret, json!({"type": "Opaque"}));
}

fn namespace(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
}

fn pod(pod: &mut Value) {
    pod_spec(&mut pod["spec"]);
    fill(&mut pod["spec"], json!({"enableServiceLinks": true}));
}

fn deployment(spec: &mut Value) {
    fill(spec, json!({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}));
    // The real type has no word for "not paused".
    if spec["paused"] == false
        && let Some(fields) = spec.as_object_mut()
    {
        fields.shift_remove("paused");
    }
    rolling(&mut spec["strategy"], json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
    template(&mut spec["template"]);
}

fn rolling(strategy: &mut Value, update: Value) {
    fill(strategy, json!({"type": "RollingUpdate"}));
    if strategy["type"] == "RollingUpdate" {
        fill(&mut strategy["rollingUpdate"], update);
    }
}

fn stateful_set(spec: &mut Value) {
    fill(spec, json!({"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"}));
    rolling(&mut spec["updateStrategy"], json!({"partition": 0}));
    template(&mut spec["template"]);
}

fn daemon_set(spec: &mut Value) {
    fill(spec, json!({"revisionHistoryLimit": 10}));
    rolling(&mut spec["updateStrategy"], json!({"maxUnavailable": 1, "maxSurge": 0}));
    template(&mut spec["template"]);
}

fn job_spec(spec: &mut Value) {
    fill(
        spec,
        json!({"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false, "manualSelector": false,
            "podReplacementPolicy": "TerminatingOrFailed"}),
    );
    template(&mut spec["template"]);
}

fn cron_job(spec: &mut Value) {
    fill(
        spec,
        json!({"concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}),
    );
    fill(&mut spec["jobTemplate"]["metadata"], json!({}));
    template(&mut spec["jobTemplate"]["spec"]["template"]);
}

fn template(template: &mut Value) {
    fill(&mut template["metadata"], json!({}));
    pod_spec(&mut template["spec"]);
}

fn pod_spec(spec: &mut Value) {
    fill(
        spec,
        json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "schedulerName": "default-scheduler"}),
    );
    if let Some(account) = spec["serviceAccountName"].as_str().map(str::to_owned) {
        fill(spec, json!({"serviceAccount": account}));
    } else if let Some(fields) = spec.as_object_mut() {
        fields.shift_remove("serviceAccountName");
    }
    for list in ["containers", "initContainers"] {
        for item in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container(item);
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        for source in ["secret", "configMap", "projected", "downwardAPI"] {
            if let Some(source) = volume.get_mut(source).filter(|source| source.is_object()) {
                fill(source, json!({"defaultMode": 420}));
            }
        }
    }
}

fn container(container: &mut Value) {
    let image = text(&container["image"]).rsplit('/').next().unwrap_or("");
    let is_floating = (!image.contains(':') || image.ends_with(":latest")) && !image.contains('@');
    let pull = if is_floating { "Always" } else { "IfNotPresent" };
    fill(
        container,
        json!({"resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "imagePullPolicy": pull}),
    );
}

/// The defaults of the CustomResourceDefinition.
fn external_secret(spec: &mut Value) {
    fill(spec, json!({"refreshInterval": "1h", "target": {}}));
    fill(&mut spec["target"], json!({"creationPolicy": "Owner", "deletionPolicy": "Retain"}));
    if let Some(template) = spec["target"].get_mut("template").filter(|template| template.is_object()) {
        fill(template, json!({"engineVersion": "v2", "mergePolicy": "Replace"}));
    }
    let remote = || json!({"conversionStrategy": "Default", "decodingStrategy": "None", "metadataPolicy": "None"});
    for item in spec.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(reference) = item.get_mut("remoteRef").filter(|reference| reference.is_object()) {
            fill(reference, remote());
        }
    }
    for item in spec.get_mut("dataFrom").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(extract) = item.get_mut("extract").filter(|extract| extract.is_object()) {
            fill(extract, remote());
        }
        if let Some(find) = item.get_mut("find").filter(|find| find.is_object()) {
            fill(find, json!({"conversionStrategy": "Default", "decodingStrategy": "None"}));
        }
    }
}
