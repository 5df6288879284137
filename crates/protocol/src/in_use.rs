//! What the cluster and its pods are shown to have beside the newest version of the primary, and which value of the back-compat
//! has lost its slot. Pure: evidence in, facts out; what follows from them is the planner's.
//!
//! "Shown" is the word that counts: what nothing proves adds nothing here (docs/protocol.md).

use crate::facts::names::{ObjectName, VersionId};
use crate::facts::observation::{
    Consumer, Derivation, ExternalSecretView, Found, KeyView, LastRotation, Observation, PodView, Refresh, Source,
    Unread, ValueTag, Version, VersionState,
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
    pub held: Held,
    /// Where: a Kubernetes Secret's key, or a pod.
    pub place: String,
    /// Whether it has this one, and not perhaps another older one.
    pub sure: bool,
}

/// Whether some place is shown to have the newest version.
pub fn is_spread(now: &Observation) -> bool {
    let Some(newest) = now.primary.newest() else { return false };
    let value = now.primary.value();
    let copied = value.is_some_and(|value| now.some_holds(Source::Primary, value));
    // An older value that somebody added again has its pods already, under the older number.
    let has = |(consumer, pod): (&Consumer, &PodView)| {
        let mut older = may_have_started_with(now, consumer, pod).into_iter();
        let same = |id| value.is_some() && now.primary.version(id).and_then(|version| version.value) == value;
        pod.version == Some(newest.id) || older.any(same)
    };
    copied || now.pods().any(has)
}

/// The places that are shown to have another value than the newest version's: Kubernetes Secrets first, each value once.
pub fn others(now: &Observation) -> Vec<InUse> {
    let mut found: Vec<InUse> = Vec::new();
    let copies = now.keys(Source::Primary).filter_map(|(external, key)| {
        let held = Held::Value(held(key)?);
        Some(InUse { held, place: format!("Kubernetes Secret {}, key {}", external.target, key.key), sure: true })
    });
    let copies: Vec<InUse> = copies.collect();
    let newest = now.primary.value().map(Held::Value);
    let enabled = |value: ValueTag| now.enabled_in(Source::Primary, value).is_some();
    // Bytes that no enabled version of the primary has are most likely those of the one that the pods started with: but not where they
    // are noted to read those as back-compat.
    let explains = |pod: &PodView| {
        let noted = pod.back_compat.and_then(|noted| now.back_compat.version(noted)).and_then(|version| version.value);
        let unknown = |value: ValueTag| !enabled(value) && Some(value) != noted;
        copies
            .iter()
            .any(|one| Some(&one.held) != newest.as_ref() && matches!(one.held, Held::Value(value) if unknown(value)))
    };
    let pods = now.pods().flat_map(|(consumer, pod)| {
        let may_have = may_have_started_with(now, consumer, pod);
        let (sure, explains) = (may_have.len() == 1, explains(pod));
        let held = may_have.into_iter().filter_map(|version| {
            match now.primary.version(version).and_then(|version| version.value) {
                Some(value) => Some(Held::Value(value)),
                None if explains => None,
                None => Some(Held::Version(version)),
            }
        });
        let held: Vec<Held> = held.collect();
        let place = format!("pod {} of {}", pod.name, consumer.workload);
        held.into_iter().map(move |held| InUse { held, place: place.clone(), sure })
    });
    // R1: what a Kubernetes Secret holds and what a pod is shown to have started with, both.
    for one in copies.iter().cloned().chain(pods).filter(|one| Some(&one.held) != newest.as_ref()) {
        if !found.iter().any(|known| known.held == one.held) {
            found.push(one);
        }
    }
    found
}

/// Whether a pod may have started with the newest version's value: it is not shown to have another.
pub fn may_be_read(now: &Observation) -> bool {
    let same = |id: &VersionId| now.primary.version(*id).is_some_and(|version| version.value == now.primary.value());
    now.pods().any(|(consumer, pod)| {
        let older = may_have_started_with(now, consumer, pod);
        older.is_empty() || older.iter().any(same)
    })
}

