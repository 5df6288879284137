//! How a run can end other than well: what, why, what holds now, what next, and the exit code.

use serde::Serialize;

use crate::facts::names::{NameError, printable};

/// The documented exit codes (design/cli.md).
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

/// The reason of a problem that is a lost lock.
pub const LOCK_LOST: &str = "LockLost";

/// Why a run did not end well.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The exit code.
    pub exit: Exit,
    /// Stable word for scripts, `PascalCase`: since kubectl on Windows turns every code but 0 into 1.
    pub reason: &'static str,
    /// One line: what is wrong, and why. Lower case, no full stop.
    pub message: String,
    /// What holds now, a line each: for a run that stopped in the middle.
    pub now: Vec<String>,
    /// What to do next, a line each: commands to type where there are some.
    pub hints: Vec<String>,
}

impl Problem {
    /// A problem with its line; control characters in it are replaced, since parts may come from a server.
    pub fn new(exit: Exit, reason: &'static str, message: impl AsRef<str>) -> Problem {
        Problem { exit, reason, message: printable(message.as_ref()), now: Vec::new(), hints: Vec::new() }
    }

    /// Adds a line of what to do next.
    pub fn hint(mut self, hint: impl AsRef<str>) -> Problem {
        self.hints.push(printable(hint.as_ref()));
        self
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
        Problem::new(Exit::Usage, "Usage", error.to_string())
    }
}
