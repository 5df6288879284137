//! Tables over the planner: what is seen, what is left to do.

use super::*;
use crate::facts::names::{AccountName, SecretHome, listed};
use crate::facts::observation::{
    Announcement, Begun, Consumer, Derivation, ExternalSecretView, Found, KeyView, LastRotation, PodView, Ready,
    Refresh, Rollout, SecretView,
};
use crate::facts::older::{Older, VersionSet};
use crate::state::Standing;

/// A secret's versions, oldest first: `E` enabled, `D` disabled, `X` destroyed, each with the number of its value, and after `@`
/// the second in which it was created.
pub(super) fn versions(given: &str) -> Vec<Version> {
    let parse = |(at, word): (usize, &str)| {
        let (word, created) = word.split_once('@').unwrap_or((word, ""));
        let created = created.parse().ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
        let (state, value) = word.split_at(1);
        let state = match state {
            "E" => VersionState::Enabled,
            "D" => VersionState::Disabled,
            _ => VersionState::Destroyed,
        };
        let value = value.parse().ok().map(ValueTag).filter(|_| state == VersionState::Enabled);
        Version { id: VersionId::new(at as u64 + 1).expect("counts from one"), state, value, created }
    };
    let mut versions: Vec<Version> = given.split_whitespace().enumerate().map(parse).collect();
    versions.reverse();
    versions
}

/// An account whose Kubernetes Secrets hold these values, and whose pods carry this version.
pub(crate) fn seen(primary: &str, back_compat: &str, holds: (u16, Option<u16>), pods: u64) -> Observation {
    let secret = |id: &str, given: &str| SecretView {
        secret: id.parse().expect("a fit id"),
        versions: versions(given),
        exists: !given.is_empty(),
        labels: Vec::new(),
        conditions: Default::default(),
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
        back_compat: versions(back_compat).first().map(|newest| newest.id),
        restart: None,
        compared: Default::default(),
        created: None,
        started: None,
        ready: true,
        trouble: None,
        terminating: false,
        place: Default::default(),
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
            not_followed: None,
            cannot_copy: Vec::new(),
            written: None,
            resource_version: None,
            target_created: None,
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
            moving: Default::default(),
        }],
        missing_workloads: Vec::new(),
        other_readers: Vec::new(),
        copies: Vec::new(),
        doors: Vec::new(),
        mounting: Vec::new(),
        not_looked_at: Vec::new(),
        lost_pods: Vec::new(),
        left: Vec::new(),
        last_rotation: None,
        begun: None,
        finalizing: None,
        announced: None,
        older: Older::default(),
        run_ended: None,
        unread: Vec::new(),
    }
}

/// The last rotation on record.
pub(super) fn recorded(from: &str, to: &str, now: Observation) -> Observation {
    let (by, at) = ("alice".to_owned(), "2026-01-01T00:00:00Z".to_owned());
    let last_rotation = Some(LastRotation { by, at, from: from.to_owned(), to: to.to_owned() });
    Observation { last_rotation, ..has_record(now) }
}

/// With a record of this program's, that says nothing.
pub(crate) fn has_record(now: Observation) -> Observation {
    Observation { older: Older { is_recorded: true, ..now.older }, ..now }
}

/// With these versions on record as retired.
pub(crate) fn on_record(versions: &str, now: Observation) -> Observation {
    let now = has_record(now);
    Observation { older: Older { retired: VersionSet::read(versions), ..now.older }, ..now }
}

/// With pods that began in this second under this note (0: none). Their Secret was written since.
pub(super) fn began(second: i64, noted: u64, mut now: Observation) -> Observation {
    now.external_secrets[0].written = jiff::Timestamp::from_second(9_000).ok();
    for consumer in &mut now.consumers {
        consumer.version = VersionId::new(noted);
        for pod in &mut consumer.pods {
            (pod.version, pod.created) = (consumer.version, jiff::Timestamp::from_second(second).ok());
        }
    }
    now
}

fn announcement(version: u64, called_off: bool) -> Option<Announcement> {
    VersionId::new(version).map(|version| Announcement { version, called_off })
}

fn begun_to(version: u64) -> Option<Begun> {
    VersionId::new(version).map(|to| Begun { to, back: false, compromised: false })
}

