//! Restarts consumers at the same moment, and waits until every pod is a new one and the old ones are gone.
//!
//! `kubectl rollout status` and the Deployment's conditions say "done" while old pods still terminate, and write with
//! the old value meanwhile: so the pods themselves are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};

use super::Progress;
use super::arrive::{self, FIELD_MANAGER, Manner};
use super::evict::{self, Evictions};
use super::last_words;
use super::together::{Mix, Together};
use crate::clients::cluster::pulse::Watched;
use crate::lock::Lock;
use crate::observe::look_at_consumers;
use crate::run::{Run, fence, interrupted};
use deepdesk_protocol::command;
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::{ObjectName, VersionId, WorkloadKind, WorkloadRef, listed};
use deepdesk_protocol::facts::observation::{Consumer, GitOps, Observation, PodView, Rollout};
use deepdesk_protocol::facts::restart_note;
use deepdesk_protocol::happening::{Happening, Replacement, in_one_line};
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};
use deepdesk_protocol::state;
use deepdesk_protocol::trail::Look;

/// How long to wait for another second of the API server's clock.
const A_SECOND_LATER: Duration = Duration::from_millis(1100);
/// How often pods are restarted again because a Kubernetes Secret was written while they started.
const ROUNDS: usize = 3;
/// Flux leaves alone what this field manager wrote, so that a restart stays.
const FLUX_FIELD_MANAGER: &str = "flux-client-side-apply";

/// Restarts these consumers onto `version`, for this step of a plan. The Kubernetes Secrets must have been proven before.
pub async fn restart(
    run: &Run<'_>,
    lock: Option<&Lock>,
    progress: &mut Progress,
    workloads: &[WorkloadRef],
    version: VersionId,
    step: StepName,
) -> Result<Vec<WorkloadRef>, Problem> {
    // What an earlier run sent is waited for: the same restart once more would be one more rollout.
    let under_way = under_way(&progress.seen.now, &progress.proven);
    go_on(run, lock, progress, workloads, &under_way, version, step).await
}

/// The same, where an earlier run restarted some of them (`under_way`) onto this version already: they are waited for.
pub async fn go_on(
    run: &Run<'_>,
    lock: Option<&Lock>,
    progress: &mut Progress,
    workloads: &[WorkloadRef],
    under_way: &[WorkloadRef],
    version: VersionId,
    step: StepName,
) -> Result<Vec<WorkloadRef>, Problem> {
    let mut workloads = workloads.to_vec();
    let mut waits_for = under_way;
    let mut is_undone = false;
    let (mut round, mut fewest) = (0, usize::MAX);
    while round < ROUNDS {
        round += 1;
        if workloads.is_empty() && evict::behind(&progress.seen.now).next().is_none() {
            return Ok(workloads);
        }
        // What was written since its bytes were compared is compared before a pod starts on it.
        if !written_meanwhile(run, progress).await?.is_empty() {
            let external: Vec<_> = progress.seen.readers.iter().map(|reader| reader.name.clone()).collect();
            arrive::arrive(run, lock, progress, &external, Manner::until_right(step)).await?;
        }
        let restarted: Vec<WorkloadRef> =
            workloads.iter().filter(|workload| !waits_for.contains(workload)).cloned().collect();
        waits_for = &[];
        patch_all(run, lock, progress, &restarted, version).await?;
        let waited = match replaced(run, lock, progress, &workloads, version, step).await {
            Ok(waited) => waited,
            Err(problem) => return Err(last_words::added(run, progress, version, problem).await),
        };
        let together = match waited {
            Replaced::New(together) => together,
            // Where the note is gone dates tell, and they are whole seconds: in the next one they do.
            Replaced::Undone { left, old } => {
                // Each time some pods more are new: whatever takes the note away is outrun by that.
                if old < fewest {
                    (fewest, round) = (old, 0);
                }
                run.interrupt.clone().sleep(A_SECOND_LATER).await?;
                (workloads, is_undone) = (left, true);
                continue;
            }
        };
        is_undone = false;
        if !progress.one_value {
            progress.interruption = Some(progress.interruption.unwrap_or_default() + together);
        }
        let written = written_meanwhile(run, progress).await?;
        if written.is_empty() {
            return Ok(workloads);
        }
        let secrets = written.iter().cloned().collect();
        run.teller.tell(step, StepState::Warning, &Happening::WrittenMeanwhile { secrets });
        let external: Vec<_> = progress.seen.readers.iter().map(|reader| reader.name.clone()).collect();
        arrive::arrive(run, lock, progress, &external, Manner::until_right(step)).await?;
        let reads = |consumer: &&Consumer| consumer.secrets.iter().any(|secret| written.contains(secret));
        workloads =
            progress.seen.now.consumers.iter().filter(reads).map(|consumer| consumer.workload.clone()).collect();
    }
    if is_undone {
        return Err(taken_back(run, &workloads));
    }
    Err(Problem::new(
        Reason::SecretsKeepChanging,
        format!("the Kubernetes Secrets were written {ROUNDS} times while pods started"),
    )
    .hint(Hint::to(
        "find out who writes them",
        command!["kubectl", "get", "secret", "-n", run.request.account, "-o", "yaml", "--show-managed-fields"],
    )))
}

