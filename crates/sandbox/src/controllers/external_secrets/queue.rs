//! What is to be synced when: at once when something changed, again after a failure, and by the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Namespace and name of an ExternalSecret.
pub type Key = (String, String);

/// The longest that a failing one waits.
const LONGEST: Duration = Duration::from_secs(7 * 60);

#[derive(Debug, Default)]
pub struct Queue {
    /// When each is to be looked at; the earliest first.
    due: BTreeMap<Key, Instant>,
    /// Those that are to be read whatever their policy says.
    forced: BTreeSet<Key>,
    failures: HashMap<Key, u32>,
    /// When each was last read, and how often it wants to be.
    read: HashMap<Key, (Instant, Option<Duration>)>,
}

impl Queue {
    /// Has it looked at, at this time or earlier.
    pub fn add(&mut self, key: Key, at: Instant) {
        let due = self.due.entry(key).or_insert(at);
        *due = at.min(*due);
    }

    /// Has it read, at this time or earlier, whatever its policy says.
    pub fn force(&mut self, key: Key, at: Instant) {
        self.forced.insert(key.clone());
        self.add(key, at);
    }

    /// The next one and its time; `every` replaces every interval.
    pub fn next(&self, every: Option<Duration>) -> Option<(Instant, &Key)> {
        let scheduled = self.read.iter().filter_map(|(key, (at, interval))| {
            let interval = (*interval)?;
            Some((*at + every.unwrap_or(interval), key))
        });
        self.due.iter().map(|(key, at)| (*at, key)).chain(scheduled).min()
    }

    /// Takes it out, to be worked on; true when it is forced. What comes in from now on is another sync.
    pub fn take(&mut self, key: &Key) -> bool {
        self.due.remove(key);
        self.forced.remove(key)
    }

    /// Notes that it was read, and how often that is wanted.
    pub fn succeeded(&mut self, key: &Key, started: Instant, interval: Option<Duration>) {
        self.failures.remove(key);
        self.read.insert(key.clone(), (started, interval));
    }

    /// Notes that there was nothing to do; the clock goes on, with this interval.
    pub fn skipped(&mut self, key: &Key, interval: Option<Duration>) {
        self.failures.remove(key);
        if let Some(read) = self.read.get_mut(key) {
            read.1 = interval;
        }
    }

    /// Has it tried again after a while that doubles each time; answers with when.
    pub fn failed(&mut self, key: &Key) -> Instant {
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = Duration::from_secs(1).saturating_mul(1 << (*failures).min(9)).min(LONGEST);
        *failures += 1;
        // The clock stands until then: the back-off alone decides.
        self.read.remove(key);
        let again = Instant::now() + wait;
        self.add(key.clone(), again);
        again
    }

    pub fn gave_up(&mut self, key: &Key) {
        self.failures.remove(key);
        self.read.remove(key);
    }

    pub fn forget(&mut self, key: &Key) {
        self.take(key);
        self.gave_up(key);
    }

    pub fn age(&self, key: &Key) -> Option<Duration> {
        self.read.get(key).map(|(at, _)| at.elapsed())
    }
}
