//! Secret Manager's URLs: which method a request means, and on what.

use http::Method as Verb;

use crate::class::Class;
use crate::query::decode;

/// Where secrets live: a project, or one of its locations.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Parent {
    /// The project's id, or its number where a client wrote that.
    pub project: String,
    /// The location of regional secrets; none for global ones.
    pub location: Option<String>,
}

impl Parent {
    /// Reads `projects/P` or `projects/P/locations/L`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            ["projects", project] => Some(Parent { project: (*project).to_owned(), location: None }),
            ["projects", project, "locations", location] => {
                Some(Parent { project: (*project).to_owned(), location: Some((*location).to_owned()) })
            }
            _ => None,
        }
    }

    /// The name, with `project` in the project's place: its number in answers, its id in refusals.
    pub fn name(&self, project: &str) -> String {
        match &self.location {
            Some(location) => format!("projects/{project}/locations/{location}"),
            None => format!("projects/{project}"),
        }
    }
}

/// The methods of the API. Each variant is the RPC of the same name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    CreateSecret,
    GetSecret,
    ListSecrets,
    UpdateSecret,
    DeleteSecret,
    AddSecretVersion,
    GetSecretVersion,
    ListSecretVersions,
    AccessSecretVersion,
    EnableSecretVersion,
    DisableSecretVersion,
    DestroySecretVersion,
    GetIamPolicy,
    SetIamPolicy,
    TestIamPermissions,
}

impl Method {
    /// The name that faults and the log use.
    pub fn name(self) -> &'static str {
        match self {
            Method::CreateSecret => "createSecret",
            Method::GetSecret => "getSecret",
            Method::ListSecrets => "listSecrets",
            Method::UpdateSecret => "updateSecret",
            Method::DeleteSecret => "deleteSecret",
            Method::AddSecretVersion => "addSecretVersion",
            Method::GetSecretVersion => "getSecretVersion",
            Method::ListSecretVersions => "listSecretVersions",
            Method::AccessSecretVersion => "accessSecretVersion",
            Method::EnableSecretVersion => "enableSecretVersion",
            Method::DisableSecretVersion => "disableSecretVersion",
            Method::DestroySecretVersion => "destroySecretVersion",
            Method::GetIamPolicy => "getIamPolicy",
            Method::SetIamPolicy => "setIamPolicy",
            Method::TestIamPermissions => "testIamPermissions",
        }
    }

    /// The permission that the caller needs; none where asking is free.
    pub fn permission(self) -> Option<&'static str> {
        Some(match self {
            Method::CreateSecret => "secretmanager.secrets.create",
            Method::GetSecret => "secretmanager.secrets.get",
            Method::ListSecrets => "secretmanager.secrets.list",
            Method::UpdateSecret => "secretmanager.secrets.update",
            Method::DeleteSecret => "secretmanager.secrets.delete",
            Method::AddSecretVersion => "secretmanager.versions.add",
            Method::GetSecretVersion => "secretmanager.versions.get",
            Method::ListSecretVersions => "secretmanager.versions.list",
            Method::AccessSecretVersion => "secretmanager.versions.access",
            Method::EnableSecretVersion => "secretmanager.versions.enable",
            Method::DisableSecretVersion => "secretmanager.versions.disable",
            Method::DestroySecretVersion => "secretmanager.versions.destroy",
            Method::GetIamPolicy => "secretmanager.secrets.getIamPolicy",
            Method::SetIamPolicy => "secretmanager.secrets.setIamPolicy",
            Method::TestIamPermissions => return None,
        })
    }

    /// What the method counts as in Secret Manager's quotas.
    pub fn class(self) -> Class {
        match self {
            Method::CreateSecret
            | Method::UpdateSecret
            | Method::DeleteSecret
            | Method::AddSecretVersion
            | Method::EnableSecretVersion
            | Method::DisableSecretVersion
            | Method::DestroySecretVersion
            | Method::SetIamPolicy => Class::Write,
            Method::AccessSecretVersion => Class::Access,
            Method::GetSecret
            | Method::ListSecrets
            | Method::GetSecretVersion
            | Method::ListSecretVersions
            | Method::GetIamPolicy
            | Method::TestIamPermissions => Class::MetadataRead,
        }
    }
}

/// A method, and the resource that the URL names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    pub method: Method,
    pub parent: Parent,
    /// The secret's id; empty for methods on all secrets of the parent.
    pub secret: String,
    /// The version's number, alias or `latest`; empty for methods on a secret.
    pub version: String,
}

