//! Going back: the two values are exchanged.

use super::{Want, refuse, two_phase};
use super::{
    enabled_newest, end, external_secrets, finish, readers, record, refuse_blocked, twins, unmapped, workloads,
};
use crate::event::StepName;
use crate::facts::names::VersionId;
use crate::facts::observation::{ExternalSecretView, Observation, Source, ValueTag};
use crate::hint::{Command, Hint};
use crate::in_use;
use crate::problem::{Problem, Reason};
use crate::state::{self, State};
use crate::step::{Origin, Plan, Planned, Step, Way};

/// Exchanges the two values, or goes on with an exchange that was begun.
pub(super) fn rollback(want: &Want, now: &Observation, again: bool) -> Result<Plan, Problem> {
    if let Some(announced) = state::announced(now) {
        return Ok(two_phase::call_off(now, announced));
    }
    match state::secrets_state(now) {
        State::Rotating { from, to } if is_exchanging(now) || state::is_rolled_back(now) => finish(want, now, from, to),
        State::Rotating { .. } => go_back(now),
        State::AwaitingReencryption if in_use::displaced(now).is_some() || state::is_finalizing(now) => {
            Err(refuse::awaiting(now))
        }
        State::AwaitingReencryption => match now.primary.newest() {
            // Whoever repeats the command wants what it did, not its opposite.
            Some(newest) if state::is_rolled_back(now) && !again => {
                Ok(record(now, newest.id.previous().unwrap_or(newest.id), newest.id))
            }
            _ => go_back(now),
        },
        State::Stable | State::Drifted => match now.primary.newest().filter(|newest| is_unrecorded(now, newest.id)) {
            Some(newest) => Ok(record(now, newest.id.previous().unwrap_or(newest.id), newest.id)),
            None => Err(nothing_to_go_back_to(now)),
        },
        State::Blocked(blocked) => Err(refuse_blocked(now, blocked)),
    }
}

/// Whether a rollback that kept nothing of what it abandoned died before it could record its end.
fn is_unrecorded(now: &Observation, newest: VersionId) -> bool {
    now.begun.is_some_and(|begun| begun.back && begun.to == newest)
}

/// Whether a rollback has brought the back-compat's value to the primary, and not yet stored the abandoned one.
pub(super) fn is_exchanging(now: &Observation) -> bool {
    let newest = now.primary.value();
    let before = now.primary.predecessor().and_then(|version| version.value);
    newest.is_some() && now.back_compat.value() == newest && before != newest
}

/// From the newest version to one with the value that the back-compat holds.
fn go_back(now: &Observation) -> Result<Plan, Problem> {
    let (Some((abandoned, given_up)), Some(value)) = (enabled_newest(now), now.back_compat.value()) else {
        return Err(nothing_to_go_back_to(now));
    };
    let to = abandoned.id.next();
    let held = now.back_compat.newest().map(|newest| newest.id);
    let introduce = Planned::Do(Step::AddVersion {
        secret: now.primary.secret.clone(),
        value_of: held.map(Origin::BackCompat),
        expect: to,
    });
    let sync = |external_secrets, version| Planned::Do(Step::Sync { external_secrets, version });
    let mut first = Vec::new();
    // The Secrets may hold the same bytes from the version before: only once they hold what came between do they say that
    // they are the newer one's. Else the abandoned value might come by a late sync, when the back-compat has it too. What cannot
    // be copied never comes.
    let able: Vec<&ExternalSecretView> =
        now.external_secrets.iter().filter(|external| external.can_copy(Source::Primary, given_up)).collect();
    let arrived = able.iter().all(|external| external.holds(Source::Primary, given_up));
    if !twins(now, abandoned.id, [Some(value), None]).is_empty() && !arrived {
        first.push(sync(able.iter().map(|external| external.name.clone()).collect(), abandoned.id));
    }
    first.extend([introduce, sync(external_secrets(now), to)]);
    exchange(now, first, abandoned.id, to, value)
}

/// Primary first: on the way both slots hold the same value, and that must be the older one, under which most of the data
/// is encrypted. Only when the cluster is seen to hold it twice may the abandoned value take the second slot.
pub(super) fn exchange(
    now: &Observation,
    first: Vec<Planned>,
    from: VersionId,
    to: VersionId,
    value: ValueTag,
) -> Result<Plan, Problem> {
    let mut steps = first;
    let abandoned = now.primary.version(from).and_then(|version| version.value);
    let unfit = abandoned.and_then(|abandoned| unfit_for_the_slot(now, abandoned));
    match unfit {
        None => {
            let store =
                Step::StoreBackCompat { secret: now.back_compat.secret.clone(), value_of: Origin::Primary(from) };
            steps.push(Planned::Do(store));
            steps.push(match readers(now) {
                readers if readers.is_empty() => unmapped(),
                external_secrets => Planned::Do(Step::Stage { external_secrets, value_of: Origin::Primary(from) }),
            });
        }
        Some(external) if was_copied(now, abandoned) => return Err(refuse::no_slot_for(now, from, external)),
        Some(external) => {
            let why = format!("no pod ever had {from}: external secret {} cannot copy its value", external.name);
            steps.extend([StepName::Preserve, StepName::Stage].map(|step| Planned::Skip(step, why.clone())));
        }
    }
    steps.push(Planned::Do(Step::Restart { workloads: workloads(now), version: to }));
    steps.extend(end(now, from, to, Some(value)));
    if unfit.is_some() {
        // I1: the back-compat does not keep it, and need not. Disabled it can still be read by whoever enables it.
        steps.retain(|planned| !matches!(planned, Planned::Do(Step::DisablePrevious { .. })));
        let secret = now.primary.secret.clone();
        steps.push(Planned::Do(Step::DisableOlder { secret, versions: vec![from] }));
    }
    Ok(Plan::new(Way::Back, now, from, to, steps))
}

/// The ExternalSecret that could not copy this value as back-compat, and so nothing else any more.
fn unfit_for_the_slot(now: &Observation, value: ValueTag) -> Option<&ExternalSecretView> {
    now.external_secrets.iter().find(|external| external.cannot_copy.contains(&(Source::BackCompat, value)))
}

/// Whether some pod may have been given this value as the primary's.
fn was_copied(now: &Observation, value: Option<ValueTag>) -> bool {
    let Some(value) = value else { return true };
    let able = now.external_secrets.iter().any(|external| external.can_copy(Source::Primary, value));
    able || now.some_holds(Source::Primary, value)
}

fn nothing_to_go_back_to(now: &Observation) -> Problem {
    let line =
        format!("{} holds no other value than the primary: there is nothing to go back to", now.back_compat.secret);
    Problem::new(Reason::NothingToRollBack, line)
        .hint(Hint::to("see what is in use", Command::secret("verify", &now.account)))
}
