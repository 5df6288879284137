//! Asks the clients, returns one Observation, and the values beside it.

pub mod consumers;
pub mod copies;
pub mod costs;
pub mod doors;
pub mod external_secrets;
pub mod glance;
pub mod json;
pub mod mappings;
pub mod nodes;
pub mod other_readers;
pub mod partial;
pub mod redaction;
pub mod rendered;
pub mod served;
pub mod shared;
pub mod shown;
pub mod store;
pub mod survey;
pub mod template;
pub mod vault;
pub mod versions;

use std::collections::BTreeMap;

use futures::future::{try_join_all, try_join3};
use serde_json::Value;

use crate::clients::cluster::{Cluster, KubernetesSecret};
use crate::clients::error::ApiError;
use crate::clients::secret_manager::SecretManager;
use crate::request::Request;
use consumers::{Carriers, Workloads};
use deepdesk_protocol::facts::names::{ObjectName, SecretHome, SecretId};
use deepdesk_protocol::facts::observation::{
    Derivation, ExternalSecretView, Found, KeyView, Observation, Ready, SecretView, Source, Unread, ValueTag,
};
use deepdesk_protocol::in_use;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::record::Record;
use external_secrets::Reader;
use mappings::{Labels, Mapping, Secrets, Transform};
use store::{Store, StoreRef};
use vault::Vault;
use versions::{Metadata, allowed, labels_of, read_older, secrets};

/// What was seen, with the values.
#[derive(Debug)]
pub struct Seen {
    /// The facts.
    pub now: Observation,
    /// The values behind the tags.
    pub vault: Vault,
    /// The ExternalSecrets with how each key's bytes are made, for comparing them again later.
    pub readers: Vec<Reader>,
}

/// What the cluster lists of one account.
struct Listed {
    /// Its ExternalSecrets.
    objects: Vec<Value>,
    /// Its workloads and pods.
    workloads: Workloads,
    /// What its Lease says; the refusal where it may not be read.
    recorded: Result<Record, ApiError>,
    /// The stores that its ExternalSecrets read from.
    stores: BTreeMap<StoreRef, Store>,
}

/// Looks at everything of one account.
pub async fn observe(request: &Request, cluster: &Cluster, secret_manager: &SecretManager) -> Result<Seen, Problem> {
    let listed = list(request, cluster).await?;
    see(request, cluster, secret_manager, listed, Metadata::Read).await
}

async fn list(request: &Request, cluster: &Cluster) -> Result<Listed, Problem> {
    let (objects, workloads, recorded) = try_join3(
        external_secret_objects(request, cluster),
        workloads(request, cluster),
        recorded(cluster, &request.names.primary),
    )
    .await?;
    let readers = read_all(request, &objects, None);
    let stores = store::stores(&readers, cluster, request.account.as_str()).await?;
    Ok(Listed { objects, workloads, recorded, stores })
}

