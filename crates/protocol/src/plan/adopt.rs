//! `rotate --adopt`: what hands left, finished so that every value that some place has keeps a slot or an enabled version.
//!
//! Two slots: the primary's newest version (P) and the back-compat (Q). What the cluster is shown to have goes into them before
//! what nobody has. A newest version that nothing has read yet gives way where both slots are needed. What the back-compat holds
//! gives way to what pods have in use: it stays enabled there, and `rescue` is due for it once the slot is free again.

use super::{
    NewValue, Want, external_secrets, finish, readers, refuse, refuse_blocked, store, twins, unmapped, workloads,
};
use crate::event::StepName;
use crate::facts::names::VersionId;
use crate::facts::observation::{Derivation, Found, LastRotation, Observation, Source, ValueTag, VersionState};
use crate::hint::Hint;
use crate::in_use::{self, Held};
use crate::problem::{Problem, Reason};
use crate::state::Blocked;
use crate::step::{Origin, Plan, Planned, Step, Way};

pub(super) fn adopt(want: &Want, now: &Observation, blocked: Blocked) -> Result<Plan, Problem> {
    if let Some(plan) = opening(want, now, blocked) {
        return Ok(plan);
    }
    let newest = match blocked {
        Blocked::NoPrimary | Blocked::BackCompatNotEnabled(..) | Blocked::Unreadable(..) => {
            return Err(refuse_blocked(now, blocked));
        }
        // I8: its value may be in those pods alone.
        Blocked::NewestNotEnabled(_, state)
            if refuse::is_noted_newest(now) && refuse::newest_may_be_enabled(now, state) =>
        {
            return Err(refuse_blocked(now, blocked));
        }
        Blocked::NewestNotEnabled(..) if refuse::closed_in_use(now).is_some() => {
            return Err(refuse_blocked(now, blocked));
        }
        Blocked::NewestNotEnabled(..) => None,
        Blocked::UnexplainedPredecessor(_) | Blocked::TwoUncommitted(..) | Blocked::Foreign(_) => now.primary.value(),
    };
    if want.new_value != NewValue::Made {
        return Err(refuse_blocked(now, blocked));
    }
    let values = needed(now);
    let kept = now.back_compat.value();
    let live = kept.filter(|kept| Some(*kept) != newest);
    // What pods read as back-compat goes before what the back-compat got since.
    let read_by_pods = in_use::read_as_back_compat(now);
    let read = read_by_pods.iter().copied().find(|read| !values.contains(read) && Some(*read) != newest);
    let places = values.len() + usize::from(read.or(live).is_some_and(|live| !values.contains(&live)));
    // A copy in the cluster that no pod can have started with is taken back where its slot is needed.
    let spread = if places > 1 && read.is_some() { in_use::may_be_read(now) } else { in_use::is_spread(now) };
    let primary = match newest {
        Some(newest) if spread || places <= 1 => newest,
        _ => *values.first().ok_or_else(|| refuse_blocked(now, blocked))?,
    };
    let rest: Vec<ValueTag> = values.into_iter().filter(|value| *value != primary).collect();
    // What some place has in use goes before what the back-compat holds: that stays enabled there, and is told as displaced.
    // What a pod may have started with does not, where the back-compat keeps another that it may have started with as well.
    let is_sure = |value: ValueTag| in_use::others(now).iter().any(|one| one.sure && one.held == Held::Value(value));
    let others = || rest.iter().filter(|value| Some(**value) != kept);
    let may_keep = rest.iter().find(|value| Some(**value) == kept);
    let in_use = others().find(|value| is_sure(**value)).or(may_keep).or(others().next()).copied();
    let read = read_by_pods.into_iter().find(|read| *read != primary);
    let is_third = live.is_some_and(|live| in_use.is_some_and(|in_use| in_use != live));
    // An enabled predecessor that no place has goes behind what pods read.
    let in_use = if in_use::others(now).is_empty() { read.or(in_use) } else { in_use };
    let second = in_use.or(read).or(kept.filter(|kept| *kept != primary));
    // Both slots are taken, and no place has another value: nothing is under way, and what the back-compat holds is retired first.
    if in_use::others(now).is_empty() && (is_third || live.is_some_and(|live| Some(live) != second)) {
        return Err(refuse_blocked(now, blocked));
    }
    let lost = super::lost_copy(now);
    // What an enabled version of the back-compat has is not lost, and told, whatever becomes the newest there.
    let has_version = |value| now.enabled_in(Source::BackCompat, value).is_some();
    // So has a newest version that was copied already and gives way.
    let withdrawn = newest.filter(|newest| *newest != primary && now.some_holds(Source::Primary, *newest));
    let left = rest
        .iter()
        .copied()
        .chain(lost)
        .chain(withdrawn)
        .filter(|value| Some(*value) != second && !has_version(*value));
    let first: Vec<ValueTag> = left.collect();
    let predecessor = now.primary.predecessor().map(|version| version.id);
    let from = second.and_then(|second| now.enabled_in(Source::Primary, second));
    match (newest == Some(primary), from) {
        (true, Some(from)) if first.is_empty() => {
            let to = now.primary.newest().map_or(from, |newest| newest.id);
            finish(want, now, from, to)
        }
        (keeps, _) => {
            let Some(to) = now.primary.newest().map(|newest| newest.id) else {
                return Err(refuse_blocked(now, blocked));
            };
            // The back-compat stays as the last rotation left it: it holds what that came from.
            let left = now.last_rotation.as_ref().and_then(LastRotation::from_version);
            let left = left.filter(|_| !keeps && second == kept && first.is_empty());
            let from = from.or(left).or(predecessor).unwrap_or(to);
            let settled = Settled { primary, second, first, from, newest: to, keeps };
            settle(now, settled).ok_or_else(|| last_copy(now, primary))
        }
    }
}

