//! How much at once, and when to stop: what was asked for, and what that is for a given number of accounts.

use std::time::Duration;

use jiff::Timestamp;

use super::flags::{Concurrency, MaxFailures, MaxWrites, Until, Waves};
use crate::facts::run_marks::Verb;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// `--max-concurrency`.
    pub concurrency: Concurrency,
    /// `--waves`; none for the usual ones.
    pub waves: Option<Waves>,
    /// `--wave-wait`.
    pub wave_wait: Duration,
    /// `--max-failures`.
    pub max_failures: MaxFailures,
    /// `--until`.
    pub until: Option<Until>,
    /// `--max-writes`.
    pub max_writes: MaxWrites,
}

/// The same in numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// Accounts under way at most, at least one.
    pub concurrency: usize,
    /// The sizes of the waves that have a gate behind them. After them lanes refill.
    pub waves: Vec<usize>,
    /// The pause between two waves.
    pub wave_wait: Duration,
    /// The number beyond which no account begins; none where nothing is changed.
    pub max_failures: Option<usize>,
    /// The moment after which none begins.
    pub until: Option<Timestamp>,
    /// Writes to Secret Manager a minute.
    pub max_writes: u32,
}

impl Limits {
    /// What they are for a run of `all` accounts, of which `to_do` are left for this process.
    ///
    /// Sizes are shares of the run, so that they stay the same when it is resumed. The budget is one of what is left: a tenth of five
    /// hundred must not be all of the last ten.
    pub fn resolve(&self, verb: Verb, all: usize, to_do: usize) -> Resolved {
        let concurrency = self.concurrency.0.of(all).max(1);
        let waves = match &self.waves {
            // Whoever only reads breaks nothing, and stops at nothing.
            _ if verb.only_reads() => Vec::new(),
            Some(waves) => waves.sizes().iter().map(|size| size.of(all).max(1)).collect(),
            None => doubling(concurrency),
        };
        Resolved {
            concurrency,
            waves: within(waves, all),
            wave_wait: self.wave_wait,
            max_failures: (!verb.only_reads()).then(|| self.max_failures.0.of(to_do)),
            until: self.until.map(|until| until.0),
            max_writes: self.max_writes.0,
        }
    }
}

/// One, then twice as many, up to the concurrency.
fn doubling(concurrency: usize) -> Vec<usize> {
    std::iter::successors(Some(1_usize), |size| size.checked_mul(2)).take_while(|size| *size < concurrency).collect()
}

/// As many of the waves as there are accounts for.
fn within(waves: Vec<usize>, all: usize) -> Vec<usize> {
    let mut left = all;
    let cut = waves.into_iter().map(|size| {
        let size = size.min(left);
        left -= size;
        size
    });
    cut.take_while(|size| *size > 0).collect()
}