/// The lock's record says that a rollback to this version was begun.
pub(super) fn back_to(version: u64, now: Observation) -> Observation {
    let begun = VersionId::new(version).map(|to| Begun { to, back: true, compromised: false });
    Observation { begun, ..now }
}

/// The steps to do, by name; a refusal by its reason.
pub(super) fn brief(planned: Result<Plan, Problem>) -> String {
    let joined = |versions: &[VersionId]| listed(versions).replace(' ', "");
    let word = |step: &Step| match step {
        Step::DisableOlder { versions, .. } => format!("abandon({})", joined(versions)),
        Step::Enable { version, .. } => format!("enable({version})"),
        Step::CreateBackCompat { .. } => "create".to_owned(),
        Step::StoreBackCompat { value_of: Origin::Copy { .. }, .. } => "store(copy)".to_owned(),
        Step::StoreBackCompat { value_of, .. } => {
            format!("store({})", value_of.to_string().replace("back-compat ", "b"))
        }
        Step::Stage { .. } => "stage".to_owned(),
        Step::Announce { expect, .. } => format!("announce({expect})"),
        Step::Spread { .. } => "spread".to_owned(),
        Step::Prepare { .. } => "prepare".to_owned(),
        Step::AddVersion { value_of: Some(Origin::Copy { .. }), expect, .. } => format!("add({expect}=copy)"),
        Step::AddVersion { expect, .. } => format!("add({expect})"),
        Step::Sync { version, .. } => format!("sync({version})"),
        Step::Restart { version, .. } => format!("restart({version})"),
        Step::Verify { .. } => "verify".to_owned(),
        Step::RetireOlder { versions, .. } => format!("retire({})", joined(versions)),
        Step::Destroy { versions, .. } => format!("destroy({})", joined(versions)),
        Step::DisablePrevious { version, .. } => format!("disable({version})"),
    };
    match planned {
        Ok(plan) => plan.to_do().map(word).collect::<Vec<_>>().join(" "),
        Err(problem) => format!("{} ({})", problem.reason, problem.exit.code()),
    }
}

/// The same, with pods that a restart made when there was no back-compat.
fn without_back_compat(mut now: Observation) -> Observation {
    now.consumers.iter_mut().flat_map(|consumer| &mut consumer.pods).for_each(|pod| pod.back_compat = None);
    now
}

/// The same, with pods of a restart before which their Secret was compared, and that Secret was written since or not.
fn compared(mut now: Observation, since: bool) -> Observation {
    let external = &mut now.external_secrets[0];
    external.resource_version = Some("20".to_owned());
    let before = if since { "19" } else { "20" };
    let compared = [(external.target.clone(), before.to_owned())];
    now.consumers
        .iter_mut()
        .flat_map(|consumer| &mut consumer.pods)
        .for_each(|pod| pod.compared = compared.clone().into());
    now
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
            seen("D0 E1", "D E1", (1, Some(1)), 2),
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
            "restarted before the older value was stored",
            without_back_compat(seen("E1 E2", "E1", (2, Some(1)), 2)),
            "restart(v2) verify disable(v1)".to_owned(),
        ),
        (
            "restarted, and no Secret was written since it was compared",
            compared(seen("E1 E2", "E1", (2, Some(1)), 2), false),
            "verify disable(v1)".to_owned(),
        ),
        (
            "a Secret fell back while pods started, and was put right since",
            compared(seen("E1 E2", "E1", (2, Some(1)), 2), true),
            "restart(v2) verify disable(v1)".to_owned(),
        ),
        (
            "committed, and a Secret was written since",
            compared(seen("D E2", "E1", (2, Some(1)), 2), true),
            "AwaitingReencryption (4)".to_owned(),
        ),
        (
            "a Secret fell back after the restart",
            seen("E1 E2", "E1", (1, Some(1)), 2),
            "sync(v2) restart(v2) verify disable(v1)".to_owned(),
        ),
        (
            "a rollback begun",
            back_to(2, seen("E1 E2", "E2", (2, Some(2)), 1)),
            "store(v1) stage restart(v2) verify disable(v1)".to_owned(),
        ),
        (
            "a rollback begun, not copied",
            back_to(2, seen("E1 E2", "E2", (1, Some(2)), 1)),
            "sync(v2) store(v1) stage restart(v2) verify disable(v1)".to_owned(),
        ),
        ("committed", seen("D E2", "E1", (2, Some(1)), 2), "AwaitingReencryption (4)".to_owned()),
        (
            "finalized",
            seen("D E2", "D E2", (2, Some(2)), 2),
            "add(v3) sync(v3) restart(v3) verify disable(v2)".to_owned(),
        ),
        ("never disabled anything", seen("E1 E2", "", (2, None), 2), "UnexplainedVersion (4)".to_owned()),
        ("two operators", seen("E1 E2 E3", "E1", (3, Some(1)), 3), "UnexplainedVersion (4)".to_owned()),
        (
            "two operators, and nothing has the newest",
            seen("E1 E2 E3", "E1", (1, Some(1)), 1),
            "TwoUncommittedVersions (4)".to_owned(),
        ),
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
    let committed = |begun| Observation { begun: begun_to(begun), ..seen("D E2", "E1", (2, Some(1)), 2) };
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
        ("adopt beside a third key", &adopt, &other_key, "UnexplainedVersion (4)"),
        ("abandon beside a third key", &abandon, &other_key, "AwaitingReencryption (4)"),
    ];
    for (name, want, now, left) in cases {
        assert_eq!(brief(plan(want, now)), left, "{name}");
    }
}