/// Whether `--adopt` makes readable by itself what pods have and nobody can read.
pub(super) fn is_opened(now: &Observation, blocked: Blocked) -> bool {
    opening(&Want::default(), now, blocked).is_some()
}

/// Where pods are shown to have one disabled version and nothing else is in use beside the newest: it is enabled to be read, and kept.
/// None where that is not so: then the versions are made readable one by one, and looked at.
fn opening(want: &Want, now: &Observation, blocked: Blocked) -> Option<Plan> {
    let Blocked::Unreadable(version, VersionState::Disabled) = blocked else { return None };
    let others = in_use::others(now);
    let kept = now.back_compat.value().map(Held::Value);
    let mut rest = others.iter().filter(|one| one.held != Held::Version(version) && Some(&one.held) != kept.as_ref());
    if rest.next().is_some() || in_use::read_without_slot(now).is_some() || want.new_value != NewValue::Made {
        return None;
    }
    let newest = now.primary.newest()?.id;
    let secret = || now.primary.secret.clone();
    let mut steps = vec![Planned::Do(Step::Enable { secret: secret(), version })];
    steps.extend(store(now, Origin::Primary(version)));
    steps.push(match readers(now).is_empty() {
        true => unmapped(),
        false => Planned::Skip(StepName::Stage, "sync compares both values from here on".to_owned()),
    });
    steps.push(Planned::Skip(StepName::Introduce, format!("{newest} is already there")));
    steps.push(Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: newest }));
    steps.push(Planned::Do(Step::Restart { workloads: workloads(now), version: newest }));
    steps.push(Planned::Do(Step::Verify { version: newest }));
    steps.push(Planned::Do(Step::DisablePrevious { secret: secret(), version }));
    Some(Plan::new(Way::Forward, now, version, newest, steps))
}

/// What the two slots get.
struct Settled {
    primary: ValueTag,
    second: Option<ValueTag>,
    /// Values that get no slot, and that no version of the back-compat has: stored there first, so that none is lost.
    first: Vec<ValueTag>,
    /// The version of the second value, or the one before the newest.
    from: VersionId,
    newest: VersionId,
    /// Whether the newest version stays the newest.
    keeps: bool,
}

