//! How a request is repeated: only what is safe to repeat, within a deadline, as the server asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use tokio::time::Instant;

use super::error::{ApiError, ApiErrorKind};
use super::trouble::Trouble;

/// What may be repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Repeat {
    /// A read, or a write that does the same when done twice.
    Unanswered,
    /// Any other write: only when it certainly was not done.
    NotDone,
    /// Where the server's refusal is what was asked for: only where it was not reached.
    Unreached,
}

impl Repeat {
    fn allows(self, kind: ApiErrorKind) -> bool {
        match kind {
            ApiErrorKind::Unreachable => true,
            ApiErrorKind::TooManyRequests => self != Repeat::Unreached,
            ApiErrorKind::Unavailable | ApiErrorKind::Internal | ApiErrorKind::Timeout | ApiErrorKind::Connection => {
                self == Repeat::Unanswered
            }
            ApiErrorKind::Unauthenticated
            | ApiErrorKind::Forbidden
            | ApiErrorKind::NotFound
            | ApiErrorKind::AlreadyExists
            | ApiErrorKind::Conflict
            | ApiErrorKind::Precondition
            | ApiErrorKind::Invalid
            | ApiErrorKind::Malformed
            | ApiErrorKind::Expired
            | ApiErrorKind::Fenced { .. }
            | ApiErrorKind::Other => false,
        }
    }
}

/// A failed attempt, and how long the server asks to wait before the next.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ApiError,
    pub(super) retry_after: Option<Duration>,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure { error, retry_after: None }
    }
}

/// The limits of a call, and whether this server has answered before. Clones share the latter.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    /// For the whole call, repeats included.
    pub(super) deadline: Duration,
    /// For one attempt.
    pub(super) attempt: Duration,
    /// Before the first repeat; doubles with each.
    pub(super) first_pause: Duration,
    /// The longest pause that is our own choice.
    pub(super) longest_pause: Duration,
    answered: Arc<AtomicBool>,
}

/// How often a server that never answered is tried again: a wrong address must not take the whole deadline to show.
const TRIES_OF_A_STRANGER: u32 = 3;

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            deadline: Duration::from_secs(30),
            attempt: Duration::from_secs(10),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
            answered: Arc::default(),
        }
    }
}

impl Retry {
    /// Calls `attempt` with the time it may take, until it succeeds, must not be repeated, or the deadline is near.
    pub(super) async fn run<T, F>(&self, repeat: Repeat, mut attempt: impl FnMut(Duration) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let started = Instant::now();
        let mut pause = self.first_pause;
        let mut sent = false;
        let mut trouble: Option<Trouble> = None;
        for tries in 1u32.. {
            let left = self.deadline.saturating_sub(started.elapsed());
            let failure = match attempt(self.attempt.min(left)).await {
                Ok(answer) => {
                    self.answered.store(true, Ordering::Relaxed);
                    if let Some(trouble) = trouble {
                        trouble.answered();
                    }
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            if let ApiErrorKind::Fenced { .. } = failure.error.kind {
                return Err(if sent { failure.error.after_sending() } else { failure.error });
            }
            sent |= failure.error.is_outcome_unknown();
            let stranger = match failure.error.kind {
                ApiErrorKind::Unreachable => !self.answered.load(Ordering::Relaxed),
                ApiErrorKind::Timeout | ApiErrorKind::Connection => false,
                // Anything else came from the other end.
                _ => {
                    self.answered.store(true, Ordering::Relaxed);
                    false
                }
            };
            let wait = failure.retry_after.unwrap_or_default().max(jittered(pause));
            // A pause that ends after the deadline is not begun: the error is as true now as it is then. Compared without
            // a sum: a server may ask for more seconds than can be added to anything.
            if !repeat.allows(failure.error.kind)
                || (stranger && tries >= TRIES_OF_A_STRANGER)
                || wait >= self.deadline.saturating_sub(started.elapsed())
            {
                return Err(failure.error);
            }
            // A server that asks to come back later has answered, and so has one that fails.
            if !matches!(failure.error.kind, ApiErrorKind::TooManyRequests | ApiErrorKind::Internal) {
                trouble.get_or_insert_with(|| Trouble::begin(started)).is(&failure.error);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(self.longest_pause);
        }
        unreachable!("the deadline ends the loop long before the tries run out")
    }
}

/// Between half of the pause and all of it, so that many clients do not come back at the same moment.
pub(super) fn jittered(pause: Duration) -> Duration {
    // Need not be good randomness, and must not fail: without any, all of it.
    static DRAWS: AtomicU32 = AtomicU32::new(0);
    let draw = getrandom::u32().unwrap_or_else(|_| DRAWS.fetch_add(0x9e37_79b9, Ordering::Relaxed));
    pause.mul_f64(0.5 + 0.5 * f64::from(draw) / f64::from(u32::MAX))
}

/// The pause that a `Retry-After` header asks for: seconds, or a date by the answer's own clock where it has one.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(value)?;
    let now = date(headers).unwrap_or_else(Timestamp::now);
    Some(until.duration_since(now).try_into().unwrap_or_default())
}

/// The `Date` header.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(http::header::DATE)?.to_str().ok()?)
}

/// A date as HTTP writes it today (RFC 9110, IMF-fixdate), which is what RFC 2822 calls a date with the zone `GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::error::Service;
    use super::*;