/// Age alone proves nothing: an ExternalSecret that was pinned, or failed, kept an older version for as long.
#[test]
fn a_pod_of_no_restart_of_ours_is_judged_by_the_last_write_of_its_secrets() {
    let hour = |hour: i64| jiff::Timestamp::from_second(3600 * hour).ok();
    let of = |primary: &'static str, noted: u64, written, created| {
        let mut now = seen(primary, "E1", (2, Some(1)), 2);
        now.primary.versions[0].created = hour(0);
        now.external_secrets[0].written = written;
        now.consumers[0].version = None;
        let pod = &mut now.consumers[0].pods[0];
        (pod.version, pod.created) = (VersionId::new(noted), hour(created));
        state::standing(&now, &now.consumers[0], &now.consumers[0].pods[0])
    };
    let judged = |noted, written, created| of("D E2", noted, written, created);
    assert_eq!(judged(0, hour(8), 9), Standing::OnNewest);
    assert_eq!(judged(0, hour(9), 9), Standing::Unproven, "in the very second of a write");
    assert_eq!(judged(0, hour(10), 9), Standing::Unproven, "the Secret was written since");
    assert_eq!(judged(0, None, 900), Standing::Unproven, "nothing tells when it was written");
    assert_eq!(judged(1, hour(8), 9), Standing::OnNewest, "restarted by others under a note of before");
    assert_eq!(judged(1, hour(10), 9), Standing::Older, "its note says so, and nothing speaks against it");
    assert_eq!(of("E1 E2", 1, hour(10), 9), Standing::Older, "what its note names can be read, and is another value");
    assert_eq!(of("E2 E3 E2", 1, hour(10), 9), Standing::Unproven, "what its note names was added again");
}

#[test]
fn a_given_value_must_be_a_new_one() {
    let given = |value| Want { new_value: NewValue::Given(value), ..Want::default() };
    let (stable, rotating) = (seen("D E1", "E1", (1, Some(1)), 2), seen("E1 E2", "E1", (2, Some(1)), 2));
    let cases = [
        ("new", given(None), &stable, "add(v3) sync(v3) restart(v3) verify disable(v2)"),
        ("the current one", given(Some(ValueTag(1))), &stable, "UnfitValue (4)"),
        ("one of before", given(Some(ValueTag(9))), &stable, "add(v3) sync(v3) restart(v3) verify disable(v2)"),
        ("another while one is under way", given(None), &rotating, "RotationUnderWay (4)"),
        ("the one that is under way", given(Some(ValueTag(2))), &rotating, "verify disable(v1)"),
    ];
    for (name, want, now, left) in cases {
        assert_eq!(brief(plan(&want, now)), left, "{name}");
    }
}

