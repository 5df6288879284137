//! The campaign: seeded rotations with faults, kills and interrupts at random requests, several operators at once, and
//! after each the invariants I1 to I7, judged from outside.
//!
//! `cargo test --test campaign` plays a few seeds. DEEPDESK_CAMPAIGN=10000 plays so many, DEEPDESK_SEED=123 one, and tells
//! its story; DEEPDESK_BINARY names another binary than the one that cargo built, DEEPDESK_LANES how many seeds run at once,
//! DEEPDESK_FIRST the first seed.

mod checks;
#[path = "../shared/exports.rs"]
mod exports;
mod play;
#[path = "../shared/process.rs"]
#[expect(dead_code, reason = "of what all suites share, this one needs the program's path and its environment")]
mod process;
mod random;
mod record;
mod script;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::checks::Violation;
use crate::play::{Outcome, add, play};
use crate::record::Counts;
use crate::script::Script;

/// So many seeds without being asked for more.
const SHORT: u64 = 40;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn the_invariants_hold_whatever_strikes() {
    if let Some(seed) = asked("DEEPDESK_SEED") {
        let outcome = play(&Script::of(seed));
        println!("{}", outcome.story.join("\n"));
        println!("{}", told(1, &outcome.counts, 0.0));
        assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
        return;
    }
    let first = asked("DEEPDESK_FIRST").unwrap_or(1);
    let seeds = asked("DEEPDESK_CAMPAIGN").unwrap_or(SHORT);
    let lanes = asked("DEEPDESK_LANES").unwrap_or(12);
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let all: Mutex<(Counts, Vec<(u64, Outcome)>)> = Mutex::default();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        break;
                    }
                    let outcome = std::panic::catch_unwind(|| play(&Script::of(seed))).unwrap_or_else(|_| {
                        let what = "the driver itself failed: see above".to_owned();
                        Outcome { violations: vec![Violation { invariant: "driver", what }], ..Outcome::default() }
                    });
                    let mut all = all.lock().expect("nobody panicked");
                    add(&mut all.0, &outcome.counts);
                    if !outcome.violations.is_empty() {
                        println!("{}", failure(seed, &outcome));
                        all.1.push((seed, outcome));
                    }
                    drop(all);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done.is_multiple_of(250) {
                        println!("{done} seeds after {:.0} s", start.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let (counts, failed) = all.into_inner().expect("nobody panicked");
    println!("{}", told(seeds, &counts, start.elapsed().as_secs_f64()));
    println!("{} seeds with violations", failed.len());
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "replay each with DEEPDESK_SEED: {seeds:?}");
}

/// What a seed violates, in short; its whole story is kept in a file.
fn failure(seed: u64, outcome: &Outcome) -> String {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("campaign-{seed}.txt"));
    let kept = match std::fs::write(&file, outcome.story.join("\n")) {
        Ok(()) => file.display().to_string(),
        Err(error) => format!("not kept: {error}"),
    };
    let runs: Vec<&String> = outcome.story.iter().filter(|line| !line.starts_with("    ")).collect();
    let runs = runs.into_iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n");
    let what = outcome.violations.iter().map(|one| format!("  {}: {}", one.invariant, one.what.trim_end()));
    format!("VIOLATED in seed {seed} ({kept})\n{}\n{runs}", what.collect::<Vec<_>>().join("\n"))
}

/// The figures.
fn told(seeds: u64, counts: &Counts, seconds: f64) -> String {
    let lines: Vec<String> = counts.iter().map(|(what, times)| format!("{times:>8} {what}")).collect();
    format!("{seeds} seeds in {seconds:.0} s\n{}", lines.join("\n"))
}

#[test]
fn every_fault_of_the_sandbox_is_used() {
    let listed = std::process::Command::new(world::program()).args(["sandbox", "faults"]).output().expect("it runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let name = |line: &str| line.split(['=', '[', ' ']).next().unwrap_or_default().to_owned();
    let there: std::collections::BTreeSet<String> = listed.lines().map(name).filter(|name| !name.is_empty()).collect();
    assert!(there.len() > 20, "{listed}");
    assert_eq!(there, Script::known_faults());
}
