//! Decides what a rotation or a rollback still has to do, or refuses.
//!
//! Pure: no clock, network, environment or randomness. What it needs, it is given. A resumed rotation is a plain one:
//! observe, and plan what is left.

mod adopt;
mod finalize;
mod guard;
mod next;
mod refuse;
mod rescue;
mod rollback;
mod two_phase;
mod unused;

pub use self::guard::{may_restart, may_sync};
pub use self::next::next;
pub use self::refuse::{refuse_blocked, refuse_displaced, stands_alone};
use crate::event::StepName;
use crate::facts::names::{ObjectName, VersionId, WorkloadRef};
use crate::facts::observation::{Observation, Source, Unread, ValueTag, Version, VersionState};
use crate::facts::older::VersionSet;
use crate::hint::{Command, Hint};
use crate::in_use::{self, Displaced, Held};
use crate::problem::{Problem, Reason};
use crate::state::{self, Blocked, State};
use crate::step::{Origin, Plan, Planned, RescueFrom, Step, Way};

/// Where the operator wants to go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Goal {
    /// To a value that is not in use yet.
    #[default]
    Rotate,
    /// To the value that the back-compat holds.
    RollBack {
        /// Exchange the two once more after a rollback that is complete (`--again`).
        again: bool,
    },
    /// Nowhere: a value that no slot keeps becomes the back-compat (`want.rescue`).
    Rescue,
    /// To one value alone: the older one is retired.
    Finalize {
        /// Destroy disabled versions too; none leaves them.
        destroy: Option<Destroy>,
    },
}

/// In which order values and pods change (docs/protocol.md).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Strategy {
    /// The new value, then a restart.
    #[default]
    Rolling,
    /// First every pod learns to read the new value, then it comes into use.
    TwoPhase,
}

/// Which disabled versions `--destroy` takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Destroy {
    /// Only those that left use before this moment (`--unused-for`).
    pub before: Option<jiff::Timestamp>,
    /// But for the newest so many (`--keep`).
    pub keep: usize,
}

/// What the operator wants.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// Where to go.
    pub goal: Goal,
    /// In which order values and pods change.
    pub strategy: Strategy,
    /// Finish an unexplained enabled predecessor as a rotation (`--adopt`).
    pub adopt: bool,
    /// Disable what is older than the newest version first (`--abandon-older`).
    pub abandon_older: bool,
    /// The value in use has leaked: whatever is done has to end with another (`--compromised`).
    pub compromised: bool,
    /// Versions whose value is given up by name (`--retired`).
    pub retired: Vec<(Source, VersionId)>,
    /// Where the value is that is to be rescued.
    pub rescue: Option<RescueFrom>,
    /// The application reads the back-compat from Secret Manager itself (`--back-compat-unmapped`).
    pub back_compat_unmapped: bool,
    /// Where the new value comes from.
    pub new_value: NewValue,
}

/// The new value, as far as planning needs it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NewValue {
    /// Made by the program.
    #[default]
    Made,
    /// Given by the operator; the tag where it equals a value already seen.
    Given(Option<ValueTag>),
}

/// Returns the plan, or why there is none. Assumes nothing of the cluster but what `now` says; whether the cluster is
/// fit for a rotation is for the checks to say.
pub fn plan(want: &Want, now: &Observation) -> Result<Plan, Problem> {
    refuse::unknown(want, now).map_or(Ok(()), Err)?;
    let plan = match want.goal {
        Goal::Rotate => rotation(want, &now.without(&want.retired)).map(|plan| give_up(plan, want, now)),
        Goal::RollBack { again } => rollback::rollback(want, now, again).map(|plan| Plan { way: Way::Back, ..plan }),
        Goal::Rescue => rescue::rescue(want, now),
        Goal::Finalize { destroy } => finalize::finalization(want, now, destroy),
    }?;
    Ok(Plan { answered: asked_about(&plan, now), ..plan })
}

