//! Does the steps of a plan, one after the other: still ours? do it, look that it is so, tell it.
//!
//! Chooses nothing and looks nothing up that the plan has not decided. Every step is safe to repeat.

pub mod arrive;
mod left;
mod narrow;
pub mod reencrypt;
pub mod restart;
mod store;
mod together;
mod verify;

use std::collections::BTreeMap;

use self::arrive::Manner;
use crate::clients::secret_manager::Which;
use crate::lock::Lock;
use crate::observe::Seen;
use crate::run::Run;
use deepdesk_protocol::event::StepState;
use deepdesk_protocol::facts::names::{ObjectName, SecretId, VersionId, listed};
use deepdesk_protocol::facts::observation::{ValueTag, Version, VersionState};
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::record::Aim;
use deepdesk_protocol::state::State;
use deepdesk_protocol::step::{Origin, Plan, Planned, Step, Way};

/// What a run of the plan knows, beside what was observed.
pub struct Progress {
    /// What was seen, kept up to date with what was done.
    pub seen: Seen,
    /// The new value, until it is added.
    pub new_value: Option<Payload>,
    /// The `resourceVersion` that each Kubernetes Secret had when its bytes were last compared and found right.
    pub proven: BTreeMap<ObjectName, String>,
    /// How long pods on the old and on the new value served side by side.
    pub interruption: Option<std::time::Duration>,
    /// Whether the pods that a restart replaces have the value of those that it makes: then nothing is interrupted.
    pub one_value: bool,
    /// Whether anything was written, in this run or in the one that it goes on from.
    pub changed: bool,
    /// What became of the additions.
    pub sent: Sent,
}

/// What became of additions whose answers say too little.
#[derive(Debug, Default)]
pub struct Sent {
    /// The value that was last sent, or may have been, and to which secret: it may arrive after the last look for it.
    last: Option<(SecretId, ValueTag)>,
    /// Whether the newest version of the primary was added by somebody else meanwhile.
    pub overtaken: bool,
}

impl Progress {
    /// Notes that a value was sent, or may have been.
    fn note_sent(&mut self, sent: bool, secret: &SecretId, value: ValueTag) {
        if sent {
            self.changed = true;
            self.sent.last = Some((secret.clone(), value));
        }
    }
}

/// How long to wait at two points of the protocol, as asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pauses {
    /// Between the proof that the Secrets arrived and the restart.
    pub settle: std::time::Duration,
    /// Between the verification and the disabling of the previous version.
    pub soak: std::time::Duration,
}

/// Does what the plan says, once the lock's record says what it sets out for. Where that fails, looks at what is there.
pub async fn execute(
    run: &Run<'_>,
    lock: &Lock,
    plan: &Plan,
    aim: Aim,
    pauses: Pauses,
    progress: &mut Progress,
) -> Result<(), Problem> {
    match steps(run, lock, plan, aim, pauses, progress).await {
        Ok(()) => Ok(()),
        Err(problem) => Err(left::explained(run, plan, progress, problem).await),
    }
}

