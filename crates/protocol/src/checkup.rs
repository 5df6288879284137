//! What `check` asked and was answered, and its result object. Their shape is a contract: add, never change.

use crate::hint::{self, CallFlags, Hint};
use crate::problem::Reason;
use crate::result::ProblemResult;
use serde::Serialize;

/// A part of what is there. Each can be out of sight for a reason of its own, and takes the checks that need it along.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The ExternalSecrets of the namespace.
    ExternalSecrets,
    /// The stores that they read from.
    Stores,
    /// The Kubernetes Secrets that they write.
    KubernetesSecrets,
    /// Workloads and pods.
    Workloads,
    /// The project of the account's secrets.
    Project,
    /// The primary's newest versions.
    Primary,
    /// The back-compat's newest version.
    BackCompat,
    /// The list of the primary's versions.
    Versions,
    /// The lock, with the record of the last rotation.
    Lock,
}

/// The answer to one check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// As it should be.
    Pass,
    /// Worth knowing; stops nothing.
    Warn,
    /// Not as it should be.
    Fail,
    /// It could not be asked; the message says why.
    Skipped,
}

/// One check with its answer. A check that finds several things gives several of these.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Asked {
    /// Stable id: `DD-…`.
    pub id: &'static str,
    /// Stable name of its group.
    pub group: &'static str,
    /// The group, in words. For people alone.
    #[serde(skip)]
    pub group_title: &'static str,
    /// What should hold, in words.
    pub title: &'static str,
    pub result: Answer,
    /// What was found; of a check that passed a detail worth knowing, or nothing.
    pub message: String,
    /// What to do about it; empty when nothing is to be done.
    #[serde(rename = "hint", serialize_with = "hint::as_one_text")]
    pub hints: Vec<Hint>,
    /// Of the check on the plan: why there is none. For whoever groups accounts.
    #[serde(skip)]
    pub refused: Option<Reason>,
}

/// The result of `check` for one account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkup {
    /// `deepdesk.com/v1`.
    pub api_version: &'static str,
    /// `Check`.
    pub kind: &'static str,
    /// The account; empty when no kubeconfig said one.
    pub account: String,
    pub namespace: String,
    /// The kubeconfig context in use.
    pub context: String,
    /// The project of its secrets; empty when it could not be told.
    pub project: String,
    /// The command that it was asked for: `rotate`, `sync`, `verify` or `restart`.
    #[serde(rename = "for")]
    pub purpose: &'static str,
    /// Stable word for why it is not well, `PascalCase`; empty when all is well.
    pub reason: String,
    /// The exit code of this account alone.
    pub exit_code: u8,
    /// What kept the checks from being asked; null when nothing did.
    pub problem: Option<ProblemResult>,
    /// Each check, by group.
    pub checks: Vec<Asked>,
}

impl Checkup {
    /// Gives the commands in its hints the flags of the present call.
    pub fn carry(&mut self, flags: &CallFlags) {
        self.checks.iter_mut().flat_map(|asked| &mut asked.hints).for_each(|hint| hint.carry(flags));
    }
}

mod groups;
pub use groups::{Group, Groups, grouped};

/// Several of them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckupList {
    /// `deepdesk.com/v1`.
    pub api_version: &'static str,
    /// `List`.
    pub kind: &'static str,
    /// What the process ends with.
    pub exit_code: u8,
    /// Stable word for why it is not well; empty when all is well.
    pub reason: String,
    /// What kept it from being asked; null when nothing did.
    pub problem: Option<ProblemResult>,
    /// Of a selection: how many accounts are ready, and what stands in the way of the others.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
    /// One an account, in the order asked for.
    pub items: Vec<Checkup>,
}

impl Checkup {
    /// How many checks were answered so.
    pub fn count(&self, answer: Answer) -> usize {
        self.checks.iter().filter(|asked| asked.result == answer).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Command;

    fn asked(result: Answer) -> Asked {
        let hint = Hint::from(Command::secret(
            "sync",
            "acme".parse::<crate::facts::names::AccountName>().expect("a fit name"),
        ));
        Asked {
            id: "DD-ES-READY",
            group: "external-secrets",
            group_title: "ExternalSecrets",
            title: "they are syncing",
            result,
            message: String::new(),
            hints: vec![hint],
            refused: None,
        }
    }

    #[test]
    fn answers_are_counted_and_their_commands_carry_the_calls_flags() {
        let mut checkup = Checkup {
            api_version: "deepdesk.com/v1",
            kind: "Check",
            account: "acme".to_owned(),
            namespace: "acme".to_owned(),
            context: "prod".to_owned(),
            project: "p".to_owned(),
            purpose: "rotate",
            reason: String::new(),
            exit_code: 0,
            problem: None,
            checks: vec![asked(Answer::Pass), asked(Answer::Fail), asked(Answer::Pass)],
        };
        assert_eq!((checkup.count(Answer::Pass), checkup.count(Answer::Fail), checkup.count(Answer::Warn)), (2, 1, 0));
        checkup.carry(&CallFlags { kubectl: vec!["--context=prod".to_owned()], ..CallFlags::default() });
        let hints = checkup.checks.iter().flat_map(|asked| &asked.hints);
        assert!(hints.map(ToString::to_string).all(|hint| hint.contains("--context=prod")));
    }
}
