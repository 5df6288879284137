//! Keeps our requests under Secret Manager's quotas, however many accounts run at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What counts against which quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cost<'a> {
    /// Access of a version: 90,000 a minute, which we cannot reach.
    Access,
    /// Read of metadata: 600 a minute and project.
    Read,
    /// Any write but an addition: 600 a minute and project.
    Write,
    /// Addition of a version to the secret with this name: a write, and 2 a second and secret.
    Add(&'a str),
}

/// Shared by all clones of a client. The quotas are per project; one bucket for all projects is the cautious reading.
#[derive(Clone, Debug, Default)]
pub(super) struct RateLimit(Arc<Mutex<Buckets>>);

#[derive(Debug)]
struct Buckets {
    reads: Bucket,
    writes: Bucket,
    secrets: HashMap<String, Bucket>,
}

impl Default for Buckets {
    fn default() -> Buckets {
        // 80 % of 600 a minute, and a burst that stays under 600 in the first minute as well.
        let quota = || Bucket::new(8.0, 60.0);
        Buckets { reads: quota(), writes: quota(), secrets: HashMap::new() }
    }
}

impl RateLimit {
    /// Waits until the request fits. A caller that goes away while waiting has used up its share.
    pub(super) async fn admit(&self, cost: Cost<'_>) {
        let wait = self.reserve(cost, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn reserve(&self, cost: Cost<'_>, now: Instant) -> Duration {
        // A panic elsewhere cannot leave a bucket half changed.
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match cost {
            Cost::Access => Duration::ZERO,
            Cost::Read => buckets.reads.take(now),
            Cost::Write => buckets.writes.take(now),
            Cost::Add(secret) => {
                // Later of the two: the secret's own turn may come after the project's.
                let project = buckets.writes.take(now);
                let secret = buckets.secrets.entry(secret.to_owned()).or_insert_with(|| Bucket::new(2.0, 2.0));
                project.max(secret.take(now))
            }
        }
    }
}

/// A token bucket. May be overdrawn: the debt is the wait of whoever comes next, so turns are taken in order.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    most: f64,
    tokens: f64,
    at: Option<Instant>,
}

impl Bucket {
    fn new(per_second: f64, most: f64) -> Bucket {
        Bucket { per_second, most, tokens: most, at: None }
    }

    fn take(&mut self, now: Instant) -> Duration {
        let since = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.tokens = (self.tokens + since * self.per_second).min(self.most) - 1.0;
        Duration::from_secs_f64((-self.tokens / self.per_second).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_stays_under_the_quota() {
        let limit = RateLimit::default();
        let start = Instant::now();
        let in_the_first_minute = (0..1000)
            .filter(|n| limit.reserve(Cost::Add(&format!("secret-{n}")), start) < Duration::from_secs(60))
            .count();
        assert!((480..600).contains(&in_the_first_minute), "{in_the_first_minute}");
    }

    #[test]
    fn one_secret_gets_two_additions_a_second_and_clones_share() {
        let limit = RateLimit::default();
        let start = Instant::now();
        let waits: Vec<_> =
            (0..6).map(|_| limit.clone().reserve(Cost::Add("acme_account_secret"), start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 500, 1000, 1500, 2000]);
        assert_eq!(limit.reserve(Cost::Add("another"), start), Duration::ZERO);
        assert_eq!(limit.reserve(Cost::Access, start), Duration::ZERO);
        let later = start + Duration::from_secs(10);
        assert_eq!(limit.reserve(Cost::Add("acme_account_secret"), later), Duration::ZERO, "it fills up again");
    }
}
