//! What each request does to the world, and what its answer does to the operator.

use deepdesk_protocol::facts::observation::Source;

use super::operator::{Deed, add, dead, push};
use super::planner::Planner;
use super::program::{Program, Request};
use super::rules::LockAsked;
use super::world::{Number, Pair, Pod, World};

/// Sends the request that the operator is at, or waits on where its answer is not there yet.
pub fn send(planner: &Planner, world: &World, who: usize, program: &Program, each: &mut impl FnMut(World, Deed)) {
    let rules = planner.rules();
    let operator = world.operators[who];
    let ours = world.lease.holder == who as u8 + 1;
    let mut after = *world;
    if program.narrow.start == operator.at && program.narrow.end > operator.at {
        after.narrow = true;
    }
    let go = |mut after: World, at: u8| {
        let operator = &mut after.operators[who];
        operator.at = at;
        operator.push = push::NONE;
        after
    };
    let next = operator.at + 1;
    match program.requests[usize::from(operator.at)] {
        Request::StillOurs if ours || rules.lock == LockAsked::Never => each(go(after, next), Deed::None),
        Request::StillOurs => {}
        Request::Add { asked, .. } if asked && !ours => {}
        Request::Add { secret, value, expect, .. } => {
            let added = add(&mut after, secret, value);
            match added == expect {
                true => each(go(after, next), Deed::Wrote),
                // Somebody else added one: it stops, and its own is there.
                false => each(dead(&after, who), Deed::Wrote),
            }
        }
        Request::Absent { version } => {
            if world.primary.len() < version {
                each(go(after, next), Deed::None);
            }
        }
        Request::Arrive { want, next } => arrive(planner, after, who, ours, (want, next), each),
        Request::Patch { asked, .. } if asked && !ours => {}
        Request::Patch { version, .. } => {
            after.template = version;
            after.template_back_compat = after.back_compat.len();
            after.pods.iter_mut().for_each(|pod| pod.current = false);
            // What starts from here on starts with both values.
            if version == program.to {
                after.narrow = false;
            }
            each(go(after, next), Deed::None);
        }
        Request::Replaced { version, next: then } => {
            if !rules.awaits_pods || (world.rolled_out() && world.template == version) {
                let again = operator.written && rules.looks_for_writes;
                each(go(after, if again { next } else { then }), Deed::None);
            }
        }
        Request::Verify { version } => verify(world, who, version, next, each),
        Request::Held { value } => {
            if world.back_compat.value() == value {
                each(go(after, next), Deed::None);
            }
        }
        Request::Disable { asked, .. } if asked && !ours => {}
        Request::Disable { secret, version, .. } => {
            match secret {
                Source::Primary => after.primary.disable(version),
                Source::BackCompat => after.back_compat.disable(version),
            }
            let mark = match secret {
                Source::Primary => version == program.from && program.to != program.from,
                // The announced value that is given up was never in use: closing it ends nothing.
                Source::BackCompat => program.retires != 0,
            };
            each(go(after, next), if mark { Deed::Committed } else { Deed::Wrote });
        }
        Request::Release => {
            after = dead(&after, who);
            if ours {
                after.lease.begun = 0;
                after.lease.announced = 0;
                after.lease.called_off = false;
                after.lease.back = false;
                after.lease.finalizing = 0;
            }
            each(after, if ours { Deed::Ended } else { Deed::None });
        }
    }
}

/// Pushes, and waits: for right bytes, and where a push was sent for the end of a sync that began after it.
fn arrive(
    planner: &Planner,
    mut after: World,
    who: usize,
    ours: bool,
    (want, next): (Pair, u8),
    each: &mut impl FnMut(World, Deed),
) {
    let rules = planner.rules();
    let right = after.held == want || !rules.compares;
    let operator = &mut after.operators[who];
    match operator.push {
        push::NONE if right && rules.compares => {}
        push::NONE => {
            // Its push asks for the lock too.
            if ours || rules.lock != LockAsked::BeforeEachWrite {
                operator.push = push::SENT;
                each(after, Deed::None);
            }
            return;
        }
        push::ANSWERED if right => {}
        push::ANSWERED => {
            operator.push = push::NONE;
            each(after, Deed::None);
            return;
        }
        _ => return,
    }
    operator.push = push::NONE;
    operator.proven = true;
    operator.written = false;
    operator.at = next;
    each(after, Deed::None);
}

/// Looks at everything: on, or to what puts it right.
fn verify(world: &World, who: usize, version: Number, next: u8, each: &mut impl FnMut(World, Deed)) {
    if world.primary.len() != version {
        return;
    }
    let mut after = *world;
    let newest = world.newest();
    let bytes = world.held == newest;
    let proven = |pod: &Pod| pod.version == version && world.had_back_compat(*pod);
    let pods = world.rolled_out() && world.pods.iter().all(proven);
    // The request after this one syncs, the one after that restarts, with a wait and a sync of its own.
    after.operators[who].at = match (bytes, pods) {
        (false, _) => next,
        (true, false) => next + 1,
        (true, true) => {
            // One that has lost its lock puts an end to nobody's interval.
            after.narrow &= world.lease.holder != who as u8 + 1;
            next + 4
        }
    };
    each(after, if bytes && pods { Deed::Proven } else { Deed::None });
}
