//! Walks through the states of ARCHITECTURE.md's picture: what the planner says is done to a model of the account, and
//! hands that are not ours do what they do.

use super::tests::seen;
use super::*;
use crate::effects::{Content, Effect, effects};
use crate::facts::names::VersionId;
use crate::facts::observation::{Begun, Found, LastRotation};
use crate::invariants::{self, Slots};

/// What happens to an account.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// `secret rotate`, to its end.
    Rotate,
    /// The same, killed after so many of its steps.
    Killed(usize),
    /// `secret rotate --adopt`.
    Adopt,
    /// `secret rotate --abandon-older`.
    Abandon,
    /// `secret rotate --strategy two-phase`, killed after so many of its steps.
    TwoPhaseKilled(usize),
    /// `secret rollback`, to its end.
    RollBack,
    /// The same, killed after so many of its steps.
    RollBackKilled(usize),
    /// `secret finalize`.
    Finalize,
    /// External Secrets copies, and every pod is replaced.
    SyncAndRestart,
    /// Somebody adds a version to the primary, and it arrives.
    AddByHand,
    /// Somebody disables or enables the newest version.
    DisableByHand,
    EnableByHand,
    /// A Kubernetes Secret falls back, or a pod starts on an older version.
    SecretFallsBack,
    PodFallsBack,
}
use Act::*;

/// Adds a version to one of the two secrets, later than whatever was added before.
fn add(now: &mut Observation, to: Source, value: ValueTag) -> VersionId {
    let second = i64::try_from(now.primary.versions.len() + now.back_compat.versions.len()).expect("a few");
    let view = if to == Source::Primary { &mut now.primary } else { &mut now.back_compat };
    let id = view.newest().map_or(VersionId::FIRST, |newest| newest.id.next());
    let created = jiff::Timestamp::from_second(second).ok();
    view.versions.insert(0, Version { id, state: VersionState::Enabled, value: Some(value), created });
    view.exists = true;
    id
}

fn sync(now: &mut Observation) {
    let (primary, back_compat) = (now.primary.value(), now.back_compat.value());
    for key in now.external_secrets.iter_mut().flat_map(|external| &mut external.keys) {
        let value = if key.source == Source::Primary { primary } else { back_compat };
        key.found = value.map_or(Found::Missing, Found::Value);
    }
}

fn restart(now: &mut Observation, version: Option<VersionId>) {
    let back_compat = now.back_compat.newest().map(|newest| newest.id);
    for pod in now.consumers.iter_mut().flat_map(|consumer| &mut consumer.pods) {
        pod.version = version;
        pod.back_compat = back_compat;
    }
}

/// Brings an effect about as `src/execute` does.
fn bring_about(now: &mut Observation, effect: &Effect, new_value: u16) {
    match effect {
        Effect::Create { .. } => now.back_compat.exists = true,
        Effect::Enable { .. } | Effect::Destroy { .. } => unreachable!("nobody asked for it"),
        Effect::Absent { version, .. } => assert!(now.primary.version(*version).is_none()),
        Effect::Add { secret, value, expect } => {
            let value = match value {
                Content::New => ValueTag(new_value),
                Content::Of(origin) => origin.value(now).expect("it is enabled"),
            };
            let added = add(now, now.source_of(secret), value);
            assert_eq!(expect.unwrap_or(added), added);
        }
        Effect::Arrive { .. } => sync(now),
        Effect::Settle | Effect::Soak { .. } => {}
        Effect::Restart { version, .. } => restart(now, Some(*version)),
        Effect::Verify { version } => {
            assert!(!state::drifts(now) && now.primary.newest().map(|newest| newest.id) == Some(*version));
        }
        Effect::Held { version } => {
            let version = version.or_else(|| now.primary.newest().map(|newest| newest.id)).expect("there is one");
            let value = now.primary.version(version).and_then(|version| version.value);
            assert_eq!(now.back_compat.value(), value);
        }
        Effect::Disable { secret, version } => {
            let secret = match now.source_of(secret) {
                Source::Primary => &mut now.primary,
                Source::BackCompat => &mut now.back_compat,
            };
            let known = secret.versions.iter_mut().find(|known| known.id == *version).expect("it is there");
            known.state = VersionState::Disabled;
            known.value = None;
        }
    }
}

/// What the Kubernetes Secret holds.
fn held(now: &Observation) -> Slots<ValueTag> {
    let slot = |source| {
        now.keys(source).find_map(|(_, key)| match key.found {
            Found::Value(value) => Some(value),
            Found::Unknown | Found::Missing => None,
        })
    };
    Slots { primary: slot(Source::Primary), back_compat: slot(Source::BackCompat) }
}

