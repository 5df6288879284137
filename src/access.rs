//! What each command needs to be allowed to do, and whether it is: asked before the first write.
//!
//! The README's Role and permissions are these; a test compares them.

use crate::check::Purpose;
use crate::clients::cluster::{Access, Cluster};
use crate::clients::secret_manager::SecretManager;
use crate::domain::observation::Observation;
use crate::domain::problem::Problem;
use crate::domain::result::{CheckResult, Verdict};

/// A right in the cluster: API group, resource, verbs.
pub struct Right {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, plural.
    pub resource: &'static str,
    /// Verbs without which the command cannot do its work.
    pub needed: &'static [&'static str],
    /// Verbs without which it does its work less well: it looks again and again instead of watching, or says less.
    pub helpful: &'static [&'static str],
}

const READ: &[Right] = &[
    right("external-secrets.io", "externalsecrets", &["get", "list"], &["watch"]),
    right("external-secrets.io", "secretstores", &["list"], &[]),
    right("", "secrets", &["get"], &["list", "watch"]),
    right("apps", "deployments", &["list"], &["watch"]),
    right("apps", "statefulsets", &["list"], &["watch"]),
    right("apps", "daemonsets", &["list"], &["watch"]),
    right("apps", "replicasets", &["list"], &[]),
    right("batch", "cronjobs", &["list"], &[]),
    right("batch", "jobs", &["list"], &[]),
    right("", "pods", &["list"], &["watch"]),
    right("", "events", &[], &["list"]),
    right("coordination.k8s.io", "leases", &["get"], &[]),
];
const PUSH: &[Right] = &[right("external-secrets.io", "externalsecrets", &["patch"], &[])];
const ROLL: &[Right] = &[
    right("apps", "deployments", &["patch"], &[]),
    right("apps", "statefulsets", &["patch"], &[]),
    right("apps", "daemonsets", &["patch"], &[]),
    right("coordination.k8s.io", "leases", &["create", "update"], &[]),
];
const RECORD: &[Right] = &[right("", "events", &[], &["create"])];

const fn right(
    group: &'static str,
    resource: &'static str,
    needed: &'static [&'static str],
    helpful: &'static [&'static str],
) -> Right {
    Right { group, resource, needed, helpful }
}

/// The rights that a command needs in the account's namespace.
pub fn rights(purpose: Purpose) -> Vec<&'static Right> {
    let parts: &[&'static [Right]] = match purpose {
        Purpose::Rotate => &[READ, PUSH, ROLL, RECORD],
        Purpose::Sync => &[READ, PUSH],
        Purpose::Verify => &[READ],
        Purpose::Restart => &[READ, ROLL],
    };
    parts.iter().flat_map(|part| part.iter()).collect()
}

/// The Secret Manager permissions that a rotation needs on the primary.
pub const ON_PRIMARY: &[&str] = &[
    "secretmanager.versions.access",
    "secretmanager.versions.add",
    "secretmanager.versions.disable",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
];
/// Those it needs on the primary as well when the back-compat has to be made after its example.
pub const ON_PRIMARY_TO_CREATE: &[&str] = &["secretmanager.secrets.get", "secretmanager.secrets.getIamPolicy"];
/// Those it needs on a back-compat that exists.
pub const ON_BACK_COMPAT: &[&str] = &["secretmanager.versions.access", "secretmanager.versions.add"];
/// Those it needs in the project to make one. Secret Manager cannot be asked about a project: `createSecret` is the
/// first write of a rotation, and tells.
pub const ON_PROJECT_TO_CREATE: &[&str] = &["secretmanager.secrets.create", "secretmanager.secrets.setIamPolicy"];

/// Id of the check on rights in the cluster.
pub const CLUSTER: &str = "DD-K8S-ACCESS";
/// Id of the check on rights in Secret Manager.
pub const SECRET_MANAGER: &str = "DD-SM-ACCESS";

/// Asks the cluster, and returns a result for each right that is missing, or one that all are there.
pub async fn cluster(cluster: &Cluster, purpose: Purpose) -> Result<Vec<CheckResult>, Problem> {
    let rights = rights(purpose);
    let verbs = |right: &'static Right| {
        let needed = right.needed.iter().map(|verb| (Verdict::Fail, *verb));
        needed
            .chain(right.helpful.iter().map(|verb| (Verdict::Warn, *verb)))
            .map(move |(verdict, verb)| (right, verdict, verb))
    };
    let asked: Vec<_> = rights.into_iter().flat_map(verbs).collect();
    let questions: Vec<Access> =
        asked.iter().map(|(right, _, verb)| Access::to(verb, right.group, right.resource)).collect();
    let answers = cluster.may(&questions).await?;
    let refused = asked.iter().zip(answers).filter(|(_, allowed)| !allowed);
    let results = refused.map(|((right, verdict, verb), _)| {
        let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
        let message = format!("not allowed to {verb} {}{group} in namespace {}", right.resource, cluster.namespace());
        result(
            "DD-K8S-ACCESS",
            "kubernetes/access",
            *verdict,
            message,
            "ask for the Role in the README (section Permissions)",
        )
    });
    Ok(passed_or(results.collect(), CLUSTER, "kubernetes/access"))
}