/// The versions older than the newest that a pod may have started with, oldest first, where it is shown to have started with one of
/// them; none where it is new, or nothing tells.
///
/// A version is copied at the next scheduled sync, and may have been disabled before that: until then a pod gets what was there
/// before, so that dates name several.
pub fn may_have_started_with(now: &Observation, consumer: &Consumer, pod: &PodView) -> Vec<VersionId> {
    let Some(newest) = now.primary.newest() else { return Vec::new() };
    if pod.version == Some(newest.id) || state::standing(now, consumer, pod) == Standing::OnNewest {
        return Vec::new();
    }
    let noted = pod.version.filter(|noted| *noted < newest.id);
    let (Some(created), Some(newest_created)) = (pod.created, newest.created) else {
        return noted.into_iter().collect();
    };
    let read = || now.filling(&consumer.secrets);
    if read()
        .all(|external| external.target_created.is_some_and(|target| target.as_second() > newest_created.as_second()))
    {
        // Its Secrets are younger than the newest version, in whole seconds: they never held what was before it.
        return Vec::new();
    }
    if let Some(version) = read_before(now, pod, read()) {
        return vec![version];
    }
    let interval = longest_interval(now, consumer);
    let was_copied = |at: jiff::Timestamp| at.checked_add(interval).is_ok_and(|copied| created >= copied);
    // After the next scheduled sync it may have read either: a note stays on the template when others restart its pods, and a
    // forced sync writes unchanged data again.
    if was_copied(newest_created) {
        return Vec::new();
    }
    let older = || now.primary.versions.iter().skip(1);
    let existed = older().find(|version| version.created.is_some_and(|at| at <= created)).map(|version| version.id);
    let Some(last) = noted.max(existed).or_else(|| newest.id.previous()) else { return Vec::new() };
    let copied = older().find(|version| version.created.is_some_and(was_copied)).map(|version| version.id);
    let dated = || older().filter(|version| version.created.is_some()).map(|version| version.id);
    let first = noted.max(copied).or_else(|| dated().next_back()).unwrap_or(last);
    // R2: of what was in force before that, the enabled ones count. A disabled one cannot be told from one that was retired.
    let enabled = || older().filter(|version| version.state == VersionState::Enabled && version.id < last);
    let mut versions: Vec<VersionId> =
        enabled().map(|version| version.id).take_while(|version| *version >= first).collect();
    // One that is disabled may have been so before any sync: what was in force before it is enabled, then.
    let is_open = now.primary.version(last).is_some_and(|version| version.state == VersionState::Enabled);
    if versions.is_empty() && noted.is_none() && !is_open {
        versions.extend(enabled().next().map(|version| version.id));
    }
    versions.reverse();
    versions.push(last);
    versions
}

/// The version that a pod's Secrets hold, where none of them was written since before it began.
fn read_before<'a>(
    now: &Observation,
    pod: &PodView,
    mut read: impl Iterator<Item = &'a ExternalSecretView> + Clone,
) -> Option<VersionId> {
    let before = |external: &ExternalSecretView| was_written_before(external, pod);
    let keys = read.clone().flat_map(|external| &external.keys).filter(|key| key.source == Source::Primary);
    let mut held = keys.map(|key| match key.found {
        Found::Value(value) => now.enabled_in(Source::Primary, value),
        Found::Unknown | Found::Missing => None,
    });
    let version = held.next().flatten()?;
    (read.all(before) && held.all(|other| other == Some(version))).then_some(version)
}

/// Whether its Kubernetes Secret was written before the pod began, and not since.
fn was_written_before(external: &ExternalSecretView, pod: &PodView) -> bool {
    pod.created.zip(external.written).is_some_and(|(pod, at)| at < pod)
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
    let predecessor = now.primary.predecessor().filter(|version| version.state == VersionState::Enabled);
    let predecessor = predecessor.and_then(|version| version.value);
    let [primary, back_compat] = now.slots();
    // A run that set out for it has the older value kept before it adds it; one that died before that may be overtaken by others. Where
    // the older version is not enabled any more, what the cluster has tells.
    let explained = |found| match found {
        Found::Value(value) => [primary, back_compat].contains(&Some(value)),
        Found::Unknown | Found::Missing => true,
    };
    let is_kept = |back: bool| match predecessor {
        Some(_) if back => true,
        Some(value) if back_compat == Some(value) => true,
        _ => {
            // A run leaves no other value enabled there: what the slot has is of somebody who refilled it.
            let mut older = now.back_compat.versions.iter().skip(1).filter(|version| version.value.is_some());
            let is_as_left = older.all(|version| now.slots().contains(&version.value));
            let is_explained = || now.keys(Source::Primary).all(|(_, key)| explained(key.found));
            // Nothing is disabled before every pod was seen to be new.
            let is_before = || others(now).iter().any(|one| matches!(one.held, Held::Version(_)));
            state::back_compat_is_live(now) && is_as_left && is_explained() && !is_before()
        }
    };
    ended || now.begun.is_some_and(|begun| begun.to == newest.id && is_kept(begun.back))
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
        key: String,
        value: ValueTag,
    },
}

