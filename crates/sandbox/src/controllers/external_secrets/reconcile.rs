//! One sync of one ExternalSecret, in the order of the real controller: look, read everything, write the Secret, write the status.

use serde_json::{Value, json};

use super::events::{FIELD_MANAGER, Recorder};
use super::queue::Key;
use super::resolve::Data;
use super::target::Refused;
use super::{hash, target, template_from};
use crate::clock::others_now;
use crate::cluster::{StoreError, resource, text};
use crate::world::World;

/// Taken by the controller so that it can tidy up before an ExternalSecret goes.
const FINALIZER: &str = "externalsecrets.external-secrets.io/externalsecret-cleanup";

/// A sync under way: the objects as they were when it began.
#[derive(Debug)]
pub struct Attempt {
    pub object: Value,
    /// Its target.
    pub existing: Option<Value>,
    started: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Done,
    /// It failed and is tried again after a while.
    Failed,
    /// It failed in a way that trying again does not mend.
    Hopeless,
    /// Somebody wrote meanwhile; it begins again.
    Conflict,
}

/// Looks at the objects; none when there is nothing to look after.
pub fn begin(world: &World, key: &Key) -> Option<Attempt> {
    let kind = resource("externalsecrets");
    let (namespace, name) = (Some(key.0.as_str()), key.1.as_str());
    let mut object = world.cluster.get(kind, namespace, name)?;
    let has_finalizer = |object: &Value| {
        object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| finalizers.contains(&json!(FINALIZER)))
    };
    if object["metadata"]["deletionTimestamp"].is_string() {
        if has_finalizer(&object) {
            // It is going: a failure means that it has gone.
            let _ = world.cluster.update(kind, namespace, name, FIELD_MANAGER, None, |object| {
                if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
                    finalizers.retain(|one| one != FINALIZER);
                }
            });
        }
        return None;
    }
    if is_others(world, &key.0, &object["spec"]) {
        return None;
    }
    if !has_finalizer(&object) {
        object = world
            .cluster
            .update(kind, namespace, name, FIELD_MANAGER, None, |object| {
                let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
                finalizers.push(json!(FINALIZER));
                object["metadata"]["finalizers"] = json!(finalizers);
            })
            .ok()?;
    }
    let secrets = resource("secrets");
    let target_name = target::name(&object);
    let mut existing = world.cluster.get(secrets, namespace, target_name);
    if existing.as_ref().is_some_and(|secret| secret["metadata"]["labels"][target::MANAGED] != "true") {
        let labelled = world.cluster.update(secrets, namespace, target_name, FIELD_MANAGER, None, |secret| {
            if !secret["metadata"]["labels"].is_object() {
                secret["metadata"]["labels"] = json!({});
            }
            secret["metadata"]["labels"][target::MANAGED] = json!("true");
        });
        existing = labelled.ok();
    }
    Some(Attempt { object, existing, started: others_now() })
}

/// Whether any of its stores belongs to another controller: then it is left alone, in silence.
pub fn is_others(world: &World, namespace: &str, spec: &Value) -> bool {
    let items = ["data", "dataFrom"].into_iter().flat_map(|kind| spec[kind].as_array().into_iter().flatten());
    let own = items.map(|item| &item["sourceRef"]["storeRef"]).filter(|reference| reference.is_object());
    std::iter::once(&spec["secretStoreRef"])
        .chain(own)
        .filter_map(|reference| super::store::find(world, namespace, reference))
        .any(|store| super::store::is_others(&store))
}

