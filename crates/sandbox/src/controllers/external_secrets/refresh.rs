//! When an ExternalSecret is read again.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::{hash, target};
use crate::cluster::text;

/// The interval at which it is read, if it is read by the clock. A fault may give another to all.
pub fn interval(spec: &Value, fault: Option<Duration>) -> Option<Duration> {
    if matches!(text(&spec["refreshPolicy"]), "OnChange" | "CreatedOnce") {
        return None;
    }
    fault.or_else(|| go_duration(text(&spec["refreshInterval"]))).filter(|interval| !interval.is_zero())
}

/// Go's `1h30m0s`; none when it is none, and zero for a negative one: both are "never".
fn go_duration(text: &str) -> Option<Duration> {
    match text {
        "0" => Some(Duration::ZERO),
        text => Some(text.parse::<SignedDuration>().ok()?.try_into().unwrap_or(Duration::ZERO)),
    }
}

/// Whether the object asks to be read: `age` is how long ago it last was, none when never or in the future.
pub fn is_due(object: &Value, age: Option<Duration>, fault: Option<Duration>) -> bool {
    let synced = text(&object["status"]["syncedResourceVersion"]);
    let is_changed = || synced != hash::synced_resource_version(object);
    match text(&object["spec"]["refreshPolicy"]) {
        "CreatedOnce" => synced.is_empty() || age.is_none(),
        "OnChange" => synced.is_empty() || age.is_none() || is_changed(),
        _ => match interval(&object["spec"], fault) {
            // Checked first, as the real one does: an interval of 0 does not even listen to a forced sync.
            None if !synced.is_empty() => false,
            interval => is_changed() || age.is_none_or(|age| interval.is_some_and(|interval| age > interval)),
        },
    }
}

/// Whether the target is as the last sync left it; if not, it is put right whatever the policy says.
pub fn is_intact(object: &Value, existing: Option<&Value>) -> bool {
    if matches!(text(&object["spec"]["target"]["creationPolicy"]), "Orphan") {
        return true;
    }
    let Some(secret) = existing else { return false };
    let metadata = &secret["metadata"];
    metadata["labels"][target::MANAGED] == "true"
        && metadata["annotations"][target::DATA_HASH] == hash::of_data(&target::data(secret)).as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn intervals_are_gos() {
        let cases = [
            ("1h0m0s", Some(3600.0)),
            ("10m", Some(600.0)),
            ("1.5s", Some(1.5)),
            ("100ms", Some(0.1)),
            ("0", Some(0.0)),
            ("0s", Some(0.0)),
            ("-1s", Some(0.0)),
            ("10", None),
            ("1d", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(go_duration(text), seconds.map(Duration::from_secs_f64), "{text}");
        }
    }

    #[test]
    fn policies_decide_what_is_read_again() {
        let seconds = |age: u64| Some(Duration::from_secs(age));
        // policy, interval, synced before, changed since, age; whether it is read again
        let cases = [
            ("", "10m", false, true, None, true),
            ("", "10m", true, true, seconds(1), true),
            ("", "10m", true, false, seconds(1), false),
            ("", "10m", true, false, seconds(601), true),
            ("Periodic", "10m", true, false, None, true),
            ("Periodic", "0", false, true, None, true),
            ("Periodic", "0", true, true, seconds(1), false),
            ("Periodic", "0s", true, true, seconds(9999), false),
            ("OnChange", "1s", true, false, seconds(9999), false),
            ("OnChange", "1s", true, true, seconds(1), true),
            ("OnChange", "0", true, true, seconds(1), true),
            ("CreatedOnce", "1s", false, true, None, true),
            ("CreatedOnce", "1s", true, true, seconds(9999), false),
        ];
        for case in cases {
            let (policy, interval, is_synced, is_changed, age, expected) = case;
            let mut object =
                json!({"metadata": {"generation": 1}, "spec": {"refreshInterval": interval}, "status": {}});
            if !policy.is_empty() {
                object["spec"]["refreshPolicy"] = json!(policy);
            }
            if is_synced {
                object["status"]["syncedResourceVersion"] = json!(hash::synced_resource_version(&object));
            }
            if is_changed {
                object["metadata"]["annotations"] = json!({"force-sync": "1"});
            }
            assert_eq!(is_due(&object, age, None), expected, "{case:?}");
        }
        let object = json!({"spec": {"refreshInterval": "1h"}, "status": {}});
        assert_eq!(interval(&object["spec"], seconds(2)), seconds(2));
    }
}
