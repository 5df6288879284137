//! The end of an older value.

use super::unused::unused_since;
use super::{Destroy, Want, enabled_newest, preserve, refuse, refuse_blocked, stage, workloads};
use crate::event::StepName;
use crate::facts::names::VersionId;
use crate::facts::observation::{Observation, Source, ValueTag, Version, VersionState};
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
    if held.is_none() || older.is_empty() {
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
    let given_up = given_up(want, asked);
    if !given_up.is_empty() {
        steps.push(Planned::Do(Step::DisableOlder { secret: now.primary.secret.clone(), versions: given_up }));
    }
    for (source, retired) in [(Source::Primary, &[][..]), (Source::BackCompat, &older)] {
        let Some(destroy) = destroy else { continue };
        let secret = &now.secret(source).secret;
        let versions = destroyed(now, source, retired, destroy);
        if !versions.is_empty() {
            steps.push(Planned::Do(Step::Destroy { secret: secret.clone(), versions }));
        }
        // They are gone then by themselves: asked for once more, the delay would begin anew.
        let scheduled = now.secret(source).conditions.scheduled.iter();
        let told = scheduled.map(|(id, at)| format!("{id} of {secret} is scheduled to be destroyed on {at}"));
        steps.extend(told.map(|why| Planned::Skip(StepName::Destroy, why)));
    }
    let retires =
        now.finalizing.or_else(|| now.back_compat.newest().map(|newest| newest.id)).filter(|_| !older.is_empty());
    Ok(Plan {
        way: Way::Retire,
        state: state::state(now),
        from: newest.id,
        to: newest.id,
        announces: None,
        retires,
        steps,
    })
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

/// The enabled versions of the primary that the operator names: pods are not given their values any more.
fn given_up(want: &Want, asked: &Observation) -> Vec<VersionId> {
    let older = asked.primary.versions.iter().skip(1).filter(|version| version.state == VersionState::Enabled);
    older.filter(|version| want.retired.contains(&(Source::Primary, version.id))).map(|version| version.id).collect()
}

/// The versions that `--destroy` takes: disabled now, or about to be.
fn destroyed(now: &Observation, source: Source, retired: &[VersionId], which: Destroy) -> Vec<VersionId> {
    let view = now.secret(source);
    let gone = |version: &&Version| version.state == VersionState::Disabled || retired.contains(&version.id);
    // Without a date nothing says that it is out of use for long enough.
    let old = |version: &&Version| {
        which.before.is_none_or(|before| unused_since(now, source, version).is_some_and(|since| since < before))
    };
    let is_scheduled = |version: &&Version| view.conditions.scheduled.iter().any(|(id, _)| *id == version.id);
    let taken = view.versions.iter().filter(gone).skip(which.keep).filter(old);
    taken.filter(|version| !is_scheduled(version)).map(|version| version.id).collect()
}
