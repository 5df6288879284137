//! People act too (docs/protocol.md, "a hint is a plan"): before a run of ours, between any two of its requests, and after it, at most so many
//! times. No request of ours and no followed hint breaks what they had left whole, and whoever follows hints comes to an end.

mod acts;
mod breaks;
mod commands;
mod exceptions;
mod follow;
mod judge;
mod observe;
mod planner;
mod program;
mod rules;
mod run;
mod search;
mod starts;
mod world;

use std::sync::Mutex;
use std::time::Instant;

use rules::Rules;
use search::{Exploration, Found, explore};

#[test]
fn no_request_and_no_followed_hint_breaks_what_hands_left_whole() {
    let large = std::env::var("DEEPDESK_MODEL").is_ok_and(|size| size == "large");
    let begun = Instant::now();
    // One account alone, while something is being looked for.
    let only = std::env::var("DEEPDESK_MODEL_ONLY").unwrap_or_default();
    let found = side_by_side(starts::all(large).into_iter().filter(|one| one.name.contains(&only)).collect());
    assert!(!found.is_empty(), "no account is named `{only}`");
    let sum = |count: fn(&Found) -> usize| found.iter().map(|(_, found)| count(found)).sum::<usize>();
    println!(
        "model: hands: {} worlds, followed from {}, {:.1} s",
        sum(|found| found.worlds),
        sum(|found| found.followed),
        begun.elapsed().as_secs_f64(),
    );
    let mut wrong: Vec<String> = Vec::new();
    let mut met = exceptions::Met::default();
    for (exploration, found) in &found {
        for (decision, count) in &found.decisions {
            println!("model: hands: {}: a person decides, {count} times: {decision}", exploration.name);
        }
        for ((property, by), (count, way)) in &found.wrong {
            match met.why(*property, by, *count, large) {
                Some(why) => {
                    println!("model: hands: {}: not held, {count} times: {property:?} by {by}: {why}", exploration.name)
                }
                None => wrong.push(format!(
                    "{}: {property:?} by {by}, {count} times:\n{}",
                    exploration.name,
                    way.join("\n")
                )),
            }
        }
    }
    met.held_again().for_each(|held| println!("model: hands: held again: take it from exceptions.rs: {held}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Explores as many at once as there are processors.
fn side_by_side(all: Vec<Exploration>) -> Vec<(Exploration, Found)> {
    let (open, done) = (Mutex::new(all.into_iter()), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = open.lock().expect("nobody panics with it").next();
                    let Some(exploration) = next else { return };
                    let begun = Instant::now();
                    let found = explore(&exploration, Rules::KEPT, None);
                    println!(
                        "model: hands: {}, {} acts: {} worlds, followed from {}, {:.1} s",
                        exploration.name,
                        exploration.first.hands,
                        found.worlds,
                        found.followed,
                        begun.elapsed().as_secs_f64(),
                    );
                    done.lock().expect("nobody panics with it").push((exploration, found));
                }
            });
        }
    });
    done.into_inner().expect("nobody panics with it")
}
