//! Flags, environment, kubeconfig, gcloud's configuration and settings, made into one checked request an account.

use std::time::Duration;

use crate::cli;
use crate::clients::gcloud::Gcloud;
use crate::environment::Environment;
use crate::setting::{Source, Sourced};
use crate::settings::Settings;
use deepdesk_protocol::facts::named::Words;
use deepdesk_protocol::facts::names::{AccountName, ObjectName, ProjectId, SecretId, WorkloadRef};
use deepdesk_protocol::problem::{Problem, Reason};

/// What is asked of one account.
#[derive(Clone, Debug)]
pub struct Request {
    pub account: AccountName,
    /// The kubeconfig context in use; empty when only a server was given.
    pub context: String,
    /// Whether the settings protect that context.
    pub protected: bool,
    /// Names of things.
    pub names: Names,
    /// The project asked for by flag.
    pub asked_project: Option<ProjectId>,
    /// The project where neither the flag nor the store says one: gcloud's, else the context name's.
    pub fallback_project: Option<ProjectId>,
    /// The most that one wait may take.
    pub timeout: Duration,
    /// What the operator says of readers (`--evict`, `--leave`).
    pub words: Words,
    /// Where the names and the project came from.
    pub sources: Sources,
}

/// Where what a request says came from: decided together with it, so that `config list` tells what is used.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The primary's id.
    pub primary: Source,
    /// The back-compat's id.
    pub back_compat: Source,
    /// The expected ExternalSecrets.
    pub external_secrets: Source,
    /// The expected workloads.
    pub workloads: Source,
    /// The project where the store says none; none when nothing does.
    pub project: Option<Source>,
}

/// Names of the account's things.
#[derive(Clone, Debug)]
pub struct Names {
    pub primary: SecretId,
    pub back_compat: SecretId,
    /// ExternalSecrets that must be among those found.
    pub external_secrets: Vec<ObjectName>,
    /// Workloads that must be among those found.
    pub workloads: Vec<WorkloadRef>,
}

const PRIMARY: &str = "{account}_account_secret";
const BACK_COMPAT: &str = "{account}_account_secret_back_compat";
const EXTERNAL_SECRETS: [&str; 2] = ["admin-secrets", "backend-secrets"];
const WORKLOADS: [&str; 2] = ["deployment/admin", "deployment/backend"];

fn usage(line: impl AsRef<str>) -> Problem {
    Problem::new(Reason::Usage, line)
}

/// The accounts that the arguments name; empty when they name none and the context must say.
pub fn named_accounts(common: &cli::Common) -> Result<Vec<AccountName>, Problem> {
    let parse = |given: &String| given.parse::<AccountName>().map_err(|error| usage(error.to_string()));
    let mut accounts = Vec::new();
    for account in common.accounts.iter().map(parse) {
        let account = account?;
        if !accounts.contains(&account) {
            accounts.push(account);
        }
    }
    match (&common.cluster.namespace, accounts.as_slice()) {
        (Some(namespace), []) => accounts.push(parse(namespace)?),
        (Some(namespace), [account]) if account.as_str() == namespace => {}
        (Some(namespace), _) => {
            return Err(usage(format!(
                "--namespace {namespace} contradicts the account given: an account is its namespace"
            ))
            .hint("leave one of the two out"));
        }
        (None, _) => {}
    }
    if let Some(account) = accounts.iter().find(|account| is_no_account(account)) {
        return Err(no_account(account.as_str()));
    }
    Ok(accounts)
}

/// `default` and `kube-*` are Kubernetes' own namespaces.
pub fn is_no_account(account: &AccountName) -> bool {
    account.as_str() == "default" || account.as_str().starts_with("kube-")
}

/// The error for a namespace that cannot be an account.
pub fn no_account(namespace: &str) -> Problem {
    usage(format!("namespace {namespace} is never an account"))
        .hint("name the account as an argument, or with -n ACCOUNT")
}

