//! `secret sync`: make External Secrets copy now, and see that it arrived.

use super::agreed;
use super::change::to_evict;
use super::namespace;
use super::outcome::{Found, outcome, refusal, refuse};
use super::session::Desk;
use crate::access;
use crate::cli::{self, DryRun};
use crate::execute::Progress;
use crate::execute::arrive::{self, Ask, Manner};
use crate::observe::costs;
use crate::observe::shared::refuse_shared;
use crate::observe::{Seen, observe};
use deepdesk_protocol::check::{self, Purpose};
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::ObjectName;
use deepdesk_protocol::facts::observation::Observation;
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::plan::{self, Want};
use deepdesk_protocol::problem::{Exit, Problem};
use deepdesk_protocol::result::{AccountResult, CheckResult, Kind, Verdict};
use deepdesk_protocol::trail::Look;

pub async fn sync(desk: &Desk, command: &cli::Secret, args: &cli::Sync) -> (AccountResult, Option<Problem>) {
    let mut found = Found { dry_run: args.change.dry_run != DryRun::None, ..Found::default() };
    let retired: Vec<(ObjectName, String)> =
        args.retired.iter().map(|key| (key.secret.clone(), key.key.clone())).collect();
    let ended = steps(desk, command, args.change.dry_run, &retired, &mut found).await;
    outcome(desk, Kind::SecretSync, found, ended)
}

async fn steps(
    desk: &Desk,
    command: &cli::Secret,
    dry_run: DryRun,
    retired: &[(ObjectName, String)],
    found: &mut Found,
) -> Result<(), Problem> {
    let seen = preflight(desk, Purpose::Sync, found, |now| plan::may_sync(now, retired)).await?;
    let names: Vec<ObjectName> = seen.readers.iter().map(|reader| reader.name.clone()).collect();
    let would = |on_server| Happening::WouldSync { external_secrets: names.clone(), on_server };
    match dry_run {
        DryRun::None => {}
        DryRun::Server => {
            judge(desk, &seen).await?;
            found.judged_by_server = true;
            desk.teller.tell(StepName::Sync, StepState::Skipped, &would(true));
            return Ok(());
        }
        DryRun::Client => {
            desk.teller.tell(StepName::Sync, StepState::Skipped, &would(false));
            return Ok(());
        }
    }
    agreed_to(desk, command, "sync", desk.place.protected, "")?;
    let asks = Happening::AsksToCopy { external_secrets: names.clone() };
    desk.teller.tell(StepName::Sync, StepState::Started, &asks);
    let mut progress = Progress::new(seen, None, true);
    let run = desk.run();
    let arrived =
        arrive::arrive(&run, None, &mut progress, &names, Manner { step: StepName::Sync, ask: Ask::Always }).await;
    match &arrived {
        Ok(()) => desk.teller.tell(StepName::Sync, StepState::Done, &Happening::AllHoldNewest),
        Err(problem) => desk.teller.tell(StepName::Sync, StepState::Failed, &Happening::failed(problem)),
    }
    arrived?;
    let seen = observe(&desk.request, &desk.cluster, &desk.secret_manager).await?;
    desk.teller.saw(&seen.now, Look::Whole);
    found.now = Some(seen.now);
    Ok(())
}

/// Asks about a deed of a command that needs no plan, where there is a reason to, unless the answer came with the command.
pub fn agreed_to(desk: &Desk, command: &cli::Secret, deed: &str, asks: bool, before: &str) -> Result<(), Problem> {
    let (yes, gives_up) = (agreed::given(command), agreed::grave(command));
    if agreed::answered(&yes, gives_up, &desk.request.account, &desk.place)? || !asks {
        return Ok(());
    }
    desk.teller.tell(StepName::Confirm, StepState::Started, &Happening::Asks);
    let answer = desk.asker().change(&desk.request.account, deed, desk.grave(gives_up), before);
    match &answer {
        Ok(()) => desk.teller.tell(StepName::Confirm, StepState::Done, &Happening::Confirmed),
        Err(problem) => desk.teller.tell(StepName::Confirm, StepState::Failed, &Happening::failed(problem)),
    }
    answer
}

/// Reads and checks everything for a command that needs no plan.
/// `guard` is the planner's word on what the command would do to values.
pub async fn preflight(
    desk: &Desk,
    purpose: Purpose,
    found: &mut Found,
    guard: impl Fn(&Observation) -> Result<(), Problem>,
) -> Result<Seen, Problem> {
    desk.teller.tell(StepName::Preflight, StepState::Started, &Happening::Reads);
    let looked = match look(desk, purpose, found, guard).await {
        Err(problem) => Err(namespace::explained(&desk.cluster, problem).await),
        looked => looked,
    };
    tell_preflight(desk, &found.checks, looked.as_ref().err());
    looked
}

/// Tells how a preflight ended, and what it warns of.
pub fn tell_preflight(desk: &Desk, checks: &[CheckResult], refused: Option<&Problem>) {
    if let Some(problem) = refused {
        return desk.teller.tell(StepName::Preflight, StepState::Failed, &Happening::failed(problem));
    }
    let of = |verdict| checks.iter().filter(move |check| check.result == verdict);
    for check in of(Verdict::Warn) {
        let warns = Happening::Warns { check: check.id.to_string(), message: check.message.clone() };
        desk.teller.tell(StepName::Preflight, StepState::Warning, &warns);
    }
    let passed = Happening::Passed { checks: of(Verdict::Pass).count(), warnings: of(Verdict::Warn).count() };
    desk.teller.tell(StepName::Preflight, StepState::Done, &passed);
}

async fn look(
    desk: &Desk,
    purpose: Purpose,
    found: &mut Found,
    guard: impl Fn(&Observation) -> Result<(), Problem>,
) -> Result<Seen, Problem> {
    let allowed = access::cluster(&desk.cluster, purpose, &[to_evict(&desk.request.words)]).await?;
    if let Some(refusal) = refusal(&allowed, Exit::Failed) {
        found.checks = allowed;
        return Err(refusal);
    }
    let mut seen = observe(&desk.request, &desk.cluster, &desk.secret_manager).await?;
    desk.teller.saw(&seen.now, Look::Whole);
    if purpose == Purpose::Restart {
        costs::add(&mut seen.now, &desk.cluster).await;
    }
    found.now = Some(seen.now.clone());
    found.checks = allowed;
    found.checks.extend(access::unread(&seen.now));
    found.checks.extend(check::run(&check::Seen { purpose, want: &Want::default(), now: &seen.now }));
    refuse(&found.checks, guard(&seen.now).err().as_ref())?;
    refuse_shared(&desk.request, &desk.cluster, &mut seen.now).await?;
    found.now = Some(seen.now.clone());
    Ok(seen)
}

/// Lets the API server judge the patches of a sync without doing them.
pub async fn judge(desk: &Desk, seen: &Seen) -> Result<(), Problem> {
    let judge = desk.cluster.as_dry_run();
    for reader in &seen.readers {
        judge
            .annotate_external_secret(reader.name.as_str(), arrive::FORCE_SYNC, "dry-run", arrive::FIELD_MANAGER)
            .await?;
    }
    Ok(())
}
