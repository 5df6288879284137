//! The worlds that were seen, each whole, with the one that it was reached from.

use super::world::Packed;

/// A hash table of its own: the standard one takes most of the time where nothing is optimized.
pub struct Visited {
    /// In the order in which they were found, with the number of the one before.
    worlds: Vec<(Packed, u32)>,
    /// Numbers of worlds, counted from one; 0 is free. A power of two of them.
    slots: Vec<u32>,
}

impl Visited {
    pub fn new(first: Packed) -> Visited {
        let mut visited = Visited { worlds: Vec::new(), slots: vec![0; 1 << 12] };
        visited.add(first, 0);
        visited
    }

    pub fn len(&self) -> usize {
        self.worlds.len()
    }

    /// Adds a world that was reached from the one with this number; whether it was not there before.
    pub fn add(&mut self, world: Packed, from: u32) -> bool {
        if self.worlds.len() * 2 > self.slots.len() {
            self.grow();
        }
        let slot = self.slot_of(&world);
        if self.slots[slot] != 0 {
            return false;
        }
        self.worlds.push((world, from));
        self.slots[slot] = u32::try_from(self.worlds.len()).expect("as many as memory holds");
        true
    }

    /// The worlds from the first one to this one.
    pub fn way_to(&self, last: u32) -> Vec<Packed> {
        let mut way = Vec::new();
        let mut at = last;
        loop {
            let (world, from) = self.worlds[at as usize];
            way.push(world);
            if at == 0 {
                break;
            }
            at = from;
        }
        way.reverse();
        way
    }

    /// Where the world is, or where it belongs.
    fn slot_of(&self, world: &Packed) -> usize {
        let mut mixed = world[0];
        for word in [world[1], world[2], world[3]] {
            mixed = (mixed ^ mixed >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word;
        }
        mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mask = self.slots.len() - 1;
        let mut slot = (mixed >> 32) as usize & mask;
        loop {
            let held = self.slots[slot];
            if held == 0 || self.worlds[held as usize - 1].0 == *world {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 4];
        for at in 0..self.worlds.len() {
            let world = self.worlds[at].0;
            let slot = self.slot_of(&world);
            self.slots[slot] = at as u32 + 1;
        }
    }
}
