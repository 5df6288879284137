//! What is not held: each with its reason, since when that is known, and in how many worlds of the small run at most (none of the small run where that is 0). What is held again is
//! taken from here.

use std::collections::BTreeMap;

use super::judge::Property::{self, *};

/// A property, what breaks it, in how many worlds at most, why.
struct Exception(Property, &'static str, usize, &'static str);

/// R5 wants a pod judged by dates once it began after the end of the run that wrote its note; no run's end is on record beside a restart.
const NOTE: &str =
    "2026-11-30: somebody pins, restarts and unpins: the pods carry our note, and are taken for new (R5)";
/// What a run looks at before it writes is Secret Manager, not the ExternalSecret.
const PINNED: &str =
    "2026-11-30: somebody pins the ExternalSecret in the midst of a run, which stores the other value beside it";
/// A person makes a third value live beside two others; each further one is told, and costs a rescue and a finalization.
const THIRD: &str = "2026-11-30: two acts make a third value live where two had both slots, and dates do not tell which of them pods have";
/// Nothing but the operator's word tells that the data stands under the value that a rollback goes away from.
const NARROW: &str = "2026-11-30: a rollback to what somebody put into the back-compat passes through both slots with it; told by the plan and by a run that stops";
/// A run of ours died before its addition; a person added the very number that it had set out for.
const ON_RECORD: &str =
    "2026-11-30: what hands add under the number that a dead rollback set out for is taken for what it added";
/// The next ones are of three acts, or of an edited record: the large run has them.
const EDITED: &str = "2026-11-30: somebody edits the record in the midst of a run, which announces a value that is live, and nothing else in it says otherwise";
/// Bytes that no enabled version of the primary has are taken for what the pods started with, though the Secret was written after they began.
const DATES: &str = "2026-11-30: both versions disabled, and the Kubernetes Secret synced between: what pods without a note have is not asked for";
const MANY: &str = "2026-11-30: each further value that hands left enabled costs a rescue and a finalization: seven commands, or eight";

#[rustfmt::skip] // One line each: a table.
const EXCEPTIONS: &[Exception] = &[
    Exception(Proof, "Rotate: Verify", 9, NOTE),
    Exception(ReadBeforeWrite, "Finalize: Arrive", 9, NOTE),
    Exception(StaysReadable, "Finalize: Restart", 9, NOTE),
    Exception(ReadBeforeWrite, "Back: Add", 20, PINNED),
    Exception(ReadBeforeWrite, "Forward: Add", 9, PINNED),
    Exception(ReadBeforeWrite, "Adopt: Arrive", 20, THIRD),
    Exception(StaysReadable, "Adopt: Restart", 20, THIRD),
    Exception(ReadBeforeWrite, "Back: Arrive", 9, NARROW),
    Exception(ReadBeforeWrite, "Rotate: Arrive", 9, ON_RECORD),
    Exception(KeepsItsVersion, "Back: Disable", 0, EDITED),
    Exception(KeepsItsVersion, "RollBack: Disable", 0, EDITED),
    Exception(ReadBeforeWrite, "RollBack: Arrive", 0, EDITED),
    Exception(ReadBeforeWrite, "Forward: Arrive", 0, PINNED),
    Exception(StaysReadable, "Rotate: Restart", 0, THIRD),
    Exception(LastCopy, "Adopt: Restart", 0, DATES),
    Exception(ComesToAnEnd, "7 commands", 40, MANY),
    Exception(ComesToAnEnd, "8 commands", 9, MANY),
];

/// How often each was met.
#[derive(Default)]
pub struct Met(BTreeMap<(Property, &'static str), usize>);

impl Met {
    /// Why this is not held; none where it is more than is known. The large run, of more acts, may have any number of each.
    pub fn why(&mut self, property: Property, by: &str, count: usize, large: bool) -> Option<&'static str> {
        let known = EXCEPTIONS.iter().find(|known| known.0 == property && by.starts_with(known.1))?;
        let met = self.0.entry((property, known.1)).or_default();
        *met += count;
        (large || *met <= known.2).then_some(known.3)
    }

    /// What the table has and nothing met.
    pub fn held_again(&self) -> impl Iterator<Item = String> {
        let missing = EXCEPTIONS.iter().filter(|known| known.2 > 0 && !self.0.contains_key(&(known.0, known.1)));
        missing.map(|known| format!("{:?} by {}", known.0, known.1))
    }
}
