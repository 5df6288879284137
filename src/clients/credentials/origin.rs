//! Where credentials come from, and what helps when they are refused: a login writes one file, and another may be in use.

use std::path::{Path, PathBuf};

use deepdesk_protocol::command;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::Reason;

use crate::clients::advice::Advice;

/// The variable that names a file of credentials, before gcloud's own.
pub(super) const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Where credentials come from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::clients) enum Origin {
    /// None are sent.
    #[default]
    Nowhere,
    /// gcloud's access token file.
    TokenFile(PathBuf),
    /// A file of application default credentials.
    File(CredentialsFile),
    /// The metadata server of the machine or of the pod.
    Metadata,
    /// The account that gcloud is logged in with.
    Gcloud {
        /// Its name.
        account: Option<String>,
    },
}

/// A file of application default credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::clients) struct CredentialsFile {
    pub(super) path: PathBuf,
    /// Whether the variable names it.
    pub(super) by_variable: bool,
    /// Its `type`.
    pub(super) kind: String,
    /// The service account that it acts as, where it says one.
    pub(super) acts_as: Option<String>,
}

impl Origin {
    /// What helps when the credentials are not taken, or give out no token any more. Never a command whose file is not read.
    pub(in crate::clients) fn refused(&self) -> Advice {
        let hint = match self {
            Origin::Nowhere => Hint::from(log_in(None)),
            Origin::TokenFile(path) => Hint::from(format!(
                "write a new token into the file that gcloud's auth/access_token_file names: gcloud auth print-access-token > {}",
                path.display()
            )),
            Origin::File(file) => file.refused(),
            Origin::Metadata => Hint::from(
                "give access to the machine's or the pod's service account: on GKE, workload identity has to be set up for the pod's Kubernetes service account",
            ),
            Origin::Gcloud { account } => log_in_to_gcloud(account.as_deref()),
        };
        Advice::new(Reason::Unauthenticated, hint)
    }
}

impl CredentialsFile {
    /// The file and its type, for an error.
    pub(super) fn named(&self) -> String {
        match self.by_variable {
            true => format!("{VARIABLE} names {}", self.path.display()),
            false => self.path.display().to_string(),
        }
    }

    fn refused(&self) -> Hint {
        let path = self.path.display();
        let first = if self.by_variable { format!("unset {VARIABLE}, then log in") } else { "log in again".to_owned() };
        match self.kind.as_str() {
            "service_account" => Hint::to(
                format!("if its key was deleted or disabled, put a new one into {path}; or {first}"),
                log_in(None),
            ),
            "external_account" => Hint::from(format!(
                "check the token that {path} leads to (its credential_source): it is missing, expired or refused; in a pipeline, run the job again"
            )),
            "impersonated_service_account" => Hint::to(first, log_in(self.acts_as.as_deref())),
            _ => Hint::to(first, log_in(None)),
        }
    }

    /// What helps where the file itself cannot be used. `account` is the one that gcloud is logged in with.
    pub(super) fn replaced(&self, account: Option<&str>) -> Hint {
        let path = self.path.display();
        match (self.by_variable, account) {
            (true, Some(account)) => Hint::from(format!(
                "unset {VARIABLE}: the account that gcloud is logged in with ({account}) is used then"
            )),
            (true, None) => Hint::to(format!("unset {VARIABLE}, then log in"), command!["gcloud", "auth", "login"]),
            (false, Some(_)) => {
                Hint::from(format!("correct {path} or take it away: gcloud's own account is used then"))
            }
            (false, None) => {
                Hint::to("log in with gcloud itself, whose account is used then", command!["gcloud", "auth", "login"])
            }
        }
    }
}

/// The command that writes gcloud's file of application default credentials.
fn log_in(acts_as: Option<&str>) -> deepdesk_protocol::hint::Command {
    let command = command!["gcloud", "auth", "application-default", "login"];
    match acts_as {
        Some(account) => command.with([format!("--impersonate-service-account={account}")]),
        None => command,
    }
}

fn log_in_to_gcloud(account: Option<&str>) -> Hint {
    match account {
        // Of a workforce pool: which one, the login's own file says.
        Some(account) if account.starts_with("principal://") => {
            Hint::to("the session with gcloud has ended", command!["gcloud", "auth", "login", "--login-config=FILE"])
        }
        Some(account) if account.ends_with(".gserviceaccount.com") => Hint::to(
            "give gcloud a key that is valid",
            command!["gcloud", "auth", "activate-service-account", account, "--key-file=FILE"],
        ),
        _ => Hint::from(command!["gcloud", "auth", "login"]),
    }
}

/// The credentials of one file, by its place.
pub(super) fn file(path: &Path, by_variable: bool, kind: &str, acts_as: Option<String>) -> CredentialsFile {
    CredentialsFile { path: path.to_owned(), by_variable, kind: kind.to_owned(), acts_as }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hint_names_a_command_whose_file_a_variable_hides() {
        let hint = |origin: Origin| origin.refused().hint.to_string();
        let of = |kind: &str, by_variable| {
            Origin::File(file(Path::new("/k.json"), by_variable, kind, Some("sa@p".to_owned())))
        };
        let login = "gcloud auth application-default login";
        for kind in ["authorized_user", "service_account", "impersonated_service_account"] {
            assert!(hint(of(kind, false)).contains(login), "{kind}");
            assert!(hint(of(kind, true)).contains("unset GOOGLE_APPLICATION_CREDENTIALS, then"), "{kind}");
        }
        assert!(hint(of("impersonated_service_account", false)).ends_with("--impersonate-service-account=sa@p"));
        assert!(hint(of("service_account", true)).contains("a new one into /k.json"));
        for origin in [of("external_account", false), Origin::Metadata, Origin::TokenFile("/t".into())] {
            assert!(!hint(origin).contains(login));
        }
        let gcloud = |account: &str| hint(Origin::Gcloud { account: Some(account.to_owned()) });
        assert_eq!(gcloud("a@b.c"), "gcloud auth login");
        assert!(gcloud("principal://iam.googleapis.com/x").contains("--login-config"));
        assert!(gcloud("sa@p.iam.gserviceaccount.com").contains("activate-service-account"));
    }
}