/// R3: the enabled versions that are in no slot, that no place is shown to have, and that nobody was asked about yet. What a plan
/// disables is not among them, nor what has a claim to a slot: that is due afterwards.
fn asked_about(plan: &Plan, now: &Observation) -> VersionSet {
    if !matches!(plan.way, Way::Forward | Way::Retire) || plan.to_do().next().is_none() {
        return VersionSet::default();
    }
    let slots = now.slots();
    let claims = in_use::claims(now, plan.slots(now));
    let ended = |source, id| {
        plan.to_do().any(|step| match step {
            Step::DisableOlder { secret, versions } | Step::RetireOlder { secret, versions } => {
                now.source_of(secret) == source && versions.contains(&id)
            }
            Step::DisablePrevious { secret, version } => now.source_of(secret) == source && *version == id,
            _ => false,
        })
    };
    let of = |source: Source| {
        let older = now.secret(source).versions.iter().skip(1);
        older.map(move |version| (source, version))
    };
    let all = of(Source::Primary).chain(of(Source::BackCompat));
    let open = all.filter(|(_, version)| version.state == VersionState::Enabled);
    // One whose value was not read may have any.
    let lacks_slot = open.filter(|(_, version)| {
        version.value.is_none_or(|value| !slots.contains(&Some(value)) && !claims.contains(&value))
    });
    let new = lacks_slot.map(|(source, version)| (source, version.id));
    new.filter(|(source, id)| !now.older.answered.has(*source, *id) && !ended(*source, *id)).collect()
}

/// The versions that the operator gives up by name are disabled right before the commit mark.
fn give_up(mut plan: Plan, want: &Want, now: &Observation) -> Plan {
    let named = |source: Source| -> Vec<VersionId> {
        let older = now.secret(source).versions.iter().skip(1);
        let open = older.filter(|version| version.state == VersionState::Enabled);
        open.map(|version| version.id).filter(|id| want.retired.contains(&(source, *id))).collect()
    };
    let commit = |planned: &Planned| matches!(planned, Planned::Do(Step::DisablePrevious { .. }));
    let at = plan.steps.iter().rposition(commit).unwrap_or(plan.steps.len());
    let (primary, back_compat) = (named(Source::Primary), named(Source::BackCompat));
    if !back_compat.is_empty() {
        let retire = Step::RetireOlder { secret: now.back_compat.secret.clone(), versions: back_compat };
        plan.steps.insert(at, Planned::Do(retire));
    }
    if !primary.is_empty() {
        let disable = Step::DisableOlder { secret: now.primary.secret.clone(), versions: primary };
        plan.steps.insert(at, Planned::Do(disable));
    }
    plan.retired.extend(want.retired.iter().copied());
    plan
}

fn rotation(want: &Want, now: &Observation) -> Result<Plan, Problem> {
    let state = state::secrets_state(now);
    if let (State::Rotating { from, to }, true) = (state, want.compromised && !is_of_a_leak(now)) {
        return Err(refuse::leak_under_way(now, from, to));
    }
    // Whoever goes on with it need not know the strategy.
    if let (false, Some(announced)) = (matches!(state, State::Blocked(_)), state::announced(now)) {
        return two_phase::go_on(want, now, announced);
    }
    match state {
        State::Rotating { from, to } => finish(want, now, from, to),
        State::Stable | State::Drifted => begin(want, now, Vec::new()),
        State::AwaitingReencryption if half_spread(now) => half_way(want, now),
        // Its record would be lost, and with it what tells the value that it retires from one that lost its slot.
        State::AwaitingReencryption if state::is_finalizing(now) => Err(refuse::awaiting(now)),
        State::AwaitingReencryption => match unrecorded(want, now) {
            Some((from, to)) => Ok(record(now, from, to)),
            // I5: a third value would be one that no pod can read.
            None => Err(refuse::awaiting(now)),
        },
        State::Blocked(Blocked::UnexplainedPredecessor(predecessor)) if want.abandon_older => {
            abandon_older(want, now, predecessor)
        }
        State::Blocked(blocked) if want.adopt && !want.compromised => adopt::adopt(want, now, blocked),
        State::Blocked(blocked) => Err(refuse_blocked(now, blocked)),
    }
}

/// The value that pods read as back-compat, that no enabled version has, and that no slot is left for.
fn lost_copy(now: &Observation) -> Option<ValueTag> {
    match in_use::displaced(now) {
        Some(Displaced::Copy { value, .. }) => Some(value),
        Some(Displaced::Version(..)) | None => None,
    }
}

/// Whether what is under way replaces a value that leaked: then the same command goes on with it.
fn is_of_a_leak(now: &Observation) -> bool {
    let newest = now.primary.newest().map(|newest| newest.id);
    now.begun.is_some_and(|begun| begun.compromised && !begun.back && Some(begun.to) == newest)
}

