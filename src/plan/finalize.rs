//! The end of an older value.

use super::{Destroy, enabled_newest, preserve, refuse_blocked, stage, workloads};
use crate::domain::event::StepName;
use crate::domain::names::VersionId;
use crate::domain::observation::{Observation, SecretView, Version, VersionState};
use crate::domain::problem::{Exit, Problem};
use crate::domain::state::{self, Blocked, State};
use crate::domain::step::{Plan, Planned, Step, Way};

/// Retires the older value: the back-compat gets the value in use, which arrives in every pod, so that whatever was not
/// saved again shows now and not at some later restart; then its older versions are disabled.
///
/// The secret itself stays: what maps it by name keeps working, and nothing is destroyed unless asked for by name.
pub(super) fn finalization(now: &Observation, destroy: Option<Destroy>) -> Result<Plan, Problem> {
    match state::secrets_state(now) {
        State::Rotating { from, to } => return Err(under_way(now, from, to)),
        State::Blocked(blocked) => return Err(refuse_blocked(now, blocked)),
        State::Stable | State::Drifted | State::AwaitingReencryption => {}
    }
    let Some((newest, value)) = enabled_newest(now) else { return Err(refuse_blocked(now, Blocked::NoPrimary)) };
    let held = now.back_compat.value();
    let older: Vec<VersionId> = {
        let keeps_newest = usize::from(held == Some(value));
        let versions = now.back_compat.versions.iter().skip(keeps_newest);
        versions.filter(|version| version.state == VersionState::Enabled).map(|version| version.id).collect()
    };
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
    for (view, retired) in [(&now.primary, &[][..]), (&now.back_compat, &older)] {
        let Some(destroy) = destroy else { continue };
        let versions = destroyed(view, retired, destroy);
        if !versions.is_empty() {
            steps.push(Planned::Do(Step::Destroy { secret: view.secret.clone(), versions }));
        }
    }
    Ok(Plan { way: Way::Retire, state: state::state(now), from: newest.id, to: newest.id, announces: None, steps })
}

/// The versions that `--destroy` takes: disabled now, or about to be.
fn destroyed(view: &SecretView, retired: &[VersionId], which: Destroy) -> Vec<VersionId> {
    let gone = |version: &&Version| version.state == VersionState::Disabled || retired.contains(&version.id);
    // Without a date nothing says that it is old enough.
    let old =
        |version: &&Version| which.before.is_none_or(|before| version.created.is_some_and(|created| created < before));
    view.versions.iter().filter(gone).skip(which.keep).filter(old).map(|version| version.id).collect()
}

fn under_way(now: &Observation, from: VersionId, to: VersionId) -> Problem {
    let line = format!("a rotation of {} from {from} to {to} is under way: both values are needed", now.account);
    let verb = if state::called_off(now).is_some() { "rollback" } else { "rotate" };
    Problem::new(Exit::Refused, "RotationUnderWay", line)
        .hint(format!("finish it: kubectl deepdesk secret {verb} {}", now.account))
}
