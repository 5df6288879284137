//! In which of the protocol's states an account is, judged from an observation alone.

use std::fmt;

use crate::facts::names::VersionId;
use crate::facts::observation::{
    Announcement, Consumer, ExternalSecretView, Found, KeyView, Observation, OtherReader, PodView, Source, ValueTag,
    Version, VersionState,
};
use crate::in_use::{self, Held};

/// The states of docs/protocol.md.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// The newest version is in use everywhere, and nothing older is needed.
    Stable,
    /// A rotation (or a rollback) was begun and not committed.
    Rotating {
        /// The version in use before it; its disabling will be the commit mark.
        from: VersionId,
        /// The version that it introduced.
        to: VersionId,
    },
    /// Committed; old data may still need the back-compat value.
    AwaitingReencryption,
    /// Something in the cluster is not on the newest version, and no rotation explains it.
    Drifted,
    /// Nothing explains what is seen: a person must look.
    Blocked(Blocked),
}

/// Why an account is blocked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blocked {
    /// The primary does not exist or has no version.
    NoPrimary,
    /// The newest version of the primary is disabled or destroyed: every sync fails.
    NewestNotEnabled(VersionId, VersionState),
    /// The version before the newest is enabled, and the back-compat explains neither.
    UnexplainedPredecessor(VersionId),
    /// Two versions were added on top of the one that the back-compat holds.
    TwoUncommitted(VersionId, VersionId),
    /// The newest version of the back-compat is disabled, or destroyed while a rotation on record needs it: its value cannot be told.
    BackCompatNotEnabled(VersionId, VersionState),
    /// No run of ours brought the newest version, some place is shown to have another value, and the back-compat does not keep it.
    Foreign(VersionId),
    /// The same, where what some pod has is the value of this version, which cannot be read.
    Unreadable(VersionId, VersionState),
}

/// The stable word for `state` in results.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Stable => "Stable",
            State::Rotating { .. } => "Rotating",
            State::AwaitingReencryption => "AwaitingReencryption",
            State::Drifted => "Drifted",
            State::Blocked(_) => "Blocked",
        })
    }
}

/// The state that the observation shows.
pub fn state(now: &Observation) -> State {
    let secrets = secrets_state(now);
    match secrets {
        // A live back-compat value is the rarer fact and decides what may be done next, so it is named before drift;
        // the drift itself is reported by the checks.
        State::Stable if drifts(now) => State::Drifted,
        other => other,
    }
}

/// The state of the values: what Secret Manager has, and what the cluster is shown to have beside it. Drift is another question.
pub fn secrets_state(now: &Observation) -> State {
    let Some(newest) = now.primary.newest() else { return State::Blocked(Blocked::NoPrimary) };
    if newest.state != VersionState::Enabled {
        return State::Blocked(Blocked::NewestNotEnabled(newest.id, newest.state));
    }
    if let Some(back_compat) = now.back_compat.newest().filter(|version| is_needed_and_closed(now, version)) {
        return State::Blocked(Blocked::BackCompatNotEnabled(back_compat.id, back_compat.state));
    }
    // R4: before anything is made of the versions alone.
    if in_use::unkept(now).is_some() {
        return State::Blocked(foreign(now, newest));
    }
    // A rollback introduces first and preserves after. Without its record it is a version that somebody enabled.
    let predecessor = now.primary.predecessor().filter(|version| version.state == VersionState::Enabled);
    let back = now.begun.is_some_and(|begun| begun.back && begun.to == newest.id);
    if let Some(predecessor) = predecessor.filter(|_| back && now.back_compat.value() == newest.value) {
        return State::Rotating { from: predecessor.id, to: newest.id };
    }
    let kept = kept_older(now);
    match (predecessor.filter(|version| version.value != newest.value), kept) {
        // I5: somebody began it while a third value was in need of its slot.
        (Some(predecessor), Some(_)) if in_use::read_and_displaced(now).is_some() => {
            State::Blocked(Blocked::UnexplainedPredecessor(predecessor.id))
        }
        (Some(predecessor), Some(kept)) if kept.id == predecessor.id => {
            State::Rotating { from: kept.id, to: newest.id }
        }
        (Some(predecessor), Some(_)) if !in_use::others(now).is_empty() => {
            State::Blocked(Blocked::TwoUncommitted(predecessor.id, newest.id))
        }
        // R3: nothing explains it, so somebody is asked.
        (Some(predecessor), _) => State::Blocked(Blocked::UnexplainedPredecessor(predecessor.id)),
        // The same, of one that some place has in use.
        (None, Some(kept)) if in_use::read_and_displaced(now).is_some() && is_in_use(now, kept) => {
            State::Blocked(Blocked::UnexplainedPredecessor(kept.id))
        }
        (None, Some(kept)) if in_use::read_and_displaced(now).is_none() => {
            State::Rotating { from: kept.id, to: newest.id }
        }
        (None, _) if announced(now).is_some() => State::Rotating { from: newest.id, to: newest.id.next() },
        // R6: a value that lost its slot keeps the account from another rotation until it has one.
        (None, _) if back_compat_is_live(now) || in_use::displaced(now).is_some() || is_finalizing(now) => {
            State::AwaitingReencryption
        }
        (None, _) => State::Stable,
    }
}

