//! Looks at as much as can be seen: what is out of sight is said, each part with its own reason.
//!
//! For `check` alone. What changes something needs all of it, and stops at the first part that is missing (`observe`).

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::Value;

use super::external_secrets;
use super::vault::Vault;
use super::versions::{Metadata, add_version, keep, newest, read_older, secrets};
use super::{Workloads, add_consumers, expand, external_secret_objects, has_unknown, keep_copies, labels_of_both};
use super::{missing, read_all, recorded, store, view, with_cause, workloads};
use crate::clients::cluster::Cluster;
use crate::clients::secret_manager::SecretManager;
use crate::request::Request;
use deepdesk_protocol::checkup::Part;
use deepdesk_protocol::facts::names::{SecretHome, SecretId};
use deepdesk_protocol::facts::observation::{Observation, SecretView};
use deepdesk_protocol::problem::{Problem, Reason};

/// What was seen, and what was not.
pub struct Partial {
    /// The facts. What was not seen is empty, and must not be judged.
    pub now: Observation,
    /// The parts that were not seen, each with the reason.
    pub unseen: BTreeMap<Part, Problem>,
}

/// The parts out of sight, while they are found out.
#[derive(Default)]
struct Unseen(BTreeMap<Part, Problem>);

impl Unseen {
    /// What was seen; of what was not, the reason is kept, and nothing in its place.
    fn or_empty<T: Default>(&mut self, part: Part, seen: Result<T, Problem>) -> T {
        seen.unwrap_or_else(|problem| {
            // The first reason is the cause of those after it.
            self.0.entry(part).or_insert(problem);
            T::default()
        })
    }
}

/// Looks at everything that can be seen of one account. Without credentials Secret Manager cannot be.
pub async fn observe(request: &Request, cluster: &Cluster, secret_manager: Result<&SecretManager, Problem>) -> Partial {
    let mut unseen = Unseen::default();
    let (objects, workloads, recorded) = futures::join!(
        external_secret_objects(request, cluster),
        workloads(request, cluster),
        recorded(cluster, &request.names.primary)
    );
    let objects: Vec<Value> = unseen.or_empty(Part::ExternalSecrets, objects);
    let workloads: Option<Workloads> = unseen.or_empty(Part::Workloads, workloads.map(Some));
    let record = unseen.or_empty(Part::Lock, recorded.and_then(|record| Ok(record?)));

    let mut readers = read_all(request, &objects, None);
    let stores = store::stores(&readers, cluster, request.account.as_str()).await;
    let mut stores = unseen.or_empty(Part::Stores, stores);
    let home = unseen.or_empty(Part::Project, store::home(request, &readers, &stores).map(Some));
    if home.is_none()
        && let Some(why) = unseen.0.get(&Part::Stores).cloned()
    {
        unseen.0.insert(Part::Project, why);
    }

    let mut vault = Vault::default();
    let manager = home.as_ref().and_then(|home| Some((secret_manager.as_ref().ok()?, home)));
    let (primary, back_compat) = match manager {
        Some((manager, home)) => {
            let mut labels = None;
            if objects.iter().any(external_secrets::needs_labels) {
                let both = labels_of_both(request, home, manager).await.map(Some).map_err(Problem::from);
                labels = unseen.or_empty(Part::ExternalSecrets, both);
                readers = read_all(request, &objects, labels.as_ref());
            }
            let labels = labels.unwrap_or_default().primary;
            both_secrets(request, home, manager, labels, &mut vault, &mut unseen).await
        }
        None => {
            let why = secret_manager.as_ref().err().cloned().or_else(|| unseen.0.get(&Part::Project).cloned());
            for part in [Part::Primary, Part::BackCompat, Part::Versions] {
                unseen.0.extend(why.clone().map(|why| (part, why)));
            }
            (empty(&request.names.primary), empty(&request.names.back_compat))
        }
    };
    expand(&mut readers, &primary, &back_compat, &vault);
    for reader in &readers {
        // Where the stores are out of sight, nobody judges them: any store will do.
        stores
            .entry(reader.store.clone())
            .or_insert_with(|| store::read_store(None, &reader.store, request.account.as_str(), None));
    }
    let targets = join_all(readers.iter().map(|reader| cluster.secret(reader.target.as_str()))).await;
    let targets: Vec<_> = targets
        .into_iter()
        .map(|target| unseen.or_empty(Part::KubernetesSecrets, target.map_err(Problem::from)))
        .collect();

    let known = home.clone().unwrap_or_else(nowhere);
    let mut now = Observation {
        asked_project: request.asked_project.clone(),
        last_rotation: record.last,
        begun: record.begun,
        finalizing: record.finalizing,
        announced: record.announced,
        older: record.older,
        run_ended: record.run_ended,
        ..Observation::of_secrets(request.account.clone(), known, primary, back_compat)
    };
    if let Ok(manager) = &secret_manager
        && home.is_some()
        && has_unknown(&now, &readers, &targets, &vault)
    {
        let read = read_older(&mut now, manager, &mut vault).await;
        unseen.or_empty(Part::Versions, read);
    }
    keep_copies(&now, &readers, &targets, &mut vault);
    for (reader, target) in readers.iter().zip(&targets) {
        let ready = with_cause(reader, cluster).await;
        now.external_secrets.push(view(&now, reader, ready, &stores[&reader.store], target.as_ref(), &vault));
    }
    now.missing_external_secrets = missing(request, &readers);
    if let Some(workloads) = &workloads {
        super::copies::add_copies(cluster, &mut now, &objects, workloads, &vault).await;
        super::doors::add_doors(cluster, &mut now, workloads).await;
        super::shared::note_elsewhere(request, cluster, &mut now).await;
        add_consumers(request, &mut now, workloads);
    }
    Partial { now, unseen: unseen.0 }
}

