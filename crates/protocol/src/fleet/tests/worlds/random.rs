//! Random choices that a seed repeats: SplitMix64, as in the sandbox.

pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn within(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.next() % u64::try_from(high - low + 1).expect("high is not below low")).expect("small")
    }

    pub(super) fn size(&mut self, low: i64, high: i64) -> usize {
        usize::try_from(self.within(low, high)).expect("not negative")
    }

    /// True so many times out of a hundred.
    pub(super) fn percent(&mut self, chance: i64) -> bool {
        self.within(0, 99) < chance
    }
}