/// The request for one account.
pub fn request(
    account: AccountName,
    common: &cli::Common,
    settings: &Settings,
    gcloud: &Gcloud,
    context: Option<&str>,
) -> Result<Request, Problem> {
    let filled = |given: &str| given.replace("{account}", account.as_str());
    let file = || Source::SettingsFile(settings.path.clone().unwrap_or_default());
    let id =
        |name, flag: &Option<String>, setting: &Option<String>, usual: &str| -> Result<Sourced<SecretId>, Problem> {
            let (given, source) = match (flag, setting) {
                (Some(flag), _) => (flag.as_str(), Source::Flag(name)),
                (None, Some(setting)) => (setting.as_str(), file()),
                (None, None) => (usual, Source::Default),
            };
            let id = filled(given)
                .parse()
                .map_err(|error: deepdesk_protocol::facts::names::NameError| usage(error.to_string()))?;
            Ok(Sourced::new(id, source))
        };
    let primary = id("--primary-secret", &common.ids.primary_secret, &settings.primary_secret, PRIMARY)?;
    let back_compat =
        id("--back-compat-secret", &common.ids.back_compat_secret, &settings.back_compat_secret, BACK_COMPAT)?;
    let (Sourced { value: primary, source: primary_from }, Sourced { value: back_compat, source: back_compat_from }) =
        (primary, back_compat);
    if primary == back_compat {
        return Err(usage(format!("the primary and the back-compat are both {primary}: two secrets are needed")));
    }
    let project = |given: &str| given.parse::<ProjectId>().map_err(|error| usage(error.to_string()));
    let asked_project = common.google.project.as_deref().map(project).transpose()?;
    let fallback = gcloud.property("core/project").or_else(|| {
        let named = context.and_then(project_in_context)?;
        Some(Sourced::new(named.to_owned(), Source::ContextName))
    });
    let fallback = fallback.and_then(|project| Some(Sourced::new(project.value.parse().ok()?, project.source)));
    let external_secrets = names(
        Named { flag: "--external-secret", flags: &common.external_secrets, settings: &settings.external_secrets },
        &EXTERNAL_SECRETS,
        filled,
        file,
    )?;
    let workloads = names(
        Named { flag: "--workload", flags: &common.workloads, settings: &settings.workloads },
        &WORKLOADS,
        filled,
        file,
    )?;
    let project = match &asked_project {
        Some(_) => Some(Source::Flag("--project")),
        None => fallback.as_ref().map(|fallback| fallback.source.clone()),
    };
    Ok(Request {
        names: Names { primary, back_compat, external_secrets: external_secrets.value, workloads: workloads.value },
        context: context.unwrap_or_default().to_owned(),
        protected: context.is_some_and(|context| settings.protects(context)),
        asked_project,
        fallback_project: fallback.map(|fallback| fallback.value),
        timeout: common.timeout,
        words: Words::default(),
        sources: Sources {
            primary: primary_from,
            back_compat: back_compat_from,
            external_secrets: external_secrets.source,
            workloads: workloads.source,
            project,
        },
        account,
    })
}

/// Names as they may be given.
struct Named<'a> {
    flag: &'static str,
    flags: &'a [String],
    settings: &'a [String],
}

/// The first of flags, settings and usual names that says anything.
fn names<N>(
    given: Named,
    usual: &[&str],
    filled: impl Fn(&str) -> String,
    file: impl Fn() -> Source,
) -> Result<Sourced<Vec<N>>, Problem>
where
    N: std::str::FromStr<Err = deepdesk_protocol::facts::names::NameError>,
{
    let usual: Vec<String> = usual.iter().map(|name| (*name).to_owned()).collect();
    let (names, source) = match (given.flags, given.settings) {
        ([], []) => (usual.as_slice(), Source::Default),
        ([], settings) => (settings, file()),
        (flags, _) => (flags, Source::Flag(given.flag)),
    };
    let parsed: Result<Vec<N>, Problem> =
        names.iter().map(|name| filled(name).parse().map_err(|error: N::Err| usage_of(error))).collect();
    Ok(Sourced::new(parsed?, source))
}

fn usage_of(error: deepdesk_protocol::facts::names::NameError) -> Problem {
    usage(error.to_string())
}

/// The project in a context name of `gcloud container clusters get-credentials`, `gke_PROJECT_LOCATION_CLUSTER`, or of a fleet's
/// membership, `connectgateway_PROJECT_LOCATION_MEMBERSHIP`.
fn project_in_context(context: &str) -> Option<&str> {
    let named = context.strip_prefix("gke_").or_else(|| context.strip_prefix("connectgateway_"))?;
    let mut parts = named.splitn(3, '_');
    let project = parts.next().filter(|project| !project.is_empty())?;
    // Without a location and a cluster it is only a name that begins alike.
    parts.next().and(parts.next()).map(|_| project)
}

/// Where Secret Manager is: an override by gcloud's property (also `CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER`).
pub fn endpoint_override(gcloud: &Gcloud) -> Option<Sourced<String>> {
    gcloud.property("api_endpoint_overrides/secretmanager")
}

/// gcloud's property that says where Kubernetes Engine's API is (also `CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER`).
pub const CONTAINER_ENDPOINT: &str = "api_endpoint_overrides/container";

/// The service account to act as: the flag, else gcloud's property.
pub fn impersonated(common: &cli::Common, gcloud: &Gcloud) -> Option<Sourced<String>> {
    let flag = common.google.impersonate_service_account.clone();
    flag.map(|account| Sourced::new(account, Source::Flag("--impersonate-service-account")))
        .or_else(|| gcloud.property("auth/impersonate_service_account"))
}

/// Whether colours are unwelcome: <https://no-color.org>, and terminals that cannot show them.
pub fn no_color(environment: &Environment) -> bool {
    environment.get("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_found_in_gke_contexts_only() {
        let cases = [
            ("gke_my-project_europe-west1_prod", Some("my-project")),
            ("gke_my-project_europe-west1-b_a_b", Some("my-project")),
            ("connectgateway_my-project_global_prod", Some("my-project")),
            ("gke_my-project", None),
            ("kind-gke_x_y_z", None),
            ("", None),
        ];
        for (context, project) in cases {
            assert_eq!(project_in_context(context), project, "{context}");
        }
    }
}
