//! What a status tells of an account beside its state: since when, why, and what is due. Pure.

use crate::hint::Command;
use jiff::Timestamp;
use serde::Serialize;

use crate::facts::names::VersionId;
use crate::facts::observation::{LastRotation, Observation};
use crate::state::{self, State};

/// What only a status has.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusResult {
    /// Since when the newest version is there: its creation, else the end of the rotation that made it; null when neither
    /// is known.
    pub in_use_since: Option<Timestamp>,
    /// Since when the back-compat holds a value that is not the primary's; null when it does not, or it is not known.
    pub live_since: Option<Timestamp>,
    /// Why the back-compat is still needed; empty when it is not.
    pub needed_because: String,
    /// The last rotation on record.
    pub last_rotation: Option<LastRotation>,
    /// What is due next; null when nothing is.
    pub due: Option<Due>,
}

/// What is due, and the commands for it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Due {
    /// In one word: `rotate`, `finalize`, `sync`, `restart`, `verify`, `repair`.
    pub action: &'static str,
    /// In words.
    pub what: String,
    /// Command lines, the first one first.
    pub commands: Vec<Command>,
}

/// When the last rotation ended, if it made the newest version.
fn recorded(now: &Observation) -> Option<(Timestamp, &LastRotation)> {
    let last = now.last_rotation.as_ref()?;
    let newest = now.primary.newest()?;
    (last.to == newest.id.to_string()).then_some(())?;
    Some((last.at.parse().ok()?, last))
}

/// Since when the newest version of the primary is there: since the rotation on record that made it, else its creation. The record comes
/// first since it is at hand in every form of output: an age must not depend on which one was asked for.
pub fn in_use_since(now: &Observation) -> Option<Timestamp> {
    recorded(now).map(|(at, _)| at).or_else(|| now.primary.newest()?.created)
}

/// The version of the primary whose value the back-compat keeps, where that version is disabled and only the record of the last rotation
/// tells: nobody has stored another one since.
pub fn keeps_value_of(now: &Observation) -> Option<String> {
    let kept = now.back_compat.newest()?;
    let (at, last) = recorded(now)?;
    let named = kept.value.and_then(|value| now.name_of(value));
    let is_told = named.is_none_or(|name| name.starts_with("primary"));
    // Its date says so, or pods that the rotation itself restarted, with the note of which back-compat they read.
    let stored_before = kept.created.is_some_and(|created| created <= at) || restarted_with(now, kept.id, at);
    (state::back_compat_is_live(now) && !is_told && stored_before).then(|| format!("primary {}", last.from))
}

/// Whether a restart onto the newest version, up to this moment, noted this version of the back-compat.
fn restarted_with(now: &Observation, kept: VersionId, until: Timestamp) -> bool {
    let newest = now.primary.newest().map(|newest| newest.id);
    let moment = |restart: &String| Timestamp::from_nanosecond(restart.parse().ok()?).ok();
    // The record's moment is rounded to a second.
    let until = until.checked_add(jiff::SignedDuration::from_secs(1)).unwrap_or(until);
    let mut pods = now.consumers.iter().flat_map(|consumer| &consumer.pods);
    pods.any(|pod| {
        pod.version == newest
            && pod.back_compat == Some(kept)
            && pod.restart.as_ref().and_then(moment).is_some_and(|at| at <= until)
    })
}

/// Since when the back-compat holds a value that is not the primary's: since the rotation on record, else since the younger of the two was added.
pub fn live_since(now: &Observation) -> Option<Timestamp> {
    if !state::back_compat_is_live(now) {
        return None;
    }
    let dated = || {
        let (newest, kept) = (now.primary.newest()?.created?, now.back_compat.newest()?.created?);
        Some(newest.max(kept))
    };
    recorded(now).map(|(at, _)| at).or_else(dated)
}

