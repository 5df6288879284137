//! A plan as the requests that `src/execute` sends for it, each of which may be the last one.

use std::ops::Range;

use deepdesk_protocol::facts::names::{SecretId, VersionId};
use deepdesk_protocol::facts::observation::{Observation, Source};
use deepdesk_protocol::step::{Origin, Plan, Planned, Step, Way};

use super::rules::{LockAsked, Rules};
use super::world::{Number, Pair, Value};

/// One request, or a wait that ends with an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request {
    /// Is the lock still ours?
    StillOurs,
    /// Add a version; right before it, and in the same moment for all that others can do, the lock is asked where it must be.
    Add { secret: Source, value: Value, expect: Number, asked: bool },
    /// See that this version of the primary does not exist.
    Absent { version: Number },
    /// Push until the Kubernetes Secret holds the pair; then go on at `next`.
    Arrive { want: Pair, next: u8 },
    /// Write the restart on the pod template.
    Patch { version: Number, asked: bool },
    /// Wait until all pods are of that restart; then go on at `next`, or at the next request when the Secret was written
    /// meanwhile.
    Replaced { version: Number, next: u8 },
    /// Look at everything; the request after it syncs and the one after that restarts, where something is not so.
    Verify { version: Number },
    /// See, by number, that the back-compat's newest version holds this value.
    Held { value: Value },
    /// Disable a version.
    Disable { secret: Source, version: Number, asked: bool },
    /// Give the lock back, with the record.
    Release,
}

/// What a run will do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Program {
    pub from: Number,
    pub to: Number,
    /// The version of the back-compat that is announced, and whether to give it up.
    pub announces: Option<(Number, bool)>,
    /// Whether it brings the back-compat's value to the primary first.
    pub back: bool,
    /// The version of the back-compat that it retires.
    pub retires: Number,
    /// The value that it makes; none where it makes none.
    pub makes: Value,
    /// The first request of the narrow interval, and the patch that ends it.
    pub narrow: Range<u8>,
    /// Whether it changes the value in use, or retires the older one: its end says that every pod is new.
    pub changes: bool,
    pub requests: Vec<Request>,
}

/// Numbers of the model are those of the program.
pub fn number(id: VersionId) -> Number {
    Number::try_from(id.get()).expect("a small number")
}

/// What a plan announces, in the model's numbers.
pub fn announced(plan: &Plan) -> Option<(Number, bool)> {
    plan.announces.map(|announced| (number(announced.version), announced.called_off))
}

struct Compiler<'a> {
    now: &'a Observation,
    rules: &'a Rules,
    fresh_value: Value,
    makes: Value,
    newest: Pair,
    /// How many versions the back-compat has.
    kept: Number,
    requests: Vec<Request>,
}

/// Compiles a plan made for an observation. `fresh_value` is what a new value will be.
pub fn compile(plan: &Plan, now: &Observation, rules: &Rules, fresh_value: Value) -> Program {
    let value = |value: Option<deepdesk_protocol::facts::observation::ValueTag>| value.map_or(0, |tag| tag.0 as Value);
    let mut compiler = Compiler {
        now,
        rules,
        fresh_value,
        makes: 0,
        newest: Pair { primary: value(now.primary.value()), back_compat: value(now.back_compat.value()) },
        kept: now.back_compat.newest().map_or(0, |newest| number(newest.id)),
        requests: Vec::new(),
    };
    let narrow_steps = plan.narrow();
    let (mut enters, mut leaves) = (None, 0);
    for (at, planned) in plan.steps.iter().enumerate() {
        let begins = compiler.at();
        if narrow_steps.as_ref().is_some_and(|steps| steps.end == at) {
            leaves = begins;
        }
        let Planned::Do(step) = planned else { continue };
        if narrow_steps.as_ref().is_some_and(|steps| steps.contains(&at)) {
            enters.get_or_insert(begins);
        }
        compiler.step(step);
    }
    compiler.requests.push(Request::Release);
    Program {
        from: number(plan.from),
        to: number(plan.to),
        announces: announced(plan),
        back: plan.exchanges(),
        retires: plan.retires.map_or(0, number),
        makes: compiler.makes,
        narrow: enters.map_or(0..0, |enters| enters..leaves),
        changes: plan.from != plan.to || plan.way == Way::Retire,
        requests: compiler.requests,
    }
}