/// A rotation from the newest version to one that does not exist yet.
fn begin(want: &Want, now: &Observation, first: Vec<Planned>) -> Result<Plan, Problem> {
    let Some((current, value)) = enabled_newest(now) else { return Err(refuse_blocked(now, Blocked::NoPrimary)) };
    match want.new_value {
        NewValue::Given(Some(given)) if given == value => {
            return Err(refuse_value("the new value equals the current one"));
        }
        NewValue::Given(_) | NewValue::Made => {}
    }
    if want.strategy == Strategy::TwoPhase {
        return Ok(two_phase::begin(now, first, current, value));
    }
    let to = current.id.next();
    let mut steps = first;
    steps.extend(preserve(now, current));
    // I2: before the new version exists, since any sync may copy it from then on.
    steps.push(stage(now, current.id, value));
    steps.push(Planned::Do(Step::AddVersion { secret: now.primary.secret.clone(), value_of: None, expect: to }));
    steps.push(Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }));
    steps.push(Planned::Do(Step::Restart { workloads: workloads(now), version: to }));
    steps.extend(end(now, current.id, to, None));
    Ok(Plan::new(Way::Forward, now, current.id, to, steps))
}

/// What is left of a rotation that was begun, by whomever.
fn finish(want: &Want, now: &Observation, from: VersionId, to: VersionId) -> Result<Plan, Problem> {
    let value_of = |id| now.primary.version(id).and_then(|version| version.value);
    let (Some(previous), Some(newest)) = (now.primary.version(from), value_of(to)) else {
        return Err(refuse_blocked(now, Blocked::UnexplainedPredecessor(from)));
    };
    if want.new_value != NewValue::Made && want.new_value != NewValue::Given(Some(newest)) {
        return Err(another_value(now, from, to));
    }
    // Without the record of a rollback, equal slots are a slip of hands: what was in use is stored before anything is copied (I2).
    let goes_back = now.begun.is_some_and(|begun| begun.back && begun.to == to);
    if goes_back && rollback::is_exchanging(now) {
        let introduced = Planned::Skip(StepName::Introduce, format!("{to} is already there"));
        let both_hold = now.all_hold(Source::Primary, newest) && now.all_hold(Source::BackCompat, newest);
        let sync = match both_hold {
            true => Planned::Skip(StepName::Sync, format!("every Kubernetes Secret holds {to}")),
            false => Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }),
        };
        return rollback::exchange(now, vec![introduced, sync], from, to, newest);
    }
    let mut steps = match in_use::displaced(now) {
        // What pods read as back-compat is in the cluster alone: it gets a version before a sync writes over it.
        Some(Displaced::Copy { secret, key, value }) => {
            let mut steps = store(now, Origin::Copy { secret, key, value });
            steps.extend(store(now, Origin::Primary(from)));
            steps
        }
        Some(Displaced::Version(..)) | None => preserve(now, previous),
    };
    let preserved = steps.iter().all(|step| matches!(step, Planned::Skip(..)));
    steps.push(Planned::Skip(StepName::Stage, "sync compares both values from here on".to_owned()));
    steps.push(Planned::Skip(StepName::Introduce, format!("{to} is already there")));
    let back_compat_there = previous.value.is_some_and(|value| now.all_hold(Source::BackCompat, value));
    let synced = preserved && back_compat_there && now.all_hold(Source::Primary, newest);
    steps.push(match synced {
        true => Planned::Skip(StepName::Sync, format!("every Kubernetes Secret holds {to}")),
        false => Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }),
    });
    let behind = now.moved().filter(|consumer| !synced || !state::is_on_newest(now, consumer));
    let behind: Vec<WorkloadRef> = behind.map(|consumer| consumer.workload.clone()).collect();
    steps.push(match behind.is_empty() {
        true => Planned::Skip(StepName::Restart, format!("every pod is on {to}")),
        false => Planned::Do(Step::Restart { workloads: behind, version: to }),
    });
    steps.extend(end(now, from, to, Some(newest)));
    Ok(Plan::new(Way::Forward, now, from, to, steps))
}

fn another_value(now: &Observation, from: VersionId, to: VersionId) -> Problem {
    let line = format!("a rotation of {} from {from} to {to} is under way with another value", now.account);
    Problem::new(Reason::RotationUnderWay, line)
        .hint(Hint::to("finish it first", Command::secret("rotate", &now.account)))
}

