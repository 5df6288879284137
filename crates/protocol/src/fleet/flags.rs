//! The values of the flags on many accounts, each parsed once. An error says what would have fitted; whoever takes the flag names it.

use std::str::FromStr;

use jiff::Timestamp;

use crate::facts::names::AccountName;
use crate::problem::{Problem, Reason};

/// Why a flag's value does not fit, without the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct FlagError(pub &'static str);

/// So many accounts, or so many of each hundred.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Share {
    /// `10`.
    Count(u32),
    /// `25%`.
    Percent(u8),
}

impl Share {
    /// How many that are, rounded down: a share never is more than was asked for.
    pub fn of(self, all: usize) -> usize {
        match self {
            Share::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Share::Percent(percent) => all.saturating_mul(usize::from(percent)) / 100,
        }
    }

    fn parse(given: &str) -> Option<Share> {
        match given.strip_suffix('%') {
            Some(percent) => digits(percent).filter(|percent| *percent <= 100).map(Share::Percent),
            None => digits(given).map(Share::Count),
        }
    }

    fn at_least_one(given: &str) -> Option<Share> {
        Share::parse(given).filter(|share| !matches!(share, Share::Count(0) | Share::Percent(0)))
    }
}

/// A number of digits alone: no sign, no space, no fraction.
fn digits<N: FromStr>(given: &str) -> Option<N> {
    (!given.is_empty() && given.bytes().all(|b| b.is_ascii_digit())).then(|| given.parse().ok())?
}

/// `--max-concurrency`: accounts under way. A percentage is of the run's accounts, and at least one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Concurrency(pub Share);

impl Default for Concurrency {
    fn default() -> Concurrency {
        Concurrency(Share::Count(10))
    }
}

impl FromStr for Concurrency {
    type Err = FlagError;

    fn from_str(given: &str) -> Result<Concurrency, FlagError> {
        let wrong = FlagError("not a number of accounts of at least 1, such as 10 or 25%");
        Share::at_least_one(given).map(Concurrency).ok_or(wrong)
    }
}

/// `--max-failures`: beyond it no account begins. A percentage is of the accounts that are to do in this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaxFailures(pub Share);

impl Default for MaxFailures {
    fn default() -> MaxFailures {
        MaxFailures(Share::Count(0))
    }
}

impl FromStr for MaxFailures {
    type Err = FlagError;

    fn from_str(given: &str) -> Result<MaxFailures, FlagError> {
        Share::parse(given).map(MaxFailures).ok_or(FlagError("not a number of accounts, such as 0, 5 or 10%"))
    }
}

/// `--waves`: the sizes of the first waves. Percentages are of the run's accounts, each at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waves(Vec<Share>);

impl Waves {
    pub fn sizes(&self) -> &[Share] {
        &self.0
    }
}

impl FromStr for Waves {
    type Err = FlagError;

    fn from_str(given: &str) -> Result<Waves, FlagError> {
        let wrong = FlagError("not sizes of waves, each of at least 1 account, such as 1,5,25%");
        given.split(',').map(Share::at_least_one).collect::<Option<_>>().map(Waves).ok_or(wrong)
    }
}

/// `--max-writes`: writes to Secret Manager a minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaxWrites(pub u32);

impl MaxWrites {
    /// Secret Manager's quota of a project.
    pub const QUOTA: u32 = 600;
}

impl Default for MaxWrites {
    fn default() -> MaxWrites {
        MaxWrites(MaxWrites::QUOTA)
    }
}

impl FromStr for MaxWrites {
    type Err = FlagError;

    fn from_str(given: &str) -> Result<MaxWrites, FlagError> {
        let wrong =
            FlagError("not a number of writes a minute from 1 to 600, which is Secret Manager's quota of a project");
        digits(given).filter(|writes| (1..=MaxWrites::QUOTA).contains(writes)).map(MaxWrites).ok_or(wrong)
    }
}

/// `--until`: no account begins later. A date belongs to it, and an offset: a run that is resumed after it is over must not take it for the
/// next day's, and a Job's clock is another place's than its reader's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Until(pub Timestamp);

impl FromStr for Until {
    type Err = FlagError;

    fn from_str(given: &str) -> Result<Until, FlagError> {
        let wrong =
            FlagError("not a moment with date and offset, such as 2026-12-01T04:00:00Z or 2026-12-01T05:00:00+01:00");
        // A zone in brackets would be passed over where it contradicts the offset.
        let plain = !given.contains('[') && given.trim() == given;
        plain.then(|| given.parse().ok()).flatten().map(Until).ok_or(wrong)
    }
}

/// The accounts in a file (`--accounts-from`): a name a line, also as `kubectl get namespaces -o name` prints it. Empty lines and what is
/// behind `#` say nothing; a name that stands twice is meant once.
pub fn accounts_from(file: &str, text: &str) -> Result<Vec<AccountName>, Problem> {
    let wrong = |what: String| Problem::new(Reason::Usage, format!("--accounts-from {file}: {what}"));
    let mut accounts: Vec<AccountName> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for (at, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        let name = name.strip_prefix("namespace/").unwrap_or(name);
        let account: AccountName = name.parse().map_err(|error| wrong(format!("line {}: {error}", at + 1)))?;
        if known.insert(account.clone()) {
            accounts.push(account);
        }
    }
    if accounts.is_empty() {
        return Err(wrong("it names no account (one a line)".to_owned()));
    }
    Ok(accounts)
}
