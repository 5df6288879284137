//! Values that an ExternalSecret cannot copy: a property is missing in them, or they do not decode.

use super::tests::{back_to, brief, seen};
use super::*;
use crate::facts::names::listed;

/// The same, where its one ExternalSecret cannot copy this value, from the primary and as back-compat or from one of them alone.
fn refusing(value: u16, sources: &[Source], mut now: Observation) -> Observation {
    let external = &mut now.external_secrets[0];
    external.cannot_copy = sources.iter().map(|source| (*source, ValueTag(value))).collect();
    now
}

const BOTH: [Source; 2] = [Source::Primary, Source::BackCompat];

fn back() -> Want {
    Want { goal: Goal::RollBack { again: false }, ..Want::default() }
}

/// A rotation to v2 with a value that cannot be copied: every Secret still holds the one before.
fn stuck() -> Observation {
    seen("E1 E2", "E1", (1, Some(1)), 1)
}

#[test]
fn a_rollback_does_not_wait_for_what_cannot_come() {
    // Without that, v2 has to arrive first: only then do the bytes of v3 say that they are its.
    let waits = "sync(v2) add(v3) sync(v3) store(v2) stage restart(v3) verify abandon(v1) disable(v2)";
    let gives_up = "add(v3) sync(v3) restart(v3) verify abandon(v1) abandon(v2)";
    let keeps = "add(v3) sync(v3) store(v2) stage restart(v3) verify abandon(v1) disable(v2)";
    for (name, now, left) in [
        ("it can be copied", stuck(), waits),
        ("it cannot be copied at all", refusing(2, &BOTH, stuck()), gives_up),
        ("it can become the back-compat", refusing(2, &[Source::Primary], stuck()), keeps),
        ("another value cannot be copied", refusing(7, &BOTH, stuck()), waits),
        (
            "pods may have it, and it cannot become the back-compat",
            refusing(2, &[Source::BackCompat], stuck()),
            "NoSlot (4)",
        ),
        (
            "a Secret has it although it cannot be copied any more",
            refusing(2, &BOTH, seen("E1 E2", "E1", (2, Some(1)), 1)),
            "NoSlot (4)",
        ),
        (
            "begun, and killed after the addition",
            back_to(3, refusing(2, &BOTH, seen("E1 E2 E1", "E1", (1, Some(1)), 1))),
            "restart(v3) verify abandon(v1) abandon(v2)",
        ),
        (
            "begun, and killed within the end",
            back_to(3, refusing(2, &BOTH, seen("D E2 E1", "E1", (1, Some(1)), 3))),
            "restart(v3) verify abandon(v2)",
        ),
        ("killed before its record", back_to(3, refusing(2, &BOTH, seen("D D E1", "E1", (1, Some(1)), 3))), "verify"),
        ("complete", refusing(2, &BOTH, seen("D D E1", "E1", (1, Some(1)), 3)), "NothingToRollBack (4)"),
    ] {
        assert_eq!(brief(plan(&back(), &now)), left, "{name}");
    }
    let plan = plan(&back(), &refusing(2, &BOTH, stuck())).expect("a plan");
    assert!(plan.gives_up() && plan.exchanges() && plan.narrow().is_none());
    let skipped = plan.steps.iter().filter_map(|planned| match planned {
        Planned::Skip(step, why) => Some(format!("{}: {why}", step.as_str())),
        Planned::Do(_) => None,
    });
    let skipped: Vec<String> = skipped.collect();
    assert!(skipped[0].contains("no pod ever had v2: external secret backend-secrets cannot copy"), "{skipped:?}");
}

/// Of two ExternalSecrets that one waits for the abandoned value which can copy it.
#[test]
fn what_can_come_is_waited_for() {
    let mut now = refusing(2, &[Source::Primary], stuck());
    let mut other = now.external_secrets[0].clone();
    other.name = "admin-secrets".parse().expect("a fit name");
    other.cannot_copy.clear();
    now.external_secrets.push(other);
    let plan = plan(&back(), &now).expect("a plan");
    let waited: Vec<String> = plan
        .to_do()
        .filter_map(|step| match step {
            Step::Sync { external_secrets, version } => Some(format!("{version}: {}", listed(external_secrets))),
            _ => None,
        })
        .collect();
    assert_eq!(waited, ["v2: admin-secrets", "v3: backend-secrets, admin-secrets"]);
}