impl Compiler<'_> {
    fn at(&self) -> u8 {
        u8::try_from(self.requests.len()).expect("a short plan")
    }

    fn value_of(&self, id: VersionId) -> Value {
        let value = self.now.primary.version(id).and_then(|version| version.value);
        value.map_or(0, |tag| tag.0 as Value)
    }

    fn origin_value(&self, origin: &Origin) -> Value {
        match origin {
            Origin::Primary(version) => self.value_of(*version),
            // Of a version added by this very plan: the announced value.
            Origin::BackCompat(version) => match self.now.back_compat.version(*version).and_then(|known| known.value) {
                Some(tag) => tag.0 as Value,
                None => self.makes,
            },
            Origin::Copy { value, .. } => value.0 as Value,
        }
    }

    fn step(&mut self, step: &Step) {
        if self.rules.lock == LockAsked::AtEachStep {
            self.requests.push(Request::StillOurs);
        }
        match step {
            Step::Enable { .. } => unreachable!("no run of the model asks for it"),
            // Neither the settings nor the policy of the back-compat are in the model.
            Step::CreateBackCompat { .. } => {}
            Step::StoreBackCompat { value_of, .. } => self.add_back_compat(self.origin_value(value_of)),
            Step::Announce { .. } => {
                self.makes = self.fresh_value;
                self.add_back_compat(self.fresh_value);
            }
            Step::AddVersion { value_of, expect, .. } => {
                let value = match value_of {
                    Some(origin) => self.origin_value(origin),
                    None => {
                        self.makes = self.fresh_value;
                        self.fresh_value
                    }
                };
                let expect = number(*expect);
                self.requests.push(Request::Absent { version: expect });
                let asked = self.rules.lock == LockAsked::BeforeEachWrite;
                self.requests.push(Request::Add { secret: Source::Primary, value, expect, asked });
                self.newest.primary = value;
            }
            Step::Stage { .. } | Step::Spread { .. } | Step::Sync { .. } => {
                self.requests.push(self.arrive(self.at() + 1));
            }
            Step::Prepare { version, .. } | Step::Restart { version, .. } => self.restart(number(*version), None),
            Step::Verify { version } => self.verify(number(*version)),
            Step::DisablePrevious { version, secret } => {
                let value = self.value_of(*version);
                self.requests.push(Request::Held { value });
                self.disable(secret, *version);
            }
            Step::DisableOlder { secret, versions } => {
                versions.iter().for_each(|version| self.disable(secret, *version));
            }
            Step::RetireOlder { secret, versions } => {
                self.requests.push(Request::Held { value: self.newest.primary });
                versions.iter().for_each(|version| self.disable(secret, *version));
            }
            Step::Destroy { .. } => unreachable!("no run of the model asks for it"),
        }
    }

    fn add_back_compat(&mut self, value: Value) {
        self.kept += 1;
        let asked = self.rules.lock == LockAsked::BeforeEachWrite;
        self.requests.push(Request::Add { secret: Source::BackCompat, value, expect: self.kept, asked });
        self.newest.back_compat = value;
    }

    fn disable(&mut self, secret: &SecretId, version: VersionId) {
        let secret = if *secret == self.now.primary.secret { Source::Primary } else { Source::BackCompat };
        let asked = self.rules.lock == LockAsked::BeforeEachWrite;
        self.requests.push(Request::Disable { secret, version: number(version), asked });
    }

    fn arrive(&self, next: u8) -> Request {
        Request::Arrive { want: self.newest, next }
    }

    /// Patch, wait, and where the Secret was written meanwhile compare and patch again; then on to `then`, or behind it all.
    fn restart(&mut self, version: Number, then: Option<u8>) {
        let patch = self.at();
        let asked = self.rules.lock == LockAsked::BeforeEachWrite;
        self.requests.push(Request::Patch { version, asked });
        self.requests.push(Request::Replaced { version, next: then.unwrap_or(patch + 3) });
        self.requests.push(self.arrive(patch));
    }

    fn verify(&mut self, version: Number) {
        if self.rules.lock == LockAsked::BeforeEachWrite {
            self.requests.push(Request::StillOurs);
        }
        let verify = self.at();
        self.requests.push(Request::Verify { version });
        self.requests.push(self.arrive(verify + 2));
        self.restart(version, Some(verify));
    }
}
