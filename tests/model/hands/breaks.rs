//! Each property broken once, on purpose: the search has to find it.

use deepdesk_protocol::effects::{Effect, effects};
use deepdesk_protocol::event::StepName::{Preserve, Sync};
use deepdesk_protocol::facts::observation::{Found, Observation, Source};
use deepdesk_protocol::hint::Command as Words;
use deepdesk_protocol::plan::{self, Want};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::CheckResult;
use deepdesk_protocol::state::{self, State};
use deepdesk_protocol::status::Due;
use deepdesk_protocol::step::{Plan, Step};

use super::acts::Reach;
use super::commands::Command;
use super::judge::Property::{self, *};
use super::rules::Rules;
use super::search::{Exploration, explore};
use super::starts::{after_a_finalization, after_a_rotation, nobody_rotated};
use crate::plans::{moved, without};

/// A rule, how it is broken, where that shows, and as what.
struct Break(&'static str, Rules, Exploration, Property);

const KEPT: Rules = Rules::KEPT;

/// Effects without a look at what the back-compat holds.
fn blind(step: &Step) -> Vec<Effect> {
    effects(step).into_iter().filter(|effect| !matches!(effect, Effect::Held { .. })).collect()
}

/// Nothing is restarted.
fn asleep(step: &Step) -> Vec<Effect> {
    effects(step).into_iter().filter(|effect| !matches!(effect, Effect::Restart { .. })).collect()
}

fn nothing_preserved(want: &Want, now: &Observation) -> Result<Plan, Problem> {
    plan::plan(want, now).map(|plan| without(plan, &[Preserve]))
}

fn preserved_late(want: &Want, now: &Observation) -> Result<Plan, Problem> {
    plan::plan(want, now).map(|plan| moved(plan, Preserve, Sync))
}

/// As if the back-compat held nothing.
fn third(want: &Want, now: &Observation) -> Result<Plan, Problem> {
    let mut blind = now.clone();
    blind.back_compat.versions.clear();
    let keys = blind.external_secrets.iter_mut().flat_map(|external| &mut external.keys);
    keys.filter(|key| key.source == Source::BackCompat).for_each(|key| key.found = Found::Missing);
    plan::plan(want, &blind)
}

fn due(now: &Observation, verbs: &[&str]) -> Option<Due> {
    let commands = verbs.iter().map(|verb| Words::secret(verb, &now.account)).collect();
    Some(Due { action: "repair", what: "something".to_owned(), commands })
}

/// Somebody who thinks that a restart helps wherever something is wrong.
fn restart_always(now: &Observation, _: &[CheckResult]) -> Option<Due> {
    if state::state(now) == State::Stable { None } else { due(now, &["restart"]) }
}

fn rollback_always(now: &Observation, _: &[CheckResult]) -> Option<Due> {
    due(now, &["rollback"])
}

#[rustfmt::skip] // One line each: a table.
fn breaks() -> Vec<Break> {
    let one_pod = |one: Exploration| Exploration { reach: Reach { one_pod: true, ..one.reach }, ..one };
    let typed = |one: Exploration, typed| Exploration { typed, ..one };
    vec![
        Break("what was in use is stored before it is disabled", Rules { plan: nothing_preserved, effects: blind, ..KEPT }, nobody_rotated(), KeepsItsVersion),
        Break("what is adopted is stored before it is copied over", Rules { plan: preserved_late, ..KEPT }, after_a_finalization(), ReadBeforeWrite),
        Break("a restart asks what pods read", Rules { next: restart_always, guards: false, checks: false, ..KEPT }, after_a_rotation(), StaysReadable),
        Break("a third key is refused", Rules { plan: third, effects: blind, ..KEPT }, typed(after_a_rotation(), &[Command::Rotate]), NeverThreeKeys),
        Break("verify looks at pods", Rules { effects: asleep, verifies: false, ..KEPT }, after_a_finalization(), Proof),
        Break("a restart asks what pods alone have", Rules { next: restart_always, guards: false, checks: false, ..KEPT }, after_a_rotation(), LastCopy),
        Break("hints lead on", Rules { next: rollback_always, ..KEPT }, after_a_finalization(), ComesToAnEnd),
        Break("what pods do not read is due", Rules { next: |_, _| None, ..KEPT }, one_pod(after_a_rotation()), AllReadable),
    ]
}

#[test]
fn each_property_is_found_broken_where_its_rule_is() {
    for Break(rule, rules, exploration, property) in breaks() {
        let found = explore(&exploration, rules, Some(property));
        let way = found.wrong.iter().find(|((broken, _), _)| *broken == property);
        let Some(((_, by), (_, way))) = way else { panic!("{rule}: {} worlds, and not {property:?}", found.worlds) };
        println!("model: hands: broken: {rule}: {property:?} by {by}, {} lines ({} worlds)", way.len(), found.worlds);
    }
}
