//! The rules of each kind that a client can run into: what cannot be read at all (400) and what is invalid (422).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::error::{Cause, StoreError};
use super::meta::{self, text};
use super::resource::Resource;
use super::selector::selects;

/// Refuses what the real server's types cannot even be read from.
pub(super) fn readable(resource: &'static Resource, object: &Value) -> Result<(), StoreError> {
    let refuse = |why: String| {
        let (kind, version) = (resource.kind, resource.version);
        Err(StoreError::BadRequest(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}")))
    };
    if !object.is_object() {
        return Err(StoreError::BadRequest("the object provided is unrecognized (must be of type Object)".to_owned()));
    }
    for (place, metadata) in
        [("metadata", &object["metadata"]), ("spec.template.metadata", &object["spec"]["template"]["metadata"])]
    {
        for map in ["labels", "annotations"] {
            for value in metadata[map].as_object().into_iter().flatten().map(|(_, value)| value) {
                if !value.is_string() && !value.is_null() {
                    let given = json_kind(value);
                    return refuse(format!(
                        "json: cannot unmarshal {given} into Go struct field ObjectMeta.{place}.{map} of type string"
                    ));
                }
            }
        }
    }
    let precise: &[&Value] = match resource.plural {
        "leases" => &[&object["spec"]["acquireTime"], &object["spec"]["renewTime"]],
        "events" => &[&object["eventTime"], &object["series"]["lastObservedTime"]],
        _ => &[],
    };
    for time in precise.iter().filter_map(|time| time.as_str()) {
        if !is_micro_time(time) {
            let rest = time.find('.').map_or("Z", |point| time.get(point + 7..).unwrap_or(""));
            let part = if time.contains('.') { "Z07:00" } else { ".000000" };
            return refuse(format!(
                "parsing time {time:?} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse {rest:?} as {part:?}"
            ));
        }
    }
    Ok(())
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) | Value::Null => "string",
    }
}

/// `metav1.MicroTime` is read with exactly six digits after the point.
fn is_micro_time(time: &str) -> bool {
    let fraction = time.split_once('.').map(|(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    fraction == Some(6) && time.parse::<jiff::Timestamp>().is_ok()
}

struct Causes(Vec<Cause>);

impl Causes {
    fn add(&mut self, reason: &'static str, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Cause { reason, field: field.into(), message: message.into() });
    }

    fn invalid(&mut self, field: impl Into<String>, value: &Value, why: &str) {
        self.add("FieldValueInvalid", field, format!("Invalid value: {value}: {why}"));
    }

    fn required(&mut self, field: impl Into<String>, why: &str) {
        let why = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        self.add("FieldValueRequired", field, why);
    }
}

/// Checks a new object, or a new state of one.
pub(super) fn check(resource: &'static Resource, before: Option<&Value>, object: &Value) -> Result<(), StoreError> {
    let mut causes = Causes(Vec::new());
    metadata(resource, object, &mut causes);
    match resource.plural {
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" => workload(before, object, &mut causes),
        "jobs" => job_template(&object["spec"], "spec", &mut causes),
        "cronjobs" => job_template(&object["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", &mut causes),
        "secrets" => secret(before, object, &mut causes),
        "configmaps" => immutable_data(before, object, &mut causes),
        "leases" => lease(object, &mut causes),
        "events" => event(object, &mut causes),
        "pods" => containers(&object["spec"], "spec", &mut causes),
        "externalsecrets" => external_secret(object, &mut causes),
        _ => {}
    }
    match causes.0.is_empty() {
        true => Ok(()),
        false => Err(StoreError::Invalid { resource, name: meta::name(object).to_owned(), causes: causes.0 }),
    }
}

fn metadata(resource: &Resource, object: &Value, causes: &mut Causes) {
    let name = meta::name(object);
    // A namespace's is a label: one of these parts.
    let is_one = resource.plural != "namespaces" || !name.contains('.');
    if !(name.len() <= 253 && is_one && name.split('.').all(is_label)) {
        let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        causes.invalid("metadata.name", &object["metadata"]["name"], why);
    }
    let mut total = 0;
    for (key, value) in object["metadata"]["annotations"].as_object().into_iter().flatten() {
        total += key.len() + text(value).len();
        if !is_qualified(&key.to_lowercase()) {
            causes.invalid("metadata.annotations", &Value::String(key.clone()), NOT_QUALIFIED);
        }
    }
    if total > 256 * 1024 {
        causes.add("FieldValueTooLong", "metadata.annotations", "Too long: may not be more than 262144 bytes");
    }
    labels(&object["metadata"]["labels"], "metadata.labels", causes);
    labels(&object["spec"]["template"]["metadata"]["labels"], "spec.template.labels", causes);
}

const NOT_QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const NOT_A_LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn labels(labels: &Value, field: &str, causes: &mut Causes) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        if !is_qualified(key) {
            causes.invalid(field, &Value::String(key.clone()), NOT_QUALIFIED);
        }
        let text = text(value);
        if text.len() > 63 {
            causes.invalid(field, value, "must be no more than 63 bytes");
        } else if !text.is_empty() && !is_name_part(text) {
            causes.invalid(field, value, NOT_A_LABEL_VALUE);
        }
    }
}

/// A part of a name, as RFC 1123 has it.
fn is_label(text: &str) -> bool {
    static LABEL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").expect("a constant"));
    LABEL.is_match(text)
}

fn is_name_part(text: &str) -> bool {
    static PART: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").expect("a constant"));
    text.len() <= 63 && PART.is_match(text)
}

fn is_qualified(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => prefix.len() <= 253 && prefix.split('.').all(is_label) && is_name_part(name),
        None => is_name_part(key),
    }
}

