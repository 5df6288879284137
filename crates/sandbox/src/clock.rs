//! The clock of the Kubernetes API, and how the API writes times. The fault `clock-skew` sets it ahead of every other
//! clock, or behind. Each world has its own.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::faults::Faults;

/// The clock of one world's server.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Faults>);

impl Clock {
    /// One that these faults set ahead, or behind, as long as they are in force.
    pub fn new(faults: Arc<Faults>) -> Self {
        Self(faults)
    }

    fn shown(&self) -> Timestamp {
        later(Timestamp::now(), self.0.seconds("clock-skew"))
    }

    /// Now, as HTTP writes it in `Date`.
    pub fn http_date(&self) -> String {
        self.shown().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Now, in whole seconds: `metav1.Time`.
    pub fn now(&self) -> String {
        written(self.shown())
    }

    /// So many seconds from now, in whole seconds.
    pub fn in_seconds(&self, seconds: i64) -> String {
        written(later(self.shown(), seconds))
    }

    /// How long ago a time of the API was, in whole seconds; none when it is no time.
    pub fn seconds_since(&self, time: &str) -> Option<i64> {
        let time: Timestamp = time.parse().ok()?;
        Some(self.shown().duration_since(time).as_secs())
    }

    /// The age of something as kubectl writes it.
    pub fn age(&self, time: &Value) -> String {
        let seconds = time.as_str().and_then(|time| self.seconds_since(time));
        seconds.map_or_else(|| "<unknown>".to_owned(), human)
    }
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(time)
}

/// A time as the API writes it, in whole seconds.
pub fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Now by the clocks of everybody else, controllers and nodes, as the API writes it.
pub fn others_now() -> String {
    written(Timestamp::now())
}

/// A duration in the two largest units that matter.
pub fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |large: i64, unit: char, small: i64, below: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{below}"),
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => two(hours / 24, 'd', hours % 24, 'h'),
        () if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        () if hours < 24 * 365 * 8 => two(hours / 24 / 365, 'y', hours / 24 % 365, 'd'),
        () => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_read_as_kubectl_writes_them() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (27_000, "7h30m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (-5, "<invalid>"),
        ];
        for (seconds, text) in cases {
            assert_eq!(super::human(seconds), text);
        }
    }
}