/// Whether some place is shown to have the value of this version of the primary.
fn is_in_use(now: &Observation, version: &Version) -> bool {
    in_use::others(now).into_iter().any(|one| version.value.is_some_and(|value| one.held == Held::Value(value)))
}

/// Whether the newest version of the back-compat cannot be read, and nothing shows that its value is not needed. One that is
/// destroyed holds nothing: it counts as none, unless a rotation on record left its value there.
fn is_needed_and_closed(now: &Observation, version: &Version) -> bool {
    match version.state {
        VersionState::Enabled => false,
        VersionState::Disabled => true,
        VersionState::Destroyed => {
            let copied = now.keys(Source::BackCompat).any(|(_, key)| matches!(key.found, Found::Value(_)));
            let left = now.last_rotation.is_some() && in_use::is_ours(now);
            left && !copied && in_use::displaced(now).is_none()
        }
    }
}

/// A version that no run of ours brought; what a pod has and nobody can read is made readable first.
fn foreign(now: &Observation, newest: &Version) -> Blocked {
    let unreadable = in_use::others(now).into_iter().find_map(|one| match one.held {
        Held::Version(version) => Some(version),
        Held::Value(_) => None,
    });
    match unreadable {
        Some(version) => {
            let state = now.primary.version(version).map_or(VersionState::Disabled, |version| version.state);
            Blocked::Unreadable(version, state)
        }
        None => Blocked::Foreign(newest.id),
    }
}

/// The older version of the primary that is enabled and whose value the back-compat keeps: a rotation from it is not committed.
fn kept_older(now: &Observation) -> Option<&Version> {
    let kept = now.back_compat.value().filter(|kept| Some(*kept) != now.primary.value())?;
    let mut older = now.primary.versions.iter().skip(1);
    older.find(|version| version.state == VersionState::Enabled && version.value == Some(kept))
}

/// Whether the back-compat holds a value that is not the primary's: old data may need it.
pub fn back_compat_is_live(now: &Observation) -> bool {
    now.back_compat.value().is_some() && now.back_compat.value() != now.primary.value()
}

/// Whether a finalization stored the value in use as back-compat and did not come to its end: what it retires is enabled still.
pub fn is_finalizing(now: &Observation) -> bool {
    let retired = now.finalizing.and_then(|version| now.back_compat.version(version));
    let is_open = |version: &Version| version.state == VersionState::Enabled && version.value != now.primary.value();
    !back_compat_is_live(now) && retired.is_some_and(is_open)
}

/// A value that a two-phase rotation has announced and not yet brought into use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Announced {
    /// The version of the primary in use.
    pub current: VersionId,
    /// The version of the back-compat that holds the value.
    pub next: VersionId,
    pub value: ValueTag,
    /// Whether every pod can read it, and the back-compat holds the value in use again: the second phase.
    pub withdrawn: bool,
    /// Whether it is being given up, so that nothing says that any pod could read it.
    pub called_off: bool,
}

/// What the lock's record says of a value announced, where Secret Manager bears it out. Without that record a value in the
/// back-compat counts as an old one, that data may need: the safe reading.
pub fn announced(now: &Observation) -> Option<Announced> {
    let (newest, in_use) = (now.primary.newest()?, now.primary.value()?);
    let Announcement { version: next, called_off } = now.announced?;
    // The run that announces it sets out for the version after the newest: a record that says otherwise was edited.
    if now.begun.is_some_and(|begun| begun.to == newest.id) {
        return None;
    }
    let value = now.back_compat.version(next)?.value.filter(|value| *value != in_use)?;
    let held = now.back_compat.newest()?;
    let withdrawn = held.id == next.next() && held.value == Some(in_use);
    (withdrawn || held.id == next).then_some(Announced { current: newest.id, next, value, withdrawn, called_off })
}

/// The announced value that is being given up, if one is.
pub fn called_off(now: &Observation) -> Option<Announced> {
    announced(now).filter(|announced| announced.called_off)
}

