//! What a request asks for, read from its method and path alone: the words that faults and the log use.

use http::Method;

use crate::class::{Api, Class};
use crate::container;
use crate::path::{RestPath, verb};
use crate::query::Query;
use crate::secret_manager::route;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    pub api: Api,
    /// For Secret Manager the method's name, for Kubernetes `VERB/RESOURCE`.
    pub name: String,
    pub class: Class,
    /// The Kubernetes resource; none for the rest.
    pub resource: Option<ResourceRequest>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResourceRequest {
    /// As RBAC names it: get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: &'static str,
    pub path: RestPath,
}

impl ResourceRequest {
    /// The plural, with the subresource behind a slash.
    pub fn resource(&self) -> String {
        match self.path.subresource.as_str() {
            "" => self.path.plural.clone(),
            subresource => format!("{}/{subresource}", self.path.plural),
        }
    }

    /// The namespace that RBAC looks at: for a namespace itself its own.
    pub fn namespace(&self) -> Option<&str> {
        let own = self.path.name.as_ref().filter(|_| self.path.plural == "namespaces");
        self.path.namespace.as_ref().or(own).map(String::as_str)
    }
}

impl Operation {
    pub fn is_mutating(&self) -> bool {
        self.class == Class::Write
    }
}

pub fn is_secret_manager(path: &str) -> bool {
    path.starts_with("/v1/projects/")
}

pub fn describe(method: &Method, path: &str, query: &str) -> Operation {
    if container::is_container(path) {
        let name = container::method(path).to_owned();
        return Operation { api: Api::Container, name, class: Class::Read, resource: None };
    }
    if is_secret_manager(path) {
        let method = route::route(method, path).map(|call| call.method);
        let (name, class) = method.map_or(("unknown", Class::MetadataRead), |method| (method.name(), method.class()));
        return Operation { api: Api::SecretManager, name: name.to_owned(), class, resource: None };
    }
    let query = Query::parse(query);
    let asked = RestPath::parse(path)
        .and_then(|path| Some(ResourceRequest { verb: verb(method, &query, path.name.is_some())?, path }));
    let Some(asked) = asked else {
        let name = "discovery".to_owned();
        return Operation { api: Api::Kubernetes, name, class: Class::Discovery, resource: None };
    };
    let is_dry = query.get("dryRun").is_some();
    let class = match asked.verb {
        "watch" => Class::Watch,
        "get" | "list" => Class::Read,
        // A review asks a question; nothing is stored. A dry run stores nothing either.
        _ if matches!(asked.path.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io") => Class::Read,
        _ if is_dry => Class::Read,
        _ => Class::Write,
    };
    // A fault of an operation meets the one that does it.
    let dry = if is_dry { "dry-run-" } else { "" };
    let name = format!("{dry}{}/{}", asked.verb, asked.resource());
    Operation { api: Api::Kubernetes, name, class, resource: Some(asked) }
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
