//! The strategy `two-phase`: first every pod can read the next value (A), then it comes into use (B).

use super::{NewValue, Want, another_value, end, external_secrets, preserve, readers, stage, unmapped, workloads};
use crate::event::StepName;
use crate::facts::names::VersionId;
use crate::facts::observation::{Announcement, Observation, Source, ValueTag, Version};
use crate::hint::{Command, Hint};
use crate::problem::{Problem, Reason};
use crate::state::Announced;
use crate::step::{Origin, Plan, Planned, Step, Way};

/// From the start. The value in use goes into the back-compat's history first: there it shows, should the lock's record be
/// lost, that what came after it was never in use.
pub(super) fn begin(now: &Observation, first: Vec<Planned>, current: &Version, value: ValueTag) -> Plan {
    let mut steps = first;
    steps.extend(preserve(now, current).into_iter().filter(|planned| matches!(planned, Planned::Do(_))));
    let newest = now.back_compat.newest().map(|newest| newest.id);
    let stored = match now.back_compat.value() == Some(value) {
        true => newest,
        false => Some(newest.map_or(VersionId::FIRST, VersionId::next)),
    };
    let next = stored.map_or(VersionId::FIRST, VersionId::next);
    steps.push(Planned::Do(Step::Announce { secret: now.back_compat.secret.clone(), expect: next }));
    steps.push(spread(now, next));
    steps.push(Planned::Do(Step::Prepare { workloads: workloads(now), version: current.id }));
    steps.push(Planned::Do(Step::StoreBackCompat {
        secret: now.back_compat.secret.clone(),
        value_of: Origin::Primary(current.id),
    }));
    steps.push(withdraw(now, current.id));
    use_it(now, steps, current.id, next)
}

/// From wherever it stopped before the next value came into use. After that it is a rotation like any other.
pub(super) fn go_on(want: &Want, now: &Observation, announced: Announced) -> Result<Plan, Problem> {
    let Announced { current, next, value, withdrawn, called_off } = announced;
    if called_off {
        return Err(being_called_off(now, next));
    }
    if want.new_value != NewValue::Made && want.new_value != NewValue::Given(Some(value)) {
        return Err(another_value(now, current, current.next()));
    }
    let mut steps = vec![Planned::Skip(StepName::Announce, format!("{} {next} is there", now.back_compat.secret))];
    match withdrawn {
        true => {
            let why = "every pod could read it already".to_owned();
            steps.extend([StepName::Spread, StepName::Prepare].map(|step| Planned::Skip(step, why.clone())));
            let held = now.primary.version(current).and_then(|version| Some((version, version.value?)));
            if let Some((version, value)) = held {
                steps.extend(preserve(now, version));
                steps.push(stage(now, current, value));
            }
        }
        false => {
            steps.push(match now.all_hold(Source::BackCompat, value) {
                true => Planned::Skip(StepName::Spread, "every Kubernetes Secret holds it".to_owned()),
                false => spread(now, next),
            });
            // Nothing on a pod says which back-compat it started with: they are restarted again.
            steps.push(Planned::Do(Step::Prepare { workloads: workloads(now), version: current }));
            steps.push(Planned::Do(Step::StoreBackCompat {
                secret: now.back_compat.secret.clone(),
                value_of: Origin::Primary(current),
            }));
            steps.push(withdraw(now, current));
        }
    }
    Ok(use_it(now, steps, current, next))
}

/// Somebody decided against this value. What is left of that looks like the second phase, and proves nothing of pods.
fn being_called_off(now: &Observation, next: VersionId) -> Problem {
    let line = format!("the value announced in {} {next} is being given up", now.back_compat.secret);
    Problem::new(Reason::BeingCalledOff, line)
        .hint(Hint::to("finish that first", Command::secret("rollback", &now.account)))
}

/// Gives the announced value up: the back-compat gets the value in use again. Nothing was ever written under the other.
///
/// The other is seen in the cluster first: only after that do the bytes of the value in use say that they are the newer ones.
/// Else the Secrets might hold them from before the announcement, and get the other from a late sync.
pub(super) fn call_off(now: &Observation, announced: Announced) -> Plan {
    let Announced { current, next, value: given_up, withdrawn, .. } = announced;
    let held = now.primary.version(current).and_then(|version| Some((version, version.value?)));
    let mut steps = Vec::new();
    if !withdrawn && !now.all_hold(Source::BackCompat, given_up) {
        steps.push(spread(now, next));
    }
    if let Some((version, value)) = held {
        steps.extend(preserve(now, version));
        steps.push(stage(now, current, value));
    }
    // Nothing was ever written under it. Left enabled, it would look like a value that lost its slot.
    steps.push(Planned::Do(Step::RetireOlder { secret: now.back_compat.secret.clone(), versions: vec![next] }));
    let announces = Some(Announcement { version: next, called_off: true });
    Plan { announces, ..Plan::new(Way::Back, now, current, current, steps) }
}

fn spread(now: &Observation, next: VersionId) -> Planned {
    match readers(now) {
        readers if readers.is_empty() => {
            Planned::Skip(StepName::Spread, "no ExternalSecret maps the back-compat".to_owned())
        }
        external_secrets => Planned::Do(Step::Spread { external_secrets, version: next }),
    }
}

/// Both slots hold the value in use from here until the next one has arrived as primary: {next, next} would leave pods that
/// cannot read the bulk of the data.
fn withdraw(now: &Observation, current: VersionId) -> Planned {
    match readers(now) {
        readers if readers.is_empty() => unmapped(),
        external_secrets => Planned::Do(Step::Stage { external_secrets, value_of: Origin::Primary(current) }),
    }
}

fn use_it(now: &Observation, mut steps: Vec<Planned>, current: VersionId, next: VersionId) -> Plan {
    let to = current.next();
    let secret = now.primary.secret.clone();
    steps.push(Planned::Do(Step::AddVersion { secret, value_of: Some(Origin::BackCompat(next)), expect: to }));
    steps.push(Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }));
    steps.push(Planned::Do(Step::Restart { workloads: workloads(now), version: to }));
    steps.extend(end(now, current, to, None));
    let announces = Some(Announcement { version: next, called_off: false });
    Plan { announces, ..Plan::new(Way::Forward, now, current, to, steps) }
}
