//! Looks at the ExternalSecrets: each case in which a forced sync does nothing, most of them in silence.

use super::{Finding, Purpose, Seen, under_way};
use crate::command;
use crate::facts::names::AccountName;
use crate::facts::observation::{Derivation, ExternalSecretView, Observation, Ready, Refresh, Source, VersionState};
use crate::hint::{Command, FRESH_TOKEN, Hint};
use crate::plan::{self, Goal, NewValue, Want};

/// The message of the `Ready` condition for every error of the provider (External Secrets' controller).
const UNSPECIFIC: &str = "could not get secret data from provider";

pub(super) fn external_secrets_exist(seen: &Seen) -> Vec<Finding> {
    let account = &seen.now.account;
    let mut findings: Vec<Finding> = seen
        .now
        .missing_external_secrets
        .iter()
        .map(|name| {
            Finding(
                format!("external secret {account}/{name} does not exist or reads neither of the account's secrets"),
                vec![
                    Hint::to(
                        "look at it",
                        command!["kubectl", "get", "externalsecret", name, "-n", account, "-o", "yaml"],
                    ),
                    "another name? --external-secret".into(),
                ],
            )
        })
        .collect();
    if seen.now.keys(Source::Primary).next().is_none() && findings.is_empty() {
        findings.push(Finding(
            format!("no external secret in namespace {account} reads {}", seen.now.primary.secret),
            vec!["check the account's name and the namespace; another secret? --primary-secret".into()],
        ));
    }
    findings
}

/// One finding for each ExternalSecret for which `look` has something to say.
pub(super) fn each(seen: &Seen, look: impl Fn(&ExternalSecretView) -> Option<(String, Hint)>) -> Vec<Finding> {
    let account = &seen.now.account;
    let found = seen.now.external_secrets.iter().filter_map(|external| look(external).map(|found| (external, found)));
    found
        .map(|(external, (what, hint))| {
            Finding(format!("external secret {account}/{} {what}", external.name), vec![hint])
        })
        .collect()
}

pub(super) fn store(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| {
        let problem = external.store_problem.as_ref()?;
        Some((
            format!("cannot be synced: {problem}"),
            command!["kubectl", "get", "secretstore,clustersecretstore", "-n", seen.now.account].into(),
        ))
    })
}

pub(super) fn ready(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| {
        let account = &seen.now.account;
        let describe: Hint = command!["kubectl", "describe", "externalsecret", external.name, "-n", account].into();
        match &external.ready {
            Ready::True { reason } if reason == "SecretSynced" => None,
            Ready::True { reason } => {
                Some((format!("is Ready, but for the reason {reason}: nothing was copied"), describe))
            }
            // The one failure that `preserve` heals: it maps a back-compat that does not exist yet.
            Ready::False { .. } if heals_by_itself(seen.now, external) => None,
            // What it cannot copy is given up, or put right.
            Ready::False { .. } if seen.purpose == Purpose::Rollback && lacks(seen.now, external) => None,
            Ready::False { reason, message } if lacks_newest(seen.now, external) && goes_back(seen) => Some((
                format!(
                    "is not syncing: {reason}: {message}; it cannot copy the newest version of {}",
                    seen.now.primary.secret
                ),
                Hint::to("go back to the value before", Command::secret("rollback", account)),
            )),
            // What a rotation that goes on has to have synced anyway, and proves: its controller's next try may be far off.
            Ready::False { .. } if under_way(seen) || is_staging(seen) || is_refilling(seen) => None,
            Ready::False { reason, message } => {
                // Its controller's next try may be far off, and the cause over since. A sync that fails too says why.
                let retries = seen.purpose != Purpose::Sync && plan::may_sync(seen.now, &[]).is_ok();
                let sync = || Hint::to("see whether it still fails", Command::secret("sync", account));
                Some((format!("is not syncing: {reason}: {message}"), if retries { sync() } else { describe }))
            }
            Ready::Unknown => Some(("has never been synced".to_owned(), describe)),
        }
    })
}