/// A value that neither slot has, under which data may be encrypted: pods read it still as back-compat, an enabled version of the
/// back-compat has it and no finalization retired it, or an enabled version of the primary that came after the last rotation on
/// record was begun.
pub fn displaced(now: &Observation) -> Option<Displaced> {
    if state::announced(now).is_some() || now.finalizing.is_some() {
        return None;
    }
    let slots = now.slots();
    // What pods are noted to read goes before what a Kubernetes Secret got since.
    if let Some(read) = read_and_displaced(now) {
        return Some(read);
    }
    let copied = now.keys(Source::BackCompat).find_map(|(external, key)| {
        let value = held(key).filter(|value| !slots.contains(&Some(*value)))?;
        Some((external.target.clone(), key.key.clone(), value))
    });
    if let Some((secret, key, value)) = copied {
        match now.enabled_with(value) {
            // Stored again for the pods that read it: the other one stays enabled, and has its turn after it.
            Some((Source::BackCompat, _)) if is_kept_for_pods(now) => {}
            Some((source, version)) => return Some(Displaced::Version(source, version)),
            None => return Some(Displaced::Copy { secret, key, value }),
        }
    }
    // Where the slot keeps another value, finalizing that is due first, and asks about all of them.
    if state::back_compat_is_live(now) {
        return None;
    }
    kept_aside(now, slots).next().map(|(source, version)| Displaced::Version(source, version.id))
}

/// The values that pods are shown to read as back-compat: what a restart of ours noted, where that can be read; or what their Kubernetes
/// Secrets hold, where they began after the last write of each.
fn read_by_pods(now: &Observation) -> Vec<ValueTag> {
    let mut values = Vec::new();
    for (consumer, pod) in now.pods().filter(|(consumer, _)| consumer.reads_back_compat) {
        let read = || now.filling(&consumer.secrets);
        match read().all(|external| was_written_before(external, pod)) {
            true => {
                let keys = read().flat_map(|external| &external.keys);
                values.extend(keys.filter(|key| key.source == Source::BackCompat).filter_map(held));
            }
            false => {
                let noted = pod.back_compat.and_then(|noted| now.back_compat.version(noted));
                values.extend(noted.and_then(|version| version.value));
            }
        }
    }
    values
}

/// Whether the back-compat holds another value than the primary, and pods are shown to read that.
fn is_kept_for_pods(now: &Observation) -> bool {
    state::back_compat_is_live(now) && read_by_pods(now).into_iter().any(|read| Some(read) == now.back_compat.value())
}

/// The value that a key is seen to hold.
fn held(key: &KeyView) -> Option<ValueTag> {
    match (key.derivation, key.found) {
        (Derivation::Exact | Derivation::Within, Found::Value(value)) => Some(value),
        // Which of the two a value is that is shown to stand there is said of the primary's alone.
        (Derivation::Shown, Found::Value(value)) if key.source == Source::Primary => Some(value),
        _ => None,
    }
}

/// A value that pods are shown to read as back-compat and that neither slot has, where an enabled version has it.
pub fn read_and_displaced(now: &Observation) -> Option<Displaced> {
    if state::announced(now).is_some() || now.finalizing.is_some() {
        return None;
    }
    let version = |value| {
        let kept = now.enabled_in(Source::BackCompat, value).map(|version| (Source::BackCompat, version));
        kept.or_else(|| now.enabled_with(value))
    };
    let lost = read_by_pods(now).into_iter().filter(|value| !now.slots().contains(&Some(*value)));
    lost.filter_map(version).next().map(|(source, version)| Displaced::Version(source, version))
}

