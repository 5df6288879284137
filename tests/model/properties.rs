//! The invariants of protocol.md, looked at after every single transition.

use super::operator::{Deed, Phase};
use super::planner::Planner;
use super::search::Event;
use super::world::{Value, World};

/// Which invariant does not hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Invariant {
    /// Every value that data may be encrypted with is in an enabled version.
    NothingIsLost,
    /// No pod can start, and none runs, that cannot read the bulk of the data.
    ReadBeforeWrite,
    /// Only the holder of the lock writes to Secret Manager.
    OneOperator,
    /// One rotation adds one version.
    OneNewVersion,
    /// Data is encrypted under two keys at most.
    NeverThreeKeys,
    /// Who says that all is done is right.
    ProofNotStatus,
    /// Two phases: no pod lacks a key that another one writes with, but for those that started in the narrow interval.
    NoPodLacksAKey,
    /// Whoever comes after a run that died can go on.
    SomebodyCanGoOn,
}
use Invariant::*;

/// What an exploration holds beside what always holds.
#[derive(Clone, Copy, Default)]
pub struct Claims {
    /// No more versions than this are added to the primary, and to the back-compat.
    pub adds_at_most: Option<[u8; 2]>,
    /// Every pod reads what the others write, as two phases say.
    pub two_phase: bool,
    /// That an account is blocked, for a person to resolve, is no finding here.
    pub may_be_blocked: bool,
}

/// The first invariant that a transition breaks by itself, whatever it leads to.
pub fn broken_by(planner: &Planner, before: &World, event: &Event, after: &World) -> Option<Invariant> {
    let (who, deed) = match event {
        Event::Operator { who, deed, .. } => (*who, *deed),
        _ => (0, Deed::None),
    };
    let ours = before.lease.holder == who as u8 + 1;
    let proven = || {
        let newest = after.newest();
        after.held == newest && after.pods.iter().all(|pod| pod.holds == newest)
    };
    let wrong = match deed {
        Deed::None | Deed::Stopped => None,
        Deed::Wrote if !ours => Some(OneOperator),
        Deed::Wrote => None,
        Deed::Committed if !ours => Some(OneOperator),
        Deed::Committed => (!proven()).then_some(ProofNotStatus),
        Deed::Proven => (ours && !proven()).then_some(ProofNotStatus),
        Deed::Ended => ended(planner, before, who, after, proven()),
    };
    wrong
}

/// A run that ended well. One that called a two-phase rotation off restarts nothing.
fn ended(planner: &Planner, before: &World, who: usize, after: &World, proven: bool) -> Option<Invariant> {
    debug_assert_eq!(before.operators[who].phase, Phase::Running);
    let program = planner.program(before.operators[who].program);
    if after.held != after.newest() || (program.changes && !proven) {
        return Some(ProofNotStatus);
    }
    // Whatever is encrypted can be read now.
    values(after.data).any(|value| !after.held.reads(value)).then_some(NeverThreeKeys)
}

/// The first invariant that does not hold in a world.
pub fn broken_in(claims: Claims, first: &World, now: &World) -> Option<Invariant> {
    let enabled = |value: Value| {
        let of = |versions: super::world::Versions| versions.enabled_values().any(|held| held == value);
        of(now.primary) || of(now.back_compat)
    };
    if values(now.data).any(|value| !enabled(value)) {
        return Some(NothingIsLost);
    }
    if !now.held.reads(now.bulk) || now.pods.iter().any(|pod| !pod.holds.reads(now.bulk)) {
        return Some(ReadBeforeWrite);
    }
    if now.data.count_ones() > 2 {
        return Some(NeverThreeKeys);
    }
    if adds_too_many(claims, first, now) {
        return Some(OneNewVersion);
    }
    let lacks = |pod: &super::world::Pod| {
        !pod.narrow && now.pods.iter().any(|other| !pod.holds.reads(other.holds.primary))
    };
    (claims.two_phase && now.pods.iter().any(lacks)).then_some(NoPodLacksAKey)
}

/// Whether more versions are there than one rotation adds: more enabled ones on top of each other than a rotation and a
/// rollback out of its middle leave, or in all more than the runs of this exploration may add.
fn adds_too_many(claims: Claims, first: &World, now: &World) -> bool {
    let enabled: Vec<Value> = now.primary.enabled_values().collect();
    let twice = enabled.windows(2).any(|pair| pair[0] == pair[1]);
    let before = [first.primary.len(), first.back_compat.len()];
    let added = [now.primary.len() - before[0], now.back_compat.len() - before[1]];
    let distinct = enabled.iter().fold(0u8, |seen, value| seen | 1 << value).count_ones();
    twice || distinct > 2 || claims.adds_at_most.is_some_and(|most| added[0] > most[0] || added[1] > most[1])
}

fn values(data: u8) -> impl Iterator<Item = Value> {
    (1..8).filter(move |value| data & 1 << value != 0)
}
