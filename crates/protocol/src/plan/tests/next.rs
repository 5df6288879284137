//! What is due follows from what is seen, and the planner agrees.

use super::super::tests::{has_record, recorded, seen};
use super::*;
use crate::command;
use crate::facts::names::VersionId;
use crate::facts::observation::{Announcement, Begun, Found};

/// The state, what is due, and the commands without their common beginning.
fn brief(now: &Observation, old: Option<&str>) -> String {
    let due = next(now, &[], old.map(str::to_owned));
    let due = due.map(|due| {
        let short = |line: &String| match line.strip_prefix("kubectl deepdesk secret ") {
            Some(ours) => ours.replace(" acme", ""),
            None => line.clone(),
        };
        let commands: Vec<String> = due.commands.iter().map(|command| short(&command.to_string())).collect();
        format!("{}: {}", due.action, commands.join(", "))
    });
    format!("{} {}", state::state(now), due.unwrap_or_else(|| "-".to_owned()))
}

#[test]
fn each_state_has_its_next_command() {
    let stuck = |mut now: Observation| {
        now.consumers[0].rollout = Rollout::Stuck { reason: "ProgressDeadlineExceeded".to_owned() };
        now
    };
    let rolling = |mut now: Observation| {
        now.consumers[0].rollout = Rollout::Progressing { available: 0, desired: 1 };
        now
    };
    let begun = |now: Observation| {
        let begun = VersionId::new(2).map(|to| Begun { to, back: false, compromised: false });
        Observation { begun, ..now }
    };
    let lacks = |mut now: Observation| {
        now.external_secrets[0].keys[0].found = Found::Missing;
        now
    };
    let recorded = |now| recorded("v1", "v2", now);
    let back = |now: Observation| {
        let begun = VersionId::new(2).map(|to| Begun { to, back: true, compromised: false });
        Observation { begun, ..now }
    };
    let announced = |called_off| Observation {
        announced: VersionId::new(2).map(|version| Announcement { version, called_off }),
        ..seen("E1", "E1 E2", (1, Some(2)), 1)
    };
    let stable = seen("D E2", "E2", (2, Some(2)), 2);
    let awaiting = seen("D E2", "E1", (2, Some(1)), 2);
    let cases = [
        ("stable", stable.clone(), None, "Stable -"),
        ("stable and old", stable.clone(), Some("v2 is 120d old"), "Stable rotate: rotate"),
        ("begun", seen("E1 E2", "E1", (1, Some(1)), 1), None, "Rotating rotate: rotate, rollback"),
        ("a rollback begun", back(seen("E1 E2", "E2", (2, Some(2)), 1)), None, "Rotating rotate: rotate, rollback"),
        ("a version enabled for a look", seen("E1 E2", "E2", (2, Some(2)), 2), None, "Blocked repair: rotate --adopt"),
        ("a value announced", announced(false), None, "Rotating rotate: rotate, rollback"),
        ("a value being given up", announced(true), None, "Rotating rollback: rollback"),
        ("committed", awaiting.clone(), None, "AwaitingReencryption finalize: finalize"),
        ("committed, not recorded", begun(awaiting.clone()), None, "AwaitingReencryption rotate: rotate"),
        ("old values are no reason then", awaiting, Some("old"), "AwaitingReencryption finalize: finalize"),
        (
            "committed, a pod fell behind",
            recorded(seen("D E2", "E1", (2, Some(1)), 1)),
            None,
            "AwaitingReencryption restart: restart, finalize",
        ),
        ("a pod is older", recorded(seen("D E2", "", (2, None), 1)), None, "Drifted restart: restart"),
        ("a Secret has what nothing keeps", seen("D E2", "", (1, None), 2), None, "Blocked repair: rotate --adopt"),
        (
            "a Secret has what nothing keeps, after a rotation of ours",
            recorded(seen("D E2", "", (1, None), 2)),
            None,
            "Drifted repair: rescue --from secret/backend-secrets:KEY",
        ),
        ("a Secret lacks the key", lacks(seen("D E2", "", (2, None), 2)), None, "Drifted sync: sync, restart"),
        ("a pod has what cannot be read", seen("D E2", "", (2, None), 1), None, "Blocked repair: rotate --adopt"),
        (
            "a value was displaced",
            has_record(seen("D E2", "E1 E2", (2, Some(2)), 2)),
            None,
            "AwaitingReencryption rescue: rescue --from back-compat/1",
        ),
        ("a rollout is under way", rolling(stable.clone()), None, "Drifted verify: verify"),
        (
            "a rollout is stuck",
            stuck(stable),
            None,
            "Drifted restart: kubectl describe deployment/backend -n acme, restart",
        ),
        ("never disabled anything", seen("E1 E2", "", (2, None), 2), None, "Blocked repair: rotate --adopt"),
        ("two operators", seen("E1 E2 E3", "E1", (3, Some(1)), 3), None, "Blocked repair: finalize"),
        (
            "two operators, and nothing has the newest",
            seen("E1 E2 E3", "E1", (1, Some(1)), 1),
            None,
            "Blocked repair: rotate --adopt",
        ),
        (
            "latest disabled, and something else is in use",
            seen("E1 D", "E1", (1, Some(1)), 1),
            None,
            "Blocked repair: rotate --adopt",
        ),
        (
            "latest disabled, and it may be what is in use",
            seen("E1 D", "E1", (7, Some(1)), 2),
            None,
            "Blocked repair: gcloud secrets versions enable 2 --secret=acme_account_secret --project=p",
        ),
        (
            "back-compat disabled",
            seen("E1", "D", (1, None), 1),
            None,
            "Blocked repair: gcloud secrets versions enable 1 --secret=acme_account_secret_back_compat --project=p",
        ),
        (
            "no primary",
            seen("", "", (1, None), 1),
            None,
            "Blocked repair: gcloud secrets versions list acme_account_secret --project=p",
        ),
    ];
    for (name, now, old, expected) in cases {
        assert_eq!(brief(&now, old), expected, "{name}");
    }
}

#[test]
fn a_failed_check_is_due_where_the_state_alone_is_fine() {
    let failed = CheckResult {
        id: "DD-ES-READY",
        name: "external-secrets/ready",
        result: Verdict::Fail,
        message: "it is not syncing".to_owned(),
        hints: vec![command!["kubectl", "describe", "externalsecret", "backend-secrets", "-n", "acme"].into()],
    };
    let due = next(&seen("D E2", "E2", (2, Some(2)), 2), &[failed], None).expect("due");
    assert_eq!((due.action, due.what.as_str()), ("verify", "it is not syncing"));
    assert_eq!(due.commands[0].to_string(), "kubectl describe externalsecret backend-secrets -n acme");
}