    fn quick(deadline: u64) -> Retry {
        Retry {
            deadline: Duration::from_millis(deadline),
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(4),
            ..Retry::default()
        }
    }

    fn failing(kind: ApiErrorKind) -> Failure {
        ApiError::new(Service::SecretManager, "test", kind, "").into()
    }

    async fn tries(retry: &Retry, repeat: Repeat, kind: ApiErrorKind) -> u32 {
        let mut tries = 0;
        let result: Result<(), _> = retry
            .run(repeat, |_| {
                tries += 1;
                async move { Err(failing(kind)) }
            })
            .await;
        assert_eq!(result.expect_err("it never succeeds").kind, kind);
        tries
    }

    #[tokio::test]
    async fn only_what_is_safe_is_repeated() {
        use ApiErrorKind as K;
        for (repeat, kind, repeated) in [
            (Repeat::Unanswered, K::Unavailable, true),
            (Repeat::Unanswered, K::Internal, true),
            (Repeat::Unanswered, K::Timeout, true),
            (Repeat::Unanswered, K::Connection, true),
            (Repeat::Unanswered, K::TooManyRequests, true),
            (Repeat::Unanswered, K::NotFound, false),
            (Repeat::Unanswered, K::Forbidden, false),
            (Repeat::NotDone, K::TooManyRequests, true),
            (Repeat::NotDone, K::Unreachable, true),
            (Repeat::NotDone, K::Unavailable, false),
            (Repeat::NotDone, K::Internal, false),
            (Repeat::NotDone, K::Timeout, false),
            (Repeat::NotDone, K::Connection, false),
            (Repeat::Unreached, K::TooManyRequests, false),
            (Repeat::Unreached, K::Unreachable, true),
            (Repeat::Unreached, K::Unavailable, false),
        ] {
            assert_eq!(tries(&quick(100), repeat, kind).await > 1, repeated, "{repeat:?} {kind:?}");
        }
    }

    #[tokio::test]
    async fn a_stranger_is_given_up_soon_and_a_friend_is_not() {
        let retry = quick(500);
        assert_eq!(tries(&retry, Repeat::Unanswered, ApiErrorKind::Unreachable).await, TRIES_OF_A_STRANGER);
        retry.run(Repeat::NotDone, |_| async { Ok(()) }).await.expect("it succeeds");
        assert!(tries(&retry.clone(), Repeat::Unanswered, ApiErrorKind::Unreachable).await > TRIES_OF_A_STRANGER);
    }

    #[tokio::test]
    async fn the_server_says_how_long_to_wait_but_not_past_the_deadline() {
        for (asked, waits) in [(30, true), (10_000, false)] {
            let started = Instant::now();
            let mut tries = 0;
            let result = quick(5_000)
                .run(Repeat::NotDone, |_| {
                    tries += 1;
                    let first = tries == 1;
                    async move {
                        let failure = failing(ApiErrorKind::TooManyRequests);
                        match first {
                            true => Err(Failure { retry_after: Some(Duration::from_millis(asked)), ..failure }),
                            false => Ok(()),
                        }
                    }
                })
                .await;
            assert_eq!(result.is_ok(), waits, "{asked}");
            assert_eq!(started.elapsed() >= Duration::from_millis(30), waits, "{asked}");
        }
    }

    #[test]
    fn both_forms_of_retry_after() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert("retry-after", http::HeaderValue::from_static("3"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(3)));
        headers.insert("date", http::HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        headers.insert("retry-after", http::HeaderValue::from_static("Sun, 06 Nov 1994 08:49:47 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(10)));
        headers.insert("retry-after", http::HeaderValue::from_static("Sun, 06 Nov 1994 08:49:27 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::ZERO));
        headers.insert("retry-after", http::HeaderValue::from_static("soon"));
        assert_eq!(retry_after(&headers), None);
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_millis(200));
            assert!((100..=200).contains(&pause.as_millis()), "{pause:?}");
        }
    }
}