async fn see(
    request: &Request,
    cluster: &Cluster,
    secret_manager: &SecretManager,
    listed: Listed,
    metadata: Metadata,
) -> Result<Seen, Problem> {
    let Listed { objects, workloads, recorded, stores } = listed;
    let mut readers = read_all(request, &objects, None);
    let home = store::home(request, &readers, &stores)?;
    let mut labels = None;
    if objects.iter().any(external_secrets::needs_labels) {
        labels = Some(labels_of_both(request, &home, secret_manager).await?);
        readers = read_all(request, &objects, labels.as_ref());
    }
    let labels = labels.unwrap_or_default().primary;
    let mut vault = Vault::default();
    let (primary, back_compat, refused) = secrets(request, &home, secret_manager, &mut vault, labels, metadata).await?;
    let mut unread: Vec<Unread> = refused.map(|error| Unread::Versions(error.to_string())).into_iter().collect();
    let recorded = recorded.unwrap_or_else(|refused| {
        unread.push(Unread::Record(refused.to_string()));
        Record::default()
    });
    expand(&mut readers, &primary, &back_compat, &vault);
    let targets = try_join_all(readers.iter().map(|reader| cluster.secret(reader.target.as_str()))).await?;
    let mut now = Observation {
        asked_project: request.asked_project.clone(),
        last_rotation: recorded.last,
        begun: recorded.begun,
        finalizing: recorded.finalizing,
        announced: recorded.announced,
        older: recorded.older,
        run_ended: recorded.run_ended,
        left: recorded.left,
        unread,
        ..Observation::of_secrets(request.account.clone(), home, primary, back_compat)
    };
    if has_unknown(&now, &readers, &targets, &vault) {
        read_older(&mut now, secret_manager, &mut vault).await?;
    }
    keep_copies(&now, &readers, &targets, &mut vault);
    let failing = readers.iter().any(|reader| matches!(reader.ready, Ready::False { .. }));
    if failing && metadata == Metadata::Leave && now.back_compat.newest().is_none() {
        // One that exists and is empty makes a sync fail, and an access does not tell it from none.
        now.back_compat.exists = secret_manager.settings(&now.home, &request.names.back_compat).await?.is_some();
    }
    for (reader, target) in readers.iter().zip(&targets) {
        let ready = with_cause(reader, cluster).await;
        let store = &stores[&reader.store];
        now.external_secrets.push(view(&now, reader, ready, store, target.as_ref(), &vault));
    }
    now.missing_external_secrets = missing(request, &readers);
    if metadata == Metadata::Read {
        copies::add_copies(cluster, &mut now, &objects, &workloads, &vault).await;
        doors::add_doors(cluster, &mut now, &workloads).await;
    }
    add_consumers(request, &mut now, &workloads);
    if metadata == Metadata::Read && in_use::is_unread(&now) {
        read_older(&mut now, secret_manager, &mut vault).await?;
    }
    Ok(Seen { now, vault, readers })
}

/// By how much the clocks of Google and of the cluster are taken to differ at most.
const CLOCKS_DIFFER: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// Keeps the values that no version read has and that a Kubernetes Secret holds as they are: it may be their last copy, and two
/// places with the same bytes get the same tag.
fn keep_copies(now: &Observation, readers: &[Reader], targets: &[Option<KubernetesSecret>], vault: &mut Vault) {
    for (reader, target) in readers.iter().zip(targets) {
        let Some(target) = target else { continue };
        let whole =
            |mapping: &&Mapping| mapping.derivation == Derivation::Exact && mapping.transform == Transform::default();
        for mapping in reader.mappings.iter().filter(whole) {
            let held = target.data.get(&mapping.key);
            if let (Some(held), Found::Unknown) = (held, found(now, reader, mapping, Some(target), vault)) {
                vault.keep(held.copy());
            }
        }
    }
}

/// The ExternalSecrets that were named and are not among those found.
fn missing(request: &Request, readers: &[Reader]) -> Vec<ObjectName> {
    let wanted = request.names.external_secrets.iter();
    wanted.filter(|name| !readers.iter().any(|reader| reader.name == **name)).cloned().collect()
}

async fn external_secret_objects(request: &Request, cluster: &Cluster) -> Result<Vec<Value>, Problem> {
    served::external_secrets(cluster, &request.context).await?;
    // Kubernetes' client has typed them loosely already; JSON is what the reading code speaks.
    let objects = cluster.external_secrets().await?;
    Ok(objects.into_iter().filter_map(|object| serde_json::to_value(object).ok()).collect())
}

async fn workloads(request: &Request, cluster: &Cluster) -> Result<Workloads, Problem> {
    let mut all = list_workloads(cluster).await?;
    // Lists are of different moments: a pod may be listed whose ReplicaSet was made after those were. It is nobody's only
    // if that is still so once the ReplicaSets are listed after the pods.
    if other_readers::is_ownerless(&all) {
        (all.deployments, all.replica_sets) = futures::try_join!(cluster.list(), cluster.list())?;
    }
    all.nodes = nodes::nodes(cluster, &all.pods).await;
    all.words = request.words.clone();
    Ok(all)
}

