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

/// Years of rotations by hand: nothing on record, an older version enabled, and nothing that pods note.
fn by_hand() -> World {
    let mut world = account("E1 E2", "", (2, 0));
    world.failing = true;
    world
}

fn exploration(name: &'static str, first: World, typed: &'static [Command]) -> Exploration {
    let reach = Reach { versions: 3, edits: false, one_pod: false };
    Exploration { name, first: World { hands: 2, runs: 1, ..first }, typed, by_pattern: false, reach }
}

pub fn nobody_rotated() -> Exploration {
    exploration("nobody has rotated it", fresh(), &[Command::Rotate])
}

pub fn after_a_finalization() -> Exploration {
    exploration("finalized", finalized(), &[Command::Rotate])
}

pub fn after_a_rotation() -> Exploration {
    exploration("rotated, and not saved again", awaiting(), &[Command::RollBack, Command::Finalize])
}

/// The longest first, since several are explored at once. In the large run hands act three times, edit the record, and a pod starts by
/// itself; and runs are more.
pub fn all(large: bool) -> Vec<Exploration> {
    let pattern = Exploration { by_pattern: true, ..nobody_rotated() };
    let mut all = vec![
        after_a_rotation(),
        after_a_finalization(),
        Exploration { name: "nobody has rotated it; the back-compat is found by a pattern", ..pattern },
        nobody_rotated(),
        exploration("rotated by hand for years", by_hand(), &[]),
    ];
    if large {
        all.push(exploration("finalized; two phases", finalized(), &[Command::TwoPhase]));
        for one in &mut all {
            one.first.hands = 3;
        }
        let widely = |one: &Exploration| {
            let reach = Reach { edits: true, one_pod: true, ..one.reach };
            Exploration { first: World { hands: 2, runs: 2, ..one.first }, reach, ..*one }
        };
        let more: Vec<Exploration> = all.iter().map(widely).collect();
        all.extend(more);
    }
    all
}
