//! Walks through the states of ARCHITECTURE.md's picture: what the planner says is done to a model of the account, and
//! hands that are not ours do what they do.

use super::tests::seen;
use super::*;
use crate::domain::names::VersionId;
use crate::domain::observation::Found;

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
    /// The old value is retired: the back-compat gets the primary's own, and it is brought to the pods.
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

fn enabled(id: VersionId, value: u16) -> Version {
    Version { id, state: VersionState::Enabled, value: Some(ValueTag(value)), created: None }
}

fn add(view: &mut crate::domain::observation::SecretView, value: u16) {
    let id = view.newest().map_or(VersionId::FIRST, |newest| newest.id.next());
    view.versions.insert(0, enabled(id, value));
    view.exists = true;
}

fn sync(now: &mut Observation) {
    let (primary, back_compat) = (now.primary.value(), now.back_compat.value());
    for key in now.external_secrets.iter_mut().flat_map(|external| &mut external.keys) {
        let value = if key.source == Source::Primary { primary } else { back_compat };
        key.found = value.map_or(Found::Missing, Found::Value);
    }
}

fn restart(now: &mut Observation, version: Option<VersionId>) {
    for pod in now.consumers.iter_mut().flat_map(|consumer| &mut consumer.pods) {
        pod.version = version;
    }
}

/// Does a step as `execute` does it.
fn perform(now: &mut Observation, step: &Step, new_value: u16) {
    let disable = |now: &mut Observation, id: VersionId| {
        for version in now.primary.versions.iter_mut().filter(|version| version.id == id) {
            version.state = VersionState::Disabled;
            version.value = None;
        }
    };
    match step {
        Step::DisableOlder { versions, .. } => versions.iter().for_each(|id| disable(now, *id)),
        Step::CreateBackCompat { .. } => now.back_compat.exists = true,
        Step::StoreBackCompat { value_of, .. } => {
            let value = now.primary.version(*value_of).and_then(|version| version.value).expect("it is enabled");
            add(&mut now.back_compat, value.0);
        }
        Step::Stage { .. } | Step::Sync { .. } => sync(now),
        Step::AddVersion { expect, .. } => {
            add(&mut now.primary, new_value);
            assert_eq!(now.primary.newest().map(|newest| newest.id), Some(*expect));
        }
        Step::Restart { version, .. } => restart(now, Some(*version)),
        Step::Verify { version } => {
            assert!(!state::drifts(now) && now.primary.newest().map(|newest| newest.id) == Some(*version));
        }
        Step::DisablePrevious { version, .. } => disable(now, *version),
    }
}

/// Does an act; a refusal of the planner by its reason.
fn act(now: &mut Observation, act: Act, new_value: u16) -> Option<&'static str> {
    let newest = now.primary.newest().map(|newest| newest.id);
    let mut rotate = |want: Want, most: usize| match plan(&want, now) {
        Ok(plan) => {
            plan.to_do().take(most).for_each(|step| perform(now, step, new_value));
            None
        }
        Err(problem) => Some(problem.reason),
    };
    match act {
        Rotate => return rotate(Want::default(), usize::MAX),
        Killed(after) => return rotate(Want::default(), after),
        Adopt => return rotate(Want { adopt: true, ..Want::default() }, usize::MAX),
        Abandon => return rotate(Want { abandon_older: true, ..Want::default() }, usize::MAX),
        Finalize => {
            let value = now.primary.value().expect("it is enabled");
            add(&mut now.back_compat, value.0);
            sync(now);
            restart(now, newest);
        }
        SyncAndRestart => {
            sync(now);
            restart(now, newest);
        }
        AddByHand => {
            add(&mut now.primary, new_value);
            sync(now);
            restart(now, newest.map(VersionId::next));
        }
        DisableByHand => now.primary.versions[0].state = VersionState::Disabled,
        EnableByHand => now.primary.versions[0].state = VersionState::Enabled,
        SecretFallsBack => now.external_secrets[0].keys[0].found = Found::Unknown,
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
    let walks: [Walk; 9] = [
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
        ("a Secret falls back", fresh(), &[(SecretFallsBack, "Drifted"), (SyncAndRestart, "Stable")]),
        ("a pod falls back", fresh(), &[(PodFallsBack, "Drifted"), (SyncAndRestart, "Stable")]),
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
            &[(Killed(4), "Rotating"), (AddByHand, "Blocked"), (Rotate, "Blocked: TwoUncommittedVersions")],
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
    let picture = include_str!("../../../ARCHITECTURE.md").split("```mermaid").nth(1).expect("the picture is there");
    let picture = picture.split("```").next().expect("it ends");
    for state in ["Stable", "Rotating", "AwaitingReencryption", "Drifted", "Blocked"] {
        assert!(picture.contains(state), "{state}");
    }
}
