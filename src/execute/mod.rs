//! Does the steps of a plan, one after the other: still ours? do it, look that it is so, tell it.
//!
//! Chooses nothing and looks nothing up that the plan has not decided. Every step is safe to repeat.

pub mod arrive;
mod evict;
mod last_words;
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
use deepdesk_protocol::effects::{Effect, effects};
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::{ObjectName, SecretId};
use deepdesk_protocol::facts::observation::ValueTag;
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::happening::{Happening, Outcome};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::record::Aim;
use deepdesk_protocol::state::State;
use deepdesk_protocol::step::{Plan, Planned, Step, Way};

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
    /// What only the step under way knows of what it did.
    pub outcome: Outcome,
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
    /// Before anything is done. `one_value`: see there.
    pub fn new(seen: Seen, new_value: Option<Payload>, one_value: bool) -> Progress {
        Progress {
            seen,
            new_value,
            proven: BTreeMap::new(),
            interruption: None,
            one_value,
            changed: false,
            sent: Sent::default(),
            outcome: Outcome::default(),
        }
    }

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
                run.teller.tell(*name, StepState::Skipped, &Happening::Skips { why: reason.clone() });
                continue;
            }
        };
        run.interrupt.check()?;
        lock.note_step(step.name()).await;
        lock.still_ours().await?;
        run.teller.tell(step.name(), StepState::Started, &Happening::Begins(step.clone()));
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
                run.teller.tell(step.name(), StepState::Warning, &started);
            }
        }
        let performed = Box::pin(perform(run, lock, step, pauses, progress));
        let performed = match &mut narrowed {
            None => performed.await,
            Some(narrowed) => tokio::select! {
                performed = performed => performed,
                never = narrowed.watch(run) => match never {},
            },
        };
        match performed {
            Ok(outcome) => run.teller.tell(step.name(), StepState::Done, &Happening::Did(step.clone(), outcome)),
            Err(problem) => {
                run.teller.tell(step.name(), StepState::Failed, &Happening::failed(&problem));
                return Err(problem);
            }
        }
    }
    Ok(())
}

/// Does one step, effect by effect; returns what only it knows of that.
async fn perform(
    run: &Run<'_>,
    lock: &Lock,
    step: &Step,
    pauses: Pauses,
    progress: &mut Progress,
) -> Result<Outcome, Problem> {
    for effect in effects(step) {
        bring_about(run, lock, &effect, step.name(), pauses, progress).await?;
    }
    Ok(std::mem::take(&mut progress.outcome))
}

/// Brings one effect about, and looks that it is so.
async fn bring_about(
    run: &Run<'_>,
    lock: &Lock,
    effect: &Effect,
    step: StepName,
    pauses: Pauses,
    progress: &mut Progress,
) -> Result<(), Problem> {
    match effect {
        Effect::Create { secret, like } => store::create_like(run, lock, progress, secret, like).await,
        Effect::Enable { secret, version } => store::enable(run, lock, progress, secret, *version).await,
        Effect::Absent { secret, version } => store::absent(run, progress, secret, *version).await,
        Effect::Add { secret, value, expect } => store::add_version(run, lock, progress, secret, value, *expect).await,
        Effect::Arrive { external_secrets } => {
            arrive::arrive(run, Some(lock), progress, external_secrets, Manner::until_right(step)).await
        }
        Effect::Settle => run.interrupt.clone().sleep(pauses.settle).await,
        Effect::Restart { workloads, version, one_value } => {
            let before = progress.one_value;
            progress.one_value |= one_value;
            let done = restart::restart(run, Some(lock), progress, workloads, *version, step).await;
            progress.one_value = before;
            progress.outcome.restarted = done?;
            Ok(())
        }
        Effect::Verify { version } => verify::verify(run, lock, progress, *version).await,
        Effect::Soak { .. } if pauses.soak.is_zero() => Ok(()),
        Effect::Soak { version } => {
            run.interrupt.clone().sleep(pauses.soak).await?;
            // Whatever happened meanwhile: the commit is of what is there now.
            verify::verify(run, lock, progress, *version).await
        }
        Effect::Held { version } => store::held(run, progress, *version).await,
        Effect::Disable { secret, version } => store::disable(run, lock, progress, secret, *version).await,
        Effect::Destroy { secret, version } => {
            progress.outcome.is_scheduled |= store::destroy(run, lock, progress, secret, *version).await?;
            Ok(())
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
