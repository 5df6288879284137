//! One account as the model sees it: what Secret Manager, External Secrets, the cluster and the lock hold, in a few bytes.

use deepdesk_protocol::invariants::Slots;

use super::operator::Operator;

/// A value: 1 and up; 0 is none. Equal numbers are equal bytes.
pub type Value = u8;
/// The number of a version: 1 and up; 0 is none.
pub type Number = u8;

/// The versions of one secret, oldest in the lowest four bits: three for the value, one for whether it is enabled.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Versions(pub u64);

impl Versions {
    /// How many there are.
    pub fn len(self) -> Number {
        ((67 - self.0.leading_zeros()) / 4) as Number
    }

    /// The value of a version, and whether it is enabled.
    pub fn at(self, number: Number) -> (Value, bool) {
        let bits = (self.0 >> (4 * (number - 1))) as u8;
        (bits & 7, bits & 8 != 0)
    }

    /// The newest version's value; none when that is disabled.
    pub fn value(self) -> Value {
        match self.len() {
            0 => 0,
            newest => self.enabled(newest),
        }
    }

    /// The value of a version that is enabled; none of another.
    pub fn enabled(self, number: Number) -> Value {
        let (value, enabled) = self.at(number);
        if enabled { value } else { 0 }
    }

    /// Adds a version and returns its number.
    pub fn add(&mut self, value: Value) -> Number {
        let number = self.len();
        assert!(number < 15, "the model's secrets have fifteen versions at most");
        self.0 |= u64::from(value | 8) << (4 * number);
        number + 1
    }

    /// Disables a version.
    pub fn disable(&mut self, number: Number) {
        self.0 &= !(8 << (4 * (number - 1)));
    }

    /// Only the oldest so many: what `latest` shows while it lags.
    pub fn oldest(self, count: Number) -> Versions {
        Versions(self.0 & ((1 << (4 * count)) - 1))
    }

    /// The values of the enabled ones, oldest first.
    pub fn enabled_values(self) -> impl Iterator<Item = Value> {
        (1..=self.len()).map(move |number| self.enabled(number)).filter(|value| *value != 0)
    }
}

/// The primary's value and the back-compat's, where something holds both.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pair {
    pub primary: Value,
    pub back_compat: Value,
}

impl Pair {
    /// The two, as the invariants take them.
    pub fn slots(self) -> Slots<Value> {
        let slot = |value: Value| (value != 0).then_some(value);
        Slots { primary: slot(self.primary), back_compat: slot(self.back_compat) }
    }

    /// Whether one of the two is this.
    pub fn reads(self, value: Value) -> bool {
        self.slots().reads(value)
    }
}

/// A pod: it writes under its primary value from its first moment to its last.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Pod {
    /// What it started with.
    pub holds: Pair,
    /// The version that its annotation names.
    pub version: Number,
    /// The version of the back-compat that its annotation names.
    pub back_compat: Number,
    /// Whether it is of the newest restart.
    pub current: bool,
    /// Whether it started in the narrow interval with the older value twice.
    pub narrow: bool,
}

impl Pod {
    fn bits(self) -> u64 {
        let holds = u64::from(self.holds.primary) << 3 | u64::from(self.holds.back_compat);
        let versions = u64::from(self.version) << 4 | u64::from(self.back_compat);
        (holds << 8 | versions) << 2 | u64::from(self.current) << 1 | u64::from(self.narrow)
    }
}

/// The Lease. Whether its holder still lives nobody sees: it may expire, and be taken, at any moment but between an
/// operator's question whether it is still theirs and the effect of the write that follows (docs/decisions.md: 11 of 20 s).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Lease {
    /// Operator 1 or 2; 0 when it is free, or its holder is dead.
    pub holder: u8,
    /// The version that a run set out for and did not record the end of.
    pub begun: Number,
    /// The version of the back-compat that a two-phase rotation announced.
    pub announced: Number,
    /// Whether that is being given up.
    pub called_off: bool,
    /// Whether what was begun is a rollback.
    pub back: bool,
    /// The version of the back-compat that a finalization retires which did not record its end.
    pub finalizing: Number,
}

/// Everything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct World {
    pub primary: Versions,
    pub back_compat: Versions,
    /// Whether the back-compat's newest version is younger than the primary's.
    pub back_compat_later: bool,
    /// What the Kubernetes Secret holds.
    pub held: Pair,
    /// The newest version of each that External Secrets has read: it does not read an older one again.
    pub read: [Number; 2],
    /// What a sync has read of the secret that it reads first, between that and its write; none when none is under way.
    pub sync: Value,
    pub pods: [Pod; 2],
    /// The version that the pod template's annotation names.
    pub template: Number,
    /// The version of the back-compat that another one names.
    pub template_back_compat: Number,
    /// The values under which something is encrypted, a bit for each.
    pub data: u8,
    /// The value that most data is encrypted under: the first one, until all of it was saved again.
    pub bulk: Value,
    pub lease: Lease,
    /// Whether a run has entered the narrow interval of an exchange, and none has left it.
    pub narrow: bool,
    /// An addition of a run that died, which may still arrive: to which secret (0 primary, 8 back-compat), and the value.
    pub late: u8,
    /// How many runs were started.
    pub runs: u8,
    pub operators: [Operator; 2],
}

/// The world's state as the visited set keeps it: all of it, so that two states are one only when they are.
pub type Packed = [u64; 5];

