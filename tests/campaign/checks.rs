//! The invariants (`deepdesk_protocol::invariants`), judged from what really happened and never from what the program says. Each is one
//! function over the history; the tests hand them made-up histories in which one thing is wrong.

use std::collections::{BTreeMap, BTreeSet};

use deepdesk_protocol::invariants::{self, Slots};

use crate::record::{CONSUMERS, Event, Secrets, Span, State, Success};
use crate::script::Goal;

/// One thing that must not be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

fn violation(invariant: &'static str, what: impl Into<String>) -> Violation {
    Violation { invariant, what: what.into() }
}

/// What a history means so far: which values data was written under and may still be needed.
struct Needed {
    now: Secrets,
    /// Values that pods have written under.
    values: BTreeSet<usize>,
    /// The values of the primary's newest version, one after the other.
    chain: Vec<usize>,
    /// Values of which an operator said that nothing is encrypted under them any more.
    retired: BTreeSet<usize>,
}

impl Needed {
    fn new() -> Needed {
        Needed { now: Secrets::default(), values: BTreeSet::new(), chain: Vec::new(), retired: BTreeSet::new() }
    }

    /// Takes in one event. `finalizes` tells the doors whose operator gave the word that re-encryption is done.
    fn take(&mut self, event: &Event, finalizes: &BTreeSet<usize>) {
        match event {
            Event::Stored { door, now, .. } => {
                self.now = now.clone();
                let in_use = now.in_use();
                if let Some(value) = in_use.filter(|value| self.chain.last() != Some(value)) {
                    self.chain.push(value);
                }
                if finalizes.contains(door) {
                    let older: Vec<usize> =
                        self.values.iter().copied().filter(|value| Some(*value) != in_use).collect();
                    self.retired.extend(older.iter().copied());
                    self.values.retain(|value| !older.contains(value));
                }
            }
            Event::Started { owner, primary: Some(primary), .. } if CONSUMERS.contains(&owner.as_str()) => {
                self.values.insert(*primary);
                // Who writes under it again needs it again.
                self.retired.remove(primary);
            }
            Event::Started { .. } | Event::Lock { .. } | Event::Wrote { .. } | Event::Gone { .. } => {}
        }
    }
}

/// I1: every value that data may be encrypted with is in an enabled version of one of the two, after every request; and
/// nothing is ever destroyed.
pub fn nothing_is_lost(events: &[Event], finalizes: &BTreeSet<usize>) -> Vec<Violation> {
    let mut needed = Needed::new();
    let mut found = Vec::new();
    for (at, event) in events.iter().enumerate() {
        needed.take(event, finalizes);
        let now = &needed.now;
        if let Some(value) = invariants::lost(needed.values.iter().copied(), |value| now.holds(value)) {
            found.push(violation("I1", format!("value {value} is in no enabled version after event {at}: {event:?}")));
        }
        let destroyed = now.primary.iter().chain(&now.back_compat).any(|version| version.state == State::Destroyed);
        if destroyed {
            found.push(violation("I1", format!("a version was destroyed by event {at}: {event:?}")));
        }
    }
    found.truncate(1);
    found
}

/// I2: no pod starts with a new primary value without the one before it as back-compat. While two values are exchanged on
/// the way back, both slots hold the older one for a moment (docs/protocol.md): such pods are counted and not judged.
pub fn reads_before_writes(events: &[Event], finalizes: &BTreeSet<usize>) -> (Vec<Violation>, usize) {
    let mut needed = Needed::new();
    let (mut found, mut exchanged) = (Vec::new(), 0);
    for (at, event) in events.iter().enumerate() {
        if let Event::Started { owner, primary: Some(primary), back_compat, .. } = event
            && CONSUMERS.contains(&owner.as_str())
            && let Some(place) = needed.chain.iter().rposition(|value| value == primary)
            && let Some(previous) = place.checked_sub(1).map(|before| needed.chain[before])
            && needed.values.contains(&previous)
            && invariants::cannot_read([Slots { primary: Some(*primary), back_compat: *back_compat }], previous)
                .is_some()
        {
            let goes_back = needed.chain[..place].contains(primary) && *back_compat == Some(*primary);
            match goes_back {
                true => exchanged += 1,
                false => found.push(violation(
                    "I2",
                    format!(
                        "{owner} started with {primary} and {back_compat:?} at event {at}; data is under {previous}"
                    ),
                )),
            }
        }
        needed.take(event, finalizes);
    }
    (found, exchanged)
}

