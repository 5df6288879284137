//! What `secret rotate`, `rollback` and `finalize` share: look, ask, lock, look again, do the plan's steps, record. Only this
//! file knows that order; the order of the steps is the planner's.

use std::collections::BTreeSet;

use super::agreed::{self, Grave};
use super::evidence::{self, Evidence};
use super::judged;
use super::namespace;
use super::outcome::{Found, outcome, refusal, refuse};
use super::session::Desk;
use super::sync::tell_preflight;
use super::{speak, value};
use crate::access::{self, Right};
use crate::cli::{DryRun, Yes};
use crate::execute::{self, Pauses, Progress};
use crate::lock::{self, Completed, Ended, Lock};
use crate::observe::costs;
use crate::observe::shared::refuse_shared;
use crate::observe::versions::add_history;
use crate::observe::{Seen, observe};
use crate::present::PlanView;
use deepdesk_protocol::check::{self, Purpose};
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::copies::NotLookedAt;
use deepdesk_protocol::facts::named::Words;
use deepdesk_protocol::facts::names::{SecretId, VersionId, listed};
use deepdesk_protocol::facts::observation::Observation;
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::facts::shape::Form;
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::hint::quoted;
use deepdesk_protocol::in_use;
use deepdesk_protocol::plan::{self, Goal, NewValue, Want};
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::{AccountResult, CheckResult, Kind, NewValueResult, RotationResult, Verdict};
use deepdesk_protocol::step::{Plan, Planned, Step, Way};
use deepdesk_protocol::trail::Look;

/// What is asked for.
pub struct Change {
    /// The command.
    pub purpose: Purpose,
    /// The kind of its result.
    pub kind: Kind,
    /// Where to go, and what the operator says of what nothing explains.
    pub want: Want,
    /// Only show it.
    pub dry_run: DryRun,
    /// The answer that came with the command.
    pub yes: Yes,
    /// What is given up, where it has to be agreed to by name.
    pub grave: Option<Grave>,
    /// Where the word comes from that the older value is not needed any more; none where none is needed.
    pub evidence: Option<Evidence>,
    /// Take the given value whatever it looks like.
    pub value_as_is: bool,
    /// What is asked for of a value that is made here.
    pub made: value::Asked,
    /// What the operator says is known although nobody looked at it.
    pub unchecked: Vec<String>,
    /// The value in use has leaked: whoever reads what was done has to know where it is still readable.
    pub compromised: bool,
    /// How long to wait at two points.
    pub pauses: Pauses,
}

/// Changes one account's value, to the given one or to what the plan decides.
pub async fn change(desk: &Desk, change: &Change, given: Option<Payload>) -> (AccountResult, Option<Problem>) {
    let mut found = Found { dry_run: change.dry_run != DryRun::None, ..Found::default() };
    let ended = steps(desk, change, given, &mut found).await;
    outcome(desk, change.kind, found, ended)
}

async fn steps(desk: &Desk, args: &Change, given: Option<Payload>, found: &mut Found) -> Result<(), Problem> {
    let (seen, plan) = Box::pin(preflight(desk, args, given.as_ref(), found)).await?;
    let to_do = plan.to_do().next().is_some();
    if args.dry_run == DryRun::Server {
        super::sync::judge(desk, &seen).await?;
        super::restart::judge(desk, &seen).await?;
    }
    // Where nothing is left to do nothing has to be shown.
    let first = match to_do {
        true => evidence::planned(desk, &seen, args.evidence.as_ref()).await?,
        false => None,
    };
    if args.dry_run != DryRun::None {
        if args.dry_run == DryRun::Server && to_do {
            evidence::judge(desk, &seen, args.evidence.as_ref()).await?;
        }
        show(desk, args, &plan, &seen, found, first);
        found.rotation = versions(&plan, Some(plan.to), found.form.as_ref());
        found.judged_by_server = args.dry_run == DryRun::Server;
        found.nothing_to_do = !to_do && plan.announces.is_none();
        return Ok(());
    }
    // An announced value is on record until the end is recorded, also where nothing else is left of it.
    if !to_do && plan.announces.is_none() {
        for planned in &plan.steps {
            if let Planned::Skip(step, why) = planned {
                desk.teller.tell(*step, StepState::Skipped, &Happening::Skips { why: why.clone() });
            }
        }
        found.nothing_to_do = true;
        return Ok(());
    }
    judged::writes(desk, &seen, &plan.restarted()).await?;
    confirm(desk, args, &plan, &seen, found, first)?;
    drop(seen);
    let lock = take_lock(desk).await?;
    let ended = Box::pin(locked(desk, args, given, &plan, &lock, found)).await;
    unlock(desk, lock, ended, &plan).await
}

