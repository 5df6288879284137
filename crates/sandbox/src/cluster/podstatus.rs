//! A pod in the three words of `kubectl get pods`: how much of it is ready, how it is, how often it was restarted.

use serde_json::Value;

use super::meta::text;

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

/// Reads them from the pod, in the order in which the real server lets one thing hide another. Init containers and restarts,
/// which the pods here do not have, are left out.
pub(super) fn of(pod: &Value) -> PodStatus {
    let status = &pod["status"];
    let mut reason = text(&status["phase"]);
    let (mut ready, mut restarts) = (0, 0);
    for container in array(&status["containerStatuses"]).iter().rev() {
        restarts += container["restartCount"].as_i64().unwrap_or(0);
        ready += usize::from(container["ready"] == true);
        let why = ["waiting", "terminated"].map(|state| text(&container["state"][state]["reason"]));
        reason = why.into_iter().find(|why| !why.is_empty()).unwrap_or(reason);
    }
    if pod["metadata"]["deletionTimestamp"].is_string() && !matches!(text(&status["phase"]), "Failed" | "Succeeded") {
        reason = "Terminating";
    }
    let total = array(&pod["spec"]["containers"]).len();
    PodStatus { ready: format!("{ready}/{total}"), reason: reason.to_owned(), restarts: restarts.to_string() }
}
