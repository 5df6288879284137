//! The rules that hold the invariants, so that each can be broken.

use deepdesk_protocol::effects::{Effect, effects};
use deepdesk_protocol::step::{Plan, Step};

/// When a run asks whether the lock is still its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LockAsked {
    /// Right before each write to Secret Manager.
    BeforeEachWrite,
    /// When a step begins, and not again before its write.
    AtEachStep,
    /// Never.
    Never,
}

/// What the program and the world keep to.
#[derive(Clone, Copy)]
pub struct Rules {
    /// What is done to each plan before it is carried out: the planner's own order, or a broken one.
    pub plan: fn(Plan) -> Plan,
    /// The effects of each step: the program's own, or broken ones.
    pub effects: fn(&Step) -> Vec<Effect>,
    pub lock: LockAsked,
    /// The newest version is looked for above what `latest` names.
    pub probes: bool,
    /// The checks of preflight refuse.
    pub checks: bool,
    /// The look under the lock is planned for, and must lead where the look before it led.
    pub looks_again: bool,
    /// More than two keys are refused (I5).
    pub refuses_a_third: bool,
    /// A push is over when the bytes are right, not when a sync says that it succeeded.
    pub compares: bool,
    /// A restart is over when the old pods are gone.
    pub awaits_pods: bool,
    /// A restart is repeated when the Secret was written meanwhile.
    pub looks_for_writes: bool,
    /// The record of the Lease is written after the look under the lock, and not when the lock is taken.
    pub records_after_look: bool,
    /// The record says that an announced value is being given up.
    pub marks_call_offs: bool,
    /// The operator gives the word that all was saved again only when it was.
    pub true_word: bool,
    /// The world: External Secrets never reads an older version than it has read (docs/protocol.md's one assumption).
    pub never_relapses: bool,
    /// The world: an addition of a run that died arrives at once or never.
    pub never_late: bool,
}

impl Rules {
    /// As the program and docs/protocol.md have them.
    pub const KEPT: Rules = Rules {
        plan: |plan| plan,
        effects,
        lock: LockAsked::BeforeEachWrite,
        probes: true,
        checks: true,
        looks_again: true,
        refuses_a_third: true,
        compares: true,
        awaits_pods: true,
        looks_for_writes: true,
        records_after_look: true,
        marks_call_offs: true,
        true_word: true,
        never_relapses: true,
        never_late: true,
    };
}
