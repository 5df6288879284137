//! What is told of a run. The shape is a contract: add, never change.

use jiff::Timestamp;
use serde::Serialize;

use super::lanes::{Begun, Ended, Lanes, Stop};
use super::member::{Fleet, LeftOut, Passed, WhyNot};
use crate::facts::names::{RunId, listed};
use crate::problem::{Exit, Problem, Reason};

/// A run over accounts, beside the results of the accounts themselves.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunResult {
    /// Which run: the same command with `--run` and this goes on with it.
    pub run: RunId,
    /// `rotate`, `sync`, `verify`, `restart` or `finalize`.
    pub command: &'static str,
    /// When the run began, in whichever process.
    pub began: Timestamp,
    /// Whether another process began it.
    pub resumed: bool,
    /// What the process ends with.
    pub exit_code: u8,
    /// Stable word for why accounts were not begun: `TooManyFailures`, `UntilOver`, `WaveNotProven` or `Interrupted`; empty when all were.
    pub stopped: &'static str,
    /// The same in words.
    pub message: String,
    /// How many ended how.
    pub counts: Counts,
    /// The waves of which this process began accounts.
    pub waves: Vec<WaveResult>,
    /// The accounts that this process began, in that order.
    pub accounts: Vec<AccountEnd>,
    /// The accounts that it did not begin, with why.
    pub not_begun: Vec<NotBegunResult>,
}

/// How many accounts ended how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All that belong to the run, and those that may: all but what was skipped, is gone or appeared later.
    pub accounts: usize,
    /// Done by this process, and proven.
    pub done: usize,
    /// Done in this run before.
    pub done_before: usize,
    /// Did not end well.
    pub failed: usize,
    /// Of those, the ones that are half-way; the same command goes on with them.
    pub incomplete: usize,
    /// Stopped at a safe point.
    pub interrupted: usize,
    /// Still under way.
    pub under_way: usize,
    /// Not begun, and not done.
    pub not_begun: usize,
    /// Not in the run: skipped, gone, or appeared later.
    pub not_in_run: usize,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveResult {
    /// Which, counted from one.
    pub wave: usize,
    /// Whether the next one waits for it.
    pub gated: bool,
    /// When its first account began in this process.
    pub began: Timestamp,
    /// When its last one ended; null while one is under way.
    pub ended: Option<Timestamp>,
    /// Whether every account that was begun of it is proven, but for those that were passed over, in whose place others came.
    pub proven: bool,
    /// How many ended how; of those that were begun.
    pub counts: Counts,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountEnd {
    pub account: String,
    /// Its wave, counted from one.
    pub wave: usize,
    /// `done`, `passedOver`, `failed`, `incomplete`, `interrupted` or `underWay`.
    pub state: &'static str,
    /// The exit code that goes with it; null while it is under way.
    pub exit_code: Option<u8>,
    /// Stable word for why; empty when it is done.
    pub reason: &'static str,
    /// When it began.
    pub began: Timestamp,
    /// When it ended; null while it is under way.
    pub ended: Option<Timestamp>,
}

/// An account that was not begun.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotBegunResult {
    pub account: String,
    /// Stable word for why, `PascalCase`.
    pub reason: &'static str,
    /// The same in words.
    pub message: String,
    /// Whether it is in the run, and has still to be done.
    pub to_do: bool,
}

impl Stop {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Stop::Failures => "TooManyFailures",
            Stop::Until => "UntilOver",
            Stop::Gate(_) => "WaveNotProven",
            Stop::Interrupted => "Interrupted",
        }
    }
}

