//! An account as the world has it, what a lane does to it, and what the judge remembers of that.

use std::collections::BTreeMap;

use super::super::*;
use crate::facts::names::SecretId;
use crate::record::{self, Annotations};

/// How long a lock lives once nobody renews it.
const LIFE: i64 = 21;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Values {
    Stable,
    Rotating,
    /// Committed; and by which run, where its process died before it recorded so.
    Awaiting,
}

pub(super) struct Account {
    pub(super) name: AccountName,
    pub(super) appeared: i64,
    pub(super) exists: bool,
    /// Whether the second operator selects it.
    pub(super) labelled: bool,
    /// Whether a look shows that it would be refused.
    pub(super) refused: bool,
    /// How often it fails before it does not.
    pub(super) fails: usize,
    pub(super) takes: i64,
    pub(super) values: Values,
    pub(super) unrecorded: Option<RunId>,
    pub(super) record: Annotations,
    /// The process that holds the lock, and when that ends unless it is renewed.
    pub(super) lock: Option<(usize, i64)>,
    /// The judge's: when it ended well in a run, and how many values it was given.
    pub(super) ended_well: BTreeMap<RunId, i64>,
    pub(super) set_out: BTreeMap<RunId, usize>,
    pub(super) rotated: usize,
}

/// How far a lane is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Look,
    Work,
    Commit,
    Record,
}

pub(super) struct Lane {
    pub(super) turn: Turn,
    pub(super) account: usize,
    pub(super) stage: Stage,
    pub(super) when: i64,
    /// What it will end with where it fails.
    pub(super) fails: bool,
}

fn secret() -> SecretId {
    "any_account_secret".parse().expect("a fit id")
}

impl Account {
    pub(super) fn marks(&self) -> RunMarks {
        record::run_marks(&self.record, &secret())
    }

    fn state(&self) -> State {
        match self.values {
            Values::Stable => State::Stable,
            Values::Rotating => rotating(),
            Values::Awaiting => State::AwaitingReencryption,
        }
    }

    /// As a survey before the run sees it: none of what the lock would show, and no values.
    pub(super) fn seen(&self) -> Candidate {
        let refusal = self.refused.then(|| Problem::new(Reason::CheckFailed, "no"));
        let seen = match self.exists {
            true => Seen::Looked { state: self.state(), refusal },
            false => Seen::Gone,
        };
        let young = self.values != Values::Stable || self.rotated > 0;
        Candidate {
            account: self.name.clone(),
            appeared: Some(at(self.appeared)),
            marks: self.marks(),
            seen,
            in_use_since: Some(at(if young { 0 } else { -1_000_000 })),
            cost: Cost::default(),
        }
    }

    /// One step of a lane. Ends it, or says how long the next step takes.
    pub(super) fn step(&mut self, lane: &mut Lane, fleet: &Fleet, process: usize, now: i64) -> Option<Ended> {
        let ended = self.done_by(lane, fleet, process, now);
        if ended.is_some() && self.lock.is_some_and(|(holder, _)| holder == process) {
            self.lock = None;
        }
        ended
    }

    fn done_by(&mut self, lane: &mut Lane, fleet: &Fleet, process: usize, now: i64) -> Option<Ended> {
        if !self.exists {
            return Some(match lane.stage {
                Stage::Look => Ended::Passed(Passed::Gone),
                _ => Ended::Badly(Exit::Incomplete, Reason::NoSuchNamespace),
            });
        }
        match lane.stage {
            Stage::Look => return self.look(lane, fleet, process, now),
            Stage::Work if lane.fails => {
                self.fails -= 1;
                return Some(Ended::Badly(Exit::Incomplete, Reason::RolloutStuck));
            }
            Stage::Work => lane.stage = Stage::Commit,
            Stage::Commit => {
                self.values = Values::Awaiting;
                self.unrecorded = Some(fleet.run.clone());
                lane.stage = Stage::Record;
            }
            Stage::Record => {
                let mark = fleet.mark(Some(at(now))).expect("it changes something");
                record::mark_run(&mut self.record, &mark);
                self.unrecorded = None;
                self.ended_well.entry(fleet.run.clone()).or_insert(now);
                return Some(Ended::Proven);
            }
        }
        lane.when = now + 1;
        None
    }

    /// Takes the lock, looks again, and sets out.
    fn look(&mut self, lane: &mut Lane, fleet: &Fleet, process: usize, now: i64) -> Option<Ended> {
        if self.lock.is_some_and(|(holder, until)| holder != process && until > now) {
            return Some(Ended::of(Some(&Problem::new(Reason::Locked, "held"))));
        }
        self.lock = Some((process, i64::MAX));
        if let Some(passed) = fleet.passes_over(&self.marks(), Some(self.state())) {
            return Some(Ended::Passed(passed));
        }
        if self.values == Values::Awaiting && self.unrecorded.as_ref() != Some(&fleet.run) {
            return Some(Ended::of(Some(&Problem::new(Reason::AwaitingReencryption, "no"))));
        }
        if self.fails > 0 && now % 3 == 0 {
            self.fails -= 1;
            return Some(Ended::Badly(Exit::Failed, Reason::ConnectionFailed));
        }
        // From here on it is begun in the run.
        assert!(
            !self.ended_well.contains_key(&fleet.run),
            "{} was done in {} and is begun again",
            self.name,
            fleet.run
        );
        *self.set_out.entry(fleet.run.clone()).or_default() += 1;
        record::mark_run(&mut self.record, &fleet.mark(None).expect("it changes something"));
        (lane.stage, lane.when) = match self.values {
            Values::Awaiting => (Stage::Record, now + 1),
            values => {
                self.rotated += usize::from(values == Values::Stable);
                self.values = Values::Rotating;
                lane.fails = self.fails > 0;
                (Stage::Work, now + self.takes)
            }
        };
        None
    }

    /// Its process died.
    pub(super) fn orphan(&mut self, process: usize, now: i64) {
        if self.lock.is_some_and(|(holder, _)| holder == process) {
            self.lock = Some((process, now + LIFE));
        }
    }

    /// The data was saved again: nothing older is needed.
    pub(super) fn finalize(&mut self) {
        if self.values == Values::Awaiting && self.unrecorded.is_none() && self.lock.is_none() {
            self.values = Values::Stable;
        }
    }
}