/// Writes the Secret and the status from what was read.
pub fn finish(
    world: &World,
    recorder: &mut Recorder,
    attempt: &Attempt,
    read: Result<(Data, Vec<String>), String>,
) -> Outcome {
    let object = &attempt.object;
    let (data, missing) = match read {
        Ok(read) => read,
        Err(cause) => {
            let why = "could not get secret data from provider";
            return fail(world, recorder, attempt, why, &cause, Outcome::Failed);
        }
    };
    for message in missing {
        recorder.record(world, object, "Normal", "MissingProviderSecret", &message);
    }
    let policy = &object["spec"]["target"];
    let name = target::name(object);
    let namespace = text(&object["metadata"]["namespace"]);
    let creation = text(&policy["creationPolicy"]);
    match text(&policy["deletionPolicy"]) {
        "Delete" if data.is_empty() => {
            if creation != "Owner" {
                let cause = format!("unable to delete secret {name}: creationPolicy={creation} is not Owner");
                return fail(world, recorder, attempt, "could not delete secret", &cause, Outcome::Hopeless);
            }
            if world.cluster.delete(resource("secrets"), Some(namespace), name).is_ok() {
                recorder.record(world, object, "Normal", "Deleted", "secret deleted due to DeletionPolicy=Delete");
            }
            return succeed(world, attempt, "SecretDeleted", "secret deleted due to DeletionPolicy=Delete", None);
        }
        "Retain" if data.is_empty() => {
            return succeed(world, attempt, "SecretSynced", "secret retained due to DeletionPolicy=Retain", None);
        }
        _ => {}
    }
    match (creation, &attempt.existing) {
        ("None", _) => return succeed(world, attempt, "SecretSynced", "secret synced", None),
        ("Merge", None) => {
            let message = "secret will not be created due to CreationPolicy=Merge";
            return succeed(world, attempt, "SecretMissing", message, None);
        }
        _ => {}
    }
    if matches!(creation, "" | "Owner") {
        delete_orphans(world, recorder, object, name);
    }
    match write(world, recorder, attempt, &data) {
        Ok(()) => succeed(world, attempt, "SecretSynced", "secret synced", Some(name)),
        Err(Unwritten::Conflict) => Outcome::Conflict,
        Err(Unwritten::Failed { message, cause, outcome }) => fail(world, recorder, attempt, message, &cause, outcome),
    }
}

/// The Secrets that it made under an earlier target's name.
fn delete_orphans(world: &World, recorder: &mut Recorder, object: &Value, name: &str) {
    let namespace = text(&object["metadata"]["namespace"]);
    let mark = hash::fingerprint(&format!("{namespace}/{}", text(&object["metadata"]["name"])));
    for secret in world.cluster.list(resource("secrets"), Some(namespace)) {
        let other = text(&secret["metadata"]["name"]);
        if secret["metadata"]["labels"][target::CREATED_BY] == mark.as_str()
            && other != name
            && world.cluster.delete(resource("secrets"), Some(namespace), other).is_ok()
        {
            recorder.record(world, object, "Normal", "Deleted", "secret deleted because it was orphaned");
        }
    }
}

