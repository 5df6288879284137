//! Settings with where each came from, so that what is printed of them is what is used.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use deepdesk_protocol::result::ProblemResult;

/// Where a setting came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// An argument of the command line.
    Argument,
    Flag(&'static str),
    /// This environment variable.
    Environment(String),
    /// The settings file at this path.
    SettingsFile(PathBuf),
    /// gcloud's configuration with this name.
    Gcloud(String),
    /// The properties file of gcloud's installation, at this path.
    GcloudInstallation(PathBuf),
    /// gcloud's file that says which configuration is active.
    ActiveConfiguration,
    /// This entry of the kubeconfig, such as `context prod`.
    Kubeconfig(String),
    /// The store with this name, of the account's namespace or of the cluster.
    SecretStore(String),
    /// The name of the kubeconfig context.
    ContextName,
    /// Found by looking for it, such as credentials.
    Found,
    /// The program.
    Default,
}

impl Source {
    /// Stable word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::Argument => "argument",
            Source::Flag(_) => "flag",
            Source::Environment(_) => "environment",
            Source::SettingsFile(_) => "settings",
            Source::Gcloud(_) => "gcloud",
            Source::GcloudInstallation(_) => "gcloudInstallation",
            Source::ActiveConfiguration => "gcloudActive",
            Source::Kubeconfig(_) => "kubeconfig",
            Source::SecretStore(_) => "secretStore",
            Source::ContextName => "contextName",
            Source::Found => "found",
            Source::Default => "default",
        }
    }

    /// Which one of its kind; empty where there is one only.
    pub fn which(&self) -> String {
        match self {
            Source::Flag(name) => (*name).to_owned(),
            Source::Environment(name) | Source::Gcloud(name) | Source::Kubeconfig(name) | Source::SecretStore(name) => {
                name.clone()
            }
            Source::SettingsFile(path) | Source::GcloudInstallation(path) => path.display().to_string(),
            Source::Argument | Source::ActiveConfiguration | Source::ContextName | Source::Found | Source::Default => {
                String::new()
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = self.which();
        match self {
            Source::Argument => f.write_str("argument"),
            Source::Flag(_) => write!(f, "flag {which}"),
            Source::Environment(_) => write!(f, "environment variable {which}"),
            Source::SettingsFile(_) => write!(f, "settings file {which}"),
            Source::Gcloud(_) => write!(f, "gcloud configuration {which}"),
            Source::GcloudInstallation(_) => write!(f, "gcloud installation {which}"),
            Source::ActiveConfiguration => f.write_str("gcloud's active configuration"),
            Source::Kubeconfig(_) => write!(f, "kubeconfig, {which}"),
            Source::SecretStore(_) => write!(f, "store {which}"),
            Source::ContextName => f.write_str("name of the context"),
            Source::Found => f.write_str("found"),
            Source::Default => f.write_str("default"),
        }
    }
}

/// A value with where it came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sourced<T> {
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

impl<T> Sourced<T> {
    pub fn new(value: T, source: Source) -> Sourced<T> {
        Sourced { value, source }
    }
}

/// One row of `config list`. The value is for people: no token, and no password, ever gets into one.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    pub name: &'static str,
    /// What is used; empty when it is not set.
    pub value: String,
    /// Kind of where it came from; `unknown` when it could not be found out.
    pub source: &'static str,
    /// Which one of that kind; why it is unknown.
    pub from: String,
    /// The same for people.
    #[serde(skip)]
    pub told: String,
}

/// The result of `config list`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// `deepdesk.com/v1`.
    pub api_version: &'static str,
    /// `Config`.
    pub kind: &'static str,
    pub settings: Vec<Setting>,
    /// What the command ends with.
    pub exit_code: u8,
    /// The reason of a failure, or nothing.
    pub reason: String,
    /// What could not be found out.
    pub problem: Option<ProblemResult>,
}

/// A URL whose password is not shown.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return hidden(url) };
    format!("{scheme}://{}", hidden(rest))
}

fn hidden(rest: &str) -> String {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // The last one: a password may hold another, unescaped.
    let Some(at) = rest[..end].rfind('@').or_else(|| rest.rfind('@')) else { return rest.to_owned() };
    match rest[..at].split_once(':') {
        Some((user, _)) => format!("{user}:(not shown){}", &rest[at..]),
        None => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://ann@proxy:3128/", "http://ann@proxy:3128/"),
            ("http://ann:MARK@proxy:3128/", "http://ann:(not shown)@proxy:3128/"),
            ("ann:MARK@proxy:3128", "ann:(not shown)@proxy:3128"),
            ("http://ann:MA@RK@proxy", "http://ann:(not shown)@proxy"),
            ("http://ann:M/ARK@proxy", "http://ann:(not shown)@proxy"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
    }
}
