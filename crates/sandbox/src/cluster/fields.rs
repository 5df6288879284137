//! `managedFields`: which writer set which fields, and when it last did.

use serde_json::{Value, json};

use super::fieldset::{Difference, FieldSet};
use super::meta::text;
use super::resource::Resource;

#[derive(Clone, Copy, Debug)]
pub(super) struct Write<'a> {
    pub manager: &'a str,
    /// The part that is written: empty, `status` or `scale`.
    pub subresource: &'a str,
    /// Answer as if, but keep nothing.
    pub dry_run: bool,
    /// The version that the writer saw.
    pub expected_resource_version: Option<&'a str>,
}

impl<'a> Write<'a> {
    pub fn by(manager: &'a str) -> Self {
        Self { manager, subresource: "", dry_run: false, expected_resource_version: None }
    }
}

/// Of the metadata only labels, annotations, owners and finalizers have owners themselves.
const UNOWNED: &[&str] = &[
    "name",
    "namespace",
    "generateName",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Notes the writer of what differs between `before` and `after`, as the real server does: what it set is its own from
/// now on and nobody else's, what it removed is nobody's, and only having set something moves its time.
pub(super) fn record(resource: &Resource, before: Option<&Value>, after: &mut Value, write: &Write<'_>, now: &str) {
    let written = after["metadata"].as_object_mut().and_then(|metadata| metadata.shift_remove("managedFields"));
    let kept = || before.map(|before| before["metadata"]["managedFields"].clone());
    let mut entries = match written {
        // An empty list is a writer's wish to forget them; none at all is a writer that does not know them.
        Some(Value::Array(entries)) if write.subresource.is_empty() => entries,
        _ => kept().and_then(|kept| kept.as_array().cloned()).unwrap_or_default(),
    };
    let difference = Difference::between(&owned(resource, before), &owned(resource, Some(after)), resource.custom);
    let mine = Entry::of(resource, write);
    for entry in &mut entries {
        let takes_over = !mine.is(entry);
        let mut fields = FieldSet::parse(&entry["fieldsV1"]);
        if takes_over {
            fields.subtract(&difference.set);
        }
        fields.subtract(&difference.removed);
        entry["fieldsV1"] = fields.render();
    }
    if !difference.set.is_empty() {
        mine.set(&mut entries, &difference.set, now);
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
    keep(after, entries);
}

/// The part of an object that has owners. Before it exists, the parts that the server's types always have.
fn owned(resource: &Resource, object: Option<&Value>) -> Value {
    let mut owned = match object {
        Some(object) => object.clone(),
        None if resource.custom => json!({"metadata": {}}),
        None => {
            let template = || json!({"metadata": {}, "spec": {"containers": []}});
            json!({"metadata": {}, "source": {}, "status": {}, "spec": {"containers": [], "strategy": {}, "updateStrategy": {},
                "template": template(), "jobTemplate": {"metadata": {}, "spec": {"template": template()}}}})
        }
    };
    if let Some(fields) = owned.as_object_mut() {
        fields.shift_remove("apiVersion");
        fields.shift_remove("kind");
        if !resource.custom {
            fields.entry("status").or_insert_with(|| json!({}));
        }
    }
    if let Some(metadata) = owned.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !UNOWNED.contains(&key.as_str()));
    }
    owned
}

/// Real objects have no empty list of managers.
fn keep(object: &mut Value, mut entries: Vec<Value>) {
    let key = |entry: &Value| {
        let part = |name: &str| text(&entry[name]).to_owned();
        (part("operation"), part("time"), part("manager"), part("apiVersion"), part("subresource"))
    };
    entries.sort_by_key(key);
    if let Some(metadata) = object["metadata"].as_object_mut()
        && !entries.is_empty()
    {
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}

/// What tells one entry of `managedFields` from another.
struct Entry<'a> {
    manager: &'a str,
    api_version: String,
    subresource: &'a str,
}

impl<'a> Entry<'a> {
    fn of(resource: &Resource, write: &Write<'a>) -> Self {
        // A write of the scale is one of the object's own replicas.
        let api_version = resource.api_version();
        Self { manager: write.manager, api_version, subresource: write.subresource }
    }

    fn is(&self, entry: &Value) -> bool {
        entry["manager"] == self.manager
            && entry["operation"] == "Update"
            && entry["apiVersion"] == self.api_version.as_str()
            && text(&entry["subresource"]) == self.subresource
    }

    fn set(&self, entries: &mut Vec<Value>, fields: &FieldSet, now: &str) {
        if let Some(entry) = entries.iter_mut().find(|entry| self.is(entry)) {
            let mut all = FieldSet::parse(&entry["fieldsV1"]);
            all.add(fields);
            entry["fieldsV1"] = all.render();
            entry["time"] = json!(now);
            return;
        }
        let mut entry = json!({"manager": self.manager, "operation": "Update", "apiVersion": self.api_version,
            "time": now, "fieldsType": "FieldsV1", "fieldsV1": fields.render()});
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entries.push(entry);
    }
}
