//! SecretStores and ClusterSecretStores: which one an item means, whether it may be used, and what it reads.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};

use super::events::{FIELD_MANAGER, Recorder};
use crate::clock::others_now;
use crate::cluster::{resource, selects, text};
use crate::secret_manager::{AccessError, EXTERNAL_SECRETS};
use crate::world::World;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What External Secrets says in its Event.
    pub message: String,
    /// Whether the provider has no such secret: some deletion policies let that pass.
    pub is_missing: bool,
}

impl Failure {
    /// A failure that no policy lets pass.
    pub fn other(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_missing: false }
    }

    /// The same, as the one who asked tells it.
    pub fn within(self, context: impl FnOnce(&str) -> String) -> Self {
        Self { message: context(&self.message), is_missing: self.is_missing }
    }
}

/// A store that may be used: reads from one project, or from one location of it.
pub struct Client<'a> {
    world: &'a World,
    project: String,
    location: String,
    latest_or_fetch: bool,
}

pub fn find(world: &World, namespace: &str, reference: &Value) -> Option<Value> {
    let name = text(&reference["name"]);
    match text(&reference["kind"]) {
        "ClusterSecretStore" => world.cluster.get(resource("clustersecretstores"), None, name),
        _ => world.cluster.get(resource("secretstores"), Some(namespace), name),
    }
}

/// Whether another controller looks after this store.
pub fn is_others(store: &Value) -> bool {
    !matches!(text(&store["spec"]["controller"]), "" | "default")
}

/// Opens the store that a reference names for an ExternalSecret in `namespace`.
pub fn open<'a>(world: &'a World, namespace: &str, reference: &Value) -> Result<Client<'a>, Failure> {
    let name = text(&reference["name"]);
    let kind = match text(&reference["kind"]) {
        "" => "SecretStore",
        kind => kind,
    };
    let store = find(world, namespace, reference).ok_or_else(|| {
        Failure::other(format!("could not get {kind} {name:?}, {kind}.external-secrets.io {name:?} not found"))
    })?;
    if is_others(&store) {
        return Err(Failure::other("can not reference unmanaged store"));
    }
    if kind == "ClusterSecretStore" && !admits(world, &store, namespace) {
        return Err(Failure::other(format!(
            "using cluster store {name:?} is not allowed from namespace {namespace:?}: denied by spec.condition"
        )));
    }
    if ready(&store).is_none_or(|condition| condition["status"] != "True") {
        return Err(Failure::other(format!("{kind} {name:?} is not ready")));
    }
    let provider = &store["spec"]["provider"]["gcpsm"];
    let project = [&provider["projectID"], &provider["auth"]["workloadIdentity"]["clusterProjectID"]];
    // Without either the real one asks the metadata server, which knows the cluster's project.
    let project = project.into_iter().map(text).find(|project| !project.is_empty());
    Ok(Client {
        world,
        project: project.unwrap_or(crate::options::PROJECT).to_owned(),
        location: text(&provider["location"]).to_owned(),
        latest_or_fetch: provider["secretVersionSelectionPolicy"] == "LatestOrFetch",
    })
}

fn ready(store: &Value) -> Option<&Value> {
    store["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Ready")
}

/// Whether the store's conditions let a namespace use it; without conditions every one may.
fn admits(world: &World, store: &Value, namespace: &str) -> bool {
    let Some(conditions) = store["spec"]["conditions"].as_array().filter(|conditions| !conditions.is_empty()) else {
        return true;
    };
    let labels = world.cluster.get(resource("namespaces"), None, namespace).unwrap_or_default();
    let labels = &labels["metadata"]["labels"];
    conditions.iter().any(|condition| {
        let listed = |key: &str| condition[key].as_array().into_iter().flatten().map(text);
        let selector = &condition["namespaceSelector"];
        listed("namespaces").any(|name| name == namespace)
            || listed("namespaceRegexes").any(|regex| Regex::new(regex).is_ok_and(|regex| regex.is_match(namespace)))
            || (selector.is_object() && selects(selector, labels))
    })
}