/// Reads and checks everything, writes nothing.
async fn preflight(
    desk: &Desk,
    args: &Change,
    given: Option<&Payload>,
    found: &mut Found,
) -> Result<(Seen, Plan), Problem> {
    desk.teller.tell(StepName::Preflight, StepState::Started, &Happening::Reads);
    let ended = async {
        if args.dry_run == DryRun::None {
            nobody_at_work(desk).await?;
        }
        ask_access(desk, args, found).await?;
        match look(desk, args, given, found).await {
            // A pod that is just being replaced is no reason to refuse; one that does not come up is.
            Err(refused) if only_unhealthy(&found.checks) => {
                let Some(now) = found.now.clone() else { return Err(refused) };
                let patience = PATIENCE.min(desk.request.timeout);
                match execute::restart::settled(&desk.run(), &now, StepName::Preflight, patience).await {
                    Ok(_) => look(desk, args, given, found).await,
                    // They do not come up: the checks have said so already, with their ids.
                    Err(problem) if matches!(problem.reason, Reason::RolloutStuck | Reason::RolloutTimeout) => {
                        Err(refused)
                    }
                    Err(problem) => Err(problem),
                }
            }
            looked => looked,
        }
    }
    .await;
    let ended = match ended {
        Err(problem) => Err(namespace::explained(&desk.cluster, problem).await),
        ended => ended,
    };
    tell_preflight(desk, &found.checks, ended.as_ref().err());
    ended
}

