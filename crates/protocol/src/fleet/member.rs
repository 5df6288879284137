//! Who is in a run, in which order, and who is not, with why.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::lanes::{Ended, Stop};
use super::limits::{Limits, Resolved};
use crate::command;
use crate::facts::names::{AccountName, RunId, listed};
use crate::facts::run_marks::{RunMark, RunMarks, Verb};
use crate::hint::Hint;
use crate::problem::{Problem, Reason};
use crate::state::State;

/// The run that is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Run {
    /// A new one.
    Made(RunId),
    /// The one that was named (`--run`): a new one as well, where no account and no time in its id tells of it.
    Given(RunId),
}

impl Run {
    pub fn id(&self) -> &RunId {
        match self {
            Run::Made(id) | Run::Given(id) => id,
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Choice {
    pub run: Run,
    /// What is done with each account.
    pub verb: Verb,
    /// Whether accounts were selected, and not named.
    pub selected: bool,
    /// Whether versions are destroyed for good (`finalize --destroy`).
    pub destroys: bool,
    /// Only accounts whose newest version is older (`--older-than`).
    pub older_than: Option<Duration>,
    /// Not these (`--skip`).
    pub skip: Vec<AccountName>,
}

/// What was seen of an account before the run.
#[derive(Clone, Debug)]
pub enum Seen {
    Looked {
        state: State,
        /// Why it would be refused, where that was asked and it would.
        refusal: Option<Problem>,
    },
    Gone,
    /// It could not be looked at.
    NotSeen(Problem),
}

/// What it costs to do an account, before it is done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// Writes to Secret Manager.
    pub writes: u32,
    /// Syncs that External Secrets is asked for.
    pub syncs: u32,
    /// How long the last one took; none where nobody knows.
    pub takes: Option<Duration>,
    /// Whether pods on the old and the new value serve side by side meanwhile.
    pub interrupts: bool,
}

/// An account that was named or selected, as it was seen.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub account: AccountName,
    /// When it became an account: the later of its namespace's and its first ExternalSecret's creation, by the API server's clock.
    pub appeared: Option<Timestamp>,
    /// The runs in its record.
    pub marks: RunMarks,
    pub seen: Seen,
    /// Since when its newest version is there, where that is known.
    pub in_use_since: Option<Timestamp>,
    pub cost: Cost,
}

/// Why an account needs nothing of this run, by a look before it or in its lane. Nothing was written in it, and nothing is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Passed {
    /// Its record has this run as done.
    DoneBefore {
        /// When.
        at: Timestamp,
    },
    /// It was rotated by another run, and its data has to be re-encrypted first.
    AwaitsReencryption,
    /// Another operator is at work on it.
    Held,
    /// It is not there any more.
    Gone,
}

/// Why an account was not begun.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WhyNot {
    /// It needs nothing of this run.
    Passed(Passed),
    /// `--skip`.
    Skipped {
        /// Whether a change of it is half-way, which goes on with the next run that has it.
        half_way: bool,
    },
    /// It appeared after the run began.
    Appeared {
        /// When.
        at: Timestamp,
    },
    /// `--older-than`, and nobody knows its age.
    AgeUnknown,
    /// It would be refused.
    Refused(Problem),
    /// It could not be looked at.
    NotSeen(Problem),
    /// The run stopped before its turn.
    Stopped(Stop),
}

/// An account that is not begun by this process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftOut {
    pub account: AccountName,
    pub why: WhyNot,
}

/// An account that is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    pub account: AccountName,
    /// Its state before the run.
    pub state: State,
    /// Whether an earlier process left it half-way.
    pub half_way: bool,
    pub cost: Cost,
}

