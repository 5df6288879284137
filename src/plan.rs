//! Decides what a rotation or a rollback still has to do, or refuses.
//!
//! Pure: no clock, network, environment or randomness. What it needs, it is given. A resumed rotation is a plain one:
//! observe, and plan what is left.

mod finalize;
mod next;
mod rollback;
mod two_phase;

pub use self::next::next;
use crate::domain::event::StepName;
use crate::domain::names::{ObjectName, VersionId, WorkloadRef};
use crate::domain::observation::{Observation, Source, Unread, ValueTag, Version, VersionState};
use crate::domain::problem::{Exit, Problem};
use crate::domain::state::{self, Blocked, State};
use crate::domain::step::{Plan, Planned, Step, Way};

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
    /// To one value alone: the older one is retired.
    Finalize {
        /// Destroy disabled versions too; none leaves them.
        destroy: Option<Destroy>,
    },
}

/// In which order values and pods change (protocol.md).
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
    /// Only those created before this moment (`--older-than`).
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
    match want.goal {
        Goal::Rotate => rotation(want, now),
        Goal::RollBack { again } => rollback::rollback(want, now, again).map(|plan| Plan { way: Way::Back, ..plan }),
        Goal::Finalize { destroy } => finalize::finalization(now, destroy),
    }
}

fn rotation(want: &Want, now: &Observation) -> Result<Plan, Problem> {
    // Whoever goes on with it need not know the strategy.
    if let Some(announced) = state::announced(now) {
        return two_phase::go_on(want, now, announced);
    }
    match state::secrets_state(now) {
        State::Rotating { from, to } => finish(want, now, from, to),
        State::Stable | State::Drifted => begin(want, now, Vec::new()),
        State::AwaitingReencryption => match unrecorded(want, now) {
            Some((from, to)) => Ok(record(now, from, to)),
            None => Err(awaiting(now)),
        },
        State::Blocked(Blocked::UnexplainedPredecessor(predecessor)) => unexplained(want, now, predecessor),
        State::Blocked(blocked) => Err(refuse_blocked(now, blocked)),
    }
}

/// A rotation from the newest version to one that does not exist yet.
fn begin(want: &Want, now: &Observation, first: Vec<Planned>) -> Result<Plan, Problem> {
    let Some((current, value)) = enabled_newest(now) else { return Err(refuse_blocked(now, Blocked::NoPrimary)) };
    match want.new_value {
        NewValue::Given(Some(given)) if given == value => {
            return Err(refuse_value("the new value equals the current one"));
        }
        NewValue::Given(Some(given)) if now.back_compat.value() == Some(given) => {
            return Err(refuse_value("the new value equals the back-compat one"));
        }
        NewValue::Given(_) | NewValue::Made => {}
    }
    if want.strategy == Strategy::TwoPhase {
        return Ok(two_phase::begin(now, first, current, value));
    }
    let to = current.id.next();
    let mut steps = first;
    steps.extend(preserve(now, current));
    steps.push(stage(now, current.id, value));
    steps.push(Planned::Do(Step::AddVersion {
        secret: now.primary.secret.clone(),
        from_back_compat: None,
        expect: to,
    }));
    steps.push(Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }));
    steps.push(Planned::Do(Step::Restart { workloads: workloads(now), version: to }));
    steps.extend(end(now, current.id, to, None));
    Ok(Plan { way: Way::Forward, state: state::state(now), from: current.id, to, announces: None, steps })
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
    if rollback::is_exchanging(now) {
        let introduced = Planned::Skip(StepName::Introduce, format!("{to} is already there"));
        let both_hold = now.all_hold(Source::Primary, newest) && now.all_hold(Source::BackCompat, newest);
        let sync = match both_hold {
            true => Planned::Skip(StepName::Sync, format!("every Kubernetes Secret holds {to}")),
            false => Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }),
        };
        return Ok(rollback::exchange(now, vec![introduced, sync], from, to, newest));
    }
    let mut steps = preserve(now, previous);
    let preserved = steps.iter().all(|step| matches!(step, Planned::Skip(..)));
    steps.push(Planned::Skip(StepName::Stage, "sync compares both values from here on".to_owned()));
    steps.push(Planned::Skip(StepName::Introduce, format!("{to} is already there")));
    let back_compat_there = previous.value.is_some_and(|value| now.all_hold(Source::BackCompat, value));
    let synced = preserved && back_compat_there && now.all_hold(Source::Primary, newest);
    steps.push(match synced {
        true => Planned::Skip(StepName::Sync, format!("every Kubernetes Secret holds {to}")),
        false => Planned::Do(Step::Sync { external_secrets: external_secrets(now), version: to }),
    });
    let behind = now.consumers.iter().filter(|consumer| !synced || !state::is_on_newest(now, consumer));
    let behind: Vec<WorkloadRef> = behind.map(|consumer| consumer.workload.clone()).collect();
    steps.push(match behind.is_empty() {
        true => Planned::Skip(StepName::Restart, format!("every pod is on {to}")),
        false => Planned::Do(Step::Restart { workloads: behind, version: to }),
    });
    steps.extend(end(now, from, to, Some(newest)));
    Ok(Plan { way: Way::Forward, state: state::state(now), from, to, announces: None, steps })
}

