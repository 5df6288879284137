//! Somebody who knows nothing, and does whatever the program recommends: what is due, or the first command that a refusal names.

use super::commands::{Command, Named};
use super::judge::{Property, broken};
use super::planner::Planner;
use super::run::{self, Deed};
use super::world::{ByWorld, World};

/// The most commands to an end.
pub const MOST: usize = 6;

/// Where it ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// Nothing is due.
    Rest,
    /// A person has to decide.
    Decision(String),
}

/// What comes of following hints from a world.
#[derive(Clone, Debug)]
pub struct Fate {
    pub commands: usize,
    pub end: End,
    pub last: World,
}

/// What goes wrong on the way, with the command and the way there.
#[derive(Clone, Debug)]
pub struct Wrong {
    pub property: Property,
    pub by: String,
    pub way: Vec<String>,
}

#[derive(Default)]
pub struct Follower {
    fates: ByWorld<Result<Fate, Wrong>>,
}

impl Follower {
    /// How many worlds were followed from.
    pub fn len(&self) -> usize {
        self.fates.len()
    }

    /// Follows hints from here to the end.
    pub fn follow(&mut self, planner: &mut Planner, world: &World) -> Result<Fate, Wrong> {
        let start = World { run: None, hands: 0, runs: 0, ..*world }.canonical();
        let mut way: Vec<(World, usize)> = Vec::new();
        let mut lines = Vec::new();
        let mut world = start;
        let mut commands = 0;
        let fate = loop {
            if let Some(known) = self.fates.get(&world) {
                break match known {
                    Ok(fate) => Ok(Fate { commands: fate.commands + commands, ..fate.clone() }),
                    Err(wrong) => Err(wrong.clone()),
                };
            }
            let circle = way.iter().any(|(seen, _)| *seen == world);
            if circle || commands > 3 * MOST {
                let by = if circle { "hints that repeat" } else { "hints without an end" };
                break Err(Wrong { property: Property::ComesToAnEnd, by: by.to_owned(), way: Vec::new() });
            }
            way.push((world, commands));
            match self.next(planner, &world, &mut lines) {
                Ok(Next::On(after, ran)) => {
                    commands += ran;
                    world = after.canonical();
                }
                Ok(Next::End(end, ran)) => break Ok(Fate { commands: commands + ran, end, last: world }),
                Err(wrong) => break Err(wrong),
            }
        };
        for (from, ran) in way {
            let fate = fate.clone().map(|fate| Fate { commands: fate.commands - ran, ..fate });
            self.fates.insert(from, fate.and_then(|fate| judged(&from, fate)));
        }
        let fate = self.fates.get(&start).expect("it was followed").clone();
        fate.map_err(|wrong| Wrong { way: [lines, wrong.way].concat(), ..wrong })
    }

    fn next(&self, planner: &mut Planner, world: &World, lines: &mut Vec<String>) -> Result<Next, Wrong> {
        let Some(due) = planner.due(world) else { return Ok(Next::End(End::Rest, 0)) };
        lines.push(format!("  due: {}: {:?}", due.reason, due.named));
        let (mut named, mut why) = (due.named.clone(), due.reason.clone());
        let mut world = *world;
        let mut tried = Vec::new();
        loop {
            if !named.iter().any(|named| matches!(named, Named::Command(_))) && named.contains(&Named::Look) {
                let verified = planner.verified(&world);
                lines.push(format!("  verify: {:?}", verified.named));
                named.clone_from(&verified.named);
            }
            let first = named.iter().find_map(|named| match named {
                Named::Command(command) => Some(*command),
                Named::Look | Named::Words => None,
            });
            let Some(command) = first else { return Ok(Next::End(End::Decision(why), tried.len())) };
            let label = format!("{command:?}");
            if tried.contains(&command) {
                let by = format!("{label}, again and again ({why})");
                return Err(Wrong { property: Property::ComesToAnEnd, by, way: std::mem::take(lines) });
            }
            tried.push(command);
            let before = world;
            match whole(planner, &world, command, lines)? {
                Ran::Refused(refusal) => {
                    lines.push(format!("  {label} is refused: {} {:?}", refusal.reason, refusal.named));
                    (named, why) = (refusal.named.clone(), refusal.reason.clone());
                }
                Ran::Ended(after) => {
                    if after.canonical() == before {
                        let by = format!("{label}, which does nothing");
                        return Err(Wrong { property: Property::ComesToAnEnd, by, way: std::mem::take(lines) });
                    }
                    return Ok(Next::On(after, tried.len()));
                }
                Ran::Stopped(after, reason, next) => {
                    lines.push(format!("  {label} stops: {reason} {next:?}"));
                    if next.contains(&Named::Look) && after.canonical() != before {
                        return Ok(Next::On(after, tried.len()));
                    }
                    (named, why, world) = (next, reason.to_owned(), after.canonical());
                }
            }
        }
    }
}

