//! Every kind of account against every command: what is left to do, or why it is refused and which command leads on. What is due is
//! the planner's, and `sync` and `restart` are guarded by the same words.

use super::tests::{began, brief, has_record, recorded, seen};
use super::*;
use crate::check::{self, Purpose};
use crate::facts::observation::{Announcement, Begun, Derivation, Found};

fn version(number: u64) -> VersionId {
    VersionId::new(number).expect("counts from one")
}

fn begun(to: u64, back: bool, compromised: bool, now: Observation) -> Observation {
    Observation { begun: Some(Begun { to: version(to), back, compromised }), ..now }
}

fn announced(next: u64, called_off: bool, now: Observation) -> Observation {
    Observation { announced: Some(Announcement { version: version(next), called_off }), ..now }
}

/// With a key of the primary, or of the back-compat, that holds this.
fn holding(key: usize, found: Found, derivation: Derivation, mut now: Observation) -> Observation {
    let key = &mut now.external_secrets[0].keys[key];
    (key.found, key.derivation) = (found, derivation);
    now
}

fn value(value: u16) -> Found {
    Found::Value(ValueTag(value))
}

fn accounts() -> Vec<(&'static str, Observation)> {
    use Derivation::{Exact, Within};
    let finalized = || seen("D E2", "D E2", (2, Some(2)), 2);
    let awaiting = || seen("D E2", "E1", (2, Some(1)), 2);
    let rotating = || seen("E1 E2", "E1", (2, Some(1)), 1);
    let unread =
        Observation { unread: vec![Unread::Versions("forbidden".to_owned())], ..seen("E1 E2", "", (2, None), 2) };
    vec![
        ("never rotated", seen("E1", "", (1, None), 1)),
        ("finalized", finalized()),
        ("committed", awaiting()),
        ("committed, and nothing proves its pods", began(5_000, 0, awaiting())),
        ("committed, recorded", recorded("v1", "v2", awaiting())),
        ("committed, its end not recorded", begun(2, false, false, awaiting())),
        (
            "committed, and another finalization died",
            Observation { finalizing: Some(version(1)), ..seen("D E2", "E1 E2", (2, Some(2)), 2) },
        ),
        (
            "the same, and that rotation's end is not recorded",
            begun(
                2,
                false,
                false,
                Observation { finalizing: Some(version(1)), ..seen("D E2", "E1 E2", (2, Some(2)), 2) },
            ),
        ),
        (
            "like a rollback, and the record is of a rotation",
            begun(2, false, false, seen("E1 E2", "E2", (2, Some(2)), 2)),
        ),
        (
            "like a rollback, and the record is of another version",
            begun(9, true, false, seen("E1 E2", "E2", (2, Some(2)), 2)),
        ),
        ("rotating", rotating()),
        ("rotating, while another one was for a leak", begun(9, false, true, rotating())),
        ("a rollback begun, for a leak", begun(2, true, true, seen("E1 E2", "E2", (2, Some(2)), 1))),
        ("rotating, for a leak", begun(2, false, true, rotating())),
        ("a rollback begun", begun(2, true, false, seen("E1 E2", "E2", (2, Some(2)), 1))),
        ("rolled back", seen("D D E1@3", "E1 E2@4", (1, Some(2)), 3)),
        ("a next value announced", announced(2, false, seen("E1", "E1 E2", (1, Some(2)), 1))),
        ("it is called off", announced(2, true, seen("E1", "E1 E2", (1, Some(2)), 1))),
        ("no primary", seen("", "", (1, None), 1)),
        ("the newest disabled, in use", began(9_500, 0, seen("D@1 D@100", "", (7, None), 2))),
        ("the newest disabled, the one before in use", seen("E1 D", "", (1, None), 1)),
        (
            "the newest disabled, and nothing shows what is in use",
            holding(0, Found::Missing, Exact, without_pods(seen("D D", "", (1, None), 2))),
        ),
        ("the same, destroyed", holding(0, Found::Missing, Exact, without_pods(seen("D X", "", (1, None), 2)))),
        ("the newest disabled, beside bytes of nobody and an enabled one", seen("E1 D", "", (9, None), 0)),
        ("the same, and the one before is disabled", seen("D D", "", (9, None), 0)),
        ("the same, and its pods are dated", began(50, 0, seen("D D", "", (9, None), 0))),
        ("the same, and they are older than it", began(50, 0, seen("D@1 D@100", "", (9, None), 0))),
        ("the same without pods", without_pods(seen("D D", "", (9, None), 2))),
        ("nothing maps the back-compat, finalized", unmapped(finalized())),
        ("nothing maps the back-compat, committed", unmapped(awaiting())),
        ("nothing maps the back-compat, announced", unmapped(announced(2, false, seen("E1", "E1 E2", (1, None), 1)))),
        ("the newest destroyed", seen("E1 X", "", (1, None), 1)),
        ("an unexplained predecessor", seen("E1 E2", "", (2, None), 2)),
        ("the same, and older versions may not be read", unread),
        ("the same, beside a live back-compat", seen("E1 E2", "E7", (2, Some(7)), 2)),
        ("two uncommitted", seen("E1 E2 E3", "E1", (1, Some(1)), 1)),
        ("the back-compat disabled", seen("D E2", "D", (2, None), 2)),
        (
            "the back-compat destroyed, and needed",
            recorded("v1", "v2", holding(1, Found::Missing, Exact, seen("D E2", "X", (2, None), 2))),
        ),
        ("the back-compat destroyed, after another rotation", recorded("v5", "v6", seen("D E2", "X", (2, None), 2))),
        ("the back-compat destroyed, and not needed", seen("D E2", "X", (2, None), 2)),
        ("foreign: the Secret holds an older version", seen("E1 E2", "", (1, None), 1)),
        ("foreign: the Secret holds a value of nobody", seen("D E2", "", (9, None), 1)),
        ("foreign: that value stands inside a text", holding(0, value(9), Within, seen("D E2", "", (2, None), 1))),
        ("foreign, and pods read a back-compat of nobody", seen("E1 E2", "", (1, Some(9)), 1)),
        (
            "foreign: a run that died set out for it and kept nothing",
            begun(2, false, false, seen("E1 E2", "", (1, None), 1)),
        ),
        ("foreign: a pod has an older version", began(50, 0, seen("E1@1 E2@100", "", (2, None), 0))),
        ("unreadable: a pod has a disabled version", began(50, 0, seen("D@1 E2@100", "", (2, None), 0))),
        ("unreadable: a pod has a destroyed version", began(50, 0, seen("X@1 E2@100", "", (2, None), 0))),
        ("displaced in the back-compat", has_record(seen("D E2", "E1 E2", (2, Some(2)), 2))),
        ("years of hands in the back-compat", seen("D E2", "E1 E2", (2, Some(2)), 2)),
        ("displaced, in the cluster alone", seen("D E2", "D E2", (2, Some(9)), 2)),
        ("displaced, of the primary", seen("E1 D E3", "D E3", (3, Some(1)), 3)),
        (
            "left enabled since the last rotation began",
            recorded("v1", "v4", seen("D E2 D E4", "D E4", (4, Some(4)), 4)),
        ),
        ("displaced while rotating", seen("E1 E2", "E1", (2, Some(9)), 2)),
        ("a Secret fell back", recorded("v1", "v2", seen("D E2", "D E2", (1, Some(2)), 2))),
        ("a back-compat that did not arrive", seen("D E2", "E1", (2, None), 2)),
        ("an opaque key", holding(0, Found::Unknown, Derivation::Opaque, finalized())),
        ("bytes of nobody inside a text", recorded("v1", "v2", holding(0, Found::Unknown, Within, finalized()))),
        (
            "a rollout under way",
            rolling(finalized(), crate::facts::observation::Rollout::Progressing { available: 0, desired: 1 }),
        ),
        (
            "a rollout stuck",
            rolling(finalized(), crate::facts::observation::Rollout::Stuck { reason: "quota".to_owned() }),
        ),
    ]
}

