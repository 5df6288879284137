//! Looks at many accounts at once, at a price that does not grow with the quota: states by access alone, the cluster by
//! a few lists of all namespaces, dates within a budget.
//!
//! Secret Manager allows a project 90,000 accesses a minute, and 600 reads of metadata that everybody shares. An access
//! tells a version's number, its value and whether it is enabled: enough for the state. It does not tell when the version
//! was created, and nothing lists the versions of several secrets at once. So dates are asked one list a secret: first
//! where the state hangs on one, then where the record of the last rotation tells none, and no more of these than go out
//! at once under the client's limit. What is left is unknown, and said to be.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::external_secrets::Reader;
use super::versions::{Metadata, VERSIONS_LISTED, add_metadata};
use super::{Listed, Workloads, list, observe, read_all, see, store};
use crate::clients::cluster::Cluster;
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::secret_manager::SecretManager;
use crate::lock;
use crate::request::Request;
use deepdesk_protocol::facts::names::{AccountName, SecretHome, SecretId, VersionId};
use deepdesk_protocol::facts::observation::{LastRotation, Observation, SecretView, VersionState};
use deepdesk_protocol::in_use;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::state::{self, Standing};
use deepdesk_protocol::status;

/// Accounts looked at at the same time.
const AT_ONCE: usize = 24;
/// Dates asked for in one survey that are only to be shown: as many as the client lets out at once (`rate_limit`).
pub const DATES: usize = 60;

/// An account to look at.
pub struct Subject {
    /// What is asked.
    pub request: Request,
    /// The cluster, in its namespace.
    pub cluster: Cluster,
    /// What the lists of all namespaces have of it; none when it is to be listed by itself.
    pub found: Option<FoundParts>,
}

/// What lists of all namespaces have of one account.
pub struct FoundParts {
    /// Its ExternalSecrets.
    pub objects: Vec<Value>,
    rest: Part,
    shared: std::sync::Arc<BTreeMap<String, Option<Value>>>,
}

/// What was seen of an account.
pub struct Look {
    /// The facts; or why there are none.
    pub seen: Result<Observation, Problem>,
    /// The last rotation on record, also where nothing else could be seen.
    pub last_rotation: Option<LastRotation>,
}

#[derive(Default)]
struct Part {
    workloads: Workloads,
    stores: Vec<Value>,
    lease: Option<Lease>,
}

/// What the whole cluster lists, by namespace.
pub struct Everything {
    parts: BTreeMap<String, Part>,
    shared: std::sync::Arc<BTreeMap<String, Option<Value>>>,
}

/// Lists all namespaces, for these accounts; none where that is not allowed, and each has to be listed by itself.
pub async fn everything(cluster: &Cluster, accounts: &[(Request, Vec<Value>)]) -> Result<Option<Everything>, Problem> {
    match listed_everywhere(cluster, accounts).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == ApiErrorKind::Forbidden => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn listed_everywhere(cluster: &Cluster, accounts: &[(Request, Vec<Value>)]) -> Result<Everything, ApiError> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    let (deployments, replica_sets, stateful_sets, daemon_sets, cron_jobs, jobs, pods, leases, stores) = futures::try_join!(
        by_namespace(cluster, None),
        by_namespace(cluster, None),
        by_namespace(cluster, None),
        by_namespace(cluster, None),
        by_namespace(cluster, None),
        by_namespace(cluster, None),
        by_namespace(cluster, None),
        by_namespace::<Lease>(cluster, Some(lock::LEASE)),
        cluster.secret_stores_everywhere(),
    )?;
    deployments.into_iter().for_each(|(at, all)| parts.entry(at).or_default().workloads.deployments = all);
    replica_sets.into_iter().for_each(|(at, all)| parts.entry(at).or_default().workloads.replica_sets = all);
    stateful_sets.into_iter().for_each(|(at, all)| parts.entry(at).or_default().workloads.stateful_sets = all);
    daemon_sets.into_iter().for_each(|(at, all)| parts.entry(at).or_default().workloads.daemon_sets = all);
    cron_jobs.into_iter().for_each(|(at, all)| parts.entry(at).or_default().workloads.cron_jobs = all);
    jobs.into_iter().for_each(|(at, all)| parts.entry(at).or_default().workloads.jobs = all);
    pods.into_iter().for_each(|(at, all)| parts.entry(at).or_default().workloads.pods = all);
    leases.into_iter().for_each(|(at, all)| parts.entry(at).or_default().lease = all.into_iter().next());
    for store in stores {
        if let (Some(namespace), Ok(store)) = (store.metadata.namespace.clone(), serde_json::to_value(store)) {
            parts.entry(namespace).or_default().stores.push(store);
        }
    }
    let readers: Vec<Reader> =
        accounts.iter().flat_map(|(request, objects)| read_all(request, objects, None)).collect();
    let mut shared = BTreeMap::new();
    for name in readers.iter().map(|reader| &reader.store).filter(|store| store.cluster).map(|store| &store.name) {
        if !shared.contains_key(name) {
            let store = cluster.cluster_secret_store(name).await?;
            shared.insert(name.clone(), store.and_then(|store| serde_json::to_value(store).ok()));
        }
    }
    Ok(Everything { parts, shared: shared.into() })
}

