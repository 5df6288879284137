//! Each pair of neighbouring steps of a plan exchanged, in turn: the search finds it, or it is said here why that order is free.

use std::cell::Cell;

use deepdesk_protocol::event::StepName::{
    self, Announce, Commit, Introduce, Prepare, Preserve, Restart, Spread, Stage, Sync, Verify,
};
use deepdesk_protocol::step::{Plan, Planned};

use super::explorations as of;
use super::plans;
use super::properties::Invariant::{self, NoPodLacksAKey, ProofNotStatus, ReadBeforeWrite, SomebodyCanGoOn};
use super::rules::Rules;
use super::search::{Exploration, Found, explore};

thread_local! {
    /// The pair that is exchanged by `exchanged`: rules are plain functions.
    static PAIR: Cell<Option<(StepName, StepName)>> = const { Cell::new(None) };
    /// How many plans had it.
    static EXCHANGES: Cell<usize> = const { Cell::new(0) };
}

/// With the first such pair of neighbours the other way round.
fn exchanged(mut plan: Plan) -> Plan {
    let Some((first, second)) = PAIR.get() else { return plan };
    let done = |planned: &Planned, name| matches!(planned, Planned::Do(_)) && planned.name() == name;
    let at = plan.steps.windows(2).position(|pair| done(&pair[0], first) && done(&pair[1], second));
    if let Some(at) = at {
        plan.steps.swap(at, at + 1);
        EXCHANGES.set(EXCHANGES.get() + 1);
    }
    plan
}

/// What comes of an exchange.
enum Exchanged {
    /// The search finds this.
    Breaks(Invariant),
    /// Nothing, for this reason.
    IsFree(&'static str),
}

use Exchanged::{Breaks, IsFree};

const BY_NAME: &str =
    "an ExternalSecret that names the back-compat copies nothing until it is there: by a pattern, it is found";
const VERIFY_RESTARTS: &str = "verify restarts by itself what is not new, and restart waits for the same: held twice";
const KEPT_ALREADY: &str = "restart has proven bytes and pods, and what is disabled is kept: verify is for an External Secrets that reads an older version again";

#[rustfmt::skip] // One line each: a table.
fn rows() -> Vec<(Exploration, StepName, StepName, Exchanged)> {
    vec![
        (of::rotate(2), Preserve, Stage, IsFree(BY_NAME)),
        (of::rotate(2), Stage, Introduce, IsFree(BY_NAME)),
        (of::rotate_by_pattern(2), Preserve, Stage, Breaks(ReadBeforeWrite)),
        (of::rotate_by_pattern(2), Stage, Introduce, Breaks(ReadBeforeWrite)),
        (of::rotate(2), Introduce, Sync, Breaks(ProofNotStatus)),
        (of::rotate(2), Sync, Restart, Breaks(ProofNotStatus)),
        (of::rotate(2), Restart, Verify, IsFree(VERIFY_RESTARTS)),
        (of::rotate(2), Verify, Commit, IsFree(KEPT_ALREADY)),
        (of::two_phase(2), Announce, Spread, Breaks(ReadBeforeWrite)),
        (of::two_phase(2), Spread, Prepare, Breaks(NoPodLacksAKey)),
        (of::two_phase(2), Prepare, Preserve, Breaks(NoPodLacksAKey)),
        (of::two_phase(2), Preserve, Stage, Breaks(ReadBeforeWrite)),
        (of::two_phase(2), Stage, Introduce, Breaks(ReadBeforeWrite)),
        (of::two_phase(2), Introduce, Sync, Breaks(NoPodLacksAKey)),
        (of::two_phase(2), Sync, Restart, Breaks(NoPodLacksAKey)),
        (of::two_phase(2), Restart, Verify, IsFree(VERIFY_RESTARTS)),
        (of::two_phase(2), Verify, Commit, IsFree(KEPT_ALREADY)),
        (of::rollback(2), Introduce, Sync, Breaks(ProofNotStatus)),
        (of::rollback(2), Sync, Preserve, Breaks(ReadBeforeWrite)),
        (of::rollback(2), Preserve, Stage, Breaks(ProofNotStatus)),
        (of::rollback(2), Stage, Restart, Breaks(ProofNotStatus)),
        (of::rollback(2), Restart, Verify, IsFree(VERIFY_RESTARTS)),
        (of::rollback(2), Verify, Commit, IsFree(KEPT_ALREADY)),
        (of::finalize(2), Preserve, Stage, Breaks(ReadBeforeWrite)),
        (of::finalize(2), Stage, Restart, Breaks(ProofNotStatus)),
        (of::finalize(2), Restart, Verify, Breaks(ProofNotStatus)),
        (of::finalize(2), Verify, Commit, IsFree(KEPT_ALREADY)),
    ]
}

/// The same of the two neighbours within one step: a look, and the write that it is for.
#[test]
fn each_exchange_of_a_look_and_its_write_is_found_or_free() {
    let with = |effects| Rules { effects, ..Rules::KEPT };
    let rows = [
        ("a version is added, and then seen to be absent", with(plans::late_absent), Breaks(SomebodyCanGoOn)),
        ("a version is disabled, and then seen to be kept", with(plans::late_held), IsFree(KEPT_ALREADY)),
    ];
    for (what, rules, expected) in rows {
        let found = explore(&of::rotate(2), rules, usize::MAX);
        judge(what, found, expected);
    }
}

#[test]
fn each_exchange_of_neighbours_is_found_or_free() {
    for (exploration, first, second, expected) in rows() {
        PAIR.set(Some((first, second)));
        EXCHANGES.set(0);
        let found = explore(&exploration, Rules { plan: exchanged, ..Rules::KEPT }, usize::MAX);
        let what = format!("{}: {second:?} before {first:?}", exploration.name);
        assert!(EXCHANGES.get() > 0, "{what}: no plan has the two side by side");
        judge(&what, found, expected);
    }
}

fn judge(what: &str, found: Found, expected: Exchanged) {
    match (found.broken, expected) {
        (Some((found, way)), Breaks(invariant)) => {
            assert_eq!(found, invariant, "{what}");
            println!("model: exchanged: {what}: {found:?} after {} steps", way.len() - 1);
        }
        (None, IsFree(why)) => println!("model: exchanged: {what}: free: {why}"),
        (None, Breaks(invariant)) => panic!("{what}: {} states, and not {invariant:?}", found.states),
        (Some((found, way)), IsFree(_)) => panic!("{what} is not free: {found:?}\n{}", way.join("\n")),
    }
}
