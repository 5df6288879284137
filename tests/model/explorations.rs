//! What is explored: where an account begins, what operators type, and how often.

use super::planner::Command::{self, AbandonOlder, Adopt, Finalize, RollBack, Rotate, TwoPhase};
use super::properties::Claims;
use super::search::Exploration;
use super::world::{Pair, Pod, Value, Versions, World};

/// An account at rest: versions oldest first, `E` enabled and `D` disabled, each with its value.
fn account(primary: &str, back_compat: &str, held: (Value, Value)) -> World {
    let versions = |given: &str| {
        let mut versions = Versions::default();
        for word in given.split_whitespace() {
            let (state, value) = word.split_at(1);
            let number = versions.add(value.parse().expect("a digit"));
            if state == "D" {
                versions.disable(number);
            }
        }
        versions
    };
    let (primary, back_compat) = (versions(primary), versions(back_compat));
    let held = Pair { primary: held.0, back_compat: held.1 };
    World {
        primary,
        back_compat,
        held,
        read: [primary.len(), back_compat.len()],
        pods: [Pod {
            holds: held,
            version: primary.len(),
            back_compat: back_compat.len(),
            current: true,
            narrow: false,
        }; 2],
        template: primary.len(),
        template_back_compat: back_compat.len(),
        data: 1 << held.primary,
        bulk: held.primary,
        ..World::default()
    }
}

fn exploration(name: &'static str, first: World, commands: &'static [Command], runs: u8) -> Exploration {
    Exploration {
        name,
        first,
        commands,
        runs,
        operators: 2,
        saves_again: false,
        by_pattern: false,
        back_compat_first: false,
        claims: Claims::default(),
    }
}

/// Before the first rotation: nobody has created the back-compat.
fn fresh() -> World {
    account("E1", "", (1, 0))
}

/// After a finalization.
fn finalized() -> World {
    account("E1", "E1", (1, 1))
}

/// The rolling rotation, killed and gone on with.
pub fn rotate(runs: u8) -> Exploration {
    let claims = Claims { adds_at_most: Some([1, 1]), ..Claims::default() };
    Exploration { claims, ..exploration("rotate", fresh(), &[Rotate], runs) }
}

/// The same with an ExternalSecret that finds the back-compat by a pattern: without it, the primary is copied alone.
pub fn rotate_by_pattern(runs: u8) -> Exploration {
    Exploration { name: "rotate; the back-compat is found by a pattern", by_pattern: true, ..rotate(runs) }
}

/// With rollbacks, out of the middle and from the end.
pub fn rollback(runs: u8) -> Exploration {
    exploration("rotate, rollback", finalized(), &[Rotate, RollBack], runs)
}

/// The same with an ExternalSecret that names the back-compat before the primary.
pub fn rollback_other_order(runs: u8) -> Exploration {
    let name = "rotate, rollback; the back-compat is read first";
    Exploration { name, back_compat_first: true, ..rollback(runs) }
}

/// Two phases alone: the claim on pods.
pub fn two_phase(runs: u8) -> Exploration {
    let claims = Claims { adds_at_most: Some([1, 3]), two_phase: true, ..Claims::default() };
    Exploration { claims, ..exploration("two phases", fresh(), &[TwoPhase], runs) }
}

/// Two phases that are called off, or gone back from.
pub fn two_phase_rollback(runs: u8) -> Exploration {
    let claims = Claims { two_phase: true, ..Claims::default() };
    Exploration { claims, ..exploration("two phases, rollback", finalized(), &[TwoPhase, RollBack], runs) }
}

/// All ways to change the value, mixed.
pub fn mixed(runs: u8) -> Exploration {
    exploration("rotate, two phases, rollback", finalized(), &[Rotate, TwoPhase, RollBack], runs)
}

/// The whole life: rotated, saved again, finalized, and rotated again.
pub fn finalize(runs: u8) -> Exploration {
    let name = "rotate, two phases, finalize";
    Exploration { saves_again: true, ..exploration(name, finalized(), &[Rotate, TwoPhase, Finalize], runs) }
}

/// The same by one operator after the other, and more of them.
pub fn in_turn(runs: u8) -> Exploration {
    let name = "rotate, two phases, finalize, in turn";
    Exploration { name, operators: 1, ..finalize(runs) }
}

/// Years of rotations by hand, of which the last is adopted. Nothing says what the pods started with.
pub fn adopt(runs: u8) -> Exploration {
    let mut first = account("E1 E2", "", (2, 0));
    first.data |= 1 << 1;
    first.template = 0;
    first.pods.iter_mut().for_each(|pod| pod.version = 0);
    by_hand("by hand: adopt, rotate", first, &[Adopt, Rotate], runs)
}

/// The same, after `secret restart`: their annotations name the newest version, and no back-compat beside it.
pub fn adopt_after_restart(runs: u8) -> Exploration {
    let mut first = account("E1 E2", "", (2, 0));
    first.data |= 1 << 1;
    by_hand("by hand: restart, adopt, rotate", first, &[Adopt, Rotate], runs)
}

/// By hand, where nothing needs what is older.
pub fn abandon(runs: u8) -> Exploration {
    let commands = &[AbandonOlder, Rotate, RollBack];
    by_hand("by hand: abandon, rotate, rollback", account("E1 E2", "", (2, 0)), commands, runs)
}

/// By hand, beside an older value that data still needs: nothing may be done to it.
pub fn third_by_hand(runs: u8) -> Exploration {
    let mut first = account("E1 E2", "E3", (2, 3));
    first.data |= 1 << 3;
    let commands = &[Adopt, AbandonOlder, Rotate, TwoPhase, RollBack, Finalize];
    by_hand("by hand beside a live back-compat: all commands", first, commands, runs)
}

fn by_hand(name: &'static str, first: World, commands: &'static [Command], runs: u8) -> Exploration {
    let claims = Claims { may_be_blocked: true, ..Claims::default() };
    Exploration { claims, ..exploration(name, first, commands, runs) }
}

/// What no observation tells: that all was saved again under the value which a rollback goes away from.
pub fn rollback_after_saving(runs: u8) -> Exploration {
    Exploration { name: "rotate, save again, rollback", saves_again: true, ..rollback(runs) }
}
