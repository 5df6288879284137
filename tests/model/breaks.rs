//! Each rule broken once: the search has to find what it was for.

use kubectl_deepdesk::domain::event::StepName::{self, *};
use kubectl_deepdesk::domain::step::{Plan, Planned, Step, Way};

use super::explorations as of;
use super::properties::Invariant::{self, *};
use super::rules::{LockAsked, Rules};
use super::search::{Exploration, explore};

/// A rule, how it is broken, where that shows, and as what.
struct Break {
    rule: &'static str,
    broken: Rules,
    exploration: Exploration,
    finds: Invariant,
}

const KEPT: Rules = Rules::KEPT;

/// The plan without these steps.
fn without(mut plan: Plan, names: &[StepName]) -> Plan {
    plan.steps.retain(|planned| !names.contains(&planned.name()) || matches!(planned, Planned::Skip(..)));
    plan
}

/// The plan with the steps to do of this name, the last `count` of them, right after the first of that name.
fn moved(mut plan: Plan, what: StepName, after: StepName) -> Plan {
    let does = |planned: &Planned, name| matches!(planned, Planned::Do(_)) && planned.name() == name;
    if !plan.steps.iter().any(|planned| does(planned, after)) {
        return plan;
    }
    let taken: Vec<Planned> = plan.steps.iter().filter(|planned| does(planned, what)).cloned().collect();
    plan.steps.retain(|planned| !does(planned, what));
    let at = plan.steps.iter().position(|planned| does(planned, after)).map_or(0, |at| at + 1);
    plan.steps.splice(at..at, taken);
    plan
}

/// The plan of a rotation in two phases with its second phase the other way round: the primary first.
fn primary_first(mut plan: Plan) -> Plan {
    let introduce = plan.steps.iter().position(|planned| planned.name() == Introduce);
    let withdraw = plan.steps.iter().rposition(|planned| matches!(planned, Planned::Do(Step::StoreBackCompat { .. })));
    if let (Some(introduce), Some(withdraw), true) = (introduce, withdraw, plan.way == Way::Forward)
        && withdraw < introduce
    {
        // Introduce and sync, then store and stage.
        plan.steps[withdraw..introduce + 2].rotate_left(introduce - withdraw);
    }
    plan
}

/// The exchange of a rollback with the back-compat first.
fn back_compat_first(mut plan: Plan) -> Plan {
    if plan.exchanges() {
        let introduce = plan.steps.iter().position(|planned| planned.name() == Introduce).unwrap_or_default();
        plan.steps[introduce..introduce + 4].rotate_left(2);
    }
    plan
}

/// The plan with the bytes between two equal ones seen to have been there, so that bytes alone prove the second.
fn pass_through(mut plan: Plan) -> Plan {
    let from = plan.from;
    let introduce = plan.steps.iter().position(|planned| matches!(planned, Planned::Do(Step::AddVersion { .. })));
    let sync = plan.to_do().find_map(|step| match step {
        Step::Sync { external_secrets, fresh: true, .. } => {
            Some(Step::Sync { external_secrets: external_secrets.clone(), version: from, fresh: false })
        }
        _ => None,
    });
    if let (Some(introduce), Some(sync)) = (introduce, sync) {
        plan.steps.insert(introduce, Planned::Do(sync));
    }
    let store = plan.steps.iter().position(|planned| matches!(planned, Planned::Do(Step::StoreBackCompat { .. })));
    let spread = plan.to_do().find_map(|step| match (step, plan.announces) {
        (Step::Stage { external_secrets, fresh: true, .. }, Some(next)) => {
            Some(Step::Spread { external_secrets: external_secrets.clone(), version: next.version })
        }
        _ => None,
    });
    if let (Some(store), Some(spread)) = (store, spread) {
        plan.steps.insert(store, Planned::Do(spread));
    }
    plan
}