enum Next {
    On(World, usize),
    End(End, usize),
}

/// What came of a command.
pub enum Ran {
    Refused(std::rc::Rc<super::planner::Refusal>),
    Ended(World),
    Stopped(World, &'static str, Vec<Named>),
}

/// A command to its end, which nobody disturbs.
pub fn whole(planner: &mut Planner, world: &World, command: Command, lines: &mut Vec<String>) -> Result<Ran, Wrong> {
    let wrong = |property, by: String, lines: &mut Vec<String>| Wrong { property, by, way: std::mem::take(lines) };
    lines.push(format!("  follows {command:?}"));
    if let Command::ByHand(deed) = command {
        let Some(after) = deed.done(world, planner.by_pattern) else { return Ok(Ran::Ended(*world)) };
        lines.push(format!("    {}", after.told()));
        return match broken(world, &after, false, false) {
            Some(property) => Err(wrong(property, format!("{command:?}"), lines)),
            None => Ok(Ran::Ended(after)),
        };
    }
    let mut world = match run::begin(planner, world, command) {
        Ok(world) => world,
        Err(Err(refusal)) => return Ok(Ran::Refused(refusal)),
        Err(Ok(_)) => unreachable!("a program is no refusal"),
    };
    let retires = command == Command::Finalize;
    while let Some(run) = world.run {
        let request = planner.program(run.program).requests[usize::from(run.at)].clone();
        let (after, deed) = run::step(planner, &world);
        lines.push(format!("    {request:?}: {}", after.told()));
        if let Some(property) = broken(&world, &after, matches!(deed, Deed::Proven), retires) {
            return Err(wrong(property, format!("{command:?}: {}", kind(&request)), lines));
        }
        world = after;
        if let Deed::Stopped(reason, named) = deed {
            return Ok(Ran::Stopped(world, reason, named));
        }
    }
    Ok(Ran::Ended(world))
}

/// A request without its numbers.
pub fn kind(request: &super::program::Request) -> String {
    format!("{request:?}").split([' ', '{']).next().unwrap_or_default().to_owned()
}

/// The end, judged: not too far, and nothing that some pod could read is left unread.
fn judged(from: &World, fate: Fate) -> Result<Fate, Wrong> {
    let last = &fate.last;
    if fate.commands > MOST {
        let by = format!("{} commands", fate.commands);
        return Err(Wrong { property: Property::ComesToAnEnd, by, way: Vec::new() });
    }
    let could = |value: &u8| from.data & 1 << value != 0 && from.is_read(*value);
    let unread = last.needed().filter(could).find(|value| last.pods.iter().any(|pod| !pod.holds.reads(*value)));
    match (unread, &fate.end) {
        (Some(_), End::Rest) => {
            Err(Wrong { property: Property::AllReadable, by: "the end".to_owned(), way: vec![last.told()] })
        }
        _ => Ok(fate),
    }
}
