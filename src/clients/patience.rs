//! How long a program that gives out credentials may take: a browser may have to be opened, and a person to find a phone.

use std::time::Duration;

use super::error::ConfigError;
use crate::environment::Environment;

/// The variable that says another time than the usual.
pub(super) const VARIABLE: &str = "DEEPDESK_CREDENTIALS_TIMEOUT";

/// What a program may take that asks nobody. A cold disk, a slow proxy and a browser's own login fit into it.
pub(super) const UNASKED: Duration = Duration::from_secs(60);

/// What a program may take that asks at the terminal.
pub(super) const ASKED: Duration = Duration::from_secs(5 * 60);

/// The time that the environment says, else the usual one.
pub(super) fn limit(env: &Environment, usual: Duration) -> Result<Duration, ConfigError> {
    let Some(said) = env.get(VARIABLE) else { return Ok(usual) };
    let read = said.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    read.filter(|time| !time.is_zero()).ok_or_else(|| {
        ConfigError::new(format!("{VARIABLE} is not a time: `{said}`")).hint(format!("as in {VARIABLE}=2m"))
    })
}

/// What to do when it was not enough.
pub(super) fn longer() -> String {
    format!("allow more time with {VARIABLE}=10m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_anything_else_refused() {
        let read = |said: &str| limit(&[(VARIABLE, said)].into_iter().collect(), UNASKED);
        assert_eq!(read(""), Ok(UNASKED));
        assert_eq!(read("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(read("10m"), Ok(Duration::from_secs(600)));
        for wrong in ["soon", "0s", "-5s", "10"] {
            let error = read(wrong).expect_err(wrong);
            assert!(error.message.contains(VARIABLE) && error.hint.is_some(), "{error:?}");
        }
    }
}
