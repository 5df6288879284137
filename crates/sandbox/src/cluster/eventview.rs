//! The two views of one event: the core's, in which it is kept, and that of `events.k8s.io`.

use serde_json::Value;

/// The core's name of a field, and the name in `events.k8s.io`.
const FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// An event as `events.k8s.io` shows it.
pub(super) fn to_new(event: &Value) -> Value {
    renamed(event, "events.k8s.io/v1", |core, new| (core, new))
}

/// An event as it is kept.
pub(super) fn to_core(event: &Value) -> Value {
    renamed(event, "v1", |core, new| (new, core))
}

fn renamed(
    event: &Value,
    api_version: &str,
    direction: impl Fn(&'static str, &'static str) -> (&'static str, &'static str),
) -> Value {
    let Some(fields) = event.as_object() else { return event.clone() };
    let name = |key: &String| {
        FIELDS
            .iter()
            .map(|(core, new)| direction(core, new))
            .find(|(from, _)| from == key)
            .map_or_else(|| key.clone(), |(_, to)| to.to_owned())
    };
    let mut other: Value = fields.iter().map(|(key, value)| (name(key), value.clone())).collect();
    other["apiVersion"] = api_version.into();
    other
}
