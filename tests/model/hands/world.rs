//! One account as hands find it: beside what the model's other world has, dates, versions that are destroyed, a version that is pinned, the
//! whole record. Small enough to be copied, and to be looked up.

use deepdesk_protocol::facts::observation::Source;

pub use crate::world::Pair;

/// A map by worlds: the standard hash takes most of the time where nothing is optimized.
pub type ByWorld<V> = std::collections::HashMap<World, V, std::hash::BuildHasherDefault<Mixed>>;

#[derive(Default)]
pub struct Mixed(u64);

impl std::hash::Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

/// A value: 1 and up; 0 is none. Equal numbers are equal bytes.
pub type Value = u8;
/// The number of a version: 1 and up; 0 is none.
pub type Number = u8;
/// A moment. Those of before the hands lie hours apart, those from `HANDS_CAME` on ten seconds; only their order counts.
pub type Time = u8;

/// The first moment at which something happens.
pub const HANDS_CAME: Time = 8;
/// The versions that a secret has at most.
pub const MOST: usize = 12;

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    #[default]
    Enabled,
    Disabled,
    /// Its value is gone.
    Destroyed,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version {
    pub value: Value,
    pub state: State,
    pub created: Time,
}

/// A secret with its versions, oldest first. One that does not exist has none.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Secret {
    pub exists: bool,
    len: Number,
    versions: [Version; MOST],
}

impl Secret {
    pub fn len(&self) -> Number {
        self.len
    }

    pub fn all(&self) -> impl DoubleEndedIterator<Item = (Number, Version)> {
        (1..=self.len).zip(self.versions)
    }

    pub fn at(&self, number: Number) -> Option<Version> {
        self.versions.get(usize::from(number).checked_sub(1)?).copied().filter(|_| number <= self.len)
    }

    /// The value of a version that can be read; 0 where it cannot.
    pub fn enabled(&self, number: Number) -> Value {
        self.at(number).filter(|version| version.state == State::Enabled).map_or(0, |version| version.value)
    }

    /// The newest version's value; 0 where it cannot be read.
    pub fn value(&self) -> Value {
        self.enabled(self.len)
    }

    pub fn holds(&self, value: Value) -> bool {
        self.all().any(|(_, version)| version.state == State::Enabled && version.value == value)
    }

    pub fn change(&mut self, number: Number, state: State) {
        if let Some(version) = self.versions.get_mut(usize::from(number) - 1) {
            version.state = state;
            if state == State::Destroyed {
                version.value = 0;
            }
        }
    }

    /// A version of before the hands: the primary's in the first hours, the back-compat's in the third.
    pub fn add_old(&mut self, value: Value, source: Source) -> Number {
        let created = if source == Source::Primary { 1 + self.len.min(1) } else { 3 };
        self.add(value, created)
    }

    fn add(&mut self, value: Value, created: Time) -> Number {
        assert!(usize::from(self.len) < MOST, "the model's secrets have {MOST} versions at most");
        self.exists = true;
        self.versions[usize::from(self.len)] = Version { value, state: State::Enabled, created };
        self.len += 1;
        self.len
    }
}

/// What a restart of ours notes on the template, and so on its pods.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Note {
    pub version: Number,
    pub back_compat: Number,
    /// Which write of the Kubernetes Secret was compared; 0 where none was.
    pub compared: Time,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pod {
    /// What it started with.
    pub holds: Pair,
    pub created: Time,
    pub note: Note,
}

/// What the Lease has on record.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Record {
    /// The last change of the value that came to its end.
    pub last: (Number, Number),
    pub begun: Number,
    pub back: bool,
    pub announced: Number,
    pub called_off: bool,
    pub finalizing: Number,
}

/// One of our runs at work.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Run {
    pub program: u16,
    /// Its next request.
    pub at: u8,
    /// What it takes for the two newest values.
    pub known: Pair,
    pub known_primary: Number,
    pub known_back_compat: Number,
    /// Which write of the Kubernetes Secret it compared last.
    pub compared: Time,
    pub proven: bool,
    /// The value that it made.
    pub made: Value,
    /// Whether it has written anything.
    pub changed: bool,
    /// Whether hands have acted since it began.
    pub disturbed: bool,
}

