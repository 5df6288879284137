//! How an object goes: at once, after a grace period, or when its last finalizer is gone; and what goes with it.

use serde_json::{Value, json};

use super::error::StoreError;
use super::meta::{self, name, resource_version, text, uid};
use super::objects::{Key, Objects, key};
use super::resource::{Resource, resource};
use crate::clock::Clock;

/// What becomes of the objects that a deleted one owns.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Propagation {
    /// They are deleted as well.
    #[default]
    Background,
    /// They stay, without an owner.
    Orphan,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Deletion {
    pub grace_period_seconds: Option<i64>,
    pub propagation: Propagation,
    pub dry_run: bool,
    pub expected_uid: Option<String>,
    pub expected_resource_version: Option<String>,
}

impl Objects {
    /// Deletes an object; answers with it and whether it is still there.
    pub(super) fn delete(
        &mut self,
        resource: &'static Resource,
        namespace: Option<&str>,
        name: &str,
        deletion: &Deletion,
    ) -> Result<(Value, bool), StoreError> {
        let before = self
            .find(resource, namespace, name)
            .ok_or_else(|| StoreError::NotFound { resource, name: name.to_owned() })?;
        let key = key(resource, namespace, name);
        check_preconditions(resource, &before, deletion)?;
        let mut after = Value::clone(&before);
        let stays = mark_deleted(resource, &mut after, deletion.grace_period_seconds, &self.clock);
        if deletion.dry_run {
            return Ok((after, stays));
        }
        if stays {
            if after != *before {
                after = Value::clone(&self.put(resource, key, after, Some(before)));
            }
            return Ok((after, true));
        }
        let object = self.take_as(resource, &key, last_state(resource, &before, &self.clock.now()));
        match deletion.propagation {
            Propagation::Background => self.delete_dependents(&object),
            Propagation::Orphan => self.orphan_dependents(&object),
        }
        Ok((Value::clone(&object), false))
    }

    /// What the garbage collector does a moment later: dependents of a removed owner go too, and a namespace takes
    /// everything in it along.
    pub(super) fn delete_dependents(&mut self, owner: &Value) {
        for (resource, key) in self.dependents(owner) {
            let namespace = resource.namespaced.then_some(key.1.as_str());
            // It may be gone already, as a dependent of a dependent.
            let _ = self.delete(resource, namespace, &key.2, &Deletion::default());
        }
    }

    fn orphan_dependents(&mut self, owner: &Value) {
        let uid = meta::uid(owner).to_owned();
        for (resource, key) in self.dependents(owner) {
            let Some(before) = self.objects.get(&key).cloned() else { continue };
            let mut after = Value::clone(&before);
            disown(&mut after, &uid);
            self.put(resource, key, after, Some(before));
        }
    }

    fn dependents(&self, owner: &Value) -> Vec<(&'static Resource, Key)> {
        let uid = meta::uid(owner);
        let namespace = (owner["kind"] == "Namespace").then(|| meta::name(owner));
        self.objects
            .iter()
            .filter(|(key, object)| meta::is_owned_by(object, uid) || namespace == Some(key.1.as_str()))
            .map(|(key, _)| (resource(key.0), key.clone()))
            .collect()
    }
}

fn disown(object: &mut Value, uid: &str) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) else { return };
    owners.retain(|owner| owner["uid"] != uid);
    if owners.is_empty() {
        metadata.shift_remove("ownerReferences");
    }
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

/// Whether a deleted object waits for nothing any more.
pub(super) fn is_released(resource: &Resource, object: &Value) -> bool {
    let waits_for_kubelet = resource.plural == "pods" && object["metadata"]["deletionGracePeriodSeconds"] != 0;
    object["metadata"]["deletionTimestamp"].is_string() && !has_finalizers(object) && !waits_for_kubelet
}

/// Marks the object as deleted when it has to stay for a while; false when it can go now.
fn mark_deleted(resource: &Resource, object: &mut Value, grace: Option<i64>, clock: &Clock) -> bool {
    let grace = if resource.plural == "pods" { pod_grace(object, grace) } else { 0 };
    let waits = grace > 0 || has_finalizers(object);
    let metadata = &mut object["metadata"];
    let earlier = metadata["deletionGracePeriodSeconds"].as_i64();
    // A second deletion can shorten the grace period, never lengthen it.
    if waits && earlier.is_none_or(|earlier| grace < earlier) {
        if earlier.is_none()
            && let Some(generation) = metadata["generation"].as_i64()
        {
            metadata["generation"] = json!(generation + 1);
        }
        metadata["deletionTimestamp"] = json!(clock.in_seconds(grace));
        metadata["deletionGracePeriodSeconds"] = json!(grace);
    }
    waits
}

/// The state in which an object goes.
fn last_state(resource: &Resource, object: &Value, now: &str) -> Value {
    let mut last = object.clone();
    match resource.plural {
        "pods" => {
            if !last["metadata"]["deletionTimestamp"].is_string() {
                last["metadata"]["deletionTimestamp"] = json!(now);
            }
            last["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        }
        "namespaces" => {
            last["metadata"]["deletionTimestamp"] = json!(now);
            last["status"]["phase"] = json!("Terminating");
        }
        _ => {}
    }
    last
}

/// A pod that no node runs, or that has ended, needs no grace.
fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let ended = matches!(text(&pod["status"]["phase"]), "Succeeded" | "Failed");
    if ended || text(&pod["spec"]["nodeName"]).is_empty() {
        return 0;
    }
    asked.or(pod["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30).max(0)
}

/// Whether the object is still the one that is to be deleted.
fn check_preconditions(resource: &'static Resource, object: &Value, deletion: &Deletion) -> Result<(), StoreError> {
    let checks = [
        ("UID", &deletion.expected_uid, uid(object), "deleted and then recreated"),
        ("ResourceVersion", &deletion.expected_resource_version, resource_version(object), "modified"),
    ];
    for (what, expected, actual, fate) in checks {
        if let Some(expected) = expected.as_deref().filter(|expected| *expected != actual) {
            let why = format!(
                "the {what} in the precondition ({expected}) does not match the {what} in record ({actual}). \
                 The object might have been {fate}"
            );
            return Err(StoreError::Precondition { resource, name: name(object).to_owned(), why });
        }
    }
    Ok(())
}