/// Whether it cannot copy the newest value of the primary: a property is missing in it, or it does not decode.
fn lacks_newest(now: &Observation, external: &ExternalSecretView) -> bool {
    now.primary.value().is_some_and(|value| external.cannot_copy.contains(&(Source::Primary, value)))
}

/// The same of that or of the one before: a rollback may have brought another since, and died.
fn lacks(now: &Observation, external: &ExternalSecretView) -> bool {
    let before = now.primary.predecessor().and_then(|version| version.value);
    lacks_newest(now, external) || before.is_some_and(|value| external.cannot_copy.contains(&(Source::Primary, value)))
}

/// Whether `rollback` would lead on.
fn goes_back(seen: &Seen) -> bool {
    let back = Want { goal: Goal::RollBack { again: false }, ..Want::default() };
    plan::plan(&back, seen.now).is_ok()
}

/// What `ready` leaves to a rotation's `preserve` is a failure to everybody else: until then nothing is copied at all.
pub(super) fn back_compat_awaited(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| {
        heals_by_itself(seen.now, external).then(|| {
            (
                match seen.now.back_compat.exists {
                    true => format!("is not syncing at all: {} has no version yet", seen.now.back_compat.secret),
                    false => {
                        format!("is not syncing at all: {} does not exist, and it maps it", seen.now.back_compat.secret)
                    }
                },
                Hint::to("the next rotation creates it", Command::secret("rotate", &seen.now.account)),
            )
        })
    })
}

/// Whether a rotation stored the value in use in the back-compat, and it has not reached the cluster: `stage` is next.
fn is_staging(seen: &Seen) -> bool {
    let kept = seen.now.back_compat.value().filter(|kept| seen.now.primary.value() == Some(*kept));
    seen.purpose == Purpose::Rotate && kept.is_some_and(|kept| !seen.now.all_hold(Source::BackCompat, kept))
}

/// Whether a rotation stores a value in a back-compat whose newest version is destroyed: every sync of it fails until then.
fn is_refilling(seen: &Seen) -> bool {
    let newest = seen.now.back_compat.newest();
    seen.purpose == Purpose::Rotate && newest.is_some_and(|newest| newest.state == VersionState::Destroyed)
}

/// Whether an ExternalSecret fails for no other reason than that the back-compat does not exist yet, or has no version yet.
/// `stage` proves it.
fn heals_by_itself(now: &Observation, external: &ExternalSecretView) -> bool {
    let Ready::False { message, .. } = &external.ready else { return false };
    // Without Events there is only the condition's constant, which does not say which of the keys it was.
    let names_it = message.contains(now.back_compat.secret.as_str()) || message == UNSPECIFIC;
    // A run that died right after the creation left a secret that a search finds and cannot read: that failure may name none.
    let reads_it = external.keys.iter().any(|key| key.source == Source::BackCompat);
    let finds_it = now.back_compat.exists && reads_it && (names_it || message.contains("].find"));
    now.back_compat.newest().is_none() && (finds_it || (external.needs_back_compat && names_it))
}

pub(super) fn pinned(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| {
        let key = external.keys.iter().find(|key| key.pinned.is_some())?;
        let version = key.pinned.as_deref().unwrap_or_default();
        let what = format!("pins version {version} for key {}: a new version never arrives", key.key);
        // An edit syncs at once: what must not be copied yet (R4, I8) must not be copied by this either.
        let hint = match plan::may_sync(seen.now, &[]) {
            Ok(()) => Hint::to(
                "remove remoteRef.version",
                command!["kubectl", "edit", "externalsecret", external.name, "-n", seen.now.account],
            ),
            Err(held_up) => format!(
                "decide which version is to be in use before remoteRef.version is removed, which copies the newest one at once: {}",
                held_up.message
            )
            .into(),
        };
        Some((what, hint))
    })
}

pub(super) fn created_once(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| match external.refresh {
        Refresh::CreatedOnce => Some((
            "has refreshPolicy CreatedOnce: a forced sync does nothing, in silence".to_owned(),
            "set spec.refreshPolicy to Periodic or OnChange".into(),
        )),
        Refresh::Periodic { .. } | Refresh::OnChange | Refresh::Never => None,
    })
}