/// Does a step, and looks after each effect that no value is lost (I1), and that the Kubernetes Secret can read what it could (I2).
fn perform(now: &mut Observation, plan: &Plan, step: &Step, new_value: u16) {
    let older = now.primary.version(plan.from).and_then(|version| version.value);
    let kept = now.back_compat.value().filter(|_| state::back_compat_is_live(now));
    // A value that nobody needs any more goes: by the operator's word, or because it never came into use.
    let gives_up = plan.way == Way::Retire || plan.announces.is_some() || matches!(step, Step::DisableOlder { .. });
    let needed = older.into_iter().chain(kept.filter(|_| !gives_up));
    let needed: Vec<ValueTag> = needed.collect();
    let readable = older.filter(|older| held(now).reads(*older));
    for effect in effects(step) {
        bring_about(now, &effect, new_value);
        let lost = invariants::lost(needed.iter().copied(), |value| now.enabled_with(value).is_some());
        assert_eq!(lost, None, "{effect:?} of {step:?}");
        let blind = readable.and_then(|older| invariants::cannot_read([held(now)], older));
        assert!(blind.is_none() || plan.exchanges(), "{effect:?} of {step:?}: {blind:?}");
    }
}

/// Does an act; a refusal of the planner by its reason.
fn act(now: &mut Observation, act: Act, new_value: u16) -> Option<&'static str> {
    let newest = now.primary.newest().map(|newest| newest.id);
    let mut change = |want: Want, most: usize| match plan(&want, now) {
        Ok(plan) => {
            now.announced = plan.announces;
            now.begun =
                (plan.from != plan.to).then(|| Begun { to: plan.to, back: plan.exchanges(), compromised: false });
            now.finalizing = plan.retires;
            plan.to_do().take(most).for_each(|step| perform(now, &plan, step, new_value));
            if most == usize::MAX {
                let (by, at) = Default::default();
                let last = LastRotation { by, at, from: plan.from.to_string(), to: plan.to.to_string() };
                now.last_rotation = Some(last).filter(|_| plan.from != plan.to).or(now.last_rotation.take());
                now.announced = None;
                now.begun = None;
                now.finalizing = None;
            }
            None
        }
        Err(problem) => Some(problem.reason.as_str()),
    };
    let back = Want { goal: Goal::RollBack { again: false }, ..Want::default() };
    match act {
        Rotate => return change(Want::default(), usize::MAX),
        Killed(after) => return change(Want::default(), after),
        Adopt => return change(Want { adopt: true, ..Want::default() }, usize::MAX),
        Abandon => return change(Want { abandon_older: true, ..Want::default() }, usize::MAX),
        TwoPhaseKilled(after) => return change(Want { strategy: Strategy::TwoPhase, ..Want::default() }, after),
        RollBack => return change(back, usize::MAX),
        RollBackKilled(after) => return change(back, after),
        Finalize => {
            return change(Want { goal: Goal::Finalize { destroy: None }, ..Want::default() }, usize::MAX);
        }
        SyncAndRestart => {
            sync(now);
            restart(now, newest);
        }
        AddByHand => {
            add(now, Source::Primary, ValueTag(new_value));
            sync(now);
            restart(now, newest.map(VersionId::next));
        }
        DisableByHand => now.primary.versions[0].state = VersionState::Disabled,
        EnableByHand => now.primary.versions[0].state = VersionState::Enabled,
        SecretFallsBack => now.external_secrets[0].keys[0].found = Found::Value(ValueTag(0)),
        PodFallsBack => restart(now, newest.and_then(VersionId::previous)),
    }
    None
}

