//! The end of an older value.

use super::unused::unused_since;
use super::{Destroy, Want, enabled_newest, preserve, refuse, refuse_blocked, stage, workloads};
use crate::event::StepName;
use crate::facts::names::VersionId;
use crate::facts::observation::{Observation, Source, ValueTag, Version, VersionState};
use crate::facts::older::VersionSet;
use crate::in_use;
use crate::problem::Problem;
use crate::state::{self, Blocked, State};
use crate::step::{Plan, Planned, Step, Way};

/// Retires the older value: the back-compat gets the value in use, which arrives in every pod, so that whatever was not
/// saved again shows now and not at some later restart; then its older versions are disabled.
///
/// The secret itself stays: what maps it by name keeps working, and nothing is destroyed unless asked for by name.
pub(super) fn finalization(want: &Want, asked: &Observation, destroy: Option<Destroy>) -> Result<Plan, Problem> {
    let now = &asked.without(&want.retired);
    match state::secrets_state(now) {
        State::Rotating { from, to } => return Err(refuse::under_way(now, from, to)),
        // What the back-compat holds goes first: its slot is needed for the version that nothing explains.
        State::Blocked(Blocked::UnexplainedPredecessor(_))
            if state::back_compat_is_live(now) && in_use::others(now).is_empty() => {}
        State::Blocked(blocked) => return Err(refuse_blocked(now, blocked)),
        State::Stable | State::Drifted | State::AwaitingReencryption => {}
    }
    if in_use::displaced(now).is_some() {
        return Err(refuse::awaiting(now));
    }
    let Some((newest, value)) = enabled_newest(now) else { return Err(refuse_blocked(now, Blocked::NoPrimary)) };
    let held = now.back_compat.value();
    let older = retired(want, now, value);
    let mut steps = Vec::new();
    // What was begun is finished, also where somebody closed what it had stored.
    if older.is_empty() || held.is_none() && !state::is_finalizing(now) {
        let why = match held {
            None => format!("{} holds nothing", now.back_compat.secret),
            Some(_) => format!("{} holds {} alone", now.back_compat.secret, newest.id),
        };
        let done = [StepName::Preserve, StepName::Stage, StepName::Restart, StepName::Commit];
        steps.extend(done.map(|step| Planned::Skip(step, why.clone())));
    } else {
        steps.extend(preserve(now, newest));
        steps.push(stage(now, newest.id, value));
        steps.push(Planned::Do(Step::Restart { workloads: workloads(now), version: newest.id }));
        steps.push(Planned::Do(Step::Verify { version: newest.id }));
        steps.push(Planned::Do(Step::RetireOlder { secret: now.back_compat.secret.clone(), versions: older.clone() }));
    }
    let retired = on_record(want, now, &older);
    let given_up = given_up(asked, &retired);
    if !given_up.is_empty() {
        steps.push(Planned::Do(Step::DisableOlder { secret: now.primary.secret.clone(), versions: given_up }));
    }
    for source in [Source::Primary, Source::BackCompat] {
        let Some(destroy) = destroy else { continue };
        let secret = &now.secret(source).secret;
        let versions = destroyed(asked, source, &retired, destroy);
        if !versions.is_empty() {
            steps.push(Planned::Do(Step::Destroy { secret: secret.clone(), versions }));
        }
        // They are gone then by themselves: asked for once more, the delay would begin anew.
        let scheduled = now.secret(source).conditions.scheduled.iter();
        let told = scheduled.map(|(id, at)| format!("{id} of {secret} is scheduled to be destroyed on {at}"));
        steps.extend(told.map(|why| Planned::Skip(StepName::Destroy, why)));
    }
    let unknown = let_alone(asked, &retired);
    if destroy.is_some() && !unknown.is_empty() {
        let why = format!(
            "disabled, and not on record as retired: {unknown}; where nothing needs their values, name them: --retired {}",
            unknown.write()
        );
        steps.push(Planned::Skip(StepName::Destroy, why));
    }
    let retires =
        now.finalizing.or_else(|| now.back_compat.newest().map(|newest| newest.id)).filter(|_| !older.is_empty());
    Ok(Plan { retires, retired, ..Plan::new(Way::Retire, now, newest.id, newest.id, steps) })
}