fn rolling(mut now: Observation, rollout: crate::facts::observation::Rollout) -> Observation {
    now.consumers[0].rollout = rollout;
    now
}

fn unmapped(mut now: Observation) -> Observation {
    now.external_secrets[0].keys.truncate(1);
    now
}

fn without_pods(mut now: Observation) -> Observation {
    now.consumers[0].pods.clear();
    now
}

fn wants() -> Vec<(&'static str, Want)> {
    let goal = |goal| Want { goal, ..Want::default() };
    let from = |from| Want { rescue: Some(from), ..goal(Goal::Rescue) };
    let copy = |key: &str| RescueFrom::Copy { secret: "backend-secrets".parse().expect("fits"), key: key.to_owned() };
    vec![
        ("rotate", Want::default()),
        ("rotate --strategy two-phase", Want { strategy: Strategy::TwoPhase, ..Want::default() }),
        ("rotate --adopt", Want { adopt: true, ..Want::default() }),
        ("rotate --abandon-older", Want { abandon_older: true, ..Want::default() }),
        ("rotate --compromised", Want { compromised: true, ..Want::default() }),
        ("rollback", goal(Goal::RollBack { again: false })),
        ("finalize", goal(Goal::Finalize { destroy: None })),
        ("finalize --destroy", goal(Goal::Finalize { destroy: Some(Destroy { before: None, keep: 0 }) })),
        ("rescue", goal(Goal::Rescue)),
        ("rescue --from primary/1", from(RescueFrom::Version(Source::Primary, version(1)))),
        ("rescue --from back-compat/1", from(RescueFrom::Version(Source::BackCompat, version(1)))),
        ("rescue --from secret/backend-secrets:KEY", from(copy("KEY"))),
        ("rescue --from secret/backend-secrets:OLD", from(copy("OLD"))),
    ]
}

