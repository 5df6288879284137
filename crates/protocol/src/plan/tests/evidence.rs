//! What pods and Secret Manager show after hands were at work, and what follows: which versions a pod may have started with, and
//! which value has lost its slot.

use super::tests::{began, brief, has_record, on_record, recorded, seen};
use super::*;
use crate::check::{self, Purpose};
use crate::facts::observation::Found;
use crate::facts::older::{Older, VersionSet};
use crate::in_use::Held;

/// With a Secret that was last written in this second.
fn written(at: i64, mut now: Observation) -> Observation {
    now.external_secrets[0].written = jiff::Timestamp::from_second(at).ok();
    now
}

/// With a Secret that was made in this second.
fn made(at: i64, mut now: Observation) -> Observation {
    now.external_secrets[0].target_created = jiff::Timestamp::from_second(at).ok();
    now
}

/// With one more key of the primary, that holds this value.
fn with_key(value: u16, mut now: Observation) -> Observation {
    let mut key = now.external_secrets[0].keys[0].clone();
    key.found = Found::Value(ValueTag(value));
    now.external_secrets[0].keys.push(key);
    now
}

#[test]
fn a_pod_may_have_started_with_all_that_was_or_came_into_force() {
    let cases = [
        ("long after its version was copied", began(1_000, 0, seen("E1@1 E2@100 E3@1100", "", (3, None), 0)), "v2"),
        ("before the next sync copied it", began(150, 0, seen("E1@1 E2@100 E3@160", "", (3, None), 0)), "v1, v2"),
        ("the same, and it was disabled", began(150, 0, seen("E1@1 D@100 E3@160", "", (3, None), 0)), "v1, v2"),
        ("disabled before any sync, perhaps", began(1_000, 0, seen("E1@1 D@100 E3@1100", "", (3, None), 0)), "v1, v2"),
        ("two in one interval", began(150, 0, seen("E1@-900 E2@100 E3@110 E4@160", "", (4, None), 0)), "v1, v2, v3"),
        (
            "a note of before names the first",
            began(150, 2, seen("E1@-900 E2@100 E3@110 E4@160", "", (4, None), 2)),
            "v2, v3",
        ),
        (
            "disabled ones below the last that was copied",
            began(1_000, 0, seen("D@1 D@50 E3@100 E4@1100", "", (4, None), 0)),
            "v3",
        ),
        ("after the newest was copied", began(2_000, 0, seen("E1@1 E2@100 E3@1100", "", (3, None), 0)), ""),
        (
            "its Secret was written before it began, and not since",
            written(100, began(150, 0, seen("E1@1 E2@100 E3@160", "", (2, None), 0))),
            "v2",
        ),
        (
            "its Secret was written since",
            written(200, began(150, 0, seen("E1@1 E2@100 E3@160", "", (2, None), 0))),
            "v1, v2",
        ),
        ("what is disabled below an enabled one", began(150, 0, seen("D@1 E2@100 E3@160", "", (3, None), 0)), "v2"),
        (
            "its Secret was written in the second in which it began",
            written(150, began(150, 0, seen("E1@1 E2@100 E3@160", "", (2, None), 0))),
            "v1, v2",
        ),
        (
            "its Secrets hold two versions",
            written(100, with_key(1, began(150, 0, seen("E1@1 E2@100 E3@160", "", (2, None), 0)))),
            "v1, v2",
        ),
        (
            "its Secret is older than the newest version",
            made(159, began(150, 0, seen("E1@1 E2@100 E3@160", "", (3, None), 0))),
            "v1, v2",
        ),
        (
            "it is of the newest version's second",
            made(160, began(150, 0, seen("E1@1 E2@100 E3@160", "", (3, None), 0))),
            "v1, v2",
        ),
        ("it is younger", made(161, began(150, 0, seen("E1@1 E2@100 E3@160", "", (3, None), 0))), ""),
        ("without dates, a note", began(1_000, 2, seen("E1 E2 E3", "", (3, None), 2)), "v2"),
        ("without dates or a note", began(1_000, 0, seen("E1 E2 E3", "", (3, None), 0)), ""),
    ];
    for (name, now, expected) in cases {
        let consumer = &now.consumers[0];
        let may_have = in_use::may_have_started_with(&now, consumer, &consumer.pods[0]);
        assert_eq!(may_have.iter().map(VersionId::to_string).collect::<Vec<_>>().join(", "), expected, "{name}");
    }
}