/// Both secrets; where they cannot be read together, each for itself, so that each has its own reason.
async fn both_secrets(
    request: &Request,
    home: &SecretHome,
    manager: &SecretManager,
    labels: Vec<(String, String)>,
    vault: &mut Vault,
    unseen: &mut Unseen,
) -> (SecretView, SecretView) {
    let names = &request.names;
    let whole = match secrets(request, home, manager, vault, labels, Metadata::Read).await {
        Ok((primary, back_compat, refused)) => {
            unseen.or_empty(Part::Versions, refused.map_or(Ok(()), |error| Err(error.into())));
            return (primary, back_compat);
        }
        Err(problem) => problem,
    };
    if matches!(
        whole.reason,
        Reason::ConnectionFailed | Reason::Timeout | Reason::Unavailable | Reason::Unauthenticated
    ) {
        // One by one they would fail alike, and take their time to.
        for part in [Part::Primary, Part::BackCompat, Part::Versions] {
            unseen.or_empty::<()>(part, Err(whole.clone()));
        }
        return (empty(&names.primary), empty(&names.back_compat));
    }
    let mut primary = match newest(manager, home, &names.primary).await {
        Ok(found) => keep(&names.primary, found, vault),
        Err(error) => {
            unseen.or_empty::<()>(Part::Primary, Err(error.into()));
            empty(&names.primary)
        }
    };
    let back_compat = match newest(manager, home, &names.back_compat).await {
        Ok(found) => keep(&names.back_compat, found, vault),
        Err(error) => {
            unseen.or_empty::<()>(Part::BackCompat, Err(error.into()));
            empty(&names.back_compat)
        }
    };
    let previous = primary.newest().and_then(|newest| newest.id.previous());
    let added = add_version(&mut primary, previous, home, manager, vault).await;
    unseen.or_empty(Part::Primary, added);
    unseen.or_empty::<()>(Part::Versions, Err(whole));
    (primary, back_compat)
}

fn empty(secret: &SecretId) -> SecretView {
    SecretView {
        secret: secret.clone(),
        versions: Vec::new(),
        exists: false,
        labels: Vec::new(),
        conditions: Default::default(),
    }
}

/// Stands for a project that is not known: no check on it is asked then.
fn nowhere() -> SecretHome {
    let project = "unknown-project".parse().expect("it has the form of a project id");
    SecretHome { project, location: None }
}