/// A run, decided: who is in it, in which order, how much at once and when to stop. What is asked about, and what [`super::Lanes`] carry out.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub run: RunId,
    /// What is done with each account.
    pub verb: Verb,
    /// When the run began, in whichever process. Stands in every mark.
    pub began: Timestamp,
    /// Whether an earlier process, or another one, began it.
    pub resumed: bool,
    /// When it was decided.
    pub decided: Timestamp,
    /// The accounts to do, in the order in which they begin.
    pub members: Vec<Member>,
    /// Those that were done in this run before, each with when, the earliest first.
    pub done: Vec<(AccountName, Timestamp)>,
    /// Those that are not begun, in the order given.
    pub left_out: Vec<LeftOut>,
    /// The names of `--skip` that mean no account: in a run that is resumed the account may be gone.
    pub skipped_nobody: Vec<AccountName>,
    /// How much at once, and when to stop.
    pub limits: Resolved,
}

/// Decides a run, or says what is wrong with what was asked for. The candidates come in the order in which they are to begin.
pub fn fleet(choice: &Choice, limits: &Limits, candidates: Vec<Candidate>, now: Timestamp) -> Result<Fleet, Problem> {
    if choice.destroys && choice.selected {
        let line = "--destroy takes accounts by name only: it destroys versions for good";
        return Err(Problem::new(Reason::Usage, line).hint("name each account"));
    }
    let known = known_beginning(choice, &candidates);
    let (began, resumed) = (known.unwrap_or(now).min(now), known.is_some());
    let candidates = each_once(candidates);
    let skipped_nobody = skipped_nobody(choice, &candidates, resumed)?;
    missing(choice, &candidates, resumed)?;
    let mut fleet = Fleet {
        run: choice.run.id().clone(),
        verb: choice.verb,
        began,
        resumed,
        decided: now,
        members: Vec::new(),
        done: Vec::new(),
        left_out: Vec::new(),
        skipped_nobody,
        // Shares are of accounts that are counted below.
        limits: limits.resolve(choice.verb, 0, 0),
    };
    for candidate in candidates {
        fleet.place(choice, candidate, now);
    }
    // The sort is stable: within both groups the order given stays.
    fleet.members.sort_by_key(|member| !member.half_way);
    fleet.done.sort_by_key(|(_, at)| *at);
    fleet.limits = limits.resolve(choice.verb, fleet.members.len() + fleet.done.len(), fleet.members.len());
    Ok(fleet)
}

/// When the run began, as its accounts tell, or its id where it died before the first of them. The earliest: who appeared later than that
/// was no account then.
fn known_beginning(choice: &Choice, candidates: &[Candidate]) -> Option<Timestamp> {
    let Run::Given(id) = &choice.run else { return None };
    let marks = candidates.iter().filter_map(|candidate| candidate.marks.of(choice.verb, id));
    marks.map(|mark| mark.began).chain(id.began()).min()
}

fn each_once(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut known = BTreeSet::new();
    candidates.into_iter().filter(|candidate| known.insert(candidate.account.clone())).collect()
}

/// A name of `--skip` with a slip in it would have the account begun that was to be left.
fn skipped_nobody(choice: &Choice, candidates: &[Candidate], resumed: bool) -> Result<Vec<AccountName>, Problem> {
    let known: BTreeSet<&AccountName> = candidates.iter().map(|candidate| &candidate.account).collect();
    let nobody: Vec<AccountName> = choice.skip.iter().filter(|name| !known.contains(name)).cloned().collect();
    match nobody.is_empty() || resumed {
        true => Ok(nobody),
        false => {
            let line = format!("--skip names what was not selected: {}", listed(&nobody));
            Err(Problem::new(Reason::Usage, line).hint("look at the name; nothing was begun"))
        }
    }
}

/// Of a new run that is a slip in a name; of one that is resumed it is said.
fn missing(choice: &Choice, candidates: &[Candidate], resumed: bool) -> Result<(), Problem> {
    let is_gone =
        |candidate: &&Candidate| matches!(candidate.seen, Seen::Gone) && !choice.skip.contains(&candidate.account);
    let gone = candidates.iter().filter(is_gone);
    let gone: Vec<&AccountName> = gone.map(|candidate| &candidate.account).collect();
    match gone.is_empty() || resumed {
        true => Ok(()),
        false => {
            let line = format!("there is no account {}; nothing was begun", listed(&gone));
            let list = command!["kubectl", "deepdesk", "account", "list"];
            Err(Problem::new(Reason::NoSuchNamespace, line).hint(Hint::to("see which there are", list)))
        }
    }
}

