//! What holds now, and which command leads on, after a run that did not come to its end. What is due for an account in any other moment is
//! [`crate::plan::next`]'s.

use crate::facts::names::VersionId;
use crate::facts::observation::Observation;
use crate::hint::{Command, Hint};
use crate::problem::Problem;
use crate::step::{Plan, Way};

/// What is said of an account where a run stopped.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Explanation {
    /// What holds, a sentence each.
    pub now: Vec<String>,
    /// What to do next.
    pub hints: Vec<Hint>,
}

impl Explanation {
    pub fn told(self, problem: Problem) -> Problem {
        let problem = self.now.into_iter().fold(problem, Problem::now);
        self.hints.into_iter().fold(problem, Problem::hint)
    }

    fn holds(mut self, line: String) -> Explanation {
        self.now.push(line);
        self
    }

    fn leads(mut self, hint: impl Into<Hint>) -> Explanation {
        self.hints.push(hint.into());
        self
    }
}

/// What holds where a run of this plan stopped, and nothing but this run changed anything.
pub fn stopped(plan: &Plan, now: &Observation, changed: bool) -> Explanation {
    let (from, to, account) = (plan.from, plan.to, &now.account);
    let explained = Explanation::default();
    if !changed {
        return explained.holds(format!("nothing was changed: primary {from} is in use"));
    }
    let goes_on = "the same command goes on from here";
    let again = |verb: &str| Hint::to(goes_on, Command::secret(verb, account));
    let back_compat = &now.back_compat.secret;
    match plan.way {
        Way::Forward if is_introduced(now, to) => with_both_values(explained, plan, now)
            .leads(again("rotate"))
            .leads(Hint::to(format!("or go back to the value of {from}"), Command::secret("rollback", account))),
        Way::Forward => {
            let kept = if holds(now, from) { format!("; {back_compat} holds it too") } else { String::new() };
            explained.holds(format!("primary {from} is still the only value in use{kept}")).leads(again("rotate"))
        }
        Way::Back => back(explained, plan, now).leads(again("rollback")),
        Way::Rescue => {
            let line = "and no version was disabled that the back-compat does not hold";
            explained.holds(format!("primary {to} is in use, {line}")).leads(goes_on)
        }
        Way::Retire => explained
            .holds(format!("primary {to} is in use, and nothing was destroyed that --destroy did not name"))
            .holds(format!("pods started before the restart can still read the older value, pods started after it cannot; older versions of {back_compat} can be enabled again"))
            .leads(again("finalize")),
    }
}

/// A rollback brings back the older value, and most data is encrypted under that.
fn back(explained: Explanation, plan: &Plan, now: &Observation) -> Explanation {
    let (from, to, back_compat) = (plan.from, plan.to, &now.back_compat.secret);
    match (is_introduced(now, to), holds(now, from)) {
        (false, _) => explained.holds(format!("primary {from} is in use, {back_compat} holds the value to go back to")),
        (true, false) => explained
            .holds(format!(
                "{to} is the newest version of {}, with the value that {back_compat} holds too: no value is lost",
                now.primary.secret
            ))
            .holds(format!(
                "a pod that starts now cannot read what was written under {from} until the rollback is complete"
            )),
        (true, true) => with_both_values(explained, plan, now),
    }
}

fn with_both_values(explained: Explanation, plan: &Plan, now: &Observation) -> Explanation {
    let (from, to, primary) = (plan.from, plan.to, &now.primary.secret);
    explained
        .holds(format!("{to} is the newest version of {primary}, and {from} is still enabled: no value is lost"))
        .holds(format!(
            "pods started before the restart use {from}, pods started after it use {to} and read {from} as back-compat"
        ))
}

fn is_introduced(now: &Observation, to: VersionId) -> bool {
    now.primary.newest().is_some_and(|newest| newest.id == to)
}

/// Whether the back-compat holds the value of this version of the primary.
fn holds(now: &Observation, version: VersionId) -> bool {
    let held = now.back_compat.value();
    held.is_some() && held == now.primary.version(version).and_then(|version| version.value)
}
