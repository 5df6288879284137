//! The server's clock, as the API writes it. The fault `clock-skew` sets it ahead of every other clock, or behind.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// By how many seconds the clock is ahead. Of the process and not of a store, as a machine has one clock: the times that
/// objects carry are made deep in rules that are given no world.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// Sets the clock ahead of the others, or behind.
pub fn set_ahead(seconds: i64) {
    AHEAD.store(seconds, Ordering::Relaxed);
}

/// What the clock shows.
fn shown() -> Timestamp {
    let now = Timestamp::now();
    now.checked_add(SignedDuration::from_secs(AHEAD.load(Ordering::Relaxed))).unwrap_or(now)
}

/// Now, as HTTP writes it in `Date`.
pub fn http_date() -> String {
    shown().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Now, in whole seconds: `metav1.Time`.
pub(super) fn now() -> String {
    seconds(shown())
}

/// So many seconds from now, in whole seconds.
pub(super) fn in_seconds(seconds_from_now: i64) -> String {
    let now = shown();
    seconds(now.checked_add(SignedDuration::from_secs(seconds_from_now)).unwrap_or(now))
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How long ago a time of the API was, in whole seconds; none when it is no time.
pub(super) fn seconds_since(time: &str) -> Option<i64> {
    let time: Timestamp = time.parse().ok()?;
    Some(shown().duration_since(time).as_secs())
}

/// The age of something as kubectl writes it.
pub(super) fn age(time: &Value) -> String {
    age_or(time, "<unknown>")
}

/// The age, or a text for when there is no time.
pub(super) fn age_or(time: &Value, otherwise: &str) -> String {
    time.as_str().and_then(seconds_since).map_or_else(|| otherwise.to_owned(), human)
}

/// A duration in the two largest units that matter.
pub(super) fn human(seconds: i64) -> String {
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
