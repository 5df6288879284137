//! Every check that `check` can ask: its group, what should hold in words, and what has to be in sight to ask it.
//!
//! Those on an observation are `CHECKS`; here stand also those on the way to one: kubeconfig, credentials, APIs, lock.

use crate::checkup::Part;
use crate::hint::Hint;
use crate::result::{CheckResult, Verdict};

/// A group: its stable name, and its title.
pub type Group = (&'static str, &'static str);

const KUBECONFIG: Group = ("kubeconfig", "kubeconfig and context");
const GOOGLE: Group = ("google", "credentials at Google");
const API: Group = ("kubernetes-api", "Kubernetes API");
const ACCESS: Group = ("access", "rights in the namespace");
const ES_API: Group = ("external-secrets-api", "External Secrets API");
const STORES: Group = ("stores", "stores");
const EXTERNAL_SECRETS: Group = ("external-secrets", "ExternalSecrets");
const CONSUMERS: Group = ("consumers", "consumers");
const SECRET_MANAGER: Group = ("secret-manager", "Secret Manager");
const LOCK: Group = ("lock", "lock");

/// A check that can be asked for by its id.
pub struct Entry {
    /// Stable id.
    pub id: &'static str,
    pub group: Group,
    /// Its name: the group's, and what should hold in a word.
    pub name: &'static str,
    /// What should hold.
    pub title: &'static str,
    /// What has to be in sight.
    pub needs: &'static [Part],
}

/// Id of the check on the kubeconfig.
pub const KUBECONFIG_ID: &str = "DD-KUBECONFIG";
/// Id of the check on gcloud's configuration.
pub const GCLOUD_ID: &str = "DD-GCLOUD";
/// Id of the check on the credentials at Google.
pub const CREDENTIALS_ID: &str = "DD-GOOGLE-CREDENTIALS";
/// Id of the check on the API server.
pub const K8S_API_ID: &str = "DD-K8S-API";
/// Id of the check on the rights in the namespace; `access` asks it.
pub const K8S_ACCESS_ID: &str = "DD-K8S-ACCESS";
/// Id of the check on External Secrets' API.
pub const ES_API_ID: &str = "DD-ES-API";
/// Id of the check on Secret Manager's answer.
pub const SM_API_ID: &str = "DD-SM-API";
/// Id under which it is told that a dry run could not judge a write.
pub const DRY_RUN_ID: &str = "DD-DRY-RUN";
/// Id of the check on the rights in Secret Manager; `access` asks it.
pub const SM_ACCESS_ID: &str = "DD-SM-ACCESS";
/// Id of the check on the project.
pub const PROJECT_ID: &str = "DD-PROJECT";
/// Id of the check that no secret deletes itself; `access` asks this one and the three below.
pub const EXPIRY_ID: &str = "DD-EXPIRY";
/// Id of the check on aliases that stay behind.
pub const ALIASES_ID: &str = "DD-ALIASES";
/// Id of the check on rotation schedules.
pub const SCHEDULE_ID: &str = "DD-ROTATION-SCHEDULE";
/// Id of the check on versions that are to be destroyed.
pub const DESTRUCTION_ID: &str = "DD-DESTRUCTION";
/// Id of the check on the plan of a rotation.
pub const PLAN_ID: &str = "DD-PLAN";
/// Id of the check on the lock.
pub const LOCK_ID: &str = "DD-LOCK";

const fn entry(
    id: &'static str,
    group: Group,
    name: &'static str,
    title: &'static str,
    needs: &'static [Part],
) -> Entry {
    Entry { id, group, name, title, needs }
}

const SEEN: &[Part] = &[Part::ExternalSecrets];
const STATE: &[Part] = &[Part::Primary, Part::BackCompat];
const ES_AND_STATE: &[Part] = &[Part::ExternalSecrets, Part::Primary, Part::BackCompat];
const HELD: &[Part] = &[Part::ExternalSecrets, Part::KubernetesSecrets, Part::Primary, Part::BackCompat];
const WORK: &[Part] = &[Part::ExternalSecrets, Part::Workloads];
const WORK_AND_STATE: &[Part] = &[Part::ExternalSecrets, Part::Workloads, Part::Primary, Part::BackCompat];
const ALL_HELD: &[Part] =
    &[Part::ExternalSecrets, Part::KubernetesSecrets, Part::Workloads, Part::Primary, Part::BackCompat];
