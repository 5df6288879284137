//! In which of the protocol's states an account is, judged from an observation alone.

use std::fmt;

use super::names::VersionId;
use super::observation::{
    Announcement, Consumer, ExternalSecretView, Found, Observation, PodView, Refresh, Rollout, Source, ValueTag,
    Version, VersionState,
};

/// The states of protocol.md.
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
    /// The newest version of the back-compat is disabled or destroyed: its value cannot be told.
    BackCompatNotEnabled(VersionId, VersionState),
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

/// The state by Secret Manager alone: what a rotation may do depends on this, and never on the cluster.
pub fn secrets_state(now: &Observation) -> State {
    let Some(newest) = now.primary.newest() else { return State::Blocked(Blocked::NoPrimary) };
    if newest.state != VersionState::Enabled {
        return State::Blocked(Blocked::NewestNotEnabled(newest.id, newest.state));
    }
    if let Some(back_compat) = now.back_compat.newest().filter(|version| version.state != VersionState::Enabled) {
        return State::Blocked(Blocked::BackCompatNotEnabled(back_compat.id, back_compat.state));
    }
    match now.primary.predecessor().filter(|version| version.state == VersionState::Enabled) {
        Some(predecessor) => uncommitted(now, newest, predecessor),
        None if announced(now).is_some() => State::Rotating { from: newest.id, to: newest.id.next() },
        None if back_compat_is_live(now) => State::AwaitingReencryption,
        None => State::Stable,
    }
}

fn uncommitted(now: &Observation, newest: &Version, predecessor: &Version) -> State {
    let explained = now.back_compat.value().filter(|value| {
        Some(*value) == predecessor.value // a rotation begun: the predecessor's value was preserved first
            || Some(*value) == newest.value // a rollback begun: it introduces first and preserves after
    });
    if explained.is_some() {
        return State::Rotating { from: predecessor.id, to: newest.id };
    }
    let before = predecessor.id.previous().and_then(|id| now.primary.version(id));
    let raced = before.filter(|version| version.state == VersionState::Enabled && version.value.is_some());
    match raced.filter(|version| version.value == now.back_compat.value()) {
        Some(_) => State::Blocked(Blocked::TwoUncommitted(predecessor.id, newest.id)),
        None => State::Blocked(Blocked::UnexplainedPredecessor(predecessor.id)),
    }
}

/// Whether the back-compat holds a value that is not the primary's: old data may need it.
pub fn back_compat_is_live(now: &Observation) -> bool {
    now.back_compat.value().is_some() && now.back_compat.value() != now.primary.value()
}

/// A value that a two-phase rotation has announced and not yet brought into use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Announced {
    /// The version of the primary in use.
    pub current: VersionId,
    /// The version of the back-compat that holds the value.
    pub next: VersionId,
    /// The value.
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
    let created = |view: &super::observation::SecretView| view.newest().and_then(|newest| newest.created);
    is_exchanged(now) && created(&now.back_compat) > created(&now.primary) && created(&now.primary).is_some()
}

/// Whether anything in the cluster is not on the newest version.
pub fn drifts(now: &Observation) -> bool {
    let keys = now.external_secrets.iter().any(|external| external.keys.iter().any(|key| !as_expected(now, key)));
    keys || now.consumers.iter().any(|consumer| !is_on_newest(now, consumer))
}