impl WhyNot {
    /// The stable word.
    pub fn word(&self) -> &'static str {
        match self {
            WhyNot::Passed(passed) => passed.word(),
            WhyNot::Skipped { .. } => "Skipped",
            WhyNot::Appeared { .. } => "AppearedLater",
            WhyNot::AgeUnknown => "AgeUnknown",
            WhyNot::Refused(problem) | WhyNot::NotSeen(problem) => problem.reason.as_str(),
            WhyNot::Stopped(stop) => stop.word(),
        }
    }

    /// Whether the account is still to be done: what is gone, came later or was left out by name is not, but for what is half-way.
    pub fn is_to_do(&self) -> bool {
        match self {
            WhyNot::Passed(Passed::DoneBefore { .. } | Passed::Gone) | WhyNot::Appeared { .. } => false,
            WhyNot::Skipped { half_way } => *half_way,
            WhyNot::Passed(Passed::AwaitsReencryption | Passed::Held)
            | WhyNot::AgeUnknown
            | WhyNot::Refused(_)
            | WhyNot::NotSeen(_)
            | WhyNot::Stopped(_) => true,
        }
    }

    /// In words.
    pub fn message(&self) -> String {
        let words = match self {
            WhyNot::Passed(Passed::DoneBefore { at }) => return format!("done in this run at {at}"),
            WhyNot::Appeared { at } => return format!("appeared at {at}, after the run began"),
            WhyNot::Refused(problem) | WhyNot::NotSeen(problem) => return problem.message.clone(),
            WhyNot::Passed(Passed::AwaitsReencryption) => "its last rotation awaits re-encryption",
            WhyNot::Passed(Passed::Held) => "another operator is at work on it",
            WhyNot::Passed(Passed::Gone) => "it is not there any more",
            WhyNot::Skipped { half_way: false } => "skipped by --skip",
            WhyNot::Skipped { half_way: true } => "skipped by --skip, and a rotation of it is half-way",
            WhyNot::AgeUnknown => "its age is unknown, and --older-than was given",
            WhyNot::Stopped(Stop::Failures) => "too many accounts did not end well",
            WhyNot::Stopped(Stop::Until) => "the time of --until is over",
            WhyNot::Stopped(Stop::Gate(_)) => "an account of an earlier wave did not end well",
            WhyNot::Stopped(Stop::Interrupted) => "interrupted",
        };
        words.to_owned()
    }
}

impl Passed {
    /// The stable word.
    pub fn word(&self) -> &'static str {
        match self {
            Passed::DoneBefore { .. } => "DoneBefore",
            Passed::AwaitsReencryption => Reason::AwaitingReencryption.as_str(),
            Passed::Held => Reason::Locked.as_str(),
            Passed::Gone => "Gone",
        }
    }
}

impl NotBegunResult {
    fn of(account: impl ToString, why: &WhyNot) -> NotBegunResult {
        NotBegunResult {
            account: account.to_string(),
            reason: why.word(),
            message: why.message(),
            to_do: why.is_to_do(),
        }
    }

    /// What is told of an account that was left out before the run.
    pub fn left_out(left: &LeftOut) -> NotBegunResult {
        NotBegunResult::of(&left.account, &left.why)
    }
}

impl AccountEnd {
    fn of(account: String, begun: &Begun) -> AccountEnd {
        let (state, exit, reason) = match begun.ended.as_ref().map(|(_, ended)| ended) {
            None => ("underWay", None, ""),
            Some(Ended::Proven) => ("done", Some(Exit::Done), ""),
            Some(Ended::Passed(passed @ Passed::DoneBefore { .. })) => ("passedOver", Some(Exit::Done), passed.word()),
            Some(Ended::Passed(passed)) => ("passedOver", Some(Exit::Refused), passed.word()),
            Some(Ended::Badly(exit @ Exit::Incomplete, reason)) => ("incomplete", Some(*exit), reason.as_str()),
            Some(Ended::Badly(exit, reason)) => ("failed", Some(*exit), reason.as_str()),
            Some(Ended::Interrupted) => ("interrupted", Some(Exit::Interrupted), Reason::Interrupted.as_str()),
        };
        AccountEnd {
            account,
            wave: begun.wave + 1,
            state,
            exit_code: exit.map(Exit::code),
            reason,
            began: begun.at,
            ended: begun.ended.as_ref().map(|(at, _)| *at),
        }
    }
}