fn refusal(problem: &Problem) -> String {
    let alone = if stands_alone(problem) { ", told alone" } else { "" };
    let hints = problem.hints.iter().map(|hint| format!("\n          -> {hint}")).collect::<String>();
    format!("{}{alone}: {}{hints}", problem.reason, problem.message)
}

fn guard(name: &str, guarded: Result<(), Problem>) -> String {
    match guarded {
        Ok(()) => format!("    {name}: may\n"),
        Err(problem) => format!("    {name}: {}\n", refusal(&problem)),
    }
}

#[test]
fn every_account_has_its_answer_to_every_command() {
    let mut text = String::new();
    for (name, now) in accounts() {
        text.push_str(&format!("## {name}: {}\n", state::state(&now)));
        let checks = check::run(&check::Seen { purpose: Purpose::Verify, want: &Want::default(), now: &now });
        let due = next(&now, &checks, None).map_or("nothing".to_owned(), |due| {
            let commands: Vec<String> = due.commands.iter().map(ToString::to_string).collect();
            format!("{}, {}: {}", due.action, due.what, commands.join(" | "))
        });
        text.push_str(&format!("    due: {due}\n"));
        let mut told: Vec<(Vec<&str>, String)> = Vec::new();
        for (command, want) in wants() {
            let answer = match plan(&want, &now) {
                Ok(plan) => {
                    let exchanges = if plan.exchanges() { ", exchanges" } else { "" };
                    let retires = plan.retires.map_or(String::new(), |version| format!(", retires {version}"));
                    let destroys = if plan.destroys() { ", destroys" } else { "" };
                    let slots = crate::in_use::without_slot(&now, plan.slots(&now));
                    let left =
                        if slots.is_empty() { String::new() } else { format!(" (no slot: {})", slots.join(", ")) };
                    format!(
                        "{:?}{exchanges}{retires}{destroys}, {} -> {}: {}{left}",
                        plan.way,
                        plan.from,
                        plan.to,
                        brief(Ok(plan.clone()))
                    )
                }
                Err(problem) => refusal(&problem),
            };
            // Commands with the same answer share a line.
            match told.iter_mut().find(|(_, known)| *known == answer) {
                Some((commands, _)) => commands.push(command),
                None => told.push((vec![command], answer)),
            }
        }
        for (commands, answer) in told {
            text.push_str(&format!("    {}: {answer}\n", commands.join(", ")));
        }
        text.push_str(&guard("sync", may_sync(&now, &[])));
        text.push_str(&guard("restart", may_restart(&now)));
    }
    insta::assert_snapshot!(text);
}

/// What a rescue names must be there, and whole.
#[test]
fn what_is_not_there_is_not_rescued() {
    let now = seen("X E2", "E1", (2, Some(1)), 2);
    let key = |key: &str| RescueFrom::Copy { secret: "backend-secrets".parse().expect("fits"), key: key.to_owned() };
    for (from, expected) in [
        (RescueFrom::Version(Source::BackCompat, version(9)), "acme_account_secret_back_compat has no v9"),
        (RescueFrom::Version(Source::Primary, version(1)), "v1 of acme_account_secret is destroyed"),
        (key("NONE"), "no external secret fills key NONE"),
        (key("KEY"), "pods can read what Kubernetes Secret backend-secrets, key KEY, holds already"),
    ] {
        let want = Want { goal: Goal::Rescue, rescue: Some(from), ..Want::default() };
        let refused = plan(&want, &now).expect_err(expected);
        assert!(refused.message.starts_with(expected) && !refused.hints.is_empty(), "{}", refused.message);
    }
}

/// A key whose value the operator gives up by name may be written over.
#[test]
fn a_copy_that_is_given_up_by_name_is_in_nobodys_way() {
    let secret: ObjectName = "backend-secrets".parse().expect("fits");
    for (name, now, key) in [
        ("a back-compat that no version has", seen("D E2", "D E2", (2, Some(9)), 2), "OLD"),
        ("a primary's key that no version has", recorded("v1", "v2", seen("D E2", "D E2", (9, Some(2)), 2)), "KEY"),
    ] {
        assert_eq!(may_sync(&now, &[]).map_err(|problem| problem.reason), Err(Reason::LastCopy), "{name}");
        assert!(may_sync(&now, &[(secret.clone(), key.to_owned())]).is_ok(), "{name}");
        let other = if key == "KEY" { "OLD" } else { "KEY" };
        assert!(may_sync(&now, &[(secret.clone(), other.to_owned())]).is_err(), "{name}");
    }
}
