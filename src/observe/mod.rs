//! Asks the clients, returns one Observation, and the values beside it.

pub mod consumers;
pub mod external_secrets;
pub mod glance;
pub mod partial;
pub mod redaction;
pub mod served;
pub mod store;
pub mod survey;
pub mod template;
pub mod vault;

use std::collections::BTreeMap;

use futures::future::{try_join, try_join_all, try_join3};
use serde_json::Value;

use crate::clients::cluster::{Cluster, KubernetesSecret};
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::secret_manager::{Access, SecretManager, SecretSettings, VersionInfo, Which};
use crate::domain::names::{ObjectName, SecretHome, SecretId, VersionId};
use crate::domain::observation::{
    Derivation, ExternalSecretView, Found, KeyView, Observation, Ready, SecretView, Source, Unread, Version,
    VersionState,
};
use crate::domain::problem::Problem;
use crate::domain::state;
use crate::request::Request;
use consumers::{Carriers, Workloads};
use external_secrets::{Mapping, Reader, Secrets, Store, StoreRef, Transform};
use vault::Vault;

/// How many of the newest enabled versions are read to name what an unknown value is.
const OLDER_VERSIONS_READ: usize = 8;
/// How many of the newest versions are listed, for their dates.
const VERSIONS_LISTED: usize = 25;
/// How many numbers above `latest` are tried: more than this many versions added within the lag of `latest` is no lag.
const PROBES: usize = 64;

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
    recorded: Result<crate::lock::Record, ApiError>,
    /// The stores that its ExternalSecrets read from.
    stores: BTreeMap<StoreRef, Store>,
}

/// Whether Secret Manager's metadata is read: dates, older versions, labels. Its quota is small (600 a minute and project).
#[derive(Clone, Copy, Eq, PartialEq)]
enum Metadata {
    /// It is.
    Read,
    /// It is left: values and states of the newest versions come by access, and accesses are plenty.
    Leave,
}

/// Looks at everything of one account.
pub async fn observe(request: &Request, cluster: &Cluster, secret_manager: &SecretManager) -> Result<Seen, Problem> {
    let listed = list(request, cluster).await?;
    see(request, cluster, secret_manager, listed, Metadata::Read).await
}