async fn list_workloads(cluster: &Cluster) -> Result<Workloads, Problem> {
    let (deployments, replica_sets, stateful_sets, daemon_sets, cron_jobs, jobs, pods) = futures::try_join!(
        cluster.list(),
        cluster.list(),
        cluster.list(),
        cluster.list(),
        cluster.list(),
        cluster.list(),
        cluster.list(),
    )?;
    Ok(Workloads {
        deployments,
        replica_sets,
        stateful_sets,
        daemon_sets,
        cron_jobs,
        jobs,
        pods,
        ..Workloads::default()
    })
}

/// The consumers as they are now: less than a whole observation, for the wait of a restart.
pub async fn look_at_consumers(
    request: &Request,
    cluster: &Cluster,
    before: &Observation,
) -> Result<Observation, Problem> {
    let workloads = workloads(request, cluster).await?;
    let mut now = before.clone();
    add_consumers(request, &mut now, &workloads);
    Ok(now)
}

fn add_consumers(request: &Request, now: &mut Observation, workloads: &Workloads) {
    let carriers = carriers(now);
    now.consumers = consumers::consumers(workloads, &carriers);
    now.other_readers = other_readers::other_readers(workloads, &carriers, &now.consumers);
    let copied = copies::carriers(now);
    other_readers::add_of_copies(&mut now.other_readers, workloads, &copied);
    now.lost_pods = other_readers::lost_pods(workloads, &carriers);
    let wanted = request.names.workloads.iter();
    let found = |workload: &&deepdesk_protocol::facts::names::WorkloadRef| {
        now.consumers.iter().any(|consumer| consumer.workload == **workload)
    };
    now.missing_workloads = wanted.filter(|workload| !found(workload)).cloned().collect();
}

fn carriers(now: &Observation) -> Carriers {
    let mut carriers = Carriers::new();
    for external in &now.external_secrets {
        let keys = external.keys.iter().map(|key| (key.key.clone(), key.source));
        carriers.entry(external.target.clone()).or_default().extend(keys);
    }
    carriers
}

/// What the Lease says, or the refusal: who only reads goes on without it, and who takes the lock was refused before.
async fn recorded(cluster: &Cluster, primary: &SecretId) -> Result<Result<Record, ApiError>, Problem> {
    Ok(allowed(crate::lock::recorded(cluster, primary).await)?)
}

/// The labels of both secrets. A back-compat that does not exist yet will get the primary's.
async fn labels_of_both(request: &Request, home: &SecretHome, manager: &SecretManager) -> Result<Labels, ApiError> {
    let names = &request.names;
    let (primary, back_compat) =
        futures::try_join!(manager.settings(home, &names.primary), manager.settings(home, &names.back_compat))?;
    let primary = primary.map(labels_of).unwrap_or_default();
    Ok(Labels { back_compat: back_compat.map_or_else(|| primary.clone(), labels_of), primary })
}

/// The ExternalSecrets that read one of the two, or may. Without labels, whatever finds by tags may.
fn read_all(request: &Request, objects: &[Value], labels: Option<&Labels>) -> Vec<Reader> {
    let secrets = Secrets { primary: &request.names.primary, back_compat: &request.names.back_compat, labels };
    let mut readers: Vec<Reader> =
        objects.iter().filter_map(|object| external_secrets::read(object, &secrets)).collect();
    readers.sort_by(|a, b| a.name.cmp(&b.name));
    readers
}

/// Replaces each `extract` by the keys that it fills.
fn expand(readers: &mut [Reader], primary: &SecretView, back_compat: &SecretView, vault: &Vault) {
    for reader in readers {
        let mappings = std::mem::take(&mut reader.mappings).into_iter();
        reader.mappings = mappings.flat_map(|one| mappings::expanded(one, primary, back_compat, vault)).collect();
    }
}

/// What a key holds.
pub fn found(
    now: &Observation,
    reader: &Reader,
    mapping: &Mapping,
    target: Option<&KubernetesSecret>,
    vault: &Vault,
) -> Found {
    if mapping.derivation == Derivation::Opaque {
        return shown::shown(now, reader, mapping, target, vault);
    }
    let held = target.and_then(|target| target.data.get(&mapping.key));
    vault.find(held, mapping, now.secret(mapping.source).value())
}

