//! Each rule broken once: the search has to find what it was for. What it does not find is said here too.

use deepdesk_protocol::event::StepName::{Abandon, Commit, Introduce, Prepare, Restart, Spread, Stage, Sync, Verify};

use super::explorations as of;
use super::plans::{self, without};
use super::properties::Claims;
use super::properties::Invariant::{
    self, NeverThreeKeys, NoPodLacksAKey, NothingIsLost, OneNewVersion, OneOperator, ProofNotStatus, ReadBeforeWrite,
    SomebodyCanGoOn,
};
use super::rules::{LockAsked, Rules};
use super::search::{Exploration, explore};

/// A rule, how it is broken, where that shows, and as what.
struct Break(&'static str, Rules, Exploration, Invariant);

const KEPT: Rules = Rules::KEPT;

#[rustfmt::skip] // One line each: a table.
fn of_the_planner() -> Vec<Break> {
    let plan = |plan| Rules { plan, ..KEPT };
    // A new value is introduced only where the back-compat is seen to hold the one in use: without that look, the order of the steps is what holds.
    let late = Rules { effects: plans::blind_commit, ..plan(plans::preserve_late) };
    vec![
        Break("preserve comes before introduce", late, of::rotate_by_pattern(2), ReadBeforeWrite),
        Break("what is introduced can be told from a version of unknown origin", late, of::rotate(2), SomebodyCanGoOn),
        Break("stage proves what preserve stored", plan(|plan| without(plan, &[Stage])), of::rotate_by_pattern(2), ReadBeforeWrite),
        Break("the runbook disables what is stored nowhere else", Rules { effects: plans::blind_commit, ..plan(plans::runbook) }, of::rotate(2), NothingIsLost),
        Break("commit comes after sync", plan(|plan| plans::moved(plan, Commit, Introduce)), of::rotate(2), ProofNotStatus),
        Break("commit comes after restart", plan(|plan| plans::moved(plan, Commit, Sync)), of::rotate(2), ProofNotStatus),
        Break("sync", plan(|plan| without(plan, &[Sync])), of::rotate(2), ProofNotStatus),
        Break("a twin of the newest version is disabled", plan(|plan| without(plan, &[Abandon])), of::rollback(2), OneNewVersion),
        Break("a third key is refused", Rules { refuses_a_third: false, ..KEPT }, of::rollback(2), NeverThreeKeys),
        Break("rollback: the primary first", plan(plans::back_compat_first), of::rollback(2), ReadBeforeWrite),
        Break("rollback: both slots are seen to hold the older value", plan(plans::hasty_exchange), of::rollback(2), ReadBeforeWrite),
        Break("rollback: what is given up is seen to have arrived", plan(plans::unseen), of::rollback(2), ReadBeforeWrite),
        Break("call-off: what is given up is seen to have arrived", plan(plans::unseen), of::two_phase_rollback(2), ProofNotStatus),
        Break("call-off: said in the record", Rules { marks_call_offs: false, ..KEPT }, of::two_phase_rollback(3), NoPodLacksAKey),
        Break("two phases: the back-compat first in the second", plan(plans::primary_first), of::two_phase(2), ReadBeforeWrite),
        Break("two phases: the withdrawal is seen", plan(|plan| without(plan, &[Stage])), of::two_phase(2), ReadBeforeWrite),
        Break("two phases: the announced value is seen", plan(|plan| without(plan, &[Spread])), of::two_phase(2), NoPodLacksAKey),
        Break("two phases: every pod is prepared", plan(|plan| without(plan, &[Prepare])), of::two_phase(2), NoPodLacksAKey),
        Break("finalize: the back-compat gets the value in use", plan(plans::finalize_without_preserve), of::finalize(2), SomebodyCanGoOn),
        Break("finalize: every pod is new", plan(plans::finalize_without_restart), of::finalize(2), ProofNotStatus),
        Break("finalize: all was saved again", Rules { true_word: false, ..KEPT }, of::finalize(2), NothingIsLost),
    ]
}

#[rustfmt::skip]
fn of_the_executor() -> Vec<Break> {
    vec![
        Break("bytes are compared", Rules { compares: false, ..KEPT }, of::rotate(2), ProofNotStatus),
        Break("the lock is asked", Rules { lock: LockAsked::Never, ..KEPT }, of::rotate(2), OneOperator),
        Break("the lock is asked right before each write", Rules { lock: LockAsked::AtEachStep, ..KEPT }, of::rotate(2), OneOperator),
        Break("planned again under the lock", Rules { looks_again: false, ..KEPT }, of::rotate(2), OneNewVersion),
    ]
}

/// Rules of which two hold the same: one broken alone breaks nothing, both together do.
#[rustfmt::skip]
fn held_twice() -> Vec<(&'static str, [Rules; 2], Break)> {
    let plan = |plan| Rules { plan, ..KEPT };
    vec![
        (
            "the newest version is looked for by number, and seen to be absent right before it is added",
            [Rules { probes: false, ..KEPT }, Rules { effects: plans::blind_addition, ..KEPT }],
            Break("both", Rules { probes: false, effects: plans::blind_addition, ..KEPT }, of::rotate(2), OneNewVersion),
        ),
        (
            "restart, and verify, which restarts what is not new",
            [plan(|plan| without(plan, &[Restart])), plan(|plan| without(plan, &[Verify]))],
            Break("both", plan(|plan| without(plan, &[Restart, Verify])), of::rotate(2), ProofNotStatus),
        ),
        (
            "restart waits for old pods to be gone, and verify looks for them",
            [Rules { awaits_pods: false, ..KEPT }, plan(|plan| without(plan, &[Verify]))],
            Break("both", Rules { awaits_pods: false, ..plan(|plan| without(plan, &[Verify])) }, of::rotate(2), ProofNotStatus),
        ),
        (
            "preserve before commit, and the last look at what the back-compat holds",
            [Rules { effects: plans::blind_commit, ..KEPT }, plan(plans::runbook)],
            Break("both", Rules { effects: plans::blind_commit, ..plan(plans::runbook) }, of::rotate(2), NothingIsLost),
        ),
    ]
}

/// What holds only as long as the world is as it is assumed to be, or is not held at all.
#[rustfmt::skip]
fn not_held() -> Vec<Break> {
    vec![
        Break("External Secrets reads an older version again (docs/protocol.md's one assumption)", Rules { never_relapses: false, ..KEPT }, of::rotate(1), ProofNotStatus),
        Break("an addition of a run that died arrives late", Rules { never_late: false, ..KEPT }, of::rotate(2), OneNewVersion),
        Break("a rollback after all was saved again under the value that it goes away from", KEPT, of::rollback_after_saving(2), ReadBeforeWrite),
    ]
}

fn find(Break(rule, rules, exploration, expected): Break) {
    let claims = Claims { only: Some(expected), ..exploration.claims };
    let found = explore(&Exploration { claims, ..exploration }, rules, usize::MAX);
    let (invariant, way) = found.broken.unwrap_or_else(|| panic!("{rule}: {} states, and nothing found", found.states));
    println!("model: broken: {rule}: {invariant:?} after {} steps ({} states)", way.len() - 1, found.states);
}

#[test]
fn every_rule_of_the_planner_is_needed() {
    of_the_planner().into_iter().for_each(find);
}

#[test]
fn every_rule_of_the_executor_is_needed() {
    of_the_executor().into_iter().for_each(find);
}

#[test]
fn what_is_held_twice() {
    for (rule, alone, both) in held_twice() {
        for one in alone {
            let claims = Claims { only: Some(both.3), ..both.2.claims };
            let found = explore(&Exploration { claims, ..both.2 }, one, usize::MAX);
            assert!(found.broken.is_none(), "{rule}: one of the two is needed: {:?}", found.broken);
        }
        println!("model: {rule}: either is enough");
        find(both);
    }
}

#[test]
fn what_is_not_held_yet() {
    not_held().into_iter().for_each(find);
}

/// The planner's own safety: what preflight's checks refuse would break nothing either.
#[test]
fn the_invariants_do_not_hang_on_the_checks() {
    for exploration in [of::mixed(2), of::finalize(3)] {
        let found = explore(&exploration, Rules { checks: false, ..KEPT }, usize::MAX);
        assert!(found.broken.is_none(), "{}: {:?}", exploration.name, found.broken);
    }
}

/// Who records before the look under the lock erases what another has announced: it counts as an old value then, which is the
/// safe reading. What is lost is the rotation, not a key.
#[test]
fn a_record_that_is_lost_breaks_no_invariant() {
    let found = explore(&of::mixed(3), Rules { records_after_look: false, ..KEPT }, usize::MAX);
    assert!(found.broken.is_none(), "{:?}", found.broken);
}
