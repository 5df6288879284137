//! Tables over who is in a run, what a lane does next, and what is told; and the lanes under kills, in worlds drawn at random.

mod flags;
mod lanes;
mod members;
mod told;
mod worlds;

use super::*;
use crate::facts::names::{AccountName, RunId, VersionId};
use crate::facts::run_marks::{RunMark, RunMarks, Verb};
use crate::problem::{Exit, Problem, Reason};
use crate::state::State;
use jiff::Timestamp;
use std::time::Duration;

/// So many seconds after the first moment of the tests.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).expect("a time")
}

fn name(name: &str) -> AccountName {
    name.parse().expect("a fit name")
}

fn run_id(id: &str) -> RunId {
    id.parse().expect("a fit id")
}

/// A run that was named, of accounts that were selected.
fn choice(verb: Verb) -> Choice {
    Choice {
        run: Run::Given(run_id("nightly")),
        verb,
        selected: true,
        destroys: false,
        older_than: None,
        skip: Vec::new(),
    }
}

fn looked(state: State) -> Seen {
    Seen::Looked { state, refusal: None }
}

fn rotating() -> State {
    State::Rotating { from: VersionId::FIRST, to: VersionId::FIRST.next() }
}

/// An account of old, in which nothing was done yet.
fn candidate(account: &str) -> Candidate {
    Candidate {
        account: name(account),
        appeared: Some(at(-1_000)),
        marks: RunMarks::default(),
        seen: looked(State::Stable),
        in_use_since: Some(at(-1_000)),
        cost: Cost { writes: 3, syncs: 4, takes: Some(Duration::from_secs(10)), interrupts: true },
    }
}

fn marked(account: &str, verb: Verb, began: i64, done: Option<i64>) -> Candidate {
    let mut candidate = candidate(account);
    candidate.marks.put(RunMark { verb, run: run_id("nightly"), began: at(began), done: done.map(at) });
    candidate
}

/// Limits as flags give them: concurrency, waves, failures.
fn limits(concurrency: &str, waves: &str, failures: &str) -> Limits {
    Limits {
        concurrency: concurrency.parse().expect("a concurrency"),
        waves: (!waves.is_empty()).then(|| waves.parse().expect("waves")),
        max_failures: failures.parse().expect("a budget"),
        ..Limits::default()
    }
}

/// Accounts `a`, `b`, `c`, … that are ready.
fn ready(count: u8) -> Vec<Candidate> {
    (0..count).map(|at| candidate(&char::from(b'a' + at).to_string())).collect()
}

fn decided(limits: &Limits, candidates: Vec<Candidate>) -> Fleet {
    fleet(&choice(Verb::Rotate), limits, candidates, at(0)).expect("a run")
}