/// Whether a key holds what it should: the newest value of its secret. What cannot be told counts as it should be;
/// a check of its own reports it.
pub fn as_expected(now: &Observation, key: &super::observation::KeyView) -> bool {
    use super::observation::Derivation;
    match (key.derivation, now.secret(key.source).value()) {
        (Derivation::Opaque, _) => true,
        (Derivation::Exact | Derivation::Within, Some(value)) => key.found == Found::Value(value),
        // Nothing to copy: the key of a back-compat that does not exist yet.
        (Derivation::Exact | Derivation::Within, None) => key.source == Source::BackCompat,
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
    consumer.rollout == Rollout::Complete
        && consumer.pods.iter().all(|pod| standing(now, consumer, pod) == Standing::OnNewest)
}

/// Judges one pod: environment variables are read once, when a container starts.
///
/// A pod is on the newest version when a restart of ours made it (its annotations name the versions of both secrets, and were
/// written after the bytes had been compared) and, until a rotation is committed, no Secret was written since; or when it was
/// created after the last write of every Secret it reads, by the API server's clock, or so long after the versions were
/// created that at least two scheduled syncs lay between.
/// All of it counts only while those Secrets hold the newest value: one that fell back may have been read meanwhile.
pub fn standing(now: &Observation, consumer: &Consumer, pod: &PodView) -> Standing {
    let Some(newest) = now.primary.newest() else { return Standing::Unproven };
    let read: Vec<&ExternalSecretView> =
        now.external_secrets.iter().filter(|external| consumer.secrets.contains(&external.target)).collect();
    // A back-compat that holds the primary's own value gives a pod nothing: whether it is there says nothing either.
    let matters = |key: &&super::observation::KeyView| key.source == Source::Primary || back_compat_is_live(now);
    if !read.iter().flat_map(|external| &external.keys).filter(matters).all(|key| as_expected(now, key)) {
        return Standing::Older;
    }
    if let Some(version) = pod.version {
        return match version == newest.id && has_back_compat(now, consumer, pod) {
            true if written_since(&read, pod) && is_unproven_yet(now) => Standing::Unproven,
            true => Standing::OnNewest,
            false => Standing::Older,
        };
    }
    let Some(created) = pod.created else { return Standing::Unproven };
    let started_after = |external: &&ExternalSecretView| external.written.is_some_and(|written| created > written);
    // Where its date is not known, the back-compat came with the newest version.
    let kept = now
        .back_compat
        .newest()
        .filter(|kept| kept.created.is_some() && consumer.reads_back_compat && back_compat_is_live(now));
    let settled = |external: &&ExternalSecretView| {
        let mut copied = [Some(newest), kept].into_iter().flatten().map(|version| settled_at(version, external));
        copied.all(|at| at.is_some_and(|at| created > at))
    };
    // Its workload was restarted onto the newest version and it is not of that restart: a pod of before, whatever the
    // dates of an observation that was begun before the last write say.
    let superseded = consumer.version == Some(newest.id);
    if !superseded && read.iter().all(|external| started_after(external) || settled(external)) {
        return Standing::OnNewest;
    }
    // Before the version existed, by more than clocks differ: it cannot have read it.
    match newest.created.is_some_and(|at| created < at - CLOCKS_DIFFER) {
        true => Standing::Older,
        false => Standing::Unproven,
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
    let spreading = |announced: Announced| !announced.withdrawn && !announced.called_off;
    matches!(secrets_state(now), State::Rotating { .. }) || announced(now).is_some_and(spreading)
}

/// Whether a restart of ours gave the pod what the back-compat holds, where it reads that and data may need it. A pod may be on
/// the newest version, and have started before the older value was stored: `rotate --adopt` finds such ones.
fn has_back_compat(now: &Observation, consumer: &Consumer, pod: &PodView) -> bool {
    let held = pod.back_compat.and_then(|noted| now.back_compat.version(noted)).and_then(|version| version.value);
    !consumer.reads_back_compat || !back_compat_is_live(now) || (held.is_some() && held == now.back_compat.value())
}

/// By how much the clocks of Google and of the cluster are taken to differ at most.
pub(crate) const CLOCKS_DIFFER: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// When scheduled syncs have surely copied a version: two intervals and an hour after it was created.
/// Never for an ExternalSecret that does not sync by itself.
pub(crate) fn settled_at(newest: &Version, external: &ExternalSecretView) -> Option<jiff::Timestamp> {
    let Refresh::Periodic { seconds } = external.refresh else { return None };
    let intervals = jiff::SignedDuration::from_secs(i64::try_from(seconds.checked_mul(2)?).ok()?);
    newest.created?.checked_add(jiff::SignedDuration::from_hours(1)).ok()?.checked_add(intervals).ok()
}