fn workload(before: Option<&Value>, object: &Value, causes: &mut Causes) {
    let spec = &object["spec"];
    if spec["replicas"].as_i64().is_some_and(|replicas| replicas < 0) {
        causes.invalid("spec.replicas", &spec["replicas"], "must be greater than or equal to 0");
    }
    if !spec["selector"].is_object() {
        causes.required("spec.selector", "");
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if !selects(&spec["selector"], labels) {
        causes.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    if before.is_some_and(|before| before["spec"]["selector"] != spec["selector"]) {
        causes.invalid("spec.selector", &spec["selector"], "field is immutable");
    }
    containers(&spec["template"]["spec"], "spec.template.spec", causes);
}

fn job_template(job: &Value, path: &str, causes: &mut Causes) {
    let spec = &job["template"]["spec"];
    containers(spec, &format!("{path}.template.spec"), causes);
    if !matches!(text(&spec["restartPolicy"]), "OnFailure" | "Never") {
        causes.required(format!("{path}.template.spec.restartPolicy"), "valid values: \"OnFailure\", \"Never\"");
    }
}

fn containers(spec: &Value, path: &str, causes: &mut Causes) {
    let containers = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if containers.is_empty() {
        causes.required(format!("{path}.containers"), "");
    }
    for (at, container) in containers.iter().enumerate() {
        for field in ["name", "image"] {
            if text(&container[field]).is_empty() {
                causes.required(format!("{path}.containers[{at}].{field}"), "");
            }
        }
    }
}

fn secret(before: Option<&Value>, object: &Value, causes: &mut Causes) {
    if before.is_some_and(|before| before["type"] != object["type"]) {
        causes.invalid("type", &object["type"], "field is immutable");
    }
    immutable_data(before, object, causes);
}

fn immutable_data(before: Option<&Value>, object: &Value, causes: &mut Causes) {
    let Some(before) = before.filter(|before| before["immutable"] == true) else { return };
    if object["immutable"] != true {
        causes.add("FieldValueForbidden", "immutable", "Forbidden: field is immutable when `immutable` is set");
    }
    for data in ["data", "binaryData"] {
        if before.get(data) != object.get(data) {
            causes.add("FieldValueForbidden", data, "Forbidden: field is immutable when `immutable` is set");
        }
    }
}

fn lease(object: &Value, causes: &mut Causes) {
    let spec = &object["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        causes.invalid("spec.leaseDurationSeconds", &spec["leaseDurationSeconds"], "must be greater than 0");
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|transitions| transitions < 0) {
        causes.invalid("spec.leaseTransitions", &spec["leaseTransitions"], "must be greater than or equal to 0");
    }
}

fn event(object: &Value, causes: &mut Causes) {
    let about = text(&object["involvedObject"]["namespace"]);
    let own = meta::namespace(object);
    // Events about objects of the whole cluster live in `default`.
    if about != own && !(about.is_empty() && own == "default") {
        causes.invalid(
            "involvedObject.namespace",
            &object["involvedObject"]["namespace"],
            "does not match event.namespace",
        );
    }
    if object["eventTime"].is_string() {
        for (field, named) in [
            ("reportingComponent", "reportingController"),
            ("reportingInstance", "reportingInstance"),
            ("action", "action"),
            ("reason", "reason"),
        ] {
            if text(&object[field]).is_empty() {
                causes.required(named, "");
            }
        }
    }
}

fn external_secret(object: &Value, causes: &mut Causes) {
    for (at, item) in object["spec"]["data"].as_array().into_iter().flatten().enumerate() {
        if text(&item["secretKey"]).is_empty() {
            causes.required(format!("spec.data[{at}].secretKey"), "");
        }
        if !item["remoteRef"].is_object() {
            causes.required(format!("spec.data[{at}].remoteRef"), "");
        } else if text(&item["remoteRef"]["key"]).is_empty() {
            causes.required(format!("spec.data[{at}].remoteRef.key"), "");
        }
    }
}