/// Refuses while somebody else is at work: before anybody is asked, and before what they have done so far is taken for something to put
/// right. Whoever may not read the lock is told so by the checks.
pub async fn nobody_at_work(desk: &Desk) -> Result<(), Problem> {
    match lock::refusal(&desk.cluster, &desk.operator).await {
        Ok(Some(refused)) => Err(refused),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// How long preflight waits for pods that are just being replaced.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Whether nothing failed but the health of consumers, and that by pods under way rather than by a stuck rollout.
fn only_unhealthy(checks: &[CheckResult]) -> bool {
    let mut failed = checks.iter().filter(|check| check.result == Verdict::Fail).peekable();
    failed.peek().is_some() && failed.all(|check| matches!(check.id, check::HEALTHY | check::PODS_CURRENT))
}

/// Whether every permission that will be needed is granted in the cluster. Secret Manager is asked once its secrets are known.
async fn ask_access(desk: &Desk, args: &Change, found: &mut Found) -> Result<(), Problem> {
    let also = args.evidence.as_ref().map(Evidence::rights).unwrap_or_default();
    found.access = access::cluster(&desk.cluster, args.purpose, &[also, to_evict(&desk.request.words)]).await?;
    found.checks.clone_from(&found.access);
    refusal(&found.access, Exit::Failed).map_or(Ok(()), Err)
}

/// The rights that evictions need, where any are asked for.
pub fn to_evict(words: &Words) -> &'static [Right] {
    if words.evict.is_empty() { &[] } else { access::TO_EVICT }
}

/// Looks at everything, and plans or refuses. Rights were asked for before, and are not asked for twice.
async fn look(desk: &Desk, args: &Change, given: Option<&Payload>, found: &mut Found) -> Result<(Seen, Plan), Problem> {
    let mut seen = observe(&desk.request, &desk.cluster, &desk.secret_manager).await?;
    desk.teller.saw(&seen.now, Look::Whole);
    costs::add(&mut seen.now, &desk.cluster).await;
    // What is retired may be any of them.
    if args.purpose == Purpose::Finalize || !args.want.retired.is_empty() {
        add_history(&mut seen.now, &desk.secret_manager).await?;
    }
    evidence::leave_out_left_behind(&mut seen.now, args.evidence.as_ref(), found);
    refuse_shared(&desk.request, &desk.cluster, &mut seen.now).await?;
    found.now = Some(seen.now.clone());
    if !found.access.iter().any(|check| check.id == access::SECRET_MANAGER) {
        let destroys = matches!(args.want.goal, Goal::Finalize { destroy: Some(_) });
        let also = destroys.then_some(access::TO_DESTROY);
        found.access.extend(access::secret_manager(&desk.secret_manager, args.purpose, also, &seen.now).await?);
        found.access.extend(access::conditions(&desk.secret_manager, &seen.now).await?);
    }
    refuse_unlooked(args, &seen.now)?;
    let want = want(args, given, &seen);
    let planned = plan::plan(&want, &seen.now);
    found.checks.clone_from(&found.access);
    found.checks.extend(access::unread(&seen.now));
    found.checks.extend(check::run(&check::Seen { purpose: args.purpose, want: &want, now: &seen.now }));
    found.checks.iter_mut().for_each(|check| check.carry(&desk.flags));
    refuse(&found.checks, planned.as_ref().err().filter(|refused| plan::stands_alone(refused)))?;
    let plan = planned?;
    found.form = None;
    if plan.adds_new_value() {
        value::check_copied(given, &desk.request.account, &seen.readers)?;
        value::check_told_apart(given, &seen)?;
        value::check_against(given.filter(|_| !args.value_as_is), &desk.request.account, &seen)?;
        found.form = match given {
            Some(_) => None,
            None => Some(value::form(&args.made, &seen)?),
        };
    }
    Ok((seen, plan))
}

fn want(args: &Change, given: Option<&Payload>, seen: &Seen) -> Want {
    Want {
        new_value: given.map_or(NewValue::Made, |value| NewValue::Given(seen.vault.tag_of(value))),
        ..args.want.clone()
    }
}

/// Shows the plan, and asks unless the answer was given with the command.
fn confirm(
    desk: &Desk,
    args: &Change,
    plan: &Plan,
    seen: &Seen,
    found: &Found,
    first: Option<String>,
) -> Result<(), Problem> {
    let agreed = agreed::answered(&args.yes, args.grave, &desk.request.account, &desk.place)?;
    show(desk, args, plan, seen, found, first);
    if agreed && args.evidence != Some(Evidence::Typed) {
        let flags = args.evidence.as_ref().map_or("--yes", Evidence::flags).to_owned();
        desk.teller.tell(StepName::Confirm, StepState::Skipped, &Happening::Unasked { flags });
        return Ok(());
    }
    desk.teller.tell(StepName::Confirm, StepState::Started, &Happening::Asks);
    let (account, asker) = (&desk.request.account, desk.asker());
    let word = match &args.evidence {
        Some(Evidence::Typed) => asker.reencrypted(account, plan.to, &unlooked(&seen.now)),
        Some(Evidence::Given | Evidence::Job(_)) | None => Ok(()),
    };
    let answer = word.and_then(|()| match agreed {
        true => Ok(()),
        false => asker.change(account, deed(plan), desk.grave(args.grave), ""),
    });
    match &answer {
        Ok(()) => desk.teller.tell(StepName::Confirm, StepState::Done, &Happening::Confirmed),
        Err(problem) => desk.teller.tell(StepName::Confirm, StepState::Failed, &Happening::failed(problem)),
    }
    answer
}

/// What has to be known before it is said that nothing needs the older value.
fn unlooked(now: &Observation) -> String {
    let unlooked = NotLookedAt::all_in_words(&now.not_looked_at).map(|all| format!("Not checked: {all}. "));
    let doors = now.doors.iter().map(|door| format!("{}. ", door.what));
    unlooked.into_iter().chain(doors).collect()
}

/// Refuses to destroy over what nobody looked at and the operator does not name.
fn refuse_unlooked(args: &Change, now: &Observation) -> Result<(), Problem> {
    if !matches!(args.want.goal, Goal::Finalize { destroy: Some(_) }) || args.dry_run != DryRun::None {
        return Ok(());
    }
    let open = |one: &&NotLookedAt| one.can_be_looked_at() && !args.unchecked.contains(&one.what);
    let Some(open) = now.not_looked_at.iter().find(open) else { return Ok(()) };
    let line = format!("destroyed versions cannot be restored, and something was not checked: {}", open.in_words());
    Err(Problem::new(Reason::NotConfirmed, line).hint("check it with more permissions (docs/permissions.md)").hint(
        format!("or, if you know that nothing there needs an older value, pass --unchecked {}", quoted(&open.what)),
    ))
}

/// The deed in the question.
fn deed(plan: &Plan) -> &'static str {
    match plan.way {
        Way::Forward => "rotate",
        Way::Back => "roll back",
        Way::Retire if plan.destroys() => "finalize and destroy versions of",
        Way::Retire => "finalize",
        Way::Rescue => "store a value as back-compat for",
    }
}

