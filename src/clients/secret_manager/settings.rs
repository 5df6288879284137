//! What a new secret gets from the one it stands beside: settings and IAM bindings, copied as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use google_cloud_iam_v1::model as iam;
use google_cloud_secretmanager_v1::model;

use deepdesk_protocol::facts::names::VersionId;

/// Settings of a secret that a new secret like it gets as well. `Debug` names the labels' keys alone.
///
/// Copied: replication with its encryption keys, labels, the encryption key of regional secrets, the delay of
/// destruction. Not copied: expiry (it would delete the secret for good), the rotation schedule and its topics, aliases,
/// and annotations, in which tools keep notes about that one secret.
#[derive(Clone)]
pub struct SecretSettings {
    copied: model::Secret,
    aliases: Vec<(String, VersionId)>,
}

impl SecretSettings {
    pub(super) fn of(secret: model::Secret) -> SecretSettings {
        let mut copied = model::Secret::new();
        copied.replication = secret.replication;
        copied.labels = secret.labels;
        copied.customer_managed_encryption = secret.customer_managed_encryption;
        copied.version_destroy_ttl = secret.version_destroy_ttl;
        let named =
            |(alias, version): (String, i64)| Some((alias, u64::try_from(version).ok().and_then(VersionId::new)?));
        let mut aliases: Vec<_> = secret.version_aliases.into_iter().filter_map(named).collect();
        aliases.sort();
        SecretSettings { copied, aliases }
    }

    /// The secret to create. A regional one lives in its location alone, and says nothing of replication.
    pub(super) fn secret(&self, regional: bool) -> model::Secret {
        let mut secret = self.copied.clone();
        if regional {
            secret.replication = None;
        }
        secret
    }

    /// Its aliases, each with the version that it names. They are that one secret's.
    pub fn aliases(&self) -> &[(String, VersionId)] {
        &self.aliases
    }

    /// The labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.copied.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl fmt::Debug for SecretSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSettings")
            .field("labels", &self.copied.labels.keys().collect::<BTreeSet<_>>())
            .finish_non_exhaustive()
    }
}

/// Who may do what with a secret.
#[derive(Clone)]
pub struct Policy(pub(super) iam::Policy);

impl Policy {
    /// Whether it binds nobody.
    pub fn is_empty(&self) -> bool {
        self.0.bindings.iter().all(|binding| binding.members.is_empty())
    }

    /// This policy (its etag with it) with the other's bindings as well; none when it has them all already.
    pub(super) fn with_bindings_of(&self, other: &Policy) -> Option<iam::Policy> {
        let mut policy = self.0.clone();
        let mut added = false;
        for binding in other.0.bindings.iter().filter(|binding| !binding.members.is_empty()) {
            let same = |own: &&mut iam::Binding| own.role == binding.role && own.condition == binding.condition;
            match policy.bindings.iter_mut().find(same) {
                Some(own) => {
                    let missing = binding.members.iter().filter(|member| !own.members.contains(member));
                    let missing: Vec<_> = missing.cloned().collect();
                    added |= !missing.is_empty();
                    own.members.extend(missing);
                }
                None => {
                    policy.bindings.push(binding.clone());
                    added = true;
                }
            }
        }
        // Bindings with a condition are kept by version 3 alone.
        if policy.bindings.iter().any(|binding| binding.condition.is_some()) {
            policy.version = 3;
        }
        added.then_some(policy)
    }
}

/// Roles and how many members each has: who they are is nobody's business in a log.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles = self.0.bindings.iter().map(|binding| (&binding.role, binding.members.len()));
        f.debug_map().entries(roles).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(bindings: &[(&str, &[&str])]) -> Policy {
        let bindings = bindings.iter().map(|(role, members)| {
            iam::Binding::new().set_role(*role).set_members(members.iter().map(|member| member.to_string()))
        });
        Policy(iam::Policy::new().set_etag("own").set_bindings(bindings))
    }

    #[test]
    fn bindings_are_added_to_the_targets_own() {
        let own = policy(&[("reader", &["a"]), ("owner", &["x"])]);
        let merged = own.with_bindings_of(&policy(&[("reader", &["a", "b"]), ("adder", &["c"])])).expect("a change");
        let roles: Vec<_> = merged.bindings.iter().map(|b| format!("{}={}", b.role, b.members.join(","))).collect();
        assert_eq!(roles, ["reader=a,b", "owner=x", "adder=c"]);
        assert_eq!(&merged.etag[..], b"own");
        assert!(own.with_bindings_of(&policy(&[("reader", &["a"])])).is_none());
        assert!(policy(&[("reader", &[])]).is_empty());
        assert!(!own.is_empty());
    }

    #[test]
    fn only_what_belongs_to_the_new_secret_is_copied() {
        let secret = model::Secret::new()
            .set_name("projects/1/secrets/x")
            .set_etag("e")
            .set_labels([("team", "blue")])
            .set_annotations([("note", "MARKER")])
            .set_version_aliases([("prod", 3)])
            .set_replication(model::Replication::new().set_automatic(model::replication::Automatic::new()));
        let settings = SecretSettings::of(secret);
        assert_eq!(settings.aliases(), [("prod".to_owned(), VersionId::new(3).expect("not zero"))]);
        assert_eq!(settings.labels().into_iter().collect::<Vec<_>>(), [("team".to_owned(), "blue".to_owned())]);
        let copy = settings.secret(false);
        assert!(copy.name.is_empty() && copy.etag.is_empty());
        assert!(copy.annotations.is_empty() && copy.version_aliases.is_empty());
        assert!(copy.replication.is_some());
        assert!(settings.secret(true).replication.is_none());
        assert_eq!(format!("{settings:?}"), "SecretSettings { labels: {\"team\"}, .. }");
    }
}
