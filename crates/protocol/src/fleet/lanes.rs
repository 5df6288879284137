//! What a lane does next. Whoever carries a run out asks [`Lanes::next`], does what it says, and gives each turn back with how it ended;
//! nothing else decides who begins, and when no one does.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::member::{Fleet, Passed};
use crate::facts::names::AccountName;
use crate::problem::{Exit, Problem, Reason};

/// What is to be done.
#[derive(Debug)]
pub enum Next {
    /// Begin this account now, and ask again: another lane may be free.
    Begin(Turn),
    /// Ask again once an account ended, or at this moment.
    Wait {
        /// The moment; none where only an end changes anything.
        until: Option<Timestamp>,
        why: Waiting,
    },
    /// Nothing is under way, and nothing begins any more.
    Over(Option<Stop>),
}

/// What the lanes wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Waiting {
    /// Every account was begun; the last ones are under way.
    Ends,
    /// As many are under way as may be.
    Lanes,
    /// The accounts of this wave have to be proven first; waves count from one.
    Gate(usize),
    /// The pause behind this wave.
    Pause(usize),
    /// Writes to Secret Manager that the quota allows.
    Writes,
    /// The run has stopped; those under way end.
    Stopped(Stop),
}

/// Why no further account begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// More accounts did not end well than may.
    Failures,
    /// `--until`.
    Until,
    /// An account of this wave did not end well: it is not proven.
    Gate(usize),
    /// Ctrl-C, or a signal.
    Interrupted,
}

/// The leave to do one account. Only [`Lanes::next`] gives it, once for each account, and [`Lanes::ended`] takes it back.
#[derive(Debug)]
pub struct Turn {
    at: usize,
    account: AccountName,
    wave: usize,
}

impl Turn {
    pub fn account(&self) -> &AccountName {
        &self.account
    }

    /// Its wave, counted from one; the last one has all that no gate is behind.
    pub fn wave(&self) -> usize {
        self.wave + 1
    }
}

/// How an account ended in its lane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// It is done, or there was nothing to do, and that was proven by bytes and pods: never by what a controller reports.
    Proven,
    /// It needed nothing of this run, and nothing was written.
    Passed(Passed),
    /// It did not end well.
    Badly(Exit, Reason),
    /// It was stopped, since the process was.
    Interrupted,
}

impl Ended {
    /// How the story of one account ended, by the problem that it ended with.
    pub fn of(problem: Option<&Problem>) -> Ended {
        let Some(problem) = problem else { return Ended::Proven };
        match (problem.exit, problem.reason) {
            (Exit::Done, _) => Ended::Proven,
            (Exit::Interrupted, _) => Ended::Interrupted,
            (Exit::Refused, Reason::AwaitingReencryption) => Ended::Passed(Passed::AwaitsReencryption),
            (Exit::Refused, Reason::Locked) => Ended::Passed(Passed::Held),
            (Exit::Failed, Reason::NoSuchNamespace) => Ended::Passed(Passed::Gone),
            // In the middle of a change the same reasons tell of something half done.
            (exit, reason) => Ended::Badly(exit, reason),
        }
    }
}

/// What the limiter of writes to Secret Manager lets through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Writes {
    /// How many it would let through now.
    pub left: u32,
    /// When to ask again, where those are too few.
    pub more: Timestamp,
}

/// How soon is asked again at the earliest: nobody is to ask all the time.
const SOON: SignedDuration = SignedDuration::from_millis(100);

impl Writes {
    /// Where nothing limits them.
    pub const PLENTY: Writes = Writes { left: u32::MAX, more: Timestamp::MIN };
}

/// What happened to an account that was begun.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) wave: usize,
    pub(super) at: Timestamp,
    /// None while it is under way.
    pub(super) ended: Option<(Timestamp, Ended)>,
}

/// A run that is under way in this process.
#[derive(Debug)]
pub struct Lanes {
    fleet: Fleet,
    /// What was begun, by its place among the members.
    begun: BTreeMap<usize, Begun>,
    /// The first member that was not.
    first: usize,
    under_way: usize,
    failures: usize,
    gate: Gate,
    stopped: Option<Stop>,
}

/// The wave whose accounts begin. What was done before the process fills the first ones.
#[derive(Debug, Default)]
struct Gate {
    /// Which, from zero; behind the last one that has a gate are all others.
    wave: usize,
    /// How many places of it are taken.
    taken: usize,
    /// Whether one of its accounts did not end well.
    broken: bool,
    /// When the last of its accounts was proven.
    proven: Option<Timestamp>,
    /// The end of the pause before it.
    opens: Option<Timestamp>,
}

impl Lanes {
    /// The lanes of a run in which nothing was begun yet by this process.
    pub fn new(fleet: Fleet) -> Lanes {
        let gate = Gate::default();
        let begun = BTreeMap::new();
        let mut lanes = Lanes { fleet, begun, first: 0, under_way: 0, failures: 0, gate, stopped: None };
        for at in lanes.fleet.done.iter().map(|(_, at)| *at).collect::<Vec<_>>() {
            lanes.pass_gate();
            // A record that another clock wrote must not make the pause longer than it is.
            lanes.gate.take_proven(at.min(lanes.fleet.decided));
        }
        lanes
    }