impl Fleet {
    fn place(&mut self, choice: &Choice, candidate: Candidate, now: Timestamp) {
        let Candidate { account, appeared, marks, seen, in_use_since, cost } = candidate;
        let mark = marks.of(self.verb, &self.run);
        let mut leave_out = |account, why| self.left_out.push(LeftOut { account, why });
        // First what the run did itself: a mark outweighs the words of the call, which must not hide what is done or half-way.
        if let Some(at) = mark.and_then(|mark| mark.done) {
            return self.done.push((account, at));
        }
        if choice.skip.contains(&account) {
            let rotating = matches!(seen, Seen::Looked { state: State::Rotating { .. }, .. });
            return leave_out(account, WhyNot::Skipped { half_way: mark.is_some() || rotating });
        }
        let late = appeared.filter(|at| mark.is_none() && self.resumed && *at > self.began);
        if let Some(at) = late {
            return leave_out(account, WhyNot::Appeared { at });
        }
        // A rotation that is half-way has a young version, and has to be finished.
        if let (None, Some(least)) = (mark, choice.older_than) {
            match in_use_since {
                None if !matches!(seen, Seen::Looked { .. }) => {}
                None => return leave_out(account, WhyNot::AgeUnknown),
                Some(since) if !is_older(since, least, now) => return,
                Some(_) => {}
            }
        }
        match self.stands(&marks, seen) {
            Ok((state, half_way)) => self.members.push(Member { account, state, half_way, cost }),
            Err(why) => self.left_out.push(LeftOut { account, why }),
        }
    }

    /// Whether the account may begin, by what was seen of it: its state, and whether it is half-way.
    fn stands(&self, marks: &RunMarks, seen: Seen) -> Result<(State, bool), WhyNot> {
        let (state, refusal) = match seen {
            Seen::Gone => return Err(WhyNot::Passed(Passed::Gone)),
            Seen::NotSeen(problem) => return Err(WhyNot::NotSeen(problem)),
            Seen::Looked { state, refusal } => (state, refusal),
        };
        if let Some(passed) = self.passes_over(marks, Some(state)) {
            return Err(WhyNot::Passed(passed));
        }
        if let Some(refusal) = refusal {
            match Ended::of(Some(&refusal)) {
                // Whoever is at work on it now may be done by its turn: its lane asks again.
                Ended::Passed(Passed::Held) => {}
                Ended::Passed(passed) => return Err(WhyNot::Passed(passed)),
                Ended::Proven | Ended::Badly(..) | Ended::Interrupted => return Err(WhyNot::Refused(refusal)),
            }
        }
        let begun = marks.of(self.verb, &self.run).is_some();
        Ok((state, begun || matches!(state, State::Rotating { .. })))
    }

    /// What stands in the record of an account that this run begins, and of one that is done (`done`). None where nothing is changed.
    pub fn mark(&self, done: Option<Timestamp>) -> Option<RunMark> {
        let mark = || RunMark { verb: self.verb, run: self.run.clone(), began: self.began, done };
        (!self.verb.only_reads()).then(mark)
    }

    /// Why an account needs nothing of this run, by what is on record and seen of it now; none of its state where it is not there. Asked
    /// for the plan, and once more by each lane under the account's lock, before it sets out: another process may have been at work.
    pub fn passes_over(&self, marks: &RunMarks, state: Option<State>) -> Option<Passed> {
        let mark = marks.of(self.verb, &self.run);
        match (mark.and_then(|mark| mark.done), state) {
            (Some(at), _) => Some(Passed::DoneBefore { at }),
            (None, None) => Some(Passed::Gone),
            // What this run began and did not record is its own to finish.
            (None, Some(State::AwaitingReencryption)) if self.verb == Verb::Rotate && mark.is_none() => {
                Some(Passed::AwaitsReencryption)
            }
            (None, Some(_)) => None,
        }
    }
}

fn is_older(since: Timestamp, least: Duration, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(since)).is_ok_and(|age| age > least)
}
