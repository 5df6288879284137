//! Has a command of the application's own show whether re-encryption is done (docs/protocol.md, Finalizing): a Job made from a
//! consumer's pod template, its log shown, its end respected, and taken away afterwards however it ended.
//!
//! Done under the lock and before the first write of a finalization: what fails here has changed nothing.

pub mod manifest;
mod pod;
mod watch;

use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::arrive::FIELD_MANAGER;
use crate::clients::cluster::Cluster;
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::lock::{Lock, Operator};
use crate::observe::Seen;
use crate::observe::redaction::Redaction;
use crate::observe::template::{Template, template};
use crate::run::{Run, interrupted};
use deepdesk_protocol::command;
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::reencryption::Reencryption;
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::hint::{Command, Hint};
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::EvidenceResult;

const STEP: StepName = StepName::Reencrypt;
/// How long the pods of a deleted Job are waited for. They end in their own time; that they are asked to is what counts.
const GONE: Duration = Duration::from_secs(10);
/// How often a Job is sent to be created, after answers that got lost.
const CREATIONS: usize = 3;

/// Runs the command and waits for its end. The evidence is there also where it speaks against a finalization.
pub async fn reencrypt(
    run: &Run<'_>,
    lock: &Lock,
    seen: &Seen,
    asked: &Reencryption,
    operator: &Operator,
) -> (Option<EvidenceResult>, Result<(), Problem>) {
    let mut evidence = None;
    let ended = steps(run, lock, seen, asked, operator, &mut evidence).await;
    let account = &run.request.account;
    let ended = ended.map_err(|mut problem| match problem.exit {
        Exit::Incomplete if problem.reason == Reason::LockLost => {
            problem.exit = Exit::Failed;
            problem.now("this command changed nothing; what others changed since then was not looked at")
        }
        // What is incomplete elsewhere has not begun here.
        Exit::Incomplete => {
            problem.exit = Exit::Failed;
            problem.now("nothing was changed: every older value can still be read")
        }
        Exit::Interrupted => problem
            .now("nothing was changed: every older value can still be read")
            .hint(Hint::to("the same command asks again", Command::secret("finalize", account))),
        _ => problem.now("nothing was changed: every older value can still be read"),
    });
    match &ended {
        Ok(()) => {
            let command = asked.command.to_string();
            run.teller.tell(STEP, StepState::Done, &Happening::NothingLeft { command });
        }
        Err(problem) => run.teller.tell(STEP, StepState::Failed, &Happening::failed(problem)),
    }
    (evidence, ended)
}