impl Counts {
    fn add(&mut self, begun: &Begun) {
        match begun.ended.as_ref().map(|(_, ended)| ended) {
            None => self.under_way += 1,
            Some(Ended::Proven) => self.done += 1,
            Some(Ended::Passed(Passed::DoneBefore { .. })) => self.done_before += 1,
            Some(Ended::Passed(Passed::Gone)) => {
                self.not_in_run += 1;
                return;
            }
            Some(Ended::Passed(Passed::AwaitsReencryption | Passed::Held)) => self.not_begun += 1,
            Some(Ended::Badly(exit, _)) => {
                self.failed += 1;
                self.incomplete += usize::from(*exit == Exit::Incomplete);
            }
            Some(Ended::Interrupted) => self.interrupted += 1,
        }
        self.accounts += 1;
    }

    fn leave(&mut self, why: &WhyNot) {
        match why.is_to_do() {
            true => (self.accounts, self.not_begun) = (self.accounts + 1, self.not_begun + 1),
            false => self.not_in_run += 1,
        }
    }

    /// Whether some are done, and none of the others can still be, or end badly.
    fn are_proven(self) -> bool {
        self.done + self.done_before > 0 && self.failed + self.interrupted + self.under_way == 0
    }

    /// Whether nothing is left to do.
    fn is_all_done(self) -> bool {
        self.done + self.done_before == self.accounts
    }
}

impl Lanes {
    /// How many ended how until now.
    pub fn counts(&self) -> Counts {
        let fleet = self.fleet();
        let mut counts = Counts { accounts: fleet.done.len(), done_before: fleet.done.len(), ..Counts::default() };
        self.begun().values().for_each(|begun| counts.add(begun));
        fleet.left_out.iter().for_each(|left| counts.leave(&left.why));
        let open = fleet.members.len() - self.begun().len();
        counts.accounts += open;
        counts.not_begun += open;
        counts
    }

    /// What is told of the run. Before its end, too: whoever is stopped at once tells what is under way.
    pub fn result(&self) -> RunResult {
        let fleet = self.fleet();
        let named = self.begun().iter().map(|(at, begun)| (fleet.members[*at].account.to_string(), begun));
        let accounts: Vec<AccountEnd> = named.map(|(account, begun)| AccountEnd::of(account, begun)).collect();
        let mut not_begun: Vec<NotBegunResult> = fleet.left_out.iter().map(NotBegunResult::left_out).collect();
        let open = fleet.members.iter().enumerate().filter(|(at, _)| !self.begun().contains_key(at));
        // Who is stopped at once has no answer yet to why.
        let stop = WhyNot::Stopped(self.stopped().unwrap_or(Stop::Interrupted));
        not_begun.extend(open.map(|(_, member)| NotBegunResult::of(&member.account, &stop)));
        let counts = self.counts();
        // A run that was stopped after its last account began left nobody out.
        let stopped = self.stopped().filter(|_| self.begun().len() < fleet.members.len() || counts.interrupted > 0);
        RunResult {
            run: fleet.run.clone(),
            command: fleet.verb.as_str(),
            began: fleet.began,
            resumed: fleet.resumed,
            exit_code: self.exit().code(),
            stopped: stopped.map(Stop::word).unwrap_or_default(),
            message: stopped.map(|stop| self.told(stop)).unwrap_or_default(),
            counts,
            waves: self.waves(),
            accounts,
            not_begun,
        }
    }