    /// The run.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What is to be done next.
    pub fn next(&mut self, now: Timestamp, writes: Writes) -> Next {
        let Some(member) = self.fleet.members.get(self.first) else {
            return self.rest(Waiting::Ends, None);
        };
        let (account, needs) = (member.account.clone(), member.cost.writes);
        self.stop_where_due(now);
        if let Some(stop) = self.stopped {
            return self.rest(Waiting::Stopped(stop), Some(stop));
        }
        if let Some(held) = self.held_back(now, needs, writes) {
            return held;
        }
        let turn = Turn { at: self.first, account, wave: self.gate.wave };
        self.begun.insert(turn.at, Begun { wave: turn.wave, at: now, ended: None });
        self.gate.taken += 1;
        self.under_way += 1;
        self.first += 1;
        Next::Begin(turn)
    }

    /// Takes a turn back.
    pub fn ended(&mut self, turn: Turn, ended: Ended, now: Timestamp) {
        self.under_way -= 1;
        match &ended {
            // Also where another process of the same run has done it.
            Ended::Proven | Ended::Passed(Passed::DoneBefore { .. }) => self.gate.proven = Some(now),
            // Somebody else takes its place: a wave of nobody would prove nothing.
            Ended::Passed(_) => self.gate.taken -= 1,
            Ended::Badly(..) => {
                self.failures += 1;
                self.gate.broken = true;
            }
            Ended::Interrupted => self.interrupt(),
        }
        if let Some(begun) = self.begun.get_mut(&turn.at) {
            begun.ended = Some((now, ended));
        }
    }

    /// No further account begins: Ctrl-C, or a signal.
    pub fn interrupt(&mut self) {
        self.stopped = Some(Stop::Interrupted);
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Why no further account begins, where none does.
    pub fn stopped(&self) -> Option<Stop> {
        self.stopped
    }

    pub(super) fn begun(&self) -> &BTreeMap<usize, Begun> {
        &self.begun
    }

    fn rest(&self, waiting: Waiting, stop: Option<Stop>) -> Next {
        match self.under_way {
            0 => Next::Over(stop),
            _ => Next::Wait { until: None, why: waiting },
        }
    }

    /// Once stopped, a run stays so: a clock that is set back does not begin it again.
    fn stop_where_due(&mut self, now: Timestamp) {
        if self.stopped.is_some() {
            return;
        }
        let until = self.fleet.limits.until;
        let is_over = |moment: Timestamp| until.is_some_and(|until| moment > until);
        if self.fleet.limits.max_failures.is_some_and(|most| self.failures > most) {
            self.stopped = Some(Stop::Failures);
        } else if is_over(now) {
            self.stopped = Some(Stop::Until);
        } else if self.under_way == 0 && self.gate.is_full(&self.fleet) && self.gate.broken {
            self.stopped = Some(Stop::Gate(self.gate.wave + 1));
        } else if self.under_way == 0 {
            self.pass_gate();
            // Nobody has to wait for the end of a pause after which nothing begins.
            if self.gate.opens.is_some_and(is_over) {
                self.stopped = Some(Stop::Until);
            }
        }
    }

    /// Goes on to the next wave, where every account of this one is proven.
    fn pass_gate(&mut self) {
        if self.gate.is_full(&self.fleet) && !self.gate.broken {
            let wait = SignedDuration::try_from(self.fleet.limits.wave_wait).unwrap_or(SignedDuration::MAX);
            let opens = |proven: Timestamp| proven.checked_add(wait).unwrap_or(Timestamp::MAX);
            let opens = self.gate.proven.map(opens).filter(|_| !wait.is_zero());
            self.gate = Gate { wave: self.gate.wave + 1, opens, ..Gate::default() };
        }
    }

    /// What keeps the next account from beginning now.
    fn held_back(&self, now: Timestamp, needs: u32, writes: Writes) -> Option<Next> {
        let wait = |until, why| Some(Next::Wait { until, why });
        if self.gate.is_full(&self.fleet) {
            return wait(None, Waiting::Gate(self.gate.wave + 1));
        }
        if let Some(opens) = self.gate.opens.filter(|opens| *opens > now) {
            return wait(Some(opens), Waiting::Pause(self.gate.wave));
        }
        if self.under_way >= self.fleet.limits.concurrency {
            return wait(None, Waiting::Lanes);
        }
        // An account that would only wait for its writes is better not begun: it would be half-way for longer. One alone may be: its
        // writes may be more than are ever let through at once.
        if writes.left < needs && self.under_way > 0 {
            let soon = now.checked_add(SOON).unwrap_or(now);
            return wait(Some(writes.more.max(soon)), Waiting::Writes);
        }
        None
    }
}

impl Gate {
    /// Whether it has a gate behind it, and all of its accounts.
    fn is_full(&self, fleet: &Fleet) -> bool {
        fleet.limits.waves.get(self.wave).is_some_and(|size| self.taken >= *size)
    }

    fn take_proven(&mut self, at: Timestamp) {
        self.taken += 1;
        self.proven = Some(at);
    }
}
