//! A run that nobody disturbs comes to its end, from whatever state a run before it left.

use super::operator::{self, Deed};
use super::planner::{Command, Planner};
use super::search::{Event, Exploration, syncs};
use super::world::World;

/// More steps than any run takes.
const MOST: usize = 300;

/// Whether the command ends well, where External Secrets reads the newest versions and pods start; none where it is refused.
pub fn ends_well(exploration: &Exploration, planner: &mut Planner, world: &World, command: Command) -> Option<bool> {
    let mut begun = None;
    operator::begin(planner, world, 0, command, &mut |after| {
        begun.get_or_insert(after);
    });
    let mut world = begun?;
    for _ in 0..MOST {
        let mut next = None;
        operator::steps(planner, &world, 0, &mut |after, deed| {
            if deed != Deed::Stopped && next.is_none() {
                next = Some((after, deed));
            }
        });
        world = match next {
            Some((_, Deed::Ended)) => return Some(true),
            Some((after, _)) if after.operators[0].is_idle() => return Some(false),
            Some((after, _)) => after,
            None => answered(exploration, planner, &world),
        };
    }
    Some(false)
}

/// What others do while it waits: pods of before are replaced, else a sync goes on with the newest version.
fn answered(exploration: &Exploration, planner: &Planner, world: &World) -> World {
    if let Some(pod) = world.pods.iter().position(|pod| !pod.current) {
        let mut after = *world;
        after.start(pod, true);
        return after;
    }
    let mut all = Vec::new();
    syncs(exploration, planner.rules(), world, &mut all);
    let newest = all.into_iter().rfind(|(event, _)| *event != Event::SyncFails);
    newest.map_or(*world, |(_, after)| after)
}
