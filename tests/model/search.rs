//! Goes through every state that can be reached, breadth first: the first way that is found to a broken invariant is a
//! shortest one.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use deepdesk_protocol::facts::observation::Source;

use super::observe::View;
use super::operator::{self, Deed, Phase, push};
use super::planner::{Command, Planner};
use super::properties::{Claims, Invariant, broken_by, broken_in};
use super::rules::Rules;
use super::undisturbed::ends_well;
use super::visited::Visited;
use super::world::{Pair, Versions, World};

/// What happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// An operator looks, and says yes to the plan.
    Begins { command: Command },
    /// An operator goes on, or dies.
    Operator { who: usize, deed: Deed, doing: String },
    /// External Secrets reads the first of the two secrets.
    SyncReads,
    /// It reads the other one, and writes the Kubernetes Secret.
    SyncWrites,
    /// It fails, and writes nothing.
    SyncFails,
    /// A pod is replaced by one of the newest template.
    PodStarts,
    /// A pod's container starts again.
    ContainerStarts,
    /// The application has saved every encrypted field again.
    AllSavedAgain,
    /// An addition of a run that died arrives.
    LateAddition,
}

/// What is explored.
#[derive(Clone, Copy)]
pub struct Exploration {
    pub name: &'static str,
    pub first: World,
    /// What operators type.
    pub commands: &'static [Command],
    /// How many runs in all.
    pub runs: u8,
    /// How many of them at once.
    pub operators: usize,
    /// Whether the application saves everything again, as soon as it can.
    pub saves_again: bool,
    /// Whether the ExternalSecret finds the back-compat by a pattern: while it does not see it, it copies the primary alone.
    pub by_pattern: bool,
    /// Whether External Secrets reads the back-compat before the primary.
    pub back_compat_first: bool,
    pub claims: Claims,
}

/// What was found.
pub struct Found {
    pub states: usize,
    pub transitions: usize,
    pub depth: usize,
    pub complete: bool,
    pub took: Duration,
    /// The invariant that does not hold, and the way there.
    pub broken: Option<(Invariant, Vec<String>)>,
}

/// Explores until everything was seen, `most` states were, or an invariant is broken.
pub fn explore(exploration: &Exploration, rules: Rules, most: usize) -> Found {
    let begun = Instant::now();
    let mut planner = Planner::new(rules, exploration.by_pattern);
    let first = exploration.first.canonical();
    let claims = exploration.claims;
    let mut seen = Visited::new(first.pack());
    let mut open = VecDeque::from([(first, 0usize)]);
    let (mut transitions, mut depth, mut at) = (0, 0, 0u32);
    let mut wrong = None;
    let mut asked = HashSet::new();
    while let Some((world, deep)) = open.pop_front() {
        depth = deep;
        if seen.len() >= most {
            open.push_front((world, deep));
            break;
        }
        successors(exploration, &mut planner, &world, false, &mut |planner, event, after| {
            transitions += 1;
            let by = broken_by(planner, &world, &event, &after);
            let after = after.canonical();
            let mut broken = by;
            // What a world alone tells is looked at once.
            if seen.add(after.pack(), at) {
                open.push_back((after, deep + 1));
                broken = by.and(broken_in(claims, &first, &after));
                broken.note(Invariant::SomebodyCanGoOn, !is_stuck(exploration, planner, &mut asked, &after));
            }
            if let Some(broken) = broken.first(claims.only).filter(|_| wrong.is_none()) {
                wrong = Some((broken, after));
            }
        });
        if wrong.is_some() {
            depth += 1;
            break;
        }
        at += 1;
    }
    let complete = open.is_empty() && wrong.is_none();
    let broken = wrong.map(|(invariant, after)| (invariant, trail(exploration, &mut planner, &seen, at, &after)));
    Found { states: seen.len(), transitions, depth, complete, took: begun.elapsed(), broken }
}

/// Whether nobody is at work, and what was begun can be brought to an end by nobody, or a command that goes on with it
/// does not end. Each view is asked about once.
fn is_stuck(
    exploration: &Exploration,
    planner: &mut Planner,
    asked: &mut HashSet<(View, Command)>,
    world: &World,
) -> bool {
    let looked_for = exploration.claims.only.is_none_or(|only| only == Invariant::SomebodyCanGoOn);
    if !looked_for || !world.operators.iter().all(|operator| operator.is_idle()) {
        return false;
    }
    let view = View::of(world, world.primary.len());
    let all_end = exploration.commands.iter().all(|command| {
        // A finalization that the operator does not give the word for may be given it another time.
        let ends = (!asked.contains(&(view, *command))).then(|| ends_well(exploration, planner, world, *command));
        ends.flatten().is_none_or(|ends| {
            asked.insert((view, *command));
            ends
        })
    });
    !all_end || !exploration.claims.may_be_blocked && planner.is_stuck(view)
}

/// Every transition out of a world. `told` spells out what an operator does.
fn successors(
    exploration: &Exploration,
    planner: &mut Planner,
    world: &World,
    told: bool,
    each: &mut impl FnMut(&mut Planner, Event, World),
) {
    let mut all = Vec::with_capacity(16);
    for who in 0..2 {
        let doing = if told { doing(planner, world, who) } else { String::new() };
        operator::steps(planner, world, who, &mut |after, deed| {
            all.push((Event::Operator { who, deed, doing: doing.clone() }, after));
        });
    }
    let idle = (0..exploration.operators).find(|who| world.operators[*who].is_idle());
    if let Some(who) = idle.filter(|_| world.runs < exploration.runs) {
        for command in exploration.commands {
            operator::begin(planner, world, who, *command, &mut |after| {
                all.push((Event::Begins { command: *command }, after));
            });
        }
    }
    syncs(exploration, planner.rules(), world, &mut all);
    pods(exploration, world, &mut all);
    if world.late != 0 {
        let mut after = *world;
        after.late = 0;
        operator::add(
            &mut after,
            if world.late & 8 == 0 { Source::Primary } else { Source::BackCompat },
            world.late & 7,
        );
        all.push((Event::LateAddition, after));
    }
    all.into_iter().for_each(|(event, after)| each(planner, event, after));
}

