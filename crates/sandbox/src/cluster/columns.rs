//! The columns that the real server shows for each kind.

use serde_json::{Value, json};

use super::meta::{self, text};
use super::podstatus;
use super::resource::Resource;
use crate::clock::{Clock, human};

pub(super) struct Column {
    /// The title; kubectl writes it in capitals.
    pub name: &'static str,
    /// `string`, `integer`, `boolean` or `date`.
    pub kind: &'static str,
    /// Whether only `-o wide` shows it.
    pub wide: bool,
    pub cell: fn(&Value, &Clock) -> Value,
}

const fn column(name: &'static str, cell: fn(&Value, &Clock) -> Value) -> Column {
    Column { name, kind: "string", wide: false, cell }
}

const fn number(name: &'static str, cell: fn(&Value, &Clock) -> Value) -> Column {
    Column { kind: "integer", ..column(name, cell) }
}

const fn wide(name: &'static str, cell: fn(&Value, &Clock) -> Value) -> Column {
    Column { wide: true, ..column(name, cell) }
}

const NAME: Column = column("Name", |object, _| json!(meta::name(object)));
const AGE: Column = column("Age", |object, clock| json!(clock.age(&object["metadata"]["creationTimestamp"])));
const CONTAINERS: Column = wide("Containers", |object, _| json!(each_container(&object["spec"]["template"], "name")));
const IMAGES: Column = wide("Images", |object, _| json!(each_container(&object["spec"]["template"], "image")));
const SELECTOR: Column = wide("Selector", |object, _| json!(label_selector(&object["spec"]["selector"])));

const BY_DEFAULT: &[Column] =
    &[NAME, column("Created At", |object, _| object["metadata"]["creationTimestamp"].clone())];

pub(super) fn columns(resource: &Resource) -> &'static [Column] {
    match resource.plural {
        "daemonsets" => DAEMON_SETS,
        "deployments" => DEPLOYMENTS,
        "events" => EVENTS,
        "externalsecrets" => EXTERNAL_SECRETS,
        "jobs" => JOBS,
        "leases" => LEASES,
        "namespaces" => NAMESPACES,
        "pods" => PODS,
        "replicasets" => REPLICA_SETS,
        "secrets" => SECRETS,
        "secretstores" | "clustersecretstores" => SECRET_STORES,
        "statefulsets" => STATEFUL_SETS,
        _ => BY_DEFAULT,
    }
}

const LEASES: &[Column] = &[NAME, column("Holder", |object, _| object["spec"]["holderIdentity"].clone()), AGE];

const NAMESPACES: &[Column] = &[NAME, column("Status", |object, _| object["status"]["phase"].clone()), AGE];

const SECRETS: &[Column] = &[
    NAME,
    column("Type", |object, _| object["type"].clone()),
    column("Data", |object, _| json!(count(&object["data"]))),
    AGE,
];

const PODS: &[Column] = &[
    NAME,
    column("Ready", |pod, _| json!(podstatus::of(pod).ready)),
    column("Status", |pod, _| json!(podstatus::of(pod).reason)),
    column("Restarts", |pod, _| json!(podstatus::of(pod).restarts)),
    AGE,
    wide("IP", |pod, _| or_none(&pod["status"]["podIP"])),
    wide("Node", |pod, _| or_none(&pod["spec"]["nodeName"])),
    wide("Nominated Node", |pod, _| or_none(&pod["status"]["nominatedNodeName"])),
    wide("Readiness Gates", |_, _| json!("<none>")),
];