async fn list(request: &Request, cluster: &Cluster) -> Result<Listed, Problem> {
    let (objects, workloads, recorded) =
        try_join3(external_secret_objects(request, cluster), workloads(cluster), recorded(cluster)).await?;
    let readers = read_all(request, &objects, &[]);
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
    let mut readers = read_all(request, &objects, &[]);
    let home = store::home(request, &readers, &stores)?;
    let mut labels = Vec::new();
    if objects.iter().any(external_secrets::needs_labels) {
        let settings = secret_manager.settings(&home, &request.names.primary).await?;
        labels = settings.map(labels_of).unwrap_or_default();
        readers = read_all(request, &objects, &labels);
    }
    let mut vault = Vault::default();
    let (primary, back_compat, refused) = secrets(request, &home, secret_manager, &mut vault, labels, metadata).await?;
    let mut unread: Vec<Unread> = refused.map(|error| Unread::Versions(error.to_string())).into_iter().collect();
    let recorded = recorded.unwrap_or_else(|refused| {
        unread.push(Unread::Record(refused.to_string()));
        crate::lock::Record::default()
    });
    expand(&mut readers, &primary, &back_compat, &vault);
    let targets = try_join_all(readers.iter().map(|reader| cluster.secret(reader.target.as_str()))).await?;
    let mut now = Observation {
        asked_project: request.asked_project.clone(),
        last_rotation: recorded.last,
        begun: recorded.begun,
        announced: recorded.announced,
        unread,
        ..Observation::of_secrets(request.account.clone(), home, primary, back_compat)
    };
    if has_unknown(&now, &readers, &targets, &vault) {
        read_older(&mut now, secret_manager, &mut vault).await?;
    }
    for (reader, target) in readers.iter().zip(&targets) {
        let ready = with_cause(reader, cluster).await;
        let store = &stores[&reader.store];
        now.external_secrets.push(view(&now, reader, ready, store, target.as_ref(), &vault));
    }
    now.missing_external_secrets = missing(request, &readers);
    add_consumers(request, &mut now, &workloads);
    Ok(Seen { now, vault, readers })
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

async fn workloads(cluster: &Cluster) -> Result<Workloads, Problem> {
    let (deployments, replica_sets, stateful_sets, daemon_sets, cron_jobs, jobs, pods) = futures::try_join!(
        cluster.list(),
        cluster.list(),
        cluster.list(),
        cluster.list(),
        cluster.list(),
        cluster.list(),
        cluster.list(),
    )?;
    Ok(Workloads { deployments, replica_sets, stateful_sets, daemon_sets, cron_jobs, jobs, pods })
}

/// The consumers as they are now: less than a whole observation, for the wait of a restart.
pub async fn look_at_consumers(
    request: &Request,
    cluster: &Cluster,
    before: &Observation,
) -> Result<Observation, Problem> {
    let workloads = workloads(cluster).await?;
    let mut now = before.clone();
    add_consumers(request, &mut now, &workloads);
    Ok(now)
}

fn add_consumers(request: &Request, now: &mut Observation, workloads: &Workloads) {
    let carriers = carriers(now);
    now.consumers = consumers::consumers(workloads, &carriers);
    now.other_readers = consumers::other_readers(workloads, &carriers);
    let wanted = request.names.workloads.iter();
    let found = |workload: &&crate::domain::names::WorkloadRef| {
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
async fn recorded(cluster: &Cluster) -> Result<Result<crate::lock::Record, ApiError>, Problem> {
    Ok(allowed(crate::lock::recorded(cluster).await)?)
}

fn read_all(request: &Request, objects: &[Value], labels: &[(String, String)]) -> Vec<Reader> {
    let secrets = Secrets { primary: &request.names.primary, back_compat: &request.names.back_compat, labels };
    let mut readers: Vec<Reader> =
        objects.iter().filter_map(|object| external_secrets::read(object, &secrets)).collect();
    readers.sort_by(|a, b| a.name.cmp(&b.name));
    readers
}

fn labels_of(settings: SecretSettings) -> Vec<(String, String)> {
    settings.labels().into_iter().collect()
}

/// Reads both secrets: the newest version of each by number, and of the primary the version before it. Metadata that may not
/// be read is left out, and the refusal returned: only the newest versions' bytes are needed.
async fn secrets(
    request: &Request,
    home: &SecretHome,
    secret_manager: &SecretManager,
    vault: &mut Vault,
    labels: Vec<(String, String)>,
    metadata: Metadata,
) -> Result<(SecretView, SecretView, Option<ApiError>), Problem> {
    let mut refused = None;
    let names = &request.names;
    let wanted = metadata == Metadata::Read;
    // They only serve a warning here: without the right to read them there is none.
    let labels = async {
        match labels.is_empty() && wanted {
            true => {
                secret_manager.settings(home, &names.primary).await.ok().flatten().map(labels_of).unwrap_or_default()
            }
            false => labels,
        }
    };
    let versions = async {
        match wanted {
            true => allowed(secret_manager.versions(home, &names.primary, VERSIONS_LISTED).await),
            false => Ok(Ok(None)),
        }
    };
    let secrets = try_join3(
        newest(secret_manager, home, &names.primary),
        newest(secret_manager, home, &names.back_compat),
        versions,
    );
    let (secrets, labels) = futures::join!(secrets, labels);
    let (primary, back_compat, metadata_of) = secrets?;
    let mut primary = keep(&names.primary, primary, vault);
    let mut back_compat = keep(&names.back_compat, back_compat, vault);
    primary.labels = labels;
    if wanted && !back_compat.exists {
        // A secret without versions answers an access like one that does not exist.
        back_compat.exists = secret_manager.settings(home, &names.back_compat).await?.is_some();
    }
    let listed = metadata_of.unwrap_or_else(|error| {
        refused = Some(error);
        None
    });
    let Some(newest) = primary.newest().map(|version| version.id) else { return Ok((primary, back_compat, refused)) };
    // What the back-compat held before tells a rollback from the rotation that it undoes, and is what a two-phase one
    // announced. Both at once: a look at an account waits for one answer.
    let kept = back_compat.newest().and_then(|newest| newest.id.previous());
    let (before, kept) = try_join(
        read_version(&names.primary, newest.previous(), home, secret_manager),
        read_version(&names.back_compat, kept, home, secret_manager),
    )
    .await?;
    primary.versions.extend(before.and_then(|(id, access)| version(id, access, vault)));
    back_compat.versions.extend(kept.and_then(|(id, access)| version(id, access, vault)));
    let state = unjudged(request, home, &primary, &back_compat);
    let explained = !matches!(state, state::State::Blocked(state::Blocked::UnexplainedPredecessor(_)));
    if !explained || matches!(state, state::State::Rotating { .. }) {
        let before = newest.previous().and_then(VersionId::previous);
        add_version(&mut primary, before, home, secret_manager, vault).await?;
    }
    add_metadata(&mut primary, listed.into_iter().flatten());
    let now = Observation::of_secrets(request.account.clone(), home.clone(), primary, back_compat);
    // Only a plan asks for that: a look at hundreds of accounts has no dates to spare.
    let exchanged = wanted && state::is_exchanged(&now);
    let (mut primary, mut back_compat) = (now.primary, now.back_compat);
    if exchanged {
        // Which of the two was written last tells by what; a list may lag, so they are asked for by number.
        for view in [&mut primary, &mut back_compat] {
            let Some(newest) = view.versions.first_mut().filter(|newest| newest.created.is_none()) else { continue };
            match allowed(secret_manager.version(home, &view.secret, Which::Number(newest.id)).await)? {
                Ok(info) => newest.created = info.map(|info| info.created),
                Err(error) => refused = Some(error),
            }
        }
    }
    Ok((primary, back_compat, refused))
}

/// Tells what may not be read from what could not be.
fn allowed<T>(answer: Result<T, ApiError>) -> Result<Result<T, ApiError>, ApiError> {
    match answer {
        Err(error) if error.kind == ApiErrorKind::Forbidden => Ok(Err(error)),
        answered => answered.map(Ok),
    }
}

/// Adds every older version of the two secrets to what is known of them, by number, state and date: finalizing retires
/// or destroys them, and a look at an account does not list them all.
pub async fn add_history(now: &mut Observation, secret_manager: &SecretManager) -> Result<(), ApiError> {
    let home = now.home.clone();
    for view in [&mut now.primary, &mut now.back_compat] {
        let listed = secret_manager.versions(&home, &view.secret, usize::MAX).await?.unwrap_or_default();
        add_metadata(view, listed);
    }
    Ok(())
}

/// Adds what a list of versions says. It may lag: it adds dates and older versions, and never overrules what an access
/// said.
fn add_metadata(view: &mut SecretView, listed: impl IntoIterator<Item = VersionInfo>) {
    let Some(newest) = view.newest().map(|version| version.id) else { return };
    for listed in listed {
        match view.versions.iter_mut().find(|version| version.id == listed.version) {
            Some(known) => known.created = Some(listed.created),
            None if listed.version > newest => {}
            None => view.versions.push(Version {
                id: listed.version,
                state: listed.state,
                value: None,
                created: Some(listed.created),
            }),
        }
    }
    view.versions.sort_by_key(|version| std::cmp::Reverse(version.id));
}

/// The state by the two secrets alone, before anything of the cluster is known.
fn unjudged(request: &Request, home: &SecretHome, primary: &SecretView, back_compat: &SecretView) -> state::State {
    state::secrets_state(&Observation::of_secrets(
        request.account.clone(),
        home.clone(),
        primary.clone(),
        back_compat.clone(),
    ))
}

/// Finds the newest version by number: what `latest` names, then upward until a number does not exist.
///
/// `latest`, lists and states are eventually consistent; an access by number is not (Secret Manager, consistency page).
pub async fn newest(
    secret_manager: &SecretManager,
    home: &SecretHome,
    secret: &SecretId,
) -> Result<Option<(VersionId, Access)>, ApiError> {
    let mut newest = match secret_manager.access(home, secret, Which::Latest).await? {
        Access::Missing => None,
        Access::Enabled { version, payload } => Some((version, Access::Enabled { version, payload })),
        // The refusal does not say which version it is; the metadata does.
        Access::NotEnabled { state } => secret_manager
            .version(home, secret, Which::Latest)
            .await?
            .map(|info| (info.version, Access::NotEnabled { state })),
    };
    for _ in 0..PROBES {
        let next = newest.as_ref().map_or(VersionId::FIRST, |(version, _)| version.next());
        match secret_manager.access(home, secret, Which::Number(next)).await? {
            Access::Missing => break,
            found @ (Access::Enabled { .. } | Access::NotEnabled { .. }) => newest = Some((next, found)),
        }
    }
    Ok(newest)
}

fn keep(secret: &SecretId, newest: Option<(VersionId, Access)>, vault: &mut Vault) -> SecretView {
    let exists = newest.is_some();
    let versions = newest.into_iter().filter_map(|(id, access)| version(id, access, vault)).collect();
    SecretView { secret: secret.clone(), versions, exists, labels: Vec::new() }
}

fn version(id: VersionId, access: Access, vault: &mut Vault) -> Option<Version> {
    let (state, value) = match access {
        Access::Missing => return None,
        Access::Enabled { payload, .. } => (VersionState::Enabled, Some(vault.keep(payload))),
        Access::NotEnabled { state } => (state, None),
    };
    Some(Version { id, state, value, created: None })
}

async fn add_version(
    view: &mut SecretView,
    id: Option<VersionId>,
    home: &SecretHome,
    secret_manager: &SecretManager,
    vault: &mut Vault,
) -> Result<(), Problem> {
    let read = read_version(&view.secret, id, home, secret_manager).await?;
    view.versions.extend(read.and_then(|(id, access)| version(id, access, vault)));
    Ok(())
}

async fn read_version(
    secret: &SecretId,
    id: Option<VersionId>,
    home: &SecretHome,
    secret_manager: &SecretManager,
) -> Result<Option<(VersionId, Access)>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    Ok(Some((id, secret_manager.access(home, secret, Which::Number(id)).await?)))
}

/// Reads the values of older enabled versions: only when some key holds a value that no version read so far explains.
async fn read_older(now: &mut Observation, secret_manager: &SecretManager, vault: &mut Vault) -> Result<(), Problem> {
    let home = now.home.clone();
    for view in [&mut now.primary, &mut now.back_compat] {
        let unread = view
            .versions
            .iter_mut()
            .filter(|version| version.state == VersionState::Enabled && version.value.is_none());
        for known in unread.take(OLDER_VERSIONS_READ) {
            if let Access::Enabled { payload, .. } =
                secret_manager.access(&home, &view.secret, Which::Number(known.id)).await?
            {
                known.value = Some(vault.keep(payload));
            }
        }
    }
    Ok(())
}

/// Replaces each `extract` by the properties of the JSON that it takes apart.
fn expand(readers: &mut [Reader], primary: &SecretView, back_compat: &SecretView, vault: &Vault) {
    for reader in readers {
        let mappings = std::mem::take(&mut reader.mappings);
        reader.mappings =
            mappings.into_iter().flat_map(|mapping| expanded(mapping, primary, back_compat, vault)).collect();
    }
}

fn expanded(mapping: Mapping, primary: &SecretView, back_compat: &SecretView, vault: &Vault) -> Vec<Mapping> {
    if !mapping.transform.extract {
        return vec![mapping];
    }
    let view = match mapping.source {
        Source::Primary => primary,
        Source::BackCompat => back_compat,
    };
    let properties = view.value().and_then(|tag| vault.value(tag)).and_then(vault::properties);
    let Some(properties) = properties else {
        let key = format!("(extract of {})", view.secret);
        return vec![Mapping { key, derivation: Derivation::Opaque, ..mapping }];
    };
    let of = |property: String| {
        let transform = Transform { property: Some(property.clone()), ..mapping.transform.clone() };
        Mapping { key: property, transform, ..mapping.clone() }
    };
    properties.into_iter().map(of).collect()
}

fn expected(now: &Observation, source: Source) -> Option<crate::domain::observation::ValueTag> {
    match source {
        Source::Primary => now.primary.value(),
        Source::BackCompat => now.back_compat.value(),
    }
}

/// What a key holds.
pub fn found(now: &Observation, mapping: &Mapping, target: Option<&KubernetesSecret>, vault: &Vault) -> Found {
    let held = target.and_then(|target| target.data.get(&mapping.key));
    vault.find(held, &mapping.transform, mapping.derivation, expected(now, mapping.source))
}

fn has_unknown(now: &Observation, readers: &[Reader], targets: &[Option<KubernetesSecret>], vault: &Vault) -> bool {
    let pairs = readers.iter().zip(targets);
    pairs.flat_map(|(reader, target)| reader.mappings.iter().map(move |mapping| (mapping, target))).any(
        |(mapping, target)| {
            mapping.derivation != Derivation::Opaque && found(now, mapping, target.as_ref(), vault) == Found::Unknown
        },
    )
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

fn view(
    now: &Observation,
    reader: &Reader,
    ready: Ready,
    store: &external_secrets::Store,
    target: Option<&KubernetesSecret>,
    vault: &Vault,
) -> ExternalSecretView {
    let mut keys: Vec<KeyView> = reader
        .mappings
        .iter()
        .map(|mapping| KeyView {
            key: mapping.key.clone(),
            source: mapping.source,
            derivation: mapping.derivation,
            pinned: mapping.pinned.clone(),
            property: mapping.transform.property.clone(),
            found: found(now, mapping, target, vault),
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
        written: target.and_then(|target| target.last_write),
        resource_version: target.map(|target| target.resource_version.clone()),
    }
}
