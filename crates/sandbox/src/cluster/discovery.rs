//! What is served: versions, groups and resources, in the aggregated form, and just enough OpenAPI.

use serde_json::{Value, json};

use super::resource::{RESOURCES, Resource};

const VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

/// The reviews: group, kind, plural. None is of a namespace.
pub(super) const REVIEWS: &[(&str, &str, &str)] = &[
    ("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews"),
    ("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
];

/// `/version`.
pub(super) fn version() -> Value {
    json!({"major": "1", "minor": "34", "emulationMajor": "1", "emulationMinor": "34", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "33", "gitVersion": "v1.34.4+sandbox", "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": "linux/amd64"})
}

/// The groups with their one version each, in the order in which the real server prefers them.
fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<(&str, &str)> = Vec::new();
    let named = RESOURCES.iter().map(|resource| (resource.group, resource.version));
    for group in named.chain(REVIEWS.iter().map(|review| (review.0, "v1"))) {
        if !group.0.is_empty() && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn plain_group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

/// `/apis/GROUP`.
pub(super) fn group(name: &str) -> Option<Value> {
    let (name, version) = groups().into_iter().find(|(group, _)| *group == name)?;
    let mut group = plain_group(name, version);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    Some(group)
}

fn in_group<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Resource> + 'a {
    RESOURCES.iter().filter(move |resource| resource.group == group && resource.version == version)
}

fn reviews_in<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Kind> + 'a {
    REVIEWS.iter().filter(move |review| review.0 == group && version == "v1")
}

type Kind = (&'static str, &'static str, &'static str);

fn subresources(resource: &'static Resource) -> Vec<(&'static str, Kind)> {
    let own = (resource.group, resource.version, resource.kind);
    let mut all = Vec::new();
    if resource.has_scale {
        all.push(("scale", ("autoscaling", "v1", "Scale")));
    }
    if resource.has_status {
        all.push(("status", own));
    }
    if resource.plural == "pods" {
        all.push(("eviction", ("policy", "v1", "Eviction")));
        all.push(("log", own));
    }
    all
}

/// `/api` and `/apis` in the form `APIGroupDiscoveryList` of this version (`v2` or `v2beta1`).
pub(super) fn aggregated(core: bool, form: &str) -> Value {
    let groups = if core { vec![("", "v1")] } else { groups() };
    let items: Vec<Value> = groups.iter().map(|(group, version)| aggregated_group(group, version)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{form}"), "metadata": {}, "items": items})
}

fn aggregated_group(group: &str, version: &str) -> Value {
    let kind = |(group, version, kind): Kind| json!({"group": group, "version": version, "kind": kind});
    let scope = |namespaced: bool| if namespaced { "Namespaced" } else { "Cluster" };
    let mut resources: Vec<Value> = in_group(group, version)
        .map(|resource| {
            let below: Vec<Value> = subresources(resource)
                .into_iter()
                .map(|(name, response)| {
                    json!({"subresource": name, "responseKind": kind(response), "verbs": ["get", "patch", "update"]})
                })
                .collect();
            json!({"resource": resource.plural, "responseKind": kind((resource.group, resource.version, resource.kind)),
                "scope": scope(resource.namespaced), "singularResource": resource.kind.to_lowercase(), "verbs": VERBS,
                "shortNames": resource.short_names, "categories": resource.categories, "subresources": below})
        })
        .collect();
    resources.extend(reviews_in(group, version).map(|(group, name, plural)| {
        json!({"resource": plural, "responseKind": kind((group, "v1", name)), "scope": "Cluster",
            "singularResource": name.to_lowercase(), "verbs": ["create"]})
    }));
    let metadata = if group.is_empty() {
        json!({"creationTimestamp": null})
    } else {
        json!({"name": group, "creationTimestamp": null})
    };
    json!({"metadata": metadata, "versions": [{"version": version, "resources": resources, "freshness": "Current"}]})
}

/// `/openapi/v3`: where each group's document is.
pub(super) fn openapi_index() -> Value {
    let mut paths = serde_json::Map::new();
    paths.insert("api/v1".to_owned(), json!({"serverRelativeURL": "/openapi/v3/api/v1?hash=SANDBOX"}));
    for (group, version) in groups() {
        let path = format!("apis/{group}/{version}");
        let url = format!("/openapi/v3/{path}?hash=SANDBOX");
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

/// `/openapi/v3/…`: no schemas, but for each kind the one thing that kubectl looks for before it writes: that the server
/// takes `fieldValidation`.
pub(super) fn openapi(group: &str, version: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for resource in in_group(group, version) {
        let root = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/{version}") };
        let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let path = format!("{root}{namespace}/{}/{{name}}", resource.plural);
        let kind = json!({"group": group, "version": version, "kind": resource.kind});
        let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"]
            .iter()
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
            .collect();
        let operation = json!({"x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": kind,
            "parameters": parameters, "responses": {"200": {"description": "OK"}}});
        paths.insert(path, json!({"patch": operation}));
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.4"}, "paths": paths,
        "components": {"schemas": {}}})
}
