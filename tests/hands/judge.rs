//! The judgement, from what the sandbox knows, never from what the program says.
//!
//! An item *stands* under the value that it was encrypted with. It is *readable* while a pod runs that started with that value
//! in one of its two slots. A value is *held* by an ENABLED version of the primary or the back-compat, by a Kubernetes Secret
//! of the account, or by a running pod; a DISABLED version holds nothing (docs/protocol.md, I8).
//!
//! Looked at when the follower comes, and after every command that is run from then on:
//! - **lost**: items stand under a value, no pod can read them, and that was not so when the follower came. A value that
//!   items were written under only since counts as well. *Waiting* is lost while an ENABLED version or a Kubernetes Secret
//!   still holds the value, *gone* when none does;
//! - **ended**: items stand under a value that was held when the follower came, also one that no pod could read then, and
//!   nothing holds it after this command.
//!
//! A seed loses when a value is ended by any command, or lost at the end; where the end is a sentence that names what a person
//! must decide, waiting is no loss. What no pod could read and nothing held when the follower came was lost before, and is
//! not counted. Where the command that ended a value was one that retires values by the operator's word (`finalize`,
//! `--abandon-older`, `--retired`), the loss is told as one by word, and counts.
//!
//! After a calm end a day passes: External Secrets' interval is over, and every pod is replaced. What is lost only then is
//! *latent*, and counts too.

use std::collections::{BTreeMap, BTreeSet};

use deepdesk_protocol::invariants::{self, Slots};

/// A value, by its number in the sandbox's history.
pub type Number = usize;

/// The state of a version.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum State {
    Enabled,
    Disabled,
    Destroyed,
}

/// A version of one of the two secrets.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    pub number: u64,
    pub state: State,
    /// None once it is destroyed.
    pub value: Option<Number>,
}

/// A pod that runs.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pod {
    pub uid: String,
    pub owner: String,
    pub primary: Option<Number>,
    pub back_compat: Option<Number>,
}

/// An account at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    pub primary: Vec<Version>,
    /// None where the secret does not exist.
    pub back_compat: Option<Vec<Version>>,
    /// What each Kubernetes Secret has in its two keys.
    pub kubernetes: BTreeMap<String, (Option<Number>, Option<Number>)>,
    pub pods: Vec<Pod>,
    /// How many items stand under each value.
    pub items: BTreeMap<Number, u64>,
    /// The record on the lock.
    pub record: Vec<String>,
}

impl Seen {
    fn is_read(&self, value: Number) -> bool {
        let slots = |pod: &Pod| Slots { primary: pod.primary, back_compat: pod.back_compat };
        self.pods.iter().any(|pod| slots(pod).reads(value))
    }

    /// Whether an ENABLED version or a Kubernetes Secret has the value.
    pub fn is_kept(&self, value: Number) -> bool {
        let versions = self.primary.iter().chain(self.back_compat.iter().flatten());
        let mut enabled = versions.filter(|version| version.state == State::Enabled);
        let mut secrets = self.kubernetes.values();
        enabled.any(|version| version.value == Some(value))
            || secrets.any(|(primary, back_compat)| [*primary, *back_compat].contains(&Some(value)))
    }

    fn is_held(&self, value: Number) -> bool {
        self.is_kept(value) || self.is_read(value)
    }

    /// The values under which items stand.
    fn needed(&self) -> impl Iterator<Item = Number> {
        self.items.iter().filter(|(_, items)| **items > 0).map(|(value, _)| *value)
    }

    /// The values under which items stand that no pod can read.
    pub fn unreadable(&self) -> BTreeSet<Number> {
        self.needed().filter(|value| !self.is_read(*value)).collect()
    }
}

/// What a command did to values that were there when the follower came.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Judged {
    /// Lost, and an ENABLED version or a Kubernetes Secret still has it.
    pub waiting: BTreeSet<Number>,
    /// Lost, and nothing has it.
    pub gone: BTreeSet<Number>,
    /// Held before this command, and by nothing after it.
    pub ended: BTreeSet<Number>,
}

