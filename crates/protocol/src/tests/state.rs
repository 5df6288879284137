//! What is read out of an observation before any plan is made.

use super::*;
use crate::plan::tests::seen;

fn second(second: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(second).ok()
}

#[test]
fn a_value_is_announced_while_the_back_compat_bears_it_out() {
    let told = |back_compat: &str, next: u64| {
        let version = VersionId::new(next).expect("counts from one");
        let seen = seen("E1", back_compat, (1, Some(1)), 1);
        let now = Observation { announced: Some(Announcement { version, called_off: false }), ..seen };
        announced(&now).map(|announced| (announced.next.get(), announced.withdrawn))
    };
    assert_eq!(told("E1 E2", 2), Some((2, false)), "it is the newest");
    assert_eq!(told("E1 E2 E1", 2), Some((2, true)), "the value in use came after it");
    assert_eq!(told("E1 E2 E3", 2), None, "another value came after it");
    assert_eq!(told("E1 E2 E1 E1", 2), None, "more came after it");
    assert_eq!(told("E1 E1", 2), None, "it is the value in use");
    assert_eq!(told("E1", 2), None, "it was not stored");
}

#[test]
fn two_values_were_exchanged_where_each_slot_has_what_the_other_had() {
    let cases = [
        ("exchanged, the back-compat last", "D D E1@3", "E1 E2@4", true, true),
        ("exchanged, the primary last", "D D E1@5", "E1 E2@4", true, false),
        ("exchanged at one moment", "D D E1@4", "E1 E2@4", true, false),
        ("exchanged, and nothing is dated", "D D E1", "E1 E2", true, false),
        ("nothing came before", "D E2", "E1", false, false),
        ("what came before is of nobody", "D E2", "E0 E1", false, false),
        ("finalized", "D E2", "E2 E2", false, false),
        ("the one before cannot be read", "D E2", "D E1", false, false),
    ];
    for (name, primary, back_compat, exchanged, rolled_back) in cases {
        let now = seen(primary, back_compat, (1, Some(1)), 1);
        assert_eq!((is_exchanged(&now), is_rolled_back(&now)), (exchanged, rolled_back), "{name}");
    }
}

/// A pod that began before its Secret was made waits for it, and starts with what it held first.
#[test]
fn a_secret_that_was_written_once_gave_its_pods_the_newest_version() {
    let of = |version, made, written, started: Option<i64>| {
        let mut now = seen("D E2", "D E2", (2, Some(2)), 0);
        now.primary.versions[0].created = second(version);
        (now.external_secrets[0].target_created, now.external_secrets[0].written) = (second(made), second(written));
        now.consumers[0].version = None;
        let pod = &mut now.consumers[0].pods[0];
        (pod.created, pod.started) = (second(90), started.and_then(second));
        (standing(&now, &now.consumers[0], &now.consumers[0].pods[0]), all_on_newest(&now))
    };
    let new = (Standing::OnNewest, true);
    let unproven = (Standing::Unproven, false);
    assert_eq!(of(80, 100, 100, Some(101)), new, "younger than the version, and written once");
    assert_eq!(of(80, 100, 110, Some(111)), unproven, "written again");
    assert_eq!(of(100, 100, 100, Some(101)), unproven, "of the version's own second");
    assert_eq!(of(110, 100, 100, Some(101)), unproven, "older than the version");
    assert_eq!(of(80, 100, 100, None), unproven, "it has not started");
    assert_eq!(of(80, 85, 89, Some(91)), new, "it began after the last write");
    assert_eq!(of(500, 85, 95, Some(91)).0, Standing::Older, "it began before the version, by more than clocks differ");
    assert_eq!(of(390, 85, 95, Some(91)).0, Standing::Unproven, "by as much as clocks may differ");
}