const DEPLOYMENTS: &[Column] = &[
    NAME,
    column("Ready", |object, _| {
        json!(format!("{}/{}", integer(&object["status"]["readyReplicas"]), integer(&object["spec"]["replicas"])))
    }),
    column("Up-to-date", |object, _| json!(integer(&object["status"]["updatedReplicas"]))),
    column("Available", |object, _| json!(integer(&object["status"]["availableReplicas"]))),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const REPLICA_SETS: &[Column] = &[
    NAME,
    number("Desired", |object, _| json!(integer(&object["spec"]["replicas"]))),
    number("Current", |object, _| json!(integer(&object["status"]["replicas"]))),
    number("Ready", |object, _| json!(integer(&object["status"]["readyReplicas"]))),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const STATEFUL_SETS: &[Column] = &[
    NAME,
    column("Ready", |object, _| {
        json!(format!("{}/{}", integer(&object["status"]["readyReplicas"]), integer(&object["spec"]["replicas"])))
    }),
    AGE,
    CONTAINERS,
    IMAGES,
];

const DAEMON_SETS: &[Column] = &[
    NAME,
    number("Desired", |object, _| json!(integer(&object["status"]["desiredNumberScheduled"]))),
    number("Current", |object, _| json!(integer(&object["status"]["currentNumberScheduled"]))),
    number("Ready", |object, _| json!(integer(&object["status"]["numberReady"]))),
    number("Up-to-date", |object, _| json!(integer(&object["status"]["updatedNumberScheduled"]))),
    number("Available", |object, _| json!(integer(&object["status"]["numberAvailable"]))),
    column("Node Selector", |object, _| json!(labels_text(&object["spec"]["template"]["spec"]["nodeSelector"]))),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const JOBS: &[Column] = &[
    NAME,
    column("Status", |job, _| json!(job_status(job))),
    column("Completions", |job, _| json!(completions(job))),
    column("Duration", |job, clock| json!(job_duration(job, clock))),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const EVENTS: &[Column] = &[
    column("Last Seen", |event, clock| json!(clock.age(last_seen(event)))),
    column("Type", |event, _| event["type"].clone()),
    column("Reason", |event, _| event["reason"].clone()),
    column("Object", |event, _| {
        let object = &event["involvedObject"];
        let kind = text(&object["kind"]).to_lowercase();
        json!(if text(&object["name"]).is_empty() { kind } else { format!("{kind}/{}", text(&object["name"])) })
    }),
    column("Message", |event, _| json!(text(&event["message"]).trim())),
];

const EXTERNAL_SECRETS: &[Column] = &[
    NAME,
    column("StoreType", |object, _| object["spec"]["secretStoreRef"]["kind"].clone()),
    column("Store", |object, _| object["spec"]["secretStoreRef"]["name"].clone()),
    column("Refresh Interval", |object, _| object["spec"]["refreshInterval"].clone()),
    column("Status", |object, _| ready(object, "reason")),
    column("Ready", |object, _| ready(object, "status")),
];

const SECRET_STORES: &[Column] = &[
    NAME,
    Column { name: "AGE", kind: "date", ..AGE },
    column("Status", |object, _| ready(object, "reason")),
    column("Capabilities", |object, _| object["status"]["capabilities"].clone()),
    column("Ready", |object, _| ready(object, "status")),
];

fn count(container: &Value) -> usize {
    match container {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    }
}

fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn or_none(value: &Value) -> Value {
    match text(value) {
        "" => json!("<none>"),
        text => json!(text),
    }
}

fn each_container(template: &Value, field: &str) -> String {
    let containers = template["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = containers.iter().map(|container| text(&container[field])).collect();
    texts.join(",")
}

fn labels_text(labels: &Value) -> String {
    let pairs: Vec<String> =
        labels.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value))).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A label selector as the server spells it: equalities first, then expressions.
pub(super) fn label_selector(selector: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{key}={}", text(value)));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = text(&expression["key"]);
        let values: Vec<&str> = expression["values"].as_array().into_iter().flatten().map(text).collect();
        let values = values.join(",");
        parts.push(match text(&expression["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn ready(object: &Value, field: &str) -> Value {
    condition(object, "Ready").map_or(Value::Null, |ready| ready[field].clone())
}

fn is_true(job: &Value, kind: &str) -> bool {
    condition(job, kind).is_some_and(|condition| condition["status"] == "True")
}

fn job_status(job: &Value) -> &'static str {
    let terminating = job["metadata"]["deletionTimestamp"].is_string();
    match () {
        () if is_true(job, "Complete") => "Complete",
        () if is_true(job, "Failed") => "Failed",
        () if terminating => "Terminating",
        () if is_true(job, "Suspended") => "Suspended",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = integer(&job["status"]["succeeded"]);
    match (job["spec"]["completions"].as_i64(), integer(&job["spec"]["parallelism"])) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn job_duration(job: &Value, clock: &Clock) -> String {
    let seconds = |value: &Value| value.as_str().and_then(|time| clock.seconds_since(time));
    let Some(started) = seconds(&job["status"]["startTime"]) else { return String::new() };
    human(started - seconds(&job["status"]["completionTime"]).unwrap_or(0))
}

fn last_seen(event: &Value) -> &Value {
    let choices = [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]];
    choices.into_iter().find(|time| time.is_string()).unwrap_or(&Value::Null)
}