#[test]
fn a_rollback_exchanges_the_two_values() {
    let back = |again| Want { goal: Goal::RollBack { again }, ..Want::default() };
    let exchanged = "sync(v3) store(v2) stage restart(v3) verify";
    let cases = [
        ("committed", seen("D E2", "E1", (2, Some(1)), 2), format!("add(v3) {exchanged} disable(v2)")),
        (
            "committed, beside an enabled version that was not read",
            seen("E D E2", "E1", (1, Some(1)), 3),
            "add(v4) sync(v4) store(v3) stage restart(v4) verify disable(v3)".to_owned(),
        ),
        (
            "committed, and a Secret fell back: nothing has that value twice",
            seen("D E2", "E1", (1, Some(1)), 2),
            format!("add(v3) {exchanged} disable(v2)"),
        ),
        (
            "in the middle of a rotation",
            seen("E1 E2", "E1", (2, Some(1)), 1),
            format!("add(v3) {exchanged} abandon(v1) disable(v2)"),
        ),
        (
            "the same, not copied: only what came between tells the older value from what was there before",
            seen("E1 E2", "E1", (1, Some(1)), 1),
            format!("sync(v2) add(v3) {exchanged} abandon(v1) disable(v2)"),
        ),
        (
            "introduced, not copied",
            back_to(3, seen("D E2 E1", "E1", (2, Some(1)), 2)),
            format!("{exchanged} disable(v2)"),
        ),
        (
            "the same, out of the middle of a rotation",
            back_to(3, seen("E1 E2 E1", "E1", (2, Some(1)), 2)),
            format!("{exchanged} abandon(v1) disable(v2)"),
        ),
        (
            "the same, copied: what came between was seen before it was added",
            back_to(3, seen("E1 E2 E1", "E1", (1, Some(1)), 2)),
            "store(v2) stage restart(v3) verify abandon(v1) disable(v2)".to_owned(),
        ),
        (
            "copied: both slots hold the older value",
            back_to(3, seen("D E2 E1", "E1", (1, Some(1)), 2)),
            "store(v2) stage restart(v3) verify disable(v2)".to_owned(),
        ),
        (
            "stored, not copied",
            seen("D E2 E1@3", "E1 E2@4", (1, Some(1)), 2),
            "sync(v3) restart(v3) verify disable(v2)".to_owned(),
        ),
        ("staged", seen("D E2 E1@3", "E1 E2@4", (1, Some(2)), 2), "restart(v3) verify disable(v2)".to_owned()),
        ("restarted", seen("D E2 E1@3", "E1 E2@4", (1, Some(2)), 3), "verify disable(v2)".to_owned()),
        (
            "the older one is disabled, the mark not yet set",
            seen("D E2 E1@3", "E1 E2@4", (1, Some(2)), 3),
            "verify disable(v2)".to_owned(),
        ),
        (
            "complete: a repetition looks, and changes nothing",
            seen("D D E1@3", "E1 E2@4", (1, Some(2)), 3),
            "verify".to_owned(),
        ),
        ("nothing to go back to", seen("D E2", "D E2", (2, Some(2)), 2), "NothingToRollBack (4)".to_owned()),
        ("no back-compat", seen("E1", "", (1, None), 1), "NothingToRollBack (4)".to_owned()),
        ("nothing explains the predecessor", seen("E1 E2", "", (2, None), 2), "UnexplainedVersion (4)".to_owned()),
        ("latest disabled", seen("E1 D", "E1", (1, Some(1)), 1), "LatestNotEnabled (4)".to_owned()),
    ];
    for (name, now, left) in cases {
        assert_eq!(brief(plan(&back(false), &now)), left, "{name}");
    }
    let complete = seen("D D E1@3", "E1 E2@4", (1, Some(2)), 3);
    assert_eq!(brief(plan(&back(true), &complete)), "add(v4) sync(v4) store(v3) stage restart(v4) verify disable(v3)");
    // `rotate` finishes what a rollback began, in the rollback's order.
    let begun = back_to(3, seen("D E2 E1", "E1", (2, Some(1)), 2));
    assert_eq!(brief(plan(&Want::default(), &begun)), format!("{exchanged} disable(v2)"));
}