const PLANNED: &[Part] = &[
    Part::ExternalSecrets,
    Part::KubernetesSecrets,
    Part::Workloads,
    Part::Primary,
    Part::BackCompat,
    Part::Versions,
    Part::Lock,
];

/// All of them, in the order in which they are shown.
pub static CATALOGUE: &[Entry] = &[
    entry(KUBECONFIG_ID, KUBECONFIG, "kubeconfig/context", "a context is chosen and can be used", &[]),
    entry(GCLOUD_ID, GOOGLE, "google/configuration", "gcloud's configuration can be read", &[]),
    entry(CREDENTIALS_ID, GOOGLE, "google/credentials", "the credentials can be used", &[]),
    entry(K8S_API_ID, API, "kubernetes-api/answers", "the API server answers", &[]),
    entry(K8S_ACCESS_ID, ACCESS, "access/kubernetes", "every permission that will be needed is granted", &[]),
    entry(ES_API_ID, ES_API, "external-secrets-api/installed", "External Secrets is installed", &[]),
    entry(
        "DD-ES-STORE",
        STORES,
        "stores/ready",
        "stores are ready and can be followed",
        &[Part::ExternalSecrets, Part::Stores],
    ),
    entry(
        "DD-ES-EXIST",
        EXTERNAL_SECRETS,
        "external-secrets/exist",
        "those that are expected exist and read the secret",
        SEEN,
    ),
    entry("DD-ES-READY", EXTERNAL_SECRETS, "external-secrets/ready", "they are syncing", ES_AND_STATE),
    entry(
        "DD-ES-BACK-COMPAT",
        EXTERNAL_SECRETS,
        "external-secrets/back-compat-exists",
        "none waits for a back-compat that does not exist",
        &[Part::ExternalSecrets, Part::BackCompat],
    ),
    entry("DD-ES-PINNED", EXTERNAL_SECRETS, "external-secrets/not-pinned", "none pins a version", SEEN),
    entry("DD-ES-CREATED-ONCE", EXTERNAL_SECRETS, "external-secrets/not-created-once", "none copies once only", SEEN),
    entry("DD-ES-INTERVAL-ZERO", EXTERNAL_SECRETS, "external-secrets/interval", "none has interval 0", SEEN),
    entry(
        "DD-ES-IMMUTABLE",
        EXTERNAL_SECRETS,
        "external-secrets/not-immutable",
        "no target is immutable",
        &[Part::ExternalSecrets, Part::KubernetesSecrets],
    ),
    entry(
        "DD-ES-OWNED",
        EXTERNAL_SECRETS,
        "external-secrets/annotations-stay",
        "none belongs to an owner that removes annotations",
        SEEN,
    ),
    entry("DD-ES-TARGET", EXTERNAL_SECRETS, "external-secrets/target", "targets are Kubernetes Secrets as usual", SEEN),
    entry(
        "DD-ES-OPAQUE",
        EXTERNAL_SECRETS,
        "external-secrets/comparable",
        "what arrives can be compared",
        ES_AND_STATE,
    ),
    entry(
        "DD-ES-PROPERTY",
        EXTERNAL_SECRETS,
        "external-secrets/whole-value",
        "whole values are used, no property of JSON",
        ES_AND_STATE,
    ),
    entry(
        "DD-BACK-COMPAT-MAPPED",
        EXTERNAL_SECRETS,
        "external-secrets/back-compat-mapped",
        "the back-compat is copied into the cluster",
        SEEN,
    ),
    entry(
        "DD-SECRETS-CURRENT",
        EXTERNAL_SECRETS,
        "external-secrets/secrets-on-latest",
        "Kubernetes Secrets hold the newest version",
        HELD,
    ),
    entry("DD-CONSUMERS", CONSUMERS, "consumers/exist", "those that are expected exist and read the secret", WORK),
    entry("DD-BACK-COMPAT-READ", CONSUMERS, "consumers/back-compat-read", "they read the back-compat too", WORK),
    entry("DD-PAUSED", CONSUMERS, "consumers/not-paused", "none is paused", WORK),
    entry("DD-HELD-BACK", CONSUMERS, "consumers/all-pods-roll", "a restart replaces every pod", WORK),
    entry(super::HEALTHY, CONSUMERS, "consumers/healthy", "they are fully rolled out", WORK_AND_STATE),
    entry(super::PODS_CURRENT, CONSUMERS, "consumers/pods-on-latest", "pods started on the newest version", ALL_HELD),
    entry(
        "DD-OTHER-READERS",
        CONSUMERS,
        "consumers/no-other-readers",
        "nothing reads the secret that a restart does not reach",
        WORK,
    ),
    entry(
        "DD-UNMOVED-READERS",
        CONSUMERS,
        "consumers/all-move",
        "whatever reads it and does not end is moved, or left by name",
        WORK_AND_STATE,
    ),
    entry(
        "DD-OLD-READERS",
        CONSUMERS,
        "consumers/no-older-readers",
        "nothing else that reads it runs on an older value",
        ALL_HELD,
    ),
    entry("DD-RELOADER", CONSUMERS, "consumers/not-reloaded", "nobody else restarts them", WORK),
    entry("DD-GITOPS", CONSUMERS, "consumers/restart-stays", "nobody reverts the restart", WORK),
    entry("DD-COSTS", CONSUMERS, "consumers/restart-costs", "nothing makes their restart slow or costly", WORK),
    entry("DD-ONE-POD", CONSUMERS, "consumers/replicas", "they have more than one pod", WORK),
    entry(
        PROJECT_ID,
        SECRET_MANAGER,
        "secret-manager/project",
        "the project is known, and one",
        &[Part::ExternalSecrets, Part::Stores, Part::Project],
    ),
    entry(SM_API_ID, SECRET_MANAGER, "secret-manager/answers", "it answers", &[Part::Project]),
    entry(
        "DD-LATEST",
        SECRET_MANAGER,
        "secret-manager/latest-enabled",
        "the primary's newest version is enabled",
        &[Part::Primary],
    ),
    entry(
        "DD-PREDECESSOR",
        SECRET_MANAGER,
        "secret-manager/predecessor-explained",
        "the version before it is disabled, or explained",
        STATE,
    ),
    entry(
        "DD-OLDER-ENABLED",
        SECRET_MANAGER,
        "secret-manager/older-disabled",
        "older versions are disabled",
        &[Part::Primary, Part::BackCompat, Part::Versions],
    ),
    entry(
        "DD-TERRAFORM",
        SECRET_MANAGER,
        "secret-manager/not-terraform",
        "the primary is not managed by Terraform",
        &[Part::Primary],
    ),
    entry(
        "DD-BACK-COMPAT",
        SECRET_MANAGER,
        "secret-manager/back-compat-enabled",
        "the back-compat can be read, or has yet to be made",
        HELD,
    ),
    entry(EXPIRY_ID, SECRET_MANAGER, "secret-manager/no-expiry", "neither secret expires", STATE),
    entry(ALIASES_ID, SECRET_MANAGER, "secret-manager/aliases", "no alias stays at an older version", STATE),
    entry(SCHEDULE_ID, SECRET_MANAGER, "secret-manager/no-schedule", "nobody else is notified to rotate them", STATE),
    entry(
        DESTRUCTION_ID,
        SECRET_MANAGER,
        "secret-manager/no-destruction",
        "no version is about to be destroyed",
        STATE,
    ),
    entry(
        SM_ACCESS_ID,
        SECRET_MANAGER,
        "secret-manager/access",
        "every permission that will be needed is granted",
        &[Part::Project],
    ),
    entry(PLAN_ID, SECRET_MANAGER, "secret-manager/plan", "a rotation can be planned from this state", PLANNED),
    entry(LOCK_ID, LOCK, "lock/free", "nobody else is at work", &[Part::Lock]),
];

