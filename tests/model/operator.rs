//! An operator at work: looks, agrees, takes the lock, looks again, and sends one request after the other. Every one may be
//! their last.

use kubectl_deepdesk::domain::observation::Source;

use super::observe::View;
use super::planner::{Command, Planner};
use super::program::{Program, Request};
use super::rules::LockAsked;
use super::world::{Number, Value, World};

/// How far an operator is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Phase {
    /// Not there, or dead.
    #[default]
    Idle,
    /// Has seen the plan and said yes.
    Agreed,
    /// Holds the lock, and has not looked again.
    Locked,
    /// At the plan's requests.
    Running,
}

/// How far a wait for a sync is.
pub mod push {
    /// Not asked for.
    pub const NONE: u8 = 0;
    /// Asked for; no sync has begun since.
    pub const SENT: u8 = 1;
    /// One has begun since.
    pub const SEEN: u8 = 2;
    /// And has ended well.
    pub const ANSWERED: u8 = 3;
}

/// One operator's run.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Operator {
    pub phase: Phase,
    pub command: u8,
    pub program: u16,
    pub at: u8,
    pub push: u8,
    /// Whether it has compared the Secret's bytes.
    pub proven: bool,
    /// Whether the Secret was written since.
    pub written: bool,
}

impl Operator {
    pub fn is_idle(self) -> bool {
        self.phase == Phase::Idle
    }

    /// In 26 bits.
    pub fn bits(self) -> u64 {
        let flags = u64::from(self.push) << 2 | u64::from(self.proven) << 1 | u64::from(self.written);
        let place = (self.phase as u64) << 5 | u64::from(self.at);
        let command = if self.phase == Phase::Running { 0 } else { u64::from(self.command) };
        // A program that runs does not need its command any more, one that does not has no flags.
        let rest = if self.phase == Phase::Running { flags } else { command };
        debug_assert!(self.at < 32 && self.program < 1 << 14 && rest < 16);
        (u64::from(self.program) << 7 | place) << 4 | rest
    }
}

/// What a transition of an operator did, for those who look whether it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Nothing that others see.
    None,
    /// Wrote to Secret Manager.
    Wrote,
    /// Wrote the mark that ends a change of the value.
    Committed,
    /// Saw that everything is on the newest versions.
    Proven,
    /// Ended well, under its lock.
    Ended,
    /// Died, or stopped.
    Stopped,
}

/// Each way on for the operator, given to `each`.
pub fn steps(planner: &mut Planner, world: &World, who: usize, each: &mut impl FnMut(World, Deed)) {
    let operator = world.operators[who];
    match operator.phase {
        Phase::Idle => {}
        Phase::Agreed => each(take(planner, world, who), Deed::None),
        Phase::Locked => look_again(planner, world, who, each),
        Phase::Running => {
            let program = planner.program(operator.program).clone();
            request(planner, world, who, &program, each);
        }
    }
    if matches!(operator.phase, Phase::Locked | Phase::Running) {
        each(dead(world, who), Deed::Stopped);
        late(planner, world, who, each);
    }
}

/// Begins a run: looks, and says yes to what is planned.
pub fn begin(planner: &mut Planner, world: &World, who: usize, command: Command, each: &mut impl FnMut(World)) {
    // Finalizing needs the operator's word that all was saved again under the value in use.
    if command == Command::Finalize && planner.rules().true_word && world.data != 1 << world.primary.value() {
        return;
    }
    for latest in seen_as_newest(planner, world) {
        let view = View::of(world, latest);
        let agreed = match planner.rules().looks_again {
            true => planner.agree(view, command),
            false => planner.compiled(view, command, unused(planner, world)),
        };
        let Some(program) = agreed else { continue };
        let mut after = *world;
        after.runs += 1;
        after.operators[who] = Operator { phase: Phase::Agreed, command: command as u8, program, ..Operator::default() };
        each(after);
    }
}

/// The versions that a look may take for the newest: with the probe the newest, without it whatever `latest` names.
fn seen_as_newest(planner: &Planner, world: &World) -> std::ops::RangeInclusive<Number> {
    let newest = world.primary.len();
    if planner.rules().probes { newest..=newest } else { 1..=newest }
}

/// A Lease that somebody else holds may have expired: at any moment but within a request of its holder's.
fn take(planner: &Planner, world: &World, who: usize) -> World {
    let mut after = *world;
    after.lease.holder = who as u8 + 1;
    after.operators[who].phase = Phase::Locked;
    if !planner.rules().records_after_look {
        record(planner, &mut after, world.operators[who].program);
    }
    after
}

/// Writes into the Lease what a run sets out for.
fn record(planner: &Planner, world: &mut World, number: u16) {
    let program = planner.program(number);
    if program.from != program.to {
        world.lease.begun = program.to;
    }
    let (announced, called_off) = program.announces.unwrap_or_default();
    world.lease.announced = announced;
    world.lease.called_off = called_off && planner.rules().marks_call_offs;
}

