//! The `scale` of a workload: its replicas alone.

use serde_json::{Value, json};

use super::columns::label_selector;
use super::resource::Resource;

/// The `Scale` of a workload.
pub(super) fn of(resource: &Resource, object: &Value) -> Value {
    let from = &object["metadata"];
    let selector = match label_selector(&object["spec"]["selector"]) {
        none if none == "<none>" => String::new(),
        selector => selector,
    };
    // The real type does not write a zero here.
    let replicas = match object["spec"]["replicas"].as_i64() {
        None | Some(0) => json!({}),
        Some(replicas) => json!({"replicas": replicas}),
    };
    debug_assert!(resource.has_scale, "only workloads have a scale");
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": from["name"], "namespace": from["namespace"], "uid": from["uid"],
            "resourceVersion": from["resourceVersion"], "creationTimestamp": from["creationTimestamp"]},
        "spec": replicas,
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0), "selector": selector}})
}

/// Takes the replicas of a written `Scale` over.
pub(super) fn take_over(object: &mut Value, scale: &Value) {
    object["spec"]["replicas"] = json!(scale["spec"]["replicas"].as_i64().unwrap_or(0));
}