/// v2 was added, the pods restarted, v2 disabled, v3 added and copied, all within an interval: pods have v1's value or v2's.
#[test]
fn what_pods_may_have_is_made_readable_and_all_of_it_is_kept() {
    let adopt = Want { adopt: true, ..Want::default() };
    let came = began(150, 0, seen("E1@1 D@100 E3@160", "", (3, None), 0));
    let refused = plan(&adopt, &came).expect_err("v2 cannot be read");
    assert!(refused.message.contains("may have started with v2, which is disabled"), "{}", refused.message);
    let enabled = began(150, 0, seen("E1@1 E2@100 E3@160", "", (3, None), 0));
    let left = brief(plan(&adopt, &enabled));
    assert_eq!(left, "create store(v2) create store(v1) sync(v3) restart(v3) verify abandon(v1)");
}

/// Pods have v2's value, and the newest version is that value once more: it does not give way to what one sync brought since.
#[test]
fn a_value_added_again_has_its_pods_already() {
    let adopt = Want { adopt: true, ..Want::default() };
    let now = seen("E1 E2 E3 E2", "E1", (3, Some(1)), 2);
    assert_eq!(brief(plan(&adopt, &now)), "store(v3) sync(v4) restart(v4) verify abandon(v2) disable(v3)");
}

#[test]
fn a_version_that_came_after_the_last_rotation_began_keeps_the_account_until_it_has_a_slot() {
    let left = seen("D E2 D E4", "D E4", (4, Some(4)), 4);
    let rescue = Want {
        goal: Goal::Rescue,
        rescue: VersionId::new(2).map(|version| RescueFrom::Version(Source::Primary, version)),
        ..Want::default()
    };
    let give_up = Want {
        goal: Goal::Finalize { destroy: None },
        retired: VersionId::new(2).map(|version| (Source::Primary, version)).into_iter().collect(),
        ..Want::default()
    };
    let cases = [
        ("a rotation", Want::default(), recorded("v1", "v4", left.clone()), "DisplacedBackCompat (4)"),
        ("its rescue", rescue, recorded("v1", "v4", left.clone()), "store(v2) stage restart(v4) verify disable(v2)"),
        ("given up by name", give_up, recorded("v1", "v4", left.clone()), "abandon(v2)"),
        // R7: it was there when the last rotation was begun, or nothing says when it came: a check names it.
        (
            "of before",
            Want::default(),
            recorded("v3", "v4", left.clone()),
            "add(v5) sync(v5) restart(v5) verify disable(v4)",
        ),
        ("no record", Want::default(), left, "add(v5) sync(v5) restart(v5) verify disable(v4)"),
    ];
    for (name, want, now, expected) in cases {
        assert_eq!(brief(plan(&want, &now)), expected, "{name}");
    }
}

/// Both slots are taken, and v2 has none: finalizing goes first, and says what it needs.
#[test]
fn a_finalization_that_goes_first_names_the_restart_that_it_needs() {
    let now = written(9_000, seen("E1 E3 E1", "E0", (1, Some(0)), 1));
    for (purpose, expected) in [(Purpose::Finalize, "kubectl deepdesk secret restart acme"), (Purpose::Rotate, "")] {
        let checks = check::run(&check::Seen { now: &now, want: &Want::default(), purpose });
        let current = checks.iter().find(|check| check.id == check::PODS_CURRENT).expect("its pods are unproven");
        assert_eq!(crate::hint::in_one_line(&current.hints), expected, "{purpose:?}");
    }
}

#[test]
fn the_newest_version_is_spread_where_a_secret_or_a_pod_has_its_value() {
    let nowhere = || began(150, 0, seen("E1@1 E2@160", "", (1, None), 0));
    let cases = [
        ("nowhere", nowhere(), false),
        ("in a Secret", began(150, 0, seen("E1@1 E2@160", "", (2, None), 0)), true),
        ("in a pod that notes it", seen("E1 E2", "", (1, None), 2), true),
        ("in a pod that notes another", seen("E1 E2", "", (1, None), 1), false),
        ("in a pod that notes an older number of the same value", seen("E2 E1 E2", "", (1, None), 1), true),
        ("it cannot be read, and neither can what pods have", seen("D D", "", (9, None), 1), false),
    ];
    for (name, now, is_spread) in cases {
        assert_eq!(in_use::is_spread(&now), is_spread, "{name}");
    }
}

