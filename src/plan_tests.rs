//! Tables over the planner: what is seen, what is left to do.

use super::*;
use crate::domain::names::{AccountName, SecretHome};
use crate::domain::observation::{
    Consumer, Derivation, ExternalSecretView, Found, KeyView, PodView, Ready, Refresh, Rollout, SecretView,
};

/// A secret's versions, oldest first: `E` enabled, `D` disabled, `X` destroyed, each with the number of its value.
pub(super) fn versions(given: &str) -> Vec<Version> {
    let parse = |(at, word): (usize, &str)| {
        let (state, value) = word.split_at(1);
        let state = match state {
            "E" => VersionState::Enabled,
            "D" => VersionState::Disabled,
            _ => VersionState::Destroyed,
        };
        let value = value.parse().ok().map(ValueTag).filter(|_| state == VersionState::Enabled);
        Version { id: VersionId::new(at as u64 + 1).expect("counts from one"), state, value, created: None }
    };
    let mut versions: Vec<Version> = given.split_whitespace().enumerate().map(parse).collect();
    versions.reverse();
    versions
}

/// An account whose Kubernetes Secrets hold these values, and whose pods carry this version.
pub(super) fn seen(primary: &str, back_compat: &str, holds: (u16, Option<u16>), pods: u64) -> Observation {
    let secret = |id: &str, given: &str| SecretView {
        secret: id.parse().expect("a fit id"),
        versions: versions(given),
        exists: !given.is_empty(),
        labels: Vec::new(),
    };
    let key = |key: &str, source, held: Option<u16>| KeyView {
        key: key.to_owned(),
        source,
        derivation: Derivation::Exact,
        pinned: None,
        property: None,
        found: held.map_or(Found::Missing, |value| Found::Value(ValueTag(value))),
    };
    let name: ObjectName = "backend-secrets".parse().expect("a fit name");
    let version = VersionId::new(pods);
    let pod = PodView {
        name: "backend-1".to_owned(),
        version,
        restart: None,
        created: None,
        ready: true,
        trouble: None,
        terminating: false,
    };
    Observation {
        account: "acme".parse::<AccountName>().expect("a fit name"),
        home: SecretHome { project: "p".parse().expect("a fit id"), location: None },
        asked_project: None,
        primary: secret("acme_account_secret", primary),
        back_compat: secret("acme_account_secret_back_compat", back_compat),
        external_secrets: vec![ExternalSecretView {
            name: name.clone(),
            uid: "u".to_owned(),
            target: name.clone(),
            home: None,
            store_problem: None,
            ready: Ready::True { reason: "SecretSynced".to_owned() },
            refreshed: None,
            refresh: Refresh::Periodic { seconds: 600 },
            keys: vec![key("KEY", Source::Primary, Some(holds.0)), key("OLD", Source::BackCompat, holds.1)],
            needs_back_compat: true,
            immutable: false,
            owner: None,
            unusual_target: None,
            written: None,
        }],
        missing_external_secrets: Vec::new(),
        consumers: vec![Consumer {
            workload: "deployment/backend".parse().expect("a fit name"),
            reasons: Vec::new(),
            secrets: vec![name],
            reads_back_compat: true,
            desired: 1,
            paused: false,
            holds_back: None,
            rollout: Rollout::Complete,
            version,
            restart: None,
            pods: vec![pod],
            reloader: None,
            gitops: None,
        }],
        missing_workloads: Vec::new(),
        other_readers: Vec::new(),
        last_rotation: None,
        begun: None,
    }
}

