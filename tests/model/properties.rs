//! The invariants of docs/protocol.md (`deepdesk_protocol::invariants`), looked at after every single transition.

use deepdesk_protocol::invariants;

use super::operator::Deed;
use super::planner::Planner;
use super::search::Event;
use super::world::{Pair, Pod, Value, Versions, World};

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
    /// Whoever comes after a run that died can go on, and a run that nobody disturbs comes to its end.
    SomebodyCanGoOn,
}
/// Those that do not hold, a bit for each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Broken(u8);

impl Broken {
    pub fn note(&mut self, invariant: Invariant, holds: bool) {
        if !holds {
            self.0 |= 1 << invariant as u8;
        }
    }

    pub fn and(self, other: Broken) -> Broken {
        Broken(self.0 | other.0)
    }

    /// The first one of those that are looked for.
    pub fn first(self, only: Option<Invariant>) -> Option<Invariant> {
        let wanted = |invariant: &Invariant| only.is_none_or(|only| only == *invariant);
        let broken = |invariant: &Invariant| self.0 & 1 << *invariant as u8 != 0;
        if self.0 == 0 {
            return None;
        }
        ALL.into_iter().filter(wanted).find(broken)
    }
}

const ALL: [Invariant; 8] = [
    NothingIsLost,
    ReadBeforeWrite,
    OneOperator,
    OneNewVersion,
    NeverThreeKeys,
    ProofNotStatus,
    NoPodLacksAKey,
    SomebodyCanGoOn,
];
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
    /// The one invariant that is looked for; all of them where none is named.
    pub only: Option<Invariant>,
}

/// The invariants that a transition breaks by itself, whatever it leads to.
pub fn broken_by(planner: &Planner, before: &World, event: &Event, after: &World) -> Broken {
    let mut broken = Broken::default();
    let Event::Operator { who, deed, .. } = event else { return broken };
    let holder = Some(before.lease.holder).filter(|holder| *holder != 0);
    let ours = invariants::is_holder(*who as u8 + 1, holder);
    let on_newest = |places: &[Pair]| {
        let places = places.iter().map(|place| place.slots());
        invariants::not_on(after.newest().slots(), places, true).is_none()
    };
    let arrived = on_newest(&[after.held]);
    let proven = arrived && on_newest(&after.pods.map(|pod| pod.holds));
    match deed {
        Deed::None | Deed::Stopped => {}
        Deed::Wrote => broken.note(OneOperator, ours),
        Deed::Committed => {
            broken.note(OneOperator, ours);
            broken.note(ProofNotStatus, proven);
        }
        // What one who has lost the lock sees is for nobody: its next write stops it.
        Deed::Proven => broken.note(ProofNotStatus, proven || !ours),
        Deed::Ended => {
            let program = planner.program(before.operators[*who].program);
            // A run that called a two-phase rotation off restarts nothing.
            broken.note(ProofNotStatus, arrived && (proven || !program.changes));
            // Whatever is encrypted can be read now.
            broken.note(NeverThreeKeys, values(after.data).all(|value| after.held.slots().reads(value)));
        }
    }
    broken
}

/// The invariants that do not hold in a world.
pub fn broken_in(claims: Claims, first: &World, now: &World) -> Broken {
    let enabled = |versions: Versions, value: Value| versions.enabled_values().any(|held| held == value);
    let mut broken = Broken::default();
    let kept = |value: Value| enabled(now.primary, value) || enabled(now.back_compat, value);
    broken.note(NothingIsLost, invariants::lost(values(now.data), kept).is_none());
    let places = now.pods.iter().map(|pod| pod.holds).chain([now.held]).map(Pair::slots);
    broken.note(ReadBeforeWrite, invariants::cannot_read(places, now.bulk).is_none());
    broken.note(NeverThreeKeys, invariants::are_two_at_most(values(now.data)));
    broken.note(OneNewVersion, !adds_too_many(claims, first, now));
    let [one, other] = now.pods;
    let lacks = |pod: Pod, other: Pod| !pod.narrow && !pod.holds.slots().reads(other.holds.primary);
    broken.note(NoPodLacksAKey, !claims.two_phase || !lacks(one, other) && !lacks(other, one));
    broken
}

/// Whether more versions are there than one rotation adds: more enabled ones on top of each other than a rotation and a
/// rollback out of its middle leave, or in all more than the runs of this exploration may add.
fn adds_too_many(claims: Claims, first: &World, now: &World) -> bool {
    let enabled: Vec<Value> = now.primary.enabled_values().collect();
    let twice = enabled.windows(2).any(|pair| pair[0] == pair[1]);
    let added = |first: Versions, now: Versions, most: u8| {
        !invariants::adds_at_most(first.len().into(), now.len().into(), most.into())
    };
    let too_many = |[primary, back_compat]: [u8; 2]| {
        added(first.primary, now.primary, primary) || added(first.back_compat, now.back_compat, back_compat)
    };
    twice || !invariants::are_two_at_most(enabled) || claims.adds_at_most.is_some_and(too_many)
}

fn values(data: u8) -> impl Iterator<Item = Value> {
    (1..8).filter(move |value| data & 1 << value != 0)
}