/// A name, where it begins, and what happens with the state after each.
type Walk = (&'static str, Observation, &'static [(Act, &'static str)]);

#[test]
fn every_arrow_of_the_picture_is_walked() {
    let fresh = || seen("D E2", "", (2, None), 2);
    let by_hand = || seen("E1 E2", "", (2, None), 2);
    let walks: [Walk; 15] = [
        (
            "the runbook, twice",
            fresh(),
            &[
                (Rotate, "AwaitingReencryption"),
                (Rotate, "AwaitingReencryption: AwaitingReencryption"),
                (Finalize, "Stable"),
                (Rotate, "AwaitingReencryption"),
            ],
        ),
        (
            "killed after each of its steps: create, store, stage, add, sync, restart, verify",
            fresh(),
            &[
                (Killed(1), "Stable"),
                (Killed(2), "Drifted"), // stored, and the cluster does not have it yet
                (Killed(1), "Stable"),
                (Killed(1), "Rotating"),
                (Killed(1), "Rotating"),
                (Killed(1), "Rotating"),
                (Killed(1), "Rotating"),
                (Rotate, "AwaitingReencryption"),
            ],
        ),
        (
            "rolled back, twice the same",
            fresh(),
            &[
                (RollBack, "Stable: NothingToRollBack"),
                (Rotate, "AwaitingReencryption"),
                (RollBack, "AwaitingReencryption"),
                (RollBack, "AwaitingReencryption"),
                (Rotate, "AwaitingReencryption: AwaitingReencryption"),
                (Finalize, "Stable"),
                (Finalize, "Stable"),
            ],
        ),
        (
            "rolled back from the middle, killed after each of its steps: add, sync, store, stage, restart, verify",
            fresh(),
            &[
                (Killed(5), "Rotating"),
                (Finalize, "Rotating: RotationUnderWay"),
                (RollBackKilled(1), "Rotating"),
                (RollBackKilled(1), "Rotating"),
                (RollBackKilled(1), "Rotating"),
                (RollBackKilled(1), "Rotating"),
                (RollBackKilled(1), "Rotating"),
                (RollBackKilled(1), "Rotating"),
                (RollBack, "AwaitingReencryption"),
                (RollBack, "AwaitingReencryption"),
            ],
        ),
        (
            "a rollback that is begun is finished by a rotation",
            fresh(),
            &[(Rotate, "AwaitingReencryption"), (RollBackKilled(3), "Rotating"), (Rotate, "AwaitingReencryption")],
        ),
        (
            "two phases, killed after each of its steps: create, store, announce, spread, store, stage, add, sync",
            fresh(),
            &[
                (TwoPhaseKilled(2), "Drifted"), // stored, and the cluster does not have it yet
                (TwoPhaseKilled(1), "Rotating"),
                (TwoPhaseKilled(1), "Rotating"),
                (Finalize, "Rotating: RotationUnderWay"),
                (TwoPhaseKilled(2), "Rotating"), // restarted, as each time until the next step, and stored
                (TwoPhaseKilled(1), "Rotating"),
                (Killed(1), "Rotating"),
                (Killed(1), "Rotating"),
                (Rotate, "AwaitingReencryption"),
                (RollBack, "AwaitingReencryption"),
                (Finalize, "Stable"),
            ],
        ),
        (
            "two phases, called off",
            fresh(),
            &[
                (TwoPhaseKilled(4), "Rotating"),
                (RollBackKilled(1), "Rotating"),
                (Rotate, "Rotating: BeingCalledOff"),
                (RollBack, "Stable"),
                (Rotate, "AwaitingReencryption"),
            ],
        ),
        (
            "a Secret falls back",
            fresh(),
            &[
                (Rotate, "AwaitingReencryption"),
                (Finalize, "Stable"),
                (SecretFallsBack, "Drifted"),
                (SyncAndRestart, "Stable"),
            ],
        ),
        (
            "a Secret has another value, and no rotation of ours brought the newest",
            fresh(),
            &[(SecretFallsBack, "Blocked")],
        ),
        (
            "a pod falls back",
            fresh(),
            &[
                (Rotate, "AwaitingReencryption"),
                (Finalize, "Stable"),
                (PodFallsBack, "Drifted"),
                (SyncAndRestart, "Stable"),
            ],
        ),
        (
            "in the middle of a rotation that is none",
            fresh(),
            &[(Killed(4), "Rotating"), (SecretFallsBack, "Rotating"), (Rotate, "AwaitingReencryption")],
        ),
        (
            "disabled by hand",
            fresh(),
            &[(DisableByHand, "Blocked"), (Rotate, "Blocked: LatestNotEnabled"), (EnableByHand, "Stable")],
        ),
        (
            "rotated by hand, adopted",
            by_hand(),
            &[(Rotate, "Blocked: UnexplainedVersion"), (Adopt, "AwaitingReencryption"), (Finalize, "Stable")],
        ),
        ("rotated by hand, what is older abandoned", by_hand(), &[(Abandon, "AwaitingReencryption")]),
        (
            "somebody adds a version between two of the steps",
            fresh(),
            &[(Killed(4), "Rotating"), (AddByHand, "Blocked"), (Rotate, "Blocked: UnexplainedVersion")],
        ),
    ];
    for (name, mut now, walk) in walks {
        for (at, (what, expected)) in walk.iter().enumerate() {
            let refused = act(&mut now, *what, 100 + at as u16);
            let reached = match refused {
                Some(reason) => format!("{}: {reason}", state::state(&now)),
                None => state::state(&now).to_string(),
            };
            assert_eq!(reached, *expected, "{name}, step {at}: {what:?}");
        }
    }
}

/// The picture names each state; what it is asked for is what `next` says.
#[test]
fn the_picture_knows_every_state() {
    let picture =
        include_str!("../../../../../ARCHITECTURE.md").split("```mermaid").nth(1).expect("the picture is there");
    let picture = picture.split("```").next().expect("it ends");
    for state in ["Stable", "Rotating", "AwaitingReencryption", "Drifted", "Blocked"] {
        assert!(picture.contains(state), "{state}");
    }
}