/// Reads a request's URL; none when the API has no such method.
pub fn route(verb: &Verb, path: &str) -> Option<Call> {
    let path = decode(path.strip_prefix("/v1/")?);
    let (resource, action) = match path.rsplit_once(':') {
        Some((resource, action)) => (resource, action),
        None => (path.as_str(), ""),
    };
    let parts: Vec<&str> = resource.split('/').collect();
    let (parent, rest) = match parts.as_slice() {
        ["projects", project, "locations", location, rest @ ..] if !rest.is_empty() => {
            (Parent { project: (*project).to_owned(), location: Some((*location).to_owned()) }, rest)
        }
        ["projects", project, rest @ ..] => (Parent { project: (*project).to_owned(), location: None }, rest),
        _ => return None,
    };
    let (method, secret, version) = match (verb.as_str(), rest, action) {
        ("POST", ["secrets"], "") => (Method::CreateSecret, "", ""),
        ("GET", ["secrets"], "") => (Method::ListSecrets, "", ""),
        ("GET", ["secrets", secret], "") => (Method::GetSecret, *secret, ""),
        ("PATCH", ["secrets", secret], "") => (Method::UpdateSecret, *secret, ""),
        ("DELETE", ["secrets", secret], "") => (Method::DeleteSecret, *secret, ""),
        ("POST", ["secrets", secret], "addVersion") => (Method::AddSecretVersion, *secret, ""),
        ("GET", ["secrets", secret], "getIamPolicy") => (Method::GetIamPolicy, *secret, ""),
        ("POST", ["secrets", secret], "setIamPolicy") => (Method::SetIamPolicy, *secret, ""),
        ("POST", ["secrets", secret], "testIamPermissions") => (Method::TestIamPermissions, *secret, ""),
        ("GET", ["secrets", secret, "versions"], "") => (Method::ListSecretVersions, *secret, ""),
        ("GET", ["secrets", secret, "versions", version], "") => (Method::GetSecretVersion, *secret, *version),
        ("GET", ["secrets", secret, "versions", version], "access") => (Method::AccessSecretVersion, *secret, *version),
        ("POST", ["secrets", secret, "versions", version], "enable") => {
            (Method::EnableSecretVersion, *secret, *version)
        }
        ("POST", ["secrets", secret, "versions", version], "disable") => {
            (Method::DisableSecretVersion, *secret, *version)
        }
        ("POST", ["secrets", secret, "versions", version], "destroy") => {
            (Method::DestroySecretVersion, *secret, *version)
        }
        _ => return None,
    };
    Some(Call { method, parent, secret: secret.to_owned(), version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_methods() {
        let cases = [
            ("GET", "/v1/projects/p/secrets", Some("ListSecrets p  ")),
            ("POST", "/v1/projects/p/secrets", Some("CreateSecret p  ")),
            ("GET", "/v1/projects/p/locations/eu/secrets/x", Some("GetSecret p@eu x ")),
            ("PATCH", "/v1/projects/p/secrets/x", Some("UpdateSecret p x ")),
            ("POST", "/v1/projects/p/secrets/x:addVersion", Some("AddSecretVersion p x ")),
            ("POST", "/v1/projects/p/secrets/x%3AaddVersion", Some("AddSecretVersion p x ")),
            ("GET", "/v1/projects/p/secrets/x/versions/latest:access", Some("AccessSecretVersion p x latest")),
            ("POST", "/v1/projects/p/secrets/x/versions/3:disable", Some("DisableSecretVersion p x 3")),
            ("GET", "/v1/projects/p/locations", None),
            ("GET", "/v1/projects/p/locations/eu", None),
            ("GET", "/v1/projects/p/secrets/x:addVersion", None),
            ("POST", "/v1/projects/p/secrets/x/versions/3:access", None),
            ("GET", "/v1/projects/p/secrets/x/y", None),
            ("GET", "/v2/projects/p/secrets", None),
        ];
        for (verb, path, expected) in cases {
            let seen = route(&verb.parse().unwrap(), path).map(|call| {
                let location = call.parent.location.map(|location| format!("@{location}")).unwrap_or_default();
                format!("{:?} {}{location} {} {}", call.method, call.parent.project, call.secret, call.version)
            });
            assert_eq!(seen.as_deref(), expected, "{verb} {path}");
        }
    }
}