fn breaks() -> Vec<Break> {
    let broken = |rule, broken, exploration, finds| Break { rule, broken, exploration, finds };
    vec![
        broken("stage: no step", Rules { plan: |plan| without(plan, &[Stage]), ..KEPT }, of::rotate(2), ReadBeforeWrite),
        broken(
            "preserve and stage: after introduce",
            Rules { plan: |plan| moved(moved(plan, Stage, Introduce), Preserve, Introduce), ..KEPT },
            of::rotate(2),
            ReadBeforeWrite,
        ),
        broken(
            "the runbook: introduce, disable at once, then preserve",
            Rules {
                plan: |plan| moved(moved(moved(plan, Stage, Introduce), Preserve, Introduce), Commit, Introduce),
                sees_it_held: false,
                ..KEPT
            },
            of::rotate(2),
            NothingIsLost,
        ),
        broken(
            "the same, with only the last look kept",
            Rules {
                plan: |plan| moved(moved(moved(plan, Stage, Introduce), Preserve, Introduce), Commit, Introduce),
                ..KEPT
            },
            of::rotate(2),
            NothingIsLost,
        ),
        broken("commit: before sync", Rules { plan: |plan| moved(plan, Commit, Introduce), ..KEPT }, of::rotate(2), ProofNotStatus),
        broken("commit: before restart", Rules { plan: |plan| moved(plan, Commit, Sync), ..KEPT }, of::rotate(2), ProofNotStatus),
        broken("restart: no step", Rules { plan: |plan| without(plan, &[Restart]), ..KEPT }, of::rotate(2), ProofNotStatus),
        broken("verify: no step", Rules { plan: |plan| without(plan, &[Verify]), ..KEPT }, of::rotate(3), ProofNotStatus),
        broken("sync: no step", Rules { plan: |plan| without(plan, &[Sync]), ..KEPT }, of::rotate(2), ProofNotStatus),
        broken("restart+verify: no step", Rules { plan: |plan| without(plan, &[Restart, Verify]), ..KEPT }, of::rotate(2), ProofNotStatus),
        broken("sync+verify: no step", Rules { plan: |plan| without(plan, &[Sync, Verify]), ..KEPT }, of::rotate(2), ProofNotStatus),
        broken("await pods", Rules { awaits_pods: false, ..KEPT }, of::rotate(2), ProofNotStatus),
        broken("await pods+verify", Rules { awaits_pods: false, plan: |plan| without(plan, &[Verify]), ..KEPT }, of::rotate(2), ProofNotStatus),
        broken("compare bytes", Rules { compares: false, ..KEPT }, of::rotate(2), ReadBeforeWrite),
        broken("probe above latest", Rules { probes: false, ..KEPT }, of::rotate(2), OneNewVersion),
        broken("probe above latest, absent", Rules { probes: false, sees_it_absent: false, ..KEPT }, of::rotate(2), OneNewVersion),
        broken("lock never", Rules { lock: LockAsked::Never, ..KEPT }, of::rotate(2), OneOperator),
        broken("lock at each step", Rules { lock: LockAsked::AtEachStep, ..KEPT }, of::rotate(2), OneOperator),
        broken("look again", Rules { looks_again: false, ..KEPT }, of::rotate(3), OneNewVersion),
        broken("look again+absent", Rules { looks_again: false, sees_it_absent: false, ..KEPT }, of::rotate(2), OneNewVersion),
        broken("absent", Rules { sees_it_absent: false, ..KEPT }, of::rotate(3), OneNewVersion),
        broken("held", Rules { sees_it_held: false, ..KEPT }, of::mixed(2), NothingIsLost),
        broken("a third, finalize", Rules { refuses_a_third: false, ..KEPT }, of::finalize(2), NeverThreeKeys),
        broken("no checks", Rules { checks: false, ..KEPT }, of::mixed(3), NeverThreeKeys),
        broken("pass through without one", Rules { latest_is_one: false, plan: pass_through, ..KEPT }, of::rollback(3), NeverThreeKeys),
        broken("pass through without fresh", Rules { fresh: false, latest_is_one: false, plan: pass_through, ..KEPT }, of::rollback(3), NeverThreeKeys),
        broken("pass through without fresh", Rules { fresh: false, latest_is_one: false, plan: pass_through, ..KEPT }, of::two_phase_rollback(3), NeverThreeKeys),
        broken("pass through without fresh", Rules { fresh: false, latest_is_one: false, plan: pass_through, ..KEPT }, of::mixed(3), NeverThreeKeys),
        broken("a third", Rules { refuses_a_third: false, ..KEPT }, of::rollback(2), NeverThreeKeys),
        broken("fresh", Rules { fresh: false, ..KEPT }, of::rollback(2), ReadBeforeWrite),
        broken("fresh: two phase", Rules { fresh: false, ..KEPT }, of::two_phase_rollback(3), ReadBeforeWrite),
        broken("rollback: back-compat first", Rules { plan: back_compat_first, ..KEPT }, of::rollback(2), ReadBeforeWrite),
        broken("rollback: no sync between", Rules { plan: |plan| without(plan, &[Sync]), ..KEPT }, of::rollback(2), ReadBeforeWrite),
        broken("two-phase: primary first", Rules { plan: primary_first, ..KEPT }, of::two_phase(2), ReadBeforeWrite),
        broken("two-phase: no withdraw stage", Rules { plan: |plan| without(plan, &[Stage]), ..KEPT }, of::two_phase(2), ReadBeforeWrite),
        broken("two-phase: no prepare", Rules { plan: |plan| without(plan, &[Prepare]), ..KEPT }, of::two_phase(2), NoPodLacksAKey),
        broken("two-phase: no spread", Rules { plan: |plan| without(plan, &[Spread]), ..KEPT }, of::two_phase(2), NoPodLacksAKey),
        broken("call off mark", Rules { marks_call_offs: false, ..KEPT }, of::two_phase_rollback(3), NoPodLacksAKey),
        broken("record after look", Rules { records_after_look: false, ..KEPT }, of::mixed(3), NothingIsLost),
        broken("true word", Rules { true_word: false, ..KEPT }, of::finalize(2), NothingIsLost),
        broken("finalize restart+verify", Rules { plan: |plan| if plan.way == Way::Retire { without(plan, &[Restart, Verify]) } else { plan }, ..KEPT }, of::finalize(2), ProofNotStatus),
        broken("twin", Rules { plan: |plan| without(plan, &[Abandon]), ..KEPT }, of::rollback(2), OneNewVersion),
        broken("preserve: no step", Rules { plan: |plan| without(plan, &[Preserve, Stage]), ..KEPT }, of::rotate(2), ReadBeforeWrite),
        broken("writes", Rules { looks_for_writes: false, ..KEPT }, of::mixed(2), ProofNotStatus),
        broken("checks", Rules { checks: false, ..KEPT }, of::finalize(3), ProofNotStatus),
        broken("W relapse", Rules { never_relapses: false, ..KEPT }, of::rotate(1), ProofNotStatus),
        broken("W late", Rules { never_late: false, ..KEPT }, of::rotate(2), OneNewVersion),
        broken("W latest is one", Rules { latest_is_one: false, ..KEPT }, of::rollback(2), ReadBeforeWrite),
        broken("W latest is one", Rules { latest_is_one: false, ..KEPT }, of::two_phase_rollback(3), ReadBeforeWrite),
    ]
}

#[test]
fn try_them() {
    for broken in breaks() {
        let found = explore(&broken.exploration, broken.broken, 3_000_000);
        let what = found.broken.as_ref().map(|(invariant, way)| (*invariant, way.len()));
        let good = what.is_some_and(|(invariant, _)| invariant == broken.finds);
        println!("{} {}: {:?}, wanted {:?}; {} states depth {} {:?}", if good { "ok " } else { "BAD" }, broken.rule, what, broken.finds, found.states, found.depth, found.took);
    }
}