fn another_value(now: &Observation, from: VersionId, to: VersionId) -> Problem {
    let line = format!("a rotation of {} from {from} to {to} is under way with another value", now.account);
    Problem::new(Exit::Refused, "RotationUnderWay", line)
        .hint(format!("finish it first: kubectl deepdesk secret rotate {}", now.account))
}

/// The versions of a rotation that was committed, and died before it could record so.
fn unrecorded(want: &Want, now: &Observation) -> Option<(VersionId, VersionId)> {
    let newest = now.primary.newest().filter(|newest| now.begun == Some(newest.id))?;
    // Another value is another rotation.
    let same = want.new_value == NewValue::Made || want.new_value == NewValue::Given(newest.value);
    Some((newest.id.previous()?, newest.id)).filter(|_| same)
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
    Plan { way: Way::Forward, state: state::state(now), from, to, announces: None, steps }
}

/// The predecessor is enabled and nothing explains it: only the operator can say what it is.
fn unexplained(want: &Want, now: &Observation, predecessor: VersionId) -> Result<Plan, Problem> {
    if state::back_compat_is_live(now) && (want.adopt || want.abandon_older) {
        return Err(awaiting(now));
    }
    match (want.adopt, want.abandon_older) {
        (true, _) => finish(want, now, predecessor, predecessor.next()),
        (false, true) if now.unread.iter().any(|unread| matches!(unread, Unread::Versions(_))) => {
            let line = format!("which older versions of {} are enabled may not be looked at", now.primary.secret);
            Err(Problem::new(Exit::Refused, "OlderVersionsUnread", line)
                .hint("ask for secretmanager.versions.list (README, section Permissions)"))
        }
        (false, true) => {
            let older = now.primary.versions.iter().skip(1).filter(|version| version.state == VersionState::Enabled);
            let disable = Step::DisableOlder {
                secret: now.primary.secret.clone(),
                versions: older.map(|version| version.id).collect(),
            };
            begin(want, now, vec![Planned::Do(disable)])
        }
        (false, false) => Err(refuse_blocked(now, Blocked::UnexplainedPredecessor(predecessor))),
    }
}

