//! `secret restart`: restart every consumer at the same moment, and wait until the old pods are gone.

use std::time::Duration;

use super::change::nobody_at_work;
use super::judged;
use super::outcome::{Found, outcome};
use super::session::Desk;
use super::sync::{agreed_to, preflight};
use crate::cli::{self, DryRun};
use crate::execute::arrive::{self, Manner};
use crate::execute::{self, Progress};
use crate::lock::{Ended, Lock};
use crate::observe::{Seen, observe};
use deepdesk_protocol::check::Purpose;
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::{ObjectName, WorkloadRef};
use deepdesk_protocol::facts::observation::{Observation, OtherReader};
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::hint::{Command, Hint};
use deepdesk_protocol::plan;
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::{AccountResult, Kind};
use deepdesk_protocol::state::{self, Standing};
use deepdesk_protocol::trail::Look;

/// Restarts one account's consumers.
pub async fn restart(desk: &Desk, command: &cli::Secret, args: &cli::Restart) -> (AccountResult, Option<Problem>) {
    let mut found = Found { dry_run: args.change.dry_run != DryRun::None, ..Found::default() };
    let ended = steps(desk, command, args, &mut found).await;
    outcome(desk, Kind::SecretRestart, found, ended)
}

async fn steps(desk: &Desk, command: &cli::Secret, args: &cli::Restart, found: &mut Found) -> Result<(), Problem> {
    let dry_run = args.change.dry_run;
    if dry_run == DryRun::None {
        nobody_at_work(desk).await?;
    }
    let seen = preflight(desk, Purpose::Restart, found, plan::may_restart).await?;
    let workloads = chosen(&seen.now, &args.only)?;
    let evicts = seen.now.other_readers.iter().any(OtherReader::is_evicted);
    found.nothing_to_do = workloads.is_empty() && !evicts;
    let would = |on_server| Happening::WouldRestart { workloads: workloads.clone(), on_server };
    match dry_run {
        DryRun::None => {}
        DryRun::Server => {
            judge(desk, &seen).await?;
            found.judged_by_server = true;
            desk.teller.tell(StepName::Restart, StepState::Skipped, &would(true));
            return Ok(());
        }
        DryRun::Client => {
            desk.teller.tell(StepName::Restart, StepState::Skipped, &would(false));
            return Ok(());
        }
    }
    judged::writes(desk, &seen, &workloads).await?;
    let unproven = unproven(&seen.now, &workloads);
    let before = match unproven {
        0 => String::new(),
        1 => "1 pod is not shown to have started with any version: the restart discards the value that it has. "
            .to_owned(),
        pods => format!(
            "{pods} pods are not shown to have started with any version: the restart discards the values that they have. "
        ),
    };
    agreed_to(desk, command, "restart", unproven > 0 || desk.place.protected, &before)?;
    // A restart in the middle of somebody's rotation would be one at the wrong moment.
    let lock = Lock::take(&desk.cluster, &desk.operator).await?;
    let ended = locked(desk, seen, &workloads, &lock, found).await;
    let how = if ended.is_ok() { Ended::Restarted } else { Ended::Incomplete };
    if let Err(problem) = lock.release(how).await {
        let why = problem.message;
        desk.teller.tell(StepName::Unlock, StepState::Warning, &Happening::NotReleased { why });
    }
    ended
}

/// The workloads that are restarted: those that were named, or all that are not left.
fn chosen(now: &Observation, only: &[WorkloadRef]) -> Result<Vec<WorkloadRef>, Problem> {
    let moved: Vec<WorkloadRef> = now.moved().map(|consumer| consumer.workload.clone()).collect();
    if let Some(unknown) = only.iter().find(|workload| !moved.contains(workload)) {
        let line = format!("{unknown} is not a workload of {} that reads the secret and is restarted", now.account);
        return Err(Problem::new(Reason::Usage, line)
            .hint(Hint::to("see which are", Command::secret("verify", &now.account).with(["-o", "wide"]))));
    }
    Ok(moved.into_iter().filter(|workload| only.is_empty() || only.contains(workload)).collect())
}