pub(super) fn interval_zero(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| match external.refresh {
        Refresh::Never => Some((
            "has refreshInterval 0: a forced sync does nothing, in silence".to_owned(),
            "set spec.refreshInterval to 10m, or spec.refreshPolicy to OnChange".into(),
        )),
        Refresh::Periodic { .. } | Refresh::OnChange | Refresh::CreatedOnce => None,
    })
}

pub(super) fn immutable(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| {
        external.immutable.then(|| {
            (
                format!(
                    "writes an immutable Kubernetes Secret, {}: it says Ready and keeps the old bytes",
                    external.target
                ),
                "remove spec.target.immutable, delete the Kubernetes Secret and let it be made again".into(),
            )
        })
    })
}

pub(super) fn owned(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| {
        let owner = external.owner.as_ref()?;
        Some((
            format!(
                "belongs to ClusterExternalSecret {owner}, which removes foreign annotations: a forced sync is shown by the bytes alone"
            ),
            Hint::to(
                "if a sync is lost, force it at its owner",
                command![
                    "kubectl",
                    "annotate",
                    "clusterexternalsecret",
                    owner,
                    format!("external-secrets.io/force-sync={FRESH_TOKEN}"),
                    "--overwrite"
                ],
            ),
        ))
    })
}

pub(super) fn unusual_target(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| {
        let what = external.unusual_target.as_ref()?;
        Some((format!("has a target that this program does not follow: {what}"), "rotate this account by hand".into()))
    })
}

/// What is wrong with an ExternalSecret whose template prints one of the two secrets alone, and the way on; none where it does not.
pub fn prints_one(external: &ExternalSecretView, account: &AccountName) -> Option<(&'static str, Hint)> {
    external.unprinted()?;
    let edit = command!["kubectl", "edit", "externalsecret", external.name, "-n", account];
    Some((
        "fetches both secrets, and what it fills shows the value of one alone: the other's never arrives, and which \
         of the two it prints cannot be told",
        Hint::to("leave what its template does not print out of its spec.data, or have it print both", edit),
    ))
}

/// What cannot be followed is proven by its bytes, where these show which value it is.
pub(super) fn opaque(seen: &Seen) -> Vec<Finding> {
    each(seen, |external| {
        let key = external.keys.iter().find(|key| key.derivation == Derivation::Opaque)?;
        let filled = match key.key.starts_with('(') {
            true => "keys that are not known beforehand".to_owned(),
            false => format!("key {}", key.key),
        };
        let secret = &seen.now.secret(key.source).secret;
        if let Some((wrong, way_on)) = prints_one(external, &seen.now.account) {
            return Some((wrong.to_owned(), way_on));
        }
        let how = external.not_followed.as_deref().unwrap_or("a template that computes it");
        Some((
            format!("fills {filled} from {secret} by {how}: its bytes cannot be compared"),
            Hint::to(
                format!(
                    "map {secret} under spec.data by remoteRef.key alone, and give a template the plain value ({{{{ .name }}}})"
                ),
                command!["kubectl", "edit", "externalsecret", external.name, "-n", seen.now.account],
            ),
        ))
    })
}

pub(super) fn property(seen: &Seen) -> Vec<Finding> {
    let planned = plan::plan(seen.want, seen.now);
    // Where nothing is made, as by a rollback, the value that is there already is one that can be copied.
    if seen.want.new_value != NewValue::Made || planned.is_ok_and(|plan| !plan.adds_new_value()) || under_way(seen) {
        return Vec::new();
    }
    each(seen, |external| {
        let key = external.keys.iter().find(|key| key.property.is_some() && key.source == Source::Primary)?;
        let property = key.property.as_deref().unwrap_or_default();
        Some((
            format!(
                "takes property {property} out of the primary, which is JSON: a made value of letters and digits would break it"
            ),
            "give the whole new JSON with --value-from".into(),
        ))
    })
}
