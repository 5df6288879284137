//! Hands and hints: people do things to an account by hand, and then somebody who knows nothing does whatever the program
//! recommends. No live value may be lost on the way, by what the program does or by what it says.
//!
//! A seed is drawn into a script before anything runs (`script.rs`): the account, one to five acts (a version added, disabled,
//! enabled; an old value added again; the back-compat filled; a forced or a scheduled sync; a restart; a command of ours, also
//! one that is killed), or the runbook done by hand up to some place, with its slips. `account.rs` does them through the
//! sandbox's APIs. `follower.rs` is who comes after that, `hints.rs` what they make of a line, and `judge.rs` says what a loss is.
//!
//! `cargo test --test hands` plays a few seeds. DEEPDESK_HANDS=300 plays so many, DEEPDESK_FIRST is the first, DEEPDESK_SEED=12
//! plays one and tells its story, DEEPDESK_LANES is how many play at once. DEEPDESK_BINARY names the binary that is played; the
//! sandbox is always that of this build, so that an older program can be played in the same world:
//!
//! ```sh
//! DEEPDESK_HANDS=300 cargo test --test hands -- --nocapture
//! DEEPDESK_HANDS=300 DEEPDESK_BINARY=/before/kubectl-deepdesk cargo test --test hands -- --nocapture
//! ```
//!
//! The story of a seed that loses or circles is kept below `target/tmp`.

mod account;
#[path = "../shared/exports.rs"]
mod exports;
mod follower;
mod hints;
mod judge;
mod play;
#[path = "../shared/process.rs"]
#[expect(dead_code, reason = "of what all suites share, this one needs the program's path and its environment")]
mod process;
#[path = "../campaign/random.rs"]
mod random;
mod run;
mod script;
#[path = "../campaign/world.rs"]
#[expect(dead_code, reason = "of the campaign's world, this one needs to start it and to ask it")]
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::follower::End;
use crate::play::{Outcome, play};
use crate::script::Script;

/// So many seeds without being asked for more.
const SHORT: u64 = 24;
/// At most so many of a hundred end in a sentence that names a decision.
const DECISIONS: u64 = 15;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What all seeds came to.
#[derive(Default)]
struct Figures {
    seeds: u64,
    counts: BTreeMap<String, usize>,
    losing: Vec<u64>,
    circling: Vec<u64>,
    deciding: Vec<u64>,
    broken: Vec<u64>,
}

impl Figures {
    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        let followed = &outcome.followed;
        let path = followed.path.join(" ");
        if outcome.loses() {
            self.losing.push(seed);
            let first = &followed.losses[0];
            let verb = first.by.split(' ').filter(|word| word.starts_with("--") || !word.contains("secret"));
            let by: Vec<&str> = verb.filter(|word| !["acme", "globex", "initech"].contains(word)).collect();
            let retires = ["finalize", "--abandon-older", "--retired"].iter().any(|word| first.by.contains(word));
            let word = if retires { ", by word" } else { "" };
            self.count(format!("1 LOSS {}{word}, by {}", first.how, by.join(" ")));
            self.count("2 losing seeds");
            self.count(format!("6 losing path: {path}"));
        }
        if followed.said_done {
            self.count("2 seeds with \"rotated\" (0) while a value was lost");
        }
        match &followed.end {
            End::Calm => self.count("3 end calm"),
            End::Decision(why) => {
                self.count("3 end in a decision");
                self.count(format!("4 DECISION {why}"));
                self.deciding.push(seed);
            }
            End::Circle(why) => {
                self.count("3 end in a circle");
                self.count(format!("5 CIRCLE {why}"));
                self.circling.push(seed);
            }
        }
        followed.unknown.iter().for_each(|line| self.count(format!("7 hint that was not understood: {line}")));
    }

    fn told(&self, seconds: f64) -> String {
        let mut lines: Vec<(&String, &usize)> = self.counts.iter().collect();
        lines.sort_by_key(|(what, many)| (what.chars().next(), std::cmp::Reverse(**many)));
        let lines: Vec<String> = lines.iter().map(|(what, many)| format!("{many:>6} {}", &what[2..])).collect();
        format!(
            "{} seeds in {seconds:.0} s\n{}\nlosing: {:?}\ncircling: {:?}\ndeciding: {:?}",
            self.seeds,
            lines.join("\n"),
            self.losing,
            self.circling,
            self.deciding
        )
    }
}

/// Keeps the story of a seed, and says where.
fn keep(seed: u64, outcome: &Outcome) {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hands-{seed}.txt"));
    if let Err(error) = std::fs::write(&file, outcome.story.join("\n")) {
        println!("the story of seed {seed} is not kept: {error}");
    }
}

fn all(first: u64, seeds: u64, lanes: u64) -> Figures {
    let (next, all) = (AtomicU64::new(first), Mutex::new(Figures::default()));
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        break;
                    }
                    let outcome = std::panic::catch_unwind(|| play(&Script::of(seed)));
                    let mut all = all.lock().expect("nobody panicked");
                    let Ok(outcome) = outcome else {
                        all.broken.push(seed);
                        continue;
                    };
                    keep(seed, &outcome);
                    all.add(seed, &outcome);
                    println!("{}", outcome.brief(seed));
                }
            });
        }
    });
    all.into_inner().expect("nobody panicked")
}

#[test]
fn no_live_value_is_lost_by_what_is_done_or_recommended() {
    let start = Instant::now();
    if let Some(seed) = asked("DEEPDESK_SEED") {
        let outcome = play(&Script::of(seed));
        println!("{}", outcome.story.join("\n"));
        assert!(!outcome.loses() && !outcome.circles(), "{}", outcome.brief(seed));
        return;
    }
    let first = asked("DEEPDESK_FIRST").unwrap_or(1);
    let seeds = asked("DEEPDESK_HANDS").unwrap_or(SHORT);
    let figures = all(first, seeds, asked("DEEPDESK_LANES").unwrap_or(8));
    println!("{}", figures.told(start.elapsed().as_secs_f64()));
    assert!(figures.broken.is_empty(), "the driver itself failed, see above: {:?}", figures.broken);
    assert!(figures.losing.is_empty(), "lost; replay each with DEEPDESK_SEED: {:?}", figures.losing);
    assert!(figures.circling.is_empty(), "hints without an end; DEEPDESK_SEED: {:?}", figures.circling);
    let deciding = figures.deciding.len() as u64;
    assert!(deciding * 100 <= figures.seeds * DECISIONS, "{deciding} decisions of {}", figures.seeds);
}