/// Judges what is there after a command; `came` is what was there when the follower came, `before` right before the command.
pub fn judge(came: &Seen, before: &Seen, now: &Seen) -> Judged {
    let lost_before = came.unreadable();
    let (waiting, gone) = now.unreadable().difference(&lost_before).partition(|value| now.is_kept(**value));
    let ended = invariants::ended(now.needed(), |value| before.is_held(value), |value| now.is_held(value)).collect();
    Judged { waiting, gone, ended }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `versions of the primary, back-compat's, Kubernetes Secret, pods, items`: `7d 8 | 7 | 8/7 | 8/7 8/7 | 7:3 8:1`, where
    /// versions have the value of their number.
    fn seen(text: &str) -> Seen {
        let parts: Vec<&str> = text.split('|').map(str::trim).collect();
        let version = |text: &str| {
            let state = if text.ends_with('d') { State::Disabled } else { State::Enabled };
            let number = text.trim_end_matches('d').parse().unwrap();
            Version { number, state, value: usize::try_from(number).ok() }
        };
        let pair = |text: &str| {
            let (primary, back_compat) = text.split_once('/').unwrap();
            (primary.parse().ok(), back_compat.parse().ok())
        };
        let pod = |(at, text): (usize, &str)| {
            let (primary, back_compat) = pair(text);
            Pod { uid: at.to_string(), owner: "admin".to_owned(), primary, back_compat }
        };
        let item = |text: &str| {
            let (value, items) = text.split_once(':').unwrap();
            (value.parse().unwrap(), items.parse().unwrap())
        };
        Seen {
            primary: parts[0].split_whitespace().map(version).collect(),
            back_compat: Some(parts[1].split_whitespace().map(version).collect()),
            kubernetes: BTreeMap::from([("admin-secrets".to_owned(), pair(parts[2]))]),
            pods: parts[3].split_whitespace().enumerate().map(pod).collect(),
            items: parts[4].split_whitespace().map(item).collect(),
            record: Vec::new(),
        }
    }

    #[test]
    fn what_was_readable_and_is_not_is_lost_and_what_nothing_has_any_more_was_ended() {
        let came = "7 8 | | 7/- | 7/- | 7:3";
        let cases = [
            ("nothing changed", came, came, "", "", ""),
            ("pods on the new value alone", came, "7 8 | | 8/- | 8/- | 7:3 8:1", "7", "", ""),
            ("the same, and the version is disabled", came, "7d 8 | | 8/- | 8/- | 7:3 8:1", "", "7", "7"),
            ("a Kubernetes Secret is a holder", came, "7d 8 | | 7/- | 8/- | 7:3", "7", "", ""),
            ("back-compat", came, "7d 8 | 7 | 8/7 | 8/7 | 7:3 8:1", "", "", ""),
            ("all saved again", came, "7d 8 | 7d 8 | 8/8 | 8/8 | 7:0 8:4", "", "", ""),
            ("lost before we came", "7d 8 | | 8/- | 8/- | 7:3", "7d 8 | | 8/- | 8/- | 7:3 8:1", "", "", ""),
            ("asleep, then ended", "7 8 | | 8/- | 8/- | 7:3", "7d 8 | | 8/- | 8/- | 7:3 8:1", "", "", "7"),
        ];
        for (name, came, now, waiting, gone, ended) in cases {
            let (came, now) = (seen(came), seen(now));
            let told = |values: &BTreeSet<Number>| values.iter().map(Number::to_string).collect::<Vec<_>>().join(" ");
            let judged = judge(&came, &came, &now);
            assert_eq!(
                (told(&judged.waiting), told(&judged.gone), told(&judged.ended)),
                (waiting.to_owned(), gone.to_owned(), ended.to_owned()),
                "{name}"
            );
        }
    }
}