#[test]
fn two_phases_let_every_pod_read_before_any_writes() {
    let two_phase = Want { strategy: Strategy::TwoPhase, ..Want::default() };
    let announced = |next, now| Observation { announced: announcement(next, false), ..now };
    let used = "add(v2) sync(v2) restart(v2) verify disable(v1)";
    let cases = [
        (
            "no back-compat yet: the value in use goes into its history",
            seen("E1", "", (1, None), 1),
            format!("create store(v1) announce(v2) spread prepare store(v1) stage {used}"),
        ),
        ("stable", seen("E1", "E1", (1, Some(1)), 1), format!("announce(v2) spread prepare store(v1) stage {used}")),
        (
            "recorded, not stored",
            announced(2, seen("E1", "E1", (1, Some(1)), 1)),
            format!("announce(v2) spread prepare store(v1) stage {used}"),
        ),
        (
            "announced",
            announced(2, seen("E1", "E1 E2", (1, Some(1)), 1)),
            format!("spread prepare store(v1) stage {used}"),
        ),
        ("spread", announced(2, seen("E1", "E1 E2", (1, Some(2)), 1)), format!("prepare store(v1) stage {used}")),
        ("withdrawn", announced(2, seen("E1", "E1 E2 E1", (1, Some(2)), 1)), format!("stage {used}")),
        ("staged", announced(2, seen("E1", "E1 E2 E1", (1, Some(1)), 1)), used.to_owned()),
        (
            "introduced",
            announced(2, seen("E1 E2@5", "E1 E2 E1@4", (1, Some(1)), 1)),
            "sync(v2) restart(v2) verify disable(v1)".to_owned(),
        ),
        ("restarted", announced(2, seen("E1 E2@5", "E1 E2 E1@4", (2, Some(1)), 2)), "verify disable(v1)".to_owned()),
        (
            "committed",
            announced(2, seen("D E2@5", "E1 E2 E1@4", (2, Some(1)), 2)),
            "AwaitingReencryption (4)".to_owned(),
        ),
        ("a third key", seen("D E2", "E1", (2, Some(1)), 2), "AwaitingReencryption (4)".to_owned()),
    ];
    for (name, now, left) in &cases {
        assert_eq!(brief(plan(&two_phase, now)), *left, "{name}");
        // Whoever goes on with it need not know how it was begun.
        if now.announced.is_some() && !name.starts_with("recorded") {
            assert_eq!(brief(plan(&Want::default(), now)), *left, "{name}, without the strategy");
        }
    }
    // Without the record it counts as an old value: nothing is added, and nothing is exchanged.
    let unrecorded = seen("E1@1", "E1 E2@2", (1, Some(2)), 1);
    assert_eq!(brief(plan(&two_phase, &unrecorded)), "AwaitingReencryption (4)");
    let back = Want { goal: Goal::RollBack { again: false }, ..Want::default() };
    assert_eq!(brief(plan(&back, &unrecorded)), "verify");
    let calls_off = [
        ("announced", announced(2, seen("E1", "E1 E2", (1, Some(2)), 1)), "store(v1) stage retire(v2)"),
        (
            "announced, not copied",
            announced(2, seen("E1", "E1 E2", (1, Some(1)), 1)),
            "spread store(v1) stage retire(v2)",
        ),
        ("withdrawn", announced(2, seen("E1", "E1 E2 E1", (1, Some(2)), 1)), "stage retire(v2)"),
        ("withdrawn, copied", announced(2, seen("E1", "E1 E2 E1", (1, Some(1)), 1)), "retire(v2)"),
        (
            "introduced",
            announced(2, seen("E1 E2@5", "E1 E2 E1@4", (2, Some(1)), 1)),
            "add(v3) sync(v3) store(v2) stage restart(v3) verify abandon(v1) disable(v2)",
        ),
    ];
    for (name, now, left) in calls_off {
        assert_eq!(brief(plan(&back, &now)), left, "{name}");
    }
    // Nothing says that a value being given up was ever in every pod: only the giving up goes on.
    let stored = seen("E1", "E1 E2 E1", (1, Some(1)), 1);
    let called_off = Observation { announced: announcement(2, true), ..stored };
    for want in [&two_phase, &Want::default()] {
        assert_eq!(brief(plan(want, &called_off)), "BeingCalledOff (4)");
    }
    assert_eq!(brief(plan(&back, &called_off)), "retire(v2)");
    let given = Want { new_value: NewValue::Given(None), ..two_phase.clone() };
    assert_eq!(brief(plan(&given, &announced(2, seen("E1", "E1 E2", (1, Some(1)), 1)))), "RotationUnderWay (4)");
    let finalize = Want { goal: Goal::Finalize { destroy: None }, ..Want::default() };
    assert_eq!(brief(plan(&finalize, &announced(2, seen("E1", "E1 E2", (1, Some(1)), 1)))), "RotationUnderWay (4)");
}