/// I3: whoever writes to Secret Manager holds the lock. After it was lost one request may still come, which was sent while
/// it was held. Returns how many such came, too.
pub fn one_operator(events: &[Event]) -> (Vec<Violation>, usize) {
    let mut holder: Option<usize> = None;
    // Requests of each that once held the lock, since it was lost.
    let mut late: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut found, mut all_late) = (Vec::new(), 0);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Lock { door, holder: Some(_) } if *door != 0 => {
                holder = Some(*door);
                late.insert(*door, 0);
            }
            Event::Lock { .. } => holder = None,
            Event::Stored { door, .. } if *door == 0 || invariants::is_holder(*door, holder) => {}
            Event::Stored { door, operation, .. } => match late.get_mut(door) {
                None => found.push(violation("I3", format!("run {door} did {operation} and never held the lock"))),
                Some(times) => {
                    *times += 1;
                    all_late += 1;
                    if *times > 1 {
                        found.push(violation(
                            "I3",
                            format!("run {door} sent {times} requests after its lock was lost, the last is {operation} at event {at}"),
                        ));
                    }
                }
            },
            Event::Wrote { .. } | Event::Started { .. } | Event::Gone { .. } => {}
        }
    }
    (found, all_late)
}

/// I4: one rotation, one new value and one new version of the primary, whatever was repeated; and no version more.
pub fn one_new_version(events: &[Event], spans: &[Span]) -> Vec<Violation> {
    let mut found = Vec::new();
    for span in spans.iter().filter(|span| !span.unlocked) {
        let before = events[..span.from].iter().rev().find_map(stored).cloned().unwrap_or_default();
        let known: BTreeSet<usize> = events[..span.from].iter().filter_map(stored).flat_map(values).collect();
        let after = events[..span.to].iter().rev().find_map(stored).cloned().unwrap_or_default();
        let new: BTreeSet<usize> = values(&after).into_iter().filter(|value| !known.contains(value)).collect();
        let added = after.primary.len() - before.primary.len();
        let adds_at_most = invariants::adds_at_most;
        let (most_values, most) = match span.goal {
            Goal::Rotate | Goal::TwoPhase => (1, 1),
            Goal::RollBack => (0, 1),
            Goal::Finalize | Goal::FinalizeByJob | Goal::Restart | Goal::Sync => (0, 0),
        };
        // What an unfinished one left is for the next chapter to finish or to undo.
        let least = if span.finished && span.goal.is_rotation() { 1 } else { 0 };
        let too_many = !adds_at_most(before.primary.len(), after.primary.len(), most);
        if !adds_at_most(0, new.len(), most_values) || too_many || added < least {
            found.push(violation(
                "I4",
                format!("{:?} added {added} versions to the primary and made {} values", span.goal, new.len()),
            ));
        }
        let kept = after.back_compat.len() - before.back_compat.len();
        let most_kept = match span.goal {
            Goal::Rotate | Goal::Finalize | Goal::FinalizeByJob => 1,
            Goal::TwoPhase => 3,
            Goal::RollBack => 1,
            Goal::Restart | Goal::Sync => 0,
        };
        if !adds_at_most(before.back_compat.len(), after.back_compat.len(), most_kept) {
            found.push(violation("I4", format!("{:?} added {kept} versions to the back-compat", span.goal)));
        }
    }
    found
}

fn stored(event: &Event) -> Option<&Secrets> {
    match event {
        Event::Stored { now, .. } => Some(now),
        Event::Lock { .. } | Event::Wrote { .. } | Event::Started { .. } | Event::Gone { .. } => None,
    }
}

fn values(secrets: &Secrets) -> BTreeSet<usize> {
    secrets.primary.iter().chain(&secrets.back_compat).filter_map(|version| version.value).collect()
}