fn show(desk: &Desk, args: &Change, plan: &Plan, seen: &Seen, found: &Found, first: Option<String>) {
    let warnings: Vec<CheckResult> =
        found.checks.iter().filter(|check| check.result == Verdict::Warn).cloned().collect();
    speak(&desk.voice).plan(&PlanView {
        context: &desk.request.context,
        project: &seen.now.home.project,
        account: &desk.request.account,
        plan,
        evidence: first,
        observation: &seen.now,
        warnings: &warnings,
        new_value: found.form.as_ref(),
        notes: &aliased(plan, &seen.now),
        interruption: breaks(plan, &seen.now, args.compromised),
    });
}

/// The aliases that name a version which cannot be read any more after a plan.
fn aliased(plan: &Plan, now: &Observation) -> Vec<String> {
    let ended = ends(plan).into_iter().filter(|(deed, ..)| *deed != "enable");
    let named = ended.flat_map(|(deed, secret, version)| {
        let aliases = now.secret(now.source_of(secret)).conditions.aliases.iter();
        let aliases = aliases.filter(move |(_, named)| *named == version);
        aliases.map(move |(alias, _)| {
            format!("alias {alias} of {secret} names {version}: this would {deed} it, and whoever reads it by that alias gets an error")
        })
    });
    named.collect()
}

/// What breaks, in one sentence.
fn breaks(plan: &Plan, now: &Observation, compromised: bool) -> String {
    let breaks = match plan.way {
        Way::Forward if compromised => {
            "JWTs signed with the leaked key become invalid while the workloads restart, as intended".to_owned()
        }
        Way::Forward | Way::Back => {
            "JWTs signed with the old key become invalid while the workloads restart".to_owned()
        }
        Way::Retire if plan.destroys() => format!(
            "data that is still encrypted under a value older than {} becomes permanently unreadable, in backups too: the versions are destroyed",
            plan.to
        ),
        Way::Rescue => format!(
            "pods restart and read what {} gets; what it holds now stays enabled, but pods can no longer read it",
            "the back-compat"
        ),
        Way::Retire => format!(
            "data that is still encrypted under a value older than {} becomes unreadable until a version of it is enabled again",
            plan.to
        ),
    };
    let unread = in_use::without_slot(now, plan.slots(now));
    match unread.is_empty() || plan.way == Way::Retire {
        true => breaks,
        false => format!(
            "{breaks}; there are more than two values: what is encrypted under {} cannot be read until {} is finalized and that one stored again (secret rescue)",
            unread.join(", "),
            now.account
        ),
    }
}

async fn take_lock(desk: &Desk) -> Result<Lock, Problem> {
    desk.teller.tell(StepName::Lock, StepState::Started, &Happening::TakesLock);
    match Lock::take(&desk.cluster, &desk.operator).await {
        Ok(lock) => {
            let by = desk.operator.name.to_string();
            desk.teller.tell(StepName::Lock, StepState::Done, &Happening::HoldsLock { by });
            Ok(lock)
        }
        Err(problem) => {
            desk.teller.tell(StepName::Lock, StepState::Failed, &Happening::failed(&problem));
            Err(problem)
        }
    }
}

/// Under the lock: looks again, since another operator may have been at work until a moment ago, and does the steps.
async fn locked(
    desk: &Desk,
    args: &Change,
    given: Option<Payload>,
    agreed: &Plan,
    lock: &Lock,
    found: &mut Found,
) -> Result<(), Problem> {
    let (mut seen, mut plan) = look(desk, args, given.as_ref(), found).await?;
    check_agreed(desk, &plan, agreed)?;
    if evidence::gather(desk, lock, &seen, args.evidence.as_ref(), found).await? {
        // An hour may have gone by, in which somebody else was at work with other tools.
        (seen, plan) = look(desk, args, given.as_ref(), found).await?;
        check_agreed(desk, &plan, agreed)?;
    }
    let new_value = match (plan.adds_new_value(), given) {
        (false, _) => None,
        (true, Some(value)) => Some(value),
        (true, None) => Some(value::made(&seen, found.form.as_ref())?),
    };
    found.rotation = versions(&plan, None, found.form.as_ref());
    // A finalization restarts pods that all write under one value.
    let one_value = plan.from == plan.to;
    let mut progress = Progress::new(seen, new_value, one_value);
    let aim = plan.aim(&progress.seen.now.primary.secret, args.compromised);
    let ended = Box::pin(execute::execute(&desk.run(), lock, &plan, aim, args.pauses, &mut progress)).await;
    let version = progress
        .seen
        .now
        .primary
        .newest()
        .map(|newest| newest.id)
        .filter(|id| *id == plan.to && !progress.sent.overtaken);
    found.rotation = versions(&plan, version, found.form.as_ref());
    found.interruption = progress.interruption;
    if args.compromised && ended.is_ok() {
        found.exposed = exposed(&progress.seen.now, plan.from);
    }
    found.now = Some(progress.seen.now);
    ended
}