/// Pods of which nothing shows what they started with.
fn unproven(now: &Observation, workloads: &[WorkloadRef]) -> usize {
    let chosen = now.consumers.iter().filter(|consumer| workloads.contains(&consumer.workload));
    let each = chosen.flat_map(|consumer| consumer.pods.iter().map(move |pod| (consumer, pod)));
    each.filter(|(consumer, pod)| state::standing(now, consumer, pod) == Standing::Unproven).count()
}

async fn locked(
    desk: &Desk,
    seen: Seen,
    workloads: &[WorkloadRef],
    lock: &Lock,
    found: &mut Found,
) -> Result<(), Problem> {
    let Some(version) = seen.now.primary.newest().map(|newest| newest.id) else {
        return Err(Problem::new(Reason::NoPrimary, format!("secret {} has no version", seen.now.primary.secret)));
    };
    let names: Vec<ObjectName> = seen.readers.iter().map(|reader| reader.name.clone()).collect();
    // Pods that were on the newest version already are replaced by pods on the same.
    let one_value = seen.now.moved().all(|consumer| state::is_on_newest(&seen.now, consumer));
    let mut progress = Progress::new(seen, None, one_value);
    lock.note_step(StepName::Restart).await;
    let run = desk.run();
    // Whoever repeats the command waits for what it began, and does not begin anew.
    let under_way = execute::restart::under_way(&progress.seen.now, &progress.proven);
    let restarts =
        workloads.iter().filter(|workload| !under_way.contains(workload)).cloned().collect::<Vec<WorkloadRef>>();
    if !restarts.is_empty() {
        desk.teller.tell(StepName::Restart, StepState::Started, &Happening::Restarts { workloads: restarts });
    }
    if !under_way.is_empty() {
        // What is changed already was changed by that one.
        progress.changed = true;
        let settles = Happening::Settles { workloads: under_way.clone() };
        desk.teller.tell(StepName::Restart, StepState::Waiting, &settles);
    }
    let ended = async {
        // Preflight saw the right bytes: this notes at which write of each Kubernetes Secret.
        arrive::arrive(&run, Some(lock), &mut progress, &names, Manner::until_right(StepName::Restart)).await?;
        let step = StepName::Restart;
        execute::restart::go_on(&run, Some(lock), &mut progress, workloads, &under_way, version, step).await
    }
    .await;
    found.interruption = if one_value && ended.is_ok() { Some(Duration::ZERO) } else { progress.interruption };
    match &ended {
        Ok(restarted) => {
            let restarted = Happening::Restarted { workloads: restarted.clone() };
            desk.teller.tell(StepName::Restart, StepState::Done, &restarted);
        }
        Err(problem) => desk.teller.tell(StepName::Restart, StepState::Failed, &Happening::failed(problem)),
    }
    ended.map_err(|problem| incomplete(desk, &progress, problem))?;
    // What cannot be looked at any more was restarted all the same: code 1 would say that nothing was changed.
    let seen = observe(&desk.request, &desk.cluster, &desk.secret_manager).await;
    let seen = seen.map_err(|problem| incomplete(desk, &progress, problem))?;
    desk.teller.saw(&seen.now, Look::Whole);
    found.now = Some(seen.now);
    Ok(())
}

fn incomplete(desk: &Desk, progress: &Progress, mut problem: Problem) -> Problem {
    if !progress.changed {
        return problem;
    }
    if problem.exit != Exit::Interrupted {
        problem.exit = Exit::Incomplete;
    }
    problem
        .now("the restarts continue in the cluster")
        .hint(Hint::to("see how far they are", Command::secret("verify", &desk.request.account)))
}

/// Lets the API server judge the patches of a restart without doing them.
pub async fn judge(desk: &Desk, seen: &Seen) -> Result<(), Problem> {
    let judge = desk.cluster.as_dry_run();
    for consumer in seen.now.moved() {
        judged::restart(&judge, &seen.now, consumer).await?;
    }
    Ok(())
}
