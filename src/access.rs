//! What each command needs to be allowed to do, and whether it is: asked before the first write.
//!
//! The Role and the permissions of docs/permissions.md are these; a test compares them.

mod conditions;

use crate::clients::cluster::{Access, Cluster};
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::secret_manager::SecretManager;
use deepdesk_protocol::check::{Purpose, catalogue};
use deepdesk_protocol::facts::names::{SecretHome, SecretId};
use deepdesk_protocol::facts::observation::{Observation, Unread};
use deepdesk_protocol::hint::{Hint, quoted};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{CheckResult, Verdict};

pub use self::conditions::{IDS as CONDITIONS, conditions, expiries};

/// A right in the cluster: API group, resource, verbs.
pub struct Right {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, plural.
    pub resource: &'static str,
    /// Verbs without which the command cannot do its work.
    pub needed: &'static [&'static str],
    /// Part of the resource that it is about, such as `log`; empty for the resource itself.
    pub subresource: &'static str,
    /// Verbs without which it does its work less well: it looks again and again instead of watching, or says less.
    pub helpful: &'static [&'static str],
}

const READ: &[Right] = &[
    right("external-secrets.io", "externalsecrets", &["get", "list"], &["watch"]),
    right("external-secrets.io", "secretstores", &["list"], &[]),
    right("external-secrets.io", "pushsecrets", &[], &["list"]),
    right("secrets-store.csi.x-k8s.io", "secretproviderclasses", &[], &["list"]),
    right("", "secrets", &["get"], &["list", "watch"]),
    right("apps", "deployments", &["list"], &["watch"]),
    right("apps", "statefulsets", &["list"], &["watch"]),
    right("apps", "daemonsets", &["list"], &["watch"]),
    right("apps", "replicasets", &["list"], &[]),
    right("batch", "cronjobs", &["list"], &[]),
    right("batch", "jobs", &["list"], &[]),
    right("", "pods", &["list"], &["watch"]),
    right("", "events", &[], &["list"]),
];
/// The lock's record: what only reads says less without it.
const READ_RECORD: &[Right] = &[right("coordination.k8s.io", "leases", &[], &["get"])];
const PUSH: &[Right] = &[right("external-secrets.io", "externalsecrets", &["patch"], &[])];
const ROLL: &[Right] = &[
    right("apps", "deployments", &["patch"], &[]),
    right("apps", "statefulsets", &["patch"], &[]),
    right("apps", "daemonsets", &["patch"], &[]),
    right("coordination.k8s.io", "leases", &["get", "create", "update"], &[]),
];
/// What `--reencrypted-by` needs beside the rest: asked only for who uses it.
pub const TO_RUN_A_JOB: &[Right] = &[
    right("batch", "jobs", &["get", "create", "delete"], &[]),
    Right { subresource: "log", ..right("", "pods", &[], &["get"]) },
    right("", "services", &[], &["list"]),
];
/// What `--evict` needs beside the rest: asked only for who uses it.
pub const TO_EVICT: &[Right] = &[Right { subresource: "eviction", ..right("", "pods", &["create"], &[]) }];
/// What tells the costs of a restart before it: without it the plan says less.
const COSTS: &[Right] = &[
    right("policy", "poddisruptionbudgets", &[], &["list"]),
    right("autoscaling", "horizontalpodautoscalers", &[], &["list"]),
    right("", "resourcequotas", &[], &["list"]),
];
const RECORD: &[Right] = &[right("", "events", &[], &["create"])];

const fn right(
    group: &'static str,
    resource: &'static str,
    needed: &'static [&'static str],
    helpful: &'static [&'static str],
) -> Right {
    Right { group, resource, needed, subresource: "", helpful }
}