/// Bytes of nobody in a Secret are what pods started with; those of an enabled version say nothing of that.
#[test]
fn what_a_secret_holds_may_explain_what_its_pods_have() {
    let held = |holds| {
        let others = in_use::others(&seen("E1 D E3", "", (holds, None), 2));
        others.into_iter().map(|one| one.held).collect::<Vec<_>>()
    };
    let disabled = VersionId::new(2).map(Held::Version);
    assert_eq!(held(9), [Held::Value(ValueTag(9))]);
    assert_eq!(held(1), [Some(Held::Value(ValueTag(1))), disabled.clone()].into_iter().flatten().collect::<Vec<_>>());
    assert_eq!(held(3), disabled.into_iter().collect::<Vec<_>>());
}

#[test]
fn what_was_not_read_and_may_be_enabled_is_to_be_read() {
    let mut enabled = seen("E1 E2 E3", "", (3, None), 2);
    enabled.primary.versions[1].value = None;
    let mut unknown = seen("E1 E2 E3", "", (3, None), 2);
    unknown.primary.versions.remove(1);
    for (name, now, is_unread) in [
        ("all is read", seen("E1 E2 E3", "", (3, None), 2), false),
        ("disabled", seen("E1 D E3", "", (3, None), 2), false),
        ("enabled, and not read", enabled, true),
        ("not looked at", unknown, true),
    ] {
        assert_eq!(in_use::is_unread(&now), is_unread, "{name}");
    }
}

/// What some place has in use goes before what nobody has; what the back-compat holds gives way, and stays enabled there.
#[test]
fn adopting_gives_the_two_slots_to_what_is_in_use() {
    let adopt = Want { adopt: true, ..Want::default() };
    let cases = [
        (
            "nothing has the newest, and both slots are needed",
            seen("E1 E2", "E7", (1, Some(7)), 1),
            "v1 -> v3: add(v3) sync(v3) restart(v3) verify abandon(v2,v1)",
        ),
        (
            "the newest is spread, and what the back-compat holds gives way",
            with_key(1, seen("E1 E2 E3", "E1", (3, Some(1)), 2)),
            "v2 -> v3: store(v2) sync(v3) restart(v3) verify disable(v2)",
        ),
        (
            "the newest is disabled: older twins of both slots are disabled, too",
            seen("E7 E1 D", "E7", (1, Some(7)), 2),
            "v1 -> v4: add(v4) sync(v4) restart(v4) verify abandon(v2,v1)",
        ),
        (
            "the back-compat stays as the last rotation left it",
            recorded("v1", "v2", seen("D E2 D", "E1", (2, Some(1)), 2)),
            "v1 -> v4: add(v4) sync(v4) restart(v4) verify abandon(v2)",
        ),
        (
            "the newest stays: the one before it is what it came from",
            recorded("v1", "v2", seen("D D E3", "", (9, None), 2)),
            "v2 -> v3: create store(copy) sync(v3) restart(v3) verify",
        ),
        (
            "the back-compat gets another value: the one before the newest is what it came from",
            recorded("v1", "v2", with_key(8, seen("D D D", "E1", (9, Some(1)), 2))),
            "v2 -> v4: store(copy) add(v4=copy) sync(v4) restart(v4) verify",
        ),
    ];
    for (name, now, expected) in cases {
        let plan = plan(&adopt, &now).expect(name);
        assert_eq!(format!("{} -> {}: {}", plan.from, plan.to, brief(Ok(plan.clone()))), expected, "{name}");
    }
}