/// A sync may begin at any moment, and reads any version that is not older than what it has read before: `latest` lags.
pub fn syncs(exploration: &Exploration, rules: &Rules, world: &World, all: &mut Vec<(Event, World)>) {
    let order = if exploration.back_compat_first { [1, 0] } else { [0, 1] };
    let secrets = [world.primary, world.back_compat];
    let readable = |which: usize| {
        let versions: Versions = secrets[which];
        let from = if rules.never_relapses { world.read[which] } else { 0 };
        // None at all is a failure where it is asked for by name.
        let missing = (from == 0 && which == 1 && exploration.by_pattern).then_some((0, 0));
        let some = (from.max(1)..=versions.len()).map(move |n| (n, versions.enabled(n)));
        missing.into_iter().chain(some.filter(|(_, value)| *value != 0))
    };
    let read = |world: &World, which: usize, number: u8| {
        let mut after = *world;
        after.read[which] = after.read[which].max(number);
        after
    };
    if world.sync == 0 {
        for (number, value) in readable(order[0]) {
            let mut after = read(world, order[0], number);
            after.sync = value;
            moved(&mut after, push::SENT, push::SEEN);
            all.push((Event::SyncReads, after));
        }
        return;
    }
    for (number, value) in readable(order[1]) {
        let mut after = read(world, order[1], number);
        let (first, second) = (world.sync, value);
        let pair = match exploration.back_compat_first {
            false => Pair { primary: first, back_compat: second },
            true => Pair { primary: second, back_compat: first },
        };
        after.write_secret(pair);
        after.sync = 0;
        moved(&mut after, push::SEEN, push::ANSWERED);
        all.push((Event::SyncWrites, after));
    }
    let mut after = *world;
    after.sync = 0;
    moved(&mut after, push::SEEN, push::SENT);
    all.push((Event::SyncFails, after));
}

fn moved(world: &mut World, from: u8, to: u8) {
    world.operators.iter_mut().filter(|operator| operator.push == from).for_each(|operator| operator.push = to);
}

fn pods(exploration: &Exploration, world: &World, all: &mut Vec<(Event, World)>) {
    for pod in 0..2 {
        for (event, anew) in [(Event::PodStarts, true), (Event::ContainerStarts, false)] {
            if world.would_change(pod, anew) {
                let mut after = *world;
                after.start(pod, anew);
                all.push((event, after));
            }
        }
    }
    // It can where all pods write under one value and can read everything.
    let [one, other] = world.pods.map(|pod| pod.holds);
    let reads_all =
        (1..8).all(|value| world.data & 1 << value == 0 || one.slots().reads(value) && other.slots().reads(value));
    if exploration.saves_again && one.primary == other.primary && reads_all && world.bulk != one.primary {
        let mut after = *world;
        after.data = 1 << one.primary;
        after.bulk = one.primary;
        all.push((Event::AllSavedAgain, after));
    }
}

/// The way to the world with this number and on to `last`, a line for each transition.
fn trail(exploration: &Exploration, planner: &mut Planner, seen: &Visited, at: u32, last: &World) -> Vec<String> {
    let mut world = exploration.first.canonical();
    let mut lines = vec![line("At first", &world)];
    let way = seen.way_to(at);
    for next in way[1..].iter().chain([&last.pack()]) {
        let mut found = None;
        successors(exploration, planner, &world, true, &mut |_, event, after| {
            let after = after.canonical();
            if found.is_none() && after.pack() == *next {
                found = Some((event, after));
            }
        });
        let (event, after) = found.expect("each step of the way was taken before");
        lines.push(line(&format!("{event:?}"), &after));
        world = after;
    }
    lines
}

fn doing(planner: &Planner, world: &World, who: usize) -> String {
    let operator = world.operators[who];
    match operator.phase {
        Phase::Running => {
            let program = planner.program(operator.program);
            format!("{:?}", program.requests[usize::from(operator.at)])
        }
        phase => format!("{phase:?}"),
    }
}

fn line(event: &str, world: &World) -> String {
    let versions = |versions: Versions| {
        let word = |n| format!("{}{}", if versions.at(n).1 { "E" } else { "D" }, versions.at(n).0);
        (1..=versions.len()).map(word).collect::<Vec<_>>().join(" ")
    };
    let pods: Vec<String> = world
        .pods
        .iter()
        .map(|pod| {
            format!(
                "{{{},{}}}v{}{}",
                pod.holds.primary,
                pod.holds.back_compat,
                pod.version,
                if pod.current { "" } else { " old" }
            )
        })
        .collect();
    format!(
        "{event}: primary [{}] back-compat [{}] Secret {{{},{}}} pods {} data {:b} lease {:?} read {:?}",
        versions(world.primary),
        versions(world.back_compat),
        world.held.primary,
        world.held.back_compat,
        pods.join(" "),
        world.data >> 1,
        world.lease,
        world.read,
    )
}
