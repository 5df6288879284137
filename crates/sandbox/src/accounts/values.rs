//! The values of the secrets: random at each start, or repeatable from a seed.

const LENGTH: usize = 64;
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

pub struct Values {
    /// The state of the repeatable source; without one the operating system's source is used.
    state: Option<u64>,
}

impl Values {
    /// Values from a seed, or random ones.
    pub fn new(seed: Option<u64>) -> Self {
        Self { state: seed }
    }

    /// The next value: letters and digits, each as likely as the other.
    pub fn next(&mut self) -> Vec<u8> {
        let mut value = Vec::with_capacity(LENGTH);
        while value.len() < LENGTH {
            // The last few of the 256 would make some letters likelier.
            let fair = self.bytes().into_iter().filter(|byte| usize::from(*byte) < LETTERS.len() * 4);
            value.extend(fair.map(|byte| LETTERS[usize::from(byte) % LETTERS.len()]).take(LENGTH - value.len()));
        }
        value
    }

    fn bytes(&mut self) -> [u8; 8] {
        let Some(state) = &mut self.state else {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).expect("the operating system has a random source");
            return bytes;
        };
        // SplitMix64: every seed, also 0, gives a stream of its own.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31).to_le_bytes()
    }
}