fn has_unknown(now: &Observation, readers: &[Reader], targets: &[Option<KubernetesSecret>], vault: &Vault) -> bool {
    let is_known = |mapping: &&Mapping| mapping.derivation != Derivation::Opaque || mapping.may_be_shown();
    readers.iter().zip(targets).any(|(reader, target)| {
        let mut mappings = reader.mappings.iter().filter(is_known);
        mappings.any(|mapping| found(now, reader, mapping, target.as_ref(), vault) == Found::Unknown)
    })
}

/// The `Ready` condition; when it is false, with the cause from the controller's Events: the condition's own message is
/// a constant.
async fn with_cause(reader: &Reader, cluster: &Cluster) -> Ready {
    let Ready::False { reason, message } = &reader.ready else { return reader.ready.clone() };
    // Events are a help, not a need: without the right to read them the constant has to do.
    let events = cluster.events_about(&reader.uid).await.unwrap_or_default();
    let newest = events.into_iter().filter(|event| event.reason == "UpdateFailed").max_by_key(|event| event.last);
    let message = newest.map_or_else(|| message.clone(), |event| event.message);
    Ready::False { reason: reason.clone(), message }
}

/// The known values that some of its mappings can make nothing of.
fn cannot_copy(reader: &Reader, vault: &Vault) -> Vec<(Source, ValueTag)> {
    let followed = reader.mappings.iter().filter(|mapping| mapping.derivation != Derivation::Opaque);
    let unfit = followed.flat_map(|mapping| {
        let refused = vault.unfit(&mapping.transform);
        refused.map(move |value| (mapping.source, value))
    });
    let mut unfit: Vec<(Source, ValueTag)> = unfit.collect();
    unfit.sort();
    unfit.dedup();
    unfit
}

fn view(
    now: &Observation,
    reader: &Reader,
    ready: Ready,
    store: &Store,
    target: Option<&KubernetesSecret>,
    vault: &Vault,
) -> ExternalSecretView {
    let held = reader.mappings.iter().map(|mapping| (mapping, found(now, reader, mapping, target, vault)));
    let held: Vec<(&Mapping, Found)> = held.collect();
    // Its last sync came long after the newest version, however much clocks differ.
    let is_late = |source| {
        let newest = now.secret(source).newest().filter(|_| now.secret(source).value().is_some());
        let created = newest.and_then(|newest| newest.created?.checked_add(CLOCKS_DIFFER).ok());
        reader.refreshed.zip(created).is_some_and(|(refreshed, created)| refreshed > created)
    };
    let mut keys: Vec<KeyView> = held
        .iter()
        .map(|(mapping, found)| KeyView {
            key: mapping.key.clone(),
            source: mapping.source,
            derivation: shown::derivation(mapping, *found, &held, is_late(mapping.source)),
            pinned: mapping.pinned.clone(),
            property: mapping.transform.property.clone(),
            found: *found,
        })
        .collect();
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    ExternalSecretView {
        name: reader.name.clone(),
        uid: reader.uid.clone(),
        target: reader.target.clone(),
        home: store.home.clone(),
        store_problem: store.problem.clone(),
        ready,
        refreshed: reader.refreshed,
        refresh: reader.refresh,
        keys,
        needs_back_compat: reader.needs_back_compat,
        immutable: reader.immutable || target.is_some_and(|target| target.immutable),
        owner: reader.owner.clone(),
        unusual_target: reader.unusual_target.clone(),
        not_followed: reader
            .mappings
            .iter()
            .filter(|mapping| mapping.derivation == Derivation::Opaque)
            .find_map(|mapping| mapping.not_followed)
            .map(str::to_owned),
        cannot_copy: cannot_copy(reader, vault),
        written: target.and_then(|target| target.last_write),
        resource_version: target.map(|target| target.resource_version.clone()),
        target_created: target.and_then(|target| target.created),
    }
}
