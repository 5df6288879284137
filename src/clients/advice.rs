//! What a refusal of Google's comes from, by its own error details, and the one thing that helps against it.
//!
//! Of an answer nothing is quoted here but names: a permission, a project, a service, a perimeter's number. Each is
//! looked at before it is shown.

use std::collections::HashMap;

use deepdesk_protocol::command;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::Reason;

use super::error::ConfigError;

/// The reason of a failure, where it is known better than its kind says, and what helps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advice {
    /// The word for scripts.
    pub reason: Reason,
    /// What to do.
    pub hint: Hint,
}

impl Advice {
    /// What helps against this.
    pub fn new(reason: Reason, hint: impl Into<Hint>) -> Advice {
        Advice { reason, hint: hint.into() }
    }

    /// What a configuration that cannot be used says of itself.
    pub(super) fn of(error: &ConfigError) -> Advice {
        Advice::new(Reason::Configuration, error.hint.clone().unwrap_or_default().as_str())
    }
}

/// What an answer says of itself: its message, and what stands in a `google.rpc.ErrorInfo`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusal<'a> {
    pub(super) reason: &'a str,
    pub(super) metadata: Option<&'a HashMap<String, String>>,
    pub(super) message: &'a str,
}

impl Refusal<'_> {
    /// What helps; none where its kind says it all. `quota` is what named the project that is charged, where something did.
    pub(super) fn advice(&self, quota: Option<&str>) -> Option<Advice> {
        let says = |words: &str| self.message.contains(words);
        match self.reason {
            "SERVICE_DISABLED" => Some(self.api_disabled()),
            "BILLING_DISABLED" => Some(self.billing_disabled()),
            "SECURITY_POLICY_VIOLATED" => Some(self.perimeter()),
            "USER_PROJECT_DENIED" | "CONSUMER_INVALID" => Some(self.quota_project(quota)),
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => Some(scopes()),
            "ORG_RESTRICTION_VIOLATION" | "LOCATION_ORG_POLICY_VIOLATED" => Some(policy()),
            "IAM_PERMISSION_DENIED" => self.impersonation(None),
            // Who stands between may leave the details out, and old services have none.
            _ if says("has not been used in project") || says("it is disabled. Enable it by visiting") => {
                Some(self.api_disabled())
            }
            _ if says("requires billing to be enabled") => Some(self.billing_disabled()),
            _ if says("vpcServiceControlsUniqueIdentifier") => Some(self.perimeter()),
            _ if says("required permission to use project") => Some(self.quota_project(quota)),
            _ if says("insufficient authentication scopes") => Some(scopes()),
            _ if says("iam.serviceAccounts.getAccessToken") => self.impersonation(None),
            _ => None,
        }
    }

    /// The same, where the refused was to act as this service account.
    pub(super) fn impersonation(&self, account: Option<&str>) -> Option<Advice> {
        let said = self.of("permission").filter(|name| name.starts_with("iam.serviceAccounts."));
        let quoted = || {
            self.message.contains("iam.serviceAccounts.getAccessToken").then_some("iam.serviceAccounts.getAccessToken")
        };
        let permission = said.or_else(quoted)?;
        let on = account.map(|account| format!(" on {account}")).unwrap_or_default();
        let role = match permission {
            "iam.serviceAccounts.getOpenIdToken" => "roles/iam.serviceAccountOpenIdTokenCreator",
            _ => "roles/iam.serviceAccountTokenCreator",
        };
        let hint = format!(
            "ask for {permission}{on}: the role {role} for a person or a service account, roles/iam.workloadIdentityUser for a workload identity"
        );
        Some(Advice::new(Reason::ImpersonationDenied, hint))
    }

    fn api_disabled(&self) -> Advice {
        let service = self.of("service").unwrap_or("secretmanager.googleapis.com");
        match self.project() {
            Some(project) => Advice::new(
                Reason::ApiDisabled,
                Hint::to(
                    "enable the API, then wait a few minutes",
                    command!["gcloud", "services", "enable", service, format!("--project={project}")],
                ),
            ),
            None => Advice::new(
                Reason::ApiDisabled,
                Hint::to("enable the API, then wait a few minutes", command!["gcloud", "services", "enable", service]),
            ),
        }
    }

    fn billing_disabled(&self) -> Advice {
        let hint = match self.project() {
            Some(project) => Hint::to(
                "link the project to a billing account that is open, then wait a few minutes",
                command!["gcloud", "billing", "projects", "link", project, "--billing-account=ACCOUNT"],
            ),
            None => "link the project to a billing account that is open, then wait a few minutes".into(),
        };
        Advice::new(Reason::BillingDisabled, hint)
    }

    fn perimeter(&self) -> Advice {
        let named = self.of("uid").or_else(|| word_after(self.message, "vpcServiceControlsUniqueIdentifier:"));
        let which = named.map(|id| format!(" (its record in the audit log: {id})")).unwrap_or_default();
        let hint = format!(
            "a VPC Service Controls perimeter refuses this: run it from inside the perimeter, or have an access level or ingress rule made{which}"
        );
        Advice::new(Reason::PerimeterDenied, hint)
    }

    fn quota_project(&self, quota: Option<&str>) -> Advice {
        let project = self.project().unwrap_or("the quota project");
        let hint = format!(
            "ask for serviceusage.services.use on {project} (the role Service Usage Consumer), or have another project charged: {}",
            quota.unwrap_or("gcloud's property billing/quota_project says which")
        );
        Advice::new(Reason::QuotaProjectDenied, hint)
    }

    /// The project in question, by number or by id.
    fn project(&self) -> Option<&str> {
        let consumer = self.of("consumer").and_then(|consumer| consumer.strip_prefix("projects/"));
        let said = || {
            ["on project #", "used in project ", "to use project "]
                .iter()
                .find_map(|before| word_after(self.message, before))
        };
        consumer.or_else(said).map(|project| project.trim_end_matches('.')).filter(|project| is_name(project))
    }

    /// A name from the details.
    fn of(&self, key: &str) -> Option<&str> {
        self.metadata?.get(key).map(String::as_str).filter(|value| is_name(value))
    }
}

