//! Plans as a planner with one rule less would make them, and effects as a step with one look less would have them.

use deepdesk_protocol::effects::{Effect, effects};
use deepdesk_protocol::event::StepName::{self, Commit, Introduce, Preserve, Stage};
use deepdesk_protocol::step::{Plan, Planned, Step, Way};

fn does(planned: &Planned, name: StepName) -> bool {
    matches!(planned, Planned::Do(_)) && planned.name() == name
}

/// A version is disabled without a look at whether the back-compat has its value.
pub fn blind_commit(step: &Step) -> Vec<Effect> {
    effects(step).into_iter().filter(|effect| !matches!(effect, Effect::Held { .. })).collect()
}

/// A version is added without a look at whether it is there.
pub fn blind_addition(step: &Step) -> Vec<Effect> {
    effects(step).into_iter().filter(|effect| !matches!(effect, Effect::Absent { .. })).collect()
}

/// A version is disabled before the look at whether the back-compat has its value.
pub fn late_held(step: &Step) -> Vec<Effect> {
    late(step, |effect| matches!(effect, Effect::Held { .. }))
}

/// A version is added before the look at whether it is there.
pub fn late_absent(step: &Step) -> Vec<Effect> {
    late(step, |effect| matches!(effect, Effect::Absent { .. }))
}

fn late(step: &Step, is_look: impl Fn(&Effect) -> bool) -> Vec<Effect> {
    let mut effects = effects(step);
    if let Some(at) = effects.iter().position(is_look) {
        effects.swap(at, at + 1);
    }
    effects
}

/// Without these steps.
pub fn without(mut plan: Plan, names: &[StepName]) -> Plan {
    plan.steps.retain(|planned| !names.iter().any(|name| does(planned, *name)));
    plan
}

/// With all steps of one name right behind the first of another.
pub fn moved(mut plan: Plan, what: StepName, behind: StepName) -> Plan {
    if !plan.steps.iter().any(|planned| does(planned, behind)) {
        return plan;
    }
    let taken: Vec<Planned> = plan.steps.iter().filter(|planned| does(planned, what)).cloned().collect();
    plan.steps.retain(|planned| !does(planned, what));
    let at = plan.steps.iter().position(|planned| does(planned, behind)).map_or(0, |at| at + 1);
    plan.steps.splice(at..at, taken);
    plan
}

/// What was in use is stored after the new version is there.
pub fn preserve_late(plan: Plan) -> Plan {
    moved(moved(plan, Stage, Introduce), Preserve, Introduce)
}

/// The runbook's own order: introduce, disable what was in use at once, then preserve it.
pub fn runbook(plan: Plan) -> Plan {
    moved(preserve_late(plan), Commit, Introduce)
}

/// Two phases with the second one the other way round: the primary first.
pub fn primary_first(mut plan: Plan) -> Plan {
    let introduce = plan.steps.iter().position(|planned| planned.name() == Introduce);
    let withdraw = plan.steps.iter().rposition(|planned| matches!(planned, Planned::Do(Step::StoreBackCompat { .. })));
    if let (Some(introduce), Some(withdraw), Way::Forward) = (introduce, withdraw, plan.way)
        && withdraw < introduce
    {
        // Introduce and sync, then store and stage.
        plan.steps[withdraw..introduce + 2].rotate_left(introduce - withdraw);
    }
    plan
}

/// A rollback that exchanges the back-compat first.
pub fn back_compat_first(mut plan: Plan) -> Plan {
    if plan.exchanges() {
        let introduce = plan.steps.iter().position(|planned| planned.name() == Introduce).unwrap_or_default();
        plan.steps[introduce..introduce + 4].rotate_left(2);
    }
    plan
}

/// A rollback that does not see the older value arrive before it stores the abandoned one.
pub fn hasty_exchange(plan: Plan) -> Plan {
    if plan.exchanges() { without(plan, &[StepName::Sync]) } else { plan }
}

/// A finalization that leaves the pods as they are.
pub fn finalize_without_restart(plan: Plan) -> Plan {
    if plan.way == Way::Retire { without(plan, &[StepName::Restart, StepName::Verify]) } else { plan }
}

/// A finalization that stores the value in use nowhere else.
pub fn finalize_without_preserve(plan: Plan) -> Plan {
    if plan.way == Way::Retire { without(plan, &[Preserve]) } else { plan }
}

/// A value is given up without having been seen in the cluster: the bytes of before prove nothing then.
pub fn unseen(mut plan: Plan) -> Plan {
    let from = plan.from;
    let way = plan.way;
    plan.steps.retain(|planned| match planned {
        Planned::Do(Step::Sync { version, .. }) => *version != from,
        Planned::Do(Step::Spread { .. }) => way != Way::Back,
        Planned::Do(_) | Planned::Skip(..) => true,
    });
    plan
}
