//! Who may do what: policies, the roles that Secret Manager knows, and the checks of a new policy.

use serde_json::{Map, Value, json};

use crate::google::ApiError;

/// The etag of a policy that was never set.
const UNSET: &str = "ACAB";

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binding {
    /// For example `roles/secretmanager.secretAccessor`.
    pub role: String,
    /// For example `serviceAccount:external-secrets@sandbox-project.iam.gserviceaccount.com`.
    pub members: Vec<String>,
}

/// A policy as the API carries it.
#[derive(Clone, Debug)]
pub struct Policy {
    bindings: Vec<Value>,
    version: u64,
    etag: String,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { bindings: Vec::new(), version: 1, etag: UNSET.to_owned() }
    }
}

impl Policy {
    /// A policy of these bindings.
    pub fn new(bindings: &[Binding], etag: String) -> Self {
        let bindings: Vec<Value> =
            bindings.iter().map(|binding| json!({ "role": binding.role, "members": binding.members })).collect();
        if bindings.is_empty() {
            return Policy::default();
        }
        Policy { bindings, etag, ..Policy::default() }
    }

    pub fn grant(&mut self, role: &str, member: &str) {
        self.bindings.push(json!({ "role": role, "members": [member] }));
    }

    pub fn answer(&self) -> Value {
        let mut answer = Map::new();
        if !self.bindings.is_empty() {
            answer.insert("version".to_owned(), json!(self.version));
        }
        answer.insert("etag".to_owned(), json!(self.etag));
        if !self.bindings.is_empty() {
            answer.insert("bindings".to_owned(), Value::Array(self.bindings.clone()));
        }
        Value::Object(answer)
    }

    /// Takes what a client wants the policy to be. Without an etag it overwrites whatever is there.
    pub fn replace(&mut self, wanted: &Value, etag: impl FnOnce() -> String) -> Result<(), ApiError> {
        match wanted.get("etag").and_then(Value::as_str) {
            Some(given) if !given.is_empty() && !same_bytes(given, &self.etag) => {
                return Err(ApiError::policy_changed());
            }
            _ => {}
        }
        let mut bindings = Vec::new();
        for binding in wanted.get("bindings").and_then(Value::as_array).into_iter().flatten() {
            let role = binding.get("role").and_then(Value::as_str).unwrap_or_default();
            if !role.starts_with("roles/") && !role.contains("/roles/") {
                return Err(ApiError::invalid(format!("Role {role} is not supported for this resource.")));
            }
            let members: Vec<&str> = binding
                .get("members")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            if let Some(member) = members.iter().find(|member| !is_member(member)) {
                return Err(ApiError::invalid(format!("The member {member} is of an unknown type.")));
            }
            // The service drops a binding without members rather than keeping it.
            if !members.is_empty() {
                bindings.push(binding.clone());
            }
        }
        let conditional = bindings.iter().any(|binding| binding.get("condition").is_some());
        self.version = if conditional { 3 } else { 1 };
        self.bindings = bindings;
        self.etag = etag();
        Ok(())
    }

    /// Whether the policy gives this member the permission. A condition is not evaluated: it counts as met.
    pub fn allows(&self, member: &str, permission: &str) -> bool {
        self.bindings.iter().any(|binding| {
            let role = binding.get("role").and_then(Value::as_str).unwrap_or_default();
            let members = binding.get("members").and_then(Value::as_array).into_iter().flatten();
            includes(role, permission)
                && members
                    .filter_map(Value::as_str)
                    .any(|one| one == member || one == "allUsers" || one == "allAuthenticatedUsers")
        })
    }
}

/// Two base64 texts of the same bytes: gcloud sends the URL-safe letters.
fn same_bytes(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace('-', "+").replace('_', "/").trim_end_matches('=').to_owned();
    plain(one) == plain(other)
}

fn is_member(member: &str) -> bool {
    const TYPES: &[&str] = &[
        "user:",
        "serviceAccount:",
        "group:",
        "domain:",
        "principal:",
        "principalSet:",
        "projectOwner:",
        "projectEditor:",
        "projectViewer:",
        "deleted:",
    ];
    matches!(member, "allUsers" | "allAuthenticatedUsers") || TYPES.iter().any(|kind| member.starts_with(kind))
}

/// Whether a role has a permission.
fn includes(role: &str, permission: &str) -> bool {
    match role {
        "roles/owner" | "roles/secretmanager.admin" => true,
        "roles/secretmanager.secretAccessor" => permission == "secretmanager.versions.access",
        "roles/secretmanager.secretVersionAdder" => permission == "secretmanager.versions.add",
        "roles/secretmanager.secretVersionManager" => {
            permission.starts_with("secretmanager.versions.") && permission != "secretmanager.versions.access"
        }
        "roles/secretmanager.viewer" | "roles/viewer" => matches!(
            permission,
            "secretmanager.secrets.get"
                | "secretmanager.secrets.list"
                | "secretmanager.secrets.getIamPolicy"
                | "secretmanager.versions.get"
                | "secretmanager.versions.list"
        ),
        // What a custom role holds is not modelled.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_give_what_they_give_at_google() {
        let cases = [
            ("roles/secretmanager.secretAccessor", "secretmanager.versions.access", true),
            ("roles/secretmanager.secretAccessor", "secretmanager.secrets.list", false),
            ("roles/secretmanager.viewer", "secretmanager.secrets.list", true),
            ("roles/secretmanager.viewer", "secretmanager.versions.access", false),
            ("roles/secretmanager.secretVersionManager", "secretmanager.versions.disable", true),
            ("roles/secretmanager.secretVersionManager", "secretmanager.versions.access", false),
            ("roles/secretmanager.secretVersionAdder", "secretmanager.versions.get", false),
            ("roles/secretmanager.admin", "secretmanager.secrets.setIamPolicy", true),
            ("projects/p/roles/own", "secretmanager.versions.access", false),
        ];
        for (role, permission, expected) in cases {
            let policy =
                Policy::new(&[Binding { role: role.to_owned(), members: vec!["user:a".to_owned()] }], "e".to_owned());
            assert_eq!(policy.allows("user:a", permission), expected, "{role} {permission}");
            assert!(!policy.allows("user:b", permission), "{role} {permission}");
        }
    }

    #[test]
    fn a_policy_is_replaced_under_its_etag_and_checked() {
        let mut policy = Policy::default();
        assert_eq!(policy.answer(), json!({ "etag": "ACAB" }));
        let bindings = json!([{ "role": "roles/secretmanager.secretAccessor", "members": ["user:a"] }]);
        let cases = [
            (json!({ "bindings": bindings, "etag": "BwXX" }), "ABORTED"),
            (json!({ "bindings": [{ "role": "reader", "members": ["user:a"] }] }), "INVALID_ARGUMENT"),
            (json!({ "bindings": [{ "role": "roles/owner", "members": ["somebody"] }] }), "INVALID_ARGUMENT"),
            (json!({ "bindings": bindings, "etag": "ACAB" }), ""),
            (json!({ "bindings": bindings, "etag": "-_8" }), ""),
            (json!({ "bindings": bindings }), ""),
        ];
        for (wanted, expected) in cases {
            let seen = policy.replace(&wanted, || "+/8=".to_owned()).err().map_or("", |error| error.status);
            assert_eq!(seen, expected, "{wanted}");
        }
        assert_eq!(policy.answer(), json!({ "version": 1, "etag": "+/8=", "bindings": bindings }));
    }
}
