//! What `src/observe` would see of this world: the same facts, by the same rules.

use deepdesk_protocol::facts::names::{ObjectName, SecretHome, VersionId};
use deepdesk_protocol::facts::observation::{
    Announcement, Begun, Consumer, ExternalSecretView, LastRotation, Observation, PodView, Rollout, SecretView, Source,
    ValueTag, Version, VersionState,
};
use deepdesk_protocol::in_use;
use deepdesk_protocol::state::{self, Blocked, Standing};
use jiff::Timestamp;

use super::world::{HANDS_CAME, Note, Number, Secret, State, Time, Value, World};

/// How a look is made.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Look {
    /// With metadata: lists, and the dates of the primary's versions.
    Whole,
    /// The same with the whole history of the back-compat: for a finalization.
    History,
    /// By access alone, as `status` looks at hundreds of accounts (`src/observe/survey.rs`).
    Glance,
}

/// Before the hands an hour is one step, after that ten seconds are.
fn moment(time: Time) -> Option<Timestamp> {
    let (hours, steps) = if time < HANDS_CAME { (time, 0) } else { (48, time - HANDS_CAME) };
    Timestamp::from_second(i64::from(hours) * 3600 + i64::from(steps) * 10).ok()
}

pub fn id(number: Number) -> Option<VersionId> {
    VersionId::new(number.into())
}

pub fn name() -> ObjectName {
    "backend-secrets".parse().expect("a fit name")
}

/// The observation.
pub fn observe(world: &World, by_pattern: bool, look: Look) -> Observation {
    if look != Look::Glance {
        return whole(world, by_pattern, look);
    }
    let mut now = glance(world, by_pattern);
    let undated = now.primary.newest().is_some_and(|newest| newest.state == VersionState::Enabled);
    let unproven = now.pods().any(|(consumer, pod)| state::standing(&now, consumer, pod) != Standing::OnNewest);
    if undated && unproven {
        dated(&mut now.primary, &world.primary);
    }
    if in_use::is_unread(&now) { whole(world, by_pattern, Look::Whole) } else { now }
}

fn whole(world: &World, by_pattern: bool, look: Look) -> Observation {
    let of = |id: &str, secret: &Secret| view(id, secret, |_| true);
    let mut now = secrets(of(PRIMARY, &world.primary), of(BACK_COMPAT, &world.back_compat));
    let exchanged = state::is_exchanged(&now);
    dated(&mut now.primary, &world.primary);
    match (look, exchanged) {
        (Look::History, _) => dated(&mut now.back_compat, &world.back_compat),
        (_, true) => {
            let mut newest = now.back_compat.clone();
            dated(&mut newest, &world.back_compat);
            let date = newest.newest().and_then(|newest| newest.created);
            now.back_compat.versions.iter_mut().take(1).for_each(|newest| newest.created = date);
        }
        _ => {}
    }
    in_cluster(world, by_pattern, &mut now);
    now
}

/// Accesses to the newest version, the one before it, and a third where those two do not say what is going on; all of them
/// where the Kubernetes Secret holds what none of these has.
fn glance(world: &World, by_pattern: bool) -> Observation {
    let newest = world.primary.len();
    let of = |primary: Number| {
        let near = |number: Number| number + primary > newest;
        secrets(view(PRIMARY, &world.primary, near), view(BACK_COMPAT, &world.back_compat, |_| true))
    };
    let mut now = of(2);
    if matches!(
        state::secrets_state(&now),
        state::State::Rotating { .. } | state::State::Blocked(Blocked::UnexplainedPredecessor(_))
    ) {
        now = of(3);
    }
    let known = |value: Value| value == 0 || now.enabled_with(ValueTag(value.into())).is_some();
    if !known(world.held.primary) || !known(world.held.back_compat) {
        now = of(Number::MAX - newest);
    }
    in_cluster(world, by_pattern, &mut now);
    now
}

const PRIMARY: &str = "acme_account_secret";
const BACK_COMPAT: &str = "acme_account_secret_back_compat";

fn secrets(primary: SecretView, back_compat: SecretView) -> Observation {
    let home = SecretHome { project: "p".parse().expect("a fit id"), location: None };
    Observation::of_secrets("acme".parse().expect("a fit name"), home, primary, back_compat)
}

