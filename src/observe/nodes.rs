//! Pods that their nodes keep: those that should have ended by now, and those whose node does not answer.
//!
//! A node that is gone ends no pod: the API server lists it for ever, and whether its processes still run nobody can ask. Such a
//! pod does not count as running once its grace period is over, and is always named.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};

use crate::clients::cluster::Cluster;
use crate::clients::error::ApiErrorKind;

/// How long a pod may take beyond its grace period before that is told.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);
/// How long a node may be silent before pods that tolerate that for ever (a DaemonSet's) do not count: what the others tolerate by default.
const SILENT: SignedDuration = SignedDuration::from_mins(5);
/// How long a pod that runs is not ready before its node is asked about: as long as the node controller waits for a heartbeat.
const NOT_READY: SignedDuration = SignedDuration::from_secs(40);
/// The most nodes that are asked about in one look.
const MOST_NODES: usize = 20;

/// What is known of the nodes of pods that seem to be kept by them.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    /// The API server's clock; none where nothing seemed amiss.
    pub now: Option<Timestamp>,
    /// The nodes that do not answer, each with since when.
    pub silent: BTreeMap<String, Option<Timestamp>>,
}

/// What a node does with a pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hold {
    /// Nothing that is amiss.
    None,
    /// It keeps it, in words.
    Kept(String),
    /// It is gone, and the pod does not count as running: why, in words.
    Lost(String),
}

/// Asks about the nodes of pods that seem to be kept. Without the right to read nodes a pod that should have ended is told all the same.
pub async fn nodes(cluster: &Cluster, pods: &[Pod]) -> Nodes {
    let suspects = suspects(pods, Timestamp::now());
    if suspects.is_empty() {
        return Nodes::default();
    }
    // Nothing here is needed: what cannot be read is not told.
    let Ok(now) = cluster.server_time().await else { return Nodes::default() };
    let mut silent = BTreeMap::new();
    for name in suspects.into_iter().filter(|name| !name.is_empty()).take(MOST_NODES) {
        match cluster.cluster_get::<Node>(&name).await {
            Ok(node) => silent.extend(node.as_ref().and_then(silent_since).map(|since| (name, since))),
            Err(error) if error.kind == ApiErrorKind::Forbidden => break,
            Err(_) => {}
        }
    }
    Nodes { now: Some(now), silent }
}

/// The nodes of pods that seem to be kept, by this machine's clock: a reason to ask, and no more. An empty name for a pod that has none.
fn suspects(pods: &[Pod], now: Timestamp) -> BTreeSet<String> {
    let seems = |pod: &&Pod| {
        let leaving = pod.metadata.deletion_timestamp.as_ref().is_some_and(|at| at.0 <= now);
        leaving || not_ready_since(pod).is_some_and(|since| since <= now - NOT_READY)
    };
    pods.iter().filter(seems).map(|pod| node(pod).unwrap_or_default().to_owned()).collect()
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// Since when a pod that runs is not ready.
fn not_ready_since(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Running"))?;
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready")?;
    ready.last_transition_time.as_ref().filter(|_| ready.status != "True").map(|at| at.0)
}

/// Since when the node controller has heard nothing of a node. One that says itself that it is not ready answers.
fn silent_since(node: &Node) -> Option<Option<Timestamp>> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    (ready.status == "Unknown").then(|| ready.last_transition_time.as_ref().map(|at| at.0))
}