/// The versions of a rotation that was committed, and died before it could record so.
fn unrecorded(want: &Want, now: &Observation) -> Option<(VersionId, VersionId)> {
    let newest = now.primary.newest().filter(|newest| now.begun.is_some_and(|begun| begun.to == newest.id))?;
    // Another value is another rotation.
    let same = want.new_value == NewValue::Made || want.new_value == NewValue::Given(newest.value);
    Some((newest.id.previous()?, newest.id)).filter(|_| same)
}

/// Whether others began a rotation, disabled what was in use and keep it as back-compat, and the newest version has not arrived
/// everywhere: some place is shown to have what the back-compat keeps, and none has another value (R4).
pub(crate) fn half_spread(now: &Observation) -> bool {
    let kept = now.back_compat.value().map(Held::Value);
    let others = in_use::others(now);
    let keeps = !others.is_empty() && others.iter().all(|one| Some(&one.held) == kept.as_ref());
    keeps && in_use::displaced(now).is_none() && !state::is_finalizing(now)
}

/// What is left of it, whoever began it: the previous version is disabled already.
fn half_way(want: &Want, now: &Observation) -> Result<Plan, Problem> {
    let newest = now.primary.newest().ok_or_else(|| refuse_blocked(now, Blocked::NoPrimary))?;
    let from = newest.id.previous().ok_or_else(|| refuse::awaiting(now))?;
    if want.new_value != NewValue::Made && want.new_value != NewValue::Given(newest.value) {
        return Err(another_value(now, from, newest.id));
    }
    let to = newest.id;
    let mut steps = vec![
        Planned::Skip(StepName::Preserve, format!("{} holds what is in use already", now.back_compat.secret)),
        Planned::Skip(StepName::Stage, "sync compares both values from here on".to_owned()),
        Planned::Skip(StepName::Introduce, format!("{to} is already there")),
        Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }),
        Planned::Do(Step::Restart { workloads: workloads(now), version: to }),
        Planned::Do(Step::Verify { version: to }),
    ];
    steps.push(Planned::Skip(StepName::Commit, format!("{from} is disabled already")));
    Ok(Plan::new(Way::Forward, now, from, to, steps))
}

/// What is left of a committed rotation: to see once more that it is so, and the record.
fn record(now: &Observation, from: VersionId, to: VersionId) -> Plan {
    let done = [
        (StepName::Preserve, format!("{} holds {from} already", now.back_compat.secret)),
        (StepName::Stage, format!("the Kubernetes Secrets hold {from} as back-compat already")),
        (StepName::Introduce, format!("{to} is already there")),
        (StepName::Sync, format!("every Kubernetes Secret holds {to}")),
        (StepName::Restart, format!("every pod is on {to}")),
    ];
    let mut steps: Vec<Planned> = done.into_iter().map(|(step, why)| Planned::Skip(step, why)).collect();
    steps.push(Planned::Do(Step::Verify { version: to }));
    steps.push(Planned::Skip(StepName::Commit, format!("{from} is disabled already")));
    Plan::new(Way::Forward, now, from, to, steps)
}

/// Every older version that is enabled is retired by the operator's word. None of them may be in use anywhere.
fn abandon_older(want: &Want, now: &Observation, predecessor: VersionId) -> Result<Plan, Problem> {
    if state::back_compat_is_live(now) {
        return Err(refuse::awaiting(now));
    }
    if !in_use::others(now).is_empty() {
        return Err(refuse_blocked(now, Blocked::UnexplainedPredecessor(predecessor)));
    }
    if now.unread.iter().any(|unread| matches!(unread, Unread::Versions(_))) {
        let line = format!("which older versions of {} are enabled may not be looked at", now.primary.secret);
        return Err(Problem::new(Reason::OlderVersionsUnread, line)
            .hint("ask for secretmanager.versions.list (docs/permissions.md)"));
    }
    let older = now.primary.versions.iter().skip(1).filter(|version| version.state == VersionState::Enabled);
    let versions: Vec<VersionId> = older.map(|version| version.id).collect();
    let retired = versions.iter().map(|version| (Source::Primary, *version)).collect();
    let first = vec![Planned::Do(Step::DisableOlder { secret: now.primary.secret.clone(), versions })];
    Ok(Plan { retired, ..begin(want, now, first)? })
}