/// Whether the newest version of the primary has the value that the back-compat held before its present one, so that the
/// two were exchanged: by a rollback, or by the second phase of a two-phase rotation.
pub fn is_exchanged(now: &Observation) -> bool {
    let before = now.back_compat.predecessor().and_then(|version| version.value);
    before.is_some() && before == now.primary.value() && back_compat_is_live(now)
}

/// Whether a rollback exchanged them: it writes the primary first and the back-compat after it, a two-phase rotation the
/// other way round, and both dates are Google's. Without this a rollback could not be told from what it undoes.
pub fn is_rolled_back(now: &Observation) -> bool {
    let created = |view: &crate::facts::observation::SecretView| view.newest().and_then(|newest| newest.created);
    is_exchanged(now) && created(&now.back_compat) > created(&now.primary) && created(&now.primary).is_some()
}

/// Whether anything in the cluster is shown not to be on the newest version. What is only unproven is none of it: a forced sync
/// writes unchanged data again, and looks like that.
pub fn drifts(now: &Observation) -> bool {
    let keys = now.external_secrets.iter().any(|external| external.keys.iter().any(|key| !as_expected(now, key)));
    let older = |consumer: &Consumer| consumer.pods.iter().any(|pod| standing(now, consumer, pod) == Standing::Older);
    keys || now.consumers.iter().any(|consumer| !consumer.is_rolled_out() || older(consumer))
}

/// Whether every consumer's rollout is complete, and all its pods are proven to be on the newest version.
pub fn all_on_newest(now: &Observation) -> bool {
    now.moved().all(|consumer| is_on_newest(now, consumer))
}

/// Whether a key holds what it should: the newest value of its secret. What cannot be told counts as it should be;
/// a check of its own reports it.
pub fn as_expected(now: &Observation, key: &KeyView) -> bool {
    use crate::facts::observation::Derivation;
    match (key.derivation, now.secret(key.source).value()) {
        (Derivation::Opaque, _) => true,
        (Derivation::Exact | Derivation::Within | Derivation::Shown, Some(value)) => key.found == Found::Value(value),
        // Nothing to copy: the key of a back-compat that does not exist yet.
        (Derivation::Exact | Derivation::Within | Derivation::Shown, None) => key.source == Source::BackCompat,
    }
}

/// How sure it is that a pod started on the newest version.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// It did.
    OnNewest,
    /// Nothing shows that it did, and nothing shows that it did not.
    Unproven,
    /// It did not.
    Older,
}

/// Whether the consumer's rollout is complete and all its pods are on the newest version.
pub fn is_on_newest(now: &Observation, consumer: &Consumer) -> bool {
    consumer.is_rolled_out() && consumer.pods.iter().all(|pod| standing(now, consumer, pod) == Standing::OnNewest)
}

/// Whether a key says something of the pods that read it. A back-compat that holds the primary's own value gives a pod nothing: whether
/// it is there says nothing either.
fn matters(now: &Observation, key: &KeyView) -> bool {
    key.source == Source::Primary || back_compat_is_live(now)
}

/// Judges one pod: environment variables are read once, when a container starts.
///
/// A pod is on the newest version when a restart of ours made it (its annotations name the versions of both secrets, and were
/// written after the bytes had been compared; it began before that run ended) and, until a rotation is committed, no Secret was written since; or when it was
/// created after the last write of every Secret it reads, by the API server's clock, or the Secret was written once. Age alone proves nothing: an ExternalSecret
/// that was pinned, or failed, kept an older version for as long.
/// All of it counts only while those Secrets hold the newest value: one that fell back may have been read meanwhile.
pub fn standing(now: &Observation, consumer: &Consumer, pod: &PodView) -> Standing {
    let Some(newest) = now.primary.newest() else { return Standing::Unproven };
    let read: Vec<&ExternalSecretView> = now.filling(&consumer.secrets).collect();
    let matters = |key: &&KeyView| matters(now, key);
    if !read.iter().flat_map(|external| &external.keys).filter(matters).all(|key| as_expected(now, key)) {
        return Standing::Older;
    }
    let noted = pod.version == Some(newest.id);
    // R5: one that began after the run which wrote the note had ended was started by others, and is judged by dates.
    let of_the_run = now.run_ended.zip(pod.created).is_none_or(|(ended, created)| created <= ended);
    if noted && of_the_run && has_back_compat(now, consumer, pod) {
        return match written_since(&read, pod) && is_unproven_yet(now) {
            true => Standing::Unproven,
            false => Standing::OnNewest,
        };
    }
    // A pod that was created before its Secret waits for it. Only a Secret that is younger than the newest version, in whole seconds,
    // was never written with anything else.
    let only_write = |external: &ExternalSecretView| {
        let younger = newest.created.zip(external.target_created);
        external.target_created == external.written
            && younger.is_some_and(|(version, target)| target.as_second() > version.as_second())
    };
    let started_after = |external: &&ExternalSecretView| {
        let after = pod.created.zip(external.written).is_some_and(|(created, written)| created > written);
        after || (only_write(external) && pod.started.is_some())
    };
    // Its workload was restarted onto the newest version and it is not of that restart: a pod of before, whatever the
    // dates of an observation that was begun before the last write say.
    let superseded = consumer.version == Some(newest.id) && !noted;
    // R5. A note of an older restart stays on the template: who was restarted by others later is judged by dates, too.
    if !superseded && read.iter().all(started_after) {
        return Standing::OnNewest;
    }
    if noted && has_back_compat(now, consumer, pod) {
        return Standing::Unproven;
    }
    if let Some(noted) = pod.version {
        // An older value that somebody added again: the pod has it, unless it was restarted by others while another was copied.
        let older = now.primary.version(noted).filter(|version| version.id != newest.id);
        let same = older.is_some_and(|version| version.value.is_some() && version.value == newest.value);
        return if same { Standing::Unproven } else { Standing::Older };
    }
    // Before the version existed, by more than clocks differ: it cannot have read it.
    match pod.created.zip(newest.created).is_some_and(|(created, at)| created < at - CLOCKS_DIFFER) {
        true => Standing::Older,
        false => Standing::Unproven,
    }
}

