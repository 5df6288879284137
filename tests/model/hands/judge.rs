//! What a request of ours must not break (`deepdesk_protocol::invariants`), where the hands had left it whole.

use deepdesk_protocol::invariants;

use super::world::{Pair, Value, World};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Property {
    /// I1: a value that had an enabled version keeps one.
    KeepsItsVersion,
    /// I2: no pod can start, and none runs, that cannot read the bulk of the data.
    ReadBeforeWrite,
    /// What some pod could read, some pod can read.
    StaysReadable,
    /// I5: no third key under which something is written.
    NeverThreeKeys,
    /// I7: who says that all is on the newest versions is right.
    Proof,
    /// I8: what something held, something holds.
    LastCopy,
    /// A follower of hints comes to an end or a named decision within six commands.
    ComesToAnEnd,
    /// At an end that names nothing to decide, every pod reads what some pod could read.
    AllReadable,
}

use Property::*;

/// What a request breaks.
pub fn broken(before: &World, after: &World, proven: bool, retires: bool) -> Option<Property> {
    let needed = || after.needed();
    // I8 first: it is the gravest.
    let holds = |world: &World| {
        let world = *world;
        move |value: Value| world.is_held(value)
    };
    if invariants::ended(needed(), holds(before), holds(after)).next().is_some() {
        return Some(LastCopy);
    }
    // What is kept in the cluster alone has a holder, and one version less than it had.
    let kept = needed().filter(|value| before.is_enabled(*value));
    if !retires && invariants::lost(kept, |value| after.is_enabled(value)).is_some() {
        return Some(KeepsItsVersion);
    }
    // Where hands acted in the midst of a run, what any sync would bring since is theirs.
    let disturbed = before.run.is_some_and(|run| run.disturbed);
    let next = |world: &World| (disturbed && world.next().primary != 0).then(|| world.next());
    let places = |world: &World| {
        world.pods.map(|pod| pod.holds).into_iter().chain([world.held]).chain(next(world)).map(Pair::slots)
    };
    let whole = |world: &World, bulk: Value| invariants::cannot_read(places(world), bulk).is_none();
    if whole(before, after.bulk) && !whole(after, after.bulk) {
        return Some(ReadBeforeWrite);
    }
    if needed().any(|value| before.data & 1 << value != 0 && before.is_read(value) && !after.is_read(value)) {
        return Some(StaysReadable);
    }
    let live = |world: &World| {
        let world = *world;
        // What nothing shows any more cannot be told from what was retired (R2).
        world.needed().filter(move |value| world.is_read(*value) || world.held.reads(*value)).collect::<Vec<_>>()
    };
    if invariants::are_two_at_most(live(before)) && !invariants::are_two_at_most(live(after)) {
        return Some(NeverThreeKeys);
    }
    let newest = after.newest();
    let both = ![0, newest.primary].contains(&newest.back_compat);
    let seen = after.pods.map(|pod| pod.holds).into_iter().chain([after.held]).map(Pair::slots);
    (proven && invariants::not_on(newest.slots(), seen, both).is_some()).then_some(Proof)
}