/// The rights that a command needs in the account's namespace.
pub fn rights(purpose: Purpose) -> Vec<&'static Right> {
    let parts: &[&'static [Right]] = match purpose {
        Purpose::Rotate | Purpose::Rollback | Purpose::Finalize | Purpose::Rescue => &[READ, PUSH, ROLL, RECORD, COSTS],
        Purpose::Sync => &[READ, READ_RECORD, PUSH],
        Purpose::Verify => &[READ, READ_RECORD],
        Purpose::Restart => &[READ, ROLL, COSTS],
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
/// The one for dates and older versions.
const LIST: &str = "secretmanager.versions.list";
/// The one that `--destroy` needs on both secrets.
pub const TO_DESTROY: &str = "secretmanager.versions.destroy";
/// Those a finalization needs on the back-compat.
pub const ON_BACK_COMPAT_TO_FINALIZE: &[&str] = &[
    "secretmanager.versions.access",
    "secretmanager.versions.add",
    "secretmanager.versions.disable",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
];
/// Those it needs in the project to make one. Secret Manager cannot be asked about a project: `createSecret` is the
/// first write of a rotation, and tells.
pub const ON_PROJECT_TO_CREATE: &[&str] = &["secretmanager.secrets.create", "secretmanager.secrets.setIamPolicy"];

/// Id of the check on rights in the cluster.
pub const CLUSTER: &str = deepdesk_protocol::check::catalogue::K8S_ACCESS_ID;
/// Id of the check on rights in Secret Manager.
pub const SECRET_MANAGER: &str = deepdesk_protocol::check::catalogue::SM_ACCESS_ID;

/// What a command but a rotation needs on each of the two secrets.
const TO_READ: (&[&str], &[&str]) = (
    &["secretmanager.versions.access", "secretmanager.versions.get", "secretmanager.versions.list"],
    &["secretmanager.versions.access"],
);

/// What a command needs on the primary and, where it exists, on the back-compat.
fn permissions(purpose: Purpose, back_compat_exists: bool) -> (Vec<&'static str>, Vec<&'static str>) {
    let (primary, back_compat) = match purpose {
        Purpose::Rotate | Purpose::Rollback | Purpose::Rescue => (ON_PRIMARY, ON_BACK_COMPAT),
        Purpose::Finalize => (TO_READ.0, ON_BACK_COMPAT_TO_FINALIZE),
        Purpose::Sync | Purpose::Verify | Purpose::Restart => TO_READ,
    };
    let (mut primary, back_compat) = (primary.to_vec(), back_compat.to_vec());
    if !back_compat_exists && purpose == Purpose::Rotate {
        primary.extend(ON_PRIMARY_TO_CREATE);
    }
    (primary, if back_compat_exists { back_compat } else { Vec::new() })
}

/// Asks the cluster, and returns a result for each right that is missing, or one that all are there; `also` is needed
/// beside what the command always needs.
pub async fn cluster(
    cluster: &Cluster,
    purpose: Purpose,
    also: &[&'static [Right]],
) -> Result<Vec<CheckResult>, Problem> {
    let rights = rights(purpose).into_iter().chain(also.iter().copied().flatten());
    let verbs = |right: &'static Right| {
        let needed = right.needed.iter().map(|verb| (Verdict::Fail, *verb));
        needed
            .chain(right.helpful.iter().map(|verb| (Verdict::Warn, *verb)))
            .map(move |(verdict, verb)| (right, verdict, verb))
    };
    let asked: Vec<_> = rights.flat_map(verbs).collect();
    let question = |right: &Right, verb: &str| Access {
        subresource: (!right.subresource.is_empty()).then(|| right.subresource.to_owned()),
        ..Access::to(verb, right.group, right.resource)
    };
    let questions: Vec<Access> = asked.iter().map(|(right, _, verb)| question(right, verb)).collect();
    let answers = match cluster.may(&questions).await {
        Err(error) if error.kind == ApiErrorKind::Forbidden => {
            return Ok(vec![unasked(CLUSTER, &error)]);
        }
        answers => answers?,
    };
    let refused: Vec<_> = asked.iter().zip(answers).filter(|(_, allowed)| !allowed).map(|(asked, _)| asked).collect();
    if refused.is_empty() {
        return Ok(passed_or(Vec::new(), CLUSTER));
    }
    // For the command to ask for; who does not say it gets a word to replace.
    let whom = cluster.whoami().await.ok().flatten().unwrap_or_else(|| "USER".to_owned());
    let results = refused.iter().map(|(right, verdict, verb)| {
        let namespace = cluster.namespace().as_str();
        let message = format!("not allowed to {verb} {} in namespace {namespace}", full_name(right));
        let same = refused.iter().filter(|(other, ..)| full_name(other) == full_name(right));
        let verbs: Vec<&str> = same.map(|(.., verb)| *verb).collect();
        result(CLUSTER, *verdict, message, ask_for_role(right, &verbs, namespace, &whom).as_str())
    });
    Ok(results.collect())
}

/// As `kubectl create role --resource` takes it.
fn full_name(right: &Right) -> String {
    let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
    let part = if right.subresource.is_empty() { String::new() } else { format!("/{}", right.subresource) };
    format!("{}{group}{part}", right.resource)
}

/// What an administrator of the cluster types to give a right on one resource.
fn ask_for_role(right: &Right, verbs: &[&str], namespace: &str, whom: &str) -> String {
    let (verbs, resource, role) = (verbs.join(","), full_name(right), format!("deepdesk-{}", right.resource));
    let subject = match whom.strip_prefix("system:serviceaccount:") {
        Some(account) => format!("--serviceaccount={account}"),
        None => format!("--user={}", quoted(whom)),
    };
    format!(
        "ask for the Role in docs/permissions.md, or for this permission alone: \
         kubectl create role {role} --verb={verbs} --resource={resource} -n {namespace} && \
         kubectl create rolebinding {role} --role={role} {subject} -n {namespace}"
    )
}

/// Asks Secret Manager about the account's two secrets; `also` is needed on both, beside what the command always needs.
pub async fn secret_manager(
    manager: &SecretManager,
    purpose: Purpose,
    also: Option<&'static str>,
    now: &Observation,
) -> Result<Vec<CheckResult>, Problem> {
    if !now.primary.exists {
        // Of what does not exist nothing is allowed; that it does not exist is for the checks to say.
        return Ok(Vec::new());
    }
    let (mut on_primary, mut on_back_compat) = permissions(purpose, now.back_compat.exists);
    on_primary.extend(also);
    on_back_compat.extend(also.filter(|_| now.back_compat.exists));
    let mut missing = refused(manager, purpose, now, &now.primary.secret, &on_primary).await?;
    if !on_back_compat.is_empty() {
        missing.extend(refused(manager, purpose, now, &now.back_compat.secret, &on_back_compat).await?);
    }
    Ok(passed_or(missing, SECRET_MANAGER))
}

async fn refused(
    manager: &SecretManager,
    purpose: Purpose,
    now: &Observation,
    secret: &SecretId,
    wanted: &[&str],
) -> Result<Vec<CheckResult>, Problem> {
    let granted = match manager.test_permissions(&now.home, secret, wanted).await {
        Err(error) if error.kind == ApiErrorKind::Forbidden => {
            return Ok(vec![unasked(SECRET_MANAGER, &error)]);
        }
        granted => granted?,
    };
    let missing = wanted.iter().filter(|permission| !granted.iter().any(|granted| granted == *permission));
    Ok(missing
        .map(|permission| {
            let message =
                format!("permission {permission} is missing on secret {secret} in project {}", now.home.project);
            let hint = ask_for_binding(permission, secret, &now.home, manager.principal());
            // A finalization retires what the list tells; the others only say less without it.
            let verdict = match *permission == LIST && purpose != Purpose::Finalize {
                true => Verdict::Warn,
                false => Verdict::Fail,
            };
            result(SECRET_MANAGER, verdict, message, hint.as_str())
        })
        .collect())
}

/// What an administrator of the project types to give a permission on one secret.
fn ask_for_binding(permission: &str, secret: &SecretId, home: &SecretHome, principal: Option<&str>) -> String {
    let member = match principal {
        Some(account) if account.ends_with(".gserviceaccount.com") => format!("serviceAccount:{account}"),
        Some(person) => format!("user:{person}"),
        None => "user:EMAIL".to_owned(),
    };
    let location = home.location.as_ref().map(|location| format!(" --location={location}")).unwrap_or_default();
    format!(
        "ask for the permissions in docs/permissions.md, or for this permission alone: \
         gcloud secrets add-iam-policy-binding {secret} --project={}{location} --member={} --role={}",
        home.project,
        quoted(&member),
        role_with(permission)
    )
}

/// The smallest of Google's own roles that has the permission.
fn role_with(permission: &str) -> &'static str {
    match permission {
        "secretmanager.versions.access" => "roles/secretmanager.secretAccessor",
        "secretmanager.versions.add" => "roles/secretmanager.secretVersionAdder",
        "secretmanager.versions.disable" => "roles/secretmanager.secretVersionManager",
        "secretmanager.secrets.get"
        | "secretmanager.secrets.getIamPolicy"
        | "secretmanager.versions.get"
        | "secretmanager.versions.list" => "roles/secretmanager.viewer",
        _ => "roles/secretmanager.admin",
    }
}