/// I5: data is never encrypted under three values: those in use and not retired, the newest of the primary, and the one
/// that the back-compat holds.
pub fn never_three_keys(events: &[Event], finalizes: &BTreeSet<usize>) -> Vec<Violation> {
    let mut needed = Needed::new();
    let mut found = Vec::new();
    for (at, event) in events.iter().enumerate() {
        needed.take(event, finalizes);
        let mut live = needed.values.clone();
        live.extend(needed.now.in_use());
        live.extend(needed.now.kept().filter(|value| !needed.retired.contains(value)));
        if !invariants::are_two_at_most(&live) {
            found.push(violation("I5", format!("{} values are live after event {at}: {event:?}", live.len())));
        }
    }
    found.truncate(1);
    found
}

/// I7: a run that says that all is done is right: the bytes of every Kubernetes Secret, of every pod that is there, and no
/// pod of before.
pub fn proof(success: &Success) -> Vec<Violation> {
    let Success { goal, now, kubernetes, pods } = success;
    let mut found = Vec::new();
    let (in_use, kept) = (now.in_use(), now.kept());
    let both = goal.changes_value();
    let newest = Slots { primary: in_use, back_compat: kept };
    let differs = |primary: &Option<usize>, back_compat: &Option<usize>, both| {
        let place = Slots { primary: *primary, back_compat: *back_compat };
        invariants::not_on(newest, [place], both).is_some()
    };
    for (name, primary, back_compat) in kubernetes {
        if differs(primary, back_compat, both) {
            found.push(violation(
                "I7",
                format!(
                    "{goal:?} ended well with {in_use:?} and {kept:?}, and {name} holds {primary:?} and {back_compat:?}"
                ),
            ));
        }
    }
    if kubernetes.len() < 2 {
        found.push(violation("I7", format!("{goal:?} ended well, and {} Secrets are there", kubernetes.len())));
    }
    for (name, primary, back_compat) in pods.iter().filter(|_| *goal != Goal::Sync) {
        // A value that was announced, given up, and never in use, may stay where a pod can read it.
        let must_hold = both && kept != in_use;
        if differs(primary, back_compat, must_hold) {
            found.push(violation("I7", format!("{goal:?} ended well with {in_use:?} and {kept:?}, and pod {name} has {primary:?} and {back_compat:?}")));
        }
    }
    let enabled = now.primary.iter().filter(|version| version.state == State::Enabled).count();
    if both && enabled != 1 {
        found.push(violation("I7", format!("{goal:?} ended well, and {enabled} versions of the primary are enabled")));
    }
    found
}

/// How a run may end: with a documented code, without a panic, in time. Codes 1 and 4 say that nothing was changed.
pub fn ends_as_documented(
    door: usize,
    code: Option<i32>,
    killed: bool,
    stderr: &str,
    events: &[Event],
) -> Vec<Violation> {
    let mut found = Vec::new();
    if stderr.contains("panicked at") {
        found.push(violation("panic", stderr.to_owned()));
    }
    match code {
        Some(0 | 1 | 3 | 4 | 5 | 130) => {}
        None if killed => {}
        other => found.push(violation("code", format!("run {door} ended with {other:?}: {stderr}"))),
    }
    if matches!(code, Some(1 | 4)) {
        let changed = events.iter().find_map(|event| match event {
            Event::Stored { door: by, operation, .. } | Event::Wrote { door: by, operation } => {
                // An ExternalSecret that was asked to copy is no change of what it copies; a Job that asks changes nothing either.
                let asks = ["create/events", "patch/externalsecrets", "create/jobs", "delete/jobs"];
                let counts = !asks.contains(&operation.as_str());
                (*by == door && counts).then_some(operation)
            }
            Event::Lock { .. } | Event::Started { .. } | Event::Gone { .. } => None,
        });
        if let Some(operation) = changed {
            found.push(violation("code", format!("run {door} did {operation} and ended with {code:?}: {stderr}")));
        }
    }
    found
}

/// I6: no value, nor its base64, in anything that was left.
pub fn no_leak(values: &BTreeSet<String>, left: &[(String, Vec<u8>)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, bytes) in left {
        let text = String::from_utf8_lossy(bytes);
        if values.iter().any(|value| text.contains(value)) {
            found.push(violation("I6", format!("{name} holds a value")));
        }
    }
    found
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
