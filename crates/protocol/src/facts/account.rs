//! An account at a glance: what the states and dates of its versions tell, without any value.

use jiff::Timestamp;
use serde::Serialize;

use super::names::VersionId;
use super::observation::{LastRotation, VersionState};

/// One of an account's two secrets at a glance.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretGlance {
    /// Its id.
    pub secret: String,
    /// The newest versions, newest first.
    pub versions: Vec<VersionGlance>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionGlance {
    /// Its number.
    #[serde(rename = "version", serialize_with = "number")]
    pub id: VersionId,
    pub state: VersionState,
    /// When it was created.
    pub created: Timestamp,
}

fn number<S: serde::Serializer>(id: &VersionId, serializer: S) -> Result<S::Ok, S::Error> {
    // As text, like everywhere in results: JSON's numbers are not for names.
    serializer.collect_str(&id.get())
}

/// What is looked at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Glance {
    pub primary: SecretGlance,
    pub back_compat: SecretGlance,
    /// What the account's lock says of the last rotation.
    pub last_rotation: Option<LastRotation>,
    /// The version that a rotation set out for and did not record its end.
    pub begun: Option<VersionId>,
}

/// What a glance tells; the words are those of `state`, and `Unknown`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// `Stable`, `Rotating`, `AwaitingReencryption`, `Blocked` or `Unknown`.
    pub state: &'static str,
    /// Why, where the state alone does not say it.
    pub reason: String,
}

/// Judges by states, dates and the record of the last rotation. Whether two versions hold one value is what only the
/// values tell; a rotation stores the old value before its record, though, and `finalize` replaces it after.
pub fn judge(seen: &Glance) -> Judgement {
    let is = |state, reason: String| Judgement { state, reason };
    let Some(newest) = seen.primary.versions.first() else {
        return is("Blocked", format!("{} has no version", seen.primary.secret));
    };
    if newest.state != VersionState::Enabled {
        return is("Blocked", format!("the newest version, {}, is {}", newest.id, word(newest.state)));
    }
    let back_compat = seen.back_compat.versions.first();
    if let Some(version) = back_compat.filter(|version| version.state != VersionState::Enabled) {
        return is("Blocked", format!("the back-compat's newest version, {}, is {}", version.id, word(version.state)));
    }
    let predecessor = seen.primary.versions.iter().find(|version| Some(version.id) == newest.id.previous());
    match (predecessor.filter(|version| version.state == VersionState::Enabled), back_compat) {
        (Some(older), Some(kept)) if seen.begun == Some(newest.id) || (older.created <= kept.created) => {
            is("Rotating", format!("{} → {}", older.id, newest.id))
        }
        (Some(older), _) => is("Blocked", format!("{} is enabled, and nothing explains it", older.id)),
        (None, None) => is("Stable", String::new()),
        (None, Some(kept)) => match recorded(seen, newest.id) {
            // Stored before the new version, or, by a rollback, between it and the record.
            Some(at) if kept.created <= newest.created || kept.created <= at + CLOCKS_DIFFER => {
                is("AwaitingReencryption", format!("back-compat {} was kept by the rotation to {}", kept.id, newest.id))
            }
            Some(_) => is("Stable", String::new()),
            None => is(
                "Unknown",
                format!("no rotation to {} is on record: back-compat {} may hold anything", newest.id, kept.id),
            ),
        },
    }
}

/// By how much the clocks of Google and of an operator are taken to differ at most.
const CLOCKS_DIFFER: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// When the last rotation ended, if it made this version.
fn recorded(seen: &Glance, newest: VersionId) -> Option<Timestamp> {
    let last = seen.last_rotation.as_ref()?;
    last.at.parse().ok().filter(|_| last.to_version() == Some(newest))
}

fn word(state: VersionState) -> &'static str {
    match state {
        VersionState::Enabled => "enabled",
        VersionState::Disabled => "disabled",
        VersionState::Destroyed => "destroyed",
    }
}

