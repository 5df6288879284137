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

/// A method: the verb, the kind of place and the action by which a URL names it; its name in faults and the log; the permission
/// that it needs, without `secretmanager.` (asking for permissions is free); and what it counts as in the quotas.
type Row = (Method, &'static str, &'static str, &'static str, &'static str, &'static str, Class);

use Class::{Access, MetadataRead as Read, Write};
use Method as M;

const METHODS: &[Row] = &[
    (M::CreateSecret, "POST", "secrets", "", "createSecret", "secrets.create", Write),
    (M::GetSecret, "GET", "secret", "", "getSecret", "secrets.get", Read),
    (M::ListSecrets, "GET", "secrets", "", "listSecrets", "secrets.list", Read),
    (M::UpdateSecret, "PATCH", "secret", "", "updateSecret", "secrets.update", Write),
    (M::DeleteSecret, "DELETE", "secret", "", "deleteSecret", "secrets.delete", Write),
    (M::AddSecretVersion, "POST", "secret", "addVersion", "addSecretVersion", "versions.add", Write),
    (M::GetSecretVersion, "GET", "version", "", "getSecretVersion", "versions.get", Read),
    (M::ListSecretVersions, "GET", "versions", "", "listSecretVersions", "versions.list", Read),
    (M::AccessSecretVersion, "GET", "version", "access", "accessSecretVersion", "versions.access", Access),
    (M::EnableSecretVersion, "POST", "version", "enable", "enableSecretVersion", "versions.enable", Write),
    (M::DisableSecretVersion, "POST", "version", "disable", "disableSecretVersion", "versions.disable", Write),
    (M::DestroySecretVersion, "POST", "version", "destroy", "destroySecretVersion", "versions.destroy", Write),
    (M::GetIamPolicy, "GET", "secret", "getIamPolicy", "getIamPolicy", "secrets.getIamPolicy", Read),
    (M::SetIamPolicy, "POST", "secret", "setIamPolicy", "setIamPolicy", "secrets.setIamPolicy", Write),
    (M::TestIamPermissions, "POST", "secret", "testIamPermissions", "testIamPermissions", "", Read),
];

impl Method {
    fn row(self) -> &'static Row {
        METHODS.iter().find(|row| row.0 == self).expect("every method has its row")
    }

    pub fn name(self) -> &'static str {
        self.row().4
    }

    /// The permission that the caller needs; empty where asking is free.
    pub fn permission(self) -> String {
        if self.row().5.is_empty() { String::new() } else { format!("secretmanager.{}", self.row().5) }
    }

    /// What the method counts as in Secret Manager's quotas.
    pub fn class(self) -> Class {
        self.row().6
    }
}

pub fn is_permission(text: &str) -> bool {
    METHODS.iter().any(|row| text == row.0.permission())
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
    let (parent, rest) = resource.split_at(resource.find("/secrets")?);
    let parts: Vec<&str> = rest.split('/').skip(1).collect();
    let (place, secret, version) = match parts.as_slice() {
        ["secrets"] => ("secrets", "", ""),
        ["secrets", secret] => ("secret", *secret, ""),
        ["secrets", secret, "versions"] => ("versions", *secret, ""),
        ["secrets", secret, "versions", version] => ("version", *secret, *version),
        _ => return None,
    };
    let method = METHODS.iter().find(|row| (row.1, row.2, row.3) == (verb.as_str(), place, action))?.0;
    let parent = Parent::parse(parent)?;
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