/// Where nobody may ask, every step finds out for itself: each is safe to stop at, and the same command goes on from there.
fn unasked(id: &'static str, refused: &ApiError) -> CheckResult {
    let message = format!("permissions could not be checked, so a missing one shows only at its step: {refused}");
    result(id, Verdict::Warn, message, "run the same command again once the permission is granted")
}

/// What could not be read, and what is not said for that reason.
pub fn unread(now: &Observation) -> Vec<CheckResult> {
    let told = |unread: &Unread| match unread {
        Unread::Versions(refused) => result(
            SECRET_MANAGER,
            Verdict::Warn,
            format!("dates of versions, and versions older than the previous one, were not checked: {refused}"),
            "ask for the permissions in docs/permissions.md",
        ),
        Unread::Record(refused) => result(
            CLUSTER,
            Verdict::Warn,
            format!(
                "the record in the Lease was not read, so a two-phase rotation under way looks like a complete one: {refused}"
            ),
            "ask for the Role in docs/permissions.md",
        ),
    };
    now.unread.iter().map(told).collect()
}

fn result<'a>(id: &'static str, result: Verdict, message: String, hint: impl Into<Option<&'a str>>) -> CheckResult {
    catalogue::result(id, result, message, hint.into().map(Hint::from).into_iter().collect())
}

