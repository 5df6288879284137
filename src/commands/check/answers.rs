//! The answers of one account while they come in: those wanted alone, each under its group.

use std::collections::BTreeMap;

use deepdesk_protocol::check::catalogue::{self, Entry};
use deepdesk_protocol::check::{self};
use deepdesk_protocol::checkup::{Answer, Asked, Part};
use deepdesk_protocol::facts::names::printable;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};
use deepdesk_protocol::result::{CheckResult, Verdict};

/// The answers so far.
pub struct Answers {
    wanted: Vec<&'static Entry>,
    asked: Vec<Asked>,
    /// Whether the way to the cluster failed, wanted or not.
    unreached: bool,
}

impl Answers {
    /// None yet, to these checks.
    pub fn new(wanted: &[&'static Entry]) -> Answers {
        Answers { wanted: wanted.to_vec(), asked: Vec::new(), unreached: false }
    }

    /// Whether the check is one that is wanted.
    pub fn wants(&self, id: &str) -> bool {
        self.wanted.iter().any(|entry| entry.id == id)
    }

    /// Whether the check has an answer already.
    pub fn has(&self, id: &str) -> bool {
        self.asked.iter().any(|asked| asked.id == id)
    }

    /// The first of these checks that failed.
    pub fn failed(&self, ids: &[&'static str]) -> Option<&'static str> {
        self.asked.iter().find(|asked| ids.contains(&asked.id) && asked.result == Answer::Fail).map(|asked| asked.id)
    }

    /// Whether something is wanted for which the account has to be looked at.
    pub fn wants_sight(&self) -> bool {
        self.wanted.iter().any(|entry| {
            entry.needs.iter().any(|part| *part != Part::Lock) || check::CHECKS.iter().any(|check| check.id == entry.id)
        })
    }

    /// A check that passed, with a detail, or failed, with why.
    pub fn told<P: std::borrow::Borrow<Problem>>(&mut self, id: &'static str, told: Result<String, P>) {
        match told {
            Ok(detail) => self.put(id, Answer::Pass, &detail, &[]),
            Err(problem) => {
                let problem: &Problem = problem.borrow();
                self.unreached |= matches!(id, catalogue::KUBECONFIG_ID | catalogue::K8S_API_ID);
                self.put(id, Answer::Fail, &problem.message, &problem.hints);
            }
        }
    }

    /// Why there is no plan, beside what is told of it.
    pub fn refused(&mut self, id: &str, reason: Reason) {
        self.asked.iter_mut().filter(|asked| asked.id == id).for_each(|asked| asked.refused = Some(reason));
    }

    /// What is under way is for whoever is at work to end: nobody else is told to put it right.
    pub fn leave_to_whoever_is_at_work(&mut self) {
        self.asked.iter_mut().filter(|asked| asked.id != catalogue::LOCK_ID).for_each(|asked| asked.hints.clear());
    }

    /// A check that could not be asked.
    pub fn skipped(&mut self, id: &'static str, whole: &str) {
        // What the server says besides stands in the check on rights.
        let because = whole.split_once(": forbidden: ").map_or(whole, |(what, _)| what);
        let forbidden = if because.len() < whole.len() { ": forbidden" } else { "" };
        self.put(id, Answer::Skipped, &format!("because {because}{forbidden}"), &[]);
    }

    /// The same as `told`, in place of what was noted before.
    pub fn instead<P: std::borrow::Borrow<Problem>>(&mut self, id: &'static str, told: Result<String, P>) {
        self.asked.retain(|asked| asked.id != id);
        self.told(id, told);
    }

    /// Adds a detail to a check that passed without one.
    pub fn detail(&mut self, id: &str, detail: &str) {
        let passed = self.asked.iter_mut().find(|asked| asked.id == id && asked.result == Answer::Pass);
        if let Some(asked) = passed.filter(|asked| asked.message.is_empty()) {
            asked.message = printable(detail);
        }
    }

    /// The results of a check, or why it could not be asked.
    pub fn results(&mut self, id: &'static str, results: Result<Vec<CheckResult>, Problem>) {
        match results {
            Ok(results) => results.iter().for_each(|result| self.result(result)),
            Err(problem) => self.told(id, Err(&problem)),
        }
    }

    /// The results of the checks on an observation; those that need what was not seen are skipped.
    pub fn of_observation(&mut self, results: Vec<CheckResult>, unseen: &BTreeMap<Part, Problem>) {
        let out_of_sight = |entry: &Entry| entry.needs.iter().find_map(|part| unseen.get(part));
        for result in &results {
            if catalogue::by_id(result.id).is_none_or(|entry| out_of_sight(entry).is_none()) {
                self.result(result);
            }
        }
        for entry in self.wanted.clone() {
            if let Some(why) = out_of_sight(entry).filter(|_| !self.asked.iter().any(|asked| asked.id == entry.id)) {
                self.skipped(entry.id, &why.message);
            }
        }
    }

    fn result(&mut self, result: &CheckResult) {
        let answer = match result.result {
            Verdict::Pass => Answer::Pass,
            Verdict::Warn => Answer::Warn,
            Verdict::Fail => Answer::Fail,
        };
        self.put(result.id, answer, &result.message, &result.hints);
    }

    fn put(&mut self, id: &'static str, result: Answer, message: &str, hints: &[Hint]) {
        let Some(entry) = self.wanted.iter().find(|entry| entry.id == id) else { return };
        self.asked.push(Asked {
            id,
            group: entry.group.0,
            group_title: entry.group.1,
            title: entry.title,
            result,
            message: printable(message),
            hints: hints.to_vec(),
            refused: None,
        });
    }

    /// Whether the cluster could not be asked at all.
    pub fn failed_to_reach(&self) -> bool {
        self.unreached
    }

    /// All answers in the catalogue's order. What has none was not asked, since the cluster was not.
    pub fn in_order(mut self) -> Vec<Asked> {
        for entry in self.wanted.clone() {
            if !self.asked.iter().any(|asked| asked.id == entry.id) {
                let because = if self.unreached { "the cluster could not be asked" } else { "it could not be read" };
                self.skipped(entry.id, because);
            }
        }
        self.asked.sort_by_key(|asked| catalogue::CATALOGUE.iter().position(|entry| entry.id == asked.id));
        self.asked
    }
}
