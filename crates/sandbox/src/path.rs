//! The paths of Kubernetes' REST API, and its verbs as RBAC names them.

use http::Method;

use crate::query::{Query, decode};

/// What a path below `/api` or `/apis` names, whether that is served or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RestPath {
    /// Empty for the core.
    pub group: String,
    pub version: String,
    /// None for what is of the whole cluster, also for a namespace itself.
    pub namespace: Option<String>,
    pub plural: String,
    /// None where the request is for many or makes a new one.
    pub name: Option<String>,
    /// `status`, `scale`, …; empty for the object itself.
    pub subresource: String,
}

impl RestPath {
    /// None for discovery, health and the like.
    pub fn parse(path: &str) -> Option<Self> {
        let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", version, rest),
            ["apis", group, version, rest @ ..] => (*group, version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // `namespaces/acme/status` is a part of the namespace itself.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, below) = rest.split_first()?;
        Some(Self {
            group: group.to_owned(),
            version: (*version).to_owned(),
            namespace,
            plural: (*plural).to_owned(),
            name: below.first().map(|name| (*name).to_owned()),
            subresource: below.get(1..).unwrap_or_default().join("/"),
        })
    }
}

/// The verb as RBAC names it; `is_one` where the path names an object.
pub fn verb(method: &Method, query: &Query, is_one: bool) -> Option<&'static str> {
    Some(match *method {
        Method::GET | Method::HEAD if query.flag("watch") => "watch",
        Method::GET | Method::HEAD if is_one => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if is_one => "delete",
        Method::DELETE => "deletecollection",
        _ => return None,
    })
}