fn look_again(planner: &mut Planner, world: &World, who: usize, each: &mut impl FnMut(World, Deed)) {
    let operator = world.operators[who];
    let command = Command::ALL[usize::from(operator.command)];
    let agreed = planner.program(operator.program).clone();
    if !planner.rules().looks_again {
        return each(set_out(planner, world, who, operator.program), Deed::None);
    }
    let fresh = unused(planner, world);
    for latest in seen_as_newest(planner, world) {
        let Some(number) = planner.compiled(View::of(world, latest), command, fresh) else {
            each(dead(world, who), Deed::Stopped);
            continue;
        };
        let program = planner.program(number).clone();
        let same = (program.from, program.to, program.announces) == (agreed.from, agreed.to, agreed.announces);
        // What it sets out for is written into the Lease, which must still be ours.
        let ours = world.lease.holder == who as u8 + 1 || planner.rules().lock == LockAsked::Never;
        match ours && same {
            true => each(set_out(planner, world, who, number), Deed::None),
            false => each(dead(world, who), Deed::Stopped),
        }
    }
}

/// Records what the run sets out for, and begins.
fn set_out(planner: &Planner, world: &World, who: usize, number: u16) -> World {
    let mut after = *world;
    after.operators[who] = Operator { phase: Phase::Running, program: number, ..Operator::default() };
    if planner.rules().records_after_look {
        record(planner, &mut after, number);
    }
    after
}

/// A value that nothing has had yet.
fn unused(planner: &Planner, world: &World) -> Value {
    let made = |who: usize| match world.operators[who].phase {
        Phase::Running => planner.program(world.operators[who].program).makes,
        Phase::Idle | Phase::Agreed | Phase::Locked => 0,
    };
    let known = |value: Value| {
        let of = |versions: super::world::Versions| (1..=versions.len()).any(|number| versions.at(number).0 == value);
        of(world.primary) || of(world.back_compat) || made(0) == value || made(1) == value || world.late & 7 == value
    };
    (1..8).find(|value| !known(*value)).expect("the model has seven values")
}

fn dead(world: &World, who: usize) -> World {
    let mut after = *world;
    if after.lease.holder == who as u8 + 1 {
        after.lease.holder = 0;
    }
    after.operators[who] = Operator::default();
    after
}

/// The operator dies, and an addition that it has sent is still under way.
fn late(planner: &mut Planner, world: &World, who: usize, each: &mut impl FnMut(World, Deed)) {
    if planner.rules().never_late || world.late != 0 || world.operators[who].phase != Phase::Running {
        return;
    }
    let operator = world.operators[who];
    let request = planner.program(operator.program).requests[usize::from(operator.at)];
    if let Request::Add { secret, value, .. } = request
        && world.lease.holder == who as u8 + 1
    {
        let mut after = dead(world, who);
        after.late = value | if secret == Source::Primary { 0 } else { 8 };
        each(after, Deed::Stopped);
    }
}

/// Adds a version to one of the two secrets.
pub fn add(world: &mut World, secret: Source, value: Value) -> Number {
    world.back_compat_later = secret == Source::BackCompat;
    match secret {
        Source::Primary => world.primary.add(value),
        Source::BackCompat => world.back_compat.add(value),
    }
}

fn request(planner: &Planner, world: &World, who: usize, program: &Program, each: &mut impl FnMut(World, Deed)) {
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
            if world.primary.len() < version || !rules.sees_it_absent {
                each(go(after, next), Deed::None);
            }
        }
        Request::Named { secret, version } => {
            let read = &mut after.read[usize::from(secret == Source::BackCompat)];
            if rules.latest_is_one {
                *read = (*read).max(version);
            }
            each(go(after, next), Deed::None);
        }
        Request::Arrive { want, fresh, next } => arrive(planner, after, who, ours, (want, fresh, next), each),
        Request::Patch { asked, .. } if asked && !ours => {}
        Request::Patch { version, .. } => {
            after.template = version;
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
            if world.back_compat.value() == value || !rules.sees_it_held {
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
                Source::BackCompat => true,
            };
            each(go(after, next), if mark { Deed::Committed } else { Deed::Wrote });
        }
        Request::Release => {
            after = dead(&after, who);
            if ours {
                after.lease.begun = 0;
                after.lease.announced = 0;
                after.lease.called_off = false;
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
    (want, fresh, next): (super::world::Pair, bool, u8),
    each: &mut impl FnMut(World, Deed),
) {
    let rules = planner.rules();
    let right = after.held == want || !rules.compares;
    let operator = &mut after.operators[who];
    match operator.push {
        push::NONE if right && !fresh && rules.compares => {}
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
    let pods = world.rolled_out() && world.pods.iter().all(|pod| pod.version == version);
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