/// What came of a check.
pub fn result(id: &'static str, result: Verdict, message: String, hints: Vec<Hint>) -> CheckResult {
    let name = by_id(id).map_or(id, |entry| entry.name);
    CheckResult { id, name, result, message, hints }
}

/// The check with this id.
pub fn by_id(id: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.id == id)
}

/// The checks that `--only` and `--skip` leave, each given as ids, names and groups.
pub fn selected(only: &[String], skip: &[String]) -> Result<Vec<&'static Entry>, Unknown> {
    for given in only.iter().chain(skip) {
        if !CATALOGUE.iter().any(|entry| is_meant(entry, given)) {
            return Err(Unknown { given: given.clone(), near: near(given) });
        }
    }
    let listed = |names: &[String], entry: &Entry| names.iter().any(|name| is_meant(entry, name));
    let left = CATALOGUE.iter().filter(|entry| (only.is_empty() || listed(only, entry)) && !listed(skip, entry));
    Ok(left.collect())
}

/// What is neither an id, nor a name, nor a group.
#[derive(Debug, Eq, PartialEq)]
pub struct Unknown {
    pub given: String,
    /// What may have been meant, likeliest first.
    pub near: Vec<&'static str>,
}

/// The names of the groups, in order.
pub fn groups() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = CATALOGUE.iter().map(|entry| entry.group.0).collect();
    names.dedup();
    names
}