impl Client<'_> {
    fn parent(&self) -> String {
        match self.location.as_str() {
            "" => format!("projects/{}", self.project),
            location => format!("projects/{}/locations/{location}", self.project),
        }
    }

    /// The whole payload of a version, or the property of it that the reference names.
    pub fn get(&self, reference: &Value) -> Result<Vec<u8>, Failure> {
        let key = text(&reference["key"]);
        let version = text(&reference["version"]);
        let payload = self.access(key, version)?;
        let property = text(&reference["property"]);
        if property.is_empty() {
            return Ok(payload);
        }
        let object: Value = serde_json::from_slice(&payload)
            // The `%w` is the real one's own slip. serde's words may quote the payload, so they are not passed on.
            .map_err(|_| Failure::other("unable to unmarshal secret from JSON: %w"))?;
        let found = object.get(property).or_else(|| dotted(&object, property));
        let missing = || Failure::other(format!("key {property} does not exist in secret {key}"));
        found.map(as_bytes).ok_or_else(missing)
    }

    fn access(&self, key: &str, version: &str) -> Result<Vec<u8>, Failure> {
        let manager = &self.world.secret_manager;
        let wanted = if version.is_empty() { "latest" } else { version };
        let parent = self.parent();
        let mut answer = manager.access(EXTERNAL_SECRETS, &parent, key, wanted);
        if version.is_empty()
            && self.latest_or_fetch
            && matches!(answer, Err(AccessError::FailedPrecondition { .. }))
            && let Some(number) = newest_enabled(&manager.describe(&self.world.history), &parent, key)
        {
            answer = manager.access(EXTERNAL_SECRETS, &parent, key, &number.to_string());
        }
        let told = |why: String| format!("unable to access Secret from SecretManager Client: {why}");
        let status = |code: &str, message: &str| told(format!("rpc error: code = {code} desc = {message}"));
        answer.map(|(_, payload)| payload).map_err(|error| match error {
            AccessError::NotFound(_) => Failure { message: told("Secret does not exist".to_owned()), is_missing: true },
            AccessError::FailedPrecondition { message, .. } => Failure::other(status("FailedPrecondition", &message)),
            AccessError::PermissionDenied(message) => Failure::other(status("PermissionDenied", &message)),
        })
    }

    /// The members of a payload that is a JSON object.
    pub fn extract(&self, reference: &Value) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        let payload = self.get(reference)?;
        let object: serde_json::Map<String, Value> = serde_json::from_slice(&payload)
            .map_err(|_| Failure::other("unable to unmarshal secret from JSON: not an object"))?;
        Ok(object.iter().map(|(key, value)| (key.clone(), as_bytes(value))).collect())
    }

    pub fn find(&self, search: &Value) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        let by_name = &search["name"]["regexp"];
        let tags = search["tags"].as_object().filter(|tags| !tags.is_empty());
        let regex = match (by_name.as_str(), tags) {
            (Some(regex), _) => Some(
                Regex::new(regex)
                    .map_err(|_| Failure::other(format!("error parsing regexp: invalid expression: `{regex}`")))?,
            ),
            (None, Some(_)) => None,
            (None, None) => return Err(Failure::other("unexpected find operator")),
        };
        // The real one forgets the location when it looks for tags.
        let parent = if regex.is_some() { self.parent() } else { format!("projects/{}", self.project) };
        let listed = self.world.secret_manager.list_secrets(EXTERNAL_SECRETS, &parent).map_err(|error| {
            let code = if matches!(error, AccessError::PermissionDenied(_)) { "PermissionDenied" } else { "NotFound" };
            Failure::other(format!("failed to list secrets: rpc error: code = {code} desc = {error}"))
        })?;
        let path = text(&search["path"]);
        let mut found = BTreeMap::new();
        for (id, labels) in listed {
            let is_meant = match (&regex, tags) {
                (Some(regex), _) => regex.is_match(&id),
                (None, tags) => tags
                    .into_iter()
                    .flatten()
                    .all(|(key, value)| labels.get(key).map(String::as_str) == Some(text(value))),
            };
            if is_meant && id.starts_with(path) {
                let payload = self.access(&id, "")?;
                found.insert(id, payload);
            }
        }
        Ok(found)
    }
}

/// `a.b.0` in nested objects and arrays.
fn dotted<'a>(object: &'a Value, property: &str) -> Option<&'a Value> {
    property.split('.').try_fold(object, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

/// A text without its quotes, anything else as JSON.
fn as_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// The number of the newest version that can be read.
fn newest_enabled(secrets: &Value, parent: &str, key: &str) -> Option<u64> {
    let secret = secrets.as_array()?.iter().find(|one| one["parent"] == parent && one["secret"] == key)?;
    let enabled = secret["versions"].as_array()?.iter().filter(|version| version["state"] == "ENABLED");
    enabled.filter_map(|version| version["version"].as_u64()).max()
}

/// Gives every store that has none yet its condition, as its own controller does when it sees it first.
pub fn validate_all(world: &World, recorder: &mut Recorder, since: Option<&str>) {
    for plural in ["secretstores", "clustersecretstores"] {
        for store in world.cluster.list(resource(plural), None) {
            let name = text(&store["metadata"]["name"]);
            let namespace = store["metadata"]["namespace"].as_str();
            if ready(&store).is_some() || is_others(&store) {
                continue;
            }
            let provided = store["spec"]["provider"]["gcpsm"].is_object();
            let (status, reason, message) = match provided {
                true => ("True", "Valid", "store validated"),
                false => ("False", "InvalidProviderConfig", "unable to create client"),
            };
            let at = since.map_or_else(others_now, str::to_owned);
            let condition = json!({ "type": "Ready", "status": status, "reason": reason, "message": message,
                "lastTransitionTime": at });
            // It may have been deleted since it was listed.
            let _ = world.cluster.update_status(resource(plural), namespace, name, FIELD_MANAGER, None, |store| {
                store["status"] = json!({ "capabilities": "ReadWrite", "conditions": [condition] });
            });
            if since.is_none() {
                recorder.record(world, &store, if provided { "Normal" } else { "Warning" }, reason, message);
            }
        }
    }
}
