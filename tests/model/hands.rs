//! People act too (docs/protocol.md, "a hint is a plan"): before a run of ours, between any two of its requests, and after it, at most so many
//! times. No request of ours and no followed hint breaks what they had left whole, and whoever follows hints comes to an end.

mod acts;
mod commands;
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

use std::time::Instant;

use rules::Rules;

#[test]
fn hands_survey() {
    let begun = Instant::now();
    let only = std::env::var("HANDS_ONLY").unwrap_or_default();
    for exploration in starts::all(false).into_iter().filter(|one| one.name.contains(&only)) {
        let found = search::explore(&exploration, Rules::KEPT, usize::MAX);
        println!(
            "hands: {}: {} worlds, {} followed, {:.1} s",
            exploration.name,
            found.worlds,
            found.followed,
            begun.elapsed().as_secs_f64()
        );
        for (signature, (count, way)) in found.wrong {
            println!("  {count:>6} {signature:?}");
            println!("{}", way.join("\n"));
        }
        for (decision, count) in found.decisions {
            println!("  decision {count:>6} {decision}");
        }
    }
}
