//! The planner, driven through every interleaving.
mod breaks;
mod explorations;
mod observe;
mod operator;
mod planner;
mod program;
mod properties;
mod rules;
mod search;
mod visited;
mod world;

use explorations as of;

#[test]
fn try_it() {
    for exploration in [
        of::rotate(3), of::rollback(3), of::rollback_other_order(2), of::two_phase(3), of::two_phase_rollback(3), of::mixed(2), of::finalize(3), of::in_turn(4), of::adopt(3), of::abandon(3),
    ] {
        let found = search::explore(&exploration, rules::Rules::KEPT, 3_000_000);
        println!("{} {}: {} states {} transitions depth {} complete {} {:?}", exploration.name, exploration.runs, found.states, found.transitions, found.depth, found.complete, found.took);
        if let Some((invariant, way)) = found.broken {
            println!("{invariant:?}");
            way.iter().for_each(|line| println!("  {line}"));
        }
    }
}
