//! What a status tells of an account beside its state: since when, why, and what is due. Pure.

use crate::hint::Command;
use jiff::Timestamp;
use serde::Serialize;

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

/// Since when the newest version of the primary is there.
pub fn in_use_since(now: &Observation) -> Option<Timestamp> {
    now.primary.newest()?.created.or_else(|| recorded(now).map(|(at, _)| at))
}

/// Since when the back-compat holds a value that is not the primary's: since the younger of the two was added.
pub fn live_since(now: &Observation) -> Option<Timestamp> {
    if !state::back_compat_is_live(now) {
        return None;
    }
    let (newest, kept) = (now.primary.newest()?.created, now.back_compat.newest()?.created);
    match (newest, kept) {
        (Some(newest), Some(kept)) => Some(newest.max(kept)),
        (Some(newest), None) => recorded(now).map(|_| newest),
        (None, _) => recorded(now).map(|(at, _)| at),
    }
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
