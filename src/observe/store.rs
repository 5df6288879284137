//! The stores that the account's ExternalSecrets read from, and so the project of its secrets.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::external_secrets::{Reader, ready};
use super::json::{items, text};
use super::mappings::Mapping;
use crate::clients::cluster::Cluster;
use crate::request::Request;
use deepdesk_protocol::facts::names::{LocationId, ProjectId, SecretHome};
use deepdesk_protocol::facts::observation::{Derivation, Ready, Source};
use deepdesk_protocol::problem::{Problem, Reason};

/// A reference to a store.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct StoreRef {
    /// Whether it is a ClusterSecretStore.
    pub cluster: bool,
    /// Its name; empty where none is named.
    pub name: String,
}

/// What a store object says: where it reads from, and what is wrong with it.
pub struct Store {
    /// Where it reads from: none when it is not Google Secret Manager's, or leaves its project open.
    pub home: Option<SecretHome>,
    /// What is wrong, if anything.
    pub problem: Option<String>,
}

/// Reads every store that the readers refer to.
pub async fn stores(
    readers: &[Reader],
    cluster: &Cluster,
    namespace: &str,
) -> Result<BTreeMap<StoreRef, Store>, Problem> {
    let local = match readers.iter().any(|reader| !reader.store.cluster) {
        true => cluster.secret_stores().await?,
        false => Vec::new(),
    };
    let local: Vec<Value> = local.into_iter().filter_map(|store| serde_json::to_value(store).ok()).collect();
    let mut shared = BTreeMap::new();
    for name in readers.iter().map(|reader| &reader.store).filter(|store| store.cluster).map(|store| &store.name) {
        if !shared.contains_key(name) {
            let store = cluster.cluster_secret_store(name).await?;
            shared.insert(name.clone(), store.and_then(|store| serde_json::to_value(store).ok()));
        }
    }
    Ok(among(readers, &local, &shared, namespace))
}

/// The stores that the readers refer to, among those of the namespace and those of the whole cluster.
pub fn among(
    readers: &[Reader],
    local: &[Value],
    shared: &BTreeMap<String, Option<Value>>,
    namespace: &str,
) -> BTreeMap<StoreRef, Store> {
    let named = |store: &&Value, name: &str| store.pointer("/metadata/name").and_then(Value::as_str) == Some(name);
    let of = |reference: &StoreRef| {
        let store = match reference.cluster {
            true => shared.get(&reference.name).and_then(Option::as_ref),
            false => local.iter().find(|store| named(store, &reference.name)),
        };
        (reference.clone(), read_store(store, reference, namespace, None))
    };
    readers.iter().map(|reader| of(&reader.store)).collect()
}

/// Where the account's secrets live: what the store says that the primary is read from; else the flag, gcloud's
/// project, or the one in the context's name. Whether the flag agrees with the store is a check's business.
pub fn home(request: &Request, readers: &[Reader], stores: &BTreeMap<StoreRef, Store>) -> Result<SecretHome, Problem> {
    let by_store = by_store(readers, stores).map(|(_, home)| home);
    let otherwise = || request.asked_project.clone().or_else(|| request.fallback_project.clone());
    by_store.or_else(|| otherwise().map(|project| SecretHome { project, location: None })).ok_or_else(|| {
        Problem::new(Reason::NoProject, format!("no project is known for account {}", request.account)).hint(format!(
            "no SecretStore in namespace {} says one: is it the right account? Otherwise pass --project",
            request.account
        ))
    })
}

/// What the store says that the primary is read from; where none is, any store that says something.
fn by_store<'a>(readers: &'a [Reader], stores: &BTreeMap<StoreRef, Store>) -> Option<(&'a StoreRef, SecretHome)> {
    let reads_primary = |reader: &&Reader| reader.mappings.iter().any(|mapping| mapping.source == Source::Primary);
    // What only may read it decides last.
    let surely = |reader: &&Reader| {
        let primary = |mapping: &Mapping| mapping.source == Source::Primary && mapping.derivation != Derivation::Opaque;
        reader.mappings.iter().any(primary)
    };
    let first = readers.iter().filter(surely).chain(readers.iter().filter(reads_primary)).chain(readers);
    first.into_iter().find_map(|reader| Some((&reader.store, stores.get(&reader.store)?.home.clone()?)))
}

/// Where the account's secrets live as its store says it, and the store's name. Reads no value.
pub async fn said_by_store(request: &Request, cluster: &Cluster) -> Result<Option<(String, SecretHome)>, Problem> {
    let objects = super::external_secret_objects(request, cluster).await?;
    let readers = super::read_all(request, &objects, None);
    let stores = stores(&readers, cluster, request.account.as_str()).await?;
    let said = by_store(&readers, &stores);
    Ok(said.map(|(store, home)| {
        let kind = if store.cluster { "ClusterSecretStore" } else { "SecretStore" };
        (format!("{kind}/{}", store.name), home)
    }))
}