/// Refuses what is another change than the one that was agreed to.
fn check_agreed(desk: &Desk, plan: &Plan, agreed: &Plan) -> Result<(), Problem> {
    let Some(difference) = difference(plan, agreed) else { return Ok(()) };
    let line = format!("{} changed before it was confirmed: {difference}", desk.request.account);
    Err(Problem::new(Reason::ChangedMeanwhile, line).hint("run the same command again to see the new plan"))
}

/// What a plan does that the agreed one does not; none where it is the same change, or less of it.
fn difference(plan: &Plan, agreed: &Plan) -> Option<String> {
    if (plan.from, plan.to) != (agreed.from, agreed.to) {
        return Some(format!("it would now go from {} to {}", plan.from, plan.to));
    }
    if plan.announces != agreed.announces {
        return Some("what is announced as its next value is not what it was".to_owned());
    }
    let shown = ends(agreed);
    let new: Vec<String> =
        ends(plan).difference(&shown).map(|(deed, secret, version)| format!("{deed} {version} of {secret}")).collect();
    (!new.is_empty()).then(|| format!("it would now {} too, which the plan did not name", listed(&new)))
}

/// The versions that cannot be read any more after a plan: what is done to which of them.
fn ends(plan: &Plan) -> BTreeSet<(&'static str, &SecretId, VersionId)> {
    let each = |deed, secret, versions: &[VersionId]| versions.iter().map(|id| (deed, secret, *id)).collect::<Vec<_>>();
    let ended = plan.to_do().flat_map(|step| match step {
        Step::Destroy { secret, versions } => each("destroy", secret, versions),
        Step::DisableOlder { secret, versions } | Step::RetireOlder { secret, versions } => {
            each("disable", secret, versions)
        }
        Step::DisablePrevious { secret, version } => each("disable", secret, &[*version]),
        Step::Enable { secret, version } => each("enable", secret, &[*version]),
        Step::CreateBackCompat { .. }
        | Step::StoreBackCompat { .. }
        | Step::Stage { .. }
        | Step::Announce { .. }
        | Step::Spread { .. }
        | Step::Prepare { .. }
        | Step::AddVersion { .. }
        | Step::Sync { .. }
        | Step::Restart { .. }
        | Step::Verify { .. } => Vec::new(),
    });
    ended.collect()
}

/// Where a leaked value can still be read after a rotation, and what ends that.
fn exposed(now: &Observation, leaked: VersionId) -> Vec<String> {
    let (account, primary, back_compat) = (&now.account, &now.primary.secret, &now.back_compat.secret);
    vec![
        format!(
            "{back_compat} holds it, and every pod reads it, until the data is saved again: kubectl deepdesk secret finalize {account}"
        ),
        format!(
            "{primary} {leaked} is disabled and not destroyed: whoever may enable it can read it, until kubectl deepdesk secret finalize {account} --destroy"
        ),
        "backups of the data made until now are encrypted under it: whoever has one and the key can read it".to_owned(),
        "backups of the cluster (etcd) made until now hold it, as does whoever read it: treat what it protected as disclosed"
            .to_owned(),
    ]
}

/// The versions of a change of the value; none where the value stays.
fn versions(plan: &Plan, version: Option<VersionId>, form: Option<&Form>) -> Option<RotationResult> {
    matches!(plan.way, Way::Forward | Way::Back).then(|| RotationResult {
        new_value: form.map(NewValueResult::of),
        went_back: plan.way == Way::Back,
        previous: plan.from.get().to_string(),
        version: version.map(|version| version.get().to_string()).unwrap_or_default(),
    })
}

