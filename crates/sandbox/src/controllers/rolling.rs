//! The arithmetic of a rolling update, as the Deployment controller does it. Pure.

/// What a ReplicaSet is asked for, and how many of its pods are available.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Set {
    /// `spec.replicas`.
    pub asked: i64,
    /// `status.availableReplicas`.
    pub available: i64,
}

/// What a Deployment has and wants.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Pods wanted.
    pub desired: i64,
    /// `maxSurge`, resolved.
    pub surge: i64,
    /// `maxUnavailable`, resolved.
    pub unavailable: i64,
    pub new: Set,
    /// The older ones, the oldest first.
    pub old: Vec<Set>,
}

/// What each side is asked for next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Next {
    pub new: i64,
    pub old: Vec<i64>,
}

/// One step of a rolling update: either up within the surge, or down as far as enough pods stay available. Statuses lag behind: what was
/// asked for and is not available yet is counted, so that nothing goes for a pod that is just going already.
pub fn step(counts: &Counts) -> Next {
    let Counts { desired, surge, unavailable, new, old } = counts;
    let mut asked: Vec<i64> = old.iter().map(|set| set.asked).collect();
    let all_asked = new.asked + asked.iter().sum::<i64>();
    // `reconcileNewReplicaSet`: where it scales, the rest is for the next round.
    let up = match new.asked > *desired {
        true => *desired,
        false => new.asked + (desired + surge - all_asked).clamp(0, desired - new.asked),
    };
    if up != new.asked {
        return Next { new: up, old: asked };
    }
    // `reconcileOldReplicaSets`.
    let least = desired - unavailable;
    let most = all_asked - least - (new.asked - new.available);
    if most <= 0 {
        return Next { new: new.asked, old: asked };
    }
    // `cleanupUnhealthyReplicas`: what serves nobody goes first.
    let mut cleaned = 0;
    for (set, asked) in old.iter().zip(&mut asked) {
        let broken = (*asked - set.available).clamp(0, most - cleaned);
        *asked -= broken;
        cleaned += broken;
    }
    // `scaleDownOldReplicaSetsForRollingUpdate`.
    let available = new.available + old.iter().map(|set| set.available).sum::<i64>();
    let mut spare = (available - least).max(0);
    for asked in &mut asked {
        let taken = (*asked).min(spare);
        *asked -= taken;
        spare -= taken;
    }
    Next { new: new.asked, old: asked }
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

    fn next(desired: i64, surge: i64, unavailable: i64, new: (i64, i64), old: &[(i64, i64)]) -> (i64, Vec<i64>) {
        let set = |(asked, available): (i64, i64)| Set { asked, available };
        let old = old.iter().map(|old| set(*old)).collect();
        let next = step(&Counts { desired, surge, unavailable, new: set(new), old });
        (next.new, next.old)
    }

    #[test]
    fn a_rolling_update_keeps_enough_pods_available() {
        let two = |new, old| next(2, 1, 0, new, &[old]);
        let cases = [
            ("begins with one more", two((0, 0), (2, 2)), (1, 2)),
            ("waits for it", two((1, 0), (2, 2)), (1, 2)),
            ("then takes an old one", two((1, 1), (2, 2)), (1, 1)),
            ("whose status lags behind: up first, and nothing more down", two((1, 1), (1, 2)), (2, 1)),
            ("and waits for the second", two((2, 1), (1, 2)), (2, 1)),
            ("to the end", two((2, 2), (1, 1)), (2, 0)),
            ("an old one that is broken makes no room for itself", two((1, 0), (2, 1)), (1, 2)),
        ];
        for (name, (new, old), (up, down)) in cases {
            assert_eq!((new, old.as_slice()), (up, &[down][..]), "{name}");
        }
    }

    #[test]
    fn what_may_be_unavailable_goes_at_once_and_what_is_broken_first() {
        assert_eq!(next(4, 1, 1, (1, 0), &[(4, 4)]), (1, vec![3]), "one may be unavailable");
        assert_eq!(next(4, 1, 1, (2, 0), &[(3, 3)]), (2, vec![3]), "and no more");
        assert_eq!(next(3, 0, 1, (0, 0), &[(3, 3)]), (0, vec![2]), "without a surge it begins with an old one");
        assert_eq!(next(3, 0, 1, (0, 0), &[(2, 2)]), (1, vec![2]));
        assert_eq!(next(4, 2, 2, (2, 1), &[(1, 0), (3, 3)]), (2, vec![0, 1]), "broken ones of older sets first");
        assert_eq!(next(2, 1, 0, (3, 3), &[]), (2, vec![]), "scaled down");
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