/// The consumers that an earlier restart of ours is not done with, and those that it has replaced already: what their templates say of
/// the Secrets that were compared before it is as they are now, and were when they were `proven`. None where no restart is under way.
pub fn under_way(now: &Observation, proven: &BTreeMap<ObjectName, String>) -> Vec<WorkloadRef> {
    let newest = now.primary.newest().map(|newest| newest.id);
    let ours = now.consumers.iter().filter(|consumer| {
        let noted = &consumer.moving.compared;
        let is_ours = consumer.restart.is_some() && consumer.version == newest && newest.is_some();
        is_ours && !noted.is_empty() && *noted == compared(now, consumer, proven) && !is_failing(consumer)
    });
    let ours: Vec<&Consumer> = ours.collect();
    // All of one restart were sent at the same moment.
    let moving = |restart: &Option<String>| ours.iter().any(|one| one.restart == *restart && !is_at_rest(one));
    ours.iter().filter(|one| moving(&one.restart)).map(|one| one.workload.clone()).collect()
}

/// Whether its new pods do not come up, by what its controller and its containers say: waiting alone would not end that soon, and
/// pods that are made anew try at once.
fn is_failing(consumer: &Consumer) -> bool {
    let mut new = consumer.pods.iter().filter(|pod| pod.restart == consumer.restart);
    matches!(consumer.rollout, Rollout::Stuck { .. }) || new.any(|pod| pod.trouble.is_some())
}

