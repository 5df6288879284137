//! Who may do what, which is all that the fault `forbidden` does not refuse.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::discovery::REVIEWS;
use super::meta::text;
use super::request::Ask;
use crate::faults::Faults;

/// Answers a review; these objects are never kept.
pub(super) fn create(faults: &Faults, ask: &Ask, group: &str, plural: &str) -> Result<(StatusCode, Value), Refusal> {
    let (_, kind, ..) =
        REVIEWS.iter().find(|review| review.0 == group && review.2 == plural).ok_or_else(Refusal::no_such_path)?;
    if ask.method != http::Method::POST {
        return Err(Refusal::method_not_allowed());
    }
    let asked = ask.object()?;
    let mut review = json!({"kind": kind, "apiVersion": format!("{group}/v1"),
        "metadata": {"creationTimestamp": ask.clock.now()}});
    if *kind != "SelfSubjectReview" {
        review["metadata"] = json!({"creationTimestamp": null});
        review["spec"] = asked["spec"].clone();
    }
    review["status"] = match *kind {
        "SelfSubjectReview" => json!({"userInfo": {"username": ask.user(), "groups": ask.groups()}}),
        _ => access(faults, &asked["spec"]),
    };
    Ok((StatusCode::CREATED, review))
}

fn access(faults: &Faults, spec: &Value) -> Value {
    let attributes = &spec["resourceAttributes"];
    if !attributes.is_object() {
        return json!({"allowed": true, "reason": "the sandbox's user may read every path"});
    }
    let resource = match text(&attributes["subresource"]) {
        "" => text(&attributes["resource"]).to_owned(),
        subresource => format!("{}/{subresource}", text(&attributes["resource"])),
    };
    match faults.forbids(text(&attributes["verb"]), &resource) {
        // RBAC allows or has no opinion; it never denies.
        true => json!({"allowed": false}),
        false => {
            json!({"allowed": true, "reason": "RBAC: allowed by ClusterRoleBinding \"sandbox\" of ClusterRole \"cluster-admin\" to User \"sandbox\""})
        }
    }
}
