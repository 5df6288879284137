//! How a run can end other than well: what, why, what holds now, what next, and the exit code.

mod reason;

use crate::hint::{CallFlags, Hint};
use serde::Serialize;

pub use self::reason::Reason;

use crate::facts::names::{NameError, printable};

/// The documented exit codes (docs/output.md).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Failed before anything was changed.
    Failed = 1,
    /// Wrong arguments.
    Usage = 2,
    /// `verify`: not as it should be.
    NotAsItShouldBe = 3,
    /// Refused for safety, or another operator holds the account: nothing was changed.
    Refused = 4,
    /// Some steps are done; the same command goes on from there.
    Incomplete = 5,
    /// Interrupted; the same command goes on.
    Interrupted = 130,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a run did not end well.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The exit code.
    pub exit: Exit,
    /// Stable word for scripts, `PascalCase`: since kubectl on Windows turns every code but 0 into 1.
    pub reason: Reason,
    /// One line: what is wrong, and why. Lower case, no full stop.
    pub message: String,
    /// What holds now, a line each: for a run that stopped in the middle.
    pub now: Vec<String>,
    /// What to do next, a line each: commands to type where there are some.
    pub hints: Vec<Hint>,
}

impl Problem {
    /// A problem with its line; control characters in it are replaced, since parts may come from a server.
    pub fn new(reason: Reason, message: impl AsRef<str>) -> Problem {
        let message = printable(message.as_ref());
        Problem { exit: reason.exit(), reason, message, now: Vec::new(), hints: Vec::new() }
    }

    /// The same with another exit code than its reason's: here it tells of something half done, or of nothing done at all.
    pub fn with_exit(self, exit: Exit) -> Problem {
        Problem { exit, ..self }
    }

    /// Adds a line of what to do next.
    pub fn hint(mut self, hint: impl Into<Hint>) -> Problem {
        self.hints.push(hint.into());
        self
    }

    /// Gives the commands in its hints the flags of the present call.
    pub fn carry(&mut self, flags: &CallFlags) {
        self.hints.iter_mut().for_each(|hint| hint.carry(flags));
    }

    /// Adds a line of what holds now.
    pub fn now(mut self, line: impl AsRef<str>) -> Problem {
        self.now.push(printable(line.as_ref()));
        self
    }
}

/// A name that does not fit was given by somebody: exit 2.
impl From<NameError> for Problem {
    fn from(error: NameError) -> Problem {
        Problem::new(Reason::Usage, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::names::AccountName;
    use crate::hint::Command;

    #[test]
    fn a_problem_keeps_what_is_added_and_its_commands_carry_the_calls_flags() {
        let acme = "acme".parse::<AccountName>().expect("a fit name");
        let mut problem = Problem::new(Reason::Locked, "somebody is at work")
            .with_exit(Exit::Incomplete)
            .now("nothing was changed")
            .hint(Hint::to("see", Command::secret("status", &acme)));
        problem.carry(&CallFlags { kubectl: vec!["--context=prod".to_owned()], ..CallFlags::default() });
        assert_eq!((problem.exit, problem.now.as_slice()), (Exit::Incomplete, &["nothing was changed".to_owned()][..]));
        assert_eq!(problem.hints[0].to_string(), "see: kubectl deepdesk secret status acme --context=prod");
        assert_eq!(Problem::new(Reason::Locked, "").exit, Exit::Refused);
    }
}