fn scopes() -> Advice {
    Advice::new(
        Reason::InsufficientScopes,
        "the access token is for other services: it needs the scope https://www.googleapis.com/auth/cloud-platform (on a VM: set the instance's access scopes)",
    )
}

fn policy() -> Advice {
    Advice::new(
        Reason::PolicyDenied,
        "a policy of the organization forbids it: ask whoever keeps the organization's policies",
    )
}

fn word_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    rest.split_whitespace().next().filter(|word| is_name(word))
}

/// Whether a text is short and has nothing in it but what names have: what is shown of an answer.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    (1..=200).contains(&text.len()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(reason: &str, metadata: &[(&str, &str)], message: &str) -> Option<(Reason, String)> {
        let metadata: HashMap<String, String> =
            metadata.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let refusal = Refusal { reason, metadata: Some(&metadata), message };
        refusal.advice(None).map(|advice| (advice.reason, advice.hint.to_string()))
    }

    #[test]
    fn each_cause_has_one_hint_by_its_details_or_by_its_words() {
        type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, Reason, &'static str);
        let rows: &[Row] = &[
            (
                "SERVICE_DISABLED",
                &[("service", "secretmanager.googleapis.com"), ("consumer", "projects/12")],
                "",
                Reason::ApiDisabled,
                "gcloud services enable secretmanager.googleapis.com --project=12",
            ),
            (
                "",
                &[],
                "Secret Manager API has not been used in project 698910892233 before or it is disabled.",
                Reason::ApiDisabled,
                "--project=698910892233",
            ),
            (
                "BILLING_DISABLED",
                &[],
                "Please enable billing on project #12 by visiting https://x",
                Reason::BillingDisabled,
                "gcloud billing projects link 12",
            ),
            ("", &[], "This API method requires billing to be enabled.", Reason::BillingDisabled, "billing account"),
            ("SECURITY_POLICY_VIOLATED", &[("uid", "eYh-1_2")], "", Reason::PerimeterDenied, "eYh-1_2"),
            (
                "",
                &[],
                "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: eYh.",
                Reason::PerimeterDenied,
                "perimeter",
            ),
            (
                "USER_PROJECT_DENIED",
                &[("consumer", "projects/old")],
                "",
                Reason::QuotaProjectDenied,
                "serviceusage.services.use on old",
            ),
            (
                "",
                &[],
                "Caller does not have required permission to use project old. Grant",
                Reason::QuotaProjectDenied,
                "on old ",
            ),
            ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", &[], "", Reason::InsufficientScopes, "cloud-platform"),
            ("", &[], "Request had insufficient authentication scopes.", Reason::InsufficientScopes, "cloud-platform"),
            ("ORG_RESTRICTION_VIOLATION", &[], "", Reason::PolicyDenied, "policy"),
            (
                "IAM_PERMISSION_DENIED",
                &[("permission", "iam.serviceAccounts.getAccessToken")],
                "",
                Reason::ImpersonationDenied,
                "roles/iam.serviceAccountTokenCreator",
            ),
        ];
        for (given, metadata, message, reason, words) in rows {
            let (found, hint) = advice(given, metadata, message).unwrap_or_else(|| panic!("{given} {message}"));
            assert_eq!(found, *reason, "{given} {message}");
            assert!(hint.contains(words), "{given} {message}: {hint}");
            assert!(!hint.contains("permissions.md") && !hint.contains("login"), "{hint}");
        }
        for (reason, metadata) in
            [("", &[][..]), ("IAM_PERMISSION_DENIED", &[("permission", "secretmanager.versions.access")])]
        {
            assert_eq!(advice(reason, metadata, "Permission denied on resource"), None, "{reason}: its kind says it");
        }
    }

    #[test]
    fn of_the_details_only_names_are_shown() {
        for odd in ["a b", "$(reboot)", "\u{1b}[2J", "", &"x".repeat(300)] {
            let (_, hint) =
                advice("SERVICE_DISABLED", &[("consumer", &format!("projects/{odd}")), ("service", odd)], "")
                    .expect("a cause");
            assert!(odd.is_empty() || !hint.contains(odd), "{hint}");
        }
    }
}