async fn by_namespace<K>(cluster: &Cluster, name: Option<&str>) -> Result<BTreeMap<String, Vec<K>>, ApiError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    let mut found: BTreeMap<String, Vec<K>> = BTreeMap::new();
    for object in cluster.list_everywhere::<K>(name).await? {
        let meta: &ObjectMeta = object.meta();
        let namespace = meta.namespace.clone().unwrap_or_default();
        found.entry(namespace).or_default().push(object);
    }
    Ok(found)
}

impl Everything {
    /// Takes out what belongs to an account.
    pub fn take(&mut self, account: &AccountName, objects: Vec<Value>) -> FoundParts {
        let rest = self.parts.remove(account.as_str()).unwrap_or_default();
        FoundParts { objects, rest, shared: self.shared.clone() }
    }
}

/// When versions were created, as far as it is known. It never changes: who looks again need not ask again.
#[derive(Default)]
pub struct Dates(Mutex<BTreeMap<(String, VersionId), Timestamp>>);

impl Dates {
    fn known(&self) -> MutexGuard<'_, BTreeMap<(String, VersionId), Timestamp>> {
        // A panic elsewhere cannot leave a map of dates half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self, home: &SecretHome, view: &mut SecretView) {
        let (known, place) = (self.known(), place(home, &view.secret));
        for version in view.versions.iter_mut().filter(|version| version.created.is_none()) {
            version.created = known.get(&(place.clone(), version.id)).copied();
        }
    }

    fn keep(&self, home: &SecretHome, view: &SecretView) {
        let place = place(home, &view.secret);
        let dated = view.versions.iter().filter_map(|version| Some(((place.clone(), version.id), version.created?)));
        self.known().extend(dated);
    }
}

fn place(home: &SecretHome, secret: &SecretId) -> String {
    format!("{home}/{secret}")
}

/// Which dates are asked for where none is on record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// As many as cost no wait, where no rotation recorded one.
    Shown,
    /// As many as cost no wait, of both secrets, also where a record says nearly the same.
    Exact,
    /// That of every primary, however long the limit makes it take: the answer hangs on them.
    Every,
}

