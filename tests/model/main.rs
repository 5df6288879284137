//! The planner, driven through every interleaving.
mod observe;
mod operator;
mod planner;
mod program;
mod properties;
mod rules;
mod search;
mod world;

use planner::Command;
use search::Exploration;
use world::{Pair, Pod, Versions, World};

pub fn world(primary: &[(u8, bool)], back_compat: &[(u8, bool)], held: (u8, u8)) -> World {
    let versions = |all: &[(u8, bool)]| {
        let mut versions = Versions::default();
        for (value, enabled) in all {
            let n = versions.add(*value);
            if !enabled { versions.disable(n) }
        }
        versions
    };
    let held = Pair { primary: held.0, back_compat: held.1 };
    let primary = versions(primary);
    let back_compat = versions(back_compat);
    let pod = Pod { holds: held, version: primary.len(), current: true, narrow: false };
    World { primary, back_compat, held, read: [primary.len(), back_compat.len()], pods: [pod; 2], template: primary.len(), data: 1 << held.primary, bulk: held.primary, ..World::default() }
}

#[test]
fn try_it() {
    let fresh = world(&[(1, true)], &[], (1, 0));
    let base = Exploration { name: "rotate", first: fresh, commands: &[Command::Rotate], runs: 2, operators: 2, saves_again: false, back_compat_first: false, claims: Default::default() };
    let kept = world(&[(1, true)], &[(1, true)], (1, 1));
    for exploration in [
        Exploration { runs: 1, ..base },
        base,
        Exploration { name: "rotate, kept", first: kept, ..base },
        Exploration { runs: 3, ..base },
        Exploration { name: "two-phase", commands: &[Command::TwoPhase], first: kept, ..base },
        Exploration { name: "rollback", commands: &[Command::Rotate, Command::RollBack], first: kept, ..base },
        Exploration { name: "finalize", commands: &[Command::Rotate, Command::Finalize], saves_again: true, first: kept, ..base },
        Exploration { name: "finalize3", commands: &[Command::Rotate, Command::Finalize], saves_again: true, first: kept, runs: 3, operators: 1, ..base },
        Exploration { name: "rollback", commands: &[Command::Rotate, Command::RollBack], first: kept, runs:3, ..base },
        Exploration { name: "rollback bc first", commands: &[Command::Rotate, Command::RollBack], back_compat_first: true, first: kept, runs:3, ..base },
        Exploration { name: "two-phase claim", commands: &[Command::TwoPhase], first: kept, runs: 3, claims: properties::Claims { adds_at_most: Some([1,2]), two_phase: true}, ..base },
        Exploration { name: "two-phase claim with rotate", commands: &[Command::TwoPhase, Command::Rotate], first: kept, runs: 3, claims: properties::Claims { adds_at_most: Some([1,2]), two_phase: false}, ..base },
        Exploration { name: "two-phase rollback", commands: &[Command::TwoPhase, Command::RollBack], first: kept, runs: 3,  ..base },
        Exploration { name: "all", commands: &[Command::TwoPhase, Command::Rotate, Command::RollBack], first: fresh, runs: 3,  ..base },
        Exploration { name: "all", commands: &[Command::TwoPhase, Command::Rotate, Command::RollBack], first: kept, runs: 4, operators:1,  ..base },
        Exploration { name: "finalize all", commands: &[Command::TwoPhase, Command::Rotate, Command::Finalize], saves_again: true, first: kept, runs: 3,  ..base },
    ] {
        let found = search::explore(&exploration, rules::Rules::KEPT, 3_000_000);
        println!("{} {}: {} states {} transitions depth {} complete {} {:?}", exploration.name, exploration.runs, found.states, found.transitions, found.depth, found.complete, found.took);
        if let Some((invariant, way)) = found.broken {
            println!("{invariant:?}");
            way.iter().for_each(|line| println!("  {line}"));
        }
    }
}
