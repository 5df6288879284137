//! How a Job stands, judged by itself and by its pod.
//!
//! Pure: objects in, facts out.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// How a Job stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Its container has not begun.
    Waiting {
        /// In words, for people.
        why: String,
        /// Whether waiting will not help by itself.
        trouble: bool,
    },
    /// Its container runs, or has just ended.
    Running,
    /// Its command ended with 0.
    Complete,
    Failed {
        /// What the command ended with, where it did.
        code: Option<i32>,
        /// The reason, as its condition says it.
        reason: String,
        /// What else is known, in the words of others: the application may have a part in them.
        words: String,
    },
}

/// Judges a Job whose command runs in this container.
pub fn standing(job: &Job, pods: &[Pod], container: &str) -> Standing {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions.filter(|condition| condition.status == "True") {
        match condition.type_.as_str() {
            "Complete" => return Standing::Complete,
            "Failed" => {
                let known = pods.iter().find_map(|pod| ended(pod, container));
                let (code, words) = known.unwrap_or_else(|| (None, condition.message.clone().unwrap_or_default()));
                let reason = condition.reason.clone().unwrap_or_default();
                return Standing::Failed { code, reason, words };
            }
            _ => {}
        }
    }
    let Some(pod) = pods.first() else {
        return Standing::Waiting { why: "it has no pod yet".to_owned(), trouble: false };
    };
    let begun = main(pod, container)
        .and_then(|status| status.state.as_ref())
        .is_some_and(|state| state.running.is_some() || state.terminated.is_some());
    if begun { Standing::Running } else { waiting(pod) }
}

/// Whether the container has begun in this pod.
pub fn has_begun(pod: &Pod, container: &str) -> bool {
    let state = main(pod, container).and_then(|status| status.state.as_ref());
    state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
}

/// Whether the container has ended in this pod.
pub fn has_ended(pod: &Pod, container: &str) -> bool {
    main(pod, container).and_then(|status| status.state.as_ref()).is_some_and(|state| state.terminated.is_some())
}

fn main<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    pod.status.as_ref()?.container_statuses.iter().flatten().find(|status| status.name == container)
}

/// With what the command ended, and what the kubelet says of it; or that an init container did not end well.
fn ended(pod: &Pod, container: &str) -> Option<(Option<i32>, String)> {
    let terminated = |status: &ContainerStatus| status.state.as_ref()?.terminated.clone();
    if let Some(end) = main(pod, container).and_then(terminated) {
        let told = [end.reason.filter(|reason| reason != "Error" && reason != "Completed"), end.message];
        return Some((Some(end.exit_code), told.into_iter().flatten().collect::<Vec<_>>().join(": ")));
    }
    let init = pod.status.as_ref()?.init_container_statuses.iter().flatten();
    init.filter_map(|status| terminated(status).map(|end| (status, end)))
        .find(|(_, end)| end.exit_code != 0)
        .map(|(status, end)| (None, format!("its init container {} exited with {}", status.name, end.exit_code)))
}

/// What a kubelet says while a container starts; anything else is trouble.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

fn waiting(pod: &Pod) -> Standing {
    let status = pod.status.as_ref();
    let containers = status.into_iter().flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    });
    let waits = containers.filter_map(|status| status.state.as_ref()?.waiting.as_ref());
    let reasons = waits.filter_map(|waiting| Some((waiting.reason.as_deref()?, waiting.message.as_deref())));
    let told: Vec<(&str, Option<&str>)> = reasons.collect();
    if let Some((reason, message)) = told.iter().find(|(reason, _)| !STARTING.contains(reason)) {
        let why = message.map_or_else(|| (*reason).to_owned(), |message| format!("{reason}: {message}"));
        return Standing::Waiting { why, trouble: true };
    }
    // A cluster that makes itself larger first says this too: so it is waited for.
    let conditions = status.iter().flat_map(|status| status.conditions.iter().flatten());
    let unscheduled = conditions
        .filter(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .find_map(|condition| condition.message.clone().or(condition.reason.clone()));
    let why = match (unscheduled, told.first()) {
        (Some(message), _) => format!("its pod has no node: {message}"),
        (None, Some((reason, _))) => format!("its pod starts ({reason})"),
        (None, None) => "its pod starts".to_owned(),
    };
    Standing::Waiting { why, trouble: false }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(conditions: Value, pod: Option<Value>) -> Standing {
        let job = serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}})).expect("a Job");
        let pods: Vec<Pod> = pod
            .into_iter()
            .map(|status| serde_json::from_value(json!({"metadata": {}, "status": status})).expect("a pod"))
            .collect();
        standing(&job, &pods, "main")
    }

    fn container(name: &str, state: Value) -> Value {
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state})
    }

    fn main(state: Value) -> Option<Value> {
        Some(json!({"containerStatuses": [container("side", json!({"running": {}})), container("main", state)]}))
    }

    #[test]
    fn a_job_is_judged_by_its_conditions_and_its_pod() {
        let failed = |reason: &str| {
            json!([{"type": "FailureTarget", "status": "True"},
            {"type": "Failed", "status": "True", "reason": reason, "message": "words"}])
        };
        let waiting = |why: &str, trouble| Standing::Waiting { why: why.to_owned(), trouble };
        let over = |code, reason: &str, words: &str| Standing::Failed {
            code,
            reason: reason.to_owned(),
            words: words.to_owned(),
        };
        let pull = json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}});
        let init = Some(json!({"initContainerStatuses": [container("wait", json!({"terminated": {"exitCode": 3}}))]}));
        let nodeless =
            Some(json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]}));
        let cases = [
            (json!([]), None, waiting("it has no pod yet", false)),
            (json!([]), Some(json!({"phase": "Pending"})), waiting("its pod starts", false)),
            (json!([]), nodeless, waiting("its pod has no node: 0/3 nodes", false)),
            (
                json!([]),
                main(json!({"waiting": {"reason": "ContainerCreating"}})),
                waiting("its pod starts (ContainerCreating)", false),
            ),
            (json!([]), main(pull), waiting("ImagePullBackOff: Back-off pulling image", true)),
            (json!([]), main(json!({"running": {}})), Standing::Running),
            (json!([]), main(json!({"terminated": {"exitCode": 0}})), Standing::Running),
            (json!([{"type": "Complete", "status": "False"}]), main(json!({"running": {}})), Standing::Running),
            (json!([{"type": "Complete", "status": "True"}]), None, Standing::Complete),
            (
                failed("BackoffLimitExceeded"),
                main(json!({"terminated": {"exitCode": 1, "reason": "Error"}})),
                over(Some(1), "BackoffLimitExceeded", ""),
            ),
            (
                failed("BackoffLimitExceeded"),
                main(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})),
                over(Some(137), "BackoffLimitExceeded", "OOMKilled"),
            ),
            (
                failed("BackoffLimitExceeded"),
                main(json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "not found"}})),
                over(Some(128), "BackoffLimitExceeded", "StartError: not found"),
            ),
            (
                failed("BackoffLimitExceeded"),
                init,
                over(None, "BackoffLimitExceeded", "its init container wait exited with 3"),
            ),
            (failed("DeadlineExceeded"), None, over(None, "DeadlineExceeded", "words")),
        ];
        for (conditions, pod, expected) in cases {
            assert_eq!(judged(conditions.clone(), pod.clone()), expected, "{conditions} {pod:?}");
        }
    }
}