enum Unwritten {
    Conflict,
    Failed { message: &'static str, cause: String, outcome: Outcome },
}

fn write(world: &World, recorder: &mut Recorder, attempt: &Attempt, data: &Data) -> Result<(), Unwritten> {
    let object = &attempt.object;
    let name = target::name(object);
    let namespace = text(&object["metadata"]["namespace"]);
    let secrets = resource("secrets");
    let manager = target::manager(object);
    let failed =
        |cause: String| Unwritten::Failed { message: "could not update secret", cause, outcome: Outcome::Failed };
    let mut wanted = match &attempt.existing {
        Some(existing) => existing.clone(),
        None => json!({ "metadata": { "name": name }, "type": "Opaque" }),
    };
    let templates = template_from::read(world, object).map_err(failed)?;
    target::fill(&mut wanted, object, data, &templates).map_err(|refused| {
        let (message, cause, outcome) = match refused {
            Refused::Owned(other) => (
                "target is owned by another ExternalSecret",
                format!("secret is owned by another ExternalSecret: {other}"),
                Outcome::Hopeless,
            ),
            Refused::Controlled(why) => (
                "failed to take ownership of target secret",
                format!("could not set controller reference on secret: {why}"),
                Outcome::Hopeless,
            ),
            Refused::Template(why) => {
                ("could not update secret", format!("could not apply template: {why}"), Outcome::Failed)
            }
        };
        let within =
            attempt.existing.as_ref().map_or_else(String::new, |_| format!("unable to mutate secret {name}: "));
        Unwritten::Failed { message, cause: within + &cause, outcome }
    })?;
    let Some(existing) = &attempt.existing else {
        return match world.cluster.create(secrets, Some(namespace), wanted, &manager) {
            Ok(_) => {
                recorder.record(world, object, "Normal", "Created", "secret created");
                Ok(())
            }
            Err(StoreError::AlreadyExists { .. }) => Err(Unwritten::Conflict),
            Err(error) => Err(failed(error.to_string())),
        };
    };
    let seen = existing["metadata"]["resourceVersion"].as_str();
    let is_frozen =
        existing["immutable"] == true && (wanted["data"] != existing["data"] || wanted["type"] != existing["type"]);
    if is_frozen {
        wanted["data"] = existing["data"].clone();
        wanted["type"] = existing["type"].clone();
    }
    let written = world.cluster.update(secrets, Some(namespace), name, &manager, seen, |secret| *secret = wanted);
    let written = match written {
        Ok(written) => written,
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => return Err(Unwritten::Conflict),
        Err(error) => return Err(failed(format!("unable to update secret {name}: {error}"))),
    };
    if is_frozen {
        let cause = format!("unable to update secret {name}: secret is immutable");
        let message = "could not update secret, target is immutable";
        return Err(Unwritten::Failed { message, cause, outcome: Outcome::Hopeless });
    }
    if written["metadata"]["resourceVersion"].as_str() != seen {
        recorder.record(world, object, "Normal", "Updated", "secret updated");
    }
    Ok(())
}

fn succeed(world: &World, attempt: &Attempt, reason: &str, message: &str, bound: Option<&str>) -> Outcome {
    let synced = hash::synced_resource_version(&attempt.object);
    let written = write_status(world, attempt, "True", reason, message, |status| {
        status["refreshTime"] = json!(attempt.started);
        status["syncedResourceVersion"] = json!(synced);
        if let Some(name) = bound {
            status["binding"] = json!({ "name": name });
        }
    });
    if written { Outcome::Done } else { Outcome::Conflict }
}

fn fail(
    world: &World,
    recorder: &mut Recorder,
    attempt: &Attempt,
    message: &str,
    cause: &str,
    outcome: Outcome,
) -> Outcome {
    recorder.record(world, &attempt.object, "Warning", "UpdateFailed", cause);
    // A conflict changes nothing: a failure is tried again in any case, and with its back-off.
    write_status(world, attempt, "False", "SecretSyncedError", message, |_| {});
    outcome
}

/// Writes the status over the very object that the sync began with; false when it has changed meanwhile.
fn write_status(
    world: &World,
    attempt: &Attempt,
    ready: &str,
    reason: &str,
    message: &str,
    change: impl FnOnce(&mut Value),
) -> bool {
    let metadata = &attempt.object["metadata"];
    let (namespace, name) = (metadata["namespace"].as_str(), text(&metadata["name"]));
    let seen = metadata["resourceVersion"].as_str();
    let kind = resource("externalsecrets");
    let write = world.cluster.update_status(kind, namespace, name, FIELD_MANAGER, seen, |object| {
        let status = &mut object["status"];
        if !status.is_object() {
            *status = json!({});
        }
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let old = conditions.iter().position(|condition| condition["type"] == "Ready");
        let old = old.map(|at| conditions.remove(at)).unwrap_or_default();
        let since = match old["status"] == ready {
            true => old["lastTransitionTime"].clone(),
            false => json!(others_now()),
        };
        conditions.push(json!({ "type": "Ready", "status": ready, "reason": reason, "message": message,
            "lastTransitionTime": since }));
        status["conditions"] = json!(conditions);
        change(status);
    });
    !matches!(write, Err(StoreError::Conflict { .. }))
}
