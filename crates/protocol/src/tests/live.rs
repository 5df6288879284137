//! Each rule of what is live, in one account.

use super::*;
use crate::facts::observation::LastRotation;
use crate::plan::tests::seen;

/// `value because held-by` of each, in few words.
fn told(now: &Observation) -> Vec<String> {
    let brief = |one: LiveValue| {
        let slot = one.slot.map_or("none", Source::as_str);
        format!("{} [{slot}] {}", one.value, one.held_by.join(" "))
    };
    live(now).into_iter().map(brief).collect()
}

#[test]
fn what_has_a_value_is_named_and_a_disabled_version_holds_nothing() {
    // After a rotation: v1 is disabled, the back-compat keeps its value, everything is on v2.
    let now = seen("D E2", "E1", (2, Some(1)), 2);
    let names = told(&now);
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with("primary v2 [primary] primary/2 secret/"), "{names:?}");
    assert!(names[1].starts_with("back-compat v1 [back-compat] back-compat/1 secret/"), "{names:?}");
    assert!(names.iter().all(|name| !name.contains("primary/1")), "{names:?}");
    assert!(live(&now).iter().all(|one| !one.because.is_empty()));
}

#[test]
fn what_a_pod_or_a_secret_alone_has_is_live_and_in_no_slot() {
    // A third value was added by hand, and nothing has it yet.
    let names = told(&seen("D E2 E3", "E1", (2, Some(1)), 2));
    assert!(names.iter().any(|name| name.starts_with("primary v2 [none] primary/2 secret/")), "{names:?}");
    // Bytes that no version has.
    let mut now = seen("E1", "E1", (1, Some(1)), 1);
    now.external_secrets[0].keys[0].found = Found::Unknown;
    let names = told(&now);
    assert!(names.iter().any(|name| name.starts_with("unknown [none] secret/")), "{names:?}");
}

#[test]
fn what_the_last_rotation_left_is_live_until_it_is_retired() {
    let mut now = seen("E1 E2", "E2", (2, Some(2)), 2);
    now.last_rotation =
        Some(LastRotation { by: String::new(), at: String::new(), from: "v1".to_owned(), to: "v2".to_owned() });
    let because = |now: &Observation| {
        let all = live(now);
        all.into_iter().find(|one| one.value == "primary v1").map(|one| one.because).unwrap_or_default()
    };
    assert!(because(&now).iter().any(|why| why.contains("rotation on record")), "{:?}", because(&now));
    now.older.retired.extend([(Source::Primary, VersionId::FIRST)]);
    // It is enabled all the same.
    assert_eq!(because(&now), ["an enabled version has it"]);
}