/// Judges a reader that a restart does not reach, by dates of the API server's own clock: it began after the last write of every Secret
/// that it reads, and those hold the newest. What it notes itself proves nothing: no restart of ours made it. Without a date it counts
/// as older: what it writes would be lost with the value.
pub fn standing_of_other(now: &Observation, reader: &OtherReader) -> Standing {
    let copies = || reader.secrets.iter().filter_map(|secret| now.copy(secret));
    let matters = |key: &&KeyView| matters(now, key);
    let copied = copies().flat_map(|copy| &copy.keys);
    let mut keys = now.filling(&reader.secrets).flat_map(|external| &external.keys).chain(copied).filter(matters);
    let right = keys.all(|key| as_expected(now, key));
    let Some(since) = reader.since.filter(|_| right) else { return Standing::Older };
    let filled = now.filling(&reader.secrets).map(|external| external.written);
    let written: Vec<Option<jiff::Timestamp>> = filled.chain(copies().map(|copy| copy.written)).collect();
    if !written.is_empty() && written.iter().all(|written| written.is_some_and(|written| since > written)) {
        return Standing::OnNewest;
    }
    let before = now.primary.newest().and_then(|newest| newest.created).is_some_and(|at| since < at - CLOCKS_DIFFER);
    if before { Standing::Older } else { Standing::Unproven }
}

/// Judges a pod that reads the primary from Secret Manager itself: it began after the newest version was there, by more than clocks differ.
/// Without a date it counts as older.
pub fn standing_of_mounting(now: &Observation, reader: &OtherReader) -> Standing {
    let created = now.primary.newest().and_then(|newest| newest.created);
    match reader.since.zip(created) {
        Some((since, at)) if since > at + CLOCKS_DIFFER => Standing::OnNewest,
        Some((since, at)) if since >= at - CLOCKS_DIFFER => Standing::Unproven,
        Some(_) | None => Standing::Older,
    }
}

/// Whether a Secret that the pod reads was written after its bytes were compared for the restart that made it. What it held
/// meanwhile nobody can say: the pod may have started on an older version that External Secrets read once more.
fn written_since(read: &[&ExternalSecretView], pod: &PodView) -> bool {
    read.iter().any(|external| {
        let compared = pod.compared.get(&external.target);
        compared.is_some_and(|compared| Some(compared) != external.resource_version.as_ref())
    })
}

/// Whether no run has seen to it that every pod is on what is being spread, so that a restart is all there is to go by. A
/// rotation that is committed was verified: a Secret that is written later was not read by pods that started before.
fn is_unproven_yet(now: &Observation) -> bool {
    matches!(secrets_state(now), State::Rotating { .. })
}

/// Whether a restart of ours gave the pod what the back-compat holds, where it reads that and data may need it. A pod may be on
/// the newest version, and have started before the older value was stored: `rotate --adopt` finds such ones.
fn has_back_compat(now: &Observation, consumer: &Consumer, pod: &PodView) -> bool {
    let held = pod.back_compat.and_then(|noted| now.back_compat.version(noted)).and_then(|version| version.value);
    !consumer.reads_back_compat || !back_compat_is_live(now) || (held.is_some() && held == now.back_compat.value())
}

/// By how much the clocks of Google and of the cluster are taken to differ at most.
const CLOCKS_DIFFER: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

#[cfg(test)]
#[path = "tests/state.rs"]
mod tests;