#[test]
fn a_finalization_retires_the_older_value() {
    let finalize = |destroy| Want { goal: Goal::Finalize { destroy }, ..Want::default() };
    let all = Some(Destroy { before: None, keep: 0 });
    let retired = "stage restart(v2) verify retire(v1)";
    let begun = |now: Observation| Observation { finalizing: VersionId::new(1), ..now };
    let cases = [
        ("committed", None, seen("D E2", "E1", (2, Some(1)), 2), format!("store(v2) {retired}")),
        ("stored, not copied", None, begun(seen("D E2", "E1 E2", (2, Some(1)), 2)), retired.to_owned()),
        ("copied", None, begun(seen("D E2", "E1 E2", (2, Some(2)), 2)), "restart(v2) verify retire(v1)".to_owned()),
        // Somebody filled the back-compat with the value in use: pods could not read the other while data was saved again.
        (
            "stored by hand",
            None,
            has_record(seen("D E2", "E1 E2", (2, Some(2)), 2)),
            "DisplacedBackCompat (4)".to_owned(),
        ),
        // R3: years of hands disabled nothing. Those are asked about.
        ("the same, and nothing is on record", None, seen("D E2", "E1 E2", (2, Some(2)), 2), String::new()),
        (
            "beside a value of before",
            None,
            seen("D D E3", "E1 E2", (3, Some(2)), 3),
            "store(v3) stage restart(v3) verify retire(v2)".to_owned(),
        ),
        (
            "what it stored was destroyed",
            None,
            begun(seen("D E2", "E1 X", (2, Some(2)), 2)),
            format!("store(v2) {retired}"),
        ),
        ("done", None, seen("D E2", "D E2", (2, Some(2)), 2), String::new()),
        ("never rotated", None, seen("E1", "", (1, None), 1), String::new()),
        ("rotating", None, seen("E1 E2", "E1", (2, Some(1)), 2), "RotationUnderWay (4)".to_owned()),
        ("blocked", None, seen("E1 D", "E1", (1, Some(1)), 1), "LatestNotEnabled (4)".to_owned()),
        (
            "all of it destroyed",
            all,
            on_record("primary/1", recorded("v2", "v3", seen("D D E3", "E1 E2", (3, Some(2)), 3))),
            "store(v3) stage restart(v3) verify retire(v2) destroy(v2,v1) destroy(v2)".to_owned(),
        ),
        (
            "what is on record and what goes now, and no other one",
            all,
            recorded("v2", "v3", seen("D D E3", "E1 E2", (3, Some(2)), 3)),
            "store(v3) stage restart(v3) verify retire(v2) destroy(v2) destroy(v2)".to_owned(),
        ),
        ("that somebody disabled it retires nothing", all, seen("D D E3", "D E3", (3, Some(3)), 3), String::new()),
        (
            "but for the newest of each",
            Some(Destroy { before: None, keep: 1 }),
            on_record("primary/1-2,back-compat/1", seen("D D E3", "D E3", (3, Some(3)), 3)),
            "destroy(v1)".to_owned(),
        ),
        (
            "those that left use long enough ago",
            Some(Destroy { before: jiff::Timestamp::from_second(25).ok(), keep: 0 }),
            on_record("primary/1-3", seen("D@10 D@20 D@30 E3@40", "D E3", (3, Some(3)), 4)),
            "destroy(v1)".to_owned(),
        ),
        (
            "without a date nothing is known to be old",
            Some(Destroy { before: Some(jiff::Timestamp::MAX), keep: 0 }),
            on_record("primary/1-2", seen("D D E3", "D E3", (3, Some(3)), 3)),
            String::new(),
        ),
        (
            "destroyed ones stay so",
            all,
            on_record("primary/1-2", seen("X X E3", "X E3", (3, Some(3)), 3)),
            String::new(),
        ),
    ];
    for (name, destroy, now, left) in cases {
        let planned = plan(&finalize(destroy), &now);
        assert!(
            planned.as_ref().map_or(true, |plan| plan.narrow().is_none()),
            "{name}: one value is in use throughout"
        );
        assert_eq!(brief(planned), left, "{name}");
    }
}