/// Reads a SecretStore or ClusterSecretStore; `None` for one that does not exist.
pub fn read_store(
    store: Option<&Value>,
    reference: &StoreRef,
    namespace: &str,
    namespace_labels: Option<&Value>,
) -> Store {
    let kind = if reference.cluster { "ClusterSecretStore" } else { "SecretStore" };
    if reference.name.is_empty() {
        return Store { home: None, problem: Some("it names no store (spec.secretStoreRef)".to_owned()) };
    }
    let Some(store) = store else {
        return Store { home: None, problem: Some(format!("{kind} {} does not exist", reference.name)) };
    };
    let project = text(store, "/spec/provider/gcpsm/projectID")
        .or_else(|| text(store, "/spec/provider/gcpsm/auth/workloadIdentity/clusterProjectID"))
        .and_then(|project| project.parse::<ProjectId>().ok());
    let location =
        text(store, "/spec/provider/gcpsm/location").and_then(|location| location.parse::<LocationId>().ok());
    Store {
        home: project.map(|project| SecretHome { project, location }),
        problem: store_problem(store, kind, &reference.name, namespace, namespace_labels),
    }
}

fn store_problem(
    store: &Value,
    kind: &str,
    name: &str,
    namespace: &str,
    namespace_labels: Option<&Value>,
) -> Option<String> {
    if store.pointer("/spec/provider/gcpsm").is_none() {
        return Some(format!("{kind} {name} is not one of Google Secret Manager (provider gcpsm)"));
    }
    if let Some(controller) = text(store, "/spec/controller").filter(|controller| *controller != "default") {
        return Some(format!("{kind} {name} is left to the controller class `{controller}`"));
    }
    if kind == "ClusterSecretStore" && !allows(store, namespace, namespace_labels) {
        return Some(format!("{kind} {name} does not allow namespace {namespace} (spec.conditions)"));
    }
    match ready(store) {
        Ready::False { reason, message } => Some(format!("{kind} {name} is not ready: {reason}: {message}")),
        Ready::True { .. } | Ready::Unknown => None,
    }
}

/// Whether a ClusterSecretStore's conditions let the namespace use it: no condition, or one that matches.
fn allows(store: &Value, namespace: &str, namespace_labels: Option<&Value>) -> bool {
    let conditions = items(store, "/spec/conditions");
    conditions.is_empty()
        || conditions.iter().any(|condition| {
            let named = items(condition, "/namespaces").iter().any(|name| name.as_str() == Some(namespace));
            let patterned = items(condition, "/namespaceRegexes")
                .iter()
                .filter_map(Value::as_str)
                .any(|pattern| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(namespace)));
            named || patterned || selects(condition, namespace_labels)
        })
}

/// Whether a condition's namespaceSelector matches. Labels that could not be read count as matching: External Secrets
/// itself will say so if not, and a refusal on a guess would stop a good rotation.
fn selects(condition: &Value, labels: Option<&Value>) -> bool {
    let Some(wanted) = condition.pointer("/namespaceSelector/matchLabels").and_then(Value::as_object) else {
        return condition.pointer("/namespaceSelector").is_some();
    };
    labels.is_none_or(|labels| wanted.iter().all(|(name, value)| labels.get(name) == Some(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_store_says_where_it_reads_and_what_is_wrong() {
        let reference = StoreRef { cluster: true, name: "gsm".to_owned() };
        let google = |extra: Value| {
            let mut store = json!({"spec": {"provider": {"gcpsm": {"projectID": "p"}}}});
            json_patch::merge(&mut store, &extra);
            store
        };
        let cases = [
            (None, None, Some("ClusterSecretStore gsm does not exist")),
            (Some(google(json!({}))), Some("projects/p"), None),
            (
                Some(google(json!({"spec": {"provider": {"gcpsm": {"location": "europe-west1"}}}}))),
                Some("projects/p/locations/europe-west1"),
                None,
            ),
            (
                Some(google(json!({"spec": {"controller": "dev"}}))),
                Some("projects/p"),
                Some("ClusterSecretStore gsm is left to the controller class `dev`"),
            ),
            (
                Some(google(json!({"spec": {"conditions": [{"namespaces": ["globex"]}]}}))),
                Some("projects/p"),
                Some("ClusterSecretStore gsm does not allow namespace acme (spec.conditions)"),
            ),
            (Some(google(json!({"spec": {"conditions": [{"namespaceRegexes": ["^ac"]}]}}))), Some("projects/p"), None),
            (
                Some(json!({"spec": {"provider": {"fake": {}}}})),
                None,
                Some("ClusterSecretStore gsm is not one of Google Secret Manager (provider gcpsm)"),
            ),
        ];
        for (store, home, problem) in cases {
            let read = read_store(store.as_ref(), &reference, "acme", None);
            assert_eq!(read.home.map(|home| home.to_string()).as_deref(), home, "{store:?}");
            assert_eq!(read.problem.as_deref(), problem, "{store:?}");
        }
    }
}