fn view(secret: &str, of: &Secret, seen: impl Fn(Number) -> bool) -> SecretView {
    let versions = of.all().rev().filter(|(number, _)| seen(*number)).map(|(number, version)| Version {
        id: id(number).expect("numbers begin at one"),
        state: match version.state {
            State::Enabled => VersionState::Enabled,
            State::Disabled => VersionState::Disabled,
            State::Destroyed => VersionState::Destroyed,
        },
        value: (version.state == State::Enabled).then_some(ValueTag(version.value.into())),
        created: None,
    });
    SecretView {
        secret: secret.parse().expect("a fit id"),
        versions: versions.collect(),
        exists: of.exists,
        labels: Vec::new(),
        conditions: Default::default(),
    }
}

/// A list adds the dates, and the states of versions that were not read.
fn dated(view: &mut SecretView, of: &Secret) {
    for (number, version) in of.all() {
        let id = id(number).expect("numbers begin at one");
        match view.versions.iter_mut().find(|known| known.id == id) {
            Some(known) => known.created = moment(version.created),
            None => view.versions.push(Version {
                id,
                state: match version.state {
                    State::Enabled => VersionState::Enabled,
                    State::Disabled => VersionState::Disabled,
                    State::Destroyed => VersionState::Destroyed,
                },
                value: None,
                created: moment(version.created),
            }),
        }
    }
    view.versions.sort_by_key(|version| std::cmp::Reverse(version.id));
}

fn in_cluster(world: &World, by_pattern: bool, now: &mut Observation) {
    let record = world.record;
    now.older.is_recorded = record != Default::default();
    now.begun = id(record.begun).map(|to| Begun { to, back: record.back, compromised: false });
    now.finalizing = id(record.finalizing);
    let called_off = record.called_off;
    now.announced = id(record.announced).map(|version| Announcement { version, called_off });
    now.last_rotation = id(record.last.0).zip(id(record.last.1)).map(|(from, to)| LastRotation {
        by: "alice".to_owned(),
        at: "2026-11-30T02:00:00Z".to_owned(),
        from: from.to_string(),
        to: to.to_string(),
    });
    now.external_secrets = vec![external_secret(world, by_pattern)];
    now.consumers = vec![consumer(world)];
}

fn external_secret(world: &World, by_pattern: bool) -> ExternalSecretView {
    let cause = match (world.back_compat.len(), world.newest().back_compat) {
        (0, _) => format!("could not get secret: {BACK_COMPAT} not found"),
        (_, 0) => format!("could not access {BACK_COMPAT}: failed precondition"),
        _ => "could not get secret data from provider".to_owned(),
    };
    let mut seen = crate::observe::external_secret(world.held, world.failing.then_some(cause), by_pattern);
    for key in seen.keys.iter_mut().filter(|key| key.source == Source::Primary) {
        key.pinned = (world.pinned != 0).then(|| world.pinned.to_string());
    }
    ExternalSecretView {
        written: moment(world.written),
        resource_version: Some(world.written.to_string()),
        // Long before everything else.
        target_created: Timestamp::from_second(-3600).ok(),
        ..seen
    }
}

fn consumer(world: &World) -> Consumer {
    let compared = |note: Note| match note.compared {
        0 => Default::default(),
        compared => [(name(), compared.to_string())].into(),
    };
    let pods = world.pods.iter().enumerate().map(|(at, pod)| PodView {
        name: format!("backend-{at}"),
        version: id(pod.note.version),
        back_compat: id(pod.note.back_compat),
        restart: (pod.note.version != 0).then(|| "a restart".to_owned()),
        compared: compared(pod.note),
        created: moment(pod.created),
        started: moment(pod.created),
        ready: true,
        trouble: None,
        terminating: false,
        place: Default::default(),
    });
    Consumer {
        workload: "deployment/backend".parse().expect("a fit name"),
        reasons: Vec::new(),
        secrets: vec![name()],
        reads_back_compat: true,
        desired: 2,
        paused: false,
        holds_back: None,
        rollout: Rollout::Complete,
        version: id(world.template.version),
        restart: Some("a restart".to_owned()),
        pods: pods.collect(),
        reloader: None,
        gitops: None,
        moving: Default::default(),
    }
}
