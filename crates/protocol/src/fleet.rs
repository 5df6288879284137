//! A level above the plan of an account: many accounts in one run. Who is in it, who is next, and when no further one begins.
//!
//! Pure, like the plan: no I/O, and no clock of its own; `now` is given, by the API server's clock where it is compared with what others
//! wrote. [`fleet`] makes a [`Fleet`] of what was asked for and seen; [`Preview`] is what the question shows of it; [`Lanes`] answers "what
//! next?", and is told how each account ended; [`RunResult`] is what is told of the run.
//!
//! What it promises:
//!
//! - **Named, never implied.** Only accounts that were named or selected are begun. Who appears after the run began is not in it, and who is
//!   gone is passed over; both are said.
//! - **Done once.** An account whose record has this run as done is not begun again by it, in whichever process: each lane looks again under
//!   the account's lock ([`Fleet::passes_over`]).
//! - **A budget.** Beyond `--max-failures` accounts that did not end well no account begins. Those under way end, so at most the budget and the
//!   concurrency together end badly in one process. It counts from zero in each.
//! - **Gates of proof.** No account of a later wave begins before every account of the wave is proven, also within the budget. What was done
//!   in the run before fills the first waves.
//! - **A last moment.** Nothing begins after `--until`, also when the clock is set back.
//! - **Order.** Accounts begin in the order given, after those that an earlier process left half-way.
//! - **Resumed without a journal.** The same command with the same `--run` reads what is done from the accounts, and goes on.

mod flags;
mod lanes;
mod limits;
mod member;
mod outcome;
mod preview;

pub use self::flags::{Concurrency, FlagError, MaxFailures, MaxWrites, Share, Until, Waves, accounts_from};
pub use self::lanes::{Ended, Lanes, Next, Stop, Turn, Waiting, Writes};
pub use self::limits::{Limits, Resolved};
pub use self::member::{Candidate, Choice, Cost, Fleet, LeftOut, Member, Passed, Run, Seen, WhyNot, fleet};
pub use self::outcome::{AccountEnd, Counts, NotBegunResult, RunResult, WaveResult};
pub use self::preview::{Preview, Queue, StateCount, WavePreview, preview};

#[cfg(test)]
mod tests;