fn passed_or(missing: Vec<CheckResult>, id: &'static str) -> Vec<CheckResult> {
    match missing.is_empty() {
        true => vec![result(id, Verdict::Pass, String::new(), None)],
        false => missing,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::Deserialize;

    use super::*;

    const PERMISSIONS: &str = include_str!("../docs/permissions.md");

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
            PERMISSIONS.split("```yaml\n").find(|block| block.contains("kind: Role\n")).expect("the page has a Role");
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
    fn the_readme_names_the_right_to_evict_apart_from_the_others() {
        let rules = PERMISSIONS.split("For `--evict`, also:").nth(1).and_then(|rest| rest.split("```yaml\n").nth(1));
        let rules = rules.and_then(|block| block.split("```").next()).expect("the page has it");
        let role: Role = serde_saphyr::from_str(rules).expect("rules");
        let [rule] = role.rules.as_slice() else { panic!("one rule: {rules}") };
        assert_eq!(rule.resources, TO_EVICT.iter().map(full_name).collect::<Vec<_>>());
        assert_eq!(rule.verbs, TO_EVICT[0].needed);
        let asked_always = rights(Purpose::Rotate).into_iter().any(|right| right.subresource == "eviction");
        assert!(!asked_always, "only who evicts needs it");
    }

    #[test]
    fn the_readme_names_the_rights_of_a_command_that_speaks_for_the_data() {
        let rules =
            PERMISSIONS.split("For `finalize --reencrypted-by`").nth(1).and_then(|rest| rest.split("```yaml\n").nth(1));
        let rules = rules.expect("the page has them");
        let role: Role = serde_saphyr::from_str(rules.split("```").next().expect("split gives one")).expect("rules");
        let written: BTreeSet<String> = role
            .rules
            .into_iter()
            .map(|rule| format!("{} {} {}", rule.api_groups.join(","), rule.resources.join(","), rule.verbs.join(",")))
            .collect();
        let asked = TO_RUN_A_JOB.iter().map(|right| {
            let part = if right.subresource.is_empty() { String::new() } else { format!("/{}", right.subresource) };
            let verbs: Vec<&str> = right.needed.iter().chain(right.helpful).copied().collect();
            format!("{} {}{part} {}", right.group, right.resource, verbs.join(","))
        });
        assert_eq!(written, asked.collect());
    }

    #[test]
    fn the_readme_names_the_permissions_in_secret_manager() {
        let table = PERMISSIONS.split("In Secret Manager:").nth(1).expect("the page has the table");
        let all = [
            ON_PRIMARY,
            ON_PRIMARY_TO_CREATE,
            ON_BACK_COMPAT,
            ON_BACK_COMPAT_TO_FINALIZE,
            &[TO_DESTROY],
            ON_PROJECT_TO_CREATE,
        ];
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
        for purpose in [Purpose::Sync, Purpose::Verify, Purpose::Restart, Purpose::Rollback] {
            let (rotate, other) = (permissions(Purpose::Rotate, true), permissions(purpose, true));
            assert!(other.0.iter().all(|needed| rotate.0.contains(needed)), "{purpose:?}");
            assert!(other.1.iter().all(|needed| rotate.1.contains(needed)), "{purpose:?}");
            assert!(all(purpose).is_subset(&all(Purpose::Rotate)), "{purpose:?}");
        }
    }

    #[test]
    fn hints_are_commands_to_paste() {
        let right = &READ[0];
        assert_eq!(full_name(&TO_RUN_A_JOB[1]), "pods/log");
        assert!(ask_for_role(right, &["get", "list"], "acme", "ann o'neil").ends_with(
            "kubectl create role deepdesk-externalsecrets --verb=get,list --resource=externalsecrets.external-secrets.io \
             -n acme && kubectl create rolebinding deepdesk-externalsecrets --role=deepdesk-externalsecrets \
             --user='ann o'\\''neil' -n acme"
        ));
        assert!(
            ask_for_role(right, &["get"], "acme", "system:serviceaccount:ci:bot").contains("--serviceaccount=ci:bot")
        );
        let home = |location: Option<&str>| SecretHome {
            project: "my-project".parse().expect("a project"),
            location: location.map(|location| location.parse().expect("a location")),
        };
        let secret = "acme_account_secret".parse().expect("an id");
        for (permission, location, principal, ends) in [
            (
                "secretmanager.versions.add",
                None,
                Some("ann@example.com"),
                "--project=my-project --member=user:ann@example.com --role=roles/secretmanager.secretVersionAdder",
            ),
            (
                "secretmanager.versions.access",
                Some("europe-west1"),
                Some("ci@p.iam.gserviceaccount.com"),
                "--project=my-project --location=europe-west1 --member=serviceAccount:ci@p.iam.gserviceaccount.com \
                 --role=roles/secretmanager.secretAccessor",
            ),
            (
                "secretmanager.versions.list",
                None,
                None,
                "--project=my-project --member=user:EMAIL --role=roles/secretmanager.viewer",
            ),
        ] {
            let hint = ask_for_binding(permission, &secret, &home(location), principal);
            assert!(hint.ends_with(&format!("add-iam-policy-binding acme_account_secret {ends}")), "{hint}");
        }
    }
}