/// R3: once, in the question of what is due, and never what has a slot or is disabled by the plan itself.
#[test]
fn older_enabled_versions_are_asked_about_once() {
    let rotate = || Want::default();
    let finalize = || Want { goal: Goal::Finalize { destroy: None }, ..Want::default() };
    let answered = |text: &str, now: Observation| {
        let older = Older { answered: VersionSet::read(text), ..has_record(now.clone()).older };
        Observation { older, ..now }
    };
    let cases = [
        ("first use, to rotate", rotate(), seen("E1 D E3", "E2 E3", (3, Some(3)), 3), "primary/1,back-compat/1"),
        (
            "the answer is on record",
            rotate(),
            answered("primary/1,back-compat/1", seen("E1 D E3", "E2 E3", (3, Some(3)), 3)),
            "",
        ),
        (
            "a new one beside it",
            rotate(),
            answered("primary/1", seen("E1 E2 D E4", "E4", (4, Some(4)), 4)),
            "primary/2",
        ),
        ("one with the value in use", rotate(), seen("E3 D E3", "E3", (3, Some(3)), 3), ""),
        ("first use, to finalize", finalize(), seen("E1 D E3", "E9 E2", (3, Some(2)), 3), "primary/1,back-compat/1"),
        ("what the finalization retires", finalize(), seen("D E2", "E1", (2, Some(1)), 2), ""),
        ("disabled ones", rotate(), seen("D D E3", "D E3", (3, Some(3)), 3), ""),
        ("nothing is to be done", finalize(), seen("E1 D E3", "D E3", (3, Some(3)), 3), ""),
    ];
    for (name, want, now, asked) in cases {
        let plan = plan(&want, &now).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
        assert_eq!(plan.answered.write(), asked, "{name}");
        let record = plan.aim(&now.primary.secret, false);
        assert_eq!(record.answered, plan.answered, "{name}");
    }
}

/// Without a record years of hands hold nothing up, but what some pod may have been given does.
#[test]
fn without_a_record_a_value_that_a_pod_may_have_keeps_its_claim() {
    let dated = |second: i64, noted: bool| {
        let mut now = began(second, 2, seen("D@1 E2@100", "E1@50 E2@200", (2, Some(2)), 2));
        for pod in &mut now.consumers[0].pods {
            pod.back_compat = pod.back_compat.filter(|_| noted);
        }
        now
    };
    for (name, now, displaced) in [
        ("it began before the newest was copied", dated(150, false), true),
        ("it began after that", dated(5_000, false), false),
        ("our restart gave it the newest", dated(150, true), false),
        ("with a record all of them count", has_record(dated(5_000, false)), true),
    ] {
        assert_eq!(in_use::displaced(&now).is_some(), displaced, "{name}");
    }
    let unread = Observation { unread: vec![Unread::Record("forbidden".to_owned())], ..dated(5_000, false) };
    assert!(in_use::displaced(&unread).is_some(), "a record that may not be read is no missing one");
}

/// R2: by name, disabled right before the commit mark and on record; enabled again it counts again.
#[test]
fn what_the_operator_gives_up_is_disabled_with_the_commit_and_on_record() {
    let retired = |versions: &str| Want { retired: VersionSet::read(versions).iter().collect(), ..Want::default() };
    let now = || has_record(seen("E1 E2", "E3 E2", (2, Some(2)), 2));
    assert_eq!(brief(plan(&Want::default(), &now())), "UnexplainedVersion (4)");
    let both = retired("primary/1,back-compat/1");
    let given_up = plan(&both, &now()).expect("a plan");
    assert_eq!(given_up.retired.write(), "primary/1,back-compat/1");
    assert_eq!(brief(Ok(given_up)), "add(v3) sync(v3) restart(v3) verify abandon(v1) retire(v1) disable(v2)");
    let again = recorded("v2", "v3", on_record("primary/1", seen("E1 D E3", "E2", (3, Some(2)), 3)));
    assert!(in_use::without_slot(&again, again.slots()).contains(&"primary v1".to_owned()));
    for (versions, why) in [("primary/2", "in use"), ("primary/7", "has no v7"), ("back-compat/9", "has no v9")] {
        let refused = plan(&retired(versions), &now()).expect_err("it is not there");
        assert!(refused.reason == Reason::NoSuchVersion && refused.message.contains(why), "{versions}: {refused:?}");
    }
}

/// What goes for good with a finalization: each version of either secret that has the value.
#[test]
fn a_finalization_puts_all_versions_of_a_value_on_record() {
    let finalize = Want { goal: Goal::Finalize { destroy: None }, ..Want::default() };
    let cases = [
        (
            "the disabled one as the last rotation pairs it",
            recorded("v1", "v2", seen("D E2", "E1", (2, Some(1)), 2)),
            "primary/1,back-compat/1",
        ),
        ("without a record", seen("D E2", "E1", (2, Some(1)), 2), "back-compat/1"),
        ("stored twice", seen("D E2", "E1 E1", (2, Some(1)), 2), "back-compat/1-2"),
    ];
    for (name, now, retired) in cases {
        assert_eq!(plan(&finalize, &now).expect(name).retired.write(), retired, "{name}");
    }
}
