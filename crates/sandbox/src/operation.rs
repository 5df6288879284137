//! What a request asks for, read from its method and path alone: the words that faults and the log use.

use http::Method;

use crate::class::{Api, Class};
use crate::container;
use crate::secret_manager::route;

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    pub api: Api,
    /// For Secret Manager the method's name, for Kubernetes `VERB/RESOURCE`.
    pub name: String,
    pub class: Class,
    /// The Kubernetes resource; none for the rest.
    pub resource: Option<ResourceRequest>,
}

/// A request for a Kubernetes resource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResourceRequest {
    /// As RBAC names it: get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural, with the subresource behind a slash.
    pub resource: String,
    /// The namespace, unless the request is for the whole cluster.
    pub namespace: Option<String>,
    /// The object's name, unless the request is for many or makes a new one.
    pub name: Option<String>,
}

impl Operation {
    /// Whether the request changes something.
    pub fn is_mutating(&self) -> bool {
        self.class == Class::Write
    }
}

/// Whether this path belongs to Secret Manager.
pub fn is_secret_manager(path: &str) -> bool {
    path.starts_with("/v1/projects/")
}

/// Reads what a request asks for.
pub fn describe(method: &Method, path: &str, query: &str) -> Operation {
    if container::is_container(path) {
        let name = container::method(path).to_owned();
        return Operation { api: Api::Container, name, class: Class::Read, resource: None };
    }
    if is_secret_manager(path) {
        return match route::route(method, path) {
            Some(call) => Operation {
                api: Api::SecretManager,
                name: call.method.name().to_owned(),
                class: call.method.class(),
                resource: None,
            },
            None => Operation {
                api: Api::SecretManager,
                name: "unknown".to_owned(),
                class: Class::MetadataRead,
                resource: None,
            },
        };
    }
    match resource_request(method, path, query) {
        Some(request) => {
            let class = match request.verb {
                "watch" => Class::Watch,
                "get" | "list" => Class::Read,
                // A review asks a question; nothing is stored. A dry run stores nothing either.
                _ if request.group == "authorization.k8s.io" || request.group == "authentication.k8s.io" => Class::Read,
                _ if query.split('&').any(|pair| pair.starts_with("dryRun=")) => Class::Read,
                _ => Class::Write,
            };
            // A fault of an operation meets the one that does it.
            let dry = if query.split('&').any(|pair| pair.starts_with("dryRun=")) { "dry-run-" } else { "" };
            let name = format!("{dry}{}/{}", request.verb, request.resource);
            Operation { api: Api::Kubernetes, name, class, resource: Some(request) }
        }
        None => {
            Operation { api: Api::Kubernetes, name: "discovery".to_owned(), class: Class::Discovery, resource: None }
        }
    }
}

/// Splits a Kubernetes path; none for discovery, health and the like.
fn resource_request(method: &Method, path: &str, query: &str) -> Option<ResourceRequest> {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let group = match parts.as_slice() {
        ["api", _version, _, ..] => {
            parts.drain(..2);
            String::new()
        }
        ["apis", group, _version, _, ..] => {
            let group = (*group).to_owned();
            parts.drain(..3);
            group
        }
        _ => return None,
    };
    let mut request = ResourceRequest { group, ..ResourceRequest::default() };
    // `namespaces/acme` and `namespaces/acme/status` are about the namespace itself, `namespaces/acme/pods` about what is in it.
    if let ["namespaces", namespace, rest @ ..] = parts.as_slice() {
        request.namespace = Some((*namespace).to_owned());
        if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) {
            parts.drain(..2);
        }
    }
    let (plural, name, subresource) = match parts.as_slice() {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some(*name), None),
        [plural, name, rest @ ..] => (*plural, Some(*name), Some(rest.join("/"))),
        [] => return None,
    };
    request.resource = match subresource {
        Some(subresource) => format!("{plural}/{subresource}"),
        None => plural.to_owned(),
    };
    request.name = name.map(str::to_owned);
    let watch = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"));
    request.verb = match (method, name) {
        (&Method::GET | &Method::HEAD, _) if watch => "watch",
        (&Method::GET | &Method::HEAD, Some(_)) => "get",
        (&Method::GET | &Method::HEAD, None) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, Some(_)) => "delete",
        (&Method::DELETE, None) => "deletecollection",
        _ => return None,
    };
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named() {
        let cases = [
            ("GET", "/version", "", "discovery", Class::Discovery),
            ("GET", "/apis/apps/v1", "timeout=32s", "discovery", Class::Discovery),
            ("GET", "/api/v1/pods", "limit=500", "list/pods", Class::Read),
            ("GET", "/api/v1/namespaces/acme/pods", "watch=true", "watch/pods", Class::Watch),
            ("GET", "/api/v1/namespaces/acme", "", "get/namespaces", Class::Read),
            ("GET", "/api/v1/namespaces", "", "list/namespaces", Class::Read),
            ("GET", "/api/v1/namespaces/acme/pods/p/log", "", "get/pods/log", Class::Read),
            ("PATCH", "/apis/apps/v1/namespaces/acme/deployments/admin", "", "patch/deployments", Class::Write),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/a/deployments/b",
                "dryRun=All",
                "dry-run-patch/deployments",
                Class::Read,
            ),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "", "update/leases", Class::Write),
            (
                "POST",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                "",
                "create/selfsubjectaccessreviews",
                Class::Read,
            ),
            ("DELETE", "/api/v1/namespaces/acme/pods/p", "", "delete/pods", Class::Write),
            ("DELETE", "/api/v1/namespaces/acme/pods", "", "deletecollection/pods", Class::Write),
            ("POST", "/v1/projects/p/secrets/x:addVersion", "", "addSecretVersion", Class::Write),
            ("GET", "/v1/projects/p/secrets/x/versions/latest:access", "", "accessSecretVersion", Class::Access),
            ("GET", "/v1/projects/p/locations/l/secrets/x", "", "getSecret", Class::MetadataRead),
            ("GET", "/v1/projects/p/locations/l/clusters/c", "", "getCluster", Class::Read),
            ("POST", "/v1/projects/p/nonsense", "", "unknown", Class::MetadataRead),
        ];
        for (method, path, query, name, class) in cases {
            let seen = describe(&method.parse().unwrap(), path, query);
            assert_eq!((seen.name.as_str(), seen.class), (name, class), "{method} {path}?{query}");
        }
    }
}