fn settle(now: &Observation, settled: Settled) -> Option<Plan> {
    let Settled { primary, second, first, from, newest, keeps } = settled;
    let to = if keeps { newest } else { newest.next() };
    let mut steps = Vec::new();
    for value in &first {
        steps.extend(store(now, origin(now, *value)?));
    }
    match second.filter(|second| !first.is_empty() || now.back_compat.value() != Some(*second)) {
        Some(second) => steps.extend(store(now, origin(now, second)?)),
        None => steps.push(Planned::Skip(StepName::Preserve, format!("{} stays as it is", now.back_compat.secret))),
    }
    steps.push(match readers(now).is_empty() {
        true => unmapped(),
        false => Planned::Skip(StepName::Stage, "sync compares both values from here on".to_owned()),
    });
    steps.push(match keeps {
        true => Planned::Skip(StepName::Introduce, format!("{to} is already there")),
        false => Planned::Do(Step::AddVersion {
            secret: now.primary.secret.clone(),
            value_of: Some(origin(now, primary)?),
            expect: to,
        }),
    });
    steps.push(Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }));
    steps.push(Planned::Do(Step::Restart { workloads: workloads(now), version: to }));
    steps.push(Planned::Do(Step::Verify { version: to }));
    // What has one of the two values has its slot. A newest version that gave way was read by nobody.
    let mut versions = twins(now, newest, [Some(primary), second]);
    let gives_way = now.primary.newest().is_some_and(|newest| newest.state == VersionState::Enabled) && !keeps;
    if gives_way {
        versions.insert(0, newest);
    }
    steps.push(match versions.is_empty() {
        true => Planned::Skip(StepName::Commit, "nothing is left to disable".to_owned()),
        false => Planned::Do(Step::DisableOlder { secret: now.primary.secret.clone(), versions }),
    });
    let way = if keeps { Way::Forward } else { Way::Back };
    Some(Plan::new(way, now, from, to, steps))
}

/// The values that need a slot, those of the Kubernetes Secrets first. Where no place has another value than the newest
/// version's, that of an enabled predecessor: data may be under it.
fn needed(now: &Observation) -> Vec<ValueTag> {
    let others = in_use::others(now).into_iter().filter_map(|one| match one.held {
        Held::Value(value) => Some(value),
        Held::Version(_) => None,
    });
    let others: Vec<ValueTag> = others.collect();
    if !others.is_empty() {
        return others;
    }
    let predecessor = now.primary.predecessor().filter(|version| version.state == VersionState::Enabled);
    predecessor
        .and_then(|version| version.value)
        .filter(|value| Some(*value) != now.primary.value())
        .into_iter()
        .collect()
}

/// Where the bytes of a value are at hand: none where a template alone has them.
pub(super) fn origin(now: &Observation, value: ValueTag) -> Option<Origin> {
    if let Some((source, version)) = now.enabled_with(value) {
        return Some(match source {
            Source::Primary => Origin::Primary(version),
            Source::BackCompat => Origin::BackCompat(version),
        });
    }
    let keys = now.external_secrets.iter().flat_map(|external| external.keys.iter().map(move |key| (external, key)));
    let mut held = keys.filter(|(_, key)| key.derivation == Derivation::Exact && key.found == Found::Value(value));
    held.next().map(|(external, key)| Origin::Copy { secret: external.target.clone(), key: key.key.clone(), value })
}

/// Its bytes stand inside a template's text alone: they cannot be taken out of it.
pub(super) fn last_copy(now: &Observation, value: ValueTag) -> Problem {
    let keys = now.external_secrets.iter().flat_map(|external| external.keys.iter().map(move |key| (external, key)));
    let mut places = keys.filter(|(_, key)| key.found == Found::Value(value));
    let place = places.next().map_or_else(
        || format!("namespace {}", now.account),
        |(external, key)| format!("Kubernetes Secret {}/{}, key {}", now.account, external.target, key.key),
    );
    let line = format!("the last copy of a value is in {place}, inside a longer text: it cannot be stored from there");
    Problem::new(Reason::LastCopy, line).hint(Hint::to(
        format!(
            "decide whether data under it is needed, and add it to {} yourself; its versions",
            now.back_compat.secret
        ),
        refuse::versions(now, &now.primary.secret),
    ))
}