/// A restart of ours notes the versions of both secrets, and which write of each Secret it compared.
#[test]
fn a_note_counts_with_what_was_compared_for_it() {
    let noted = |now: Observation, back_compat: u64, compared: &str| {
        let mut now = now;
        now.external_secrets[0].resource_version = Some("20".to_owned());
        let target = now.external_secrets[0].target.clone();
        let pod = &mut now.consumers[0].pods[0];
        pod.back_compat = VersionId::new(back_compat);
        pod.compared = [(target, compared.to_owned())].into();
        standing(&now, &now.consumers[0], &now.consumers[0].pods[0])
    };
    let announced = |called_off, now: Observation| {
        let announced = VersionId::new(2).map(|version| Announcement { version, called_off });
        Observation { announced, ..now }
    };
    let spreading = |called_off| announced(called_off, seen("E1", "E1 E2", (1, Some(2)), 1));
    let withdrawn = announced(false, seen("E1", "E1 E2 E1", (1, Some(1)), 1));
    let rotating = seen("E1 E2", "E1", (2, Some(1)), 2);
    let committed = || seen("D E2", "E1", (2, Some(1)), 2);
    let refilled = seen("D E2", "E9 E1", (2, Some(1)), 2);
    let cases = [
        ("rotating", rotating.clone(), 1, "20", Standing::OnNewest),
        ("rotating, and the Secret was written since", rotating, 1, "19", Standing::Unproven),
        ("a next value is spread", spreading(false), 2, "20", Standing::OnNewest),
        ("the same, and the Secret was written since", spreading(false), 2, "19", Standing::Unproven),
        ("it is called off, and the Secret was written since", spreading(true), 2, "19", Standing::Unproven),
        ("it is withdrawn, and the Secret was written since", withdrawn, 3, "19", Standing::Unproven),
        ("committed, and the Secret was written since", committed(), 1, "19", Standing::OnNewest),
        ("the restart found no back-compat", committed(), 0, "20", Standing::Older),
        ("it found another value there", refilled.clone(), 1, "20", Standing::Older),
        ("it found this one", refilled, 2, "20", Standing::OnNewest),
    ];
    for (name, now, back_compat, compared, expected) in cases {
        assert_eq!(noted(now, back_compat, compared), expected, "{name}");
    }
}

/// What the template notes and the pod does not is of a restart that has not come to this pod.
#[test]
fn a_pod_of_before_the_restart_is_not_new_by_its_dates() {
    let of = |template: u64| {
        let mut now = seen("D E2", "D E2", (2, Some(2)), 0);
        now.external_secrets[0].written = second(80);
        now.consumers[0].version = VersionId::new(template);
        now.consumers[0].pods[0].created = second(90);
        standing(&now, &now.consumers[0], &now.consumers[0].pods[0])
    };
    assert_eq!(of(0), Standing::OnNewest);
    assert_eq!(of(2), Standing::Unproven);
}

/// R5: pods that others started under the note of a run that had ended are judged by dates. A forced sync that rewrote unchanged
/// data looks just like a pin that was taken away: both are unproven, and one restart proves either.
#[test]
fn a_pod_that_began_after_the_run_of_its_note_is_judged_by_dates() {
    let of = |created, written, ended: Option<i64>| {
        let mut now = seen("D E2", "E1", (2, Some(1)), 2);
        now.external_secrets[0].written = second(written);
        now.run_ended = ended.and_then(second);
        now.consumers[0].pods[0].created = second(created);
        standing(&now, &now.consumers[0], &now.consumers[0].pods[0])
    };
    assert_eq!(of(100, 50, Some(110)), Standing::OnNewest, "made by the run");
    assert_eq!(of(100, 200, Some(110)), Standing::OnNewest, "made by the run; its Secret was rewritten later");
    assert_eq!(of(150, 120, Some(110)), Standing::OnNewest, "later, and after the last write");
    assert_eq!(of(150, 200, Some(110)), Standing::Unproven, "later, and its Secret was written since");
    assert_eq!(of(150, 200, None), Standing::OnNewest, "the run is under way, or an older program's");
}