/// Has the back-compat hold the value of `version`.
fn preserve(now: &Observation, version: &Version) -> Vec<Planned> {
    if version.value.is_some() && now.back_compat.value() == version.value {
        return vec![Planned::Skip(
            StepName::Preserve,
            format!("{} holds {} already", now.back_compat.secret, version.id),
        )];
    }
    let store = Step::StoreBackCompat { secret: now.back_compat.secret.clone(), value_of: version.id };
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
    Planned::Do(Step::Stage { external_secrets: readers, value_of: current })
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

/// The version before `from` where it is enabled and has the same value as the one after `from`: a rollback goes back to it
/// out of the middle of a rotation.
fn twin(now: &Observation, from: VersionId, value: ValueTag) -> Option<VersionId> {
    let before = from.previous().and_then(|id| now.primary.version(id));
    before.filter(|version| version.state == VersionState::Enabled && version.value == Some(value)).map(|twin| twin.id)
}

/// The proof and the commit mark. A twin of the newest version goes first, so that the commit mark stays the last.
fn end(now: &Observation, from: VersionId, to: VersionId, value: Option<ValueTag>) -> Vec<Planned> {
    let secret = || now.primary.secret.clone();
    let mut steps = vec![Planned::Do(Step::Verify { version: to })];
    if let Some(twin) = value.and_then(|value| twin(now, from, value)) {
        steps.push(Planned::Do(Step::DisableOlder { secret: secret(), versions: vec![twin] }));
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
    now.consumers.iter().map(|consumer| consumer.workload.clone()).collect()
}

fn refuse_value(line: &str) -> Problem {
    Problem::new(Exit::Refused, "UnfitValue", line).hint("give another value, or none: the program makes one")
}

/// I5: a third value would be one that no pod can read.
fn awaiting(now: &Observation) -> Problem {
    let back_compat = &now.back_compat.secret;
    let held =
        now.back_compat.value().and_then(|value| now.name_of(value)).unwrap_or_else(|| "an older value".to_owned());
    let line = format!(
        "{back_compat} still holds {held}, and data may still need it: a third key would make that data unreadable"
    );
    let refused = Problem::new(Exit::Refused, "AwaitingReencryption", line);
    // Whoever repeats a command whose end they did not see learns here that it came to its end.
    let refused = match &now.last_rotation {
        Some(last) => refused.hint(format!(
            "the last rotation is complete: from {} to {}, by {} at {}",
            last.from, last.to, last.by, last.at
        )),
        None => refused,
    };
    refused
        .hint(format!(
            "first let the application save every encrypted field of {} again, under its current key",
            now.account
        ))
        .hint(format!("then retire the old value: kubectl deepdesk secret finalize {}", now.account))
        .hint(format!("or go back to it: kubectl deepdesk secret rollback {}", now.account))
}

/// The line for each reason that only a person can resolve.
pub fn refuse_blocked(now: &Observation, blocked: Blocked) -> Problem {
    let (primary, back_compat, project) = (&now.primary.secret, &now.back_compat.secret, &now.home.project);
    let problem = |reason, line: String| Problem::new(Exit::Refused, reason, line);
    match blocked {
        Blocked::NoPrimary => problem("NoPrimary", format!("secret {primary} in project {project} has no version that could be rotated"))
            .hint(format!("look at it: gcloud secrets versions list {primary} --project={project}"))
            .hint("is this the right account, and the right project?"),
        Blocked::NewestNotEnabled(version, state) => {
            let word = state_word(state);
            problem("LatestNotEnabled", format!("the latest version of {primary}, {version}, is {word}: every sync of it fails"))
                .hint(match state {
                    VersionState::Disabled => format!("enable it: gcloud secrets versions enable {} --secret={primary} --project={project}", version.get()),
                    VersionState::Enabled | VersionState::Destroyed => {
                        format!("add the value that is in use as a new version: gcloud secrets versions add {primary} --data-file=- --project={project}")
                    }
                })
        }
        Blocked::UnexplainedPredecessor(version) => {
            let newest = version.next();
            problem("UnexplainedVersion", format!("{primary} has {version} still enabled beside {newest}, and {back_compat} explains neither"))
                .hint(format!("if {newest} is a rotation that somebody began: kubectl deepdesk secret rotate {} --adopt", now.account))
                .hint(format!("if {version} is not needed any more: kubectl deepdesk secret rotate {} --abandon-older", now.account))
        }
        Blocked::TwoUncommitted(first, second) => {
            problem("TwoUncommittedVersions", format!("{primary} has two versions, {first} and {second}, on top of the one that {back_compat} holds"))
                .hint(format!("find out which of them the pods read: kubectl deepdesk secret verify {}", now.account))
                .hint(format!("if none reads {first}: gcloud secrets versions disable {} --secret={primary} --project={project}, then rotate again", first.get()))
        }
        Blocked::BackCompatNotEnabled(version, state) => {
            problem("BackCompatNotEnabled", format!("the latest version of {back_compat}, {version}, is {}: old data may need it", state_word(state)))
                .hint(format!("enable it: gcloud secrets versions enable {} --secret={back_compat} --project={project}", version.get()))
        }
    }
}

fn state_word(state: VersionState) -> &'static str {
    match state {
        VersionState::Enabled => "enabled",
        VersionState::Disabled => "disabled",
        VersionState::Destroyed => "destroyed",
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "plan/tests/walk.rs"]
mod walk;
