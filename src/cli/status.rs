//! `secret status`.

use std::time::Duration;

use clap::Args;

use super::{Common, Selection};

/// `secret status`.
#[derive(Debug, Args)]
pub struct Status {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// Which accounts.
    #[command(flatten)]
    pub selection: Selection,
    /// Show only accounts whose newest version is older than this, such as 90d or 12w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,
    /// Watch: redraw on a terminal, else print what changes; Ctrl-C ends it (exit code 130)
    #[arg(short, long, conflicts_with = "exit_code")]
    pub watch: bool,
    /// Exit with 3 unless everything is Stable and nothing is due
    #[arg(long)]
    pub exit_code: bool,
}

/// An age: days and weeks, or what other durations are written with.
fn age(given: &str) -> Result<Duration, String> {
    let days = |suffix: char, days: u64| {
        let number: u64 = given.strip_suffix(suffix)?.parse().ok()?;
        number.checked_mul(days * 86_400).filter(|seconds| *seconds < MOST).map(Duration::from_secs)
    };
    let wrong = || "not an age such as 90d, 12w or 36h".to_owned();
    let other = || {
        super::duration(given).map_err(|_| wrong()).and_then(|age| match age.as_secs() < MOST {
            true => Ok(age),
            false => Err(wrong()),
        })
    };
    days('d', 1).or_else(|| days('w', 7)).map_or_else(other, Ok)
}

/// A thousand years: more than any clock is right by.
const MOST: u64 = 1000 * 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read() {
        let cases = [
            ("90d", Some(90 * 86_400)),
            ("12w", Some(12 * 7 * 86_400)),
            ("36h", Some(36 * 3600)),
            ("0", Some(0)),
            ("90", None),
            ("-1d", None),
            ("d", None),
            ("99999999999999999999d", None),
            ("400000000d", None),
            ("soon", None),
        ];
        for (given, seconds) in cases {
            assert_eq!(age(given).ok(), seconds.map(Duration::from_secs), "{given}");
        }
    }
}