/// Everything.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct World {
    pub primary: Secret,
    pub back_compat: Secret,
    /// What the Kubernetes Secret holds, and when it was last written.
    pub held: Pair,
    pub written: Time,
    /// The version of the primary that the ExternalSecret names; 0 for the newest.
    pub pinned: Number,
    /// Whether its last sync failed.
    pub failing: bool,
    pub pods: [Pod; 2],
    pub template: Note,
    pub record: Record,
    /// The values under which something is encrypted, a bit for each.
    pub data: u16,
    /// The value that most of it is encrypted under.
    pub bulk: Value,
    pub run: Option<Run>,
    /// How many acts and how many runs there may still be.
    pub hands: u8,
    pub runs: u8,
}

impl World {
    pub fn secret(&self, source: Source) -> &Secret {
        match source {
            Source::Primary => &self.primary,
            Source::BackCompat => &self.back_compat,
        }
    }

    pub fn secret_mut(&mut self, source: Source) -> &mut Secret {
        match source {
            Source::Primary => &mut self.primary,
            Source::BackCompat => &mut self.back_compat,
        }
    }

    pub fn newest(&self) -> Pair {
        Pair { primary: self.primary.value(), back_compat: self.back_compat.value() }
    }

    /// The values under which something is encrypted.
    pub fn needed(&self) -> impl Iterator<Item = Value> + use<> {
        let data = self.data;
        (1..16).filter(move |value| data & 1 << value != 0)
    }

    /// Whether some pod can read it.
    pub fn is_read(&self, value: Value) -> bool {
        self.pods.iter().any(|pod| pod.holds.reads(value))
    }

    /// Whether an enabled version has it.
    pub fn is_enabled(&self, value: Value) -> bool {
        self.primary.holds(value) || self.back_compat.holds(value)
    }

    /// Whether an enabled version, the Kubernetes Secret or a pod has it.
    pub fn is_held(&self, value: Value) -> bool {
        self.is_enabled(value) || self.held.reads(value) || self.is_read(value)
    }

    /// A value that nothing has had yet.
    pub fn unused(&self) -> Value {
        let both = self.primary.all().chain(self.back_compat.all()).map(|(_, version)| version.value);
        let places = self.pods.iter().map(|pod| pod.holds).chain([self.held]);
        let places = places.flat_map(|pair| [pair.primary, pair.back_compat]);
        let made = self.run.map(|run| run.made);
        let used: u16 =
            both.chain(places).chain(made).map(|value| 1 << value).fold(self.data | 1, |all, bit| all | bit);
        (1..16).find(|value| used & 1 << value == 0).expect("the model has fifteen values")
    }

    fn times(&mut self, each: &mut impl FnMut(&mut Time)) {
        for secret in [&mut self.primary, &mut self.back_compat] {
            let len = usize::from(secret.len);
            secret.versions[..len].iter_mut().for_each(|version| each(&mut version.created));
        }
        each(&mut self.written);
        each(&mut self.template.compared);
        for pod in &mut self.pods {
            each(&mut pod.created);
            each(&mut pod.note.compared);
        }
        if let Some(run) = &mut self.run {
            each(&mut run.compared);
        }
    }

    /// The next moment.
    pub fn tick(&self) -> Time {
        let (mut world, mut last) = (*self, HANDS_CAME - 1);
        world.times(&mut |time| last = last.max(*time));
        last + 1
    }

    /// One of the worlds that differ in names alone: moments count by their order, pods have no names.
    pub fn canonical(mut self) -> World {
        let mut there = [false; 64];
        self.times(&mut |time| there[usize::from(*time)] = true);
        let mut ranks = [0; 64];
        let mut next = HANDS_CAME;
        for (time, rank) in ranks.iter_mut().enumerate() {
            *rank = if time < usize::from(HANDS_CAME) { time as Time } else { next };
            next += Time::from(time >= usize::from(HANDS_CAME) && there[time]);
        }
        self.times(&mut |time| *time = ranks[usize::from(*time)]);
        self.pods.sort_unstable();
        self
    }