impl World {
    /// Written out, since this is most of what a search does.
    pub fn pack(&self) -> Packed {
        let lease = self.lease;
        let mut rest = u64::from(self.held.primary) << 3 | u64::from(self.held.back_compat);
        rest = rest << 4 | u64::from(self.read[0]);
        rest = rest << 4 | u64::from(self.read[1]);
        rest = rest << 3 | u64::from(self.sync);
        rest = rest << 4 | u64::from(self.template);
        rest = rest << 4 | u64::from(self.template_back_compat);
        rest = rest << 8 | u64::from(self.data);
        rest = rest << 3 | u64::from(self.bulk);
        rest = rest << 2 | u64::from(lease.holder);
        rest = rest << 4 | u64::from(lease.begun);
        rest = rest << 4 | u64::from(lease.announced);
        rest = rest << 1 | u64::from(lease.called_off);
        rest = rest << 1 | u64::from(lease.back);
        rest = rest << 4 | u64::from(lease.finalizing);
        rest = rest << 4 | u64::from(self.late);
        rest = rest << 1 | u64::from(self.narrow);
        rest = rest << 1 | u64::from(self.back_compat_later);
        // The oldest fifteen versions leave four bits; the rest takes 58, two operators 52, two pods 32.
        [
            self.primary.0 | u64::from(self.runs) << 60,
            self.back_compat.0,
            rest,
            self.operators[0].bits() << 26 | self.operators[1].bits(),
            self.pods[0].bits() << 16 | self.pods[1].bits(),
        ]
    }

    /// One of the worlds that differ in names alone: pods have none, and neither has an operator that is not at work.
    pub fn canonical(mut self) -> World {
        if self.pods[0].bits() > self.pods[1].bits() {
            self.pods.swap(0, 1);
        }
        if self.operators[0].is_idle() && !self.operators[1].is_idle() {
            self.operators.swap(0, 1);
            self.lease.holder = [0, 2, 1][usize::from(self.lease.holder)];
        }
        self
    }

    /// The values of the two secrets' newest versions.
    pub fn newest(&self) -> Pair {
        Pair { primary: self.primary.value(), back_compat: self.back_compat.value() }
    }

    /// A pod starts: as the template's newest, or only its container, which keeps the annotations.
    pub fn start(&mut self, which: usize, anew: bool) {
        let pod = &mut self.pods[which];
        pod.holds = self.held;
        pod.narrow = self.narrow && self.held.primary == self.held.back_compat;
        if anew {
            pod.version = self.template;
            pod.back_compat = self.template_back_compat;
            pod.current = true;
        }
        self.data |= 1 << pod.holds.primary;
    }

    /// Whether it would be otherwise after that.
    pub fn would_change(&self, which: usize, anew: bool) -> bool {
        let pod = self.pods[which];
        let narrow = self.narrow && self.held.primary == self.held.back_compat;
        pod.holds != self.held || pod.narrow != narrow || anew && !(pod.current && self.is_of_template(pod))
    }

    fn is_of_template(&self, pod: Pod) -> bool {
        pod.version == self.template && pod.back_compat == self.template_back_compat
    }

    /// Whether its annotation says that a pod started with what the back-compat holds, where data may need that.
    pub fn had_back_compat(&self, pod: Pod) -> bool {
        let Pair { primary, back_compat } = self.newest();
        let had = if pod.back_compat == 0 { 0 } else { self.back_compat.enabled(pod.back_compat) };
        [0, primary].contains(&back_compat) || had == back_compat
    }

    /// Whether every pod is of the newest restart.
    pub fn rolled_out(&self) -> bool {
        self.pods.iter().all(|pod| pod.current)
    }

    /// External Secrets writes what it has read.
    pub fn write_secret(&mut self, pair: Pair) {
        if self.held != pair {
            self.held = pair;
            for operator in &mut self.operators {
                operator.written |= operator.proven;
            }
        }
    }
}

/// Two worlds that are packed alike would be taken for one.
#[test]
fn nothing_is_lost_when_a_world_is_packed() {
    use super::operator::Phase;
    let changes: [fn(&mut World); 30] = [
        |_| {},
        |world| world.primary.0 = 9,
        |world| world.back_compat.0 = 9,
        |world| world.back_compat_later = true,
        |world| world.held.primary = 7,
        |world| world.held.back_compat = 7,
        |world| world.read[0] = 15,
        |world| world.read[1] = 15,
        |world| world.sync = 7,
        |world| world.pods[1].holds.primary = 7,
        |world| world.pods[1].holds.back_compat = 7,
        |world| world.pods[1].version = 15,
        |world| world.pods[1].back_compat = 15,
        |world| world.template_back_compat = 15,
        |world| world.pods[1].current = true,
        |world| world.pods[1].narrow = true,
        |world| world.template = 15,
        |world| world.data = 255,
        |world| world.bulk = 7,
        |world| world.lease.holder = 2,
        |world| world.lease.begun = 15,
        |world| world.lease.announced = 15,
        |world| world.lease.called_off = true,
        |world| world.lease.back = true,
        |world| world.lease.finalizing = 15,
        |world| world.narrow = true,
        |world| world.late = 15,
        |world| world.runs = 15,
        |world| {
            world.operators[0] = Operator { phase: Phase::Agreed, command: 5, program: 9999, ..Operator::default() }
        },
        |world| {
            let run = Operator { phase: Phase::Running, program: 9999, at: 31, push: 3, ..Operator::default() };
            world.operators[0] = Operator { proven: true, written: true, ..run };
        },
    ];
    let mut packed: Vec<Packed> = Vec::new();
    for (one, change) in changes.iter().enumerate() {
        for other in &changes[one..] {
            let mut world = World::default();
            change(&mut world);
            other(&mut world);
            packed.push(world.pack());
        }
    }
    // Each pair of changes is a world of its own, but one with itself is that change alone, and of the two that make the
    // operator anew the second is.
    let all = packed.len();
    packed.sort_unstable();
    packed.dedup();
    assert_eq!(packed.len(), all - changes.len());
}
