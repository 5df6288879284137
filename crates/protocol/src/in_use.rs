//! What the cluster and its pods are shown to have beside the newest version of the primary, and which value of the back-compat
//! has lost its slot. Pure: evidence in, facts out; what follows from them is the planner's.
//!
//! "Shown" is the word that counts: what nothing proves adds nothing here (docs/protocol.md).

use crate::facts::names::{ObjectName, VersionId};
use crate::facts::observation::{
    Consumer, Derivation, Found, Observation, PodView, Refresh, Source, ValueTag, VersionState,
};
use crate::state::{self, Standing};

/// A value that some place is shown to have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Held {
    /// Its bytes are in hand: a version has them, or a Kubernetes Secret.
    Value(ValueTag),
    /// That of a version of the primary which cannot be read.
    Version(VersionId),
}

/// What some place has, with the place in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InUse {
    /// What it has.
    pub held: Held,
    /// Where: a Kubernetes Secret's key, or a pod.
    pub place: String,
}

/// Whether some place is shown to have the newest version.
pub fn is_spread(now: &Observation) -> bool {
    let Some(newest) = now.primary.newest() else { return false };
    let value = now.primary.value();
    let copied = now.keys(Source::Primary).any(|(_, key)| value.is_some_and(|value| key.found == Found::Value(value)));
    copied || now.consumers.iter().flat_map(|consumer| &consumer.pods).any(|pod| pod.version == Some(newest.id))
}

/// The places that are shown to have another value than the newest version's: Kubernetes Secrets first, each value once.
pub fn others(now: &Observation) -> Vec<InUse> {
    let mut found: Vec<InUse> = Vec::new();
    let copies = now.keys(Source::Primary).filter_map(|(external, key)| {
        let held = match (key.derivation, key.found) {
            (Derivation::Exact | Derivation::Within, Found::Value(value)) => Held::Value(value),
            _ => return None,
        };
        Some(InUse { held, place: format!("Kubernetes Secret {}, key {}", external.target, key.key) })
    });
    let copies: Vec<InUse> = copies.collect();
    let newest = now.primary.value().map(Held::Value);
    let enabled = |value: ValueTag| now.enabled_in(Source::Primary, value).is_some();
    // Bytes that no enabled version of the primary has are most likely those of the one that the pods started with.
    let explains_pods = copies
        .iter()
        .any(|one| Some(&one.held) != newest.as_ref() && matches!(one.held, Held::Value(value) if !enabled(value)));
    let pods = now.consumers.iter().flat_map(|consumer| consumer.pods.iter().map(move |pod| (consumer, pod)));
    let pods = pods.filter_map(|(consumer, pod)| {
        let version = shown_older(now, consumer, pod)?;
        let held = match now.primary.version(version).and_then(|version| version.value) {
            Some(value) => Held::Value(value),
            None if explains_pods => return None,
            None => Held::Version(version),
        };
        Some(InUse { held, place: format!("pod {} of {}", pod.name, consumer.workload) })
    });
    // R1: what a Kubernetes Secret holds and what a pod is shown to have started with, both.
    for one in copies.into_iter().chain(pods).filter(|one| Some(&one.held) != newest.as_ref()) {
        if !found.iter().any(|known| known.held == one.held) {
            found.push(one);
        }
    }
    found
}