/// Releases the lock, with the record when the rotation was completed. A lock that cannot be released ends by itself.
async fn unlock(desk: &Desk, lock: Lock, ended: Result<(), Problem>, plan: &Plan) -> Result<(), Problem> {
    desk.teller.tell(StepName::Unlock, StepState::Started, &Happening::ReleasesLock);
    // The record is of the last change of the value in use.
    let changed = (plan.from != plan.to).then_some((plan.from, plan.to));
    let completed = match &ended {
        Ok(()) => {
            Ended::Changed(Completed { changed, retired: plan.retired.clone(), left: desk.request.words.leave.clone() })
        }
        Err(_) => Ended::Incomplete,
    };
    if ended.is_ok() {
        let (reason, done) = match plan.way {
            Way::Forward => ("SecretRotated", "rotated the account secret"),
            Way::Back => ("SecretRolledBack", "rolled the account secret back"),
            Way::Retire => ("SecretFinalized", "retired what is older than the account secret"),
            Way::Rescue => ("SecretRescued", "stored a value as back-compat beside the account secret"),
        };
        let versions = match plan.way {
            Way::Forward | Way::Back => format!("from {} to {}", plan.from, plan.to),
            Way::Retire | Way::Rescue => plan.to.to_string(),
        };
        let note = format!("{} {done} {versions}", desk.operator.name);
        if let Err(error) = lock.publish(reason, &note).await {
            let why = error.to_string();
            desk.teller.tell(StepName::Unlock, StepState::Warning, &Happening::NoEvent { why });
        }
    }
    match lock.release(completed).await {
        Ok(()) => desk.teller.tell(StepName::Unlock, StepState::Done, &Happening::Released),
        Err(problem) => {
            let why = problem.message;
            desk.teller.tell(StepName::Unlock, StepState::Warning, &Happening::NotReleased { why });
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use deepdesk_protocol::facts::names::ObjectName;
    use deepdesk_protocol::facts::observation::Announcement;
    use deepdesk_protocol::state::State;

    fn id(number: u64) -> VersionId {
        VersionId::new(number).expect("not zero")
    }

    fn plan(from: u64, to: u64, steps: Vec<Step>) -> Plan {
        let steps = steps.into_iter().map(Planned::Do).collect();
        Plan {
            way: Way::Retire,
            state: State::Stable,
            from: id(from),
            to: id(to),
            announces: None,
            retires: None,
            retired: Default::default(),
            answered: Default::default(),
            steps,
        }
    }

    #[test]
    fn a_yes_is_for_the_versions_that_were_shown() {
        let secret = || "acme_account_secret".parse::<SecretId>().expect("an id");
        let ids = |numbers: &[u64]| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>();
        let destroy = |numbers: &[u64]| Step::Destroy { secret: secret(), versions: ids(numbers) };
        let older = |numbers: &[u64]| Step::DisableOlder { secret: secret(), versions: ids(numbers) };
        let retire = |numbers: &[u64]| Step::RetireOlder { secret: secret(), versions: ids(numbers) };
        let commit = |number| Step::DisablePrevious { secret: secret(), version: id(number) };
        let sync = || Step::Sync { external_secrets: Vec::<ObjectName>::new(), version: id(8) };
        let announcing =
            || Plan { announces: Some(Announcement { version: id(2), called_off: false }), ..plan(7, 8, Vec::new()) };
        for (now, agreed, difference_in) in [
            (plan(7, 8, vec![destroy(&[6, 4])]), plan(7, 8, vec![destroy(&[6, 4])]), None),
            // What others have done meanwhile need not be done.
            (plan(7, 8, vec![destroy(&[4])]), plan(7, 8, vec![sync(), destroy(&[6, 4])]), None),
            (plan(7, 8, vec![sync()]), plan(7, 8, vec![]), None),
            (plan(7, 8, vec![destroy(&[6, 5, 4])]), plan(7, 8, vec![destroy(&[6, 4])]), Some("destroy v5 of")),
            (plan(7, 8, vec![retire(&[3])]), plan(7, 8, vec![]), Some("disable v3 of")),
            (plan(7, 8, vec![older(&[6, 5])]), plan(7, 8, vec![older(&[6])]), Some("disable v5 of")),
            (plan(7, 8, vec![commit(7)]), plan(7, 8, vec![]), Some("disable v7 of")),
            (plan(7, 8, vec![destroy(&[5])]), plan(7, 8, vec![older(&[5])]), Some("destroy v5 of")),
            (plan(8, 9, vec![]), plan(7, 8, vec![]), Some("from v8 to v9")),
            (announcing(), plan(7, 8, vec![]), Some("announced")),
        ] {
            let found = difference(&now, &agreed);
            match difference_in {
                None => assert_eq!(found, None),
                Some(words) => assert!(found.as_ref().is_some_and(|found| found.contains(words)), "{words}: {found:?}"),
            }
        }
    }
}
