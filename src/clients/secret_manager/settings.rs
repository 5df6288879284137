//! What a new secret gets from the one it stands beside: settings and IAM bindings, copied as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use google_cloud_iam_v1::model as iam;
use google_cloud_secretmanager_v1::model;

use super::conditions::Conditions;
use deepdesk_protocol::facts::names::VersionId;
use deepdesk_protocol::facts::names::printable;

/// Settings of a secret that a new secret like it gets as well. `Debug` names the labels' keys alone.
///
/// Not its IAM policy: that is [`Policy`]. Copied: replication with its encryption keys, labels, the encryption key of regional secrets, the delay of
/// destruction. Not copied: expiry (it would delete the secret for good), the rotation schedule and its topics, aliases,
/// and annotations, in which tools keep notes about that one secret.
#[derive(Clone)]
pub struct SecretSettings {
    copied: model::Secret,
    conditions: Conditions,
}

impl SecretSettings {
    pub(super) fn of(secret: model::Secret) -> SecretSettings {
        let conditions = Conditions::of(&secret);
        let mut copied = model::Secret::new();
        copied.replication = secret.replication;
        copied.labels = secret.labels;
        copied.customer_managed_encryption = secret.customer_managed_encryption;
        copied.version_destroy_ttl = secret.version_destroy_ttl;
        SecretSettings { copied, conditions }
    }

    /// What the secret does by itself; none of it is copied.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
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
    pub fn aliases(&self) -> Vec<(String, VersionId)> {
        let id = |version: i64| u64::try_from(version).ok().and_then(VersionId::new);
        let named = self.conditions.aliases.iter().filter_map(|(alias, version)| Some((alias.clone(), id(*version)?)));
        named.collect()
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

    /// The same for another secret: a condition that names this one names the other then, or it could never hold there. What
    /// was deleted is left out, since it can be bound nowhere anew; who that was is returned beside it.
    pub fn for_another(&self, secret: &str, other: &str) -> (Policy, Vec<String>) {
        let mut policy = self.0.clone();
        let mut deleted = Vec::new();
        for binding in &mut policy.bindings {
            binding.members.retain(|member| {
                let is_deleted = member.starts_with("deleted:");
                deleted.extend(is_deleted.then(|| bound(member, &binding.role)));
                !is_deleted
            });
            if let Some(condition) = &mut binding.condition {
                condition.expression = renamed(&condition.expression, secret, other);
            }
        }
        (Policy(policy), deleted)
    }

    /// The same, binding by binding with one member each, beside what each one says.
    pub fn one_by_one(&self) -> Vec<(String, Policy)> {
        let alone = |binding: &iam::Binding, member: &String| {
            let binding = binding.clone().set_members([member.clone()]);
            (bound(member, &binding.role), Policy(iam::Policy::new().set_bindings([binding])))
        };
        self.0.bindings.iter().flat_map(|binding| binding.members.iter().map(|member| alone(binding, member))).collect()
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

/// A member of a binding, for who has to see to it.
fn bound(member: &str, role: &str) -> String {
    // `deleted:user:ann@example.com?uid=…`: the number says nothing to anybody.
    let member = member.split('?').next().unwrap_or(member);
    format!("{} ({role})", printable(member))
}

/// A condition's text with one secret's id in place of another's, wherever it stands whole.
fn renamed(text: &str, secret: &str, other: &str) -> String {
    let in_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut made = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let within = before.chars().next_back().or_else(|| made.chars().next_back()).is_some_and(in_id)
            || after.chars().next().is_some_and(in_id);
        made.push_str(before);
        made.push_str(if within { secret } else { other });
        rest = after;
    }
    made.push_str(rest);
    made
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
    fn a_condition_on_the_name_is_made_for_the_other_name() {
        let condition = |expression: &str| {
            let mut binding =
                iam::Binding::new().set_role("reader").set_members(["serviceAccount:es@p", "deleted:user:ann@x?uid=1"]);
            binding.condition.get_or_insert_default().expression = expression.to_owned();
            Policy(iam::Policy::new().set_bindings([binding]))
        };
        for (given, made) in [
            ("resource.name == \"projects/1/secrets/key\"", "resource.name == \"projects/1/secrets/key_bc\""),
            (
                "resource.name.startsWith('projects/1/secrets/key/versions/')",
                "resource.name.startsWith('projects/1/secrets/key_bc/versions/')",
            ),
            ("resource.name.endsWith(\"key\")", "resource.name.endsWith(\"key_bc\")"),
            ("resource.name.endsWith(\"other_key\")", "resource.name.endsWith(\"other_key\")"),
            ("resource.name.endsWith(\"key_bc\")", "resource.name.endsWith(\"key_bc\")"),
            (
                "request.time < timestamp(\"2030-01-01T00:00:00Z\")",
                "request.time < timestamp(\"2030-01-01T00:00:00Z\")",
            ),
        ] {
            let (policy, deleted) = condition(given).for_another("key", "key_bc");
            let binding = &policy.0.bindings[0];
            assert_eq!(binding.condition.as_ref().map(|condition| condition.expression.as_str()), Some(made));
            assert_eq!(binding.members, ["serviceAccount:es@p"]);
            assert_eq!(deleted, ["deleted:user:ann@x (reader)"]);
        }
    }

    #[test]
    fn bindings_come_one_by_one_with_who_they_are_for() {
        let all = policy(&[("reader", &["user:a", "user:b"]), ("owner", &["user:c"])]).one_by_one();
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["user:a (reader)", "user:b (reader)", "user:c (owner)"]);
        assert!(all.iter().all(|(_, policy)| policy.0.bindings.len() == 1 && policy.0.bindings[0].members.len() == 1));
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