/// Why the back-compat is still needed; empty when it is not.
pub fn needed_because(now: &Observation) -> String {
    if !state::back_compat_is_live(now) {
        return String::new();
    }
    match (state::secrets_state(now), recorded(now)) {
        (State::Rotating { from, to }, _) => {
            format!("the rotation from {from} to {to} is not committed: pods and data may still be on {from}")
        }
        (_, Some((_, last))) => {
            format!("it holds what {} held: data that was not saved again under {} needs it", last.from, last.to)
        }
        (_, None) => {
            "it holds another value than the primary, no rotation on record explains it: data may need it".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::seen;

    fn second(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    fn recorded(to: &str, now: Observation) -> Observation {
        let (by, at) = ("alice".to_owned(), "1970-01-01T00:01:30Z".to_owned());
        Observation { last_rotation: Some(LastRotation { by, at, from: "v1".to_owned(), to: to.to_owned() }), ..now }
    }

    /// Dates of versions are Google's; where they may not be read, the record of the rotation that made the newest tells nearly the same.
    #[test]
    fn since_when_is_told_by_dates_or_by_the_record() {
        let cases = [
            ("dated", seen("D@1 E2@60", "E1@70", (2, Some(1)), 2), second(60), second(70)),
            ("the primary is the younger", seen("D@1 E2@80", "E1@70", (2, Some(1)), 2), second(80), second(80)),
            ("recorded", recorded("v2", seen("D E2", "E1", (2, Some(1)), 2)), second(90), second(90)),
            (
                "recorded, and the primary dated",
                recorded("v2", seen("D@1 E2@60", "E1", (2, Some(1)), 2)),
                second(90),
                second(90),
            ),
            ("the primary dated alone", seen("D@1 E2@60", "E1", (2, Some(1)), 2), second(60), None),
            ("another rotation recorded", recorded("v1", seen("D E2", "E1", (2, Some(1)), 2)), None, None),
            ("nothing tells", seen("D E2", "E1", (2, Some(1)), 2), None, None),
            ("finalized", recorded("v2", seen("D@1 E2@60", "E2@70", (2, Some(2)), 2)), second(90), None),
        ];
        for (name, now, in_use, live) in cases {
            assert_eq!((in_use_since(&now), live_since(&now)), (in_use, live), "{name}");
        }
    }

    #[test]
    fn whose_value_the_back_compat_keeps_is_told_by_the_record() {
        let cases = [
            (
                "stored before the record",
                recorded("v2", seen("D@1 E2@60", "E1@50", (2, Some(1)), 2)),
                Some("primary v1"),
            ),
            ("stored after it", recorded("v2", seen("D@1 E2@60", "E1@95", (2, Some(1)), 2)), None),
            ("nobody knows when", recorded("v2", seen("D E2", "E1", (2, Some(1)), 2)), None),
            ("not on record", seen("D@1 E2@60", "E1@50", (2, Some(1)), 2), None),
            ("another rotation", recorded("v3", seen("D@1 E2@60", "E1@50", (2, Some(1)), 2)), None),
            ("an enabled version tells", recorded("v2", seen("E1@1 E2@60", "E1@50", (2, Some(1)), 2)), None),
            ("finalized", recorded("v2", seen("D@1 E2@60", "E2@50", (2, Some(2)), 2)), None),
        ];
        for (name, now, kept) in cases {
            assert_eq!(keeps_value_of(&now).as_deref(), kept, "{name}");
        }
    }

    #[test]
    fn why_the_back_compat_is_needed_is_said() {
        let cases = [
            (seen("D E2", "E2", (2, Some(2)), 2), ""),
            (
                seen("E1 E2", "E1", (2, Some(1)), 1),
                "the rotation from v1 to v2 is not committed: pods and data may still be on v1",
            ),
            (
                recorded("v2", seen("D E2", "E1", (2, Some(1)), 2)),
                "it holds what v1 held: data that was not saved again under v2 needs it",
            ),
            (
                seen("D E2", "E1", (2, Some(1)), 2),
                "it holds another value than the primary, no rotation on record explains it: data may need it",
            ),
        ];
        for (now, because) in cases {
            assert_eq!(needed_because(&now), because);
        }
    }
}