/// The value that pods read as back-compat, or a Kubernetes Secret has for them, and that neither slot has.
pub fn read_without_slot(now: &Observation) -> Option<ValueTag> {
    read_as_back_compat(now).into_iter().find(|value| !now.slots().contains(&Some(*value)))
}

/// The values that pods are shown to read as back-compat, and what the Kubernetes Secrets have for them.
pub fn read_as_back_compat(now: &Observation) -> Vec<ValueTag> {
    let copied = now.keys(Source::BackCompat).filter_map(|(_, key)| held(key));
    read_by_pods(now).into_iter().chain(copied).collect()
}

/// The enabled versions under whose values data may be encrypted, and whose values are in neither slot.
fn kept_aside(now: &Observation, slots: [Option<ValueTag>; 2]) -> impl Iterator<Item = (Source, &Version)> {
    let lacks_slot = move |version: &Version| {
        version.state == VersionState::Enabled && version.value.is_some() && !slots.contains(&version.value)
    };
    // One that is older than the last rotation on record was there when that was begun: a check names it (R3).
    let rotated_from = now.last_rotation.as_ref().and_then(LastRotation::from_version);
    // Nor is one that was retired and that somebody enabled again since (R2).
    let reopened = |version: &Version| now.older.retired.has(Source::Primary, version.id);
    let added = move |version: &Version| rotated_from.is_some_and(|from| version.id >= from) || reopened(version);
    // Without a record the versions of years may be enabled: those that no pod can have are asked about, and hold nothing up (R3).
    let unread = now.unread.iter().any(|unread| matches!(unread, Unread::Record(_)));
    let kept = now.older.is_recorded || unread || some_pod_may_read_an_older_one(now);
    let back_compat = now.back_compat.versions.iter().filter(move |_| kept);
    let back_compat = back_compat.map(|version| (Source::BackCompat, version));
    let primary = now.primary.versions.iter().filter(move |version| added(version));
    let primary = primary.map(|version| (Source::Primary, version));
    let unanswered = |(source, version): &(Source, &Version)| !now.older.answered.has(*source, version.id);
    back_compat.chain(primary).filter(move |(_, version)| lacks_slot(version)).filter(unanswered)
}

/// Whether some pod may have an older version of the back-compat: it began before the newest one was copied, or nothing tells.
fn some_pod_may_read_an_older_one(now: &Observation) -> bool {
    let Some(newest) = now.back_compat.newest() else { return false };
    let interval = |consumer: &Consumer| longest_interval(now, consumer);
    let after = |(consumer, pod): (&Consumer, &PodView)| {
        let copied = newest.created.and_then(|at| at.checked_add(interval(consumer)).ok());
        pod.created.zip(copied).is_some_and(|(pod, copied)| pod >= copied)
    };
    let mut pods = now.pods().filter(|(consumer, _)| consumer.reads_back_compat);
    pods.any(|(consumer, pod)| pod.back_compat != Some(newest.id) && !after((consumer, pod)))
}

/// How long a scheduled sync of a consumer's Secrets may be waited for.
fn longest_interval(now: &Observation, consumer: &Consumer) -> jiff::SignedDuration {
    let seconds = now.filling(&consumer.secrets).map(|external| match external.refresh {
        Refresh::Periodic { seconds } => i64::try_from(seconds).unwrap_or(i64::MAX),
        Refresh::OnChange | Refresh::CreatedOnce | Refresh::Never => 0,
    });
    jiff::SignedDuration::from_secs(seconds.max().unwrap_or_default())
}

/// The values that no pod can read once the two slots have these, and that data may be encrypted under: kept by an enabled version,
/// or in use in some place.
pub fn claims(now: &Observation, slots: [Option<ValueTag>; 2]) -> Vec<ValueTag> {
    let in_use = others(now).into_iter().filter_map(|one| match one.held {
        Held::Value(value) => Some(value),
        Held::Version(_) => None,
    });
    let values = kept_aside(now, slots).filter_map(|(_, version)| version.value).chain(in_use);
    values.filter(|value| !slots.contains(&Some(*value))).collect()
}

/// The same, each once, by the name that people know it by.
pub fn without_slot(now: &Observation, slots: [Option<ValueTag>; 2]) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for value in claims(now, slots) {
        let name = now.name_of(value).unwrap_or_else(|| "a value that no version has".to_owned());
        if !named.contains(&name) {
            named.push(name);
        }
    }
    named
}
