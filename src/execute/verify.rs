//! The proof: bytes compared, every pod started after that, no old pod left. What is found not to be
//! so is put right: External Secrets may have read an older version once more, and pods may have started meanwhile.

use std::time::Duration;

use super::arrive::{self, Manner};
use super::{Progress, evict, restart};
use crate::lock::Lock;
use crate::observe::{Seen, observe};
use crate::run::Run;
use deepdesk_protocol::check::other_readers;
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::{ObjectName, VersionId, WorkloadRef};
use deepdesk_protocol::facts::observation::{Consumer, Derivation, Observation, VersionState};
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::state::{self, State};
use deepdesk_protocol::trail::Look;

/// How often what is not so is put right before it is called a failure.
const ROUNDS: usize = 3;

/// Looks at everything afresh until all of it is on `version`, and puts right what is not.
pub async fn verify(run: &Run<'_>, lock: &Lock, progress: &mut Progress, version: VersionId) -> Result<(), Problem> {
    let mut wrong = Vec::new();
    for _ in 0..ROUNDS {
        wrong = look(run, progress, version).await?;
        if wrong.is_empty() {
            return appeared(run, &progress.seen.now);
        }
        run.teller.tell(StepName::Verify, StepState::Waiting, &Happening::PutsRight { wrong: wrong.clone() });
        repair(run, lock, progress, version, run.request.timeout).await?;
    }
    wrong = if wrong.is_empty() { wrong } else { look(run, progress, version).await? };
    match wrong.first() {
        None => appeared(run, &progress.seen.now),
        Some(first) => {
            let more = if wrong.len() > 1 { format!(" (and {} more)", wrong.len() - 1) } else { String::new() };
            Err(Problem::new(Reason::NotVerified, format!("{first}{more}")))
        }
    }
}

/// Everything that is not on the version, in words.
async fn look(run: &Run<'_>, progress: &mut Progress, version: VersionId) -> Result<Vec<String>, Problem> {
    let seen = observe(run.request, run.cluster, run.secret_manager).await?;
    run.teller.saw(&seen.now, Look::Whole);
    if let Some(newest) = seen.now.primary.newest().filter(|newest| newest.id != version) {
        let line =
            format!("{} has {} beyond {version}: somebody added it meanwhile", seen.now.primary.secret, newest.id);
        return Err(Problem::new(Reason::ForeignVersion, line).with_exit(Exit::Incomplete));
    }
    overtaken(&progress.seen, &seen)?;
    progress.seen = seen;
    let now = &progress.seen.now;
    let evicted = evict::behind(now).map(|reader| format!("{} is not on the newest version", reader.named()));
    Ok(wrong_keys(now).into_iter().chain(behind(now).map(|(_, words)| words)).chain(evicted).collect())
}

/// What began since the preflight, or was not seen there, and goes on under the value of before: while it does, that value is in use.
fn appeared(run: &Run<'_>, now: &Observation) -> Result<(), Problem> {
    if !matches!(state::secrets_state(now), State::Rotating { .. }) {
        return Ok(());
    }
    let verb = if now.begun.is_some_and(|begun| begun.back) { "rollback" } else { "rotate" };
    let told = other_readers::told_of_unmoved(now, verb, other_readers::unmoved(now));
    let mut told = told.into_iter();
    let Some((first, hints)) = told.next() else { return Ok(()) };
    let problem = hints.into_iter().fold(Problem::new(Reason::NotVerified, first), Problem::hint);
    let problem = told.fold(problem, |problem, (also, hints)| {
        hints.into_iter().fold(problem.now(format!("also: {also}")), Problem::hint)
    });
    Err(problem.hint(format!("or end it, and run the same command again in {}", run.request.account)))
}

/// What others did to the two secrets meanwhile is not put right by spreading it: pods would lose what they read.
fn overtaken(known: &Seen, seen: &Seen) -> Result<(), Problem> {
    let now = &seen.now;
    if let Some(newest) = now.primary.newest().filter(|newest| newest.state != VersionState::Enabled) {
        let line = format!("{} of {} was disabled meanwhile", newest.id, now.primary.secret);
        return Err(Problem::new(Reason::LatestNotEnabled, line).with_exit(Exit::Incomplete));
    }
    let Some(found) = now.back_compat.newest() else { return Ok(()) };
    // A secret that was deleted and made anew counts from one again: its value tells.
    let value = |seen: &Seen| seen.now.back_compat.value().and_then(|tag| seen.vault.value(tag)).map(Payload::copy);
    let same = match (value(known), value(seen)) {
        (Some(known), Some(found)) => known.same_as(&found),
        (known, found) => known.is_none() == found.is_none(),
    };
    if same && known.now.back_compat.newest().is_some_and(|newest| newest.id == found.id) {
        return Ok(());
    }
    let line = format!("somebody else changed {} of {} meanwhile", found.id, now.back_compat.secret);
    Err(Problem::new(Reason::ForeignVersion, line).with_exit(Exit::Incomplete))
}

fn wrong_keys(now: &Observation) -> Vec<String> {
    let keys = now.external_secrets.iter().flat_map(|external| external.keys.iter().map(move |key| (external, key)));
    // What cannot be compared is not right: it was refused at the beginning, so it appeared in the middle.
    let wrong = keys.filter(|(_, key)| key.derivation == Derivation::Opaque || !state::as_expected(now, key));
    wrong.map(|(external, key)| format!("{}: {} holds {}", external.target, key.key, now.holds(key.found))).collect()
}

fn behind(now: &Observation) -> impl Iterator<Item = (&Consumer, String)> {
    let behind = now.moved().filter(|consumer| !state::is_on_newest(now, consumer));
    behind.map(|consumer| (consumer, format!("{} is not wholly on the newest version", consumer.workload)))
}

/// Syncs what does not hold the right bytes, lets rollouts under way come to their end, and restarts what is still behind.
async fn repair(
    run: &Run<'_>,
    lock: &Lock,
    progress: &mut Progress,
    version: VersionId,
    limit: Duration,
) -> Result<(), Problem> {
    if !wrong_keys(&progress.seen.now).is_empty() {
        let all: Vec<ObjectName> = progress.seen.readers.iter().map(|reader| reader.name.clone()).collect();
        arrive::arrive(run, Some(lock), progress, &all, Manner::until_right(StepName::Verify)).await?;
        // Any pod may have started on what those Secrets held.
        let all: Vec<WorkloadRef> = progress.seen.now.moved().map(|consumer| consumer.workload.clone()).collect();
        restart::restart(run, Some(lock), progress, &all, version, StepName::Verify).await?;
        return Ok(());
    }
    progress.seen.now = restart::settled(run, &progress.seen.now, StepName::Verify, limit).await?;
    let stragglers: Vec<WorkloadRef> =
        behind(&progress.seen.now).map(|(consumer, _)| consumer.workload.clone()).collect();
    if !stragglers.is_empty() || evict::behind(&progress.seen.now).next().is_some() {
        restart::restart(run, Some(lock), progress, &stragglers, version, StepName::Verify).await?;
    }
    Ok(())
}
