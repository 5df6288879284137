//! What a container wrote last before it crashed on the new value: a restart that fails for that reason says so with its own words.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use super::Progress;
use crate::run::Run;
use deepdesk_protocol::command;
use deepdesk_protocol::facts::names::{VersionId, printable};
use deepdesk_protocol::hint::{Command, Hint};
use deepdesk_protocol::problem::{Problem, Reason};

/// Lines that are told.
const LINES: i64 = 3;
/// Characters that are told of them.
const MOST: usize = 400;

/// The problem of a restart, with the last words of a pod that was to start on this version and crashed, where there is one. A help, not a
/// need: what cannot be read is left out.
pub async fn added(run: &Run<'_>, progress: &Progress, version: VersionId, problem: Problem) -> Problem {
    if !matches!(problem.reason, Reason::RolloutStuck | Reason::RolloutTimeout) {
        return problem;
    }
    let pods = progress.seen.now.consumers.iter().flat_map(|consumer| &consumer.pods);
    let crashed: Vec<&str> = pods
        .filter(|pod| pod.trouble.is_some() && pod.version == Some(version) && !pod.terminating)
        .map(|pod| pod.name.as_str())
        .collect();
    if crashed.is_empty() {
        return problem;
    }
    let all: Vec<Pod> = run.cluster.list().await.unwrap_or_default();
    for pod in all.iter().filter(|pod| pod.metadata.name.as_deref().is_some_and(|name| crashed.contains(&name))) {
        if let Some((told, logs)) = told(run, pod).await {
            return problem.now(told).hint(Hint::to("read its whole log", logs));
        }
    }
    problem
}

async fn told(run: &Run<'_>, pod: &Pod) -> Option<(String, Command)> {
    let status = pod.status.as_ref()?;
    let statuses = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let (container, ended, previous) = statuses.into_iter().find_map(ended)?;
    let name = pod.metadata.name.as_deref()?;
    let words = match ended.message.as_deref().map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => message.to_owned(),
        None => {
            let log = run.cluster.log_tail(name, &container.name, previous, LINES).await.unwrap_or_default();
            log.join(" / ")
        }
    };
    // The end of a long text is what was said last.
    let words: Vec<char> = printable(words.trim()).chars().collect();
    let words: String = words[words.len().saturating_sub(MOST)..].iter().collect();
    let words = if words.is_empty() { "it wrote nothing".to_owned() } else { format!("its log ends with: {words}") };
    let told = format!("pod {name} (container {}) ended with exit code {}; {words}", container.name, ended.exit_code);
    let logs = command!["kubectl", "logs", name, "-c", container.name, "-n", run.request.account];
    Some((told, if previous { logs.with(["--previous"]) } else { logs }))
}

/// How a container ended, where it did not end well; whether it is waiting to be started again.
fn ended(container: &ContainerStatus) -> Option<(&ContainerStatus, &ContainerStateTerminated, bool)> {
    let now = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let failed = |ended: &&ContainerStateTerminated| ended.exit_code != 0;
    let now = now.filter(failed).map(|ended| (container, ended, false));
    now.or_else(|| before.filter(failed).map(|ended| (container, ended, true)))
}