/// Has the back-compat hold the value of `version`.
fn preserve(now: &Observation, version: &Version) -> Vec<Planned> {
    if version.value.is_some() && now.back_compat.value() == version.value {
        return vec![Planned::Skip(
            StepName::Preserve,
            format!("{} holds {} already", now.back_compat.secret, version.id),
        )];
    }
    store(now, Origin::Primary(version.id))
}

/// Has the back-compat hold this value, and exist.
fn store(now: &Observation, value_of: Origin) -> Vec<Planned> {
    let store = Step::StoreBackCompat { secret: now.back_compat.secret.clone(), value_of };
    let create = Step::CreateBackCompat { secret: now.back_compat.secret.clone(), like: now.primary.secret.clone() };
    // One without versions may lack its access policy still: see the executor's creation.
    match now.back_compat.newest() {
        Some(_) => vec![Planned::Do(store)],
        None => vec![Planned::Do(create), Planned::Do(store)],
    }
}

fn stage(now: &Observation, current: VersionId, value: ValueTag) -> Planned {
    let readers = readers(now);
    if readers.is_empty() {
        return unmapped();
    }
    if now.back_compat.value() == Some(value) && now.all_hold(Source::BackCompat, value) {
        return Planned::Skip(StepName::Stage, format!("the Kubernetes Secrets hold {current} as back-compat already"));
    }
    Planned::Do(Step::Stage { external_secrets: readers, value_of: Origin::Primary(current) })
}

/// The ExternalSecrets that read the back-compat.
fn readers(now: &Observation) -> Vec<ObjectName> {
    let mut readers: Vec<ObjectName> =
        now.keys(Source::BackCompat).map(|(external, _)| external.name.clone()).collect();
    readers.dedup();
    readers
}

fn unmapped() -> Planned {
    Planned::Skip(StepName::Stage, "no ExternalSecret maps the back-compat".to_owned())
}

/// The older versions that are enabled and have the value of one of the two slots, but for `from`: a rollback goes back to one
/// out of the middle of a rotation, and people add a value again. Nothing needs them.
fn twins(now: &Observation, from: VersionId, slots: [Option<ValueTag>; 2]) -> Vec<VersionId> {
    let older = now.primary.versions.iter().filter(|version| version.id < from);
    let enabled = older.filter(|version| version.state == VersionState::Enabled && version.value.is_some());
    enabled.filter(|version| slots.contains(&version.value)).map(|version| version.id).collect()
}

/// The proof and the commit mark. Twins go first, so that the commit mark stays the last.
fn end(now: &Observation, from: VersionId, to: VersionId, value: Option<ValueTag>) -> Vec<Planned> {
    let secret = || now.primary.secret.clone();
    let mut steps = vec![Planned::Do(Step::Verify { version: to })];
    let kept = now.primary.version(from).and_then(|version| version.value);
    let versions = twins(now, from, [value, kept]);
    if !versions.is_empty() {
        steps.push(Planned::Do(Step::DisableOlder { secret: secret(), versions }));
    }
    steps.push(Planned::Do(Step::DisablePrevious { secret: secret(), version: from }));
    steps
}

fn enabled_newest(now: &Observation) -> Option<(&Version, ValueTag)> {
    now.primary.newest().and_then(|newest| now.primary.value().map(|value| (newest, value)))
}

fn external_secrets(now: &Observation) -> Vec<ObjectName> {
    now.external_secrets.iter().map(|external| external.name.clone()).collect()
}

fn workloads(now: &Observation) -> Vec<WorkloadRef> {
    now.moved().map(|consumer| consumer.workload.clone()).collect()
}

fn refuse_value(line: &str) -> Problem {
    Problem::new(Reason::UnfitValue, line).hint("give another value, or none: the program makes one")
}

#[cfg(test)]
#[path = "plan/tests/tables.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "plan/tests/evidence.rs"]
mod evidence;

#[cfg(test)]
#[path = "plan/tests/matrix.rs"]
mod matrix;

#[cfg(test)]
#[path = "plan/tests/stopped.rs"]
mod stopped;

#[cfg(test)]
#[path = "plan/tests/walk.rs"]
mod walk;

#[cfg(test)]
#[path = "plan/tests/uncopied.rs"]
mod uncopied;