/// The version older than the newest that a pod is shown to have started with; none where it is new, or nothing tells.
pub fn shown_older(now: &Observation, consumer: &Consumer, pod: &PodView) -> Option<VersionId> {
    let newest = now.primary.newest()?;
    if pod.version == Some(newest.id) || state::standing(now, consumer, pod) == Standing::OnNewest {
        return None;
    }
    let noted = pod.version.filter(|noted| *noted < newest.id);
    let (Some(created), Some(newest_created)) = (pod.created, newest.created) else { return noted };
    let mut read = now.external_secrets.iter().filter(|external| consumer.secrets.contains(&external.target));
    if read
        .all(|external| external.target_created.is_some_and(|target| target.as_second() >= newest_created.as_second()))
    {
        // Its Secrets are not older than the newest version, in whole seconds: they never held what was before it.
        return None;
    }
    // Until the next scheduled sync a pod gets what was there before. After that it may have read either: a note stays on the
    // template when others restart its pods, and a forced sync writes unchanged data again.
    let intervals = now.external_secrets.iter().filter(|external| consumer.secrets.contains(&external.target));
    let interval = intervals.map(|external| match external.refresh {
        Refresh::Periodic { seconds } => i64::try_from(seconds).unwrap_or(i64::MAX),
        Refresh::OnChange | Refresh::CreatedOnce | Refresh::Never => 0,
    });
    let interval = jiff::SignedDuration::from_secs(interval.max().unwrap_or_default());
    if newest_created.checked_add(interval).is_ok_and(|copied| created >= copied) {
        return None;
    }
    let existed = now.primary.versions.iter().skip(1).find(|version| version.created.is_some_and(|at| at <= created));
    noted.max(existed.map(|version| version.id)).or_else(|| newest.id.previous())
}

/// Whether a version that a pod is shown to have was not read, although it may be enabled.
pub fn is_unread(now: &Observation) -> bool {
    others(now).iter().any(|one| match one.held {
        Held::Value(_) => false,
        Held::Version(version) => {
            now.primary.version(version).is_none_or(|version| version.state == VersionState::Enabled)
        }
    })
}

/// Whether a run of ours brought the newest version, as the lock's record says.
pub fn is_ours(now: &Observation) -> bool {
    let Some(newest) = now.primary.newest() else { return false };
    let ended = now.last_rotation.as_ref().is_some_and(|last| last.to == newest.id.to_string());
    // A run that set out for it has the older value kept before it adds it; one that died before that may be overtaken by others.
    let kept = |back: bool| back || state::back_compat_is_live(now);
    ended || now.begun.is_some_and(|begun| begun.to == newest.id && kept(begun.back))
}

/// What some place has and no slot keeps, while no run of ours brought the newest version.
pub fn unkept(now: &Observation) -> Option<InUse> {
    if now.primary.value().is_none() || is_ours(now) {
        return None;
    }
    let kept = now.back_compat.value().map(Held::Value);
    others(now).into_iter().find(|one| Some(&one.held) != kept.as_ref())
}

/// Where a value of the back-compat is that lost its slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Displaced {
    /// In an enabled version of one of the two secrets.
    Version(Source, VersionId),
    /// In the cluster alone.
    Copy {
        /// The Kubernetes Secret.
        secret: ObjectName,
        /// The key.
        key: String,
        /// Its value.
        value: ValueTag,
    },
}

/// A value that the back-compat held and that neither slot has: pods read it still, or an enabled version of the back-compat has
/// it and no finalization retired it. Data may be encrypted under it.
pub fn displaced(now: &Observation) -> Option<Displaced> {
    if state::announced(now).is_some() || now.finalizing.is_some() {
        return None;
    }
    let slots = [now.primary.value(), now.back_compat.value()];
    let has_none = |value: ValueTag| !slots.contains(&Some(value));
    let copied = now.keys(Source::BackCompat).find_map(|(external, key)| match (key.derivation, key.found) {
        (Derivation::Exact | Derivation::Within, Found::Value(value)) if has_none(value) => {
            Some((external.target.clone(), key.key.clone(), value))
        }
        _ => None,
    });
    if let Some((secret, key, value)) = copied {
        return Some(match now.enabled_with(value) {
            Some((source, version)) => Displaced::Version(source, version),
            None => Displaced::Copy { secret, key, value },
        });
    }
    // Where the slot keeps another value, finalizing that is due first, and asks about all of them.
    if state::back_compat_is_live(now) {
        return None;
    }
    let mut older = now.back_compat.versions.iter().skip(1);
    let enabled = older.find(|version| version.state == VersionState::Enabled && version.value.is_some_and(has_none));
    enabled.map(|version| Displaced::Version(Source::BackCompat, version.id))
}
