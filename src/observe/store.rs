//! The stores that the account's ExternalSecrets read from, and so the project of its secrets.

use std::collections::BTreeMap;

use serde_json::Value;

use super::external_secrets::{self, Reader, Store, StoreRef};
use crate::clients::cluster::Cluster;
use crate::domain::names::SecretHome;
use crate::domain::observation::Source;
use crate::domain::problem::{Exit, Problem};
use crate::request::Request;

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
        (reference.clone(), external_secrets::read_store(store, reference, namespace, None))
    };
    readers.iter().map(|reader| of(&reader.store)).collect()
}

/// Where the account's secrets live: what the store says that the primary is read from; else the flag, gcloud's
/// project, or the one in the context's name. Whether the flag agrees with the store is a check's business.
pub fn home(request: &Request, readers: &[Reader], stores: &BTreeMap<StoreRef, Store>) -> Result<SecretHome, Problem> {
    let by_store = by_store(readers, stores).map(|(_, home)| home);
    let otherwise = || request.asked_project.clone().or_else(|| request.fallback_project.clone());
    by_store.or_else(|| otherwise().map(|project| SecretHome { project, location: None })).ok_or_else(|| {
        Problem::new(Exit::Failed, "NoProject", format!("no project is known for account {}", request.account)).hint(
            format!(
                "no SecretStore in namespace {} says one: is it the right account? Otherwise pass --project",
                request.account
            ),
        )
    })
}

/// What the store says that the primary is read from; where none is, any store that says something.
fn by_store<'a>(readers: &'a [Reader], stores: &BTreeMap<StoreRef, Store>) -> Option<(&'a StoreRef, SecretHome)> {
    let reads_primary = |reader: &&Reader| reader.mappings.iter().any(|mapping| mapping.source == Source::Primary);
    let first = readers.iter().filter(reads_primary).chain(readers);
    first.into_iter().find_map(|reader| Some((&reader.store, stores.get(&reader.store)?.home.clone()?)))
}

/// Where the account's secrets live as its store says it, and the store's name. Reads no value.
pub async fn said_by_store(request: &Request, cluster: &Cluster) -> Result<Option<(String, SecretHome)>, Problem> {
    let objects = super::external_secret_objects(request, cluster).await?;
    let readers = super::read_all(request, &objects, &[]);
    let stores = stores(&readers, cluster, request.account.as_str()).await?;
    let said = by_store(&readers, &stores);
    Ok(said.map(|(store, home)| {
        let kind = if store.cluster { "ClusterSecretStore" } else { "SecretStore" };
        (format!("{kind}/{}", store.name), home)
    }))
}