/// What this adds to what is on record as retired: what the operator names, and every version of either secret
/// that has a value which goes; a disabled one of the primary as the record of the last rotation pairs it.
fn on_record(want: &Want, now: &Observation, older: &[VersionId]) -> VersionSet {
    let mut retired: VersionSet = want.retired.iter().copied().collect();
    let values: Vec<ValueTag> =
        older.iter().filter_map(|id| now.back_compat.version(*id)).filter_map(|version| version.value).collect();
    let ends = |value: Option<ValueTag>| {
        value.is_some_and(|value| values.contains(&value) && Some(value) != now.primary.value())
    };
    retired.extend(older.iter().map(|id| (Source::BackCompat, *id)));
    for source in [Source::Primary, Source::BackCompat] {
        let same = now.secret(source).versions.iter().filter(|version| ends(version.value));
        retired.extend(same.map(|version| (source, version.id)));
    }
    if let Some(last) = now.last_rotation.as_ref().filter(|_| !older.is_empty() && in_use::is_ours(now))
        && let Some(from) = last.from_version()
    {
        retired.extend([(Source::Primary, from)]);
    }
    retired
}

/// The versions of the back-compat that are disabled: those with the value that its slot has, or had when this finalization was
/// begun, those with the value in use, and those that the operator names. Pods could read no other while the data was saved again.
fn retired(want: &Want, now: &Observation, in_use: ValueTag) -> Vec<VersionId> {
    let begun = now.finalizing.and_then(|version| now.back_compat.version(version)).and_then(|version| version.value);
    let ended = [begun, now.back_compat.value(), Some(in_use)];
    let keeps_newest = usize::from(now.back_compat.value() == Some(in_use));
    let older = now.back_compat.versions.iter().skip(keeps_newest);
    let named = |version: &Version| want.retired.contains(&(Source::BackCompat, version.id));
    // R2: what the slot held, and what is named; any other value stays what data may need.
    let ends = |version: &Version| version.state == VersionState::Enabled && ended.contains(&version.value);
    older.filter(|version| named(version) || ends(version)).map(|version| version.id).collect()
}

/// The older enabled versions of the primary whose values are retired with this, or that the operator names: pods are not given
/// their values any more.
fn given_up(asked: &Observation, retired: &VersionSet) -> Vec<VersionId> {
    let older = asked.primary.versions.iter().skip(1).filter(|version| version.state == VersionState::Enabled);
    older.filter(|version| retired.has(Source::Primary, version.id)).map(|version| version.id).collect()
}

/// The disabled versions that `--destroy` lets alone: nothing says that their values are retired.
fn let_alone(asked: &Observation, retired: &VersionSet) -> VersionSet {
    let of = |source: Source| {
        let disabled = asked.secret(source).versions.iter().filter(|version| version.state == VersionState::Disabled);
        disabled.map(move |version| (source, version.id))
    };
    let disabled = of(Source::Primary).chain(of(Source::BackCompat));
    disabled.filter(|(source, id)| !is_retired(asked, retired, *source, *id)).collect()
}

/// Whether a version is retired: by this, or on record.
fn is_retired(asked: &Observation, retired: &VersionSet, source: Source, id: VersionId) -> bool {
    retired.has(source, id) || asked.older.retired.has(source, id)
}

/// The versions that `--destroy` takes: disabled now, or about to be, and retired by a finalization on record, by this one, or by the
/// operator's word. Another one that is disabled may have the last copy of a value that data needs: that somebody disabled it says
/// nothing of that (R2, I8).
fn destroyed(asked: &Observation, source: Source, retired: &VersionSet, which: Destroy) -> Vec<VersionId> {
    let view = asked.secret(source);
    let gone = |version: &&Version| {
        let disabled = version.state == VersionState::Disabled || retired.has(source, version.id);
        disabled && version.state != VersionState::Destroyed && is_retired(asked, retired, source, version.id)
    };
    // Without a date nothing says that it is out of use for long enough.
    let old = |version: &&Version| {
        which.before.is_none_or(|before| unused_since(asked, source, version).is_some_and(|since| since < before))
    };
    let is_scheduled = |version: &&Version| view.conditions.scheduled.iter().any(|(id, _)| *id == version.id);
    let taken = view.versions.iter().filter(gone).skip(which.keep).filter(old);
    taken.filter(|version| !is_scheduled(version)).map(|version| version.id).collect()
}
