//! The arithmetic of a rolling update, as the Deployment controller does it. Pure.

/// What a Deployment has and wants.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Pods wanted.
    pub desired: i64,
    /// `maxSurge`, resolved.
    pub surge: i64,
    /// `maxUnavailable`, resolved.
    pub unavailable: i64,
    /// What the newest ReplicaSet is asked for.
    pub new: i64,
    /// How many of its pods are available.
    pub new_available: i64,
    /// What the older ReplicaSets are asked for together.
    pub old: i64,
    /// How many of their pods are available.
    pub old_available: i64,
}

/// What each side is asked for next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Next {
    /// The newest ReplicaSet.
    pub new: i64,
    /// The older ones together.
    pub old: i64,
}

/// One step of a rolling update: first up within the surge, then down as far as enough pods stay available.
pub fn step(counts: Counts) -> Next {
    let Counts { desired, surge, unavailable, new, new_available, old, old_available } = counts;
    let room = (desired + surge - new - old).max(0);
    let new = if new > desired { desired } else { (new + room).min(desired) };
    // Old pods that are not available serve nobody: they go first.
    let broken = (old - old_available).max(0);
    let least = desired - unavailable;
    let spare = (new_available + old_available - least).max(0);
    let old = (old - broken - spare).max(0);
    Next { new, old }
}

/// A number or a percentage of `desired`: a surge is rounded up, an unavailability down.
pub fn resolved(given: Option<&serde_json::Value>, desired: i64, up: bool) -> i64 {
    let percent = |percent: i64| if up { (desired * percent + 99) / 100 } else { desired * percent / 100 };
    match given {
        Some(serde_json::Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(serde_json::Value::String(text)) => text.trim_end_matches('%').parse().map_or(0, percent),
        _ => percent(25),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rolling_update_keeps_enough_pods_available() {
        let two = |new, new_available, old, old_available| {
            step(Counts { desired: 2, surge: 1, unavailable: 0, new, new_available, old, old_available })
        };
        let cases = [
            ("begins with one more", two(0, 0, 2, 2), (1, 2)),
            ("waits for it", two(1, 0, 2, 2), (1, 2)),
            ("then takes an old one", two(1, 1, 2, 2), (1, 1)),
            ("and goes on", two(1, 1, 1, 1), (2, 1)),
            ("to the end", two(2, 2, 1, 1), (2, 0)),
            ("a broken old one goes first", two(1, 0, 2, 1), (1, 1)),
        ];
        for (name, next, (new, old)) in cases {
            assert_eq!(next, Next { new, old }, "{name}");
        }
    }

    #[test]
    fn percentages_are_rounded_as_kubernetes_rounds_them() {
        for (given, desired, up, expected) in [
            (None, 2, true, 1),
            (None, 2, false, 0),
            (Some(json!("50%")), 3, true, 2),
            (Some(json!("50%")), 3, false, 1),
            (Some(json!(2)), 9, true, 2),
        ] {
            assert_eq!(resolved(given.as_ref(), desired, up), expected, "{given:?} of {desired}");
        }
    }
}