/// The steps to do, by name; a refusal by its reason.
fn brief(planned: Result<Plan, Problem>) -> String {
    let word = |step: &Step| match step {
        Step::DisableOlder { versions, .. } => {
            format!("abandon({})", versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
        Step::CreateBackCompat { .. } => "create".to_owned(),
        Step::StoreBackCompat { value_of, .. } => format!("store({value_of})"),
        Step::Stage { .. } => "stage".to_owned(),
        Step::AddVersion { expect, .. } => format!("add({expect})"),
        Step::Sync { version, .. } => format!("sync({version})"),
        Step::Restart { version, .. } => format!("restart({version})"),
        Step::Verify { .. } => "verify".to_owned(),
        Step::DisablePrevious { version, .. } => format!("disable({version})"),
    };
    match planned {
        Ok(plan) => plan.to_do().map(word).collect::<Vec<_>>().join(" "),
        Err(problem) => format!("{} ({})", problem.reason, problem.exit.code()),
    }
}

#[test]
fn what_is_left_follows_from_what_is_seen() {
    let new = "add(v2) sync(v2) restart(v2) verify disable(v1)";
    let cases = [
        ("first rotation", seen("E1", "", (1, None), 1), format!("create store(v1) stage {new}")),
        ("created, no version yet", seen("E1", "", (1, None), 1), format!("create store(v1) stage {new}")),
        ("stored, not yet copied", seen("E1", "E1", (1, None), 1), format!("stage {new}")),
        ("staged", seen("E1", "E1", (1, Some(1)), 1), new.to_owned()),
        (
            "an older value in the back-compat's history",
            seen("D0 E1", "E0 E1", (1, Some(1)), 2),
            "add(v3) sync(v3) restart(v3) verify disable(v2)".to_owned(),
        ),
        (
            "introduced, not copied",
            seen("E1 E2", "E1", (1, Some(1)), 1),
            "sync(v2) restart(v2) verify disable(v1)".to_owned(),
        ),
        ("copied, not restarted", seen("E1 E2", "E1", (2, Some(1)), 1), "restart(v2) verify disable(v1)".to_owned()),
        ("restarted", seen("E1 E2", "E1", (2, Some(1)), 2), "verify disable(v1)".to_owned()),
        (
            "a Secret fell back after the restart",
            seen("E1 E2", "E1", (1, Some(1)), 2),
            "sync(v2) restart(v2) verify disable(v1)".to_owned(),
        ),
        (
            "a rollback begun",
            seen("E1 E2", "E2", (2, Some(2)), 1),
            "store(v1) sync(v2) restart(v2) verify disable(v1)".to_owned(),
        ),
        ("committed", seen("D E2", "E1", (2, Some(1)), 2), "AwaitingReencryption (4)".to_owned()),
        (
            "finalized",
            seen("D E2", "E1 E2", (2, Some(2)), 2),
            "add(v3) sync(v3) restart(v3) verify disable(v2)".to_owned(),
        ),
        ("never disabled anything", seen("E1 E2", "", (2, None), 2), "UnexplainedVersion (4)".to_owned()),
        ("two operators", seen("E1 E2 E3", "E1", (3, Some(1)), 3), "TwoUncommittedVersions (4)".to_owned()),
        ("latest disabled", seen("E1 D", "E1", (1, Some(1)), 1), "LatestNotEnabled (4)".to_owned()),
        ("latest destroyed", seen("E1 X", "E1", (1, Some(1)), 1), "LatestNotEnabled (4)".to_owned()),
        ("no primary", seen("", "", (1, None), 1), "NoPrimary (4)".to_owned()),
        ("back-compat disabled", seen("E1", "D", (1, None), 1), "BackCompatNotEnabled (4)".to_owned()),
    ];
    for (name, now, left) in cases {
        assert_eq!(brief(plan(&Want::default(), &now)), left, "{name}");
    }
}

#[test]
fn a_committed_rotation_that_died_before_its_record_is_seen_to_its_end() {
    let committed = |begun| Observation { begun: VersionId::new(begun), ..seen("D E2", "E1", (2, Some(1)), 2) };
    let given = |value| Want { new_value: NewValue::Given(Some(ValueTag(value))), ..Want::default() };
    let cases = [
        ("it set out for this version", Want::default(), committed(2), "verify"),
        ("it was recorded", Want::default(), committed(0), "AwaitingReencryption (4)"),
        ("it set out for another one", Want::default(), committed(3), "AwaitingReencryption (4)"),
        ("with the value that it brought", given(2), committed(2), "verify"),
        ("another value is another rotation", given(1), committed(2), "AwaitingReencryption (4)"),
    ];
    for (name, want, now, left) in cases {
        assert_eq!(brief(plan(&want, &now)), left, "{name}");
    }
}

#[test]
fn the_operator_says_what_nothing_explains() {
    let adopt = Want { adopt: true, ..Want::default() };
    let abandon = Want { abandon_older: true, ..Want::default() };
    let by_hand = seen("E0 E1 E2", "", (2, None), 3);
    let other_key = seen("E1 E2", "E7", (2, Some(7)), 2);
    let cases = [
        ("adopt", &adopt, &by_hand, "create store(v2) sync(v3) restart(v3) verify disable(v2)"),
        (
            "abandon",
            &abandon,
            &by_hand,
            "abandon(v2,v1) create store(v3) stage add(v4) sync(v4) restart(v4) verify disable(v3)",
        ),
        ("adopt beside a third key", &adopt, &other_key, "AwaitingReencryption (4)"),
        ("abandon beside a third key", &abandon, &other_key, "AwaitingReencryption (4)"),
    ];
    for (name, want, now, left) in cases {
        assert_eq!(brief(plan(want, now)), left, "{name}");
    }
}

#[test]
fn a_given_value_must_be_a_new_one() {
    let given = |value| Want { new_value: NewValue::Given(value), ..Want::default() };
    let (stable, rotating) = (seen("D E1", "E1", (1, Some(1)), 2), seen("E1 E2", "E1", (2, Some(1)), 2));
    let cases = [
        ("new", given(None), &stable, "add(v3) sync(v3) restart(v3) verify disable(v2)"),
        ("the current one", given(Some(ValueTag(1))), &stable, "UnfitValue (4)"),
        ("another while one is under way", given(None), &rotating, "RotationUnderWay (4)"),
        ("the one that is under way", given(Some(ValueTag(2))), &rotating, "verify disable(v1)"),
    ];
    for (name, want, now, left) in cases {
        assert_eq!(brief(plan(&want, now)), left, "{name}");
    }
}

/// I1 and I2 on the order alone: the value in use is stored and staged before a new version is added, and the previous
/// version is disabled last, after the verification.
#[test]
fn the_order_of_the_steps_keeps_the_invariants() {
    let all = ["E1", "E1 E2"]
        .into_iter()
        .flat_map(|primary| ["", "E1", "E2", "E0 E1"].map(|back_compat| (primary, back_compat)));
    for (primary, back_compat) in all {
        for (holds, pods) in [((1, None), 1), ((1, Some(1)), 1), ((2, Some(1)), 1), ((2, Some(1)), 2)] {
            let Ok(plan) = plan(&Want::default(), &seen(primary, back_compat, holds, pods)) else { continue };
            let names: Vec<StepName> = plan
                .steps
                .iter()
                .map(|planned| match planned {
                    Planned::Do(step) => step.name(),
                    Planned::Skip(name, _) => *name,
                })
                .collect();
            assert!(names.is_sorted(), "{primary} | {back_compat}: {names:?}");
            let last: Vec<&Step> = plan.to_do().collect();
            assert!(matches!(last[last.len() - 2..], [Step::Verify { .. }, Step::DisablePrevious { .. }]), "{last:?}");
        }
    }
}
