//! A plan's effects as the requests that `src/execute` sends. A look, and the write right after it that it is for, are one: nobody acts between.

use deepdesk_protocol::effects::{Content, Effect};
use deepdesk_protocol::facts::names::VersionId;
use deepdesk_protocol::facts::observation::{Observation, Source, ValueTag};
use deepdesk_protocol::step::{Origin, Plan, Way};

use super::world::{Number, Pair, Record, Value};

/// What a version is added with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bytes {
    /// In hand since the look.
    Known(Value),
    /// The value that this run makes.
    New,
    /// The same again, of the version that it was announced in.
    Made,
    /// Of a version that this run enabled.
    Read(Source, Number),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Write into the Lease what the run sets out for.
    SetOut,
    /// See that the back-compat holds this value where one is named, and that the version is absent; add it. The number after the
    /// newest that is known where none is named.
    Add {
        source: Source,
        bytes: Bytes,
        expect: Option<Number>,
        held: Option<Value>,
    },
    Enable {
        source: Source,
        version: Number,
    },
    /// Push until the Kubernetes Secret holds what is known, or once in any case.
    Arrive {
        always: bool,
    },
    /// Write the restart on the pod template, and wait until all pods are of it.
    Restart {
        version: Number,
    },
    /// Look at everything afresh; sync and restart what is not so.
    Verify {
        version: Number,
    },
    /// See, by number, that the back-compat holds this value where one is named, and disable a version.
    Disable {
        source: Source,
        version: Number,
        held: Option<Value>,
    },
    Destroy {
        source: Source,
        version: Number,
    },
    /// Give the lock back, with the record.
    Release,
}

/// What a run does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Program {
    pub from: Number,
    pub to: Number,
    /// What it puts on record.
    pub aim: Record,
    pub known: Pair,
    pub known_primary: Number,
    pub known_back_compat: Number,
    /// Whether a value changes, or an older one is retired: its end says that every pod is new.
    pub changes: bool,
    /// Whether it takes the lock.
    pub locks: bool,
    /// The verb that goes on with it.
    pub verb: Verb,
    pub requests: Vec<Request>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verb {
    Forward,
    Back,
    Retire,
    Rescue,
    Sync,
    Restart,
}

fn number(id: VersionId) -> Number {
    Number::try_from(id.get()).expect("a small number")
}

fn value(tag: Option<ValueTag>) -> Value {
    tag.map_or(0, |tag| tag.0 as Value)
}

/// Compiles a plan made for an observation.
pub fn compile(plan: &Plan, now: &Observation, effects: fn(&deepdesk_protocol::step::Step) -> Vec<Effect>) -> Program {
    let mut requests = vec![Request::SetOut];
    let mut held = None;
    for effect in plan.to_do().flat_map(effects) {
        let source = |secret| now.source_of(secret);
        match &effect {
            Effect::Create { .. } | Effect::Settle | Effect::Soak { .. } | Effect::Absent { .. } => {}
            Effect::Enable { secret, version } => {
                requests.push(Request::Enable { source: source(secret), version: number(*version) });
            }
            Effect::Add { secret, value, expect } => requests.push(Request::Add {
                source: source(secret),
                bytes: bytes(value, now, &requests),
                expect: expect.map(number),
                held: held.take(),
            }),
            Effect::Arrive { .. } => requests.push(Request::Arrive { always: false }),
            Effect::Restart { version, .. } => requests.push(Request::Restart { version: number(*version) }),
            Effect::Verify { version } => requests.push(Request::Verify { version: number(*version) }),
            Effect::Held { version } => {
                let of = version.or(now.primary.newest().map(|newest| newest.id));
                // What this very run opened has been stored from there: nobody knew its value when the plan was made.
                let opened = requests.iter().any(|request| match request {
                    Request::Enable { version, .. } => of.map(number) == Some(*version),
                    _ => false,
                });
                held = (!opened)
                    .then(|| value(of.and_then(|id| now.primary.version(id)).and_then(|version| version.value)));
            }
            Effect::Disable { secret, version } => {
                requests.push(Request::Disable { source: source(secret), version: number(*version), held: held.take() })
            }
            Effect::Destroy { secret, version } => {
                requests.push(Request::Destroy { source: source(secret), version: number(*version) });
            }
        }
    }
    requests.push(Request::Release);
    let nothing = requests.len() == 2 && plan.announces.is_none();
    let announced = plan.announces;
    let to = if plan.from == plan.to { 0 } else { number(plan.to) };
    Program {
        from: number(plan.from),
        to: number(plan.to),
        aim: Record {
            last: (0, 0),
            begun: to,
            back: plan.exchanges(),
            announced: announced.map_or(0, |announced| number(announced.version)),
            called_off: announced.is_some_and(|announced| announced.called_off),
            finalizing: plan.retires.map_or(0, number),
        },
        known: Pair { primary: value(now.primary.value()), back_compat: value(now.back_compat.value()) },
        known_primary: now.primary.newest().map_or(0, |newest| number(newest.id)),
        known_back_compat: now.back_compat.newest().map_or(0, |newest| number(newest.id)),
        changes: plan.from != plan.to || plan.way == Way::Retire || plan.way == Way::Rescue,
        locks: true,
        verb: match plan.way {
            Way::Forward => Verb::Forward,
            Way::Back => Verb::Back,
            Way::Retire => Verb::Retire,
            Way::Rescue => Verb::Rescue,
        },
        requests: if nothing { Vec::new() } else { requests },
    }
}

fn bytes(content: &Content, now: &Observation, before: &[Request]) -> Bytes {
    let enabled = |source, version| before.contains(&Request::Enable { source, version });
    match content {
        Content::New => Bytes::New,
        Content::Of(origin) => match (origin.value(now), origin) {
            (Some(tag), _) => Bytes::Known(value(Some(tag))),
            (None, Origin::Primary(version)) if enabled(Source::Primary, number(*version)) => {
                Bytes::Read(Source::Primary, number(*version))
            }
            (None, Origin::BackCompat(version)) if enabled(Source::BackCompat, number(*version)) => {
                Bytes::Read(Source::BackCompat, number(*version))
            }
            (None, _) => Bytes::Made,
        },
    }
}

/// `secret sync`, and `secret restart`.
pub fn synced(now: &Observation, restarts: bool) -> Program {
    let newest = now.primary.newest().map_or(0, |newest| number(newest.id));
    let requests = match restarts {
        false => vec![Request::Arrive { always: true }],
        true => vec![Request::Arrive { always: false }, Request::Restart { version: newest }],
    };
    Program {
        from: newest,
        to: newest,
        aim: Record::default(),
        known: Pair { primary: value(now.primary.value()), back_compat: value(now.back_compat.value()) },
        known_primary: now.primary.newest().map_or(0, |newest| number(newest.id)),
        known_back_compat: now.back_compat.newest().map_or(0, |newest| number(newest.id)),
        changes: false,
        locks: restarts,
        verb: if restarts { Verb::Restart } else { Verb::Sync },
        requests,
    }
}
