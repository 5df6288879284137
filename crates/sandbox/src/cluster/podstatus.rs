//! A pod in the three words of `kubectl get pods`: how much of it is ready, how it is, how often it was restarted.

use serde_json::Value;

use super::meta::text;
use crate::clock::{Clock, human};

/// What the columns READY, STATUS and RESTARTS say.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct PodStatus {
    pub ready: String,
    pub reason: String,
    pub restarts: String,
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Reads them from the pod, in the order in which the real server lets one thing hide another.
pub(super) fn of(pod: &Value, clock: &Clock) -> PodStatus {
    let status = &pod["status"];
    let mut reason = text(&status["phase"]).to_owned();
    if !text(&status["reason"]).is_empty() {
        reason = text(&status["reason"]).to_owned();
    }
    let is_gated = array(&status["conditions"])
        .iter()
        .any(|condition| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated");
    if is_gated {
        reason = "SchedulingGated".to_owned();
    }
    let mut ready = 0;
    let mut restarts = Restarts::default();
    match initialising(pod) {
        Some(why) => {
            array(&status["initContainerStatuses"]).iter().for_each(|container| restarts.add(container));
            reason = why;
        }
        None => {
            let mut is_any_running = false;
            for container in array(&status["containerStatuses"]).iter().rev() {
                restarts.add(container);
                let state = &container["state"];
                if !text(&state["waiting"]["reason"]).is_empty() {
                    reason = text(&state["waiting"]["reason"]).to_owned();
                } else if state["terminated"].is_object() {
                    reason = ended(&state["terminated"], "");
                } else if container["ready"] == true && state["running"].is_object() {
                    is_any_running = true;
                    ready += 1;
                }
            }
            if reason == "Completed" && is_any_running {
                let is_ready = array(&status["conditions"])
                    .iter()
                    .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
                reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
            }
        }
    }
    if pod["metadata"]["deletionTimestamp"].is_string() && !matches!(text(&status["phase"]), "Failed" | "Succeeded") {
        reason = if status["reason"] == "NodeLost" { "Unknown" } else { "Terminating" }.to_owned();
    }
    let total = array(&pod["spec"]["containers"]).len();
    PodStatus { ready: format!("{ready}/{total}"), reason, restarts: restarts.text(clock) }
}

/// Why the pod's containers have not begun: its first unfinished init container.
fn initialising(pod: &Value) -> Option<String> {
    let all = array(&pod["spec"]["initContainers"]).len();
    for (at, container) in array(&pod["status"]["initContainerStatuses"]).iter().enumerate() {
        let state = &container["state"];
        if state["terminated"]["exitCode"] == 0 {
            continue;
        }
        if state["terminated"].is_object() {
            return Some(ended(&state["terminated"], "Init:"));
        }
        return Some(match text(&state["waiting"]["reason"]) {
            "" | "PodInitializing" => format!("Init:{at}/{all}"),
            why => format!("Init:{why}"),
        });
    }
    None
}

fn ended(terminated: &Value, prefix: &str) -> String {
    match (text(&terminated["reason"]), terminated["signal"].as_i64().unwrap_or(0)) {
        ("", 0) => format!("{prefix}ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
        ("", signal) => format!("{prefix}Signal:{signal}"),
        (reason, _) => format!("{prefix}{reason}"),
    }
}

#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<String>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += container["restartCount"].as_i64().unwrap_or(0);
        let finished = text(&container["lastState"]["terminated"]["finishedAt"]);
        // Times of one form are in the order of their texts.
        if !finished.is_empty() && self.last.as_deref().is_none_or(|last| last < finished) {
            self.last = Some(finished.to_owned());
        }
    }

    fn text(&self, clock: &Clock) -> String {
        match self.last.as_deref().and_then(|time| clock.seconds_since(time)) {
            Some(seconds) if self.count > 0 => format!("{} ({} ago)", self.count, human(seconds)),
            _ => self.count.to_string(),
        }
    }
}
