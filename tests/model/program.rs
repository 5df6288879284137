//! A plan's effects as the requests that `src/execute` sends for them, each of which may be the last one. Which effects a step has, and in
//! which order, is `deepdesk_protocol::effects`'s: here stands what one effect sends.

use std::ops::Range;

use deepdesk_protocol::effects::{Content, Effect};
use deepdesk_protocol::facts::names::VersionId;
use deepdesk_protocol::facts::observation::{Observation, Source, ValueTag};
use deepdesk_protocol::step::{Origin, Plan, Planned, Way};

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
    let value = |value: Option<ValueTag>| value.map_or(0, |tag| tag.0 as Value);
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
        if rules.lock == LockAsked::AtEachStep {
            compiler.requests.push(Request::StillOurs);
        }
        (rules.effects)(step).iter().for_each(|effect| compiler.effect(effect));
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

    /// The value that a version of the primary has, once what came before is done; of the newest where none is named.
    fn primary_value(&self, version: Option<VersionId>) -> Value {
        let Some(version) = version else { return self.newest.primary };
        let value = self.now.primary.version(version).and_then(|version| version.value);
        value.map_or(0, |tag| tag.0 as Value)
    }

    fn content(&mut self, content: &Content) -> Value {
        match content {
            Content::New => {
                self.makes = self.fresh_value;
                self.fresh_value
            }
            Content::Of(origin) => match (origin.value(self.now), origin) {
                (Some(tag), _) => tag.0 as Value,
                // Of a version added by this very plan: the announced value.
                (None, Origin::BackCompat(_)) => self.makes,
                (None, Origin::Primary(_) | Origin::Copy { .. }) => 0,
            },
        }
    }

    fn effect(&mut self, effect: &Effect) {
        let asked = self.rules.lock == LockAsked::BeforeEachWrite;
        match effect {
            // Neither the settings nor the policy of the back-compat are in the model, nor are pauses.
            Effect::Create { .. } | Effect::Settle | Effect::Soak { .. } => {}
            Effect::Enable { .. } | Effect::Destroy { .. } => unreachable!("no run of the model asks for it"),
            Effect::Absent { version, .. } => self.requests.push(Request::Absent { version: number(*version) }),
            Effect::Add { secret, value, expect } => {
                let (secret, value) = (self.now.source_of(secret), self.content(value));
                let newest = match secret {
                    Source::Primary => &mut self.newest.primary,
                    Source::BackCompat => &mut self.newest.back_compat,
                };
                *newest = value;
                self.kept += u8::from(secret == Source::BackCompat);
                let expect = expect.map_or(self.kept, number);
                self.requests.push(Request::Add { secret, value, expect, asked });
            }
            Effect::Arrive { .. } => self.requests.push(self.arrive(self.at() + 1)),
            Effect::Restart { version, .. } => self.restart(number(*version), None),
            Effect::Verify { version } => self.verify(number(*version)),
            Effect::Held { version } => self.requests.push(Request::Held { value: self.primary_value(*version) }),
            Effect::Disable { secret, version } => {
                let secret = self.now.source_of(secret);
                self.requests.push(Request::Disable { secret, version: number(*version), asked });
            }
        }
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
