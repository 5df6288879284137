//! The pure planner, driven through every interleaving of its steps with crashes, scheduled syncs, pods that start by
//! themselves, a lagging `latest` and a second operator. The invariants of docs/protocol.md are looked at after each transition.
//!
//! `DEEPDESK_MODEL=large cargo test --test model -- --nocapture` lets more runs follow, and takes minutes.

mod breaks;
mod explorations;
mod hands;
mod observe;
mod operator;
mod orders;
mod planner;
mod plans;
mod program;
mod properties;
mod requests;
mod rules;
mod search;
mod undisturbed;
mod visited;
mod world;

use std::sync::Mutex;
use std::time::Instant;

use explorations as of;
use rules::Rules;
use search::{Exploration, Found, explore};

/// The states that an exploration may have at most: what memory allows.
const MOST: usize = 60_000_000;

#[test]
fn every_interleaving_keeps_the_invariants() {
    let large = std::env::var("DEEPDESK_MODEL").is_ok_and(|size| size == "large");
    let runs = |few, many| if large { many } else { few };
    // The longest last, since they are begun first.
    let all = vec![
        of::third_by_hand(runs(3, 5)),
        of::adopt(runs(3, 5)),
        of::adopt_after_restart(runs(3, 5)),
        of::in_turn(runs(5, 7)),
        of::rotate_by_pattern(runs(3, 6)),
        of::rotate(runs(3, 6)),
        of::abandon(runs(2, 4)),
        of::mixed(runs(2, 4)),
        of::two_phase(runs(3, 6)),
        of::rollback(runs(3, 5)),
        of::rollback_other_order(runs(3, 5)),
        of::finalize(runs(3, 5)),
        of::two_phase_rollback(runs(3, 4)),
    ];
    let begun = Instant::now();
    let found = side_by_side(all);
    let sum = |count: fn(&Found) -> usize| found.iter().map(|(_, found)| count(found)).sum::<usize>();
    println!(
        "model: {} states, {} transitions, depth {}, {:.1} s",
        sum(|found| found.states),
        sum(|found| found.transitions),
        found.iter().map(|(_, found)| found.depth).max().unwrap_or_default(),
        begun.elapsed().as_secs_f64(),
    );
    for (exploration, found) in found {
        if let Some((invariant, way)) = found.broken {
            panic!("{}: {invariant:?} does not hold:\n{}", exploration.name, way.join("\n"));
        }
        assert!(found.complete, "{}: more states than {MOST}", exploration.name);
    }
}

/// Explores as many at once as there are processors.
fn side_by_side(all: Vec<Exploration>) -> Vec<(Exploration, Found)> {
    let (open, done) = (Mutex::new(all), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = open.lock().expect("nobody panics with it").pop();
                    let Some(exploration) = next else { return };
                    let found = explore(&exploration, Rules::KEPT, MOST);
                    println!(
                        "model: {}, {} runs of {} at once: {} states, {} transitions, depth {}, {:.1} s",
                        exploration.name,
                        exploration.runs,
                        exploration.operators,
                        found.states,
                        found.transitions,
                        found.depth,
                        found.took.as_secs_f64(),
                    );
                    done.lock().expect("nobody panics with it").push((exploration, found));
                }
            });
        }
    });
    done.into_inner().expect("nobody panics with it")
}