/// Patches all pod templates at the same moment: old and new pods serve side by side as short as can be.
async fn patch_all(
    run: &Run<'_>,
    lock: Option<&Lock>,
    progress: &mut Progress,
    workloads: &[WorkloadRef],
    version: VersionId,
) -> Result<(), Problem> {
    let back_compat = progress.seen.now.back_compat.newest().map(|newest| newest.id);
    let (now, at) = (&progress.seen.now, jiff::Timestamp::now());
    let patch = |workload: &WorkloadRef| {
        let consumer = now.consumers.iter().find(|consumer| consumer.workload == *workload);
        let flux = consumer.is_some_and(|consumer| consumer.gitops == Some(GitOps::Flux));
        let compared = consumer.map(|consumer| compared(now, consumer, &progress.proven)).unwrap_or_default();
        let manager = if flux { FLUX_FIELD_MANAGER } else { FIELD_MANAGER };
        (workload.clone(), restart_note::annotations(version, back_compat, &compared, at), manager)
    };
    let patches: Vec<_> = workloads.iter().map(patch).collect();
    let cluster = run.cluster.fenced_by(fence(lock));
    let send = async |(workload, annotations, manager): &(WorkloadRef, BTreeMap<String, String>, &str)| {
        cluster.patch_template_annotations(workload, annotations, None, manager).await
    };
    // All are sent before any failure is looked at: half a restart is worse than a whole one with an error.
    let answers = join_all(patches.iter().map(&send)).await;
    progress.changed |=
        answers.iter().any(|answer| answer.as_ref().map_or_else(|error| error.is_outcome_unknown(), |_| true));
    for (patch, answer) in patches.iter().zip(answers) {
        match answer {
            Ok(_) => {}
            // The same annotations once more are no change: what got lost may be sent again.
            Err(error) if error.is_outcome_unknown() => {
                send(patch).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The Kubernetes Secrets that a consumer reads, each with its resource version at the last comparison of its bytes: `proven`
/// by a wait, or as they were observed. One that does not hold what it should is left out.
pub fn compared(
    now: &Observation,
    consumer: &Consumer,
    proven: &BTreeMap<ObjectName, String>,
) -> BTreeMap<ObjectName, String> {
    let fit =
        now.filling(&consumer.secrets).filter(|external| external.keys.iter().all(|key| state::as_expected(now, key)));
    let observed = fit.filter_map(|external| Some((external.target.clone(), external.resource_version.clone()?)));
    let proven = proven.iter().filter(|(name, _)| consumer.secrets.contains(name));
    observed.chain(proven.map(|(name, version)| (name.clone(), version.clone()))).collect()
}

/// What came of a restart.
enum Replaced {
    /// The pods are new; how long old and new ones served side by side.
    New(Duration),
    /// Something took the restart's note away, and nothing moves any more: these have pods that are not shown to be new. Either they
    /// were never replaced, or they began in the very second in which a Secret was written.
    Undone {
        left: Vec<WorkloadRef>,
        /// How many pods of theirs are not.
        old: usize,
    },
}

fn taken_back(run: &Run<'_>, workloads: &[WorkloadRef]) -> Problem {
    let line =
        format!("something removes the restart annotation from {} before its pods are replaced", listed(workloads));
    let look = workloads.iter().map(ToString::to_string).chain(["-n".to_owned(), run.request.account.to_string()]);
    Problem::new(Reason::RolloutStuck, line).hint(Hint::to(
        "find out what writes the pod template",
        command!["kubectl", "get"].with(look).with(["-o", "yaml", "--show-managed-fields"]),
    ))
}

/// Waits until the workloads' pods are new ones.
async fn replaced(
    run: &Run<'_>,
    lock: Option<&Lock>,
    progress: &mut Progress,
    workloads: &[WorkloadRef],
    version: VersionId,
    step: StepName,
) -> Result<Replaced, Problem> {
    let deadline = Instant::now() + run.request.timeout;
    let mut interrupt = run.interrupt.clone();
    let kinds: BTreeSet<WorkloadKind> = workloads.iter().map(|workload| workload.kind).collect();
    let mut watched = vec![Watched::Pods];
    watched.extend(kinds.into_iter().map(Watched::Workloads));
    let mut pulse = run.cluster.pulse(&watched);
    let (mut told, mut told_evicted) = (Vec::new(), Vec::new());
    let mut warned = false;
    let mut together = Together::default();
    let (mut evictions, evicting) = (Evictions::default(), run.cluster.fenced_by(fence(lock)));
    let injected = |consumer: &&Consumer| consumer.moving.injected;
    let injected: Vec<WorkloadRef> =
        progress.seen.now.consumers.iter().filter(injected).map(|consumer| consumer.workload.clone()).collect();
    loop {
        run.interrupt.check()?;
        // Remembered at once: a run that ends here reports how far the pods are, not how they were before.
        progress.seen.now = look_at_consumers(run.request, run.cluster, &progress.seen.now).await?;
        let now = &progress.seen.now;
        run.teller.saw(now, Look::Consumers);
        let of_these = |consumer: &&Consumer| workloads.contains(&consumer.workload);
        let consumers: Vec<&Consumer> = now.consumers.iter().filter(of_these).collect();
        for workload in workloads {
            // What a webhook put into its pods is not in the new ones: nothing of it reads the secret any more.
            if !consumers.iter().any(|consumer| consumer.workload == *workload) && !injected.contains(workload) {
                let line = format!("{workload} was deleted, or does not read the Kubernetes Secrets any more");
                return Err(Problem::new(Reason::ConsumerGone, line));
            }
        }
        let reverted: Vec<&&Consumer> = consumers.iter().filter(|consumer| consumer.version != Some(version)).collect();
        if let (Some(consumer), false) = (reverted.first(), warned) {
            warned = true;
            let workload = consumer.workload.clone();
            run.teller.tell(step, StepState::Warning, &Happening::NoteTakenAway { workload });
        }
        if let Some(problem) = consumers.iter().find_map(|consumer| stuck(run, consumer)) {
            return Err(problem);
        }
        if !progress.one_value
            && let Some(span) = together.look(jiff::Timestamp::now(), mix(now, &consumers, version))
        {
            run.teller.interrupted(span);
        }
        // I7: the pods themselves, and not what their controller says of them.
        let open: Vec<Replacement> = consumers.iter().filter_map(|consumer| missing(now, consumer, version)).collect();
        let is_old = |consumer: &Consumer, pod: &PodView| {
            workloads.contains(&consumer.workload) && !is_new(now, consumer, pod, version)
        };
        let evicted = evictions.go_on(&evicting, now, is_old).await?;
        progress.changed |= !evicted.is_empty();
        if open.is_empty() && evicted.is_empty() {
            return Ok(Replaced::New(together.so_far));
        }
        if !reverted.is_empty() && evicted.is_empty() && consumers.iter().all(|consumer| is_at_rest(consumer)) {
            let left = consumers.iter().filter(|consumer| missing(now, consumer, version).is_some());
            let left = left.map(|consumer| consumer.workload.clone()).collect();
            return Ok(Replaced::Undone { left, old: open.iter().map(|replacement| replacement.old).sum() });
        }
        if open != told && !open.is_empty() {
            run.teller.tell(step, StepState::Waiting, &Happening::Replaces(open.clone()));
        }
        told = open;
        if evicted != told_evicted && !evicted.is_empty() {
            run.teller.tell(step, StepState::Waiting, &Happening::Says(in_one_line(&evicted)));
        }
        told_evicted = evicted;
        if Instant::now() >= deadline {
            let all: Vec<String> = told.iter().map(ToString::to_string).chain(told_evicted).collect();
            return Err(timed_out(run, &consumers, &all.join("; ")));
        }
        let again = if told_evicted.is_empty() { deadline } else { deadline.min(Instant::now() + evict::ASK_AGAIN) };
        tokio::select! {
            () = pulse.changed() => {}
            () = tokio::time::sleep_until(again.into()) => {}
            () = interrupt.asked() => return Err(interrupted()),
        }
    }
}

/// Whether a rollout is over, as its controller has seen the template, and no pod comes or goes.
fn is_at_rest(consumer: &Consumer) -> bool {
    consumer.is_rolled_out() && consumer.pods.iter().all(|pod| pod.ready && !pod.terminating)
}

fn mix(now: &Observation, consumers: &[&Consumer], version: VersionId) -> Mix {
    let pods = || consumers.iter().flat_map(|consumer| consumer.pods.iter().map(move |pod| (*consumer, pod)));
    if pods().all(|(consumer, pod)| is_new(now, consumer, pod, version)) {
        return Mix::NewAlone;
    }
    match pods().any(|(consumer, pod)| pod.ready && is_new(now, consumer, pod, version)) {
        true => Mix::Both,
        false => Mix::OldAlone,
    }
}

/// Waits until no consumer has a rollout under way or a pod that is leaving, whoever began it; returns them as they are
/// then. Fails when a rollout is stuck, or after `limit`.
pub async fn settled(
    run: &Run<'_>,
    before: &Observation,
    step: StepName,
    limit: Duration,
) -> Result<Observation, Problem> {
    let deadline = Instant::now() + limit;
    let mut interrupt = run.interrupt.clone();
    let kinds: BTreeSet<WorkloadKind> = before.consumers.iter().map(|consumer| consumer.workload.kind).collect();
    let mut watched = vec![Watched::Pods];
    watched.extend(kinds.into_iter().map(Watched::Workloads));
    let mut pulse = run.cluster.pulse(&watched);
    let mut told: Vec<WorkloadRef> = Vec::new();
    loop {
        run.interrupt.check()?;
        let now = look_at_consumers(run.request, run.cluster, before).await?;
        run.teller.saw(&now, Look::Consumers);
        if let Some(problem) = now.moved().find_map(|consumer| stuck(run, consumer)) {
            return Err(problem);
        }
        let moving = now.moved().filter(|consumer| {
            !consumer.is_rolled_out() || consumer.pods.iter().any(|pod| pod.terminating || !pod.ready)
        });
        let workloads: Vec<WorkloadRef> = moving.map(|consumer| consumer.workload.clone()).collect();
        if workloads.is_empty() {
            return Ok(now);
        }
        if workloads != told {
            run.teller.tell(step, StepState::Waiting, &Happening::Settles { workloads: workloads.clone() });
            told = workloads;
        }
        if Instant::now() >= deadline {
            let consumers: Vec<&Consumer> =
                now.consumers.iter().filter(|consumer| told.contains(&consumer.workload)).collect();
            return Err(timed_out(run, &consumers, &format!("the pods of {} are changing", listed(&told))));
        }
        tokio::select! {
            () = pulse.changed() => {}
            () = tokio::time::sleep_until(deadline.into()) => {}
            () = interrupt.asked() => return Err(interrupted()),
        }
    }
}

/// Whether the pod started after the bytes were proven: by the restart's annotations, as long as the template has them;
/// where something took them away, by its creation after the last write of every Secret it reads.
fn is_new(now: &Observation, consumer: &Consumer, pod: &PodView, version: VersionId) -> bool {
    if consumer.version == Some(version) {
        return pod.version == Some(version) && pod.restart == consumer.restart;
    }
    let written = now.filling(&consumer.secrets).map(|external| external.written).max().flatten();
    pod.version == Some(version) || pod.created.zip(written).is_some_and(|(created, written)| created > written)
}

/// How far a consumer's restart is; none where nothing is missing.
fn missing(now: &Observation, consumer: &Consumer, version: VersionId) -> Option<Replacement> {
    let new: Vec<_> = consumer.pods.iter().filter(|pod| is_new(now, consumer, pod, version)).collect();
    let (old, ready) =
        (consumer.pods.len() - new.len(), new.iter().filter(|pod| pod.ready && !pod.terminating).count());
    if consumer.is_rolled_out() && old == 0 && new.iter().all(|pod| pod.ready || pod.terminating) {
        return None;
    }
    let desired = usize::try_from(consumer.desired).unwrap_or_default();
    let of_pod = new.iter().find_map(|pod| Some(format!("pod {}: {}", pod.name, pod.trouble.as_ref()?)));
    let troubles: Vec<String> = of_pod.into_iter().chain(consumer.moving.waits_for.iter().cloned()).collect();
    let trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
    Some(Replacement { workload: consumer.workload.clone(), ready, desired, old, trouble })
}

fn stuck(run: &Run<'_>, consumer: &Consumer) -> Option<Problem> {
    let Rollout::Stuck { reason } = &consumer.rollout else { return None };
    let trouble = consumer
        .pods
        .iter()
        .find_map(|pod| pod.trouble.as_ref())
        .map(|trouble| format!(" ({trouble})"))
        .unwrap_or_default();
    let line = format!("the rollout of {} is stuck: {reason}{trouble}", consumer.workload);
    Some(Problem::new(Reason::RolloutStuck, line).hint(command![
        "kubectl",
        "describe",
        consumer.workload,
        "-n",
        run.request.account
    ]))
}

/// The Kubernetes Secrets that were written since their bytes were proven. A scheduled sync that changes nothing writes
/// nothing, so any write is a reason to look again: pods that started meanwhile may hold what it wrote.
async fn written_meanwhile(run: &Run<'_>, progress: &Progress) -> Result<BTreeSet<ObjectName>, Problem> {
    let looks = progress.proven.iter().map(|(name, version)| async move {
        let target = run.cluster.secret(name.as_str()).await?;
        let same = target.is_some_and(|target| target.resource_version == *version);
        Ok::<_, Problem>((!same).then(|| name.clone()))
    });
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}

/// The wait took too long: what is missing, and for each consumer what may help.
fn timed_out(run: &Run<'_>, consumers: &[&Consumer], waited_for: &str) -> Problem {
    let account = &run.request.account;
    let problem =
        Problem::new(Reason::RolloutTimeout, format!("gave up after {}s: {waited_for}", run.request.timeout.as_secs()));
    let problem = consumers.iter().fold(problem, |problem, consumer| {
        problem.hint(command!["kubectl", "rollout", "status", consumer.workload, "-n", account])
    });
    let kept = consumers.iter().flat_map(|consumer| &consumer.pods).filter(|pod| pod.place.kept.is_some());
    let problem = kept.fold(problem, |problem, pod| {
        let look = command!["kubectl", "describe", "pod", pod.name, "-n", account];
        let problem = problem.hint(Hint::to("see what keeps it: a finalizer, or its node", look));
        let node = pod.place.node.as_ref().map(|node| command!["kubectl", "describe", "node", node]);
        node.into_iter().fold(problem, Problem::hint)
    });
    let paused = consumers.iter().filter(|consumer| consumer.paused);
    let problem = paused.fold(problem, |problem, consumer| {
        problem.hint(command!["kubectl", "rollout", "resume", consumer.workload, "-n", account])
    });
    let waits = |consumer: &&&Consumer| !consumer.moving.waits_for.is_empty() && !consumer.paused;
    consumers.iter().filter(waits).fold(problem, |problem, consumer| {
        problem.hint(format!(
            "or repeat the command with --evict {}: its pods are evicted one after the other, and what never comes is not waited for",
            consumer.workload
        ))
    })
}