    /// What a look depends on, and nothing else.
    pub fn view(&self) -> World {
        let mut view = World { data: 0, bulk: 0, run: None, hands: 0, runs: 0, ..*self };
        view.pods.iter_mut().for_each(|pod| pod.holds = Pair::default());
        view.canonical()
    }

    pub fn add(&mut self, source: Source, value: Value) -> Number {
        let now = self.tick();
        self.secret_mut(source).add(value, now)
    }

    /// What a sync would bring.
    pub fn next(&self) -> Pair {
        let primary = if self.pinned == 0 { self.primary.value() } else { self.primary.enabled(self.pinned) };
        Pair { primary, back_compat: self.back_compat.value() }
    }

    /// External Secrets copies; whether it could. A sync that was asked for writes unchanged data again.
    pub fn sync(&mut self, by_pattern: bool) -> bool {
        let Pair { primary, back_compat } = self.next();
        // By name, nothing is copied without it; by a pattern, one without versions is not found.
        let missing = self.back_compat.len() == 0 && by_pattern;
        self.failing = primary == 0 || (back_compat == 0 && !missing);
        if self.failing {
            return false;
        }
        self.written = self.tick();
        self.held = Pair { primary, back_compat };
        true
    }

    /// The pods are replaced: all of them, or one.
    pub fn restart(&mut self, pods: usize) {
        let (created, holds, note) = (self.tick(), self.held, self.template);
        self.pods.iter_mut().take(pods).for_each(|pod| *pod = Pod { holds, created, note });
        self.data |= 1 << holds.primary;
    }

    /// The application saves all that it can read again; whether all of it is under the value in use then.
    pub fn save_again(&mut self) -> bool {
        let [one, other] = self.pods.map(|pod| pod.holds);
        if one.primary == other.primary {
            let left = self.needed().filter(|value| !one.reads(*value) && !other.reads(*value));
            self.data = left.fold(1 << one.primary, |all, value| all | 1 << value);
            if one.reads(self.bulk) || other.reads(self.bulk) {
                self.bulk = one.primary;
            }
        }
        self.data == 1 << self.primary.value()
    }

    /// In one line.
    pub fn told(&self) -> String {
        let versions = |secret: &Secret| {
            let word = |version: Version| match version.state {
                State::Enabled => format!("E{}@{}", version.value, version.created),
                State::Disabled => format!("D{}@{}", version.value, version.created),
                State::Destroyed => "X".to_owned(),
            };
            let all = secret.all().map(|(_, version)| word(version)).collect::<Vec<_>>().join(" ");
            if secret.exists { format!("[{all}]") } else { "none".to_owned() }
        };
        let note = |note: Note| match note.version {
            0 => String::new(),
            version => format!(" v{version}/{}~{}", note.back_compat, note.compared),
        };
        let pair = |pair: Pair, at: Time| format!("{{{},{}}}@{at}", pair.primary, pair.back_compat);
        let [one, other] = self.pods.map(|pod| format!("{}{}", pair(pod.holds, pod.created), note(pod.note)));
        let Record { last, begun, back, announced, called_off, finalizing } = self.record;
        let set = |set: bool, word: &str| if set { format!(" {word}") } else { String::new() };
        format!(
            "primary {} back-compat {} Secret {}{}{} pods {one}{} data {:?}{} record v{}->v{}{}{}{}{}{}{}",
            versions(&self.primary),
            versions(&self.back_compat),
            pair(self.held, self.written),
            set(self.pinned != 0, &format!("pinned to v{}", self.pinned)),
            set(self.failing, "failing"),
            if one == other { " twice".to_owned() } else { format!(", {other}") },
            self.needed().collect::<Vec<_>>(),
            set(true, &format!("bulk {}", self.bulk)),
            last.0,
            last.1,
            set(begun != 0, &format!("begun v{begun}")),
            set(back, "back"),
            set(announced != 0, &format!("announced v{announced}")),
            set(called_off, "called off"),
            set(finalizing != 0, &format!("finalizing v{finalizing}")),
            self.run
                .map(|run| format!(" RUN knows {},{}", run.known.primary, run.known.back_compat))
                .unwrap_or_default(),
        )
    }
}