    /// What the process ends with: 0 where all is done, 5 where something was done and something not, 4 where nothing was, 1 where nothing
    /// could be looked at, 130 where it was interrupted. Whoever only reads ends with the worst of what was read.
    pub fn exit(&self) -> Exit {
        let counts = self.counts();
        let ends = || self.begun().values().filter_map(|begun| begun.ended.as_ref().map(|(_, ended)| ended));
        let badly = || {
            ends().filter_map(|ended| match ended {
                Ended::Badly(exit, _) => Some(*exit),
                Ended::Proven | Ended::Passed(_) | Ended::Interrupted => None,
            })
        };
        let left = || self.fleet().left_out.iter().map(|left| &left.why).filter(|why| why.is_to_do());
        let passed = ends().any(|ended| matches!(ended, Ended::Passed(Passed::AwaitsReencryption | Passed::Held)));
        let unseen = left().all(|why| matches!(why, WhyNot::NotSeen(_))) && badly().all(|exit| exit == Exit::Failed);
        if counts.is_all_done() {
            return Exit::Done;
        }
        if self.stopped() == Some(Stop::Interrupted) || counts.interrupted + counts.under_way > 0 {
            return Exit::Interrupted;
        }
        if self.fleet().verb.only_reads() {
            let of_left = left().map(|why| match why {
                WhyNot::Refused(problem) | WhyNot::NotSeen(problem) => problem.exit,
                _ => Exit::Failed,
            });
            return badly().chain(of_left).max().unwrap_or(Exit::Failed);
        }
        match counts.done + counts.incomplete {
            0 if unseen && !passed && counts.failed + left().count() > 0 => Exit::Failed,
            0 => Exit::Refused,
            _ => Exit::Incomplete,
        }
    }

    /// How the run ended, for whoever shows it; none where all is done.
    pub fn problem(&self) -> Option<Problem> {
        let counts = self.counts();
        if self.exit() == Exit::Done {
            return None;
        }
        let todo = counts.accounts - counts.done - counts.done_before;
        let line = match self.stopped() {
            Some(stop) => self.told(stop),
            None => format!("{todo} of {} accounts are not done", counts.accounts),
        };
        let reason = match self.stopped() {
            Some(Stop::Interrupted) => Reason::Interrupted,
            Some(Stop::Failures | Stop::Until | Stop::Gate(_)) | None => Reason::NotBegun,
        };
        let done = format!(
            "{} done, {} done before, {} failed, {} not begun",
            counts.done, counts.done_before, counts.failed, counts.not_begun
        );
        Some(Problem::new(reason, line).with_exit(self.exit()).now(done))
    }

    fn told(&self, stop: Stop) -> String {
        let fleet = self.fleet();
        let bad = || self.begun().iter().filter(|(_, begun)| matches!(begun.ended, Some((_, Ended::Badly(..)))));
        let names = |wave: Option<usize>| {
            let of = bad().filter(|(_, begun)| wave.is_none_or(|wave| begun.wave + 1 == wave));
            listed(&of.map(|(at, _)| &fleet.members[*at].account).collect::<Vec<_>>())
        };
        match stop {
            Stop::Failures => format!(
                "{} did not end well, and --max-failures allows {}: {}",
                bad().count(),
                fleet.limits.max_failures.unwrap_or_default(),
                names(None)
            ),
            Stop::Until => {
                let until = fleet.limits.until.map(|until| until.to_string()).unwrap_or_default();
                format!("no account begins after --until {until}")
            }
            Stop::Gate(wave) => format!("wave {wave} is not proven: {} did not end well", names(Some(wave))),
            Stop::Interrupted => "interrupted".to_owned(),
        }
    }

    fn waves(&self) -> Vec<WaveResult> {
        let mut waves: Vec<WaveResult> = Vec::new();
        for begun in self.begun().values() {
            if waves.last().is_none_or(|last| last.wave != begun.wave + 1) {
                waves.push(WaveResult {
                    wave: begun.wave + 1,
                    gated: begun.wave < self.fleet().limits.waves.len(),
                    began: begun.at,
                    ended: Some(begun.at),
                    proven: true,
                    counts: Counts::default(),
                });
            }
            if let Some(wave) = waves.last_mut() {
                let ended = begun.ended.as_ref().map(|(at, _)| *at);
                wave.ended = wave.ended.zip(ended).map(|(one, other)| one.max(other));
                wave.counts.add(begun);
                wave.proven = wave.counts.are_proven();
            }
        }
        waves
    }
}

impl Fleet {
    /// That nothing may begin any more: known before anybody is asked.
    pub fn is_over(&self, now: Timestamp) -> Option<Problem> {
        let until = self.limits.until.filter(|until| now > *until && !self.members.is_empty())?;
        Some(Problem::new(Reason::NotBegun, format!("no account begins after --until {until}, and it is {now}")))
    }
}
