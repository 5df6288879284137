//! Goes through every world that hands and our requests can make, breadth first, and follows hints from each in which nobody is at work.

use std::collections::{BTreeMap, VecDeque};

use super::acts::{self, Reach};
use super::commands::{Command, Named};
use super::follow::{End, Follower, Wrong, kind};
use super::judge::{Property, broken};
use super::planner::Planner;
use super::rules::Rules;
use super::run::{self, Deed};
use super::world::{ByWorld, World};

/// What is explored.
#[derive(Clone, Copy)]
pub struct Exploration {
    pub name: &'static str,
    pub first: World,
    /// What operators type, beside what is due.
    pub typed: &'static [Command],
    /// Whether the ExternalSecret finds the back-compat by a pattern.
    pub by_pattern: bool,
    pub reach: Reach,
}

/// What is wrong, by what.
pub type Signature = (Property, String);

/// What was found.
#[derive(Default)]
pub struct Found {
    pub worlds: usize,
    pub followed: usize,
    /// How often, and a shortest way.
    pub wrong: BTreeMap<Signature, (usize, Vec<String>)>,
    pub decisions: BTreeMap<String, usize>,
}

struct Search {
    exploration: Exploration,
    planner: Planner,
    follower: Follower,
    /// Each world with the one before it, and what was done.
    worlds: Vec<(World, usize, String)>,
    seen: ByWorld<usize>,
    open: VecDeque<usize>,
    found: Found,
}

/// Explores until everything was seen, or, where one is looked for, a property is broken.
pub fn explore(exploration: &Exploration, rules: Rules, only: Option<Property>) -> Found {
    let first = exploration.first.canonical();
    let mut search = Search {
        exploration: *exploration,
        planner: Planner::new(rules, exploration.by_pattern),
        follower: Follower::default(),
        worlds: vec![(first, 0, "At first".to_owned())],
        seen: ByWorld::from_iter([(first, 0)]),
        open: VecDeque::from([0]),
        found: Found::default(),
    };
    while let Some(at) = search.open.pop_front() {
        if search.found.wrong.keys().any(|(property, _)| Some(*property) == only) {
            break;
        }
        search.visit(at);
    }
    search.found.worlds = search.worlds.len();
    search.found.followed = search.follower.len();
    search.found
}

impl Search {
    fn visit(&mut self, at: usize) {
        let world = self.worlds[at].0;
        if world.hands > 0 {
            let mut all = Vec::new();
            acts::acts(&world, self.exploration.reach, self.exploration.by_pattern, |act, after| {
                all.push((act, after))
            });
            for (act, after) in all {
                let run = after.run.map(|run| super::world::Run { disturbed: true, ..run });
                self.reach(at, World { hands: world.hands - 1, run, ..after }, || format!("hand: {act:?}"));
            }
        }
        match world.run {
            Some(run) => {
                self.reach(at, run::dead(&world), || "it dies".to_owned());
                let program = self.planner.program(run.program);
                let request = program.requests[usize::from(run.at)].clone();
                let (after, deed) = run::step(&mut self.planner, &world);
                let retires = program.verb == super::program::Verb::Retire;
                let proven = matches!(deed, Deed::Proven);
                if let Some(property) = broken(&world, &after, proven, retires) {
                    let by = format!("{:?}: {}", program.verb, kind(&request));
                    self.wrong(at, Wrong { property, by, way: vec![format!("{request:?}"), after.told()] });
                }
                self.reach(at, after, || format!("{request:?} {deed:?}"));
            }
            None => self.idle(at, &world),
        }
    }

    fn idle(&mut self, at: usize, world: &World) {
        match self.follower.follow(&mut self.planner, world) {
            Err(wrong) => self.wrong(at, wrong),
            Ok(fate) => {
                if let End::Decision(why) = fate.end {
                    *self.found.decisions.entry(why).or_default() += 1;
                }
            }
        }
        if world.runs == 0 {
            return;
        }
        let due = self.planner.due(world);
        let named = due.iter().flat_map(|due| &due.named).filter_map(|named| match named {
            Named::Command(command) => Some(*command),
            Named::Look | Named::Words => None,
        });
        let mut commands: Vec<Command> = named.chain(self.exploration.typed.iter().copied()).collect();
        commands.dedup();
        for command in commands {
            if let Command::ByHand(_) = command {
                continue;
            }
            if let Ok(after) = run::begin(&mut self.planner, world, command) {
                self.reach(at, World { runs: world.runs - 1, ..after }, || format!("begins {command:?}"));
            }
        }
    }

    fn reach(&mut self, from: usize, after: World, how: impl FnOnce() -> String) {
        let after = after.canonical();
        if self.seen.contains_key(&after) {
            return;
        }
        let number = self.worlds.len();
        self.seen.insert(after, number);
        self.worlds.push((after, from, how()));
        self.open.push_back(number);
    }

    fn wrong(&mut self, at: usize, wrong: Wrong) {
        let known = self.found.wrong.entry((wrong.property, wrong.by.clone()));
        let way = || {
            let mut way = Vec::new();
            let mut here = at;
            loop {
                let (world, from, how) = &self.worlds[here];
                way.push(format!("    {how}: {}", world.told()));
                if here == 0 {
                    break;
                }
                here = *from;
            }
            way.reverse();
            way.extend(wrong.way.iter().map(|line| format!("    {line}")));
            way
        };
        known.or_insert_with(|| (0, way())).0 += 1;
    }
}