async fn steps(
    run: &Run<'_>,
    lock: &Lock,
    plan: &Plan,
    aim: Aim,
    pauses: Pauses,
    progress: &mut Progress,
) -> Result<(), Problem> {
    progress.changed |= matches!(plan.state, State::Rotating { .. });
    lock.set_out(aim).await?;
    let narrow = plan.narrow();
    let mut narrowed = None;
    for (at, planned) in plan.steps.iter().enumerate() {
        let step = match planned {
            Planned::Do(step) => step,
            Planned::Skip(name, reason) => {
                run.teller.tell(*name, StepState::Skipped, reason);
                continue;
            }
        };
        run.interrupt.check()?;
        lock.still_ours().await?;
        run.teller.tell(step.name(), StepState::Started, announce(step));
        if narrowed.is_none() && narrow.as_ref().is_some_and(|narrow| narrow.contains(&at)) {
            let opened = match narrow.as_ref().map(|narrow| &plan.steps[narrow.start]) {
                Some(Planned::Skip(..)) => Some(opened(run, plan, progress).await),
                Some(Planned::Do(_)) | None => None,
            };
            narrowed = Some(narrow::Narrow::begin(run, progress, opened).await);
        }
        if narrow.as_ref().is_some_and(|narrow| at == narrow.end)
            && let Some(narrowed) = narrowed.take()
        {
            let other = if plan.way == Way::Back { plan.from } else { plan.to };
            if let Some(started) = narrowed.told(run, other).await {
                run.teller.tell(step.name(), StepState::Warning, started);
            }
        }
        let performed = perform(run, lock, step, pauses, progress);
        let performed = match &mut narrowed {
            None => performed.await,
            Some(narrowed) => tokio::select! {
                performed = performed => performed,
                never = narrowed.watch(run) => match never {},
            },
        };
        match performed {
            Ok(outcome) => run.teller.tell(step.name(), StepState::Done, outcome),
            Err(problem) => {
                run.teller.tell(step.name(), StepState::Failed, &problem.message);
                return Err(problem);
            }
        }
    }
    Ok(())
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Does one step and looks that it is so; returns what is there now, in words.
async fn perform(
    run: &Run<'_>,
    lock: &Lock,
    step: &Step,
    pauses: Pauses,
    progress: &mut Progress,
) -> Result<String, Problem> {
    match step {
        Step::DisableOlder { secret, versions } => {
            for version in versions {
                store::disable(run, lock, progress, secret, *version).await?;
            }
            Ok(format!("{} older versions are disabled", versions.len()))
        }
        Step::Enable { secret, version } => store::enable(run, lock, progress, secret, *version).await,
        Step::CreateBackCompat { secret, like } => store::create_like(run, lock, progress, secret, like).await,
        Step::StoreBackCompat { secret, value_of } => store::preserve(run, lock, progress, secret, value_of).await,
        Step::Stage { external_secrets, value_of } => {
            arrive::arrive(run, Some(lock), progress, external_secrets, Manner::until_right(step.name())).await?;
            Ok(format!("the Kubernetes Secrets hold {value_of} as back-compat"))
        }
        Step::Announce { secret, expect } => store::announce(run, lock, progress, secret, *expect).await,
        Step::Spread { external_secrets, version } => {
            arrive::arrive(run, Some(lock), progress, external_secrets, Manner::until_right(step.name())).await?;
            Ok(format!("the Kubernetes Secrets hold {version} of the back-compat, the next value"))
        }
        Step::Prepare { workloads, version } => {
            run.interrupt.clone().sleep(pauses.settle).await?;
            // All pods write under the same value before it and after it.
            let one_value = std::mem::replace(&mut progress.one_value, true);
            let done = restart::restart(run, Some(lock), progress, workloads, *version, step.name()).await;
            progress.one_value = one_value;
            done
        }
        Step::AddVersion { secret, value_of, expect } => {
            store::introduce(run, lock, progress, secret, value_of.as_ref(), *expect).await
        }
        Step::Sync { external_secrets, version } => {
            arrive::arrive(run, Some(lock), progress, external_secrets, Manner::until_right(step.name())).await?;
            Ok(format!("the Kubernetes Secrets hold {version}, compared byte by byte"))
        }
        Step::Restart { workloads, version } => {
            run.interrupt.clone().sleep(pauses.settle).await?;
            restart::restart(run, Some(lock), progress, workloads, *version, step.name()).await
        }
        Step::Verify { version } => {
            verify::verify(run, lock, progress, *version).await?;
            if !pauses.soak.is_zero() {
                run.interrupt.clone().sleep(pauses.soak).await?;
                // Whatever happened meanwhile: the commit is of what is there now.
                verify::verify(run, lock, progress, *version).await?;
            }
            Ok(format!("every Kubernetes Secret and every pod is on {version}, and no old pod is left"))
        }
        Step::RetireOlder { secret, versions } => {
            store::retire(run, lock, progress, secret, versions).await?;
            Ok(format!("{} of {secret} disabled: {}", counted(versions.len(), "version"), listed(versions)))
        }
        Step::Destroy { secret, versions } => {
            let scheduled = store::destroy(run, lock, progress, secret, versions).await?;
            let done =
                if scheduled { "disabled, and destroyed after the secret's delay" } else { "destroyed for good" };
            Ok(format!("{} of {secret} {done}: {}", counted(versions.len(), "version"), listed(versions)))
        }
        Step::DisablePrevious { secret, version } => {
            store::commit(run, lock, progress, secret, *version).await?;
            Ok(format!("{version} is disabled"))
        }
    }
}

/// When the interval began in which both slots may hold the older value, where another run began it: when the version was
/// created with which it did. Where that cannot be told, before everything: a pod that is named for nothing does no harm.
async fn opened(run: &Run<'_>, plan: &Plan, progress: &Progress) -> jiff::Timestamp {
    let now = &progress.seen.now;
    let view = if plan.announces.is_some() { &now.back_compat } else { &now.primary };
    let Some(newest) = view.newest() else { return jiff::Timestamp::MIN };
    if let Some(created) = newest.created {
        return created;
    }
    let asked = run.secret_manager.version(&now.home, &view.secret, Which::Number(newest.id)).await;
    asked.ok().flatten().map_or(jiff::Timestamp::MIN, |version| version.created)
}

fn announce(step: &Step) -> String {
    match step {
        Step::DisableOlder { versions, .. } => format!("disabling {}", listed(versions)),
        Step::RetireOlder { secret, versions } => format!("disabling {} of {secret}", listed(versions)),
        Step::Destroy { secret, versions } => format!("destroying {} of {secret}", listed(versions)),
        Step::Enable { secret, version } => format!("enabling {version} of {secret}, to read its value"),
        Step::CreateBackCompat { secret, .. } => format!("creating {secret}"),
        Step::StoreBackCompat { secret, value_of } => format!("storing {value_of} in {secret}"),
        Step::Stage { .. } => "having the back-compat copied into the cluster".to_owned(),
        Step::Announce { secret, expect } => format!("adding the next value to {secret}, as {expect}"),
        Step::Spread { .. } => "having the next value copied into the cluster, for every pod to read".to_owned(),
        Step::Prepare { workloads, .. } => {
            format!("restarting {}, to read the next value and write the present one", listed(workloads))
        }
        Step::AddVersion { secret, expect, .. } => format!("adding {expect} to {secret}"),
        Step::Sync { version, .. } => format!("having {version} copied into the cluster"),
        Step::Restart { workloads, .. } => format!("restarting {}", listed(workloads)),
        Step::Verify { .. } => "looking at every Kubernetes Secret and every pod".to_owned(),
        Step::DisablePrevious { version, .. } => format!("disabling {version}"),
    }
}

fn value_of(
    now: &deepdesk_protocol::facts::observation::Observation,
    id: VersionId,
) -> Option<deepdesk_protocol::facts::observation::ValueTag> {
    now.primary.version(id).and_then(|version| version.value)
}

/// The value that an origin names.
fn origin_value(
    now: &deepdesk_protocol::facts::observation::Observation,
    origin: &Origin,
) -> Option<deepdesk_protocol::facts::observation::ValueTag> {
    match origin {
        Origin::Primary(version) => value_of(now, *version),
        Origin::BackCompat(version) => now.back_compat.version(*version).and_then(|version| version.value),
        Origin::Copy { value, .. } => Some(*value),
    }
}

/// Notes in the observation that a version was added.
fn note_added(
    view: &mut deepdesk_protocol::facts::observation::SecretView,
    id: VersionId,
    value: deepdesk_protocol::facts::observation::ValueTag,
) {
    view.exists = true;
    view.versions.insert(0, Version { id, state: VersionState::Enabled, value: Some(value), created: None });
}
