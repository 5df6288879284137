//! The command line: clap types only. Flags, help, examples. What they mean together is `request`'s business.

mod check;
mod common;
mod completion;
mod config;
pub mod habits;
mod places;
mod sandbox;
mod secret;
mod status;

use std::time::Duration;

use clap::{Parser, Subcommand};

pub use self::check::{Check, Purpose};
pub use self::common::{
    Cluster, Color, Common, DryRun, DryRunFlag, Google, Output, Progress, ReadersFlag, ReportFlag, SecretIds,
    Selection, Show, Token, Yes, YesFlag,
};
pub use self::completion::{Completion, Install, Man, Shell};
pub use self::config::{Config, List};
pub use self::places::{
    Accounts, Clusters, GetCredentials, ListAccounts, ListClusters, ShowList, ShowUse, UseAccount, UseCluster,
};
pub use self::sandbox::{Sandbox, World};
pub use self::secret::{CopyKey, Finalize, Rescue, Restart, Rollback, Rotate, Secret, Strategy, Sync, Verify};
pub use self::status::Status;

/// Change a live application key, and prove that every running pod has it.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-deepdesk",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Rehearse first, without a cluster and without Google:\n  kubectl deepdesk sandbox run -- secret rotate acme --yes"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The groups of commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Rotate, sync, verify and restart an account's secret
    #[command(subcommand, after_help = "Example, which changes nothing:\n  kubectl deepdesk secret verify acme")]
    Secret(Box<Secret>),
    /// List the accounts of the cluster, or set the current one
    #[command(subcommand, after_help = "Example, which changes nothing:\n  kubectl deepdesk account list")]
    Account(Accounts),
    /// List contexts, set the current one, or write the entry of a GKE cluster
    #[command(subcommand, after_help = "Example, which changes nothing:\n  kubectl deepdesk cluster list")]
    Cluster(Clusters),
    /// Check access, APIs and set-up, with a hint for each failure; changes nothing
    ///
    /// Runs every check that a command runs before its first write, and continues after a failure. A check that cannot be run is
    /// shown as skipped, with the reason. Exit code 3 if a check fails, 1 if the cluster cannot be reached.
    #[command(
        after_help = "Example:\n  kubectl deepdesk check acme\n  kubectl deepdesk check acme --for verify --only access,secret-manager -o short"
    )]
    Check(Box<Check>),
    /// Print settings and their sources
    #[command(subcommand, after_help = "Example, which changes nothing:\n  kubectl deepdesk config list acme")]
    Config(Config),
    /// Rehearse against a simulated cluster, External Secrets and Secret Manager in this process
    #[command(subcommand, after_help = "Example:\n  kubectl deepdesk sandbox run -- secret rotate acme --yes")]
    Sandbox(Sandbox),
    /// Install or print shell completion
    #[command(subcommand, after_help = "Example:\n  kubectl deepdesk completion install")]
    Completion(Completion),
    /// Write the manual pages, for packagers
    #[command(hide = true, after_help = "Example:\n  kubectl-deepdesk man --out share/man/man1")]
    Man(Man),
    /// Print the version
    #[command(after_help = "Example:\n  kubectl deepdesk version")]
    Version,
}

/// A duration as kubectl and gcloud take it: `30s`, `10m`, `1h30m`, `500ms`, or `0`.
pub fn duration(given: &str) -> Result<Duration, String> {
    if given == "0" {
        return Ok(Duration::ZERO);
    }
    let span: jiff::SignedDuration =
        given.parse().map_err(|_| "not a duration such as 30s, 10m or 1h30m".to_owned())?;
    Duration::try_from(span).map_err(|_| "a duration cannot be negative".to_owned())
}

/// An age: a duration that may count in days and weeks, of 24 hours each.
pub fn age(given: &str) -> Result<Duration, String> {
    let wrong = || "not an age such as 90d, 12w or 36h".to_owned();
    let span: jiff::Span = given.parse().map_err(|_| wrong())?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| "an age cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::common::GLOBAL;
    use super::*;

    /// Those of kubectl and gcloud, and no flag of our own.
    const AS_ELSEWHERE: [&str; 20] = [
        "kubeconfig",
        "context",
        "cluster",
        "user",
        "namespace",
        "as",
        "as-group",
        "as-uid",
        "request-timeout",
        "server",
        "token",
        "tls-server-name",
        "certificate-authority",
        "client-certificate",
        "client-key",
        "insecure-skip-tls-verify",
        "project",
        "configuration",
        "impersonate-service-account",
        "quiet",
    ];

    #[test]
    fn a_commands_own_flags_come_first_and_those_of_kubectl_and_gcloud_last() {
        fn look(command: &clap::Command, seen: &mut usize) {
            let mut headings: Vec<Option<&str>> = Vec::new();
            for flag in command.get_arguments().filter(|flag| !flag.is_positional() && !flag.is_hide_set()) {
                let heading = flag.get_help_heading();
                if !headings.contains(&heading) {
                    headings.push(heading);
                }
                let name = flag.get_long().expect("each flag has a long name");
                if heading == Some(GLOBAL) {
                    assert!(AS_ELSEWHERE.contains(&name), "{}: --{name} is ours", command.get_name());
                    *seen += 1;
                } else if name != "kubeconfig" {
                    assert!(!AS_ELSEWHERE.contains(&name), "{}: --{name} is kubectl's or gcloud's", command.get_name());
                }
            }
            // What has no heading is shown first, whatever comes before it in the struct.
            let named: Vec<&str> = headings.into_iter().flatten().collect();
            let last = named.iter().position(|heading| *heading == GLOBAL).unwrap_or(named.len());
            assert!(last + 1 >= named.len(), "{}: {named:?}", command.get_name());
            command.get_subcommands().for_each(|command| look(command, seen));
        }
        let mut seen = 0;
        look(&Cli::command(), &mut seen);
        assert!(seen > 100, "{seen} flags");
    }
}
