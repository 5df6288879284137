//! Where accounts begin, and what is typed.

use super::acts::Reach;
use super::commands::Command;
use super::search::Exploration;
use super::world::{Note, Number, Pair, Pod, Record, State, Value, World};
use deepdesk_protocol::facts::observation::Source;

/// An account at rest: versions oldest first, `E` enabled, `D` disabled, `X` destroyed, each with its value. Versions of
/// the primary are of the first hours, the back-compat's of the third.
fn account(primary: &str, back_compat: &str, held: (Value, Value)) -> World {
    let mut world = World::default();
    for (source, given) in [(Source::Primary, primary), (Source::BackCompat, back_compat)] {
        for word in given.split_whitespace() {
            let (state, value) = word.split_at(1);
            let number = world.secret_mut(source).add_old(value.parse().expect("a digit"), source);
            match state {
                "D" => world.secret_mut(source).change(number, State::Disabled),
                "X" => world.secret_mut(source).change(number, State::Destroyed),
                _ => {}
            }
        }
    }
    world.held = Pair { primary: held.0, back_compat: held.1 };
    world.written = 4;
    world.pods = [Pod { holds: world.held, created: 5, note: Note::default() }; 2];
    world.data = 1 << held.0;
    world.bulk = held.0;
    world
}

/// Its pods are of a restart of ours.
fn noted(mut world: World) -> World {
    let note = Note { version: world.primary.len(), back_compat: world.back_compat.len(), compared: world.written };
    world.template = note;
    world.pods.iter_mut().for_each(|pod| pod.note = note);
    world
}

fn recorded(mut world: World, from: Number, to: Number) -> World {
    world.record = Record { last: (from, to), ..Record::default() };
    world
}

/// Nobody has rotated it yet.
fn fresh() -> World {
    let mut world = account("E1", "", (1, 0));
    world.failing = true;
    world
}

/// Rotated by us, and finalized.
fn finalized() -> World {
    recorded(noted(account("D1 E2", "D1 E2", (2, 2))), 1, 2)
}

/// Rotated by us; the data is not saved again.
fn awaiting() -> World {
    let mut world = recorded(noted(account("D1 E2", "E1", (2, 1))), 1, 2);
    world.data |= 1 << 1;
    world.bulk = 1;
    world
}

pub fn all(large: bool) -> Vec<Exploration> {
    let hands = if large { 3 } else { 2 };
    let of = |name, mut first: World, typed: &'static [Command]| {
        first.hands = hands;
        first.runs = if large { 2 } else { 1 };
        let reach = Reach { versions: 3, edits: large, one_pod: large };
        Exploration { name, first, typed, by_pattern: false, reach }
    };
    vec![
        of("nobody rotated it", fresh(), &[Command::Rotate]),
        of("finalized", finalized(), &[Command::Rotate]),
        of("awaiting", awaiting(), &[Command::RollBack, Command::Finalize]),
    ]
}
