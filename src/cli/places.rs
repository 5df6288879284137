//! The commands on contexts and accounts: `cluster …` in kubectx's and gcloud's place, `account …` in kubens'.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::GLOBAL;
use super::{Cluster, Color, Google, Output, SecretIds};

/// The commands on clusters.
#[derive(Debug, Subcommand)]
pub enum Clusters {
    /// List the contexts of the kubeconfig; sends no request
    ///
    /// A table on a terminal, else one name per line, so that a picker can read it. `*` marks the current context.
    #[command(
        after_help = "Example:\n  kubectl deepdesk cluster list\n  kubectl deepdesk cluster use \"$(kubectl deepdesk cluster list | fzf)\""
    )]
    List(ListClusters),
    /// Set the current context; without a name, choose it from a list
    ///
    /// Changes only `current-context` in the kubeconfig; comments, order and quoting stay. The previous file is kept as
    /// FILE.deepdesk-backup.
    #[command(after_help = "Example:\n  kubectl deepdesk cluster use prod\n  kubectl deepdesk cluster use -")]
    Use(UseCluster),
    /// Write the kubeconfig entry of a GKE cluster, as gcloud writes it, and make it the current context
    ///
    /// Cluster, user and context are named gke_PROJECT_LOCATION_NAME and go into the first file of KUBECONFIG; everything else in
    /// it stays as it is. The previous file is kept as FILE.deepdesk-backup.
    #[command(
        after_help = "Example:\n  kubectl deepdesk cluster get-credentials prod --location europe-west1 --project acme-prod"
    )]
    GetCredentials(GetCredentials),
}

/// `cluster list`.
#[derive(Debug, Args)]
pub struct ListClusters {
    /// Use this kubeconfig file
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// How it is shown.
    #[command(flatten)]
    pub show: ShowList,
}

/// `cluster use`.
#[derive(Debug, Args)]
pub struct UseCluster {
    /// Context; - for the previous one
    #[arg(value_name = "NAME|-")]
    pub name: Option<String>,
    /// Use this kubeconfig file
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub color: Color,
}

/// `cluster get-credentials`.
#[derive(Debug, Args)]
pub struct GetCredentials {
    /// Name of the cluster
    pub name: String,
    /// Location (region or zone) of the cluster [default: compute/zone of gcloud, else compute/region]
    #[arg(short = 'z', long, visible_aliases = ["zone", "region"], value_name = "LOCATION")]
    pub location: Option<String>,
    /// Use the address inside the network (private endpoint)
    #[arg(long)]
    pub internal_ip: bool,
    /// Use the DNS-based endpoint
    #[arg(long)]
    pub dns_endpoint: bool,
    /// Use the Connect Gateway of its fleet (as gcloud container fleet memberships get-credentials)
    #[arg(long, conflicts_with_all = ["internal_ip", "dns_endpoint"])]
    pub connect_gateway: bool,
    /// Write to this kubeconfig file [default: the first of KUBECONFIG]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub color: Color,
    /// Print each request on standard error: method, URL, status, time
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// Use this project [default: core/project of gcloud]
    #[arg(long, value_name = "ID", help_heading = GLOBAL)]
    pub project: Option<String>,
    /// Use this gcloud configuration instead of the active one
    #[arg(long, value_name = "NAME", help_heading = GLOBAL)]
    pub configuration: Option<String>,
    /// Impersonate this service account, now and in the entry
    #[arg(long, value_name = "EMAIL", help_heading = GLOBAL)]
    pub impersonate_service_account: Option<String>,
}

/// The commands on accounts.
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// List the accounts of the cluster: state, versions and age
    ///
    /// An account is a namespace with an ExternalSecret that reads NAMESPACE_account_secret. The state is judged by states
    /// and dates of the versions alone: no value is read, and no pod is looked at. Where they cannot tell it is Unknown;
    /// `secret verify` compares the values themselves. A table on a terminal, names one a line elsewhere.
    #[command(
        after_help = "Example:\n  kubectl deepdesk account list\n  kubectl deepdesk account list -o json | jq -r '.items[] | select(.state == \"Rotating\").account'"
    )]
    List(Box<ListAccounts>),
    /// Set the namespace of the current context to an account; without a name, choose it from a list
    ///
    /// Changes only `namespace` of the context in the kubeconfig. Any namespace of the cluster is accepted.
    #[command(after_help = "Example:\n  kubectl deepdesk account use acme\n  kubectl deepdesk account use -")]
    Use(Box<UseAccount>),
}

/// `account list`.
#[derive(Debug, Args)]
pub struct ListAccounts {
    /// Select all accounts of the cluster (the default)
    #[arg(short = 'A', long = "all-namespaces")]
    pub all: bool,
    /// Select the accounts whose namespaces have these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// List names only, without a request to Secret Manager
    #[arg(long)]
    pub no_state: bool,
    /// What the two secrets are called.
    #[command(flatten)]
    pub ids: SecretIds,
    /// Read settings from this file [default: kubectl-deepdesk/settings.yaml in the configuration directory]
    #[arg(long, value_name = "FILE", env = "DEEPDESK_SETTINGS", hide_env_values = true)]
    pub settings: Option<PathBuf>,
    /// How it is shown.
    #[command(flatten)]
    pub show: ShowList,
    /// Where and as whom in the cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Where and as whom at Google.
    #[command(flatten)]
    pub google: Google,
}

/// `account use`.
#[derive(Debug, Args)]
pub struct UseAccount {
    /// Account, or any namespace; - for the previous one
    #[arg(value_name = "NAME|-")]
    pub name: Option<String>,
    /// Skip the check that the namespace exists
    #[arg(short, long)]
    pub force: bool,
    /// How it is shown.
    #[command(flatten)]
    pub show: ShowUse,
    /// Where and as whom in the cluster.
    #[command(flatten)]
    pub cluster: Cluster,
}

/// Flags of presentation of a list.
#[derive(Debug, Args)]
pub struct ShowList {
    /// Print the list in this format [default: human on a terminal, else name]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub output: Option<Output>,
    /// Use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub color: Color,
    /// Print each request on standard error: method, URL, status, time; never a value
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

/// Flags of presentation of a command without a result of its own.
#[derive(Debug, Args)]
pub struct ShowUse {
    /// Use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub color: Color,
    /// Print each request on standard error: method, URL, status, time; never a value
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}