/// How long ago, as kubectl shows it: `5s`, `3m10s`, `4h12m`, `6d`, `2y40d`.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |big: i64, unit: &str, small: i64, rest: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{rest}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if days < 8 * 365 => two(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u8) -> Timestamp {
        format!("2026-11-{day:02}T10:00:00Z").parse().expect("a time")
    }

    /// `8:E20 7:D10`: number, state and the day of its making.
    fn versions(given: &str) -> SecretGlance {
        let one = |text: &str| {
            let (number, rest) = text.split_once(':').expect("a number");
            let state = match &rest[..1] {
                "E" => VersionState::Enabled,
                "D" => VersionState::Disabled,
                _ => VersionState::Destroyed,
            };
            let id = number.parse().expect("a version");
            VersionGlance { id, state, created: at(rest[1..].parse().expect("a day")) }
        };
        SecretGlance { secret: "s".to_owned(), versions: given.split_whitespace().map(one).collect() }
    }

    #[test]
    fn states_and_dates_tell_most() {
        let last = |to: &str, day| LastRotation {
            by: String::new(),
            at: at(day).to_string(),
            from: "v7".to_owned(),
            to: to.to_owned(),
        };
        let cases = [
            ("never rotated", "1:E01", "", None, None, "Stable"),
            ("no version", "", "", None, None, "Blocked"),
            ("newest disabled", "8:D20 7:E10", "", None, None, "Blocked"),
            ("back-compat disabled", "8:E20 7:D10", "2:D19", None, None, "Blocked"),
            ("in the middle", "8:E20 7:E10", "1:E19", None, None, "Rotating"),
            ("by hand for years", "8:E20 7:E10", "", None, None, "Blocked"),
            ("by hand, with an old back-compat", "8:E20 7:E10", "1:E05", None, None, "Blocked"),
            ("resumed, the back-compat was there", "8:E20 7:E10", "1:E05", None, Some(8), "Rotating"),
            ("committed", "8:E20 7:D10", "1:E19", Some(last("v8", 20)), None, "AwaitingReencryption"),
            ("finalized", "8:E20 7:D10", "2:E25", Some(last("v8", 21)), None, "Stable"),
            ("rolled back", "8:E20 7:D10", "2:E20", Some(last("v8", 21)), None, "AwaitingReencryption"),
            ("rolled back, a little later", "8:E20 7:D10", "2:E21", Some(last("v8", 22)), None, "AwaitingReencryption"),
            (
                "rolled back, in the second of the record",
                "8:E20 7:D10",
                "2:E21",
                Some(last("v8", 21)),
                None,
                "AwaitingReencryption",
            ),
            ("there from the start", "8:E20 7:D10", "1:E20", None, None, "Unknown"),
            ("set by somebody", "8:E20 7:D10", "2:E25", None, None, "Unknown"),
            ("set by somebody, an old record", "8:E20 7:D10", "2:E25", Some(last("v6", 9)), None, "Unknown"),
        ];
        for (name, primary, back_compat, last_rotation, begun, expected) in cases {
            let begun = begun.and_then(VersionId::new);
            let seen = Glance { primary: versions(primary), back_compat: versions(back_compat), last_rotation, begun };
            assert_eq!(judge(&seen).state, expected, "{name}: {:?}", judge(&seen));
        }
    }

    #[test]
    fn a_blocked_account_says_which_version_is_closed() {
        for (primary, back_compat, reason) in [
            ("8:D20 7:E10", "", "the newest version, v8, is disabled"),
            ("8:X20 7:E10", "", "the newest version, v8, is destroyed"),
            ("8:E20 7:D10", "2:D19", "the back-compat's newest version, v2, is disabled"),
        ] {
            let (primary, back_compat) = (versions(primary), versions(back_compat));
            let seen = Glance { primary, back_compat, last_rotation: None, begun: None };
            assert_eq!(judge(&seen).reason, reason);
        }
    }

    #[test]
    fn ages_are_kubectls() {
        let now = at(20);
        for (seconds, shown) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (190, "3m10s"),
            (601, "10m"),
            (610, "10m"),
            (10_800, "3h"),
            (15_120, "4h12m"),
            (28_860, "8h"),
            (172_800, "2d"),
            (187_200, "2d4h"),
            (694_800, "8d"),
            (63_072_000, "2y"),
            (252_374_400, "8y"),
            (86_400, "24h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (66_528_000, "2y40d"),
        ] {
            let since = now - jiff::SignedDuration::from_secs(seconds);
            assert_eq!(age(since, now), shown, "{seconds}");
        }
    }
}