/// Asks Secret Manager about the account's two secrets.
pub async fn secret_manager(manager: &SecretManager, now: &Observation) -> Result<Vec<CheckResult>, Problem> {
    if !now.primary.exists {
        // Of what does not exist nothing is allowed; that it does not exist is for the checks to say.
        return Ok(Vec::new());
    }
    let mut wanted = ON_PRIMARY.to_vec();
    if !now.back_compat.exists {
        wanted.extend(ON_PRIMARY_TO_CREATE);
    }
    let mut missing = refused(manager, now, &now.primary.secret, &wanted).await?;
    if now.back_compat.exists {
        missing.extend(refused(manager, now, &now.back_compat.secret, ON_BACK_COMPAT).await?);
    }
    Ok(passed_or(missing, SECRET_MANAGER, "secret-manager/access"))
}

async fn refused(
    manager: &SecretManager,
    now: &Observation,
    secret: &crate::domain::names::SecretId,
    wanted: &[&str],
) -> Result<Vec<CheckResult>, Problem> {
    let granted = manager.test_permissions(&now.home, secret, wanted).await?;
    let missing = wanted.iter().filter(|permission| !granted.iter().any(|granted| granted == *permission));
    Ok(missing
        .map(|permission| {
            let message =
                format!("permission {permission} is missing on secret {secret} in project {}", now.home.project);
            result(
                SECRET_MANAGER,
                "secret-manager/access",
                Verdict::Fail,
                message,
                "ask for the permissions in the README (section Permissions)",
            )
        })
        .collect())
}

fn result(id: &'static str, name: &'static str, result: Verdict, message: String, hint: &str) -> CheckResult {
    CheckResult { id, name, result, message, hint: hint.to_owned() }
}

fn passed_or(missing: Vec<CheckResult>, id: &'static str, name: &'static str) -> Vec<CheckResult> {
    match missing.is_empty() {
        true => vec![result(id, name, Verdict::Pass, String::new(), "")],
        false => missing,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::Deserialize;

    use super::*;

    const README: &str = include_str!("../README.md");

    #[derive(Deserialize)]
    struct Role {
        rules: Vec<Rule>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rule {
        api_groups: Vec<String>,
        resources: Vec<String>,
        verbs: Vec<String>,
    }

    #[test]
    fn the_readme_names_the_rights_that_a_rotation_asks_for() {
        let role =
            README.split("```yaml\n").find(|block| block.contains("kind: Role\n")).expect("the README has a Role");
        let role: Role = serde_saphyr::from_str(role.split("```").next().expect("split gives one")).expect("a Role");
        let mut written: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for rule in role.rules {
            for resource in rule.resources {
                written.entry((rule.api_groups[0].clone(), resource)).or_default().extend(rule.verbs.clone());
            }
        }
        let mut asked: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for right in rights(Purpose::Rotate) {
            let verbs = right.needed.iter().chain(right.helpful).map(|verb| (*verb).to_owned());
            asked.entry((right.group.to_owned(), right.resource.to_owned())).or_default().extend(verbs);
        }
        assert_eq!(written, asked);
    }

    #[test]
    fn the_readme_names_the_permissions_in_secret_manager() {
        let table = README.split("In Secret Manager:").nth(1).expect("the README has the table");
        let all = [ON_PRIMARY, ON_PRIMARY_TO_CREATE, ON_BACK_COMPAT, ON_PROJECT_TO_CREATE];
        for permission in all.into_iter().flatten() {
            let short = permission.rsplit_once('.').map(|(_, verb)| format!("`.{verb}`")).unwrap_or_default();
            assert!(table.contains(permission) || table.contains(&short), "{permission}");
        }
    }

    #[test]
    fn no_other_command_needs_more_than_a_rotation() {
        let all = |purpose| -> BTreeSet<String> {
            let verbs = rights(purpose).into_iter().flat_map(|right| {
                right.needed.iter().chain(right.helpful).map(move |verb| format!("{verb} {}", right.resource))
            });
            verbs.collect()
        };
        for purpose in [Purpose::Sync, Purpose::Verify, Purpose::Restart] {
            assert!(all(purpose).is_subset(&all(Purpose::Rotate)), "{purpose:?}");
        }
    }
}
