//! Jobs: one pod after another until as many as wanted have ended well, or too many have not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::fields::text;
use super::workloads::{is_leaving, is_ready, number, owned_by, pod_of};
use crate::clock::others_now as now;
use crate::cluster::resource;
use crate::world::World;

const MANAGER: &str = "kube-controller-manager";
/// Deadlines pass without anybody changing anything.
const TICK: Duration = Duration::from_millis(200);

pub async fn run(world: Arc<World>) {
    let mut changes = world.cluster.changes();
    loop {
        changes.borrow_and_update();
        let jobs = world.cluster.list(resource("jobs"), None);
        jobs.iter().for_each(|job| reconcile(&world, job));
        let pause = if jobs.is_empty() { Duration::from_secs(60) } else { TICK };
        let _ = tokio::time::timeout(pause, changes.changed()).await;
    }
}

fn reconcile(world: &World, job: &Value) {
    let namespace = text(job, "/metadata/namespace");
    let suspended = job.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
    if is_leaving(job) || suspended {
        return;
    }
    if let Some(ended) = ended(job) {
        if let Some(kept) = job.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_i64)
            && seconds_since(ended) >= kept
        {
            let _ = world.cluster.delete(resource("jobs"), Some(namespace), text(job, "/metadata/name"));
        }
        return;
    }
    let all = world.cluster.list(resource("pods"), Some(namespace));
    let pods: Vec<&Value> = all.iter().filter(|pod| owned_by(pod, job)).collect();
    let phase = |wanted: &str| pods.iter().filter(|pod| text(pod, "/status/phase") == wanted).count();
    let (succeeded, failed) = (phase("Succeeded"), phase("Failed"));
    let active: Vec<&&Value> =
        pods.iter().filter(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")).collect();
    let limit = job.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64);
    let late = limit.is_some_and(|limit| seconds_since(text(job, "/status/startTime")) >= limit);
    let end = if succeeded >= usize_of(number(job, "/spec/completions")) {
        Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods"))
    } else if failed > usize_of(number(job, "/spec/backoffLimit")) {
        Some(("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"))
    } else if late {
        Some(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    } else {
        None
    };
    if end.is_some() {
        for pod in &active {
            let _ = world.cluster.delete(resource("pods"), Some(namespace), text(pod, "/metadata/name"));
        }
    } else if active.is_empty() && backed_off(&pods, failed) {
        let mut pod = pod_of(job, namespace, "Job");
        pod["metadata"]["ownerReferences"][0]["apiVersion"] = json!("batch/v1");
        pod["metadata"]["generateName"] = json!(format!("{}-", text(job, "/metadata/name")));
        // The change makes the next wake-up, which counts it.
        let _ = world.cluster.create(resource("pods"), Some(namespace), pod, MANAGER);
    }
    let ready = active.iter().filter(|pod| is_ready(pod)).count();
    let running = if end.is_some() { 0 } else { active.len() };
    status(
        world,
        namespace,
        job,
        [("active", running), ("ready", ready), ("succeeded", succeeded), ("failed", failed)],
        end,
    );
}

/// Whether the pause after the last failure is over: 10 s after the first, twice as long after each.
fn backed_off(pods: &[&Value], failed: usize) -> bool {
    let ended = |pod: &&Value| text(pod, "/status/containerStatuses/0/state/terminated/finishedAt").to_owned();
    let Some(last) = pods.iter().map(ended).max().filter(|_| failed > 0) else { return true };
    let times = u32::try_from(failed - 1).unwrap_or(u32::MAX).min(6);
    seconds_since(&last) >= 10 << times
}

fn usize_of(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn status(world: &World, namespace: &str, job: &Value, counts: [(&str, usize); 4], end: Option<(&str, &str, &str)>) {
    let name = text(job, "/metadata/name");
    let _ = world.cluster.update_status(resource("jobs"), Some(namespace), name, MANAGER, None, |job| {
        let started = match text(job, "/status/startTime") {
            "" => now(),
            started => started.to_owned(),
        };
        let mut status = json!({"startTime": started, "terminating": 0, "uncountedTerminatedPods": {}});
        // Zeros are left out but for these, whose fields are pointers in Go.
        for (field, count) in counts.into_iter().filter(|(field, count)| *count > 0 || *field == "ready") {
            status[field] = json!(count);
        }
        if let Some((kind, reason, message)) = end {
            let condition = |kind: &str| {
                json!({"type": kind, "status": "True", "reason": reason, "message": message,
                "lastProbeTime": now(), "lastTransitionTime": now()})
            };
            let target = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
            status["conditions"] = json!([condition(target), condition(kind)]);
            if kind == "Complete" {
                status["completionTime"] = json!(now());
            }
        }
        job["status"] = status;
    });
}

/// When it ended; none while it runs.
fn ended(job: &Value) -> Option<&str> {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array)?;
    let over = conditions.iter().find(|condition| matches!(text(condition, "/type"), "Complete" | "Failed"))?;
    Some(text(over, "/lastTransitionTime"))
}

fn seconds_since(time: &str) -> i64 {
    let Ok(time) = time.parse::<jiff::Timestamp>() else { return 0 };
    jiff::Timestamp::now().duration_since(time).as_secs()
}