async fn steps(
    run: &Run<'_>,
    lock: &Lock,
    seen: &Seen,
    asked: &Reencryption,
    operator: &Operator,
    evidence: &mut Option<EvidenceResult>,
) -> Result<(), Problem> {
    let (from, job) = prepared(run.cluster, seen, asked, operator).await?;
    run.teller.tell(STEP, StepState::Started, &announced(asked, &from, operator));
    let fenced = run.cluster.fenced_by(lock.fence());
    take_away_older(run, &fenced).await?;
    // What the Secrets hold was compared a moment ago; that it is still so when the pod starts is what their versions show.
    let (redaction, versions) = Redaction::of(seen, run.cluster).await?;
    run.interrupt.check()?;
    let begun = Instant::now();
    let name = manifest::name(operator);
    let made = create(&fenced, &job, operator).await;
    let uid = made.as_ref().ok().and_then(|job| job.metadata.uid.clone());
    // One that certainly was not made is not deleted either: another of that name would be somebody else's.
    let may_be_there = made.as_ref().map_or_else(ApiError::is_outcome_unknown, |_| true);
    let ended = match made {
        Ok(_) => {
            let watched = watch::Watched {
                name: &name,
                uid: uid.as_deref(),
                from: &from,
                redaction: &redaction,
                versions: &versions,
            };
            watch::to_its_end(run, lock, asked, watched).await
        }
        Err(error) => Err(not_created(error, &name)),
    };
    let code = match &ended {
        Ok(()) => Some(0),
        Err(stopped) => stopped.code,
    };
    *evidence = Some(EvidenceResult::Job {
        command: asked.command.to_string(),
        job: name.clone(),
        workload: from.workload.to_string(),
        exit_code: code,
        seconds: (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    });
    let left = match may_be_there {
        // Our own, by its uid: whoever has the lock now has no use for it.
        true => take_away(run, run.cluster, &name, uid.as_deref()).await,
        false => None,
    };
    if let Some(why) = &left {
        run.teller.tell(STEP, StepState::Warning, &Happening::Says(why.clone()));
    }
    ended.map_err(|stopped| match left {
        Some(why) => stopped.problem.hint(why),
        None => stopped.problem,
    })
}

/// Why the command showed nothing, or the contrary.
struct Stopped {
    problem: Problem,
    /// What it ended with, where it ended.
    code: Option<i32>,
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Stopped {
        Stopped { problem, code: None }
    }
}

impl From<ApiError> for Stopped {
    fn from(error: ApiError) -> Stopped {
        Stopped { problem: error.into(), code: None }
    }
}

/// The template and the Job that is made of it.
pub async fn prepared(
    cluster: &Cluster,
    seen: &Seen,
    asked: &Reencryption,
    operator: &Operator,
) -> Result<(Template, Job), Problem> {
    let from = template(cluster, &seen.now, asked).await?;
    let services = cluster.services().await?;
    let job = manifest::job(cluster.namespace(), asked, &from, services.as_deref(), operator);
    Ok((from, job))
}

/// Lets the API server judge the creation without doing it.
pub async fn judge(cluster: &Cluster, job: &Job) -> Result<(), Problem> {
    cluster.as_dry_run().create_job(job, FIELD_MANAGER).await?;
    Ok(())
}

/// What is run, in words.
pub fn announced(asked: &Reencryption, from: &Template, operator: &Operator) -> Happening {
    Happening::RunsJob {
        command: asked.command.to_string(),
        job: manifest::name(operator),
        workload: from.workload.clone(),
        container: from.container.clone(),
    }
}

/// Creates the Job once, whatever becomes of the answers.
async fn create(cluster: &Cluster, job: &Job, operator: &Operator) -> Result<Job, ApiError> {
    let name = manifest::name(operator);
    let mut lost = None;
    for _ in 0..CREATIONS {
        match cluster.create_job(job, FIELD_MANAGER).await {
            Err(error) if error.is_outcome_unknown() || error.kind == ApiErrorKind::AlreadyExists => {
                let there = cluster.get::<Job>(&name).await?;
                let is_ours = |job: &Job| {
                    job.metadata.annotations.as_ref().and_then(|all| all.get(manifest::RUN)) == Some(&operator.run)
                };
                match there {
                    Some(job) if is_ours(&job) => return Ok(job),
                    Some(_) => return Err(error),
                    None => lost = Some(error),
                }
            }
            Err(error) if lost.is_some() => return Err(error.after_sending()),
            answer => return answer,
        }
    }
    Err(lost.expect("each turn of the loop that goes on has an error"))
}

fn not_created(error: ApiError, name: &str) -> Stopped {
    if let ApiErrorKind::Fenced { .. } = error.kind {
        return error.into();
    }
    let line = format!("job {name} cannot be created: {error}");
    Problem::new(Reason::ReencryptionNotStarted, line).into()
}

/// Deletes what an earlier run left behind, which was killed before it could. Nobody else runs one: the lock is ours.
async fn take_away_older(run: &Run<'_>, fenced: &Cluster) -> Result<(), Problem> {
    for job in run.cluster.labelled_jobs(&format!("{}={}", manifest::LABEL, run.request.account)).await? {
        let Some(name) = &job.metadata.name else { continue };
        if let Some(why) = take_away(run, fenced, name, job.metadata.uid.as_deref()).await {
            return Err(Problem::new(Reason::ReencryptionLeftBehind, why));
        }
        // Until it is gone a pod may write under the value that it started with, which the change would wait for in vain.
        all_ended(run, name).await?;
        run.teller.tell(STEP, StepState::Warning, &Happening::DeletedJob { job: name.clone() });
    }
    Ok(())
}

/// Waits until no pod of a deleted Job is left.
async fn all_ended(run: &Run<'_>, name: &str) -> Result<(), Problem> {
    let mut interrupt = run.interrupt.clone();
    let left = tokio::select! {
        left = pods_left(run, name, |_| true, run.request.timeout) => left?,
        () = interrupt.asked() => return Err(interrupted()),
    };
    if left == 0 {
        return Ok(());
    }
    let line = format!("the pods of job {name}, which an earlier run left behind, have not ended");
    Err(Problem::new(Reason::ReencryptionLeftBehind, line).hint(Hint::to(
        "look at them",
        command!["kubectl", "get", "pods", "-l", format!("job-name={name}"), "-n", run.request.account],
    )))
}

/// How many such pods of a Job are left when none is any more, or after `limit`.
async fn pods_left(
    run: &Run<'_>,
    name: &str,
    counts: impl Fn(&Pod) -> bool,
    limit: Duration,
) -> Result<usize, ApiError> {
    let deadline = Instant::now() + limit;
    loop {
        let pods = run.cluster.labelled_pods(&format!("job-name={name}")).await?;
        let left = pods.iter().filter(|pod| counts(pod)).count();
        if left == 0 || Instant::now() >= deadline {
            return Ok(left);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Deletes a Job and its pods; where that fails, says what to do.
async fn take_away(run: &Run<'_>, cluster: &Cluster, name: &str, uid: Option<&str>) -> Option<String> {
    let account = &run.request.account;
    let by_hand = format!("delete it: kubectl delete job {name} -n {account}");
    let deleted = cluster.delete_job(name, uid).await;
    // One of the same name and another uid would be none of ours.
    if let Err(error) = deleted
        && error.kind != ApiErrorKind::Conflict
    {
        return Some(format!("job {name} was not deleted: {error}; {by_hand}"));
    }
    match pods_left(run, name, |pod| pod.metadata.deletion_timestamp.is_none(), GONE).await {
        Ok(0) => None,
        Ok(left) => Some(format!(
            "job {name} is deleted, and {left} of its pods are still there: kubectl delete pod -l job-name={name} -n {account}"
        )),
        Err(error) => Some(format!("whether the pods of job {name} are gone cannot be seen: {error}")),
    }
}