/// From the first write that any sync may spread, until both values are proven to be there again.
#[test]
fn the_narrow_interval_begins_with_a_write_and_ends_with_the_restart() {
    use StepName::{Introduce, Preserve, Stage, Sync};
    let back = Want { goal: Goal::RollBack { again: false }, ..Want::default() };
    let two_phase = Want { strategy: Strategy::TwoPhase, ..Want::default() };
    let announced = Observation { announced: announcement(2, false), ..seen("E1", "E1 E2 E1", (1, Some(2)), 1) };
    let cases = [
        ("rolling", &Want::default(), seen("E1", "", (1, None), 1), &[][..]),
        ("two-phase", &two_phase, seen("E1", "E1", (1, Some(1)), 1), &[Preserve, Stage, Introduce, Sync][..]),
        ("two-phase, back-compat made", &two_phase, seen("E1", "", (1, None), 1), &[Preserve, Stage, Introduce, Sync]),
        ("two-phase, withdrawn", &two_phase, announced, &[Stage, Introduce, Sync]),
        ("rollback", &back, seen("D E2", "E1", (2, Some(1)), 2), &[Introduce, Sync, Preserve, Stage]),
    ];
    for (name, want, now, narrow) in cases {
        let plan = plan(want, &now).expect("a plan");
        let steps = plan.narrow().map(|narrow| &plan.steps[narrow]).unwrap_or_default();
        let to_do = steps.iter().filter(|planned| matches!(planned, Planned::Do(_)));
        assert_eq!(to_do.map(Planned::name).collect::<Vec<_>>(), narrow, "{name}");
    }
}

/// Each step names all that it is about.
#[test]
fn every_external_secret_is_synced_and_every_workload_restarted() {
    let plan = plan(&Want::default(), &seen("E1", "", (1, None), 1)).expect("a plan");
    let names = |step: &Step| match step {
        Step::Stage { external_secrets, .. } | Step::Sync { external_secrets, .. } => listed(external_secrets),
        Step::Restart { workloads, .. } => listed(workloads),
        _ => String::new(),
    };
    let named: Vec<String> = plan.to_do().map(names).filter(|names| !names.is_empty()).collect();
    assert_eq!(named, ["backend-secrets", "backend-secrets", "deployment/backend"]);
}

/// I1 and I2 on the order alone: the value in use is stored and staged before a new version is added, and the previous
/// version is disabled last, after the verification.
#[test]
fn the_order_of_the_steps_keeps_the_invariants() {
    let all = ["E1", "E1 E2"]
        .into_iter()
        .flat_map(|primary| ["", "E1", "E2", "E0 E1"].map(|back_compat| (primary, back_compat)));
    let mut planned = 0;
    for (primary, back_compat) in all {
        for (holds, pods) in [((1, None), 1), ((1, Some(1)), 1), ((2, Some(1)), 1), ((2, Some(1)), 2)] {
            let Ok(plan) = plan(&Want::default(), &seen(primary, back_compat, holds, pods)) else { continue };
            planned += 1;
            let names: Vec<StepName> = plan
                .steps
                .iter()
                .map(|planned| match planned {
                    Planned::Do(step) => step.name(),
                    Planned::Skip(name, _) => *name,
                })
                .collect();
            // What is found is a rollback: there the primary goes first.
            assert!(names.is_sorted() || plan.exchanges(), "{primary} | {back_compat}: {names:?}");
            let last: Vec<&Step> = plan.to_do().collect();
            assert!(matches!(last[last.len() - 2..], [Step::Verify { .. }, Step::DisablePrevious { .. }]), "{last:?}");
        }
    }
    assert!(planned > 0, "nothing was planned");
}
