//! What is asked right before each attempt of a write, after every wait: whether it may still be sent, and for how long.
//!
//! A request may wait for its turn, for a token, for as long as a server asks. Whoever held the lock before the wait need
//! not hold it after. So the question is part of sending, not of deciding to send.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::error::ApiError;

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<Grant, ApiError>> + Send + Sync>;

/// Asked before each attempt of a write.
#[derive(Clone)]
pub struct Fence(Option<Ask>);

/// That a write may be sent, and until when it may be under way.
#[derive(Clone, Copy, Debug)]
pub struct Grant(Option<Until>);

#[derive(Clone, Copy, Debug)]
struct Until {
    from: Moment,
    lasts: Duration,
}

impl Fence {
    /// For what no lock guards: reads, questions, the lock's own object.
    pub const OPEN: Fence = Fence(None);

    /// Asks this each time; its error says why nothing may be sent any more.
    pub fn new(ask: impl Fn() -> BoxFuture<'static, Result<Grant, ApiError>> + Send + Sync + 'static) -> Fence {
        Fence(Some(Arc::new(ask)))
    }

    /// Asks. The last thing to be awaited before a write is sent.
    pub async fn ask(&self) -> Result<Grant, ApiError> {
        match &self.0 {
            Some(ask) => ask().await,
            None => Ok(Grant(None)),
        }
    }
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Fence" } else { "Fence(open)" })
    }
}

/// Why a write that was granted has no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Overdue {
    /// The grant had ended before anything was sent: the process stood still.
    Unsent,
    /// It ended while the request was under way.
    Unanswered,
}

impl Grant {
    /// For `lasts` from then on.
    pub fn until(from: Moment, lasts: Duration) -> Grant {
        Grant(Some(Until { from, lasts }))
    }

    /// The time that an attempt may take, where it may take `within` by itself.
    pub(super) fn bounds(&self, within: Duration) -> Duration {
        self.0.map_or(within, |until| within.min(until.lasts.saturating_sub(until.from.elapsed())))
    }

    fn is_over(&self) -> bool {
        self.0.is_some_and(|until| until.from.elapsed() >= until.lasts)
    }

    /// Lets a request go on for as long as this lasts. Looked at before each step of it, so that a process that was
    /// stopped, or a machine that slept, does not send late what it had not sent yet.
    pub(super) async fn hold<T>(&self, request: impl Future<Output = T>) -> Result<T, Overdue> {
        let mut request = pin!(request);
        let mut overdue = Overdue::Unsent;
        poll_fn(|context| {
            if self.is_over() {
                return Poll::Ready(Err(overdue));
            }
            overdue = Overdue::Unanswered;
            request.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

/// A moment by a clock that goes on while the machine sleeps. The usual one stands still then, on Linux and macOS, and a
/// lock would seem to have been asked for a moment ago.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    usual: Instant,
    awake_or_asleep: Option<Duration>,
}

impl Moment {
    /// This one.
    pub fn now() -> Moment {
        Moment { usual: Instant::now(), awake_or_asleep: since_boot() }
    }

    /// Whether it was before another. The usual clock orders what this process did.
    pub fn is_before(self, other: Moment) -> bool {
        self.usual < other.usual
    }

    /// How long ago it was: what the clock that saw more of it says.
    pub fn elapsed(self) -> Duration {
        let asleep_too = self.awake_or_asleep.zip(since_boot()).map(|(then, now)| now.saturating_sub(then));
        self.usual.elapsed().max(asleep_too.unwrap_or_default())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Boottime;
// Apple's goes on during sleep; what `Instant` reads there does not.
#[cfg(target_vendor = "apple")]
const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn since_boot() -> Option<Duration> {
    rustix::time::clock_gettime(SINCE_BOOT).try_into().ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn since_boot() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: u64) -> Moment {
        let now = Moment::now();
        let long = Duration::from_secs(seconds);
        Moment { awake_or_asleep: now.awake_or_asleep.map(|at| at.saturating_sub(long)), ..now }
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    #[test]
    fn time_asleep_has_passed_too() {
        // As after a sleep of a minute: the usual clock saw nothing of it.
        assert!(ago(60).elapsed() >= Duration::from_secs(60));
        assert!(ago(0).elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn what_was_not_sent_before_the_grant_ended_is_not_sent() {
        let (short, long) = (Duration::from_millis(30), Duration::from_secs(60));
        let over = Grant::until(Moment::now(), Duration::ZERO);
        let mut sent = false;
        assert_eq!(over.hold(async { sent = true }).await, Err(Overdue::Unsent));
        assert!(!sent);
        let slow = async {
            // The thread stands still, as a stopped process does.
            tokio::task::yield_now().await;
            std::thread::sleep(short * 2);
            tokio::task::yield_now().await;
            sent = true;
        };
        assert_eq!(Grant::until(Moment::now(), short).hold(slow).await, Err(Overdue::Unanswered));
        assert!(!sent);
        assert_eq!(Grant::until(Moment::now(), long).hold(async { 7 }).await, Ok(7));
        assert_eq!(Fence::OPEN.ask().await.expect("an open one refuses nothing").hold(async { 7 }).await, Ok(7));
    }

    #[test]
    fn an_attempt_is_no_longer_than_its_grant() {
        let (short, long) = (Duration::from_secs(2), Duration::from_secs(60));
        assert!(Grant::until(Moment::now(), short).bounds(long) <= short);
        assert_eq!(Grant::until(Moment::now(), long).bounds(short), short);
        assert_eq!(Grant(None).bounds(long), long);
    }
}
