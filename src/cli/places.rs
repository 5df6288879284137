//! The commands on contexts and accounts: `cluster …` in kubectx's and gcloud's place, `account …` in kubens'.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Cluster, Color, Google, Output, SecretIds};

/// The commands on clusters.
#[derive(Debug, Subcommand)]
pub enum Clusters {
    /// List the contexts of the kubeconfig; sends nothing
    ///
    /// A table on a terminal, names one a line elsewhere, so that a picker can be put behind it. `*` marks the current
    /// context.
    #[command(
        after_help = "Example:\n  kubectl deepdesk cluster list\n  kubectl deepdesk cluster use \"$(kubectl deepdesk cluster list | fzf)\""
    )]
    List(ListClusters),
    /// Make a context the current one; without a name, pick it at the terminal
    ///
    /// Changes `current-context` in the kubeconfig and nothing else: comments, order and quoting stay. What the file was
    /// before is kept beside it, as FILE.deepdesk-backup.
    #[command(after_help = "Example:\n  kubectl deepdesk cluster use prod\n  kubectl deepdesk cluster use -")]
    Use(UseCluster),
    /// Write the kubeconfig entry of a GKE cluster, as gcloud writes it, and make it the current context
    ///
    /// Cluster, user and context are named gke_PROJECT_LOCATION_NAME and go into the first file of KUBECONFIG; all else in
    /// it stays as it is. What the file was before is kept beside it, as FILE.deepdesk-backup.
    #[command(
        after_help = "Example:\n  kubectl deepdesk cluster get-credentials prod --location europe-west1 --project acme-prod"
    )]
    GetCredentials(GetCredentials),
}

/// `cluster list`.
#[derive(Debug, Args)]
pub struct ListClusters {
    /// Path of the kubeconfig file
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// How it is shown.
    #[command(flatten)]
    pub show: ShowList,
}

/// `cluster use`.
#[derive(Debug, Args)]
pub struct UseCluster {
    /// The context; - for the one before the current one
    #[arg(value_name = "NAME|-")]
    pub name: Option<String>,
    /// Path of the kubeconfig file
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub color: Color,
}

/// `cluster get-credentials`.
#[derive(Debug, Args)]
pub struct GetCredentials {
    /// The cluster
    pub name: String,
    /// Its region or zone; default: gcloud's compute/zone, else compute/region
    #[arg(short = 'z', long, visible_aliases = ["zone", "region"], value_name = "LOCATION")]
    pub location: Option<String>,
    /// Use the address inside the network (private endpoint)
    #[arg(long)]
    pub internal_ip: bool,
    /// Use the DNS-based endpoint, whose certificate every system trusts
    #[arg(long)]
    pub dns_endpoint: bool,
    /// Through the Connect Gateway, as a member of its fleet (as gcloud container fleet memberships get-credentials)
    #[arg(long, conflicts_with_all = ["internal_ip", "dns_endpoint"])]
    pub connect_gateway: bool,
    /// Path of the kubeconfig file; default: the first of KUBECONFIG
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The project of the cluster; default: gcloud's
    #[arg(long, value_name = "ID", help_heading = "Google (as gcloud)")]
    pub project: Option<String>,
    /// gcloud configuration to use instead of the active one
    #[arg(long, value_name = "NAME", help_heading = "Google (as gcloud)")]
    pub configuration: Option<String>,
    /// Service account to act as, now and in the entry
    #[arg(long, value_name = "EMAIL", help_heading = "Google (as gcloud)")]
    pub impersonate_service_account: Option<String>,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub color: Color,
    /// Show each request on standard error: method, URL, status, time
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
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
    /// Make an account the namespace of the current context; without a name, pick it at the terminal
    ///
    /// Changes the context's `namespace` in the kubeconfig and nothing else. Any namespace of the cluster will do.
    #[command(after_help = "Example:\n  kubectl deepdesk account use acme\n  kubectl deepdesk account use -")]
    Use(Box<UseAccount>),
}

/// `account list`.
#[derive(Debug, Args)]
pub struct ListAccounts {
    /// All accounts of the cluster: what it does anyway
    #[arg(short = 'A', long = "all-namespaces", help_heading = "Selection")]
    pub all: bool,
    /// Only accounts whose namespaces have these labels, as kubectl takes them
    #[arg(short = 'l', long, value_name = "SELECTOR", help_heading = "Selection")]
    pub selector: Option<String>,
    /// Names alone: ask Secret Manager nothing
    #[arg(long)]
    pub no_state: bool,
    /// What the two secrets are called.
    #[command(flatten)]
    pub ids: SecretIds,
    /// Settings file [default: kubectl-deepdesk/settings.yaml in the configuration directory]
    #[arg(long, value_name = "FILE", env = "DEEPDESK_SETTINGS", hide_env_values = true)]
    pub settings: Option<PathBuf>,
    /// Where and as whom in the cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Where and as whom at Google.
    #[command(flatten)]
    pub google: Google,
    /// How it is shown.
    #[command(flatten)]
    pub show: ShowList,
}

/// `account use`.
#[derive(Debug, Args)]
pub struct UseAccount {
    /// The account, or any namespace; - for the one before the current one
    #[arg(value_name = "NAME|-")]
    pub name: Option<String>,
    /// Do not ask the cluster whether it exists
    #[arg(short, long)]
    pub force: bool,
    /// Where and as whom in the cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// How it is shown.
    #[command(flatten)]
    pub show: ShowUse,
}

/// Flags of presentation of a list.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct ShowList {
    /// Form of the list [default: human on a terminal, name elsewhere]
    #[arg(short, long, value_enum)]
    pub output: Option<Output>,
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Show each request on standard error: method, URL, status, time; never a value
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Flags of presentation of a command without a result of its own.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct ShowUse {
    /// Whether to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Show each request on standard error: method, URL, status, time; never a value
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}