/// Looks at each account, several at a time; in their order.
pub async fn survey(
    subjects: Vec<Subject>,
    secret_manager: &SecretManager,
    dates: &Dates,
    wanted: Wanted,
    mut waits: impl FnMut(usize),
) -> Vec<Look> {
    let again: Vec<(Request, Cluster)> =
        subjects.iter().map(|subject| (subject.request.clone(), subject.cluster.clone())).collect();
    let looks = subjects.into_iter().map(|subject| look(subject, secret_manager, dates));
    let mut looks: Vec<Look> = futures::stream::iter(looks).buffered(AT_ONCE).collect().await;
    let seen = looks.iter_mut().filter_map(|look| look.seen.as_mut().ok());
    let mut primaries = Vec::new();
    let mut kept = Vec::new();
    for now in seen {
        let home = now.home.clone();
        let (shown, live) = (status::in_use_since(now).is_none(), state::back_compat_is_live(now));
        if needs_date(now) || wanted == Wanted::Every && shown {
            primaries.push((home, &mut now.primary));
        } else {
            // First those of which nothing is known at all.
            let rank = |unknown: bool| match (unknown, wanted) {
                (true, _) => Some(0),
                (false, Wanted::Exact) => Some(1),
                (false, Wanted::Shown | Wanted::Every) => None,
            };
            kept.push((rank(shown), home.clone(), &mut now.primary));
            // Only with its date it can be told since when a value that nobody rotated is live.
            kept.push((rank(live && now.last_rotation.is_none()), home, &mut now.back_compat));
        }
    }
    let left = DATES.saturating_sub(primaries.len());
    let unknown = |view: &SecretView| view.newest().is_some_and(|newest| newest.created.is_none());
    kept.retain(|(rank, _, view)| rank.is_some() && unknown(view));
    kept.sort_by_key(|(rank, ..)| *rank);
    let shown = kept.into_iter().take(left).map(|(_, home, view)| (home, view));
    let asked: Vec<(SecretHome, &mut SecretView)> = primaries.into_iter().chain(shown).collect();
    if asked.len() > DATES {
        waits(asked.len());
    }
    let asking = asked.into_iter().map(|(home, view)| date(home, view, secret_manager, dates));
    futures::stream::iter(asking).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    // Where a pod has a version that accesses to the newest ones do not tell of, all of it is looked at: such accounts are few.
    for (look, (request, cluster)) in looks.iter_mut().zip(again) {
        if look.seen.as_ref().is_ok_and(in_use::is_unread) {
            look.seen = observe(&request, &cluster, secret_manager).await.map(|seen| seen.now);
        }
    }
    looks
}

/// Asks when a secret's versions were created. A help, not a need: without the right to list them there are no dates.
async fn date(home: SecretHome, view: &mut SecretView, secret_manager: &SecretManager, dates: &Dates) {
    let listed = secret_manager.versions(&home, &view.secret, VERSIONS_LISTED).await;
    add_metadata(view, listed.ok().flatten().into_iter().flatten());
    dates.keep(&home, view);
}

/// Whether the state hangs on when the newest version was created: nothing else tells what a pod started with.
fn needs_date(now: &Observation) -> bool {
    let undated = |version: &&deepdesk_protocol::facts::observation::Version| {
        version.state == VersionState::Enabled && version.created.is_none()
    };
    now.primary.newest().filter(undated).is_some()
        && now
            .consumers
            .iter()
            .any(|consumer| consumer.pods.iter().any(|pod| state::standing(now, consumer, pod) != Standing::OnNewest))
}

async fn look(subject: Subject, secret_manager: &SecretManager, dates: &Dates) -> Look {
    let Subject { request, cluster, found } = subject;
    let listed = match found {
        Some(found) => Ok(listed(&request, found)),
        None => list(&request, &cluster).await,
    };
    let listed = match listed {
        Ok(listed) => listed,
        Err(problem) => return Look { seen: Err(problem), last_rotation: None },
    };
    let last_rotation = listed.recorded.as_ref().ok().and_then(|record| record.last.clone());
    let seen = see(&request, &cluster, secret_manager, listed, Metadata::Leave).await;
    let seen = seen.map(|seen| {
        let mut now = seen.now;
        dates.fill(&now.home, &mut now.primary);
        dates.fill(&now.home, &mut now.back_compat);
        now
    });
    Look { seen, last_rotation }
}

fn listed(request: &Request, found: FoundParts) -> Listed {
    let FoundParts { objects, rest, shared } = found;
    let readers = read_all(request, &objects, None);
    let stores = store::among(&readers, &rest.stores, &shared, request.account.as_str());
    Listed {
        objects,
        workloads: rest.workloads,
        recorded: Ok(rest.lease.map(|lease| lock::record_in(&lease, &request.names.primary)).unwrap_or_default()),
        stores,
    }
}