impl Nodes {
    /// What its node does with a pod.
    pub fn hold(&self, pod: &Pod) -> Hold {
        let Some(now) = self.now else { return Hold::None };
        let (name, node) = (pod.metadata.name.as_deref().unwrap_or_default(), node(pod).unwrap_or("(none)"));
        let leaving = pod.metadata.deletion_timestamp.as_ref().map(|at| at.0);
        let overdue = leaving.filter(|at| *at < now - OVERDUE);
        let lost = pod.status.as_ref().and_then(|status| status.reason.as_deref()) == Some("NodeLost");
        let silent = self.silent.get(node).copied().or(lost.then_some(None));
        let since = |at: Option<Timestamp>| at.map(|at| format!(" since {at}")).unwrap_or_default();
        match (silent, overdue) {
            (Some(at), Some(_)) => Hold::Lost(format!("node {node} does not answer{}", since(at))),
            (Some(Some(at)), None) if leaving.is_none() && at < now - SILENT => {
                Hold::Lost(format!("node {node} does not answer since {at}"))
            }
            (Some(at), None) => Hold::Kept(format!("pod {name} is on node {node}, which does not answer{}", since(at))),
            (None, Some(at)) => Hold::Kept(format!("pod {name} on node {node} should have ended at {at}, and has not")),
            (None, None) => Hold::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn pod(leaves: Option<&str>, ready_since: Option<&str>, reason: Option<&str>) -> Pod {
        let status = if ready_since.is_some() { "False" } else { "True" };
        let conditions = json!([{"type": "Ready", "status": status, "lastTransitionTime": ready_since}]);
        serde_json::from_value(json!({
            "metadata": {"name": "spooler-1", "deletionTimestamp": leaves},
            "spec": {"nodeName": "node-1", "containers": []},
            "status": {"phase": "Running", "reason": reason, "conditions": conditions},
        }))
        .expect("a pod")
    }

    #[test]
    fn a_pod_is_lost_when_its_node_is_silent_and_its_grace_is_over() {
        let now = "2026-11-30T10:00:00Z";
        let silent =
            |since: &str| Nodes { now: Some(at(now)), silent: [("node-1".to_owned(), Some(at(since)))].into() };
        let answers = || Nodes { now: Some(at(now)), silent: BTreeMap::new() };
        let (long_ago, just_now, later) = ("2026-11-30T09:00:00Z", "2026-11-30T09:59:50Z", "2026-11-30T10:00:20Z");
        let cases = [
            ("leaves in time", answers(), pod(Some(later), None, None), "none"),
            ("a few seconds over", answers(), pod(Some(just_now), None, None), "none"),
            ("for ever", answers(), pod(Some(long_ago), None, None), "kept"),
            ("for ever, on a silent node", silent(long_ago), pod(Some(long_ago), None, None), "lost"),
            ("grace not over", silent(long_ago), pod(Some(later), None, None), "kept"),
            ("tolerates it for ever", silent(long_ago), pod(None, Some(long_ago), None), "lost"),
            ("silent for a moment", silent(just_now), pod(None, Some(just_now), None), "kept"),
            ("the pod's own status says so", answers(), pod(Some(long_ago), None, Some("NodeLost")), "lost"),
            ("not ready, and its node answers", answers(), pod(None, Some(long_ago), None), "none"),
            ("nothing was asked", Nodes::default(), pod(Some(long_ago), None, None), "none"),
        ];
        for (name, nodes, pod, expected) in cases {
            let found = match nodes.hold(&pod) {
                Hold::None => "none",
                Hold::Kept(words) => {
                    assert!(words.contains("spooler-1") && words.contains("node-1"), "{words}");
                    "kept"
                }
                Hold::Lost(words) => {
                    assert!(words.contains("node-1"), "{words}");
                    "lost"
                }
            };
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn nodes_are_asked_about_only_where_a_pod_seems_to_be_kept() {
        let now = at("2026-11-30T10:00:00Z");
        let asked = |pod: Pod| !suspects(&[pod], now).is_empty();
        assert!(asked(pod(Some("2026-11-30T09:59:59Z"), None, None)));
        assert!(asked(pod(None, Some("2026-11-30T09:59:00Z"), None)));
        assert!(!asked(pod(Some("2026-11-30T10:00:10Z"), None, None)));
        assert!(!asked(pod(None, Some("2026-11-30T09:59:50Z"), None)));
        assert!(!asked(pod(None, None, None)));
    }

    #[test]
    fn a_node_that_says_that_it_is_not_ready_answers() {
        let node = |status: &str| -> Node {
            let ready: Value = json!({"type": "Ready", "status": status, "lastTransitionTime": "2026-11-30T09:00:00Z"});
            serde_json::from_value(json!({"metadata": {"name": "n"}, "status": {"conditions": [ready]}}))
                .expect("a node")
        };
        assert_eq!(silent_since(&node("Unknown")), Some(Some(at("2026-11-30T09:00:00Z"))));
        assert_eq!(silent_since(&node("False")), None);
        assert_eq!(silent_since(&node("True")), None);
    }
}
