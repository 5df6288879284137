//! An operator at work: looks, agrees, takes the lock, looks again, and sends one request after the other. Every one may be
//! their last.

use deepdesk_protocol::facts::observation::Source;

use super::observe::View;
use super::planner::{Command, Planner};
use super::program::Request;
use super::requests;
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
            requests::send(planner, world, who, &program, each);
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
        after.operators[who] =
            Operator { phase: Phase::Agreed, command: command as u8, program, ..Operator::default() };
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
        world.lease.back = program.back;
    }
    world.lease.finalizing = program.retires;
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

pub fn dead(world: &World, who: usize) -> World {
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