fn is_meant(entry: &Entry, name: &str) -> bool {
    [entry.id, entry.group.0, entry.name].iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The names like this one: a few letters away, or with it as a part.
fn near(given: &str) -> Vec<&'static str> {
    const MOST: usize = 3;
    let given = given.to_ascii_lowercase();
    let names = groups().into_iter().chain(CATALOGUE.iter().map(|entry| entry.id));
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower = name.to_ascii_lowercase();
            let steps = strsim::levenshtein(&given, &lower);
            let part = given.len() >= 3 && lower.contains(&given);
            (part || steps <= given.len() / 3).then_some((steps, name))
        })
        .collect();
    near.sort();
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_is_here_once_and_groups_are_in_one_piece() {
        let ids: BTreeSet<&str> = CATALOGUE.iter().map(|entry| entry.id).collect();
        assert_eq!(ids.len(), CATALOGUE.len());
        let missing: Vec<&str> =
            super::super::CHECKS.iter().map(|check| check.id).filter(|id| !ids.contains(id)).collect();
        assert!(missing.is_empty(), "give them a group and a title: {missing:?}");
        for entry in CATALOGUE {
            assert!(entry.name.split_once('/').is_some_and(|(group, _)| group == entry.group.0), "{}", entry.name);
        }
        let names = groups();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_check_is_found_by_its_id() {
        assert_eq!(by_id("DD-ES-READY").map(|entry| entry.name), Some("external-secrets/ready"));
        assert!(by_id("DD-NONE").is_none());
    }

    #[test]
    fn checks_are_chosen_by_id_and_by_group() {
        let names = |given: &[&str]| given.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let chosen = |only: &[&str], skip: &[&str]| {
            let chosen = selected(&names(only), &names(skip));
            chosen.map(|all| all.iter().map(|entry| entry.id).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&["lock", "dd-kubeconfig"], &[]), Ok(vec!["DD-KUBECONFIG", "DD-LOCK"]));
        assert_eq!(chosen(&["consumers/healthy"], &[]), Ok(vec!["DD-HEALTHY"]));
        assert_eq!(chosen(&["google"], &["DD-GCLOUD"]), Ok(vec!["DD-GOOGLE-CREDENTIALS"]));
        assert_eq!(chosen(&[], &[]).map(|all| all.len()), Ok(CATALOGUE.len()));
        for (given, near) in [
            ("DD-ES-PINED", vec!["DD-ES-PINNED", "DD-ES-OWNED"]),
            ("consumer", vec!["consumers", "DD-CONSUMERS"]),
            ("back-compat", vec!["DD-BACK-COMPAT", "DD-ES-BACK-COMPAT", "DD-BACK-COMPAT-READ"]),
            ("consumxxx", vec!["consumers"]),
            ("xyz", vec![]),
        ] {
            assert_eq!(chosen(&[given], &[]), Err(Unknown { given: given.to_owned(), near }));
        }
    }
}
